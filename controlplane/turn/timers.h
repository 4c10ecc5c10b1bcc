// When flow entries expire: a wheel of seconds over the entries' own memory. A refresh does not
// move an entry: it is looked at when its old second comes, and queued again. Control plane's loop
// thread.
#ifndef TP_TURN_TIMERS_H
#define TP_TURN_TIMERS_H

#include <stdint.h>

#include "controlplane/turn/allocation.h"

#define TURN_TIMER_SLOTS 8192u
#define TURN_TIMER_NONE  0u // timer_slot holds the slot's number + 1

struct turn_timers {
	uint32_t head[TURN_TIMER_SLOTS];
	uint64_t next_s; // the first second that was not handled yet
};

void turn_timers_init(struct turn_timers *t, uint64_t now_ns);
// Queues the entry for the second in which expires_at_ns has passed.
void turn_timers_add(struct turn_timers *t, struct turn_flow_state *flows, uint32_t entry,
		     uint64_t expires_at_ns);
void turn_timers_remove(struct turn_timers *t, struct turn_flow_state *flows, uint32_t entry);
// Takes the next entry whose second has come; 0 when there is none.
uint32_t turn_timers_pop(struct turn_timers *t, struct turn_flow_state *flows, uint64_t now_ns);

#endif
