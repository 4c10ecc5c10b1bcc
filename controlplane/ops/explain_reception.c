// The first half of an explanation: do packets reach a worker, and is there an allocation. Control
// plane's loop thread.
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "bpf/filter.h"
#include "controlplane/ops/explain.h"

#define SIBLINGS_SHOWN 3

static void check_dataplane(struct explain *x)
{
	const struct shm_dataplane_state *d = &x->engine->tables.workers->dataplane;
	uint32_t n_online = 0;

	if (!table_writer_dataplane_alive(&x->engine->tables, x->now_ns)) {
		explain_drop(x, EXPLAIN_BOTH, "dataplane", "dataplane_down",
			     x->engine->filter ? "dropped_no_worker" : NULL,
			     "start turnpike-dataplane, and read its log if it does not stay",
			     d->heartbeat_ns ? "the dataplane does not run: its last heartbeat is "
					       "%.1f s old"
					     : "no dataplane has started yet",
			     d->heartbeat_ns < x->now_ns
				     ? (double)(x->now_ns - d->heartbeat_ns) / 1e9
				     : 0.0);
		return;
	}
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		n_online += __atomic_load_n(&x->engine->tables.workers->worker[i].online,
					    __ATOMIC_RELAXED) == 1;
	if (n_online == 0)
		explain_drop(x, EXPLAIN_BOTH, "dataplane", "dataplane_down", NULL,
			     "wait a moment, then read the log of turnpike-dataplane",
			     "the dataplane (pid %u) runs, but none of its workers is online",
			     d->pid);
	else
		explain_pass(x, EXPLAIN_BOTH, "dataplane", "running, pid %u, %u worker(s) online",
			     d->pid, n_online);
}

// The filter on the port that carries one of our addresses.
static void check_filter(struct explain *x, unsigned direction, const struct ip_endpoint *local)
{
	const struct shm_settings *s = &x->engine->tables.settings;
	int local_idx = table_writer_local_find(&x->engine->tables, &local->address);
	const struct shm_port_settings *port;
	struct xdp_filter_attachment a;
	struct xdp_filter_port wanted;
	char text[IP_ENDPOINT_TEXT_MAX];
	uint32_t ifindex;

	if (local_idx < 0 || s->local[local_idx].port_idx >= s->n_ports)
		return;
	port = &s->port[s->local[local_idx].port_idx];
	if (port->kernel_path != SHM_KERNEL_PATH_BESIDE || !x->engine->filter)
		return;
	ifindex = if_nametoindex(port->interface);
	if (!ifindex) {
		explain_drop(x, direction, "filter", "interface_missing", NULL,
			     "create the interface, then restart turnpike-dataplane",
			     "the interface %s does not exist any more", port->interface);
		return;
	}
	if (xdp_filter_query(x->engine->run_dir, (int)ifindex, &a) < 0)
		return;
	if (a.mode == XDP_FILTER_MODE_NONE) {
		explain_drop(x, direction, "filter", "filter_detached",
			     a.guard_attached ? "guard_dropped" : NULL,
			     "restart turnpike-dataplane: it attaches the filter",
			     "no XDP filter is attached to %s, so no packet reaches a worker",
			     port->interface);
		return;
	}
	if (!a.is_ours || !a.is_instances) {
		explain_drop(
			x, direction, "filter", "filter_foreign", NULL,
			"detach it (ip link set dev IF xdp off), then restart turnpike-dataplane",
			"the XDP program on %s is %s", port->interface,
			a.is_ours ? "the filter of another instance" : "not ours");
		return;
	}
	ip_endpoint_format(local, text, sizeof(text));
	if (xdp_filter_lookup(x->engine->filter, local, &wanted) < 0 ||
	    (!wanted.is_relayed && !(wanted.accept & XDP_ACCEPT_TURN))) {
		explain_drop(x, direction, "filter", "filter_unconfigured", "passed_other_port",
			     "restart turnpike-controlplane: it writes the filter's maps",
			     "the filter on %s does not know %s and leaves it to the kernel",
			     port->interface, text);
		return;
	}
	explain_pass(x, direction, "filter", "attached to %s (%s), steers %s to the workers",
		     port->interface, xdp_filter_mode_name(a.mode), text);
}

static bool is_listener(const struct explain *x, const struct ip_endpoint *e)
{
	for (uint32_t i = 0; i < x->engine->config->n_listeners; i++)
		if (ip_endpoint_equal(&x->engine->config->listeners[i].endpoint, e))
			return true;
	return false;
}

