// From a destination to an entry of the neighbour table, and keeping those entries true. Answers of
// the kernel's routing are cached per destination until something changes there. Control plane's
// loop thread; writes neighbours through table_writer.
#include "controlplane/net/next_hop.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/rtnetlink.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/net/neighbours.h"
#include "controlplane/net/next_hop_private.h"
#include "controlplane/net/routes.h"
#include "controlplane/ops/log.h"
#include "dataplane/contract/wire/challenge.h"

#define NS_PER_S 1000000000ull
// Of sets of four: with one place for each, of 2000 destinations every eighth shared its place with another, and each of the
// two asked the kernel whenever the other had been there.
#define CACHE_WAYS  4u
#define CACHE_SLOTS 16384u
// How often the kernel is asked to verify a neighbour that is in use: the workers' packets do not
// pass it, so it cannot know.
#define TOUCH_NS (15 * NS_PER_S)
#define RETRY_NS NS_PER_S // while it is unresolved or failed
// A neighbour whose resolution failed keeps its last MAC address for so long: under a flood ARP may
// lose where traffic does not.
#define FAILED_KEEP_NS (10 * NS_PER_S)
#define CARE_PERIOD_US 250000
// Entries looked at in one round of care.
#define CARE_BATCH   4096u
#define SWEEP_MIN_NS (NS_PER_S / 2)

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

// ---- routes

static void hop_static(const struct next_hops *n, struct hop *out)
{
	for (uint32_t i = 0; i < n->config->n_ports; i++) {
		if (!n->config->ports[i].has_gateway_mac)
			continue;
		*out = (struct hop){
			.next_hop = next_hop_static_key((uint8_t)i),
			.state = NEXT_HOP_STATIC,
			.port_idx = (uint8_t)i,
			.vlan_id = n->config->ports[i].vlan_id,
		};
		return;
	}
}

int next_hop_lookup(struct next_hops *n, const struct ip_address *destination, struct hop *out)
{
	const struct link_entry *link;
	struct route route;
	int ret;

	*out = (struct hop){ .next_hop = *destination, .state = NEXT_HOP_NONE };
	if (n->netlink != NULL) {
		n->stats.n_route_lookups++;
		ret = route_lookup(n->netlink, destination, &route);
		if (ret < 0) {
			n->stats.n_route_failures++;
			return ret;
		}
		link = links_find(&n->links, route.ifindex);
		if (route.kind == ROUTE_LOCAL) {
			out->state = NEXT_HOP_LOCAL;
			out->ifindex = route.ifindex;
			return 0;
		}
		if (route.kind == ROUTE_UNICAST && link != NULL) {
			*out = (struct hop){
				.next_hop = route.next_hop,
				.ifindex = route.ifindex,
				.state = NEXT_HOP_UNRESOLVED,
				.port_idx = link->port_idx,
				.vlan_id = link->vlan_id,
			};
			return 0;
		}
		out->ifindex = route.kind == ROUTE_UNICAST ? route.ifindex : 0;
	}
	hop_static(n, out);
	return 0;
}

static const struct hop *hop_of(struct next_hops *n, const struct ip_address *destination)
{
	struct cached *set, *c = NULL;
	uint8_t hash[16];
	uint32_t slot;

	siphash128(n->hash_key, destination->bytes, 16, hash);
	memcpy(&slot, hash, sizeof(slot));
	set = &n->cache[slot % (CACHE_SLOTS / CACHE_WAYS) * CACHE_WAYS];
	for (uint32_t i = 0; i < CACHE_WAYS; i++) {
		if (set[i].generation != n->generation) {
			c = c == NULL ? &set[i] : c;
		} else if (ip_address_equal(&set[i].destination, destination)) {
			n->stats.n_route_cache_hits++;
			return &set[i].hop;
		}
	}
	if (c == NULL)
		c = &set[n->stats.n_route_lookups % CACHE_WAYS];
	c->destination = *destination;
	// No answer is no knowledge: the next one who asks tries again.
	c->generation = next_hop_lookup(n, destination, &c->hop) < 0 ? 0 : n->generation;
	return &c->hop;
}

// ---- neighbours

static void word_set(struct next_hops *n, uint16_t idx, const struct neighbour_event *e)
{
	const struct link_entry *link = links_find(&n->links, e->ifindex);

	if (link == NULL)
		return;
	table_writer_neighbour_set_word(n->tables, idx,
					shm_neighbour_word(e->mac, link->vlan_id, link->port_idx));
	n->failed_at_ns[idx] = 0;
}

