// From who publishes and who watches in a room to what the tables must say: which publisher each slot carries, and the fan-out list of
// every track at every worker. Pure: it reads nothing but its input, and the caller applies the operations in their order.
//
// A subscription is never in two lists: first it leaves the old ones, then its slot is told what it carries, then it joins the new ones.
#ifndef TP_SFU_PLAN_H
#define TP_SFU_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/shm/sfu_table.h"

#define SFU_PLAN_ANY UINT32_MAX

// What is in a list now; entries of 0 are holes.
struct sfu_plan_list {
	const uint32_t *subscription;
	uint32_t n;
};

struct sfu_plan_track {
	uint32_t idx; // 0 = the publisher has none of this kind
	uint8_t codec;
	struct sfu_plan_list list[SHM_WORKERS_MAX];
};

// In the order of joining.
struct sfu_plan_publisher {
	struct sfu_plan_track track[SHM_SFU_KIND_COUNT];
	uint32_t rank;       // 0 is shown first when not all can be
	bool is_video_shown; // among the last N
};

// In the order of the offer.
struct sfu_plan_slot {
	uint32_t idx;
	uint8_t kind;
	const uint8_t *payload_type; // by codec; 0xff = not taken
	uint32_t track_idx;          // carried now, 0 = nothing
};

struct sfu_plan_watcher {
	const struct sfu_plan_slot *slots;
	uint32_t n_slots;
	uint32_t wanted;       // index of the only publisher that it wants, or SFU_PLAN_ANY
	bool is_wanted_absent; // it wants one that is not there
	uint32_t owner;        // worker + 1 that sends to it, 0 = nobody yet
};

struct sfu_plan_input {
	const struct sfu_plan_publisher *publishers;
	uint32_t n_publishers;
	const struct sfu_plan_watcher *watchers;
	uint32_t n_watchers;
};

enum sfu_op_kind {
	SFU_OP_LIST = 0,   // the list of track_idx at worker_idx is `list`
	SFU_OP_SLOT_TRACK, // the slot carries track_idx, 0 = nothing
	SFU_OP_KIND_COUNT
};

struct sfu_op {
	enum sfu_op_kind kind;
	uint32_t track_idx;
	uint32_t worker_idx;
	uint32_t subscription_idx;
	const uint32_t *list; // lives as long as the plan
	uint32_t n_list;
};

struct sfu_plan {
	struct sfu_op *ops;
	uint32_t n_ops;
	uint32_t n_left_out; // slots that stay empty because no codec of the publisher is taken
	void *memory;
};

// 0 or -ENOMEM. An input that agrees with the tables gives no operations.
int sfu_plan_make(const struct sfu_plan_input *in, struct sfu_plan *out);
void sfu_plan_free(struct sfu_plan *p);

#endif
