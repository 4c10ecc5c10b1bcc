// Transports, tracks and subscriptions in shared memory, and what became of withdrawn ones. Control plane's loop thread; writes `sfu`
// and `sessions`.
#include "controlplane/table_writer_sfu.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/table_writer_private.h"
#include "controlplane/table_writer_sfu_private.h"
#include "dataplane/contract/shm/grace.h"

static void stack_push(struct table_writer_stack *s, uint32_t idx)
{
	s->idx[s->n++] = idx;
}

void table_writer_sfu_retire(struct table_writer *w, enum table_writer_sfu_kind kind, uint32_t idx,
			     uint32_t n)
{
	struct table_writer_sfu *s = w->sfu;
	uint32_t at = (s->retired_head + s->n_retired) % s->n_retired_max;

	// The generation that table_writer_reclaim is going to end.
	s->retired[at] = (struct table_writer_sfu_retired){
		.generation = w->tables->grace_generation + 1,
		.idx = idx,
		.n = n,
		.kind = kind,
	};
	s->n_retired++;
	w->is_withdrawn = true;
}

void table_writer_sfu_reclaim(struct table_writer *w, uint64_t passed_generation)
{
	struct table_writer_sfu *s = w->sfu;

	while (s->n_retired > 0 && s->retired[s->retired_head].generation <= passed_generation) {
		const struct table_writer_sfu_retired *r = &s->retired[s->retired_head];

		switch (r->kind) {
		case TABLE_WRITER_TRANSPORT:
			stack_push(&s->free_transports, r->idx);
			break;
		case TABLE_WRITER_TRACK:
			stack_push(&s->free_tracks, r->idx);
			break;
		case TABLE_WRITER_SUBSCRIPTION:
			stack_push(&s->free_subscriptions, r->idx);
			break;
		default:
			memset(s->unit_used + r->idx, 0, r->n);
			break;
		}
		s->retired_head = (s->retired_head + 1) % s->n_retired_max;
		s->n_retired--;
	}
}

// Published entries stay, entries that were never used are free, and a grace period must pass over the others: a predecessor may
// have withdrawn them a moment before it died. The lowest are given out first, so that a quiet SFU touches little memory.
static void take_stock(struct table_writer *w)
{
	struct table_writer_sfu *s = w->sfu;

	for (uint32_t i = s->view.n_transports; --i > 0;) {
		if (s->transport[i].serial != 0)
			continue;
		if (s->transport[i].ufrag_bytes == 0)
			stack_push(&s->free_transports, i);
		else
			table_writer_sfu_retire(w, TABLE_WRITER_TRANSPORT, i, 1);
	}
	for (uint32_t i = s->view.n_tracks; --i > 0;) {
		if (s->track[i].serial != 0)
			continue;
		if (s->track[i].transport_idx == 0)
			stack_push(&s->free_tracks, i);
		else
			table_writer_sfu_retire(w, TABLE_WRITER_TRACK, i, 1);
	}
	for (uint32_t i = s->view.n_subscriptions; --i > 0;) {
		if (s->subscription[i].serial != 0)
			continue;
		if (s->subscription[i].transport_idx == 0)
			stack_push(&s->free_subscriptions, i);
		else
			table_writer_sfu_retire(w, TABLE_WRITER_SUBSCRIPTION, i, 1);
	}
	table_writer_fanout_init(w);
}

int table_writer_sfu_init(struct table_writer *w)
{
	struct table_writer_sfu *s = calloc(1, sizeof(*s));
	const struct shm_sfu_view *v;
	int ret;

	if (s == NULL)
		return -ENOMEM;
	w->sfu = s;
	s->sfu = w->sfu_segment.base;
	ret = shm_sfu_view_init(&s->view, w->sfu_segment.base, w->sfu_segment.size_bytes);
	if (ret < 0)
		return ret;
	v = &s->view;
	ret = shm_sfu_state_view_init(&s->state, w->sfu_state_segment.base,
				      w->sfu_state_segment.size_bytes, v);
	if (ret < 0)
		return ret;
	s->transport = (struct shm_sfu_transport *)((uint8_t *)s->sfu + s->sfu->transports_offset);
	s->track = (struct shm_sfu_track *)((uint8_t *)s->sfu + s->sfu->tracks_offset);
	s->subscription =
		(struct shm_sfu_subscription *)((uint8_t *)s->sfu + s->sfu->subscriptions_offset);
	s->fanout = (uint32_t *)((uint8_t *)s->sfu + s->sfu->fanout_offset);
	s->n_units = v->n_fanout / TABLE_WRITER_UNIT_WORDS;
	s->n_retired_max = v->n_transports + v->n_tracks + v->n_subscriptions + s->n_units + 1;
	s->free_transports.idx = calloc(v->n_transports, sizeof(uint32_t));
	s->free_tracks.idx = calloc(v->n_tracks, sizeof(uint32_t));
	s->free_subscriptions.idx = calloc(v->n_subscriptions, sizeof(uint32_t));
	s->unit_used = calloc(s->n_units + 1, 1);
	s->list_units = calloc((size_t)v->n_tracks * SHM_WORKERS_MAX, sizeof(uint32_t));
	s->retired = calloc(s->n_retired_max, sizeof(*s->retired));
	if (s->free_transports.idx == NULL || s->free_tracks.idx == NULL ||
	    s->free_subscriptions.idx == NULL || s->unit_used == NULL || s->list_units == NULL ||
	    s->retired == NULL)
		return -ENOMEM;
	take_stock(w);
	return 0;
}

