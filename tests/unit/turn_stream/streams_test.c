// Streams between a client's bytes, the TURN server, and the rings of a worker that the test plays.
#include "tests/unit/controlplane/turn_rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/turn/stream/handshake_rate.h"
#include "controlplane/turn/stream/stream.h"
#include "dataplane/contract/shm/ring.h"

#define PEER "198.51.100.77:5000"

static struct rig r;
static struct turn_streams *streams;
static struct punt *p;

// A carrier that remembers.
struct client {
	struct turn_stream *stream;
	uint32_t idx, serial;
	struct rig_client credentials;
	uint8_t last[2048];
	size_t last_bytes;
	uint64_t last_at_ns;
	uint32_t n_written, n_closed;
	enum turn_stream_close_reason reason;
	uint8_t raw[256];
	size_t n_raw;
};

static void on_write(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes, uint64_t at_ns)
{
	struct client *c = s->carrier_arg;

	cr_assert_leq(n_bytes, sizeof(c->last));
	memcpy(c->last, bytes, n_bytes);
	c->last_bytes = n_bytes;
	c->last_at_ns = at_ns;
	c->n_written++;
}

static void on_close(struct turn_stream *s, enum turn_stream_close_reason reason)
{
	struct client *c = s->carrier_arg;

	c->n_closed++;
	c->reason = reason;
}

static void on_write_raw(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	struct client *c = s->carrier_arg;

	cr_assert_leq(c->n_raw + n_bytes, sizeof(c->raw));
	memcpy(c->raw + c->n_raw, bytes, n_bytes);
	c->n_raw += n_bytes;
}

static size_t on_queued(const struct turn_stream *s)
{
	return ((struct client *)s->carrier_arg)->n_raw;
}

static const struct turn_stream_carrier carrier = {
	.write = on_write, .close = on_close, .write_raw = on_write_raw, .n_queued_bytes = on_queued
};
static const struct turn_stream_carrier datagrams = { .write = on_write, .close = on_close };

static void setup(void)
{
	struct config *config = rig_config();

	config->streams = (struct config_streams){ .max_connections = 200,
						   .per_source_max = 3,
						   .allocation_timeout_s = 30,
						   .buffer_bytes = 1 << 20,
						   .buffer_ms = 1000,
						   .buffer_total_bytes = 1 << 24 };
	rig_open(&r, config);
	cr_assert_eq(turn_streams_new(config, NULL, &r.engine.tables, r.engine.turn, &streams), 0);
	cr_assert_eq(punt_new(NULL, &r.engine.tables, r.engine.turn, "unit", &p), 0);
	punt_attach_streams(p, streams);
}

static void teardown(void)
{
	punt_free(p);
	turn_streams_free(streams);
	rig_close(&r);
}

TestSuite(streams, .init = setup, .fini = teardown);

static int open_as(struct client *c, const char *endpoint, const struct turn_stream_carrier *by)
{
	struct turn_stream_params params = {
		.transport = SHM_TRANSPORT_TCP,
		.dscp = 46,
		.client = rig_endpoint(endpoint),
		.server = rig_endpoint(RIG_LISTENER),
		.carrier = by,
		.carrier_arg = c,
		.now_ns = r.now_ns,
	};
	int ret;

	memset(c, 0, sizeof(*c));
	c->credentials = rig_client(endpoint, "lab", RIG_PASSWORD);
	ret = turn_streams_open(streams, &params, &c->stream);
	if (ret == 0) {
		c->idx = c->stream->idx;
		c->serial = c->stream->serial;
		c->credentials.transport = SHM_TRANSPORT_TCP;
		c->credentials.stream_idx = c->idx;
		c->credentials.stream_serial = c->serial;
	}
	return ret;
}

static void receive(struct client *c, const void *bytes, size_t n_bytes)
{
	turn_streams_receive(c->stream, bytes, n_bytes, r.now_ns, r.wall_ns);
}

// Sends a signed request over the stream; the type of what came back.
static uint16_t request(struct client *c, struct rig_request *q)
{
	size_t n = rig_sign(&r, &c->credentials, q, false);

	c->last_bytes = 0;
	receive(c, q->bytes, n);
	return c->last_bytes < 20 ? 0 : bytes_get_be16(c->last);
}

