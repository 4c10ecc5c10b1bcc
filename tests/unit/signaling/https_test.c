// HTTPS: our own certificate, made once and kept, and files of an operator.
#include <criterion/criterion.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/signaling/signaling_rig.h"

static char state_dir[64];
static char pem[96];

static void own_certificate(struct signaling_config *c)
{
	c->state_dir = state_dir;
}

static void open_rig(void)
{
	strcpy(state_dir, "/tmp/turnpike-https-XXXXXX");
	cr_assert_not_null(mkdtemp(state_dir));
	strcat(state_dir, "/a/b");
	snprintf(pem, sizeof(pem), "%s/https.pem", state_dir);
	rig_open(own_certificate);
}

static void remove_state(void)
{
	unlink(pem);
	rmdir(state_dir);
	*strrchr(state_dir, '/') = '\0';
	rmdir(state_dir);
	*strrchr(state_dir, '/') = '\0';
	rmdir(state_dir);
}

static void close_rig(void)
{
	rig_close();
	remove_state();
}

TestSuite(https, .init = open_rig, .fini = close_rig);

// Runs the loop until OpenSSL has what it wants.
static int drive(SSL *ssl, int (*step)(SSL *))
{
	for (int i = 0; i < 5000; i++) {
		int ret = step(ssl), why = SSL_get_error(ssl, ret);

		if (ret == 1 || (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE))
			return ret;
		rig_run(1);
	}
	return -1;
}

static SSL *connect_tls(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, rig_connect(1));
	cr_assert_eq(drive(ssl, SSL_connect), 1, "%s",
		     ERR_reason_error_string(ERR_peek_last_error()));
	return ssl;
}

static char text[1024];

static int read_some(SSL *ssl)
{
	int n = SSL_read(ssl, text, sizeof(text) - 1);

	if (n > 0)
		text[n] = '\0';
	return n > 0 ? 1 : n;
}

Test(https, serves_with_a_certificate_for_its_address)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	X509 *certificate;
	EVP_PKEY *key;
	SSL *ssl = connect_tls(ctx);
	const char *get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	const uint8_t loopback[4] = { 127, 0, 0, 1 }, other[4] = { 127, 0, 0, 2 };

	cr_assert_eq(SSL_write(ssl, get, (int)strlen(get)), (int)strlen(get));
	cr_assert_eq(drive(ssl, read_some), 1);
	cr_expect_eq(strncmp(text, "HTTP/1.1 200 OK", 15), 0, "%s", text);
	certificate = SSL_get1_peer_certificate(ssl);
	cr_expect_eq(X509_check_ip(certificate, loopback, 4, 0), 1);
	cr_expect_eq(X509_check_ip(certificate, other, 4, 0), 0);
	cr_expect_eq(X509_check_host(certificate, "localhost", 0, 0, NULL), 1);
	key = X509_get0_pubkey(certificate);
	cr_expect_eq(EVP_PKEY_get_base_id(key), EVP_PKEY_EC);
	cr_expect_eq(EVP_PKEY_get_bits(key), 256);
	cr_expect_eq(X509_verify(certificate, key), 1);
	X509_free(certificate);
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

Test(https, rfc8996_old_versions_are_refused)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);

	SSL_CTX_set_security_level(ctx, 0);
	SSL_set_security_level(ssl, 0);
	SSL_set_min_proto_version(ssl, TLS1_1_VERSION);
	SSL_set_max_proto_version(ssl, TLS1_1_VERSION);
	SSL_set_fd(ssl, rig_connect(1));
	cr_expect_neq(drive(ssl, SSL_connect), 1);
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

Test(https, plain_text_on_the_tls_port_is_not_served)
{
	const char *get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct rig_answer *a = calloc(1, sizeof(*a));
	int fd = rig_connect(1);

	rig_talk(fd, get, strlen(get), a);
	cr_expect_eq(a->status, 0);
	close(fd);
	free(a);
}

Test(https, the_certificate_survives_restarts)
{
	char before[SIGNALING_FINGERPRINT_BYTES], after[SIGNALING_FINGERPRINT_BYTES];
	struct stat st;

	cr_assert_eq(signaling_fingerprint(rig_signaling(), before), 0);
	cr_expect_eq(strlen(before), 95);
	cr_assert_eq(stat(pem, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	rig_close();
	rig_open(own_certificate);
	cr_assert_eq(signaling_fingerprint(rig_signaling(), after), 0);
	cr_expect_str_eq(before, after);
	// What cannot be read is replaced.
	rig_close();
	cr_assert_eq(truncate(pem, 40), 0);
	rig_open(own_certificate);
	cr_assert_eq(signaling_fingerprint(rig_signaling(), after), 0);
	cr_expect_str_neq(before, after);
}

static const char *certificate_path, *key_path;

static void operators_files(struct signaling_config *c)
{
	c->certificate_path = certificate_path;
	c->key_path = key_path;
}

Test(https, files_of_the_operator)
{
	char before[SIGNALING_FINGERPRINT_BYTES], after[SIGNALING_FINGERPRINT_BYTES], error[512];
	struct signaling_listener l = { .is_tls = true };
	struct signaling_config c = { .listeners = &l, .n_listeners = 1 };

	cr_assert_eq(signaling_fingerprint(rig_signaling(), before), 0);
	rig_close();
	certificate_path = key_path = pem;
	rig_open(operators_files);
	cr_assert_eq(signaling_fingerprint(rig_signaling(), after), 0);
	cr_expect_str_eq(before, after);
	c.certificate_path = "/nonexistent/chain.pem";
	c.key_path = pem;
	cr_expect_lt(signaling_reload(rig_signaling(), &c, error, sizeof(error)), 0);
	cr_expect_not_null(strstr(error, "/nonexistent/chain.pem"), "%s", error);
	cr_assert_eq(signaling_fingerprint(rig_signaling(), after), 0);
	cr_expect_str_eq(before, after, "the old one stays");
}

Test(https, a_silent_client_does_not_stop_others)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int silent = rig_connect(1);
	SSL *ssl;

	rig_run(20);
	ssl = connect_tls(ctx);
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(silent);
}