void explain_reception(struct explain *x)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	check_dataplane(x);
	if (!x->has_listener)
		return;
	ip_endpoint_format(&x->listener, text, sizeof(text));
	if (is_listener(x, &x->listener))
		explain_pass(x, EXPLAIN_UP, "listener", "%s is a listener of ours", text);
	else
		explain_drop(
			x, EXPLAIN_BOTH, "listener", "not_ours", "not_ours",
			"see: turnpikectl status; add it under 'listeners' or point the client "
			"at one of them",
			"%s is no listener of this instance", text);
}

// ---- the allocation

// Other allocations of the same client address: its NAT moved it to another port, or the wrong one
// was asked about.
struct siblings {
	const struct explain *x;
	uint32_t n;
	char list[SIBLINGS_SHOWN * (IP_ENDPOINT_TEXT_MAX + 2)];
};

// Notes it; no more than that is to be told of it.
static bool note_sibling(void *arg, const struct turn_allocation_brief *a)
{
	struct siblings *s = arg;
	char text[IP_ENDPOINT_TEXT_MAX];
	size_t n = strlen(s->list);

	if (!ip_address_equal(&a->client.address, &s->x->client.address))
		return false;
	if (s->n++ < SIBLINGS_SHOWN)
		snprintf(s->list + n, sizeof(s->list) - n, "%s%s", n ? ", " : "",
			 ip_endpoint_format(&a->client, text, sizeof(text)));
	return false;
}

// What may have kept the client from allocating.
static void note_scarcity(struct explain *x)
{
	const struct engine *e = x->engine;
	uint32_t live = turn_server_n_allocations(e->turn);
	uint32_t most =
		e->config->quota_total && e->config->quota_total < e->tables.n_allocations_max
			? e->config->quota_total
			: e->tables.n_allocations_max;

	if (live >= most)
		explain_drop(x, EXPLAIN_BOTH, "quota", "quota_total", NULL,
			     "raise quota.total or tables.max_allocations",
			     "%u of %u allocations are live: new ones are refused (486)", live,
			     most);
	else
		explain_pass(x, EXPLAIN_BOTH, "quota", "%u of %u allocations are live", live, most);
	for (uint32_t i = 0; i < e->config->n_relays; i++) {
		int local_idx = table_writer_local_find(&e->tables, &e->config->relays[i].address);
		char text[IP_ENDPOINT_TEXT_MAX];

		if (local_idx < 0 || turn_server_free_ports(e->turn, (uint8_t)local_idx) > 0)
			continue;
		explain_drop(x, EXPLAIN_BOTH, "ports", "ports_exhausted", NULL,
			     "widen relay.min_port..max_port or add an address under "
			     "relay.addresses",
			     "all relayed ports of %s are taken: new allocations are refused (508)",
			     ip_address_format(&e->config->relays[i].address, text, sizeof(text)));
	}
}

static void explain_ended(struct explain *x, const struct turn_ended *ended, const char *client)
{
	static const struct {
		const char *reason;
		const char *remedy;
	} by_reason[TURN_END_COUNT] = {
		[TURN_END_EXPIRED] = { "allocation_expired",
				       "the client must send Refresh before the lifetime ends; it "
				       "has to allocate anew" },
		[TURN_END_DELETED] = { "allocation_deleted",
				       "the client ended it itself (Refresh with lifetime 0); it "
				       "has to allocate anew" },
		[TURN_END_KILLED] = { "allocation_killed",
				      "an operator ended it; the client has to allocate anew" },
		[TURN_END_CONFIGURATION] = { "allocation_unconfigured",
					     "its listener, relayed address or port is not "
					     "configured any more; the client has to allocate "
					     "anew" },
		[TURN_END_CONNECTION] = { "allocation_disconnected",
					  "its connection closed; the client has to connect and "
					  "allocate anew" },
		[TURN_END_DAMAGED] = { "allocation_damaged",
				       "it was half-made when a control plane died; the client "
				       "has to allocate anew" },
	};
	const char *reason = "no_allocation";
	const char *remedy = "the client has to allocate anew";

	if (ended->reason < TURN_END_COUNT) {
		reason = by_reason[ended->reason].reason;
		remedy = by_reason[ended->reason].remedy;
	}
	explain_drop(x, EXPLAIN_BOTH, "allocation", reason, "no_allocation", remedy,
		     "the allocation %s of %s ended %.1f s ago (%s)", ended->id, client,
		     (double)(x->now_ns - ended->ended_at_ns) / 1e9,
		     turn_end_reason_name(ended->reason));
}

