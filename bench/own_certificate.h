// A key on P-256 and the certificate that goes with it, as browsers make them. Any thread.
#ifndef TP_BENCH_OWN_CERTIFICATE_H
#define TP_BENCH_OWN_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>

// Good for a month; SSL_CTX_get0_certificate() shows it. False when OpenSSL cannot.
bool own_certificate_use(SSL_CTX *context, const char *name);

#endif
