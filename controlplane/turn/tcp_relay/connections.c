// The table of peer data connections. Control plane's loop thread.
#include "controlplane/turn/tcp_relay/connections.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

int turn_tcp_connections_init(struct turn_tcp_connections *c, uint32_t n_allocations, uint32_t max,
			      uint32_t max_per_allocation)
{
	memset(c, 0, sizeof(*c));
	c->max = max < TURN_TCP_CONNECTIONS_MOST ? max : TURN_TCP_CONNECTIONS_MOST;
	c->max_per_allocation = max_per_allocation;
	c->slot = calloc((size_t)c->max + 1, sizeof(*c->slot));
	c->owner = calloc((size_t)n_allocations + 1, sizeof(*c->owner));
	if (c->slot == NULL || c->owner == NULL) {
		turn_tcp_connections_fini(c);
		return -ENOMEM;
	}
	for (uint32_t i = 1; i < c->max; i++)
		c->slot[i].next = i + 1;
	c->free = c->max > 0 ? 1 : 0;
	return 0;
}

void turn_tcp_connections_fini(struct turn_tcp_connections *c)
{
	free(c->slot);
	free(c->owner);
	memset(c, 0, sizeof(*c));
}

// All wait equally long, so whoever begins to wait is the last to end.
static void wait_begin(struct turn_tcp_connections *c, uint32_t idx, uint64_t deadline_ns)
{
	struct turn_tcp_connection *t = &c->slot[idx];

	t->deadline_ns = deadline_ns;
	t->wait_next = 0;
	t->wait_prev = c->wait_last;
	if (c->wait_last != 0)
		c->slot[c->wait_last].wait_next = idx;
	else
		c->wait_first = idx;
	c->wait_last = idx;
}

static void wait_end(struct turn_tcp_connections *c, uint32_t idx)
{
	struct turn_tcp_connection *t = &c->slot[idx];

	if (t->deadline_ns == 0)
		return;
	if (t->wait_prev != 0)
		c->slot[t->wait_prev].wait_next = t->wait_next;
	else
		c->wait_first = t->wait_next;
	if (t->wait_next != 0)
		c->slot[t->wait_next].wait_prev = t->wait_prev;
	else
		c->wait_last = t->wait_prev;
	t->deadline_ns = 0;
	t->wait_next = t->wait_prev = 0;
}

uint32_t turn_tcp_connection_add(struct turn_tcp_connections *c, uint32_t allocation_idx,
				 const struct ip_endpoint *peer, enum turn_tcp_state state,
				 uint64_t deadline_ns)
{
	struct turn_tcp_owner *owner = &c->owner[allocation_idx];
	struct turn_tcp_connection *t;
	uint32_t idx = c->free;
	uint16_t random;

	if (idx == 0 || owner->n >= c->max_per_allocation ||
	    RAND_bytes((unsigned char *)&random, sizeof(random)) != 1)
		return 0;
	t = &c->slot[idx];
	c->free = t->next;
	*t = (struct turn_tcp_connection){
		.id = (uint32_t)random << 16 | idx,
		.allocation_idx = allocation_idx,
		.peer = *peer,
		.next = owner->first,
		.state = (uint8_t)state,
	};
	if (owner->first != 0)
		c->slot[owner->first].prev = idx;
	owner->first = idx;
	owner->n++;
	c->n++;
	wait_begin(c, idx, deadline_ns);
	return idx;
}

void turn_tcp_connection_remove(struct turn_tcp_connections *c, uint32_t idx)
{
	struct turn_tcp_connection *t = &c->slot[idx];
	struct turn_tcp_owner *owner = &c->owner[t->allocation_idx];

	wait_end(c, idx);
	if (t->prev != 0)
		c->slot[t->prev].next = t->next;
	else
		owner->first = t->next;
	if (t->next != 0)
		c->slot[t->next].prev = t->prev;
	owner->n--;
	c->n--;
	*t = (struct turn_tcp_connection){ .next = c->free };
	c->free = idx;
}

void turn_tcp_connection_set(struct turn_tcp_connections *c, uint32_t idx,
			     enum turn_tcp_state state, uint64_t deadline_ns)
{
	wait_end(c, idx);
	c->slot[idx].state = (uint8_t)state;
	if (state != TURN_TCP_BOUND)
		wait_begin(c, idx, deadline_ns);
}

uint32_t turn_tcp_connection_by_id(const struct turn_tcp_connections *c, uint32_t id)
{
	uint32_t idx = id & 0xffff;

	if (idx == 0 || idx > c->max || c->slot[idx].state == TURN_TCP_FREE ||
	    c->slot[idx].id != id)
		return 0;
	return idx;
}

uint32_t turn_tcp_connection_by_peer(const struct turn_tcp_connections *c, uint32_t allocation_idx,
				     const struct ip_endpoint *peer)
{
	uint32_t idx = c->owner[allocation_idx].first;

	while (idx != 0 && !ip_endpoint_equal(&c->slot[idx].peer, peer))
		idx = c->slot[idx].next;
	return idx;
}

uint32_t turn_tcp_connection_overdue(const struct turn_tcp_connections *c, uint64_t now_ns)
{
	uint32_t idx = c->wait_first;

	return idx != 0 && c->slot[idx].deadline_ns <= now_ns ? idx : 0;
}
