// Mobility: RFC 8016.
#include "tests/unit/controlplane/turn_rig.h"

#include <string.h>

#include "controlplane/turn/state.h"

static struct rig r;
static struct rig_client a, b; // where the client was, and where it goes
static struct ip_endpoint relayed, listener;

struct ticket {
	uint8_t bytes[256];
	uint16_t n;
};

static struct config *mobile_config(void)
{
	struct config *config = rig_config();

	config->mobility = true;
	return config;
}

static struct ticket ticket_of(const struct rig_answer *answer)
{
	struct ticket t = { .n = 0 };
	struct stun_attr attr;

	if (answer->code == 0 && rig_get(answer, TURN_ATTR_MOBILITY_TICKET, &attr)) {
		t.n = attr.length_bytes;
		memcpy(t.bytes, attr.value, t.n);
	}
	return t;
}

static struct rig_answer allocate_mobile(struct rig_client *c, const void *value, uint16_t n)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	stun_build_attr(&q.b, TURN_ATTR_MOBILITY_TICKET, value, n);
	return rig_send(&r, c, &q);
}

static struct rig_answer refresh_with(struct rig_client *c, const struct ticket *t,
				      uint32_t lifetime_s)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_REFRESH_REQUEST);
	rig_add_u32(&q, TURN_ATTR_LIFETIME, lifetime_s);
	stun_build_attr(&q.b, TURN_ATTR_MOBILITY_TICKET, t->bytes, t->n);
	return rig_send(&r, c, &q);
}

static struct ticket start(void)
{
	struct rig_answer answer;

	listener = rig_endpoint(RIG_LISTENER);
	a = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	b = rig_client("203.0.113.77:50000", "lab", RIG_PASSWORD);
	answer = allocate_mobile(&a, "", 0);
	cr_assert_eq(answer.code, 0);
	relayed = rig_get_address(&answer, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert_eq(rig_bind(&r, &a, 0x4000, "9.9.9.9:9").code, 0);
	cr_assert_eq(rig_permit(&r, &a, "8.8.8.8:1").code, 0);
	return ticket_of(&answer);
}

static void setup(void)
{
	rig_open(&r, mobile_config());
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_mobility, .init = setup, .fini = teardown);

static const struct shm_flow *up(const char *client, uint16_t channel)
{
	return rig_flow(&r, channel != 0 ? SHM_FLOW_CHANNEL : SHM_FLOW_ALLOCATION, client,
			&listener, channel);
}

// Where data of that peer goes.
static struct ip_endpoint down(uint8_t kind, const char *peer)
{
	const struct shm_flow *f = rig_flow(&r, kind, peer, &relayed, 0);

	cr_assert_not_null(f, "%s", peer);
	return (struct ip_endpoint){ ip_address_from_v6(f->to_address), f->to_port_be };
}

static bool all_down_to(const struct rig_client *c)
{
	struct ip_endpoint bound = down(SHM_FLOW_PEER, "9.9.9.9:9");
	struct ip_endpoint first = down(SHM_FLOW_PERMISSION, "9.9.9.9:0");
	struct ip_endpoint second = down(SHM_FLOW_PERMISSION, "8.8.8.8:0");

	return ip_endpoint_equal(&bound, &c->endpoint) && ip_endpoint_equal(&first, &c->endpoint) &&
	       ip_endpoint_equal(&second, &c->endpoint);
}

// As a worker counts a datagram.
static void send_data(const struct shm_flow *f)
{
	struct shm_segment segment;
	struct shm_workers *workers;
	struct shm_usage *usage;

	cr_assert_eq(shm_segment_attach("unit", SHM_SEGMENT_WORKERS, true, &segment),
		     SHM_ATTACH_READY);
	workers = segment.base;
	usage = (void *)((uint8_t *)workers + workers->usage_offset);
	usage[f - r.engine.tables.flows.view.entries].pkts++;
	shm_segment_detach(&segment);
	turn_server_follow_moves(r.engine.turn);
}

static void nothing_leaks_behind_the_end(struct rig_client *c)
{
	cr_assert_eq(rig_refresh(&r, c, 0).code, 0);
	table_writer_reclaim(&r.engine.tables, r.now_ns);
	cr_assert_eq(r.engine.tables.flows.n_free, r.engine.tables.n_entries - 1);
	for (uint32_t i = 1; i < 100; i++)
		cr_assert_eq(r.engine.tables.tables->neighbour[i].n_users, 0);
	cr_assert_null(r.engine.turn->moves);
}

Test(turn_mobility, rfc8016_3_1_2_a_ticket_is_given_for_an_empty_one_alone)
{
	struct rig_client c = rig_client("203.0.113.5:41000", "lab", RIG_PASSWORD);

	cr_assert_eq(start().n, TURN_TICKET_BYTES);
	cr_assert_eq(allocate_mobile(&c, "x", 1).code, 400);
	cr_assert_eq(rig_allocate(&r, &c).code, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 2);
}

Test(turn_mobility_off, rfc8016_3_1_2_forbidden_gets_405)
{
	struct rig_client c = rig_client("203.0.113.5:41000", "lab", RIG_PASSWORD);
	struct ticket t = { .n = TURN_TICKET_BYTES };

	rig_open(&r, rig_config());
	cr_assert_eq(allocate_mobile(&c, "", 0).code, 405);
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_ERROR_405), 1);
	cr_assert_eq(refresh_with(&c, &t, 600).code, 405);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	rig_close(&r);
}