static void neighbour_apply(struct next_hops *n, uint16_t idx, const struct neighbour_event *e)
{
	switch (e->kind) {
	case NEIGHBOUR_RESOLVED:
		word_set(n, idx, e);
		break;
	case NEIGHBOUR_FAILED:
		if (n->failed_at_ns[idx] == 0)
			n->failed_at_ns[idx] = clock_ns();
		break;
	default:
		break;
	}
}

static void on_event(void *arg, const struct nlmsghdr *m)
{
	struct next_hops *n = arg;
	struct neighbour_event e;
	uint16_t idx;

	switch (m->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (!neighbour_parse(m, &e))
			return;
		n->stats.n_neighbour_events++;
		idx = table_writer_neighbour_find(n->tables, &e.address, e.ifindex);
		if (idx != 0)
			neighbour_apply(n, idx, &e);
		return;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		n->links_are_stale = true;
		n->is_stale = true;
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWADDR:
	case RTM_DELADDR:
		n->is_stale = true;
		return;
	default:
		return;
	}
}

static void on_dumped(void *arg, const struct nlmsghdr *m)
{
	on_event(arg, m);
}

static void on_overrun(void *arg)
{
	struct next_hops *n = arg;

	n->links_are_stale = true;
	n->is_stale = true;
}

// The entry of a next hop that the kernel resolves, asked for at once when it is new.
static uint16_t acquire_kernel(struct next_hops *n, const struct hop *h)
{
	uint16_t idx = table_writer_neighbour_acquire(n->tables, &h->next_hop, h->ifindex);
	struct neighbour_event e;

	if (idx == 0)
		return 0;
	if (idx > n->high_idx)
		n->high_idx = idx;
	if (table_writer_neighbour(n->tables, idx)->n_users > 1)
		return idx;
	n->failed_at_ns[idx] = 0;
	if (neighbour_get(n->netlink, &h->next_hop, h->ifindex, &e) == 0)
		neighbour_apply(n, idx, &e);
	neighbour_touch(n->netlink, &h->next_hop, h->ifindex);
	n->touched_at_ns[idx] = clock_ns();
	return idx;
}

static uint16_t acquire_static(struct next_hops *n, const struct hop *h)
{
	uint16_t idx = table_writer_neighbour_acquire(n->tables, &h->next_hop, 0);

	table_writer_neighbour_set_word(
		n->tables, idx,
		shm_neighbour_word(n->config->ports[h->port_idx].gateway_mac, h->vlan_id,
				   h->port_idx));
	return idx;
}

static uint16_t acquire_peer(void *arg, const struct ip_address *peer)
{
	struct next_hops *n = arg;
	const struct hop *h = hop_of(n, peer);

	switch (h->state) {
	case NEXT_HOP_UNRESOLVED:
		return acquire_kernel(n, h);
	case NEXT_HOP_STATIC:
		return acquire_static(n, h);
	default:
		return 0;
	}
}

static uint16_t acquire_client(void *arg, const struct ip_address *client, uint64_t l2_word)
{
	struct next_hops *n = arg;
	const struct hop *h = hop_of(n, client);
	uint16_t idx;

	switch (h->state) {
	case NEXT_HOP_UNRESOLVED:
		idx = acquire_kernel(n, h);
		break;
	case NEXT_HOP_STATIC:
		return acquire_static(n, h);
	default:
		if (l2_word == 0)
			return 0;
		idx = table_writer_neighbour_acquire(n->tables, client, 0);
		if (idx != 0)
			table_writer_neighbour_set_word(n->tables, idx, l2_word);
		return idx;
	}
	if (idx != 0 && l2_word != 0 && table_writer_neighbour(n->tables, idx)->word == 0)
		table_writer_neighbour_set_word(n->tables, idx, l2_word);
	return idx;
}

struct turn_next_hops next_hops_for_turn(struct next_hops *n)
{
	return (struct turn_next_hops){
		.arg = n,
		.client = acquire_client,
		.peer = acquire_peer,
	};
}

void next_hops_attach_turn(struct next_hops *n, struct turn_server *turn)
{
	n->turn = turn;
}

// ---- care

// Verifies neighbours in use, retries unresolved ones, gives up those that failed for long.
static void care_neighbours(struct next_hops *n, uint64_t now_ns)
{
	for (uint32_t i = 0; i < CARE_BATCH && i < n->high_idx; i++) {
		const struct shm_neighbour *e;
		struct ip_address a;
		uint16_t idx;

		if (n->care_cursor == 0 || n->care_cursor > n->high_idx)
			n->care_cursor = 1;
		idx = (uint16_t)n->care_cursor++;
		e = table_writer_neighbour(n->tables, idx);
		if (e->n_users == 0 || e->ifindex == 0)
			continue;
		if (n->failed_at_ns[idx] != 0 && now_ns - n->failed_at_ns[idx] > FAILED_KEEP_NS)
			table_writer_neighbour_set_word(n->tables, idx, 0);
		if (now_ns - n->touched_at_ns[idx] <
		    (e->word == 0 || n->failed_at_ns[idx] != 0 ? RETRY_NS : TOUCH_NS))
			continue;
		n->touched_at_ns[idx] = now_ns;
		memcpy(a.bytes, e->address, 16);
		neighbour_touch(n->netlink, &a, e->ifindex);
	}
}

