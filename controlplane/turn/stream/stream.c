// Which streams there are: ids, limits, life. Control plane's loop thread.
#include "controlplane/turn/stream/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/source.h"
#include "controlplane/turn/stream/stream_private.h"
#include "dataplane/contract/wire/challenge.h"

#define SLOTS_FIRST 64
#define NS_PER_S    1000000000ull

// ---- slots

static int grow(struct turn_streams *t)
{
	uint32_t n = t->n_slots == 0 ? SLOTS_FIRST : 2 * t->n_slots;
	struct turn_stream **slot = realloc(t->slot, n * sizeof(*slot));
	uint32_t *serial, *free_idx;

	if (slot == NULL)
		return -ENOMEM;
	t->slot = slot;
	serial = realloc(t->serial, n * sizeof(*serial));
	if (serial == NULL)
		return -ENOMEM;
	t->serial = serial;
	// It is grown only when none is free, so nothing in it is lost.
	free_idx = realloc(t->free_idx, n * sizeof(*free_idx));
	if (free_idx == NULL)
		return -ENOMEM;
	t->free_idx = free_idx;
	// A control plane before us may have left flows of streams that may move: none of ours may be
	// taken for one of theirs.
	if (RAND_bytes((unsigned char *)(t->serial + t->n_slots),
		       (int)((n - t->n_slots) * sizeof(*serial))) != 1)
		return -EIO;
	t->free_head = 0;
	for (uint32_t i = t->n_slots; i < n; i++) {
		t->slot[i] = NULL;
		if (i != 0)
			t->free_idx[t->n_free++] = i;
	}
	t->n_slots = n;
	return 0;
}

static uint32_t slot_take(struct turn_streams *t)
{
	uint32_t idx = t->free_idx[t->free_head];

	t->free_head = (t->free_head + 1) % t->n_slots;
	t->n_free--;
	return idx;
}

static void slot_give(struct turn_streams *t, uint32_t idx)
{
	t->slot[idx] = NULL;
	t->free_idx[(t->free_head + t->n_free) % t->n_slots] = idx;
	t->n_free++;
}

// ---- sources: one host is an IPv4 address or a /64, whoever sits in it

static struct turn_stream **source_bucket(struct turn_streams *t, const struct ip_address *a)
{
	uint8_t hash[16];

	siphash128(t->source_key, a->bytes, ip_address_is_v4(a) ? 16 : 8, hash);
	return &t->source[bytes_get_be16(hash) % TURN_STREAM_SOURCE_BUCKETS];
}

static uint32_t source_count(struct turn_streams *t, const struct ip_address *a)
{
	uint32_t n = 0;

	for (const struct turn_stream *s = *source_bucket(t, a); s != NULL; s = s->source_next)
		n += turn_is_same_source(&s->client.address, a);
	return n;
}

static void source_add(struct turn_stream *s)
{
	struct turn_stream **head = source_bucket(s->streams, &s->client.address);

	s->source_next = *head;
	s->source_link = head;
	if (*head != NULL)
		(*head)->source_link = &s->source_next;
	*head = s;
}

static void source_remove(struct turn_stream *s)
{
	*s->source_link = s->source_next;
	if (s->source_next != NULL)
		s->source_next->source_link = s->source_link;
}

// ---- life

int turn_streams_open(struct turn_streams *t, const struct turn_stream_params *p,
		      struct turn_stream **out)
{
	const struct config_streams *limits = &t->config->streams;
	struct turn_stream *s;