Test(turn_mobility, rfc8016_3_2_2_both_paths_serve_until_data_comes_on_the_new_one)
{
	struct ticket t = start(), u;
	struct rig_answer answer;

	answer = refresh_with(&b, &t, 600);
	cr_assert(answer.code == 0 && answer.is_signed);
	u = ticket_of(&answer);
	cr_assert(u.n == t.n && memcmp(u.bytes, t.bytes, t.n) != 0);
	cr_assert(up("203.0.113.5:40000", 0) && up("203.0.113.5:40000", 0x4000));
	cr_assert(up("203.0.113.77:50000", 0) && up("203.0.113.77:50000", 0x4000));
	cr_assert(all_down_to(&a));
	turn_server_follow_moves(r.engine.turn);
	cr_assert(all_down_to(&a));
	send_data(up("203.0.113.77:50000", 0x4000));
	cr_assert(all_down_to(&b));
	cr_assert(!up("203.0.113.5:40000", 0) && !up("203.0.113.5:40000", 0x4000));
	cr_assert(up("203.0.113.77:50000", 0) && up("203.0.113.77:50000", 0x4000));
	cr_assert_eq(rig_refresh(&r, &a, 600).code, 437);
	cr_assert_eq(rig_bind(&r, &b, 0x4000, "9.9.9.9:9").code, 0);
	nothing_leaks_behind_the_end(&b);
}

Test(turn_mobility, rfc8016_3_2_2_a_request_on_the_new_path_finishes_the_move)
{
	struct ticket t = start();

	cr_assert_eq(refresh_with(&b, &t, 600).code, 0);
	cr_assert_eq(rig_permit(&r, &a, "8.8.8.8:1").code, 0, "on the old path it does not");
	cr_assert(all_down_to(&a));
	cr_assert_eq(rig_permit(&r, &b, "8.8.8.8:1").code, 0);
	cr_assert(all_down_to(&b));
	cr_assert_null(up("203.0.113.5:40000", 0));
	nothing_leaks_behind_the_end(&b);
}

Test(turn_mobility, a_channel_bound_on_the_way_serves_on_both_paths)
{
	struct ticket t = start();

	cr_assert_eq(refresh_with(&b, &t, 600).code, 0);
	cr_assert_eq(rig_bind(&r, &a, 0x4001, "8.8.8.8:5").code, 0);
	cr_assert(up("203.0.113.5:40000", 0x4001) && up("203.0.113.77:50000", 0x4001));
	cr_assert_eq(rig_bind(&r, &b, 0x4002, "8.8.8.8:6").code, 0);
	cr_assert(!up("203.0.113.5:40000", 0x4001) && up("203.0.113.77:50000", 0x4001));
	nothing_leaks_behind_the_end(&b);
}