static void allocate(struct client *c)
{
	struct rig_request q;

	rig_begin(&q, &c->credentials, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	cr_assert_eq(request(c, &q), TURN_ALLOCATE_REQUEST | STUN_CLASS_SUCCESS);
}

static struct shm_ring *ring(enum shm_ring_kind kind)
{
	return table_writer_ring(&r.engine.tables, 0, kind);
}

static void worker_has(const struct client *c, uint32_t serial, const void *bytes, size_t n_bytes)
{
	struct shm_datagram *d = shm_stream_ring_reserve(ring(SHM_RING_STREAM));

	cr_assert_not_null(d);
	memset(d, 0, sizeof(*d));
	shm_stream_address(c->idx, serial, d->remote_address);
	d->kind = SHM_DATAGRAM_STREAM;
	d->at_ns = r.now_ns - 5;
	d->length_bytes = (uint16_t)n_bytes;
	memcpy(d->data, bytes, n_bytes);
	shm_ring_commit(ring(SHM_RING_STREAM));
	punt_drain(p, r.now_ns, r.wall_ns);
}

static const uint8_t channel_data[] = { 0x40, 0x00, 0x00, 0x05, 'h', 'e', 'l', 'l', 'o', 0, 0, 0 };

Test(streams, rfc8489_6_2_2_binding_over_a_stream_tells_the_client_where_it_is)
{
	uint8_t message[20] = { 0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 7 };
	struct ip_endpoint mapped;
	struct stun_attr attr;
	struct stun_view msg;
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	receive(&c, message, sizeof(message));
	cr_assert_eq(stun_parse(c.last, c.last_bytes, &msg), STUN_OK);
	cr_expect_eq(msg.type, STUN_BINDING_SUCCESS);
	cr_expect_eq(msg.transaction_id[0], 7);
	cr_assert(stun_attr_find(&msg, STUN_ATTR_XOR_MAPPED_ADDRESS, &attr));
	cr_assert_eq(stun_xor_address_get(&msg, &attr, &mapped), 0);
	cr_expect(ip_endpoint_equal(&mapped, &c.stream->client));
	cr_expect_eq(c.last_at_ns, 0, "an answer does not age");
}

Test(streams, rfc8656_3_1_a_client_over_tcp_allocates_and_its_flows_name_the_stream)
{
	struct shm_flow_key key = { .local_idx = SHM_LOCAL_STREAM, .kind = SHM_FLOW_ALLOCATION };
	struct client c;
	uint32_t entry;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	allocate(&c);
	cr_expect(c.stream->has_allocation);
	shm_stream_address(c.idx, c.serial, key.address);
	entry = table_writer_flow_find(&r.engine.tables, &key);
	cr_assert_neq(entry, 0);
	cr_expect(table_writer_flow(&r.engine.tables, entry)->flags & SHM_FLOW_F_STREAM);
	cr_expect_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(streams, rfc8656_12_5_channel_data_goes_to_a_worker_with_the_connections_dscp)
{
	const struct shm_datagram *d;
	uint8_t address[16];
	struct client c;
	uint16_t n;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	receive(&c, channel_data, sizeof(channel_data));
	d = shm_ring_peek(ring(SHM_RING_INJECT), &n);
	cr_assert_not_null(d);
	shm_stream_address(c.idx, c.serial, address);
	cr_expect_eq(d->kind, SHM_DATAGRAM_STREAM);
	cr_expect_arr_eq(d->remote_address, address, 16);
	cr_expect_eq(d->remote_port_be, 0);
	cr_expect_eq(d->traffic_class, 46 << 2);
	cr_expect_eq(n, sizeof(channel_data));
	cr_expect_arr_eq(d->data, channel_data, sizeof(channel_data));
	cr_expect_eq(turn_streams_stats(streams)->n_messages_in, 1);
}

Test(streams, send_indications_go_to_a_worker_and_others_nowhere)
{
	uint8_t message[20] = { 0x00, 0x16, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42 };
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	receive(&c, message, sizeof(message));
	cr_expect_eq(turn_streams_stats(streams)->n_messages_in, 1);
	message[1] = 0x11; // a Binding indication
	receive(&c, message, sizeof(message));
	message[0] = 0x01; // a response
	message[1] = 0x01;
	receive(&c, message, sizeof(message));
	cr_expect_eq(turn_streams_stats(streams)->n_messages_in, 1);
	cr_expect_eq(turn_streams_stats(streams)->n_ignored_in, 2);
	cr_expect_eq(c.n_written, 0);
}

Test(streams, answers_keep_half_of_the_inject_ring)
{
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	for (uint32_t i = 0; i < SHM_RING_SLOTS; i++)
		receive(&c, channel_data, sizeof(channel_data));
	cr_expect_geq(shm_ring_room(ring(SHM_RING_INJECT)), SHM_RING_SLOTS / 2);
	cr_expect_not(turn_streams_has_room(c.stream));
	cr_expect_eq(turn_streams_stats(streams)->n_messages_in +
			     turn_streams_stats(streams)->n_dropped_inject_full,
		     SHM_RING_SLOTS);
	cr_expect_gt(turn_streams_stats(streams)->n_dropped_inject_full, 0);
	shm_ring_peek(ring(SHM_RING_INJECT), &(uint16_t){ 0 });
	shm_ring_release(ring(SHM_RING_INJECT));
	cr_expect(turn_streams_has_room(c.stream));
}

Test(streams, what_no_slot_holds_is_counted)
{
	static uint8_t message[4 + SHM_DATAGRAM_BYTES_MAX] = { 0x40, 0x00, 0x07, 0xc0 };
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	receive(&c, message, sizeof(message));
	cr_expect_eq(turn_streams_stats(streams)->n_dropped_inject_size, 1);
	cr_expect_eq(shm_ring_room(ring(SHM_RING_INJECT)), SHM_RING_SLOTS);
}

Test(streams, data_of_workers_reaches_its_client_with_its_age)
{
	struct client c, other;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	cr_assert_eq(open_as(&other, "203.0.113.6:40000", &carrier), 0);
	worker_has(&c, c.serial, channel_data, sizeof(channel_data));
	cr_assert_eq(c.n_written, 1);
	cr_expect_eq(other.n_written, 0);
	cr_expect_eq(c.last_bytes, sizeof(channel_data));
	cr_expect_arr_eq(c.last, channel_data, sizeof(channel_data));
	cr_expect_eq(c.last_at_ns, r.now_ns - 5);
}

Test(streams, what_would_put_a_client_out_of_step_is_not_sent)
{
	uint8_t message[28] = { 0x00, 0x17, 0x00, 0x08, 0x21, 0x12, 0xa4, 0x42 };
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	worker_has(&c, c.serial, channel_data, sizeof(channel_data) - 1);
	worker_has(&c, c.serial, channel_data, 3);
	worker_has(&c, c.serial, message, 20);
	cr_expect_eq(turn_streams_stats(streams)->n_dropped_invalid, 3);
	worker_has(&c, c.serial + 1, channel_data, sizeof(channel_data));
	cr_expect_eq(turn_streams_stats(streams)->n_dropped_unknown, 1);
	cr_expect_eq(c.n_written, 0);
	worker_has(&c, c.serial, message, sizeof(message));
	cr_expect_eq(c.n_written, 1);
	message[1] = 0x16; // no Data indication
	worker_has(&c, c.serial, message, sizeof(message));
	cr_expect_eq(c.n_written, 1);
}

Test(streams, the_allocation_ends_with_its_connection)
{
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	allocate(&c);
	turn_stream_close(c.stream, TURN_STREAM_CLOSE_CLIENT);
	cr_expect_eq(c.n_closed, 1);
	cr_expect_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_expect_eq(turn_streams_stats(streams)->n_closed[TURN_STREAM_CLOSE_CLIENT], 1);
	cr_expect_eq(turn_streams_stats(streams)->n_open[SHM_TRANSPORT_TCP], 0);
	cr_expect_null(turn_streams_find(streams, c.idx, c.serial));
	turn_stream_close(c.stream, TURN_STREAM_CLOSE_NETWORK);
	cr_expect_eq(c.n_closed, 1, "once only");
}

Test(streams, an_id_never_comes_back)
{
	struct client c;
	uint32_t idx = 0, serial = 0;

	for (int i = 0; i < 200; i++) {
		cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
		cr_expect_neq(c.idx, 0);
		if (i == 0) {
			idx = c.idx;
			serial = c.serial;
		} else {
			cr_expect(c.idx != idx || c.serial != serial);
		}
		turn_stream_close(c.stream, TURN_STREAM_CLOSE_CLIENT);
		cr_expect_null(turn_streams_find(streams, c.idx, c.serial));
	}
}

Test(streams, too_many_of_one_source_are_refused)
{
	struct client c[4], other;

	for (int i = 0; i < 3; i++) {
		char endpoint[64];

		snprintf(endpoint, sizeof(endpoint), "[2001:db8:1:2::%d]:40000", i + 1);
		cr_assert_eq(open_as(&c[i], endpoint, &carrier), 0);
	}
	cr_expect_eq(open_as(&c[3], "[2001:db8:1:2:9999::1]:1", &carrier), -EDQUOT);
	cr_expect_eq(open_as(&other, "[2001:db8:1:3::1]:1", &carrier), 0);
	turn_stream_close(c[1].stream, TURN_STREAM_CLOSE_CLIENT);
	cr_expect_eq(open_as(&c[3], "[2001:db8:1:2:9999::1]:1", &carrier), 0);
	cr_expect_eq(turn_streams_stats(streams)->n_refused_source, 1);
}

Test(streams, too_many_in_all_are_refused)
{
	static struct client c[201];

	for (int i = 0; i < 201; i++) {
		char endpoint[64];

		snprintf(endpoint, sizeof(endpoint), "203.0.113.%d:40000", i);
		cr_expect_eq(open_as(&c[i], endpoint, &carrier), i < 200 ? 0 : -EMFILE);
	}
	cr_expect_eq(turn_streams_stats(streams)->n_refused_total, 1);
}

Test(streams, whoever_does_not_allocate_is_sent_away)
{
	struct client idle, busy;

	cr_assert_eq(open_as(&idle, "203.0.113.5:40000", &carrier), 0);
	cr_assert_eq(open_as(&busy, "203.0.113.6:40000", &carrier), 0);
	allocate(&busy);
	rig_advance(&r, 29);
	turn_streams_tick(streams, r.now_ns);
	cr_expect_eq(idle.n_closed, 0);
	rig_advance(&r, 2);
	turn_streams_tick(streams, r.now_ns);
	cr_expect_eq(idle.n_closed, 1);
	cr_expect_eq(idle.reason, TURN_STREAM_CLOSE_NO_ALLOCATION);
	cr_expect_eq(busy.n_closed, 0);
	// And so is whoever loses its allocation, after the same time.
	while (turn_server_n_allocations(r.engine.turn) > 0) {
		rig_advance(&r, 300);
		turn_server_expire(r.engine.turn, r.now_ns);
	}
	turn_streams_tick(streams, r.now_ns);
	cr_expect_eq(busy.n_closed, 0);
	rig_advance(&r, 31);
	turn_streams_tick(streams, r.now_ns);
	cr_expect_eq(busy.n_closed, 1);
}

Test(streams, freeing_them_all_ends_their_allocations)
{
	struct client c;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	allocate(&c);
	turn_streams_free(streams);
	cr_expect_eq(c.reason, TURN_STREAM_CLOSE_SHUTDOWN);
	cr_expect_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_eq(
		turn_streams_new(r.engine.config, NULL, &r.engine.tables, r.engine.turn, &streams),
		0);
}

// ---- RFC 6062

static uint32_t n_started, n_drained, n_pipe_closed;
static char received[64];

static void on_start(void *arg, struct turn_stream *s)
{
	n_started++;
}

static void on_receive(void *arg, struct turn_stream *s, const uint8_t *bytes, size_t n_bytes)
{
	memcpy(received + strlen(received), bytes, n_bytes);
}

static void on_drained(void *arg, struct turn_stream *s)
{
	n_drained++;
}

static void on_pipe_closed(void *arg, struct turn_stream *s, enum turn_stream_close_reason reason)
{
	n_pipe_closed++;
}

static const struct turn_stream_pipe pipe_hooks = { on_start, on_receive, on_drained,
						    on_pipe_closed };

Test(streams, rfc6062_4_3_raw_bytes_after_the_answer)
{
	uint8_t message[20] = { 0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 7 };
	struct client c, dtls;

	cr_assert_eq(open_as(&c, "203.0.113.5:40000", &carrier), 0);
	cr_assert_eq(turn_stream_become_pipe(c.stream, &pipe_hooks, NULL), 0);
	cr_expect_eq(turn_stream_become_pipe(c.stream, &pipe_hooks, NULL), -EBUSY);
	cr_expect_eq(n_started, 0);
	// The answer to the request that is at work; any request serves here.
	receive(&c, message, sizeof(message));
	cr_expect_eq(c.n_written, 1);
	cr_expect_eq(n_started, 1);
	turn_streams_receive_raw(c.stream, (const uint8_t *)"GET /", 5);
	cr_expect_str_eq(received, "GET /");
	cr_expect_eq(turn_stream_pipe_write(c.stream, (const uint8_t *)"200 OK", 6), 6);
	cr_expect_arr_eq(c.raw, "200 OK", 6);
	turn_streams_drained(c.stream);
	cr_expect_eq(n_drained, 1);
	// What a worker still has for it is none of the peer's bytes.
	worker_has(&c, c.serial, channel_data, sizeof(channel_data));
	cr_expect_eq(c.n_written, 1);
	rig_advance(&r, 1000);
	turn_streams_tick(streams, r.now_ns);
	cr_expect_eq(c.n_closed, 0, "it needs no allocation of its own");
	turn_stream_close(c.stream, TURN_STREAM_CLOSE_PEER);
	cr_expect_eq(n_pipe_closed, 1);
	cr_assert_eq(open_as(&dtls, "203.0.113.7:40000", &datagrams), 0);
	cr_expect_eq(turn_stream_become_pipe(dtls.stream, &pipe_hooks, NULL), -ENOTSUP);
}

// ---- the rate of TLS handshakes

static uint32_t n_let_in(struct turn_handshake_rate *rate, const struct config_streams *limits,
			 const char *source, uint32_t n, uint64_t now_ns)
{
	static const uint8_t key[16] = { 7 };
	struct ip_endpoint e = rig_endpoint(source);
	uint32_t n_in = 0;

	for (uint32_t i = 0; i < n; i++)
		n_in += turn_handshake_rate_take(rate, limits, key, &e.address, now_ns);
	return n_in;
}

Test(handshake_rate, a_source_has_its_share_and_no_more)
{
	struct config_streams limits = { .handshakes_per_s = 400,
					 .handshakes_per_source_per_s = 20 };
	static struct turn_handshake_rate rate;

	cr_expect_eq(n_let_in(&rate, &limits, "203.0.113.5:1", 1000, RIG_S), 60);
	cr_expect_eq(n_let_in(&rate, &limits, "203.0.113.5:2", 1000, 2 * RIG_S), 20);
	// What it is refused costs nobody else anything.
	cr_expect_eq(n_let_in(&rate, &limits, "203.0.113.6:1", 10, 2 * RIG_S), 10);
	cr_expect_eq(n_let_in(&rate, &limits, "[2001:db8:1:2::1]:1", 60, 2 * RIG_S), 60);
	cr_expect_eq(n_let_in(&rate, &limits, "[2001:db8:1:2:9::1]:1", 60, 2 * RIG_S), 0);
}

Test(handshake_rate, all_sources_together_leave_the_loop_its_time)
{
	struct config_streams limits = { .handshakes_per_s = 100,
					 .handshakes_per_source_per_s = 20 };
	static struct turn_handshake_rate rate;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 250; i++) {
		char source[64];

		snprintf(source, sizeof(source), "203.0.114.%u:1", i);
		n += n_let_in(&rate, &limits, source, 10, RIG_S);
	}
	cr_expect_eq(n, 100);
	limits.handshakes_per_s = limits.handshakes_per_source_per_s = 0;
	cr_expect_eq(n_let_in(&rate, &limits, "203.0.113.5:1", 1000, RIG_S), 1000);
}
