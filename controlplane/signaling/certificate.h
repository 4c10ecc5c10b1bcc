// The certificate of HTTPS: the operator's files, or one of our own that outlives restarts. Control plane's loop thread.
#ifndef TP_SIGNALING_CERTIFICATE_H
#define TP_SIGNALING_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "controlplane/signaling/signaling.h"

// A TLS context for the configuration; the caller frees it. -errno and one sentence with the remedy on failure. Without
// files in the configuration a self-signed certificate (ECDSA P-256) for the listeners' addresses is read from
// state_dir/https.pem, or made and written there when it is missing, about to end, or for other addresses.
int certificate_context(const struct signaling_config *c, SSL_CTX **out, char *error,
			size_t error_bytes);

// A self-signed certificate of our own with its key in state_dir/name, PEM, 0600: kept while it serves those listeners that
// take TLS, else made anew. Fills in the path. 0 or -errno.
int certificate_own(const char *state_dir, const char *name,
		    const struct signaling_listener *listeners, uint32_t n_listeners, char *path,
		    size_t path_bytes, bool *is_new);
// Takes certificate chain and key from PEM files. -EINVAL and one sentence with the remedy.
int certificate_use(SSL_CTX *ctx, const char *certificate_path, const char *key_path, char *error,
		    size_t error_bytes);

#endif
