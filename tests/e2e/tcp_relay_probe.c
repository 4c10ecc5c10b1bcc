// TCP relaying (RFC 6062) seen from both of its ends: a client of TCP or TLS, and peers that are sockets of this process
// too. Prints a line for everything that holds, and ends with 1 at the first thing that does not. One thread.
//   tcp_relay_probe [-S] [-6] [-r BYTES_PER_SECOND] SERVER PORT OWN_ADDRESS USER PASSWORD
// With -r: nothing but that data goes as fast as that and no faster.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/e2e/tcp_relay_client.h"

#define BULK_BYTES (24u << 20)
// What sender, relay and receiver hold for a reader that does not read: buffers of four sockets and of the relay.
#define HELD_BYTES_MAX (20u << 20)
#define BIND_TIMEOUT_S 30

static uint32_t bulk_bytes = BULK_BYTES;

// ---- bulk: byte i of a direction is known, so nothing can be lost, doubled or swapped unseen

static uint8_t byte_at(uint32_t i, uint8_t seed)
{
	return (uint8_t)(i * 31u + (i >> 8) * 7u + (i >> 16) + seed);
}

struct flow {
	struct end *from, *to;
	uint32_t n_sent, n_received;
	uint8_t seed;
};

static bool flow_send(struct flow *f, uint32_t limit_bytes)
{
	uint8_t bytes[16384];
	uint32_t n = limit_bytes - f->n_sent < sizeof(bytes) ? limit_bytes - f->n_sent
							     : (uint32_t)sizeof(bytes);
	ssize_t put;

	for (uint32_t i = 0; i < n; i++)
		bytes[i] = byte_at(f->n_sent + i, f->seed);
	put = n == 0 ? 0 : end_write(f->from, bytes, n);
	if (put < 0 && errno != EAGAIN)
		die("sending ended at %u", f->n_sent);
	f->n_sent += put > 0 ? (uint32_t)put : 0;
	return put > 0;
}

static bool flow_receive(struct flow *f)
{
	uint8_t bytes[16384];
	ssize_t got = end_read(f->to, bytes, sizeof(bytes));

	if (got == 0 || (got < 0 && errno != EAGAIN))
		die("receiving ended at %u", f->n_received);
	for (ssize_t i = 0; i < got; i++)
		if (bytes[i] != byte_at(f->n_received + (uint32_t)i, f->seed))
			die("byte %u is another", f->n_received + (uint32_t)i);
	f->n_received += got > 0 ? (uint32_t)got : 0;
	return got > 0;
}

// Sends without anybody reading, until nothing goes any more for a second.
static void flow_fill(struct flow *f)
{
	int64_t moved_at_ms = now_ms();

	while (now_ms() - moved_at_ms < 1000) {
		if (flow_send(f, bulk_bytes))
			moved_at_ms = now_ms();
		else
			usleep(2000);
	}
}

static void flows_finish(struct flow *a, struct flow *b)
{
	int64_t moved_at_ms = now_ms();

	while (a->n_received < bulk_bytes || b->n_received < bulk_bytes) {
		bool has_moved = flow_send(a, bulk_bytes);

		has_moved |= flow_send(b, bulk_bytes);
		if (a->n_received < bulk_bytes)
			has_moved |= flow_receive(a);
		if (b->n_received < bulk_bytes)
			has_moved |= flow_receive(b);
		if (has_moved)
			moved_at_ms = now_ms();
		else
			usleep(500);
		if (now_ms() - moved_at_ms > PATIENCE_MS)
			die("stuck at %u and %u", a->n_received, b->n_received);
	}
}

// ---- what must hold

static void test_bulk(struct control *c)
{
	struct end client, peer;
	struct flow up = { .from = &client, .to = &peer, .seed = 1 };
	struct flow down = { .from = &peer, .to = &client, .seed = 2 };
	char text[6];

	join_by_connect(c, &client, &peer);
	write_whole(&client, "hello", 5);
	read_whole(&peer, text, 5);
	if (memcmp(text, "hello", 5) != 0)
		die("the first bytes are others");
	block(&client, false);
	block(&peer, false);
	flows_finish(&up, &down);
	printf("ok - %u bytes both ways at once\n", bulk_bytes);
	block(&client, true);
	block(&peer, true);
	// The end follows behind the last byte, not before it.
	write_whole(&peer, "last", 4);
	close_end(&peer);
	read_whole(&client, text, 4);
	if (!has_ended(&client))
		die("the client's connection outlived the peer's");
	close_end(&client);
	printf("ok - the peer's end comes behind its last byte\n");

	join_by_connect(c, &client, &peer);
	write_whole(&client, "last", 4);
	close_end(&client);
	read_whole(&peer, text, 4);
	if (!has_ended(&peer))
		die("the peer's connection outlived the client's");
	close_end(&peer);
	printf("ok - the client's end comes behind its last byte\n");
}