void table_writer_sfu_fini(struct table_writer *w)
{
	struct table_writer_sfu *s = w->sfu;

	if (s == NULL)
		return;
	free(s->free_transports.idx);
	free(s->free_tracks.idx);
	free(s->free_subscriptions.idx);
	free(s->unit_used);
	free(s->list_units);
	free(s->retired);
	free(s);
	w->sfu = NULL;
}

static uint32_t take(struct table_writer *w, struct table_writer_stack *stack)
{
	if (stack->n == 0 && w->sfu->n_retired > 0)
		table_writer_reclaim(w, table_writer_now_ns());
	return stack->n > 0 ? stack->idx[--stack->n] : 0;
}

uint32_t table_writer_transport_reserve(struct table_writer *w)
{
	uint32_t idx = take(w, &w->sfu->free_transports);

	if (idx != 0)
		memset(&w->sfu->transport[idx], 0, sizeof(w->sfu->transport[idx]));
	return idx;
}

uint32_t table_writer_track_reserve(struct table_writer *w)
{
	uint32_t idx = take(w, &w->sfu->free_tracks);

	if (idx != 0)
		memset(&w->sfu->track[idx], 0, sizeof(w->sfu->track[idx]));
	return idx;
}

uint32_t table_writer_subscription_reserve(struct table_writer *w)
{
	uint32_t idx = take(w, &w->sfu->free_subscriptions);

	if (idx != 0)
		memset(&w->sfu->subscription[idx], 0, sizeof(w->sfu->subscription[idx]));
	return idx;
}

void table_writer_transport_unreserve(struct table_writer *w, uint32_t idx)
{
	stack_push(&w->sfu->free_transports, idx);
}

void table_writer_track_unreserve(struct table_writer *w, uint32_t idx)
{
	stack_push(&w->sfu->free_tracks, idx);
}

void table_writer_subscription_unreserve(struct table_writer *w, uint32_t idx)
{
	stack_push(&w->sfu->free_subscriptions, idx);
}

// Counted before it is used, so that a successor does not give it again; 0 means none.
static uint32_t next_serial(struct table_writer *w)
{
	uint32_t serial = w->sfu->sfu->last_serial + 1;

	if (serial == 0)
		serial = 1;
	__atomic_store_n(&w->sfu->sfu->last_serial, serial, __ATOMIC_RELEASE);
	return serial;
}

uint32_t table_writer_transport_publish(struct table_writer *w, uint32_t idx,
					const struct shm_sfu_transport *t, const char *ice_pwd)
{
	struct shm_sfu_transport *out = &w->sfu->transport[idx];
	uint32_t serial = next_serial(w);

	memcpy((uint8_t *)out + sizeof(out->serial), (const uint8_t *)t + sizeof(t->serial),
	       sizeof(*t) - sizeof(t->serial));
	table_writer_ice_set(w, idx, serial, ice_pwd);
	__atomic_store_n(&out->serial, serial, __ATOMIC_RELEASE);
	return serial;
}

uint32_t table_writer_track_publish(struct table_writer *w, uint32_t idx,
				    const struct shm_sfu_track *t)
{
	struct shm_sfu_track *out = &w->sfu->track[idx];
	uint32_t serial = next_serial(w);

	memcpy((uint8_t *)out + sizeof(out->serial), (const uint8_t *)t + sizeof(t->serial),
	       sizeof(*t) - sizeof(t->serial));
	memset(out->list, 0, sizeof(out->list));
	__atomic_store_n(&out->serial, serial, __ATOMIC_RELEASE);
	return serial;
}

uint32_t table_writer_subscription_publish(struct table_writer *w, uint32_t idx,
					   const struct shm_sfu_subscription *s)
{
	struct shm_sfu_subscription *out = &w->sfu->subscription[idx];
	uint32_t serial = next_serial(w);

	memcpy((uint8_t *)out + sizeof(out->serial), (const uint8_t *)s + sizeof(s->serial),
	       sizeof(*s) - sizeof(s->serial));
	__atomic_store_n(&out->serial, serial, __ATOMIC_RELEASE);
	return serial;
}

void table_writer_transport_withdraw(struct table_writer *w, uint32_t idx)
{
	__atomic_store_n(&w->sfu->transport[idx].serial, 0, __ATOMIC_RELEASE);
	table_writer_keys_wipe(w, idx);
	table_writer_sfu_retire(w, TABLE_WRITER_TRANSPORT, idx, 1);
}

