// TCP connections of clients, with real sockets over the loopback interface and the loop in the test's hand.
#include "tests/unit/controlplane/turn_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/turn/stream/connection_private.h"

#define MAX_CONNECTIONS 8
#define STALLED_S       30
#define NS_PER_S        1000000000ull

static const struct config_stream_listener plain = { .takes_plain = true };
static const struct config_stream_listener secure = { .takes_tls = true };
static const struct config_stream_listener proxied = { .takes_plain = true,
						       .has_proxy_header = true };

static struct rig r;
static struct event_base *base;
static struct turn_streams *streams;
static struct turn_connections all;
static uint32_t n_unknown[2]; // of two listeners

static void setup(void)
{
	struct config *config = rig_config();

	config->streams = (struct config_streams){ .max_connections = MAX_CONNECTIONS,
						   .per_source_max = MAX_CONNECTIONS,
						   .handshake_timeout_s = 10,
						   .allocation_timeout_s = 30,
						   .stalled_s = STALLED_S,
						   .buffer_bytes = 1 << 20,
						   .buffer_ms = 1000,
						   .buffer_total_bytes = 1 << 24 };
	config->n_stream_listeners = 2;
	config->stream_listeners = calloc(2, sizeof(proxied));
	config->stream_listeners[0] = config->stream_listeners[1] = proxied;
	rig_open(&r, config);
	base = event_base_new();
	cr_assert_eq(turn_streams_new(config, NULL, &r.engine.tables, r.engine.turn, &streams), 0);
	all = (struct turn_connections){ .base = base, .streams = streams };
}

static void teardown(void)
{
	turn_connections_free(&all);
	turn_streams_free(streams);
	SSL_CTX_free(all.tls);
	event_base_free(base);
	rig_close(&r);
}

TestSuite(connections, .init = setup, .fini = teardown, .timeout = 60);

// The client's end of a connection; the other one is what accept gave.
static int connect_pair(int *accepted)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listening = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof(address);

	cr_assert_eq(bind(listening, (struct sockaddr *)&address, n), 0);
	cr_assert_eq(listen(listening, 1), 0);
	cr_assert_eq(getsockname(listening, (struct sockaddr *)&address, &n), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, n), 0);
	*accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	cr_assert_geq(*accepted, 0);
	close(listening);
	return fd;
}

static int client_of(const struct config_stream_listener *l, uint32_t listener)
{
	int accepted, fd = connect_pair(&accepted);

	turn_connection_new(&all, l, &n_unknown[listener], accepted);
	return fd;
}

