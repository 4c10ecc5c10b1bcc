// Makes the tables show a room: gathers what the plan reads, and carries out what it says. Control plane's loop thread; writes
// through table_writer.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/plan.h"
#include "controlplane/sfu/state.h"

struct gathered {
	struct sfu_plan_publisher *publishers;
	struct sfu_plan_watcher *watchers;
	struct sfu_plan_slot *slots;
	struct sfu_plan_input input;
};

static void gather_publisher(const struct sfu *s, const struct sfu_session *p,
			     struct sfu_plan_publisher *out)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->tables);

	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		struct sfu_plan_track *t = &out->track[kind];

		t->idx = p->tracks[kind].idx;
		t->codec = p->tracks[kind].codec;
		for (uint32_t k = 0; k < SHM_WORKERS_MAX && t->idx != 0; k++)
			t->list[k].n =
				shm_sfu_list(v, &v->track[t->idx], k, &t->list[k].subscription);
	}
}

// Who is shown first: in the order of joining, or by who spoke last when not all can be.
static void rank(const struct sfu *s, const struct sfu_room *room, struct gathered *g)
{
	uint32_t last_n = s->config->sfu.last_n;
	uint32_t *order = calloc(room->n_voices + 1, sizeof(*order));
	const struct sfu_session *p;
	uint32_t n = 0, i = 0;

	if (order != NULL)
		n = speaker_last_n(&room->speaker, room->voices, room->n_voices, order,
				   room->n_voices);
	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		uint32_t place = 0;

		while (place < n && order[place] != p->voice_idx)
			place++;
		g->publishers[i].rank = place;
		g->publishers[i].is_video_shown = last_n == 0 || place < last_n;
		i++;
	}
	free(order);
}

static uint32_t index_of(const struct sfu_room *room, const char *participant)
{
	const struct sfu_session *p;
	uint32_t i = 0;

	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		if (strcmp(p->record.participant, participant) == 0)
			return i;
		i++;
	}
	return SFU_PLAN_ANY;
}

static int gather(const struct sfu *s, const struct sfu_room *room, struct gathered *g)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->tables);
	const struct sfu_session *p;
	uint32_t n = 0, n_slots = 0;

	TAILQ_FOREACH(p, &room->watchers, in_room)
	n_slots += p->n_slots;
	g->publishers = calloc(room->n_publishers + 1, sizeof(*g->publishers));
	g->watchers = calloc(room->n_watchers + 1, sizeof(*g->watchers));
	g->slots = calloc(n_slots + 1, sizeof(*g->slots));
	if (g->publishers == NULL || g->watchers == NULL || g->slots == NULL)
		return -ENOMEM;
	TAILQ_FOREACH(p, &room->publishers, in_room)
	gather_publisher(s, p, &g->publishers[n++]);
	rank(s, room, g);
	n = n_slots = 0;
	TAILQ_FOREACH(p, &room->watchers, in_room)
	{
		struct sfu_plan_watcher *w = &g->watchers[n++];

		w->slots = &g->slots[n_slots];
		w->n_slots = p->n_slots;
		w->owner = table_writer_transport_owner(s->tables, p->transport_idx);
		w->wanted = SFU_PLAN_ANY;
		if (p->record.participant[0] != '\0') {
			w->wanted = index_of(room, p->record.participant);
			w->is_wanted_absent = w->wanted == SFU_PLAN_ANY;
		}
		for (uint32_t i = 0; i < p->n_slots; i++)
			g->slots[n_slots++] = (struct sfu_plan_slot){
				.idx = p->slots[i].idx,
				.kind = p->slots[i].kind,
				.payload_type = v->subscription[p->slots[i].idx].payload_type,
				.track_idx = v->subscription[p->slots[i].idx].track_idx,
			};
	}
	g->input = (struct sfu_plan_input){
		.publishers = g->publishers,
		.n_publishers = room->n_publishers,
		.watchers = g->watchers,
		.n_watchers = room->n_watchers,
	};
	return 0;
}

static void carry_out(struct sfu *s, struct sfu_room *room, const struct sfu_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_ops; i++) {
		const struct sfu_op *op = &plan->ops[i];

		if (op->kind == SFU_OP_SLOT_TRACK) {
			table_writer_subscription_set_track(s->tables, op->subscription_idx,
							    op->track_idx);
		} else if (table_writer_list_set(s->tables, op->track_idx, op->worker_idx, op->list,
						 op->n_list) < 0) {
			// The next tick tries again; lists that wait for a grace period make room.
			room->is_dirty = true;
			s->counters.n_list_full++;
		}
	}
	s->counters.n_plan_ops += plan->n_ops;
}

void sfu_room_apply(struct sfu *s, struct sfu_room *room)
{
	struct gathered g = { 0 };
	struct sfu_plan plan = { 0 };
	int ret;

	room->is_dirty = false;
	ret = gather(s, room, &g);
	if (ret == 0)
		ret = sfu_plan_make(&g.input, &plan);
	if (ret == 0) {
		room->n_left_out = plan.n_left_out;
		carry_out(s, room, &plan);
	} else {
		room->is_dirty = true;
		log_error("room %s: out of memory; the next attempt follows", room->name);
	}
	sfu_plan_free(&plan);
	free(g.publishers);
	free(g.watchers);
	free(g.slots);
}

void sfu_room_touch(struct sfu *s, struct sfu_room *room)
{
	if (room->n_watchers <= SFU_ROOM_SMALL)
		sfu_room_apply(s, room);
	else
		room->is_dirty = true;
}
