// Flows as the control plane would program them into the pipeline's tables.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/burst/pipeline.h"

uint8_t flow_flags;
uint32_t flow_allocation_idx;

static uint8_t local_of(const char *text)
{
	struct ip_endpoint e = endpoint(text);

	if (strcmp(text, STREAM_LOCAL) == 0)
		return SHM_LOCAL_STREAM;
	for (uint8_t i = 0; i < LOCALS; i++) {
		if (memcmp(settings.local[i].address, e.address.bytes, 16) == 0)
			return i;
	}
	cr_assert_fail("not a local address: %s", text);
	return 0;
}

static bool is_stream(const char *client)
{
	return strncmp(client, "[100::", 6) == 0;
}

static const char *listener_of(const char *client)
{
	if (is_stream(client))
		return STREAM_LOCAL;
	return client[0] == '[' ? LISTEN_V6 : LISTEN_V4;
}

static void publish(struct shm_flow *f, const char *client, bool live)
{
	uint32_t idx;

	f->flags = flow_flags;
	f->allocation_idx = flow_allocation_idx;
	if (is_stream(client))
		f->flags |= SHM_FLOW_F_STREAM;
	f->expires_at_ns = live ? now_ns() + 1000000000000 : now_ns() - 1000000000;
	cr_assert_eq(shm_flow_publish(&writer, f, f->expires_at_ns, &idx), 0);
}

static void key_set(struct shm_flow_key *k, enum shm_flow_kind kind, const char *far_end,
		    const char *local)
{
	struct ip_endpoint e = endpoint(far_end);
	struct ip_endpoint l = endpoint(local);

	memset(k, 0, sizeof(*k));
	memcpy(k->address, e.address.bytes, 16);
	k->port_be = kind == SHM_FLOW_PERMISSION ? 0 : e.port_be;
	k->local_port_be = l.port_be;
	k->local_idx = local_of(local);
	k->kind = kind;
}

static void target_set(struct shm_flow *f, const char *to, const char *from)
{
	struct ip_endpoint t = endpoint(to);
	struct ip_endpoint s = endpoint(from);

	memcpy(f->to_address, t.address.bytes, 16);
	f->to_port_be = t.port_be;
	f->from_local_idx = local_of(from);
	f->from_port_be = s.port_be;
}

void program_allocation2(const char *client, const char *relayed, const char *relayed2, bool live)
{
	struct shm_flow f = { 0 };

	key_set(&f.key, SHM_FLOW_ALLOCATION, client, listener_of(client));
	f.from_local_idx = local_of(relayed);
	f.from_port_be = endpoint(relayed).port_be;
	if (relayed2 != NULL) {
		f.to_address[15] = local_of(relayed2);
		f.to_port_be = endpoint(relayed2).port_be;
	}
	publish(&f, client, live);
}

void program_allocation(const char *client, const char *relayed, bool live)
{
	program_allocation2(client, relayed, NULL, live);
}

void program_permission(const char *client, const char *relayed, const char *peer, bool live)
{
	struct shm_flow f = { 0 };

	key_set(&f.key, SHM_FLOW_PERMISSION, peer, relayed);
	target_set(&f, client, listener_of(client));
	f.neighbour_idx = is_stream(client) ? HOP_NONE : hop_client;
	f.peer_neighbour_idx = hop_peer;
	publish(&f, client, live);
}

void program_channel(const char *client, const char *relayed, const char *peer, uint16_t channel,
		     bool live)
{
	struct shm_flow up = { 0 };
	struct shm_flow down = { 0 };

	key_set(&up.key, SHM_FLOW_CHANNEL, client, listener_of(client));
	up.key.channel_be = __builtin_bswap16(channel);
	up.channel_be = up.key.channel_be;
	target_set(&up, peer, relayed);
	up.neighbour_idx = hop_peer;
	publish(&up, client, live);

	key_set(&down.key, SHM_FLOW_PEER, peer, relayed);
	down.channel_be = __builtin_bswap16(channel);
	target_set(&down, client, listener_of(client));
	down.neighbour_idx = is_stream(client) ? HOP_NONE : hop_client;
	publish(&down, client, live);
}

void program_flow(const char *client, const char *relayed, const char *peer, uint16_t channel)
{
	program_allocation(client, relayed, true);
	program_permission(client, relayed, peer, true);
	program_channel(client, relayed, peer, channel, true);
}
