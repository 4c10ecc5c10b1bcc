// Rules about peers belong to realms (RFC 8656 §21.1.4, §10.2): a worker asks those of the flow's
// allocation, whatever entry or allocation slot it stands in.
#include <criterion/criterion.h>

#include "tests/burst/pipeline.h"

#define CHANNEL 0x4000

static const uint8_t data[] = "data";
static struct frame out;
static uint8_t message[FRAME_BYTES_MAX];

// Realm 0 may not reach PEER_V4, realm 1 may; what is of every realm stands beside that.
static void init(void)
{
	pipeline_init();
	settings.n_realms = 2;
	settings.realm[1] = (struct shm_realm){ .name_bytes = 3, .name = "two" };
	settings.n_peer_rules = 4;
	rule_set(0, "203.0.113.0/24", SHM_PEER_DENY, 0);
	rule_set(1, "203.0.113.0/24", SHM_PEER_ALLOW, 1);
	rule_set(2, "203.0.113.200/32", SHM_PEER_DENY, SHM_REALM_ANY);
	rule_set(3, "203.0.113.20/32", SHM_PEER_DENY, 0);
	settings_publish();
}

static void realm_set(uint32_t allocation_idx, uint8_t realm_idx)
{
	__atomic_store_n(&limit_of(allocation_idx)->realm_idx, realm_idx, __ATOMIC_RELAXED);
}

static void upward(const char *client, uint16_t channel)
{
	struct dress d = { .from = client, .to = LISTEN_V4 };

	send_datagram(&d, message, channel_data(message, channel, data, sizeof(data), 0));
}

TestSuite(realm, .init = init, .fini = pipeline_fini);

Test(realm, each_allocation_is_judged_by_the_rules_of_its_own)
{
	flow_allocation_idx = 5;
	program_flow(CLIENT_V4, RELAYED_V4, PEER_V4, CHANNEL);
	realm_set(6, 1);
	flow_allocation_idx = 6;
	flow_flags = SHM_FLOW_F_LIMITED;
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	for (int again = 0; again < 3; again++) {
		upward(CLIENT_V4, CHANNEL);
		expect_only(DP_DROP_PEER_DENIED);
		expect_nothing_sent();
		upward(OTHER_V4, CHANNEL);
		expect_only(DP_COUNTER_UP_CHANNEL);
		expect_datagram(&out, RELAYED2_V4, PEER_V4, data, sizeof(data));
	}
}

Test(realm, rules_of_every_realm_hold_in_each)
{
	realm_set(6, 1);
	flow_allocation_idx = 6;
	flow_flags = SHM_FLOW_F_LIMITED;
	program_flow(OTHER_V4, RELAYED2_V4, DENIED_V4, CHANNEL);
	upward(OTHER_V4, CHANNEL);
	expect_only(DP_DROP_PEER_DENIED);
	expect_nothing_sent();
}

// What was remembered of one realm's allocation says nothing about the next one in the same slot.
Test(realm, a_verdict_is_not_kept_for_another_realm)
{
	realm_set(6, 1);
	flow_allocation_idx = 6;
	flow_flags = SHM_FLOW_F_LIMITED;
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	upward(OTHER_V4, CHANNEL);
	expect_only(DP_COUNTER_UP_CHANNEL);
	cr_assert(receive(&out));
	realm_set(6, 0);
	upward(OTHER_V4, CHANNEL);
	expect_only(DP_DROP_PEER_DENIED);
	realm_set(6, 1);
	upward(OTHER_V4, CHANNEL);
	expect_only(DP_COUNTER_UP_CHANNEL);
	cr_assert(receive(&out));
}

// Shared memory is not trusted: an allocation that is none is of the default realm.
Test(realm, an_allocation_out_of_range_is_of_the_default_realm)
{
	flow_allocation_idx = UINT32_MAX;
	flow_flags = SHM_FLOW_F_LIMITED;
	program_flow(OTHER_V4, RELAYED2_V4, PEER_V4, CHANNEL);
	upward(OTHER_V4, CHANNEL);
	expect_only(DP_DROP_PEER_DENIED);
	expect_nothing_sent();
}
