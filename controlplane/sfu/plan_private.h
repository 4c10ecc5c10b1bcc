// Between the files of the plan.
#ifndef TP_SFU_PLAN_PRIVATE_H
#define TP_SFU_PLAN_PRIVATE_H

#include "controlplane/sfu/plan.h"

// A slot and what it is to carry.
struct sfu_plan_choice {
	const struct sfu_plan_slot *slot;
	uint32_t owner;
	uint32_t publisher; // SFU_PLAN_ANY = nothing
	uint32_t order;     // of slots over the room
	bool is_listed;     // found in the list that it belongs to
};

// Fills one choice for each slot of the watcher. `by_rank` holds the publishers' indices, first shown first; `taken` has room for
// all publishers. Returns how many slots stay empty for want of a codec.
uint32_t sfu_plan_seat(const struct sfu_plan_input *in, const struct sfu_plan_watcher *w,
		       const uint32_t *by_rank, uint8_t *taken, struct sfu_plan_choice *out);

#endif