	if (t->n_open >= limits->max_connections) {
		t->stats.n_refused_total++;
		return -EMFILE;
	}
	if (source_count(t, &p->client.address) >= limits->per_source_max) {
		t->stats.n_refused_source++;
		return -EDQUOT;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	if (t->n_free == 0 && grow(t) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->idx = slot_take(t);
	s->serial = ++t->serial[s->idx];
	s->streams = t;
	s->transport = p->transport;
	s->dscp = p->dscp;
	s->realm_idx = p->realm_idx;
	s->client = p->client;
	s->server = p->server;
	s->carrier = p->carrier;
	s->carrier_arg = p->carrier_arg;
	s->opened_at_ns = s->unallocated_at_ns = p->now_ns;
	s->is_open = true;
	t->slot[s->idx] = s;
	t->n_open++;
	t->stats.n_open[s->transport]++;
	t->stats.n_accepted[s->transport]++;
	source_add(s);
	*out = s;
	return 0;
}

void turn_stream_set_transport(struct turn_stream *s, uint8_t transport)
{
	struct turn_streams_stats *stats = &s->streams->stats;

	stats->n_open[s->transport]--;
	stats->n_accepted[s->transport]--;
	s->transport = transport;
	stats->n_open[s->transport]++;
	stats->n_accepted[s->transport]++;
}

bool turn_stream_may_handshake(struct turn_stream *s, uint64_t now_ns)
{
	struct turn_streams *t = s->streams;

	return turn_handshake_rate_take(&t->handshakes, &t->config->streams, t->source_key,
					&s->client.address, now_ns);
}

struct turn_stream *turn_streams_find(struct turn_streams *t, uint32_t idx, uint32_t serial)
{
	struct turn_stream *s = idx < t->n_slots && idx != 0 ? t->slot[idx] : NULL;

	return s != NULL && s->serial == serial ? s : NULL;
}

struct turn_stream *turn_streams_next(struct turn_streams *t, uint32_t idx)
{
	while (++idx < t->n_slots)
		if (t->slot[idx] != NULL)
			return t->slot[idx];
	return NULL;
}

void turn_stream_close(struct turn_stream *s, enum turn_stream_close_reason reason)
{
	struct turn_streams *t = s->streams;

	if (!s->is_open)
		return;
	s->is_open = false;
	t->stats.n_closed[reason < TURN_STREAM_CLOSE_COUNT ? reason : TURN_STREAM_CLOSE_NETWORK]++;
	t->stats.n_open[s->transport]--;
	t->n_open--;
	source_remove(s);
	slot_give(t, s->idx);
	if (s->pipe != NULL)
		s->pipe->closed(s->pipe_arg, s, reason);
	// Asked always: an allocation may have been made since has_allocation was looked up.
	turn_server_stream_closed(t->turn, s->idx, s->serial, turn_stream_now_ns(CLOCK_MONOTONIC));
	s->carrier->close(s, reason);
	s->dead_next = t->dead;
	t->dead = s;
}

static void bury(struct turn_streams *t)
{
	while (t->dead != NULL) {
		struct turn_stream *s = t->dead;

		t->dead = s->dead_next;
		free(s);
	}
}

void turn_streams_tick(struct turn_streams *t, uint64_t now_ns)
{
	uint64_t timeout_ns = t->config->streams.allocation_timeout_s * NS_PER_S;

	bury(t);
	for (uint32_t i = 1; i < t->n_slots; i++) {
		struct turn_stream *s = t->slot[i];
		bool had_allocation;

		if (s == NULL || s->pipe != NULL)
			continue;
		had_allocation = s->has_allocation;
		s->has_allocation = turn_stream_allocation_exists(s);
		if (had_allocation && !s->has_allocation)
			s->unallocated_at_ns = now_ns;
		if (!s->has_allocation && now_ns > s->unallocated_at_ns + timeout_ns)
			turn_stream_close(s, TURN_STREAM_CLOSE_NO_ALLOCATION);
	}
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	turn_streams_tick(arg, turn_stream_now_ns(CLOCK_MONOTONIC));
}

int turn_streams_new(const struct config *config, struct event_base *base,
		     struct table_writer *tables, struct turn_server *turn,
		     struct turn_streams **out)
{
	const struct timeval period = { .tv_sec = 1 };
	struct turn_streams *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->config = config;
	t->tables = tables;
	t->turn = turn;
	if (RAND_bytes(t->source_key, sizeof(t->source_key)) != 1)
		goto fail;
	if (base != NULL) {
		t->sweep = event_new(base, -1, EV_PERSIST, on_sweep, t);
		if (t->sweep == NULL || event_add(t->sweep, &period) < 0)
			goto fail;
	}
	*out = t;
	return 0;
fail:
	turn_streams_free(t);
	return -ENOMEM;
}

void turn_streams_free(struct turn_streams *t)
{
	if (t == NULL)
		return;
	for (uint32_t i = 1; i < t->n_slots; i++)
		if (t->slot[i] != NULL)
			turn_stream_close(t->slot[i], TURN_STREAM_CLOSE_SHUTDOWN);
	bury(t);
	if (t->sweep != NULL)
		event_free(t->sweep);
	free(t->slot);
	free(t->serial);
	free(t->free_idx);
	free(t);
}

void turn_streams_reload(struct turn_streams *t, const struct config *config)
{
	t->config = config;
}

const struct config *turn_streams_config(const struct turn_streams *t)
{
	return t->config;
}

const struct turn_streams_stats *turn_streams_stats(const struct turn_streams *t)
{
	return &t->stats;
}

struct turn_streams_stats *turn_streams_count(struct turn_streams *t)
{
	return &t->stats;
}