// Routes changed: all flows are asked about anew, also those that a sweep still under way has
// passed.
static void sweep(struct next_hops *n, uint64_t now_ns)
{
	if (!n->is_stale || now_ns - n->swept_at_ns < SWEEP_MIN_NS)
		return;
	if (n->links_are_stale && links_load(&n->links, n->netlink, n->config) < 0)
		return;
	n->links_are_stale = false;
	n->is_stale = false;
	n->generation++;
	n->swept_at_ns = now_ns;
	n->stats.n_sweeps++;
	neighbour_dump(n->netlink, on_dumped, n);
	if (n->turn != NULL)
		turn_server_renew_next_hops(n->turn);
}

static void on_care(evutil_socket_t fd, short what, void *arg)
{
	struct next_hops *n = arg;
	uint64_t now_ns = clock_ns();

	care_neighbours(n, now_ns);
	sweep(n, now_ns);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct next_hops *n = arg;

	netlink_read_events(n->netlink);
}

// ---- life

int next_hops_start(struct next_hops *n, struct event_base *base)
{
	const struct timeval period = { .tv_usec = CARE_PERIOD_US };
	struct netlink_events events = {
		.on_event = on_event,
		.on_overrun = on_overrun,
		.arg = n,
	};
	int ret = netlink_open(&events, &n->netlink);

	if (ret < 0)
		return ret;
	ret = links_load(&n->links, n->netlink, n->config);
	if (ret < 0)
		return ret;
	n->readable =
		event_new(base, netlink_event_fd(n->netlink), EV_READ | EV_PERSIST, on_readable, n);
	n->care = event_new(base, -1, EV_PERSIST, on_care, n);
	if (n->readable == NULL || n->care == NULL || event_add(n->readable, NULL) < 0 ||
	    event_add(n->care, &period) < 0)
		return -ENOMEM;
	// What was found without the kernel counts no more.
	n->generation++;
	// Adopted neighbours may have moved while nobody watched, and so may routes.
	for (uint32_t i = SHM_NEIGHBOURS_MAX - 1; i > 0 && n->high_idx == 0; i--) {
		if (table_writer_neighbour(n->tables, (uint16_t)i)->n_users > 0)
			n->high_idx = (uint16_t)i;
	}
	// Not all at once, every 15 s.
	for (uint32_t i = 1; i <= n->high_idx; i++)
		n->touched_at_ns[i] = clock_ns() - i % 15 * NS_PER_S;
	n->is_stale = n->high_idx != 0;
	return 0;
}

int next_hops_new(const struct config *config, struct table_writer *tables, struct next_hops **out)
{
	struct next_hops *n = calloc(1, sizeof(*n));
	int ret = -ENOMEM;

	if (n == NULL)
		return -ENOMEM;
	n->config = config;
	n->tables = tables;
	n->generation = 1;
	n->cache = calloc(CACHE_SLOTS, sizeof(*n->cache));
	n->failed_at_ns = calloc(SHM_NEIGHBOURS_MAX, sizeof(*n->failed_at_ns));
	n->touched_at_ns = calloc(SHM_NEIGHBOURS_MAX, sizeof(*n->touched_at_ns));
	if (n->cache == NULL || n->failed_at_ns == NULL || n->touched_at_ns == NULL)
		goto fail;
	if (RAND_bytes(n->hash_key, sizeof(n->hash_key)) != 1) {
		ret = -EIO;
		goto fail;
	}
	*out = n;
	return 0;
fail:
	next_hops_free(n);
	return ret;
}

void next_hops_free(struct next_hops *n)
{
	if (n == NULL)
		return;
	if (n->readable != NULL)
		event_free(n->readable);
	if (n->care != NULL)
		event_free(n->care);
	netlink_close(n->netlink);
	free(n->cache);
	free(n->failed_at_ns);
	free(n->touched_at_ns);
	free(n);
}

void next_hops_reload(struct next_hops *n, const struct config *config)
{
	n->config = config;
	n->links_are_stale = true;
	n->is_stale = true;
}

const struct next_hops_stats *next_hops_stats(const struct next_hops *n)
{
	return &n->stats;
}
