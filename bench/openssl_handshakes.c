// What OpenSSL alone needs for the server's side of a DTLS handshake as WebRTC has them: both ends show an ECDSA P-256
// certificate, ECDHE, no resumption; no cookie, no fingerprint, no keys exported, no network. The bound of what
// dtls_handshakes and sfu_handshakes measure. One thread.
// openssl_handshakes [--quick] [--json FILE]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#define ROUNDS           7
#define HANDSHAKES       700 // a round
#define QUICK_HANDSHAKES 100

static uint64_t cpu_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int accept_any(X509_STORE_CTX *store, void *argument)
{
	return 1;
}

static X509 *certificate_make(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name;

	if (!x)
		return NULL;
	name = X509_get_subject_name(x);
	if (X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), 86400L * 30) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"bench", -1, -1,
				       0) == 1 &&
	    X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static SSL_CTX *context_make(const SSL_METHOD *method)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? certificate_make(key) : NULL;
	SSL_CTX *c = SSL_CTX_new(method);

	if (!c || !x || SSL_CTX_use_certificate(c, x) != 1 || SSL_CTX_use_PrivateKey(c, key) != 1 ||
	    SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-GCM-SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(c, "X25519:P-256") != 1)
		exit(1);
	SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, accept_any, NULL);
	X509_free(x);
	EVP_PKEY_free(key);
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
static uint64_t handshake(SSL_CTX *server_context, SSL_CTX *client_context)
{
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
	client = end_make(client_context, to_client, to_server);
	SSL_set_connect_state(client);
	began_ns = cpu_now_ns();
	server = end_make(server_context, to_server, to_client);
	SSL_set_accept_state(server);
	cpu_ns += cpu_now_ns() - began_ns;
	for (uint32_t i = 0; i < 10 && ret != 1; i++) {
		SSL_do_handshake(client);
		began_ns = cpu_now_ns();
		ret = SSL_do_handshake(server);
		cpu_ns += cpu_now_ns() - began_ns;
	}
	if (ret != 1 || SSL_do_handshake(client) != 1) {
		fputs("openssl_handshakes: a handshake did not end\n", stderr);
		exit(1);
	}
	began_ns = cpu_now_ns();
	SSL_free(server);
	cpu_ns += cpu_now_ns() - began_ns;
	SSL_free(client);
	BIO_free(to_server);
	BIO_free(to_client);
	return cpu_ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "quick", no_argument, NULL, 'q' },
						 { "json", required_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	uint32_t n_handshakes = HANDSHAKES;
	const char *json_path = NULL;
	double per_second[ROUNDS];
	SSL_CTX *server;
	SSL_CTX *client;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q') {
			n_handshakes = QUICK_HANDSHAKES;
		} else if (option == 'j') {
			json_path = optarg;
		} else {
			fputs("usage: openssl_handshakes [--quick] [--json FILE]\n", stderr);
			return 2;
		}
	}
	server = context_make(DTLS_server_method());
	client = context_make(DTLS_client_method());
	handshake(server, client); // OpenSSL loads what it needs
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t cpu_ns = 0;

		for (uint32_t i = 0; i < n_handshakes; i++)
			cpu_ns += handshake(server, client);
		per_second[round] = (double)n_handshakes * 1e9 / (double)cpu_ns;
	}
	qsort(per_second, ROUNDS, sizeof(per_second[0]), compare);
	printf("OpenSSL alone, as server: median %.0f (%.0f to %.0f of %d rounds)\n",
	       per_second[ROUNDS / 2], per_second[0], per_second[ROUNDS - 1], ROUNDS);
	if (json_path != NULL) {
		FILE *json = fopen(json_path, "w");

		if (json == NULL) {
			perror(json_path);
			return 1;
		}
		fprintf(json, "{\"handshakes_per_s\":%.0f,\"min\":%.0f,\"max\":%.0f}\n",
			per_second[ROUNDS / 2], per_second[0], per_second[ROUNDS - 1]);
		fclose(json);
	}
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	return 0;
}
