// The wheel. Lists are doubly linked by entry index; 0 ends them. Control plane's loop thread.
#include "controlplane/turn/timers.h"

#include <string.h>

#define NS_PER_S 1000000000ull

void turn_timers_init(struct turn_timers *t, uint64_t now_ns)
{
	memset(t, 0, sizeof(*t));
	t->next_s = now_ns / NS_PER_S;
}

void turn_timers_add(struct turn_timers *t, struct turn_flow_state *flows, uint32_t entry,
		     uint64_t expires_at_ns)
{
	uint64_t at_s = expires_at_ns / NS_PER_S + 1;
	struct turn_flow_state *f = &flows[entry];
	uint32_t *head;

	if (at_s < t->next_s)
		at_s = t->next_s;
	// Beyond the wheel: looked at when the wheel has turned, and queued again.
	if (at_s > t->next_s + TURN_TIMER_SLOTS - 1)
		at_s = t->next_s + TURN_TIMER_SLOTS - 1;
	head = &t->head[at_s % TURN_TIMER_SLOTS];
	f->timer_slot = (uint32_t)(at_s % TURN_TIMER_SLOTS) + 1;
	f->timer_prev = 0;
	f->timer_next = *head;
	if (f->timer_next != 0)
		flows[f->timer_next].timer_prev = entry;
	*head = entry;
}

void turn_timers_remove(struct turn_timers *t, struct turn_flow_state *flows, uint32_t entry)
{
	struct turn_flow_state *f = &flows[entry];

	if (f->timer_slot == TURN_TIMER_NONE)
		return;
	if (f->timer_prev != 0)
		flows[f->timer_prev].timer_next = f->timer_next;
	else
		t->head[f->timer_slot - 1] = f->timer_next;
	if (f->timer_next != 0)
		flows[f->timer_next].timer_prev = f->timer_prev;
	f->timer_next = f->timer_prev = 0;
	f->timer_slot = TURN_TIMER_NONE;
}

uint32_t turn_timers_pop(struct turn_timers *t, struct turn_flow_state *flows, uint64_t now_ns)
{
	uint64_t now_s = now_ns / NS_PER_S;

	for (; t->next_s <= now_s; t->next_s++) {
		uint32_t entry = t->head[t->next_s % TURN_TIMER_SLOTS];

		if (entry == 0)
			continue;
		turn_timers_remove(t, flows, entry);
		return entry;
	}
	return 0;
}