static void explain_absent(struct explain *x)
{
	const struct turn_ended *ended = turn_ended_find_client(x->engine->turn, &x->client);
	struct siblings s = { .x = x };
	char text[IP_ENDPOINT_TEXT_MAX];

	ip_endpoint_format(&x->client, text, sizeof(text));
	if (ended) {
		explain_ended(x, ended, text);
		return;
	}
	note_scarcity(x);
	turn_allocation_each(x->engine->turn, note_sibling, NULL, &s);
	if (s.n > 0) {
		explain_drop(x, EXPLAIN_BOTH, "allocation", "no_allocation", "no_allocation",
			     "the client's NAT may have moved it to another port: ask about that "
			     "one, or let the client allocate anew",
			     "%s has no allocation, but its address has %u: %s%s", text, s.n,
			     s.list, s.n > SIBLINGS_SHOWN ? ", ..." : "");
		return;
	}
	explain_drop(
		x, EXPLAIN_BOTH, "allocation", "no_allocation", "no_allocation",
		"the client has to allocate; if it tries, look for 401 and 486 in: turnpikectl "
		"stats",
		"%s has no allocation", text);
	note_scarcity(x);
}

// Of a relayed port that a peer sends to.
static bool find_by_relayed(struct explain *x, uint32_t *idx)
{
	const struct config *c = x->engine->config;
	uint16_t port = ntohs(x->relayed.port_be);
	char text[IP_ENDPOINT_TEXT_MAX];
	bool is_in_range = false;

	if (turn_allocation_find_relayed(x->engine->turn, &x->relayed, idx) == 0)
		return true;
	ip_endpoint_format(&x->relayed, text, sizeof(text));
	for (uint32_t i = 0; i < c->n_relays; i++)
		is_in_range |= ip_address_equal(&c->relays[i].address, &x->relayed.address) &&
			       port >= c->relay_port_min && port <= c->relay_port_max;
	if (is_in_range)
		explain_drop(x, EXPLAIN_BOTH, "relayed", "no_relay", "no_permission",
			     "the peer holds an old candidate; it has to learn the new relayed "
			     "address from the client",
			     "no allocation holds the relayed port %s", text);
	else
		explain_drop(x, EXPLAIN_BOTH, "relayed", "not_ours", "not_ours",
			     "see relay.addresses and the port range in: turnpikectl config show",
			     "%s is no relayed address and port of this instance", text);
	return false;
}

bool explain_allocation(struct explain *x)
{
	const struct turn_allocation_info *a = &x->allocation;
	char client[IP_ENDPOINT_TEXT_MAX], relayed[IP_ENDPOINT_TEXT_MAX];
	uint32_t idx;
	int local_idx;

	if (!x->has_client) {
		if (!find_by_relayed(x, &idx))
			return false;
	} else if (turn_allocation_find_client(x->engine->turn, &x->client,
					       x->has_listener ? &x->listener : NULL, &idx) < 0) {
		explain_absent(x);
		return false;
	}
	if (turn_allocation_info(x->engine->turn, idx, &x->allocation) < 0)
		return false;
	x->has_allocation = true;
	local_idx = table_writer_local_find(&x->engine->tables, &a->server.address);
	x->server_idx = (uint8_t)local_idx;
	local_idx = table_writer_local_find(&x->engine->tables, &a->relayed.address);
	x->relay_idx = (uint8_t)local_idx;

	// The kernel has the connection of a stream.
	if (a->client_transport == SHM_TRANSPORT_UDP)
		check_filter(x, EXPLAIN_UP, &a->server);
	check_filter(x, EXPLAIN_DOWN, &a->relayed);
	if (a->relayed2.port_be != 0)
		check_filter(x, EXPLAIN_DOWN, &a->relayed2);
	ip_endpoint_format(&a->client, client, sizeof(client));
	ip_endpoint_format(&a->relayed, relayed, sizeof(relayed));
	if (a->expires_at_ns <= x->now_ns)
		explain_drop(x, EXPLAIN_BOTH, "allocation", "allocation_expired",
			     "allocation_expired",
			     "the client must send Refresh before the lifetime ends; it has to "
			     "allocate anew",
			     "the allocation %s of %s expired %.1f s ago", a->id, client,
			     (double)(x->now_ns - a->expires_at_ns) / 1e9);
	else
		explain_pass(x, EXPLAIN_BOTH, "allocation",
			     "%s of user %.*s, client %s, relayed address %s, expires in %.0f s",
			     a->id, a->username_bytes > 64 ? 64 : (int)a->username_bytes,
			     a->username, client, relayed,
			     (double)(a->expires_at_ns - x->now_ns) / 1e9);
	return true;
}
