// Allocations as operators see them: found, listed, described, killed. Control plane's loop thread.
#include <errno.h>
#include <stdio.h>

#include "controlplane/turn/state.h"

static bool is_live(const struct turn_server *s, uint32_t idx)
{
	return idx > 0 && idx <= s->tables->n_allocations_max && s->allocations[idx].user != NULL;
}

// Digits of value, at least n of them. Returns the end. Not printf: each allocation that ends leaves its id.
static char *put_hex(char *at, uint32_t value, uint32_t n_digits)
{
	while (n_digits < 8 && value >> (4 * n_digits) != 0)
		n_digits++;
	while (n_digits-- > 0)
		*at++ = "0123456789abcdef"[value >> (4 * n_digits) & 15];
	return at;
}

void turn_allocation_id_format(const struct turn_server *s, uint32_t idx, uint32_t serial,
			       char out[TURN_ALLOCATION_ID_TEXT_MAX])
{
	char *at = out;

	at = put_hex(at, s->node_id, 4);
	*at++ = '-';
	at = put_hex(at, idx, 6);
	*at++ = '-';
	at = put_hex(at, serial, 1);
	*at = '\0';
}

static void usage_add(const struct turn_server *s, uint32_t entry, uint64_t *pkts, uint64_t *bytes)
{
	struct shm_usage u;

	table_writer_flow_usage(s->tables, entry, &u);
	*pkts += u.pkts;
	*bytes += u.bytes;
}

int turn_allocation_info(const struct turn_server *s, uint32_t idx,
			 struct turn_allocation_info *out)
{
	const struct turn_allocation *a;
	const struct shm_allocation *r;
	const struct table_writer_totals *t;
	uint32_t entry;

	if (!is_live(s, idx))
		return -ENOENT;
	a = &s->allocations[idx];
	r = turn_record(s, idx);
	t = &s->tables->totals[idx];
	memset(out, 0, sizeof(*out));
	out->idx = idx;
	turn_allocation_id_format(s, idx, r->serial, out->id);
	memcpy(out->client.address.bytes, r->client_address, 16);
	out->client.port_be = r->client_port_be;
	out->server.address = turn_local_address(s, r->server_idx);
	out->server.port_be = r->server_port_be;
	out->relayed.address = turn_local_address(s, r->relay_idx);
	out->relayed.port_be = r->relay_port_be;
	if (r->relay2_port_be != 0) {
		out->relayed2.address = turn_local_address(s, r->relay2_idx);
		out->relayed2.port_be = r->relay2_port_be;
	}
	out->client_transport = r->client_transport;
	out->is_mobile = r->flags & SHM_ALLOCATION_F_MOBILE;
	out->is_moving = a->move != NULL;
	out->up_key = table_writer_flow(s->tables, a->flow_idx)->key;
	out->username = r->username;
	out->username_bytes = r->username_bytes;
	out->realm_idx = r->realm_idx;
	out->created_at_ns = r->created_at_ns;
	out->expires_at_ns = r->expires_at_ns;
	out->n_permissions = a->n_permissions;
	out->n_channels = a->n_channels;
	out->usage.up_pkts = t->up_pkts;
	out->usage.up_bytes = t->up_bytes;
	out->usage.down_pkts = t->down_pkts;
	out->usage.down_bytes = t->down_bytes;
	usage_add(s, a->flow_idx, &out->usage.up_pkts, &out->usage.up_bytes);
	for (entry = a->permissions; entry != 0; entry = s->flows[entry].list_next)
		usage_add(s, entry, &out->usage.down_pkts, &out->usage.down_bytes);
	for (entry = a->channels; entry != 0; entry = s->flows[entry].list_next) {
		usage_add(s, entry, &out->usage.up_pkts, &out->usage.up_bytes);
		usage_add(s, s->flows[entry].partner, &out->usage.down_pkts,
			  &out->usage.down_bytes);
	}
	out->client_neighbour_idx = table_writer_flow(s->tables, a->flow_idx)->neighbour_idx;
	if (out->client_neighbour_idx != 0)
		out->client_l2_word =
			table_writer_neighbour(s->tables, out->client_neighbour_idx)->word;
	return 0;
}

int turn_allocation_find_id(const struct turn_server *s, const char *id, uint32_t *out_idx)
{
	char text[TURN_ALLOCATION_ID_TEXT_MAX];
	unsigned int node, idx, serial;

	if (sscanf(id, "%4x-%8x-%8x", &node, &idx, &serial) != 3 || !is_live(s, idx))
		return -ENOENT;
	turn_allocation_id_format(s, idx, turn_record(s, idx)->serial, text);
	if (strcmp(text, id) != 0)
		return -ENOENT;
	*out_idx = idx;
	return 0;
}

int turn_allocation_find_client(const struct turn_server *s, const struct ip_endpoint *client,
				const struct ip_endpoint *server, uint32_t *out_idx)
{
	const struct shm_settings *settings = &s->tables->settings;

	for (uint32_t i = 0; i < settings->n_listeners; i++) {
		struct ip_endpoint own = {
			.address = turn_local_address(s, settings->listener[i].local_idx),
			.port_be = settings->listener[i].port_be,
		};
		struct shm_flow_key key = {
			.port_be = client->port_be,
			.local_port_be = own.port_be,
			.local_idx = settings->listener[i].local_idx,
			.kind = SHM_FLOW_ALLOCATION,
		};
		uint32_t entry;

		if (server != NULL && !ip_endpoint_equal(server, &own))
			continue;
		memcpy(key.address, client->address.bytes, 16);
		entry = table_writer_flow_find(s->tables, &key);
		if (entry != 0) {
			*out_idx = table_writer_flow(s->tables, entry)->allocation_idx;
			return 0;
		}
	}
	// Flows know streams by another name. A question that people ask now and then: no index is
	// kept for it.
	for (uint32_t idx = 1; idx <= s->tables->n_allocations_max; idx++) {
		const struct shm_allocation *r = turn_record(s, idx);
		struct ip_endpoint own = { turn_local_address(s, r->server_idx),
					   r->server_port_be };

		if (is_live(s, idx) && r->client_transport != SHM_TRANSPORT_UDP &&
		    r->client_port_be == client->port_be &&
		    memcmp(r->client_address, client->address.bytes, 16) == 0 &&
		    (server == NULL || ip_endpoint_equal(server, &own))) {
			*out_idx = idx;
			return 0;
		}
	}
	return -ENOENT;
}

