// What OpenSSL alone needs for the server's side of a DTLS handshake as WebRTC has them: both ends show an ECDSA P-256
// certificate, ECDHE, no resumption; no cookie, no fingerprint, no keys exported, no network. The bound of what
// dtls_handshakes and sfu_handshakes measure. One thread.
// openssl_handshakes [--quick] [--json FILE]
#include <stdio.h>
#include <stdlib.h>

#include "bench/handshake_rounds.h"
#include "bench/own_certificate.h"

struct both {
	SSL_CTX *server;
	SSL_CTX *client;
};

static int accept_any(X509_STORE_CTX *store, void *argument)
{
	return 1;
}

static SSL_CTX *context_make(const SSL_METHOD *method)
{
	SSL_CTX *c = SSL_CTX_new(method);

	if (!c || !own_certificate_use(c, "bench") ||
	    SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-GCM-SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(c, "X25519:P-256") != 1)
		exit(1);
	SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, accept_any, NULL);
	return c;
}

static SSL *end_make(SSL_CTX *c, BIO *in, BIO *out)
{
	SSL *ssl = SSL_new(c);

	if (!ssl || BIO_up_ref(in) != 1 || BIO_up_ref(out) != 1)
		exit(1);
	SSL_set_bio(ssl, in, out);
	SSL_set_mtu(ssl, 1200);
	return ssl;
}

// One handshake; CPU time of the server's calls.
static uint64_t handshake(void *context)
{
	const struct both *both = context;
	BIO *to_server = BIO_new(BIO_s_mem());
	BIO *to_client = BIO_new(BIO_s_mem());
	uint64_t cpu_ns = 0;
	uint64_t began_ns;
	SSL *server;
	SSL *client;
	int ret = 0;

	if (!to_server || !to_client)
		exit(1);
	BIO_set_mem_eof_return(to_server, -1);
	BIO_set_mem_eof_return(to_client, -1);
	client = end_make(both->client, to_client, to_server);
	SSL_set_connect_state(client);
	began_ns = handshake_cpu_ns();
	server = end_make(both->server, to_server, to_client);
	SSL_set_accept_state(server);
	cpu_ns += handshake_cpu_ns() - began_ns;
	for (uint32_t i = 0; i < 10 && ret != 1; i++) {
		SSL_do_handshake(client);
		began_ns = handshake_cpu_ns();
		ret = SSL_do_handshake(server);
		cpu_ns += handshake_cpu_ns() - began_ns;
	}
	if (ret != 1 || SSL_do_handshake(client) != 1) {
		fputs("openssl_handshakes: a handshake did not end\n", stderr);
		exit(1);
	}
	began_ns = handshake_cpu_ns();
	SSL_free(server);
	cpu_ns += handshake_cpu_ns() - began_ns;
	SSL_free(client);
	BIO_free(to_server);
	BIO_free(to_client);
	return cpu_ns;
}

int main(int argc, char **argv)
{
	struct both both = { .server = context_make(DTLS_server_method()),
			     .client = context_make(DTLS_client_method()) };
	int ret = handshake_rounds(argc, argv, "OpenSSL alone, as server", handshake, &both);

	SSL_CTX_free(both.server);
	SSL_CTX_free(both.client);
	return ret;
}
