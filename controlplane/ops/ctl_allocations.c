// allocations, allocation show, allocation kill. Control plane's loop thread.
#include <arpa/inet.h>
#include <string.h>

#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/ops/log.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     10000 // one answer must not hold up the loop

static json_t *usage_object(uint64_t pkts, uint64_t bytes)
{
	return json_pack("{s:o, s:o}", "pkts", ctl_counter(pkts), "bytes", ctl_counter(bytes));
}

static json_t *hop_object(const struct ctl_call *call, uint16_t neighbour_idx, bool is_hairpin)
{
	struct next_hop_info hop = { .state = NEXT_HOP_NONE };

	if (is_hairpin)
		return json_pack("{s:s}", "state", "hairpin");
	if (call->engine->hops)
		next_hop_describe(call->engine->hops, neighbour_idx, &hop);
	if (hop.state == NEXT_HOP_NONE)
		return json_pack("{s:s}", "state", next_hop_state_name(hop.state));
	return json_pack("{s:s, s:o, s:s, s:o, s:i}", "state", next_hop_state_name(hop.state),
			 "address", ctl_address(&hop.next_hop), "interface", hop.interface, "mac",
			 hop.state == NEXT_HOP_UNRESOLVED ? json_null() : ctl_mac(hop.mac), "vlan",
			 (int)hop.vlan_id);
}

static json_t *allocation_object(const struct ctl_call *call, const struct turn_allocation_info *a)
{
	static const char *const transports[SHM_TRANSPORT_COUNT] = { "udp", "tcp", "tls", "dtls" };
	bool is_stream = a->client_transport != SHM_TRANSPORT_UDP;

	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:I, s:I, s:o, "
			 "s:o, s:b}",
			 "id", a->id, "user", ctl_text(a->username, a->username_bytes), "client",
			 ctl_endpoint(&a->client), "transport",
			 a->client_transport < SHM_TRANSPORT_COUNT ? transports[a->client_transport]
								   : "unknown",
			 "listener",
			 a->server.port_be != 0 ? ctl_endpoint(&a->server) : json_null(), "relayed",
			 ctl_endpoint(&a->relayed), "relayed2",
			 a->relayed2.port_be != 0 ? ctl_endpoint(&a->relayed2) : json_null(),
			 "mobile", a->is_mobile, "moving", a->is_moving, "age_s",
			 ctl_seconds(a->created_at_ns, call->now_ns), "expires_in_s",
			 ctl_seconds(call->now_ns, a->expires_at_ns), "permissions",
			 (json_int_t)a->n_permissions, "channels", (json_int_t)a->n_channels, "up",
			 usage_object(a->usage.up_pkts, a->usage.up_bytes), "down",
			 usage_object(a->usage.down_pkts, a->usage.down_bytes), "next_hop_resolved",
			 is_stream || a->client_l2_word != 0);
}

// What `allocations` looks for; an absent filter matches all.
struct search {
	struct ctl_call *call;
	const char *user;
	bool has_client, has_client_port, has_peer, has_peer_port;
	struct ip_endpoint client;
	struct ip_endpoint peer;
	bool peer_found; // by the allocation at hand
	uint64_t limit;
	uint64_t n_matching;
	json_t *found;
};

static bool peer_among_permissions(void *arg, const struct turn_permission_info *p)
{
	struct search *s = arg;

	s->peer_found = ip_address_equal(&p->peer, &s->peer.address);
	return !s->peer_found;
}

static bool peer_among_channels(void *arg, const struct turn_channel_info *c)
{
	struct search *s = arg;

	s->peer_found = ip_endpoint_equal(&c->peer, &s->peer);
	return !s->peer_found;
}

static bool user_matches(const struct turn_allocation_brief *a, const char *user)
{
	size_t n = strlen(user);
	const char *colon = memchr(a->username, ':', a->username_bytes);
	size_t id_bytes;

	if (n == a->username_bytes && memcmp(a->username, user, n) == 0)
		return true;
	// REST credentials: "expiry:id" also answers to its id.
	if (!colon)
		return false;
	id_bytes = a->username_bytes - (size_t)(colon + 1 - a->username);
	return id_bytes == n && memcmp(colon + 1, user, n) == 0;
}

// Counts what matches; true while it is to be shown.
static bool matches(void *arg, const struct turn_allocation_brief *a)
{
	struct search *s = arg;

	if (s->user && !user_matches(a, s->user))
		return false;
	if (s->has_client && (!ip_address_equal(&a->client.address, &s->client.address) ||
			      (s->has_client_port && a->client.port_be != s->client.port_be)))
		return false;
	if (s->has_peer) {
		s->peer_found = false;
		if (s->has_peer_port)
			turn_allocation_channels(s->call->engine->turn, a->idx, peer_among_channels,
						 s);
		else
			turn_allocation_permissions(s->call->engine->turn, a->idx,
						    peer_among_permissions, s);
		if (!s->peer_found)
			return false;
	}
	return s->n_matching++ < s->limit;
}

static bool collect(void *arg, const struct turn_allocation_info *a)
{
	struct search *s = arg;

	json_array_append_new(s->found, allocation_object(s->call, a));
	return true;
}

