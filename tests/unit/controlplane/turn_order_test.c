// The checks of an Allocate stand in an order (RFC 8656 §7.2): of two that would refuse, the earlier
// one answers.
#include "tests/unit/controlplane/turn_rig.h"

#include <string.h>

// What is wrong with a request or with the server, in the order in which it is to be found.
enum fault {
	FAULT_CREDENTIALS = 0, // a wrong password
	FAULT_NONCE,           // a stale one: before the password is looked at
	FAULT_IN_USE,
	FAULT_TRANSPORT_MISSING,
	FAULT_TRANSPORT_OTHER,
	FAULT_TOKEN_WITH_EVEN_PORT,
	FAULT_TOKEN_INVALID,
	FAULT_BOTH_FAMILIES,
	FAULT_FAMILY_UNKNOWN,
	FAULT_EVEN_PORT_AND_ADDITIONAL,
	FAULT_EVEN_PORT_TAKEN,
	FAULT_ADDITIONAL_IPV4,
	FAULT_QUOTA,
	FAULT_DRAINING,
	FAULT_COUNT
};

static const uint16_t code_of[FAULT_COUNT] = {
	[FAULT_CREDENTIALS] = 401,     [FAULT_NONCE] = 438,
	[FAULT_IN_USE] = 437,          [FAULT_TRANSPORT_MISSING] = 400,
	[FAULT_TRANSPORT_OTHER] = 442, [FAULT_TOKEN_WITH_EVEN_PORT] = 400,
	[FAULT_TOKEN_INVALID] = 508,   [FAULT_BOTH_FAMILIES] = 400,
	[FAULT_FAMILY_UNKNOWN] = 440,  [FAULT_EVEN_PORT_AND_ADDITIONAL] = 400,
	[FAULT_EVEN_PORT_TAKEN] = 508, [FAULT_ADDITIONAL_IPV4] = 400,
	[FAULT_QUOTA] = 486,           [FAULT_DRAINING] = 300,
};

// One request with all those faults (bits). The relay has a single, odd port.
static uint16_t allocate_with(uint32_t faults)
{
	struct config *config = rig_config();
	struct rig_client c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	struct rig_client owner = rig_client("203.0.113.6:1", "lab", RIG_PASSWORD);
	struct rig_request q;
	struct rig_answer a;
	struct rig r;
	bool has_even =
		faults & (1u << FAULT_TOKEN_WITH_EVEN_PORT | 1u << FAULT_EVEN_PORT_AND_ADDITIONAL |
			  1u << FAULT_EVEN_PORT_TAKEN);
	bool has_additional =
		faults & (1u << FAULT_BOTH_FAMILIES | 1u << FAULT_EVEN_PORT_AND_ADDITIONAL |
			  1u << FAULT_ADDITIONAL_IPV4);
	bool is_v4 = faults & 1u << FAULT_ADDITIONAL_IPV4;

	if (faults & 1u << FAULT_EVEN_PORT_TAKEN) {
		config->relay_port_min = 50001;
		config->relay_port_max = 50001;
	}
	config->quota_per_user = faults & 1u << FAULT_QUOTA ? 1 : 0;
	config->alternates = calloc(1, sizeof(*config->alternates));
	config->n_alternates = 1;
	config->alternates[0].weight = 1;
	cr_assert_eq(ip_address_parse("192.0.2.20", &config->alternates[0].address), 0);
	rig_open(&r, config);
	// Over IPv6, so that the one IPv4 port is left.
	if (faults & 1u << FAULT_IN_USE)
		cr_assert_eq(rig_allocate(&r, &c).code, 0);
	else if (faults & 1u << FAULT_QUOTA)
		cr_assert_eq(rig_allocate_family(&r, &owner, STUN_FAMILY_IPV6).code, 0);
	turn_server_drain(r.engine.turn, faults & 1u << FAULT_DRAINING);
	if (faults & 1u << FAULT_CREDENTIALS)
		c.key[0] ^= 1;
	if (faults & 1u << FAULT_NONCE)
		strcpy(c.nonce, "stale");

	rig_begin(&q, &c, TURN_ALLOCATE_REQUEST);
	if (!(faults & 1u << FAULT_TRANSPORT_MISSING))
		rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT,
			    (faults & 1u << FAULT_TRANSPORT_OTHER ? 99u : 17u) << 24);
	if (faults & (1u << FAULT_TOKEN_WITH_EVEN_PORT | 1u << FAULT_TOKEN_INVALID))
		stun_build_attr(&q.b, TURN_ATTR_RESERVATION_TOKEN, "\1\2\3\4\5\6\7\10", 8);
	if (has_even)
		stun_build_attr(&q.b, TURN_ATTR_EVEN_PORT,
				faults & 1u << FAULT_EVEN_PORT_AND_ADDITIONAL ? "\x80" : "\0", 1);
	if (faults & (1u << FAULT_BOTH_FAMILIES | 1u << FAULT_FAMILY_UNKNOWN))
		rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
			    (faults & 1u << FAULT_FAMILY_UNKNOWN ? 9u : 1u) << 24);
	if (has_additional)
		rig_add_u32(&q, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY, (is_v4 ? 1u : 2u) << 24);
	a = rig_send(&r, &c, &q);
	rig_close(&r);
	return a.code;
}

Test(turn_order, rfc8656_7_2_each_check_alone)
{
	for (uint32_t i = 0; i < FAULT_COUNT; i++)
		cr_expect_eq(allocate_with(1u << i), code_of[i], "fault %u", i);
	cr_expect_eq(allocate_with(0), 0);
}

Test(turn_order, rfc8656_7_2_of_two_faults_the_earlier_check_answers)
{
	for (uint32_t i = 0; i < FAULT_COUNT; i++) {
		for (uint32_t j = i + 1; j < FAULT_COUNT; j++) {
			uint16_t code = code_of[i], got;

			// The nonce is looked at before the password.
			if (i == FAULT_CREDENTIALS && j == FAULT_NONCE)
				code = 438;
			// A token together with EVEN-PORT or a family is refused for that before it is
			// looked up.
			if (i == FAULT_TOKEN_INVALID && j >= FAULT_BOTH_FAMILIES &&
			    j <= FAULT_ADDITIONAL_IPV4)
				code = 400;
			// Both families at once is what that pair is.
			if (i == FAULT_FAMILY_UNKNOWN &&
			    (j == FAULT_EVEN_PORT_AND_ADDITIONAL || j == FAULT_ADDITIONAL_IPV4))
				code = 400;
			got = allocate_with(1u << i | 1u << j);
			cr_expect_eq(got, code, "faults %u and %u: %u, not %u", i, j, got, code);
		}
	}
}
