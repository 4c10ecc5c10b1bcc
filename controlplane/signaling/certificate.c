// TLS contexts from files. Control plane's loop thread; writes state_dir/https.pem (0600: it holds the key).
#include "controlplane/signaling/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/ops/log.h"
#include "controlplane/ops/state_dir.h"
#include "controlplane/signaling/certificate_make.h"

#define RENEW_BEFORE_S (30l * 86400)

static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason != NULL ? reason : "unknown reason";
}

// Whether the certificate serves every address that TLS listens on, for a while yet.
static bool still_serves(X509 *certificate, const struct signaling_listener *listeners,
			 uint32_t n_listeners)
{
	time_t later = time(NULL) + RENEW_BEFORE_S;

	if (X509_cmp_time(X509_get0_notAfter(certificate), &later) <= 0)
		return false;
	for (uint32_t i = 0; i < n_listeners; i++) {
		const struct ip_address *a = &listeners[i].endpoint.address;
		const uint8_t *bytes = a->bytes;
		size_t n = 16;

		if (!listeners[i].is_tls || certificate_is_wildcard(a))
			continue;
		if (ip_address_is_v4(a)) {
			bytes = ip_address_v4_bytes(a);
			n = 4;
		}
		if (X509_check_ip(certificate, bytes, n, 0) != 1)
			return false;
	}
	return true;
}

static bool file_still_serves(const char *path, const struct signaling_listener *listeners,
			      uint32_t n_listeners)
{
	X509 *certificate = NULL;
	FILE *file = fopen(path, "re");
	bool serves = false;

	if (file == NULL)
		return false;
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (certificate != NULL)
		serves = still_serves(certificate, listeners, n_listeners);
	ERR_clear_error();
	X509_free(certificate);
	return serves;
}

// Both in one file, so that the pair is replaced as one.
static int write_pair(const char *path, EVP_PKEY *key, X509 *certificate)
{
	char temporary[PATH_MAX];
	FILE *file = NULL;
	int fd, ret;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (file == NULL) {
		ret = -errno;
		close(fd);
		return ret;
	}
	ret = PEM_write_X509(file, certificate) == 1 &&
			      PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
			      fflush(file) == 0 && fsync(fd) == 0
		      ? 0
		      : -EIO;
	if (fclose(file) != 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && rename(temporary, path) < 0)
		ret = -errno;
	if (ret < 0)
		unlink(temporary);
	return ret;
}

static int make_pair(const char *path, const char *state_dir,
		     const struct signaling_listener *listeners, uint32_t n_listeners)
{
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	int ret;

	ret = state_dir_make(state_dir);
	if (ret < 0)
		return ret;
	ret = certificate_make(listeners, n_listeners, &key, &certificate);
	if (ret < 0)
		return ret;
	ret = write_pair(path, key, certificate);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return ret;
}

int certificate_own(const char *state_dir, const char *name,
		    const struct signaling_listener *listeners, uint32_t n_listeners, char *path,
		    size_t path_bytes, bool *is_new)
{
	*is_new = false;
	if (snprintf(path, path_bytes, "%s/%s", state_dir, name) >= (int)path_bytes)
		return -ENAMETOOLONG;
	if (file_still_serves(path, listeners, n_listeners))
		return 0;
	*is_new = true;
	return make_pair(path, state_dir, listeners, n_listeners);
}

int certificate_use(SSL_CTX *ctx, const char *certificate_path, const char *key_path, char *error,
		    size_t error_bytes)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate_path) != 1) {
		snprintf(error, error_bytes,
			 "cannot use the certificate %s: %s; it must be a PEM file with the chain, "
			 "the host's own first",
			 certificate_path, openssl_reason());
		return -EINVAL;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		snprintf(error, error_bytes,
			 "cannot use the key %s: %s; it must be the PEM file that belongs to the "
			 "certificate %s",
			 key_path, openssl_reason(), certificate_path);
		return -EINVAL;
	}
	return 0;
}

int certificate_context(const struct signaling_config *c, SSL_CTX **out, char *error,
			size_t error_bytes)
{
	const char *certificate_path = c->certificate_path, *key_path = c->key_path;
	char own_path[PATH_MAX];
	bool is_new;
	SSL_CTX *ctx;
	int ret;

	if (certificate_path == NULL) {
		ret = certificate_own(c->state_dir, "https.pem", c->listeners, c->n_listeners,
				      own_path, sizeof(own_path), &is_new);
		if (ret == 0 && is_new)
			log_info("made the certificate of HTTPS: %s; browsers warn about it until "
				 "http: certificate and key name files of an authority they trust",
				 own_path);
		if (ret < 0) {
			snprintf(error, error_bytes,
				 "cannot keep a certificate in %s: %s; make the directory writable "
				 "or give http: certificate and key",
				 c->state_dir, strerror(-ret));
			return ret;
		}
		certificate_path = key_path = own_path;
	}
	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL) {
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	ret = certificate_use(ctx, certificate_path, key_path, error, error_bytes);
	if (ret < 0) {
		SSL_CTX_free(ctx);
		return ret;
	}
	*out = ctx;
	return 0;
}
