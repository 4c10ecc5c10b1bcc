// The SFU's control plane put together: what workers hand up, timers, expiry. Control plane's loop thread.
#include "controlplane/sfu/sfu.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/ops/log.h"
#include "controlplane/ops/state_dir.h"
#include "controlplane/sfu/ice.h"
#include "controlplane/sfu/sctp.h"
#include "controlplane/sfu/state.h"

#define CHECK_NS     500000000ull
#define BANDWIDTH_NS 100000000ull
#define NS_PER_S     1000000000ull

static_assert(SFU_END_COUNT <= sizeof(((struct sfu_counters *)0)->n_ended) / sizeof(uint64_t),
	      "a counter for each end");

uint64_t sfu_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int find_candidates(struct sfu *s)
{
	struct ip_endpoint listeners[SHM_LISTENERS_MAX];
	uint32_t n = s->config->n_listeners;

	if (n > SHM_LISTENERS_MAX)
		n = SHM_LISTENERS_MAX;
	for (uint32_t i = 0; i < n; i++)
		listeners[i] = s->config->listeners[i].endpoint;
	s->n_candidates = ice_host_candidates(listeners, n, s->candidates, SHM_LISTENERS_MAX);
	return s->n_candidates > 0 ? 0 : -EINVAL;
}

int sfu_new(const struct config *config, struct table_writer *tables, const char *state_dir,
	    uint64_t now_ns, struct sfu **out)
{
	struct sfu *s = calloc(1, sizeof(*s));
	uint8_t random[8];
	int ret = -ENOMEM;

	if (s == NULL)
		return -ENOMEM;
	s->config = config;
	s->tables = tables;
	s->now_ns = now_ns;
	TAILQ_INIT(&s->sessions);
	TAILQ_INIT(&s->rooms);
	s->by_transport =
		calloc(table_writer_sfu_view(tables)->n_transports, sizeof(struct sfu_session *));
	if (s->by_transport == NULL)
		goto fail;
	ret = find_candidates(s);
	if (ret < 0)
		goto fail;
	ret = -EIO;
	if (RAND_bytes(random, sizeof(random)) != 1)
		goto fail;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(s->cname + 2 * i, 3, "%02x", random[i]);
	ret = state_dir_make(state_dir);
	if (ret < 0)
		goto fail;
	ret = dtls_context_new(state_dir, &s->dtls);
	if (ret < 0)
		goto fail;
	ret = sfu_adopt(s);
	if (ret < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	sfu_free(s);
	return ret;
}

int sfu_start(struct sfu *s, struct event_base *base)
{
	int ret = sctp_stack_open(base);

	s->has_sctp = ret == 0;
	return ret;
}

void sfu_free(struct sfu *s)
{
	struct sfu_session *session;
	struct sfu_room *room;

	if (s == NULL)
		return;
	// All of them, while all are there: they know of each other.
	TAILQ_FOREACH(session, &s->sessions, in_all)
	sfu_data_stop(session);
	if (s->has_sctp)
		sctp_stack_close();
	while ((session = TAILQ_FIRST(&s->sessions)) != NULL)
		sfu_session_forget(session);
	while ((room = TAILQ_FIRST(&s->rooms)) != NULL) {
		TAILQ_REMOVE(&s->rooms, room, in_all);
		free(room->voices);
		free(room);
	}
	if (s->dtls != NULL)
		dtls_context_free(s->dtls);
	free(s->by_transport);
	free(s);
}

void sfu_reload(struct sfu *s, const struct config *config)
{
	struct sfu_room *room;

	s->config = config;
	// last_n may have changed.
	TAILQ_FOREACH(room, &s->rooms, in_all)
	room->is_dirty = true;
}

void sfu_drain(struct sfu *s, bool is_draining)
{
	s->is_draining = is_draining;
}

void sfu_handle_datagram(struct sfu *s, uint32_t worker_idx, const struct shm_datagram *d,
			 size_t n_bytes, uint64_t now_ns)
{
	struct sfu_session *session = NULL;

	s->now_ns = now_ns;
	// Late word of a transport whose index has another owner now does no harm: DTLS verifies what it is given, events make
	// us look into the tables, feedback is checked against what was sent.
	if (d->transport_idx < table_writer_sfu_view(s->tables)->n_transports)
		session = s->by_transport[d->transport_idx];
	if (session == NULL || n_bytes == 0) {
		s->counters.n_invalid++;
		return;
	}
	session->last_worker_idx = worker_idx;
	switch (d->kind) {
	case SHM_DATAGRAM_DTLS:
		sfu_transport_receive(session, d->data, n_bytes);
		break;
	case SHM_DATAGRAM_SFU_EVENT:
		sfu_transport_event(session, d->data[0]);
		break;
	case SHM_DATAGRAM_SFU_FEEDBACK:
		sfu_bandwidth_feedback(session, d->data, n_bytes, now_ns);
		break;
	default:
		s->counters.n_invalid++;
		break;
	}
	if (session->end != SFU_END_NONE)
		sfu_session_end(session, session->end);
	else if (session->room->is_dirty)
		sfu_room_touch(s, session->room);
}

// Word of the client, or of the worker that stands for it.
static uint64_t last_sign_ns(const struct sfu_session *session)
{
	const struct shm_sfu_transport_state *state =
		table_writer_transport_state(session->sfu->tables, session->transport_idx);
	uint64_t last_ns = session->record.created_at_ns, checked_ns, rx_ns;

	if (state == NULL)
		return last_ns;
	checked_ns = __atomic_load_n(&state->last_check_ns, __ATOMIC_RELAXED);
	rx_ns = __atomic_load_n(&state->last_rx_ns, __ATOMIC_RELAXED);
	if (checked_ns > last_ns)
		last_ns = checked_ns;
	return rx_ns > last_ns ? rx_ns : last_ns;
}

// Sessions whose clients went away without a word. The time in which no dataplane could hear them does not count.
static void expire(struct sfu *s, uint64_t now_ns)
{
	uint64_t timeout_ns = s->config->sfu.session_timeout_s * NS_PER_S;
	struct sfu_session *session, *next;

	if (!table_writer_dataplane_alive(s->tables, now_ns)) {
		s->alive_since_ns = 0;
		return;
	}
	if (s->alive_since_ns == 0)
		s->alive_since_ns = now_ns;
	for (session = TAILQ_FIRST(&s->sessions); session != NULL; session = next) {
		uint64_t from_ns = last_sign_ns(session);

		next = TAILQ_NEXT(session, in_all);
		if (from_ns < s->alive_since_ns)
			from_ns = s->alive_since_ns;
		if (now_ns > from_ns && now_ns - from_ns > timeout_ns)
			sfu_session_end(session, SFU_END_SILENT);
	}
}

void sfu_tick(struct sfu *s, uint64_t now_ns)
{
	struct sfu_session *session, *next;
	struct sfu_room *room;

	s->now_ns = now_ns;
	for (session = TAILQ_FIRST(&s->sessions); session != NULL; session = next) {
		next = TAILQ_NEXT(session, in_all);
		sfu_transport_timer(session);
		if (session->end != SFU_END_NONE)
			sfu_session_end(session, session->end);
	}
	if (now_ns - s->check_ns >= CHECK_NS) {
		s->check_ns = now_ns;
		expire(s, now_ns);
		// An event of a worker may have been lost in a full ring.
		TAILQ_FOREACH(room, &s->rooms, in_all)
		room->is_dirty = true;
	}
	if (now_ns - s->bandwidth_ns >= BANDWIDTH_NS) {
		s->bandwidth_ns = now_ns;
		sfu_bandwidth_tick(s, now_ns);
	}
	TAILQ_FOREACH(room, &s->rooms, in_all)
	{
		if (room->is_dirty)
			sfu_room_apply(s, room);
	}
}

const struct sfu_counters *sfu_counters(const struct sfu *s)
{
	return &s->counters;
}

const struct dtls_counters *sfu_dtls_counters(const struct sfu *s)
{
	return dtls_context_counters(s->dtls);
}

void sfu_figures(const struct sfu *s, struct sfu_figures *out)
{
	const struct sfu_room *room;

	*out = (struct sfu_figures){ .n_sessions = s->n_sessions, .n_rooms = s->n_rooms };
	TAILQ_FOREACH(room, &s->rooms, in_all)
	{
		out->n_publishers += room->n_publishers;
		out->n_watchers += room->n_watchers;
	}
}
