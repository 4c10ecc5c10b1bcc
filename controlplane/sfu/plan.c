// Lists and operations of a plan. Pure.
#include "controlplane/sfu/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/plan_private.h"

// Working memory, and what the operations point into.
struct memory {
	uint64_t *rank; // and the publisher in the lower half
	uint32_t *by_rank;
	uint8_t *taken;
	struct sfu_plan_choice *choices; // of all slots, in the order of watchers
	struct sfu_plan_choice **by_idx; // by subscription index
	struct sfu_plan_choice *
		*joins; // that carry something, by publisher, kind, worker and order
	uint32_t n_choices;
	uint32_t n_joins;
	uint32_t *words; // lists that are made
	uint32_t n_words;
	struct sfu_op *shrink;
	struct sfu_op *grow;
	uint32_t n_shrink;
	uint32_t n_grow;
};

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int compare_idx(const void *a, const void *b)
{
	uint32_t x = (*(struct sfu_plan_choice *const *)a)->slot->idx;
	uint32_t y = (*(struct sfu_plan_choice *const *)b)->slot->idx;

	return x < y ? -1 : x > y;
}

static uint64_t list_key(const struct sfu_plan_choice *c)
{
	return (uint64_t)c->publisher << 16 | (uint64_t)c->slot->kind << 8 | c->owner;
}

static int compare_join(const void *a, const void *b)
{
	const struct sfu_plan_choice *x = *(struct sfu_plan_choice *const *)a;
	const struct sfu_plan_choice *y = *(struct sfu_plan_choice *const *)b;
	uint64_t kx = list_key(x), ky = list_key(y);

	if (kx != ky)
		return kx < ky ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static struct sfu_plan_choice *choice_of(const struct memory *m, uint32_t subscription_idx)
{
	uint32_t low = 0, high = m->n_choices;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (m->by_idx[middle]->slot->idx < subscription_idx)
			low = middle + 1;
		else
			high = middle;
	}
	return low < m->n_choices && m->by_idx[low]->slot->idx == subscription_idx ? m->by_idx[low]
										   : NULL;
}

static int memory_new(const struct sfu_plan_input *in, struct memory *m)
{
	uint32_t n_slots = 0, n_lists = in->n_publishers * SHM_SFU_KIND_COUNT * SHM_WORKERS_MAX;
	size_t n_words = 0;

	*m = (struct memory){ 0 };
	for (uint32_t i = 0; i < in->n_watchers; i++)
		n_slots += in->watchers[i].n_slots;
	for (uint32_t i = 0; i < in->n_publishers; i++) {
		for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
			for (uint32_t k = 0; k < SHM_WORKERS_MAX; k++)
				n_words += in->publishers[i].track[kind].list[k].n;
		}
	}
	// A list is made twice at most: without those that leave, and with those that join.
	n_words = 2 * n_words + n_slots;
	m->by_rank = calloc(in->n_publishers + 1, sizeof(*m->by_rank));
	m->rank = calloc(in->n_publishers + 1, sizeof(*m->rank));
	m->taken = calloc(in->n_publishers + 1, 1);
	m->choices = calloc(n_slots + 1, sizeof(*m->choices));
	m->by_idx = calloc(n_slots + 1, sizeof(*m->by_idx));
	m->joins = calloc(n_slots + 1, sizeof(*m->joins));
	m->words = calloc(n_words + 1, sizeof(*m->words));
	m->shrink = calloc(n_lists + 1, sizeof(*m->shrink));
	m->grow = calloc(n_lists + 1, sizeof(*m->grow));
	m->n_choices = n_slots;
	return m->rank == NULL || m->by_rank == NULL || m->taken == NULL || m->choices == NULL ||
			       m->by_idx == NULL || m->joins == NULL || m->words == NULL ||
			       m->shrink == NULL || m->grow == NULL
		       ? -ENOMEM
		       : 0;
}

static void memory_free(struct memory *m)
{
	free(m->rank);
	free(m->by_rank);
	free(m->taken);
	free(m->choices);
	free(m->by_idx);
	free(m->joins);
	free(m->words);
	free(m->shrink);
	free(m->grow);
}

// What stays of a list, in its order. Returns how many real entries it had.
static uint32_t keep(const struct sfu_plan_list *list, uint64_t key, struct memory *m,
		     uint32_t *out, uint32_t *n_out)
{
	uint32_t n_had = 0;

	*n_out = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		struct sfu_plan_choice *c = NULL;

		if (list->subscription[i] == 0)
			continue;
		n_had++;
		c = choice_of(m, list->subscription[i]);
		if (c == NULL || c->is_listed || c->publisher == SFU_PLAN_ANY || list_key(c) != key)
			continue;
		c->is_listed = true;
		out[(*n_out)++] = list->subscription[i];
	}
	return n_had;
}