static void test_slow_readers(struct control *c)
{
	struct end client, peer;
	struct flow up = { .from = &client, .to = &peer, .seed = 3 };
	struct flow down = { .from = &peer, .to = &client, .seed = 4 };

	join_by_connect(c, &client, &peer);
	block(&client, false);
	block(&peer, false);
	flow_fill(&up);
	flow_fill(&down);
	if (up.n_sent > HELD_BYTES_MAX || down.n_sent > HELD_BYTES_MAX)
		die("%u and %u bytes went to readers that do not read", up.n_sent, down.n_sent);
	flows_finish(&up, &down);
	if (up.n_received != bulk_bytes || down.n_received != bulk_bytes)
		die("%u and %u bytes came", up.n_received, down.n_received);
	printf("ok - slow readers slow the sender down, and every byte comes\n");
	close_end(&client);
	close_end(&peer);
}

static void test_attempt(struct control *c)
{
	struct end client, peer = { .fd = dial(&c->relayed) };
	struct ip_endpoint from, told;
	struct sockaddr_storage ss;
	uint8_t message[2048];
	struct stun_attr a;
	struct stun_view v;
	socklen_t n = sizeof(ss);
	uint16_t code;
	char text[5];

	// The kernel may refuse or accept it; what counts is that it ends.
	if (peer.fd >= 0 && !has_ended(&peer))
		die("a peer without a permission stays connected");
	close(peer.fd);
	permit(c, &own);
	peer.fd = dial(&c->relayed);
	if (peer.fd < 0)
		die("a peer with a permission cannot connect");
	write_whole(&peer, "early", 5);
	take_message(&c->end, message, &v);
	if (v.type != TURN_CONNECTION_ATTEMPT ||
	    !stun_attr_find(&v, TURN_ATTR_XOR_PEER_ADDRESS, &a) ||
	    stun_xor_address_get(&v, &a, &told) < 0)
		die("no ConnectionAttempt");
	getsockname(peer.fd, (struct sockaddr *)&ss, &n);
	from = endpoint_of(&ss);
	if (!ip_endpoint_equal(&from, &told))
		die("ConnectionAttempt names another peer");
	code = bind_id(c, id_of(&v), "wrong", &client);
	if (code != 401)
		die("ConnectionBind with a wrong password was answered with %u", code);
	code = bind_id(c, id_of(&v) ^ 0x10000, password, &client);
	if (code != 400)
		die("ConnectionBind of nothing was answered with %u", code);
	code = bind_id(c, id_of(&v), password, &client);
	if (code != 0)
		die("ConnectionBind was answered with %u", code);
	read_whole(&client, text, 5);
	if (memcmp(text, "early", 5) != 0)
		die("what the peer sent first is lost");
	write_whole(&client, "reply", 5);
	read_whole(&peer, text, 5);
	printf("ok - a peer with a permission connects, and nothing it sent before is lost\n");
	close_end(&client);
	close_end(&peer);
}

static void test_refusals(struct control *c)
{
	// The last ones are the server's too, and in no configuration.
	static const char *const v4[] = { "127.0.0.1", "169.254.1.1", "224.0.0.1", "9.9.9.77" };
	static const char *const v6[] = { "::1", "fe80::1", "64:ff9b::7f00:1", "2620:fe::77" };
	struct ip_endpoint at;
	uint16_t code;
	uint32_t id;

	for (uint32_t i = 0; i < 4; i++) {
		at.port_be = htons(22);
		ip_address_parse(is_v6 ? v6[i] : v4[i], &at.address);
		code = connect_to(c, &at, &id);
		if (code != 403)
			die("Connect to %s was answered with %u", is_v6 ? v6[i] : v4[i], code);
	}
	code = connect_to(c, &server, &id);
	if (code != 403 && ip_address_is_v4(&server.address) == !is_v6)
		die("Connect to the server itself was answered with %u", code);
	at = (struct ip_endpoint){ .address = own, .port_be = htons(1) };
	code = connect_to(c, &at, &id);
	if (code != 447)
		die("Connect to nobody was answered with %u", code);
	printf("ok - Connect is refused where it must be\n");
}