void table_writer_track_withdraw(struct table_writer *w, uint32_t idx)
{
	__atomic_store_n(&w->sfu->track[idx].serial, 0, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		table_writer_fanout_drop(w, idx, i);
	table_writer_sfu_retire(w, TABLE_WRITER_TRACK, idx, 1);
}

void table_writer_subscription_withdraw(struct table_writer *w, uint32_t idx)
{
	__atomic_store_n(&w->sfu->subscription[idx].serial, 0, __ATOMIC_RELEASE);
	table_writer_sfu_retire(w, TABLE_WRITER_SUBSCRIPTION, idx, 1);
}

// Workers read these lines with each packet: what stands there already is not written again.

void table_writer_subscription_set_track(struct table_writer *w, uint32_t idx, uint32_t track_idx)
{
	struct shm_sfu_subscription *s = &w->sfu->subscription[idx];

	if (s->track_idx != track_idx)
		__atomic_store_n(&s->track_idx, track_idx, __ATOMIC_RELEASE);
}

void table_writer_subscription_set_target(struct table_writer *w, uint32_t idx, uint32_t target)
{
	struct shm_sfu_subscription *s = &w->sfu->subscription[idx];

	if (s->target != target)
		__atomic_store_n(&s->target, target, __ATOMIC_RELEASE);
}

void table_writer_transport_set_rates(struct table_writer *w, uint32_t idx, uint64_t pace_bps,
				      uint64_t target_bps)
{
	struct shm_sfu_transport *t = &w->sfu->transport[idx];

	if (t->pace_bps != pace_bps)
		__atomic_store_n(&t->pace_bps, pace_bps, __ATOMIC_RELAXED);
	if (t->target_bps != target_bps)
		__atomic_store_n(&t->target_bps, target_bps, __ATOMIC_RELAXED);
}

void table_writer_transport_probe(struct table_writer *w, uint32_t idx, uint16_t id,
				  uint16_t n_pkts, uint32_t kbps)
{
	uint64_t word = (uint64_t)id << 48 | (uint64_t)n_pkts << 32 | kbps;

	__atomic_store_n(&w->sfu->transport[idx].probe, word, __ATOMIC_RELEASE);
}

void table_writer_session_store(struct table_writer *w, uint32_t transport_idx,
				const struct shm_sfu_session *s)
{
	struct shm_sfu_session *out = shm_sessions_record(w->sessions_segment.base, transport_idx);

	__atomic_store_n(&out->serial, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy((uint8_t *)out + sizeof(out->serial), (const uint8_t *)s + sizeof(s->serial),
	       sizeof(*s) - sizeof(s->serial));
	__atomic_store_n(&out->serial, w->sfu->transport[transport_idx].serial, __ATOMIC_RELEASE);
}

void table_writer_session_remove(struct table_writer *w, uint32_t transport_idx)
{
	struct shm_sfu_session *out = shm_sessions_record(w->sessions_segment.base, transport_idx);

	__atomic_store_n(&out->serial, 0, __ATOMIC_RELEASE);
	OPENSSL_cleanse(out, sizeof(*out));
}

const struct shm_sfu_session *table_writer_session(const struct table_writer *w,
						   uint32_t transport_idx)
{
	const struct shm_sfu_session *s =
		shm_sessions_record(w->sessions_segment.base, transport_idx);

	return s->serial != 0 && s->serial == w->sfu->transport[transport_idx].serial ? s : NULL;
}

const struct shm_sfu_transport_state *table_writer_transport_state(const struct table_writer *w,
								   uint32_t transport_idx)
{
	const struct shm_sfu_transport_state *s = &w->sfu->state.transport[transport_idx];
	uint32_t serial = __atomic_load_n(&s->serial, __ATOMIC_ACQUIRE);

	return serial != 0 && serial == w->sfu->transport[transport_idx].serial ? s : NULL;
}

const struct shm_sfu_ingress_state *table_writer_ingress_state(const struct table_writer *w,
							       uint32_t track_idx, uint32_t layer)
{
	const struct shm_sfu_ingress_state *s =
		&w->sfu->state.ingress[shm_sfu_ingress_idx(track_idx, layer)];
	uint32_t serial = __atomic_load_n(&s->serial, __ATOMIC_ACQUIRE);

	return serial != 0 && serial == w->sfu->track[track_idx].serial ? s : NULL;
}

const struct shm_sfu_egress_state *table_writer_egress_state(const struct table_writer *w,
							     uint32_t subscription_idx)
{
	const struct shm_sfu_egress_state *s = &w->sfu->state.egress[subscription_idx];
	uint32_t serial = __atomic_load_n(&s->serial, __ATOMIC_ACQUIRE);

	return serial != 0 && serial == w->sfu->subscription[subscription_idx].serial ? s : NULL;
}

uint32_t table_writer_transport_owner(const struct table_writer *w, uint32_t transport_idx)
{
	const struct shm_sfu_transport_state *s = table_writer_transport_state(w, transport_idx);
	uint32_t owner = s != NULL ? __atomic_load_n(&s->owner, __ATOMIC_ACQUIRE) : 0;

	return owner <= SHM_WORKERS_MAX ? owner : 0;
}