static void plan_list(const struct sfu_plan_input *in, struct memory *m, uint32_t publisher,
		      uint32_t kind, uint32_t worker_idx, uint32_t *next_join)
{
	const struct sfu_plan_track *t = &in->publishers[publisher].track[kind];
	uint64_t key = (uint64_t)publisher << 16 | (uint64_t)kind << 8 | (worker_idx + 1);
	struct sfu_op op = { .kind = SFU_OP_LIST, .track_idx = t->idx, .worker_idx = worker_idx };
	uint32_t *list = m->words + m->n_words;
	uint32_t n_had, n_kept, n;

	n_had = keep(&t->list[worker_idx], key, m, list, &n_kept);
	m->n_words += n_kept;
	op.list = list;
	op.n_list = n_kept;
	if (n_kept < n_had)
		m->shrink[m->n_shrink++] = op;
	list = m->words + m->n_words;
	n = n_kept;
	memcpy(list, op.list, n_kept * sizeof(*list));
	for (; *next_join < m->n_joins && list_key(m->joins[*next_join]) == key; ++*next_join) {
		if (!m->joins[*next_join]->is_listed)
			list[n++] = m->joins[*next_join]->slot->idx;
	}
	if (n == n_kept)
		return;
	m->n_words += n;
	op.list = list;
	op.n_list = n;
	m->grow[m->n_grow++] = op;
}

static void choose(const struct sfu_plan_input *in, struct memory *m, struct sfu_plan *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < in->n_publishers; i++)
		m->rank[i] = (uint64_t)in->publishers[i].rank << 32 | i;
	qsort(m->rank, in->n_publishers, sizeof(*m->rank), compare_u64);
	for (uint32_t i = 0; i < in->n_publishers; i++)
		m->by_rank[i] = (uint32_t)m->rank[i];
	for (uint32_t i = 0; i < in->n_watchers; i++) {
		out->n_left_out +=
			sfu_plan_seat(in, &in->watchers[i], m->by_rank, m->taken, m->choices + n);
		n += in->watchers[i].n_slots;
	}
	for (uint32_t i = 0; i < n; i++) {
		m->choices[i].order = i;
		m->by_idx[i] = &m->choices[i];
		if (m->choices[i].publisher != SFU_PLAN_ANY && m->choices[i].owner != 0)
			m->joins[m->n_joins++] = &m->choices[i];
	}
	qsort(m->by_idx, n, sizeof(struct sfu_plan_choice *), compare_idx);
	qsort(m->joins, m->n_joins, sizeof(struct sfu_plan_choice *), compare_join);
}

static uint32_t track_of(const struct sfu_plan_input *in, const struct sfu_plan_choice *c)
{
	return c->publisher == SFU_PLAN_ANY ? 0
					    : in->publishers[c->publisher].track[c->slot->kind].idx;
}

int sfu_plan_make(const struct sfu_plan_input *in, struct sfu_plan *out)
{
	struct memory m;
	uint32_t next_join = 0;
	int ret;

	*out = (struct sfu_plan){ 0 };
	ret = memory_new(in, &m);
	if (ret < 0)
		goto out_memory;
	choose(in, &m, out);
	for (uint32_t i = 0; i < in->n_publishers; i++) {
		for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
			if (in->publishers[i].track[kind].idx == 0)
				continue;
			for (uint32_t k = 0; k < SHM_WORKERS_MAX; k++)
				plan_list(in, &m, i, kind, k, &next_join);
		}
	}
	out->ops = calloc((size_t)m.n_shrink + m.n_choices + m.n_grow + 1, sizeof(*out->ops));
	if (out->ops == NULL) {
		ret = -ENOMEM;
		goto out_memory;
	}
	memcpy(out->ops, m.shrink, m.n_shrink * sizeof(*out->ops));
	out->n_ops = m.n_shrink;
	for (uint32_t i = 0; i < m.n_choices; i++) {
		uint32_t track_idx = track_of(in, &m.choices[i]);

		if (track_idx != m.choices[i].slot->track_idx)
			out->ops[out->n_ops++] = (struct sfu_op){
				.kind = SFU_OP_SLOT_TRACK,
				.track_idx = track_idx,
				.subscription_idx = m.choices[i].slot->idx,
			};
	}
	memcpy(out->ops + out->n_ops, m.grow, m.n_grow * sizeof(*out->ops));
	out->n_ops += m.n_grow;
	out->memory = m.words;
	m.words = NULL;
out_memory:
	memory_free(&m);
	return ret;
}

void sfu_plan_free(struct sfu_plan *p)
{
	free(p->ops);
	free(p->memory);
	*p = (struct sfu_plan){ 0 };
}