// "IP" or "IP:PORT".
static int arg_host(struct ctl_call *call, const char *name, struct ip_endpoint *out,
		    bool *is_given, bool *has_port)
{
	const char *text = NULL;

	if (ctl_arg_text(call, name, &text) < 0)
		return -1;
	if (!text)
		return 0;
	*is_given = true;
	*has_port = ip_endpoint_parse(text, out) == 0;
	if (*has_port || ip_address_parse(text, &out->address) == 0)
		return 0;
	ctl_refuse(call, "bad_argument", "write it as 192.0.2.1 or 192.0.2.1:5000",
		   "argument '%s' is neither an IP address nor IP:PORT", name);
	return -1;
}

json_t *ctl_allocations(struct ctl_call *call)
{
	struct search s = { .call = call, .limit = LIMIT_DEFAULT };

	if (ctl_arg_text(call, "user", &s.user) < 0 ||
	    ctl_arg_number(call, "limit", LIMIT_MAX, &s.limit) < 0 ||
	    arg_host(call, "client", &s.client, &s.has_client, &s.has_client_port) < 0 ||
	    arg_host(call, "peer", &s.peer, &s.has_peer, &s.has_peer_port) < 0)
		return NULL;
	s.found = json_array();
	if (!s.found)
		return NULL;
	turn_allocation_each(call->engine->turn, matches, collect, &s);
	return json_pack("{s:o, s:o, s:I}", "allocations", s.found, "matching",
			 ctl_counter(s.n_matching), "live",
			 (json_int_t)turn_server_n_allocations(call->engine->turn));
}

struct listing {
	const struct ctl_call *call;
	json_t *array;
};

static bool list_permission(void *arg, const struct turn_permission_info *p)
{
	struct listing *l = arg;

	json_array_append_new(l->array,
			      json_pack("{s:o, s:o, s:o, s:o}", "peer", ctl_address(&p->peer),
					"expires_in_s",
					ctl_seconds(l->call->now_ns, p->expires_at_ns), "next_hop",
					hop_object(l->call, p->neighbour_idx, p->is_hairpin),
					"down", usage_object(p->down_pkts, p->down_bytes)));
	return true;
}

static bool list_channel(void *arg, const struct turn_channel_info *c)
{
	struct listing *l = arg;

	json_array_append_new(l->array,
			      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "channel",
					json_sprintf("0x%04x", c->channel), "peer",
					ctl_endpoint(&c->peer), "expires_in_s",
					ctl_seconds(l->call->now_ns, c->expires_at_ns), "next_hop",
					hop_object(l->call, c->neighbour_idx, c->is_hairpin), "up",
					usage_object(c->up_pkts, c->up_bytes), "down",
					usage_object(c->down_pkts, c->down_bytes)));
	return true;
}

// The allocation of argument `id`.
static int find(struct ctl_call *call, struct turn_allocation_info *out)
{
	const char *id = NULL;
	uint32_t idx;

	if (ctl_arg_text(call, "id", &id) < 0)
		return -1;
	if (!id) {
		ctl_refuse(call, "bad_argument", "see: turnpikectl allocations", "no id is given");
		return -1;
	}
	if (turn_allocation_find_id(call->engine->turn, id, &idx) == 0 &&
	    turn_allocation_info(call->engine->turn, idx, out) == 0)
		return 0;
	for (uint32_t i = 0;; i++) {
		const struct turn_ended *e = turn_ended_at(call->engine->turn, i);

		if (!e)
			break;
		if (strcmp(e->id, id) != 0)
			continue;
		ctl_refuse(call, "not_found", "see: turnpikectl allocations",
			   "allocation %s ended %.1f s ago (%s)", id,
			   (double)(call->now_ns - e->ended_at_ns) / 1e9,
			   turn_end_reason_name(e->reason));
		return -1;
	}
	ctl_refuse(call, "not_found", "see: turnpikectl allocations",
		   "no live allocation has the id %.40s", id);
	return -1;
}

json_t *ctl_allocation_show(struct ctl_call *call)
{
	struct turn_allocation_info a;
	struct listing permissions = { .call = call }, channels = { .call = call };
	json_t *object;

	if (find(call, &a) < 0)
		return NULL;
	permissions.array = json_array();
	channels.array = json_array();
	turn_allocation_permissions(call->engine->turn, a.idx, list_permission, &permissions);
	turn_allocation_channels(call->engine->turn, a.idx, list_channel, &channels);
	object = allocation_object(call, &a);
	json_object_set_new(object, "next_hop", hop_object(call, a.client_neighbour_idx, false));
	json_object_set_new(object, "permissions", permissions.array);
	json_object_set_new(object, "channels", channels.array);
	return object;
}

json_t *ctl_allocation_kill(struct ctl_call *call)
{
	struct turn_allocation_info a;
	json_t *object;

	if (find(call, &a) < 0)
		return NULL;
	object = allocation_object(call, &a);
	log_info("allocation %s of user %.*s killed by an operator", a.id, (int)a.username_bytes,
		 a.username);
	if (turn_allocation_kill(call->engine->turn, a.idx, call->now_ns) < 0) {
		json_decref(object);
		return ctl_refuse(call, "not_found", "see: turnpikectl allocations",
				  "allocation %s is gone already", a.id);
	}
	return json_pack("{s:b, s:o}", "killed", 1, "allocation", object);
}