static void run(uint32_t rounds)
{
	while (rounds-- > 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

static const struct turn_streams_stats *stats(void)
{
	return turn_streams_stats(streams);
}

static size_t binding_request(uint8_t out[20])
{
	static const uint8_t id[12] = "abcdefghijk";
	struct stun_builder b;

	stun_build_begin(&b, out, 20, STUN_BINDING_REQUEST, id);
	return stun_build_end(&b);
}

// A client that is past its first message; its connection.
static struct turn_connection *begun(int *fd)
{
	uint8_t question[20], answer[64];
	size_t n = binding_request(question);

	*fd = client_of(&plain, 0);
	cr_assert_eq(write(*fd, question, n), (ssize_t)n);
	for (uint32_t i = 0; i < 1000; i++) {
		run(1);
		if (recv(*fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			return all.all;
	}
	cr_assert_fail("no answer");
	return NULL;
}

// ---- a pipe to nobody (RFC 6062)

static struct {
	uint8_t bytes[256 << 10];
	size_t n_bytes;
	bool pauses; // at the first byte that it gets
	uint32_t n_closed;
	size_t n_bytes_at_close;
} got;

static void on_start(void *arg, struct turn_stream *s)
{
}

static void on_receive(void *arg, struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	cr_assert_leq(got.n_bytes + n_bytes, sizeof(got.bytes));
	memcpy(got.bytes + got.n_bytes, bytes, n_bytes);
	got.n_bytes += n_bytes;
	if (got.pauses)
		turn_stream_pause(s, true);
}

static void on_drained(void *arg, struct turn_stream *s)
{
}

static void on_closed(void *arg, struct turn_stream *s, enum turn_stream_close_reason reason)
{
	got.n_closed++;
	got.n_bytes_at_close = got.n_bytes;
}

static const struct turn_stream_pipe nobody = {
	.start = on_start,
	.receive = on_receive,
	.drained = on_drained,
	.closed = on_closed,
};

// As a ConnectionBind does.
static void become_pipe(struct turn_connection *c)
{
	uint8_t question[20];
	size_t n = binding_request(question);

	cr_assert_eq(turn_stream_become_pipe(c->stream, &nobody, NULL), 0);
	turn_streams_receive(c->stream, question, n, r.now_ns, r.wall_ns);
}

static int user_timeout_ms(const struct turn_connection *c)
{
	socklen_t n = sizeof(int);
	int timeout_ms = -1;

	cr_assert_eq(getsockopt((int)bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_USER_TIMEOUT,
				&timeout_ms, &n),
		     0);
	return timeout_ms;
}

Test(connections, rfc6062_5_4_a_pipe_may_wait_as_long_as_its_ends_like)
{
	struct turn_connection *c;
	uint64_t now_ns;
	static char some[64 << 10];
	int fd;

	c = begun(&fd);
	cr_assert_gt(user_timeout_ms(c), STALLED_S * 1000);
	become_pipe(c);
	cr_assert_eq(user_timeout_ms(c), 0, "the kernel would end it");
	// The client reads nothing, and we do not end it either.
	memset(some, 'x', sizeof(some));
	while (turn_stream_pipe_write(c->stream, (const uint8_t *)some, sizeof(some)) < (1u << 20))
		run(1);
	now_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
	for (uint64_t s = 1; s < 10 * STALLED_S; s += 5)
		turn_connections_tick(&all, now_ns + s * RIG_S);
	cr_assert_eq(got.n_closed, 0);
	// What a peer that ended has left behind is not kept for ever.
	turn_stream_finish(c->stream);
	turn_connections_tick(&all, now_ns + 20 * STALLED_S * RIG_S);
	cr_assert_eq(got.n_closed, 1);
	close(fd);
}

// What libevent does when one read of TLS gives data and close_notify.
Test(connections, rfc6062_5_5_what_came_before_the_end_reaches_a_peer_that_does_not_read)
{
	static uint8_t some[4][10000];
	struct turn_connection *c;
	struct evbuffer *in;
	int fd;

	c = begun(&fd);
	become_pipe(c);
	got.pauses = true;
	in = bufferevent_get_input(c->bev);
	evbuffer_unfreeze(in, 0);
	for (uint32_t i = 0; i < 4; i++) {
		memset(some[i], 'a' + (int)i, sizeof(some[i]));
		cr_assert_eq(evbuffer_add_reference(in, some[i], sizeof(some[i]), NULL, NULL), 0);
	}
	evbuffer_freeze(in, 0);
	turn_connection_read(c);
	cr_assert(c->is_paused);
	cr_assert_eq(got.n_bytes, sizeof(some[0]));
	cr_assert_eq(evbuffer_get_length(in), 3 * sizeof(some[0]));
	bufferevent_trigger_event(c->bev, BEV_EVENT_READING | BEV_EVENT_EOF, 0);
	run(5);
	cr_assert_eq(got.n_closed, 1);
	cr_assert_eq(got.n_bytes_at_close, sizeof(some));
	cr_assert_arr_eq(got.bytes, some, sizeof(some));
	close(fd);
}

static bool memory_runs_out; // for one larger thing

static void *allocate(size_t n_bytes)
{
	if (!memory_runs_out || n_bytes < 256)
		return malloc(n_bytes);
	memory_runs_out = false;
	return NULL;
}

static uint32_t n_ssl_freed;

static void on_ssl_free(void *parent, void *p, CRYPTO_EX_DATA *data, int idx, long arg, void *argp)
{
	n_ssl_freed++;
}

Test(connections, out_of_memory_for_tls_ends_it_and_frees_once)
{
	int fd;

	event_set_mem_functions(allocate, realloc, free);
	cr_assert_geq(SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free), 0);
	all.tls = SSL_CTX_new(TLS_server_method());
	cr_assert_not_null(all.tls);
	fd = client_of(&secure, 0);
	cr_assert_eq(write(fd, "\x16", 1), 1);
	memory_runs_out = true;
	run(20);
	cr_assert(!memory_runs_out);
	cr_assert_eq(n_ssl_freed, 1);
	cr_assert_eq(stats()->n_closed[TURN_STREAM_CLOSE_MEMORY], 1);
	cr_assert_null(all.all);
	close(fd);
}

Test(connections, requests_of_one_are_bounded_and_none_is_lost)
{
	static uint8_t questions[3000][20];
	uint8_t answers[4096];
	uint64_t begun_at_ns, took_ns;
	size_t n_bytes = 0;
	ssize_t n;
	int fd;

	fd = client_of(&plain, 0);
	for (uint32_t i = 0; i < 3000; i++)
		binding_request(questions[i]);
	cr_assert_eq(write(fd, questions, sizeof(questions)), (ssize_t)sizeof(questions));
	begun_at_ns = turn_stream_now_ns(CLOCK_MONOTONIC);
	while (n_bytes < 3000 * 32) {
		run(1);
		n = recv(fd, answers, sizeof(answers), MSG_DONTWAIT);
		cr_assert(n > 0 || errno == EAGAIN, "it was ended");
		n_bytes += n > 0 ? (size_t)n : 0;
	}
	took_ns = turn_stream_now_ns(CLOCK_MONOTONIC) - begun_at_ns;
	// A burst of 2000, and the rest at 1000 a second; at least, however slow the machine is.
	cr_assert_geq(took_ns, 900000000ull);
	cr_assert_gt(stats()->n_request_pauses, 0);
	cr_assert_eq(stats()->n_requests, 3000);
	close(fd);
}

// ---- a worker that gets no CPU, or is not there

static struct shm_ring *inject_ring(void)
{
	return table_writer_ring(&r.engine.tables, 0, SHM_RING_INJECT);
}

// Channel data of a client that finds no room.
static void say_without_room(struct turn_connection *c, int fd)
{
	static const uint8_t channel_data[4] = { 0x40, 0x00, 0x00, 0x00 };

	while (turn_streams_has_room(c->stream)) {
		cr_assert_not_null(shm_ring_reserve(inject_ring()));
		shm_ring_commit(inject_ring());
	}
	cr_assert_eq(write(fd, channel_data, sizeof(channel_data)), sizeof(channel_data));
	for (uint32_t i = 0; i < 5000 && c->blocked_at_ns == 0; i++)
		run(1);
	cr_assert_neq(c->blocked_at_ns, 0);
}

Test(connections, data_waits_for_a_worker_for_as_long_as_data_is_worth_sending)
{
	struct config *config = (struct config *)turn_streams_config(streams);
	struct turn_connection *c;
	uint16_t n_bytes;
	int fd;

	config->streams.buffer_ms = 60000;
	c = begun(&fd);
	say_without_room(c, fd);
	c->blocked_at_ns -= 30 * NS_PER_S;
	run(20);
	cr_expect_eq(stats()->n_dropped_inject_full, 0);
	cr_expect_eq(stats()->n_messages_in, 0);
	while (shm_ring_peek(inject_ring(), &n_bytes) != NULL)
		shm_ring_release(inject_ring());
	for (uint32_t i = 0; i < 5000 && stats()->n_messages_in == 0; i++)
		run(1);
	cr_expect_eq(stats()->n_messages_in, 1);

	say_without_room(c, fd);
	c->blocked_at_ns -= 61 * NS_PER_S;
	for (uint32_t i = 0; i < 5000 && stats()->n_dropped_inject_full == 0; i++)
		run(1);
	cr_expect_eq(stats()->n_dropped_inject_full, 1, "too old");
	cr_expect_eq(stats()->n_messages_in, 1);
	close(fd);
}

Test(connections, those_without_a_proxy_header_take_no_other_listeners_share)
{
	static const uint8_t header[] =
		"\r\n\r\n\0\r\nQUIT\n\x20\0\0"; // LOCAL, of the proxy itself
	int silent[MAX_CONNECTIONS], fd;

	for (uint32_t i = 0; i < MAX_CONNECTIONS; i++)
		silent[i] = client_of(&proxied, 0);
	cr_assert_eq(n_unknown[0], MAX_CONNECTIONS / 2);
	cr_assert_eq(stats()->n_refused_proxy, MAX_CONNECTIONS / 2);
	// Neither that of another proxy nor that of clients which come by themselves.
	fd = client_of(&proxied, 1);
	cr_assert_eq(n_unknown[1], 1);
	cr_assert_eq(write(fd, header, sizeof(header)), (ssize_t)sizeof(header));
	run(20);
	cr_assert_eq(n_unknown[1], 0);
	cr_assert_eq(stats()->n_open[SHM_TRANSPORT_TCP], 1);
	close(fd);
	fd = client_of(&plain, 1);
	cr_assert_eq(n_unknown[1], 0);
	cr_assert_eq(stats()->n_open[SHM_TRANSPORT_TCP], 2);
	close(fd);
	// And whoever ends gives its place back.
	for (uint32_t i = 0; i < MAX_CONNECTIONS; i++)
		close(silent[i]);
	run(20);
	cr_assert_eq(n_unknown[0], 0);
}