static void test_end(struct control *c)
{
	struct end client, peer;

	join_by_connect(c, &client, &peer);
	close_end(&c->end);
	if (!has_ended(&client) || !has_ended(&peer))
		die("a connection outlived its allocation");
	close_end(&client);
	close_end(&peer);
	printf("ok - connections end with the allocation\n");
}

// Bursts and what buffers hold come at once, so a little more than three seconds' worth must take three.
static int test_rate(uint32_t bytes_per_s)
{
	struct end client, peer;
	struct flow up = { .from = &client, .to = &peer, .seed = 5 };
	struct flow down = { .from = &peer, .to = &client, .seed = 6 };
	struct control c;
	int64_t since_ms, took_ms;

	allocate(&c);
	join_by_connect(&c, &client, &peer);
	block(&client, false);
	block(&peer, false);
	bulk_bytes = bytes_per_s * 3 + bytes_per_s / 5;
	since_ms = now_ms();
	flows_finish(&up, &down);
	took_ms = now_ms() - since_ms;
	if (took_ms < 2900 || took_ms > 6000)
		die("%u bytes took %ld ms", bulk_bytes, (long)took_ms);
	printf("ok - %u bytes both ways at %u bytes per second took %ld ms\n", bulk_bytes,
	       bytes_per_s, (long)took_ms);
	return 0;
}

int main(int argc, char **argv)
{
	struct control c, waiting;
	struct ip_endpoint at;
	int listening, option;
	int64_t since_ms, waited_ms;
	struct end peer, client;
	uint32_t id, bytes_per_s = 0;
	uint16_t code;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((option = getopt(argc, argv, "S6r:")) != -1) {
		bytes_per_s = option == 'r' ? (uint32_t)atoi(optarg) : bytes_per_s;
		is_tls |= option == 'S';
		is_v6 |= option == '6';
	}
	argv += optind;
	if (argc - optind != 5 || ip_address_parse(argv[0], &server.address) < 0 ||
	    ip_address_parse(argv[2], &own) < 0)
		die("tcp_relay_probe [-S] [-6] SERVER PORT OWN_ADDRESS USER PASSWORD");
	server.port_be = htons((uint16_t)atoi(argv[1]));
	user = argv[3];
	password = argv[4];
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

	if (bytes_per_s > 0)
		return test_rate(bytes_per_s);

	// Waits for its ConnectionBind while the others run.
	allocate(&waiting);
	listening = listen_peer(&at);
	code = connect_to(&waiting, &at, &id);
	if (code != 0)
		die("Connect was answered with %u", code);
	if (connect_to(&waiting, &at, &id) != 446)
		die("a second Connect to the same peer is not refused");
	since_ms = now_ms();
	peer = (struct end){ .fd = accept(listening, NULL, NULL) };
	patience(peer.fd);

	allocate(&c);
	test_refusals(&c);
	test_bulk(&c);
	test_slow_readers(&c);
	test_attempt(&c);
	test_end(&c);

	while (poll(&(struct pollfd){ .fd = peer.fd, .events = POLLIN }, 1, 1000) == 0 &&
	       now_ms() - since_ms < (BIND_TIMEOUT_S + 5) * 1000)
		;
	waited_ms = now_ms() - since_ms;
	if (!has_ended(&peer) || waited_ms < (BIND_TIMEOUT_S - 1) * 1000 ||
	    waited_ms > (BIND_TIMEOUT_S + 3) * 1000)
		die("a connection that nobody bound ended after %ld ms", (long)waited_ms);
	code = bind_id(&waiting, id, password, &client);
	if (code != 400)
		die("ConnectionBind that came too late was answered with %u", code);
	printf("ok - a connection that nobody binds ends after %ld ms\n", (long)waited_ms);
	close_end(&peer);
	close_end(&waiting.end);
	SSL_CTX_free(context);
	return 0;
}
