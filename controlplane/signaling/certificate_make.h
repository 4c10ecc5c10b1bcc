// A self-signed certificate for the addresses that we listen on. Control plane's loop thread.
#ifndef TP_SIGNALING_CERTIFICATE_MAKE_H
#define TP_SIGNALING_CERTIFICATE_MAKE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "controlplane/signaling/signaling.h"

bool certificate_is_wildcard(const struct ip_address *a);
// ECDSA P-256, names: localhost, the host's name, the TLS listeners' addresses, and those of all interfaces where one
// listens on every address. The caller frees both. 0 or -ENOMEM.
int certificate_make(const struct signaling_listener *listeners, uint32_t n_listeners,
		     EVP_PKEY **key, X509 **certificate);

#endif
