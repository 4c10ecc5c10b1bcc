// The table of our own addresses that the fast path asks says what the search does that the stages use.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/burst/relaying.h"

TestSuite(local_ranges, .init = pipeline_init, .fini = pipeline_fini);

static uint32_t pick(uint32_t n)
{
	return (uint32_t)random() % n;
}

static const struct dp_local_range *range_of(const struct dp_local_range *r, uint32_t n,
					     uint32_t v4, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++) {
		if (r[i].address == v4 && port - r[i].port_min < r[i].n_ports)
			return &r[i];
	}
	return NULL;
}

// Of our own addresses, and of others.
static void expect_ranges_agree(void)
{
	const struct dp_local_ranges *own = &worker->settings.local_ranges;

	srandom(3);
	for (uint32_t i = 0; i < 200000; i++) {
		struct ip_address a = endpoint(pick(4) ? RELAYED_V4 : LISTEN_V4).address;
		uint16_t port = (uint16_t)(pick(2) ? random() : 75 + pick(10));
		const struct dp_local_range *listener;
		const struct dp_local_range *relay;
		const struct dp_local *l;
		uint8_t local_idx;
		uint32_t v4;

		if (pick(8) == 0)
			port = pick(2) ? 443 : 3478;
		if (pick(8) != 0)
			a.bytes[12 + pick(4)] ^= (uint8_t)(pick(2) << pick(8));
		memcpy(&v4, ip_address_v4_bytes(&a), sizeof(v4));
		local_idx = dp_local_find(&worker->settings, &a);
		listener = range_of(own->listener, own->n_listeners, v4, port);
		relay = range_of(&own->relay[dp_own_slot(own, v4)], 1, v4, port);
		cr_assert_eq(own->address[dp_own_slot(own, v4)] == v4, local_idx != DP_LOCAL_NONE);
		if (local_idx == DP_LOCAL_NONE) {
			cr_assert(listener == NULL && relay == NULL);
			continue;
		}
		l = &worker->settings.local[local_idx];
		cr_assert_eq(own->v4[local_idx], v4);
		cr_assert_eq(listener != NULL, dp_local_listens(l, __builtin_bswap16(port)));
		cr_assert_eq(relay != NULL, dp_local_relays(l, __builtin_bswap16(port)));
		cr_assert(listener == NULL || listener->local_idx == local_idx);
		cr_assert(relay == NULL || relay->local_idx == local_idx);
	}
}

// More listeners on one address than the first: all of them take ChannelData, and none is relayed.
Test(local_ranges, knows_every_listener_of_an_address)
{
	settings.n_listeners = 4;
	settings.listener[2] = (struct shm_listener){ .local_idx = LISTENER_V4, .port_be = 0x5000 };
	settings.listener[3] = (struct shm_listener){ .local_idx = LISTENER_V4, .port_be = 0xbb01 };
	settings_publish();
	poll_once();
	expect_ranges_agree();
}

// As many addresses as there can be, side by side and far apart.
Test(local_ranges, finds_each_of_64_own_addresses)
{
	static struct dp_settings s;
	static struct dp_local_ranges own;

	for (uint32_t round = 0; round < 100; round++) {
		s.n_locals = SHM_LOCALS_MAX;
		for (uint32_t i = 0; i < SHM_LOCALS_MAX; i++) {
			uint32_t v4 = (round + i + 1) * (2 * round * round * round * 40503 + 1);

			s.local[i] = (struct dp_local){ .is_v4 = 1,
							.relay_port_min = 1024,
							.relay_port_max = (uint16_t)(1024 + i) };
			s.local[i].address = ip_address_from_v4((const uint8_t *)&v4);
		}
		dp_local_ranges_build(&own, &s);
		for (uint32_t i = 0; i < SHM_LOCALS_MAX; i++) {
			uint32_t slot = dp_own_slot(&own, own.v4[i]);

			cr_assert_neq(own.v4[i], 0);
			cr_assert_eq(own.address[slot], own.v4[i]);
			cr_assert_eq(own.relay[slot].local_idx, i);
			cr_assert_eq(own.relay[slot].n_ports, i + 1);
		}
	}
}