Test(turn_mobility, rfc8016_3_2_2_old_tickets_are_refused)
{
	struct rig_client c = rig_client("203.0.113.78:1", "lab", RIG_PASSWORD);
	struct ticket t = start(), u;
	struct rig_answer answer = refresh_with(&b, &t, 600);

	u = ticket_of(&answer);
	cr_assert_eq(rig_permit(&r, &b, "8.8.8.8:1").code, 0);
	cr_assert_eq(refresh_with(&c, &t, 600).code, 400);
	cr_assert_eq(refresh_with(&b, &t, 600).code, 400);
	cr_assert(all_down_to(&b));
	cr_assert_eq(refresh_with(&c, &u, 600).code, 0);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_MOVED), 2);
}

Test(turn_mobility, a_client_that_never_got_the_new_ticket_moves_on_with_the_old_one)
{
	struct rig_client c = rig_client("203.0.113.78:1", "lab", RIG_PASSWORD);
	struct ticket t = start();

	cr_assert_eq(refresh_with(&b, &t, 600).code, 0);
	cr_assert_eq(refresh_with(&c, &t, 600).code, 0);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 0);
	cr_assert(all_down_to(&c));
	cr_assert_eq(rig_refresh(&r, &b, 600).code, 437);
	nothing_leaks_behind_the_end(&c);
}

Test(turn_mobility, rfc8016_3_2_2_a_retransmitted_refresh_is_answered_again_and_ends_nothing)
{
	struct ticket t = start();
	struct rig_request q;
	struct rig_answer answer;
	size_t n;

	rig_begin(&q, &b, TURN_REFRESH_REQUEST);
	rig_add_u32(&q, TURN_ATTR_LIFETIME, 600);
	stun_build_attr(&q.b, TURN_ATTR_MOBILITY_TICKET, t.bytes, t.n);
	n = rig_sign(&r, &b, &q, false);
	cr_assert_eq(rig_send_bytes(&r, &b, q.bytes, n).code, 0);
	answer = rig_send_bytes(&r, &b, q.bytes, n);
	cr_assert(answer.code == 0 && ticket_of(&answer).n == TURN_TICKET_BYTES);
	cr_assert(all_down_to(&a), "it does not have the answer yet");
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_MOVED), 1);
	t = ticket_of(&answer);
	cr_assert_eq(refresh_with(&b, &t, 600).code, 0);
	cr_assert(all_down_to(&b));
}

Test(turn_mobility, rfc8016_3_2_2_another_user_gets_441_and_forged_tickets_400)
{
	struct rig_client other = rig_client("203.0.113.78:1", "other", "other-secret");
	struct ticket t = start(), bad = t;

	cr_assert_eq(refresh_with(&other, &t, 600).code, 441);
	for (uint16_t i = 0; i < t.n; i++) {
		bad.bytes[i] ^= 1;
		cr_assert_eq(refresh_with(&b, &bad, 600).code, 400, "byte %u", i);
		bad.bytes[i] ^= 1;
	}
	bad.n--;
	cr_assert_eq(refresh_with(&b, &bad, 600).code, 400);
	cr_assert(all_down_to(&a));
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_MOVED), 0);
}

Test(turn_mobility, a_moved_allocation_counts_once_against_the_quota)
{
	struct ticket t = start();
	struct rig_answer answer;

	for (uint16_t i = 1; i <= 5; i++) {
		struct rig_client c = rig_client("203.0.113.80:1", "lab", RIG_PASSWORD);

		c.endpoint.port_be = __builtin_bswap16(i);
		answer = refresh_with(&c, &t, 600);
		cr_assert_eq(answer.code, 0);
		t = ticket_of(&answer);
		cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 0);
	}
	cr_assert_eq(turn_server_user_allocations(r.engine.turn, "lab", 3), 1);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	cr_assert_eq(turn_server_free_ports(
			     r.engine.turn,
			     (uint8_t)table_writer_local_find(&r.engine.tables, &relayed.address)),
		     99);
}

Test(turn_mobility, a_path_that_has_an_allocation_is_none_to_move_to)
{
	struct ticket t = start();

	cr_assert_eq(rig_allocate(&r, &b).code, 0);
	cr_assert_eq(refresh_with(&b, &t, 600).code, 400);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 2);
}

