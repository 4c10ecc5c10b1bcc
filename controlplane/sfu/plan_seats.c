// Which publisher sits in which slots of one watcher. A watcher with as many audio as video slots has pairs, so that sound and picture of
// one person stay together; otherwise each slot is a seat of its own. Who sits keeps the seat while entitled to one. Pure.
#include <string.h>

#include "controlplane/sfu/plan_private.h"

#define SEATS_MAX 64

struct seat {
	struct sfu_plan_choice *choice[SHM_SFU_KIND_COUNT]; // NULL = no slot of the kind
};

static bool is_shown(const struct sfu_plan_input *in, const struct sfu_plan_watcher *w,
		     uint32_t publisher, uint32_t kind)
{
	const struct sfu_plan_publisher *p = &in->publishers[publisher];

	if (w->is_wanted_absent || (w->wanted != SFU_PLAN_ANY && w->wanted != publisher) ||
	    p->track[kind].idx == 0)
		return false;
	return kind != SHM_SFU_VIDEO || p->is_video_shown || w->wanted == publisher;
}

static bool takes(const struct sfu_plan_slot *slot, const struct sfu_plan_track *t)
{
	return slot->payload_type[t->codec % SHM_SFU_CODEC_COUNT] != 0xff;
}

// Whether the publisher has something that the seat is for.
static bool may_sit(const struct sfu_plan_input *in, const struct sfu_plan_watcher *w,
		    const struct seat *seat, uint32_t publisher)
{
	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		if (seat->choice[kind] != NULL && is_shown(in, w, publisher, kind))
			return true;
	}
	return false;
}

static uint32_t publisher_of(const struct sfu_plan_input *in, const struct seat *seat)
{
	for (uint32_t i = 0; i < in->n_publishers; i++) {
		for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
			const struct sfu_plan_choice *c = seat->choice[kind];

			if (c != NULL && c->slot->track_idx != 0 &&
			    c->slot->track_idx == in->publishers[i].track[kind].idx)
				return i;
		}
	}
	return SFU_PLAN_ANY;
}

static uint32_t sit(const struct sfu_plan_input *in, const struct sfu_plan_watcher *w,
		    struct seat *seat, uint32_t publisher)
{
	uint32_t n_left_out = 0;

	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		struct sfu_plan_choice *c = seat->choice[kind];

		if (c == NULL || !is_shown(in, w, publisher, kind))
			continue;
		if (takes(c->slot, &in->publishers[publisher].track[kind]))
			c->publisher = publisher;
		else
			n_left_out++;
	}
	return n_left_out;
}

static uint32_t fill(const struct sfu_plan_input *in, const struct sfu_plan_watcher *w,
		     const uint32_t *by_rank, uint8_t *taken, struct seat *seats, uint32_t n_seats)
{
	bool is_free[SEATS_MAX];
	uint32_t n_entitled = 0, n_left_out = 0;

	// All seats of one call are for the same kinds. The first by rank are entitled, as many as there are seats.
	memset(taken, 0, in->n_publishers);
	for (uint32_t i = 0; i < in->n_publishers && n_entitled < n_seats; i++) {
		if (may_sit(in, w, &seats[0], by_rank[i])) {
			taken[by_rank[i]] = 1;
			n_entitled++;
		}
	}
	for (uint32_t i = 0; i < n_seats; i++) {
		uint32_t p = publisher_of(in, &seats[i]);

		is_free[i] = p == SFU_PLAN_ANY || taken[p] != 1;
		if (is_free[i])
			continue;
		taken[p] = 2; // sits already
		n_left_out += sit(in, w, &seats[i], p);
	}
	for (uint32_t i = 0, next = 0; i < n_seats; i++) {
		if (!is_free[i])
			continue;
		// In the order of joining.
		while (next < in->n_publishers && taken[next] != 1)
			next++;
		if (next == in->n_publishers)
			break;
		n_left_out += sit(in, w, &seats[i], next++);
	}
	return n_left_out;
}

uint32_t sfu_plan_seat(const struct sfu_plan_input *in, const struct sfu_plan_watcher *w,
		       const uint32_t *by_rank, uint8_t *taken, struct sfu_plan_choice *out)
{
	struct seat seats[SHM_SFU_KIND_COUNT][SEATS_MAX] = { 0 };
	uint32_t n[SHM_SFU_KIND_COUNT] = { 0 };
	uint32_t n_left_out = 0;

	for (uint32_t i = 0; i < w->n_slots; i++) {
		uint32_t kind = w->slots[i].kind % SHM_SFU_KIND_COUNT;

		out[i] = (struct sfu_plan_choice){
			.slot = &w->slots[i],
			.owner = w->owner,
			.publisher = SFU_PLAN_ANY,
		};
		if (n[kind] < SEATS_MAX)
			seats[kind][n[kind]++].choice[kind] = &out[i];
	}
	if (n[SHM_SFU_AUDIO] == n[SHM_SFU_VIDEO]) {
		for (uint32_t i = 0; i < n[SHM_SFU_VIDEO]; i++)
			seats[SHM_SFU_AUDIO][i].choice[SHM_SFU_VIDEO] =
				seats[SHM_SFU_VIDEO][i].choice[SHM_SFU_VIDEO];
		n[SHM_SFU_VIDEO] = 0;
	}
	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		if (n[kind] > 0)
			n_left_out += fill(in, w, by_rank, taken, seats[kind], n[kind]);
	}
	return n_left_out;
}
