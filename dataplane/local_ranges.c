// Lists our own IPv4 addresses, listeners and relayed ports. Worker thread, between two bursts; writes only
// the lists.
#include "dataplane/local_ranges.h"

#include <string.h>

#include "dataplane/settings.h"

// A multiplier fits 64 addresses once in fifty times.
#define MULTIPLIERS_MAX 4096

static_assert(DP_OWN_SLOTS == 8 * SHM_LOCALS_MAX, "as MULTIPLIERS_MAX expects");

static void listeners_add(struct dp_local_ranges *r, uint32_t idx, const struct dp_local *l)
{
	for (uint32_t i = 0; i < l->n_listeners; i++)
		r->listener[r->n_listeners++] = (struct dp_local_range){
			.address = r->v4[idx],
			.port_min = __builtin_bswap16(l->listener_port_be[i]),
			.n_ports = 1,
			.local_idx = idx,
		};
}

static struct dp_local_range relay_of(const struct dp_local_ranges *r, uint32_t idx,
				      const struct dp_local *l)
{
	bool relays = l->relay_port_min <= l->relay_port_max;

	return (struct dp_local_range){
		.address = r->v4[idx],
		.port_min = l->relay_port_min,
		.n_ports = relays ? l->relay_port_max - l->relay_port_min + 1u : 0,
		.local_idx = idx,
	};
}

// False: two addresses share a slot.
static bool place(struct dp_local_ranges *r, const struct dp_settings *s)
{
	memset(r->address, 0, sizeof(r->address));
	memset(r->relay, 0, sizeof(r->relay));
	for (uint32_t i = 0; i < s->n_locals; i++) {
		uint32_t slot = dp_own_slot(r, r->v4[i]);

		// The first one of an address is the one that dp_local_find finds.
		if (r->v4[i] == 0 || r->address[slot] == r->v4[i])
			continue;
		if (r->address[slot] != 0)
			return false;
		r->address[slot] = r->v4[i];
		r->relay[slot] = relay_of(r, i, &s->local[i]);
	}
	return true;
}

void dp_local_ranges_build(struct dp_local_ranges *r, const struct dp_settings *s)
{
	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < s->n_locals; i++) {
		if (!s->local[i].is_v4)
			continue;
		memcpy(&r->v4[i], ip_address_v4_bytes(&s->local[i].address), sizeof(r->v4[i]));
		listeners_add(r, i, &s->local[i]);
	}
	r->multiplier = 0x9e3779b1;
	for (uint32_t i = 0; i < MULTIPLIERS_MAX; i++) {
		if (place(r, s))
			return;
		r->multiplier = r->multiplier * 0x2c9277b5 + 2;
	}
	// Without an address of its own the fast path leaves everything to the stages.
	memset(r, 0, sizeof(*r));
}
