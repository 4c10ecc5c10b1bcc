// EVEN-PORT and RESERVATION-TOKEN: RFC 8656 §7.2, §18.6, §18.7.
#include "controlplane/turn/reservation.h"
#include "tests/unit/controlplane/turn_rig.h"

#include <string.h>

static struct rig r;

static void setup(void)
{
	rig_open(&r, rig_config());
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_even_port, .init = setup, .fini = teardown);

static struct rig_client client(uint32_t i)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);

	c.endpoint.port_be = __builtin_bswap16((uint16_t)(40000 + i));
	return c;
}

static void begin(struct rig_request *q, struct rig_client *c)
{
	rig_begin(q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
}

static struct rig_answer even(struct rig_client *c, uint8_t value)
{
	struct rig_request q;

	begin(&q, c);
	stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, &value, 1);
	return rig_send(&r, c, &q);
}

static struct rig_answer redeem(struct rig_client *c, const uint8_t *token, uint16_t n)
{
	struct rig_request q;

	begin(&q, c);
	stun_build_attr(&q.b, TURN_ATTR_RESERVATION_TOKEN, token, n);
	return rig_send(&r, c, &q);
}

static uint16_t port_of(const struct rig_answer *a)
{
	return __builtin_bswap16(rig_get_address(a, TURN_ATTR_XOR_RELAYED_ADDRESS).port_be);
}

Test(turn_even_port, rfc8656_7_2_without_r_the_port_is_even_and_nothing_is_reserved)
{
	struct stun_attr attr;

	// 50000-50099 has 50 even ports: all are found, then none is left, and all odd ones are.
	for (uint32_t i = 0; i < 50; i++) {
		struct rig_client c = client(i);
		struct rig_answer a = even(&c, 0x00);

		cr_assert_eq(a.code, 0, "%u: %u", i, a.code);
		cr_assert_eq(port_of(&a) % 2, 0);
		cr_assert_not(rig_get(&a, TURN_ATTR_RESERVATION_TOKEN, &attr));
	}
	struct rig_client c = client(50), d = client(51);

	cr_assert_eq(even(&c, 0x00).code, 508);
	cr_assert_eq(rig_allocate(&r, &d).code, 0);
}

Test(turn_even_port, rfc8656_7_2_with_r_the_token_gets_the_next_port)
{
	struct rig_client c = client(0), d = client(1), e = client(2);
	struct rig_answer a = even(&c, 0x80), b;
	struct stun_attr token;

	cr_assert_eq(a.code, 0);
	cr_assert_eq(port_of(&a) % 2, 0);
	cr_assert(rig_get(&a, TURN_ATTR_RESERVATION_TOKEN, &token) && token.length_bytes == 8);
	b = redeem(&d, token.value, 8);
	cr_assert_eq(b.code, 0);
	cr_assert_eq(port_of(&b), port_of(&a) + 1);
	// Once only.
	cr_assert_eq(redeem(&e, token.value, 8).code, 508);
}

Test(turn_even_port, rfc8656_7_2_a_retransmission_gets_the_same_token)
{
	struct rig_client c = client(0);
	struct rig_request q;
	struct rig_answer a, b;
	size_t n;

	begin(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, "\x80", 1);
	n = rig_sign(&r, &c, &q, false);
	a = rig_send_bytes(&r, &c, q.bytes, n);
	b = rig_send_bytes(&r, &c, q.bytes, n);
	cr_assert(a.code == 0 && a.length_bytes == b.length_bytes);
	cr_assert_eq(memcmp(a.bytes, b.bytes, a.length_bytes), 0);
}

Test(turn_even_port, rfc8656_7_2_a_reservation_ends_after_30_s_and_gives_the_port_back)
{
	struct rig_client c = client(0), d = client(1);
	uint8_t relay = 0;
	uint32_t n_free = turn_server_free_ports(r.engine.turn, relay);
	struct rig_answer a = even(&c, 0x80);
	struct stun_attr token;

	cr_assert(rig_get(&a, TURN_ATTR_RESERVATION_TOKEN, &token));
	cr_assert_eq(turn_server_free_ports(r.engine.turn, relay), n_free - 2);
	rig_advance(&r, TURN_RESERVATION_LIFETIME_S - 1);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, relay), n_free - 2);
	rig_advance(&r, 2);
	cr_assert_eq(redeem(&d, token.value, 8).code, 508);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, relay), n_free - 1);
}

