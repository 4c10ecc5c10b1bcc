// The certificate of our DTLS endpoints: self-signed, ECDSA P-256, known to peers by its fingerprint in the
// SDP alone (RFC 8122, 8827 §6.5). Start of the control plane; writes one file in the state directory.
#ifndef TP_SFU_DTLS_CERTIFICATE_H
#define TP_SFU_DTLS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

#define DTLS_CERTIFICATE_FILE "dtls.pem"

// Reads key and certificate from the state directory, so that answers given before a restart stay true after
// it; makes and stores them (mode 0600) when there are none, or none that may be used: expired or within 30
// days of it, unreadable, or in a file that somebody else owns or may read. *is_new tells which. The caller
// owns both objects. -errno of the file system; -EIO: OpenSSL.
int dtls_certificate_load(const char *state_dir, EVP_PKEY **key, X509 **certificate, bool *is_new);

#endif
