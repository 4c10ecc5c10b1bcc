// Lists our own IPv4 addresses, listeners and relayed ports. Worker thread, between two bursts; writes only
// the lists.
#include "dataplane/local_ranges.h"

#include <string.h>

#include "dataplane/settings.h"

static void add(struct dp_local_ranges *r, uint32_t idx, const struct dp_local *l)
{
	uint32_t v4;

	memcpy(&v4, ip_address_v4_bytes(&l->address), sizeof(v4));
	r->v4[idx] = v4;
	r->address[r->n_addresses++] = v4;
	for (uint32_t i = 0; i < l->n_listeners; i++)
		r->listener[r->n_listeners++] = (struct dp_local_range){
			.address = v4,
			.port_min = __builtin_bswap16(l->listener_port_be[i]),
			.n_ports = 1,
			.local_idx = idx,
		};
	if (l->relay_port_min <= l->relay_port_max)
		r->relay[r->n_relays++] = (struct dp_local_range){
			.address = v4,
			.port_min = l->relay_port_min,
			.n_ports = l->relay_port_max - l->relay_port_min + 1u,
			.local_idx = idx,
		};
}

void dp_local_ranges_build(struct dp_local_ranges *r, const struct dp_settings *s)
{
	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < s->n_locals; i++) {
		if (s->local[i].is_v4)
			add(r, i, &s->local[i]);
	}
}
