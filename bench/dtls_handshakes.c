// DTLS-SRTP handshakes per second of one control-plane core: whole handshakes in memory, cookie exchange and
// key export included, of which the CPU time of the server's side counts. One thread.
// dtls_handshakes [--quick] [--json FILE]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/handshake_rounds.h"
#include "controlplane/sfu/dtls.h"

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

struct both {
	struct dtls_context *dtls;
	struct end server;
	struct end client;
};

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
	uint64_t began_ns = handshake_cpu_ns();

	memcpy(f.bytes, dtls_context_fingerprint(c), DTLS_SHA256_BYTES);
	if (dtls_session_new(c, role, &f, 1, &callbacks, e, &e->session) < 0)
		exit(1);
	e->cpu_ns += handshake_cpu_ns() - began_ns;
}

// Gives this end what the other one sent.
static void deliver(struct end *e)
{
	uint64_t began_ns = handshake_cpu_ns();
	uint32_t n = e->other->n;

	for (uint32_t i = 0; i < n; i++)
		dtls_session_receive(e->session, e->other->datagram[i], e->other->n_bytes[i]);
	e->other->n = 0;
	e->cpu_ns += handshake_cpu_ns() - began_ns;
}

static uint64_t handshake(void *context)
{
	struct both *both = context;
	struct end *server = &both->server;
	struct end *client = &both->client;
	uint32_t n_before = server->n_keys + client->n_keys;
	uint64_t began_ns;

	server->n = 0;
	server->cpu_ns = 0;
	client->n = 0;
	end_open(server, both->dtls, DTLS_ROLE_SERVER);
	end_open(client, both->dtls, DTLS_ROLE_CLIENT);
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
	began_ns = handshake_cpu_ns();
	dtls_session_free(server->session);
	server->cpu_ns += handshake_cpu_ns() - began_ns;
	dtls_session_free(client->session);
	return server->cpu_ns;
}

int main(int argc, char **argv)
{
	char state_dir[] = "/tmp/turnpike-bench-XXXXXX";
	static struct both both;
	char path[64];
	int ret;

	if (mkdtemp(state_dir) == NULL) {
		perror("dtls_handshakes: a directory below /tmp");
		return 1;
	}
	ret = dtls_context_new(state_dir, &both.dtls);
	snprintf(path, sizeof(path), "%s/dtls.pem", state_dir);
	unlink(path);
	rmdir(state_dir);
	if (ret < 0) {
		fprintf(stderr, "dtls_handshakes: the context: %s\n", strerror(-ret));
		return 1;
	}
	both.server.other = &both.client;
	both.client.other = &both.server;
	ret = handshake_rounds(argc, argv, "handshakes per second of one core, as server",
			       handshake, &both);
	dtls_context_free(both.dtls);
	return ret;
}
