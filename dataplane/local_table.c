// Spreads our own IPv4 addresses over a table so that none shares its slot. Worker thread, between
// two bursts; writes only the table.
#include "dataplane/local_table.h"

#include <string.h>

#include "dataplane/settings.h"

// With all SHM_LOCALS_MAX addresses one multiplier in eight does.
#define MULTIPLIERS_TRIED 256

static bool spread(struct dp_local_table *t, const struct dp_settings *s)
{
	memset(t->address, 0, sizeof(t->address));
	memset(t->local_idx, DP_LOCAL_TABLE_NONE, sizeof(t->local_idx));
	for (uint32_t i = 0; i < s->n_locals; i++) {
		uint32_t slot;
		uint32_t v4;

		if (!s->local[i].is_v4)
			continue;
		memcpy(&v4, ip_address_v4_bytes(&s->local[i].address), sizeof(v4));
		slot = dp_local_table_slot(t, v4);
		if (t->local_idx[slot] != DP_LOCAL_TABLE_NONE)
			return false;
		t->address[slot] = v4;
		t->local_idx[slot] = (uint8_t)i;
	}
	return true;
}

static void ports_build(struct dp_local_table *t, uint32_t idx, const struct dp_local *l)
{
	for (uint32_t i = 0; i < l->n_listeners; i++) {
		uint16_t port = __builtin_bswap16(l->listener_port_be[i]);

		if (i == 0) {
			t->listener[idx] = port;
		} else {
			t->more_port[t->n_more] = port;
			t->more_local_idx[t->n_more++] = (uint8_t)idx;
		}
	}
	t->relay_min[idx] = l->relay_port_min;
	if (l->relay_port_min <= l->relay_port_max)
		t->n_relay[idx] = l->relay_port_max - l->relay_port_min + 1u;
	if (l->is_v4)
		memcpy(&t->v4[idx], ip_address_v4_bytes(&l->address), sizeof(t->v4[idx]));
}

static void ports_clear(struct dp_local_table *t)
{
	memset(t->n_relay, 0, sizeof(t->n_relay));
	for (uint32_t i = 0; i <= SHM_LOCALS_MAX; i++)
		t->listener[i] = DP_LOCAL_PORT_NONE;
	t->n_more = 0;
}

void dp_local_table_build(struct dp_local_table *t, const struct dp_settings *s)
{
	memset(t, 0, sizeof(*t));
	ports_clear(t);
	for (uint32_t i = 0; i < s->n_locals; i++)
		ports_build(t, i, &s->local[i]);
	t->multiplier = 0x9e3779b1;
	for (uint32_t i = 0; i < MULTIPLIERS_TRIED; i++) {
		if (spread(t, s))
			return;
		t->multiplier = t->multiplier * 0x915f77f5 + 2;
	}
	// No ports at all, so that the fast path takes nothing.
	ports_clear(t);
}
