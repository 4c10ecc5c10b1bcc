// Continuous numbers for one watcher. Pure.
#include "dataplane/sfu/rewrite.h"

#include <string.h>

#define NS_PER_SEC 1000000000ull

// Sender reports of two encodings agree within this; more is a clock that stepped.
#define JOIN_SLACK_NS (NS_PER_SEC / 2)

void dp_sfu_rewrite_init(struct dp_sfu_rewrite *r, uint64_t first_index)
{
	*r = (struct dp_sfu_rewrite){
		.next_index = first_index,
		.dropped_picture_id = DP_SFU_PICTURE_NONE,
	};
}

static void step_add(struct dp_sfu_rewrite *r, uint64_t from)
{
	struct dp_sfu_rewrite_step *last;

	if (r->n_steps == DP_SFU_REWRITE_STEPS) {
		memmove(r->step, r->step + 1, (DP_SFU_REWRITE_STEPS - 1) * sizeof(r->step[0]));
		r->n_steps--;
	}
	last = &r->step[r->n_steps++];
	last->from = from;
	last->index_offset = r->index_offset;
	last->picture_id_offset = r->picture_id_offset;
}

void dp_sfu_rewrite_switch(struct dp_sfu_rewrite *r, uint64_t sequence, uint32_t timestamp,
			   uint32_t out_timestamp, const struct dp_sfu_numbers *n, bool is_first)
{
	r->next_in = sequence;
	r->index_offset = r->next_index - sequence;
	r->timestamp_offset = out_timestamp - timestamp;
	r->dropped_picture_id = DP_SFU_PICTURE_NONE;
	r->is_started = 1;
	r->version++;
	r->n_steps = 0;
	if (!is_first) {
		if (n->picture_id != DP_SFU_PICTURE_NONE)
			r->picture_id_offset = (uint16_t)(r->last_picture_id + 1 - n->picture_id) &
					       DP_SFU_PICTURE_MASK;
		r->tl0_offset = (uint8_t)(r->last_tl0 + 1 - n->tl0);
		r->key_idx_offset = (uint8_t)(r->last_key_idx + 1 - n->key_idx);
		r->frame_number_offset = (uint16_t)(r->last_frame_number + 1 - n->frame_number);
	}
	step_add(r, sequence);
}

uint32_t dp_sfu_rewrite_join_timestamp(const struct dp_sfu_rewrite *r, bool has_mapped,
				       uint32_t mapped, uint64_t elapsed_ns, uint32_t clock_hz)
{
	uint64_t elapsed_ticks = elapsed_ns / 1000 * clock_hz / 1000000;
	uint64_t slack_ticks = JOIN_SLACK_NS / 1000 * clock_hz / 1000000;
	int32_t ahead = (int32_t)(mapped - r->last_timestamp);

	if (has_mapped && ahead > 0 && (uint64_t)ahead <= elapsed_ticks + slack_ticks)
		return mapped;
	return r->last_timestamp + (uint32_t)(elapsed_ticks > 0 ? elapsed_ticks : 1);
}

// The step that a late packet falls under; NULL when it is older than all that are known.
static const struct dp_sfu_rewrite_step *step_find(const struct dp_sfu_rewrite *r,
						   uint64_t sequence)
{
	for (uint32_t i = r->n_steps; i-- > 0;) {
		if (r->step[i].from <= sequence)
			return &r->step[i];
	}
	return NULL;
}

bool dp_sfu_rewrite_map(struct dp_sfu_rewrite *r, uint64_t sequence, uint32_t timestamp,
			const struct dp_sfu_numbers *n, struct dp_sfu_rewritten *out)
{
	uint64_t index_offset = r->index_offset;
	uint16_t picture_id_offset = r->picture_id_offset;
	uint16_t frame_number = (uint16_t)(n->frame_number + r->frame_number_offset);
	uint8_t key_idx = (uint8_t)(n->key_idx + r->key_idx_offset) & 0x1f;
	uint8_t tl0 = (uint8_t)(n->tl0 + r->tl0_offset);
	bool is_late = sequence < r->next_in;
	uint16_t picture_id = DP_SFU_PICTURE_NONE;
	bool is_changed = false;

	if (!is_late) {
		r->next_in = sequence + 1;
		r->next_index = sequence + 1 + index_offset;
	} else {
		const struct dp_sfu_rewrite_step *s = step_find(r, sequence);

		if (s == NULL)
			return false;
		index_offset = s->index_offset;
		picture_id_offset = s->picture_id_offset;
	}
	timestamp += r->timestamp_offset;
	if ((int32_t)(timestamp - r->last_timestamp) > 0)
		r->last_timestamp = timestamp;
	if (n->picture_id != DP_SFU_PICTURE_NONE) {
		picture_id = (uint16_t)(n->picture_id + picture_id_offset) & DP_SFU_PICTURE_MASK;
		is_changed = (picture_id_offset & n->picture_id_mask) != 0;
	}
	if (n->has_tl0)
		is_changed |= (r->tl0_offset | r->key_idx_offset) != 0;
	out->index = sequence + index_offset;
	out->timestamp = timestamp;
	out->small.word = picture_id | (uint64_t)frame_number << 16 | (uint64_t)tl0 << 32 |
			  (uint64_t)key_idx << 40 | (uint64_t)is_changed << 48;
	if (is_late)
		return true;
	if (n->picture_id != DP_SFU_PICTURE_NONE)
		r->last_picture_id = picture_id;
	if (n->has_tl0) {
		r->last_tl0 = tl0;
		r->last_key_idx = key_idx;
	}
	if (n->has_frame_number)
		r->last_frame_number = frame_number;
	return true;
}

void dp_sfu_rewrite_skip(struct dp_sfu_rewrite *r, uint64_t sequence,
			 const struct dp_sfu_numbers *n)
{
	struct dp_sfu_rewrite_step *last = r->n_steps > 0 ? &r->step[r->n_steps - 1] : NULL;
	bool is_run;

	// What comes late leaves the hole that it would have filled; what was not begun has no numbers yet.
	if (sequence < r->next_in || !r->is_started)
		return;
	is_run = last != NULL && last->from == sequence && sequence == r->next_in && r->n_steps > 1;
	r->version++;
	r->index_offset--;
	r->next_in = sequence + 1;
	r->next_index = sequence + 1 + r->index_offset;
	if (n->closes_up && n->picture_id != DP_SFU_PICTURE_NONE &&
	    n->picture_id != r->dropped_picture_id) {
		r->dropped_picture_id = n->picture_id;
		r->picture_id_offset = (uint16_t)(r->picture_id_offset - 1) & DP_SFU_PICTURE_MASK;
	}
	if (is_run) {
		last->from = sequence + 1;
		last->index_offset = r->index_offset;
		last->picture_id_offset = r->picture_id_offset;
	} else {
		step_add(r, sequence + 1);
	}
}
