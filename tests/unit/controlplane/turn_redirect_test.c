// 300 (Try Alternate) and ALTERNATE-SERVER: RFC 8489 §10, §14.15, §14.16; RFC 8656 §7.2.
#include "tests/unit/controlplane/turn_rig.h"

#include <stdio.h>
#include <string.h>

static struct rig r;

static void add_server(struct config *config, const char *address, uint32_t weight)
{
	struct config_alternate *a;

	config->alternates = realloc(config->alternates,
				     (config->n_alternates + 1) * sizeof(*config->alternates));
	a = &config->alternates[config->n_alternates++];
	*a = (struct config_alternate){
		.port_be = __builtin_bswap16(3478),
		.tls_port_be = __builtin_bswap16(5349),
		.weight = weight,
		.domain = strdup("turn2.example.org"),
	};
	cr_assert_eq(ip_address_parse(address, &a->address), 0);
}

static struct ip_endpoint alternate_of(const struct rig_answer *a)
{
	struct ip_endpoint e = { .port_be = 0 };
	struct stun_attr attr;

	cr_assert(rig_get(a, STUN_ATTR_ALTERNATE_SERVER, &attr));
	cr_assert(attr.length_bytes == (attr.value[1] == STUN_FAMILY_IPV4 ? 8 : 20));
	memcpy(&e.port_be, attr.value + 2, 2);
	e.address = attr.value[1] == STUN_FAMILY_IPV4 ? ip_address_from_v4(attr.value + 4)
						      : ip_address_from_v6(attr.value + 4);
	return e;
}

Test(turn_redirect, rfc8489_10_a_draining_server_sends_new_clients_away_and_keeps_its_own)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct rig_client d = rig_client("203.0.113.5:2", "lab", RIG_PASSWORD);
	struct ip_endpoint wanted = rig_endpoint("192.0.2.20:3478"), got;
	struct config *config = rig_config();
	struct stun_attr attr;
	struct rig_answer a;

	add_server(config, "192.0.2.20", 1);
	rig_open(&r, config);
	cr_assert_eq(rig_allocate(&r, &c).code, 0, "without draining nobody goes");
	turn_server_drain(r.engine.turn, true);
	a = rig_allocate(&r, &d);
	cr_assert(a.code == 300 && a.is_signed);
	got = alternate_of(&a);
	cr_assert(ip_endpoint_equal(&got, &wanted));
	cr_assert_not(rig_get(&a, STUN_ATTR_ALTERNATE_DOMAIN, &attr));
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_ERROR_300), 1);
	cr_assert_eq(rig_refresh(&r, &c, 600).code, 0);
	cr_assert_eq(rig_bind(&r, &c, 0x4000, "9.9.9.9:1").code, 0);
	turn_server_drain(r.engine.turn, false);
	cr_assert_eq(rig_allocate(&r, &d).code, 0);
	rig_close(&r);
}

Test(turn_redirect, rfc8489_14_16_over_tls_the_domain_and_the_port_of_tls)
{
	struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct config *config = rig_config();
	struct ip_endpoint got;
	struct stun_attr attr;
	struct rig_answer a;

	add_server(config, "192.0.2.20", 1);
	rig_open(&r, config);
	turn_server_drain(r.engine.turn, true);
	c.transport = SHM_TRANSPORT_TLS;
	c.stream_idx = c.stream_serial = 1;
	a = rig_allocate(&r, &c);
	cr_assert_eq(a.code, 300);
	got = alternate_of(&a);
	cr_assert_eq(got.port_be, __builtin_bswap16(5349));
	cr_assert(rig_get(&a, STUN_ATTR_ALTERNATE_DOMAIN, &attr));
	cr_assert(attr.length_bytes == 17 && memcmp(attr.value, "turn2.example.org", 17) == 0);
	rig_close(&r);
}

Test(turn_redirect, rfc8489_14_15_never_to_an_address_of_the_other_family)
{
	struct rig_client four = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	struct rig_client six = rig_client("[2001:db8::5]:1", "lab", RIG_PASSWORD);
	struct config *config = rig_config();
	struct stun_attr attr;
	struct rig_answer a;

	add_server(config, "2001:db8::20", 1);
	config->alternates_balance = true;
	config->alternates_own_weight = 0;
	rig_open(&r, config);
	cr_assert_eq(rig_allocate(&r, &four).code, 0);
	cr_assert_eq(rig_allocate(&r, &six).code, 300);
	cr_assert_eq(rig_refresh(&r, &four, 0).code, 0);
	turn_server_drain(r.engine.turn, true);
	a = rig_allocate(&r, &four);
	cr_assert_eq(a.code, 508);
	cr_assert_not(rig_get(&a, STUN_ATTR_ALTERNATE_SERVER, &attr));
	rig_close(&r);
}

Test(turn_redirect, balance_spreads_users_by_weight_and_stays_with_a_user)
{
	struct config *config = rig_config();
	uint32_t n_away = 0;

	config->quota_per_user = 0;
	config->relay_port_max = 52000;
	config->max_allocations = 1024;
	config->alternates_balance = true;
	config->alternates_own_weight = 1;
	add_server(config, "192.0.2.20", 3);
	for (uint32_t i = 0; i < 400; i++) {
		char name[16];

		snprintf(name, sizeof(name), "user%u", i);
		rig_config_add_user(config, name, "secret");
	}
	rig_open(&r, config);
	for (uint32_t i = 0; i < 400; i++) {
		char name[16];
		struct rig_client c = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
		uint16_t first, second;

		snprintf(name, sizeof(name), "user%u", i);
		c = rig_client("203.0.113.5:1", name, "secret");
		c.endpoint.port_be = __builtin_bswap16((uint16_t)(1000 + i));
		first = rig_allocate(&r, &c).code;
		if (first == 0)
			cr_assert_eq(rig_refresh(&r, &c, 0).code, 0);
		second = rig_allocate(&r, &c).code;
		cr_assert(first == second && (first == 0 || first == 300), "%u %u", first, second);
		n_away += first == 300;
	}
	cr_assert(n_away > 260 && n_away < 340, "%u of 400 go where three of four weights are",
		  n_away);
	rig_close(&r);
}