int turn_allocation_find_relayed(const struct turn_server *s, const struct ip_endpoint *relayed,
				 uint32_t *out_idx)
{
	int local_idx = table_writer_local_find(s->tables, &relayed->address);

	if (local_idx < 0)
		return -ENOENT;
	// A question that people ask now and then: no index is kept for it.
	for (uint32_t idx = 1; idx <= s->tables->n_allocations_max; idx++) {
		const struct shm_allocation *r = turn_record(s, idx);

		if (is_live(s, idx) &&
		    ((r->relay_idx == local_idx && r->relay_port_be == relayed->port_be) ||
		     (r->relay2_port_be == relayed->port_be && r->relay2_port_be != 0 &&
		      r->relay2_idx == local_idx))) {
			*out_idx = idx;
			return 0;
		}
	}
	return -ENOENT;
}

int turn_allocation_kill(struct turn_server *s, uint32_t idx, uint64_t now_ns)
{
	if (!is_live(s, idx))
		return -ENOENT;
	turn_allocation_end(s, idx, TURN_END_KILLED, now_ns);
	return 0;
}

void turn_allocation_each(const struct turn_server *s,
			  bool (*wants)(void *arg, const struct turn_allocation_brief *brief),
			  bool (*fn)(void *arg, const struct turn_allocation_info *info), void *arg)
{
	uint32_t n_left = s->n_allocations;

	for (uint32_t idx = 1; idx <= s->tables->n_allocations_max && n_left > 0; idx++) {
		const struct shm_allocation *r = turn_record(s, idx);
		struct turn_allocation_brief brief = { .idx = idx };
		struct turn_allocation_info info;

		if (!is_live(s, idx))
			continue;
		n_left--;
		memcpy(brief.client.address.bytes, r->client_address, 16);
		brief.client.port_be = r->client_port_be;
		brief.username = r->username;
		brief.username_bytes = r->username_bytes;
		brief.realm_idx = r->realm_idx;
		if (wants(arg, &brief) && turn_allocation_info(s, idx, &info) == 0 &&
		    !fn(arg, &info))
			return;
	}
}

void turn_allocation_permissions(const struct turn_server *s, uint32_t idx,
				 bool (*fn)(void *arg, const struct turn_permission_info *p),
				 void *arg)
{
	uint32_t entry;

	if (!is_live(s, idx))
		return;
	for (entry = s->allocations[idx].permissions; entry != 0;
	     entry = s->flows[entry].list_next) {
		const struct shm_flow *f = table_writer_flow(s->tables, entry);
		struct turn_permission_info p = {
			.peer = ip_address_from_v6(f->key.address),
			.expires_at_ns = table_writer_flow_own_expiry(s->tables, entry),
			.is_hairpin = f->flags & SHM_FLOW_F_HAIRPIN,
			.neighbour_idx = f->peer_neighbour_idx,
		};

		if (p.neighbour_idx != 0)
			p.l2_word = table_writer_neighbour(s->tables, p.neighbour_idx)->word;
		usage_add(s, entry, &p.down_pkts, &p.down_bytes);
		if (!fn(arg, &p))
			return;
	}
}

void turn_allocation_channels(const struct turn_server *s, uint32_t idx,
			      bool (*fn)(void *arg, const struct turn_channel_info *c), void *arg)
{
	uint32_t entry;

	if (!is_live(s, idx))
		return;
	for (entry = s->allocations[idx].channels; entry != 0; entry = s->flows[entry].list_next) {
		const struct shm_flow *f = table_writer_flow(s->tables, entry);
		struct turn_channel_info c = {
			.channel = __builtin_bswap16(f->channel_be),
			.peer = { .address = ip_address_from_v6(f->to_address),
				  .port_be = f->to_port_be },
			.expires_at_ns = table_writer_flow_own_expiry(s->tables, entry),
			.is_hairpin = f->flags & SHM_FLOW_F_HAIRPIN,
			.neighbour_idx = f->neighbour_idx,
		};

		if (c.neighbour_idx != 0)
			c.l2_word = table_writer_neighbour(s->tables, c.neighbour_idx)->word;
		usage_add(s, entry, &c.up_pkts, &c.up_bytes);
		usage_add(s, s->flows[entry].partner, &c.down_pkts, &c.down_bytes);
		if (!fn(arg, &c))
			return;
	}
}

const struct turn_ended *turn_ended_at(const struct turn_server *s, uint32_t i)
{
	if (i >= TURN_ENDED_MAX || i >= s->n_ended)
		return NULL;
	return &s->ended[(s->n_ended - 1 - i) % TURN_ENDED_MAX];
}

const struct turn_ended *turn_ended_find_client(const struct turn_server *s,
						const struct ip_endpoint *client)
{
	const struct turn_ended *e;

	for (uint32_t i = 0; (e = turn_ended_at(s, i)) != NULL; i++) {
		if (ip_endpoint_equal(&e->client, client))
			return e;
	}
	return NULL;
}