Test(turn_mobility, the_same_path_may_use_its_ticket_up_too)
{
	struct ticket t = start(), u;
	struct rig_answer answer = refresh_with(&a, &t, 1200);

	cr_assert(answer.code == 0 && rig_get_u32(&answer, TURN_ATTR_LIFETIME) == 1200);
	u = ticket_of(&answer);
	cr_assert_eq(u.n, TURN_TICKET_BYTES);
	cr_assert_eq(rig_permit(&r, &a, "8.8.8.8:1").code, 0);
	cr_assert_eq(refresh_with(&a, &t, 600).code, 400);
	cr_assert_eq(refresh_with(&b, &u, 0).code, 0, "lifetime 0 ends it from anywhere");
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_mobility, rfc8016_from_udp_to_a_stream_and_back)
{
	struct ticket t = start();
	struct rig_answer answer;
	const struct shm_flow *f;

	b.transport = SHM_TRANSPORT_TLS;
	b.stream_idx = 5;
	b.stream_serial = 6;
	answer = refresh_with(&b, &t, 600);
	cr_assert_eq(answer.code, 0);
	t = ticket_of(&answer);
	cr_assert(rig_stream_flow(&r, &b, 0) && rig_stream_flow(&r, &b, 0x4000));
	send_data(rig_stream_flow(&r, &b, 0x4000));
	f = rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:9", &relayed, 0);
	cr_assert(f != NULL && (f->flags & SHM_FLOW_F_STREAM) &&
		  f->from_local_idx == SHM_LOCAL_STREAM && f->neighbour_idx == 0);
	// Its connection breaks; it waits for its client.
	turn_server_stream_closed(r.engine.turn, 5, 6, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(refresh_with(&a, &t, 600).code, 0);
	cr_assert_eq(rig_permit(&r, &a, "8.8.8.8:1").code, 0);
	f = rig_flow(&r, SHM_FLOW_PEER, "9.9.9.9:9", &relayed, 0);
	cr_assert(f != NULL && !(f->flags & SHM_FLOW_F_STREAM));
	cr_assert(all_down_to(&a));
	nothing_leaks_behind_the_end(&a);
}

Test(turn_mobility, a_stream_that_closes_on_the_way_gives_the_old_path_up)
{
	struct ticket t;

	start();
	cr_assert_eq(rig_refresh(&r, &a, 0).code, 0);
	a.transport = SHM_TRANSPORT_TCP;
	a.stream_idx = 5;
	a.stream_serial = 6;
	struct rig_answer answer = allocate_mobile(&a, "", 0);
	relayed = rig_get_address(&answer, TURN_ATTR_XOR_RELAYED_ADDRESS);
	t = ticket_of(&answer);
	cr_assert_eq(rig_bind(&r, &a, 0x4000, "9.9.9.9:9").code, 0);
	cr_assert_eq(refresh_with(&b, &t, 600).code, 0);
	turn_server_stream_closed(r.engine.turn, 5, 6, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	struct ip_endpoint to = down(SHM_FLOW_PEER, "9.9.9.9:9");
	cr_assert(ip_endpoint_equal(&to, &b.endpoint));
}

Test(turn_mobility, a_successor_finishes_a_move_and_takes_the_ticket)
{
	struct rig_client c = rig_client("203.0.113.78:1", "lab", RIG_PASSWORD);
	struct ticket t = start();
	struct rig_answer answer = refresh_with(&b, &t, 600);

	t = ticket_of(&answer);
	rig_leave(&r);
	rig_reopen(&r, mobile_config());
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 1);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 2);
	cr_assert(all_down_to(&b));
	cr_assert_null(up("203.0.113.5:40000", 0));
	cr_assert_eq(refresh_with(&c, &t, 600).code, 0);
	cr_assert_eq(rig_permit(&r, &c, "8.8.8.8:1").code, 0);
	cr_assert(all_down_to(&c));
	nothing_leaks_behind_the_end(&c);
}

Test(turn_mobility, expiry_on_the_way_leaves_nothing)
{
	struct ticket t = start();

	cr_assert_eq(refresh_with(&b, &t, 600).code, 0);
	rig_advance(&r, 601);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_assert_null(r.engine.turn->moves);
	table_writer_reclaim(&r.engine.tables, r.now_ns);
	cr_assert_eq(r.engine.tables.flows.n_free, r.engine.tables.n_entries - 1);
}
