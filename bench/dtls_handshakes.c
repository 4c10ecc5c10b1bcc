// DTLS-SRTP handshakes per second of one control-plane core: whole handshakes in memory, cookie exchange and
// key export included, of which the CPU time of the server's side counts. One thread.
// dtls_handshakes [--quick] [--json FILE]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/sfu/dtls.h"

#define ROUNDS             7
#define HANDSHAKES         700 // a round
#define QUICK_HANDSHAKES   100
#define QUEUE_MAX          16
#define DATAGRAM_BYTES_MAX 1500

struct end {
	struct dtls_session *session;
	struct end *other;
	uint8_t datagram[QUEUE_MAX][DATAGRAM_BYTES_MAX]; // sent by this end
	size_t n_bytes[QUEUE_MAX];
	uint32_t n;
	uint32_t n_keys;
	uint64_t cpu_ns; // spent in calls of this end
};

static uint64_t cpu_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void on_send(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct end *e = context;

	if (e->n == QUEUE_MAX || n_bytes > DATAGRAM_BYTES_MAX)
		abort(); // no flight is that long
	memcpy(e->datagram[e->n], datagram, n_bytes);
	e->n_bytes[e->n++] = n_bytes;
}

static void on_keys(void *context, const struct dtls_keys *keys)
{
	struct end *e = context;

	e->n_keys += keys->profile == DP_SRTP_AEAD_AES_128_GCM;
}

static void on_data(void *context, const uint8_t *bytes, size_t n_bytes)
{
}

static void on_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	fprintf(stderr, "dtls_handshakes: closed: %s (%s)\n", dtls_close_reason_name(reason),
		detail);
	exit(1);
}

static void end_open(struct end *e, struct dtls_context *c, enum dtls_role role)
{
	static const struct dtls_callbacks callbacks = { on_send, on_keys, on_data, on_closed };
	struct sdp_fingerprint f = { .hash = SDP_HASH_SHA256, .n_bytes = DTLS_SHA256_BYTES };
	uint64_t began_ns = cpu_now_ns();

	memcpy(f.bytes, dtls_context_fingerprint(c), DTLS_SHA256_BYTES);
	if (dtls_session_new(c, role, &f, 1, &callbacks, e, &e->session) < 0)
		exit(1);
	e->cpu_ns += cpu_now_ns() - began_ns;
}

// Gives this end what the other one sent.
static void deliver(struct end *e)
{
	uint64_t began_ns = cpu_now_ns();
	uint32_t n = e->other->n;

	for (uint32_t i = 0; i < n; i++)
		dtls_session_receive(e->session, e->other->datagram[i], e->other->n_bytes[i]);
	e->other->n = 0;
	e->cpu_ns += cpu_now_ns() - began_ns;
}

static void handshake(struct dtls_context *c, struct end *server, struct end *client)
{
	uint32_t n_before = server->n_keys + client->n_keys;
	uint64_t began_ns;

	server->n = 0;
	client->n = 0;
	end_open(server, c, DTLS_ROLE_SERVER);
	end_open(client, c, DTLS_ROLE_CLIENT);
	if (dtls_session_start(client->session) < 0)
		exit(1);
	while (client->n > 0 || server->n > 0) {
		deliver(server);
		deliver(client);
	}
	if (server->n_keys + client->n_keys != n_before + 2) {
		fputs("dtls_handshakes: a handshake did not end with AEAD_AES_128_GCM\n", stderr);
		exit(1);
	}
	began_ns = cpu_now_ns();
	dtls_session_free(server->session);
	server->cpu_ns += cpu_now_ns() - began_ns;
	dtls_session_free(client->session);
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
	char state_dir[] = "/tmp/turnpike-bench-XXXXXX";
	static struct end server;
	static struct end client;
	uint32_t n_handshakes = HANDSHAKES;
	const char *json_path = NULL;
	double per_second[ROUNDS];
	struct dtls_context *c;
	char path[64];
	int option;
	int ret;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q') {
			n_handshakes = QUICK_HANDSHAKES;
		} else if (option == 'j') {
			json_path = optarg;
		} else {
			fputs("usage: dtls_handshakes [--quick] [--json FILE]\n", stderr);
			return 2;
		}
	}
	if (mkdtemp(state_dir) == NULL) {
		perror("dtls_handshakes: a directory below /tmp");
		return 1;
	}
	ret = dtls_context_new(state_dir, &c);
	snprintf(path, sizeof(path), "%s/dtls.pem", state_dir);
	unlink(path);
	rmdir(state_dir);
	if (ret < 0) {
		fprintf(stderr, "dtls_handshakes: the context: %s\n", strerror(-ret));
		return 1;
	}
	server.other = &client;
	client.other = &server;
	handshake(c, &server, &client); // OpenSSL loads what it needs
	for (uint32_t round = 0; round < ROUNDS; round++) {
		server.cpu_ns = 0;
		for (uint32_t i = 0; i < n_handshakes; i++)
			handshake(c, &server, &client);
		per_second[round] = (double)n_handshakes * 1e9 / (double)server.cpu_ns;
	}
	qsort(per_second, ROUNDS, sizeof(per_second[0]), compare);
	printf("handshakes per second of one core, as server: median %.0f (%.0f to %.0f of %d "
	       "rounds)\n",
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
	dtls_context_free(c);
	return 0;
}