Test(turn_even_port, rfc8656_7_2_all_pairs_then_508_without_a_leak)
{
	struct rig_client last = client(60);
	uint32_t n_free;

	for (uint32_t i = 0; i < 50; i++) {
		struct rig_client c = client(i);

		cr_assert_eq(even(&c, 0x80).code, 0, "%u", i);
	}
	n_free = turn_server_free_ports(r.engine.turn, 0);
	cr_assert_eq(n_free, 0);
	cr_assert_eq(even(&last, 0x80).code, 508);
	rig_advance(&r, TURN_RESERVATION_LIFETIME_S + 1);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, 0), 50);
	cr_assert_eq(even(&last, 0x80).code, 508);
	cr_assert_eq(rig_allocate(&r, &last).code, 0);
}

Test(turn_even_port, rfc8656_7_2_contradictions_get_400)
{
	struct rig_client c = client(0);
	struct rig_request q;

	begin(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, "\x80", 1);
	stun_build_attr(&q.b, TURN_ATTR_RESERVATION_TOKEN, "\1\2\3\4\5\6\7\x8", 8);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	begin(&q, &c);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, 1u << 24);
	stun_build_attr(&q.b, TURN_ATTR_RESERVATION_TOKEN, "\1\2\3\4\5\6\7\x8", 8);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	begin(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, "\x80\0", 2);
	cr_assert_eq(rig_send(&r, &c, &q).code, 400);
	cr_assert_eq(redeem(&c, (const uint8_t *)"\1\2\3\4\5\6\7", 7).code, 400);
	cr_assert_eq(redeem(&c, (const uint8_t *)"\1\2\3\4\5\6\7\x8", 8).code, 508);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_even_port, rfc8656_7_2_a_retransmission_gets_the_token_even_after_its_use)
{
	struct rig_client c = client(0), d = client(1);
	struct rig_request q;
	struct stun_attr token;
	struct rig_answer a, b;
	size_t n;

	begin(&q, &c);
	stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT, "\x80", 1);
	n = rig_sign(&r, &c, &q, false);
	a = rig_send_bytes(&r, &c, q.bytes, n);
	cr_assert(rig_get(&a, TURN_ATTR_RESERVATION_TOKEN, &token));
	cr_assert_eq(redeem(&d, token.value, 8).code, 0);
	b = rig_send_bytes(&r, &c, q.bytes, n);
	cr_assert_eq(a.length_bytes, b.length_bytes);
	cr_assert_eq(memcmp(a.bytes, b.bytes, a.length_bytes), 0);
	// The used port stays its allocation's when the reservation's time is over.
	rig_advance(&r, 31);
	turn_server_expire(r.engine.turn, r.now_ns);
	cr_assert_eq(turn_server_free_ports(r.engine.turn, 0), 98);
}

Test(turn_even_port, a_token_is_told_to_its_own_allocation_only)
{
	struct rig_client c = client(0), d = client(1);
	struct stun_attr token;
	struct rig_answer a;

	// The slot is used again within the same moment.
	cr_assert_eq(even(&c, 0x80).code, 0);
	cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
	a = rig_allocate(&r, &d);
	cr_assert_eq(a.code, 0);
	cr_assert_not(rig_get(&a, TURN_ATTR_RESERVATION_TOKEN, &token));
}

Test(turn_even_port_limits, one_user_cannot_hold_all_reservations)
{
	struct config *config = rig_config();
	struct rig_client other = rig_client("203.0.113.6:1", "other", "other-secret");

	config->max_allocations = TURN_RESERVATIONS_USER_MAX + 2;
	config->relay_port_max = 52999;
	rig_open(&r, config);
	for (uint32_t i = 0; i < TURN_RESERVATIONS_USER_MAX; i++) {
		struct rig_client c = client(i);

		cr_assert_eq(even(&c, 0x80).code, 0);
	}
	struct rig_client c = client(TURN_RESERVATIONS_USER_MAX);

	cr_assert_eq(even(&c, 0x80).code, 508);
	cr_assert_eq(even(&other, 0x80).code, 0);
	rig_close(&r);
}
