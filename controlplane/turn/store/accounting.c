// A queue of messages between the server's events and Redis. Control plane's loop thread.
#include "controlplane/turn/store/accounting.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "controlplane/ops/log.h"
#include "controlplane/turn/state.h"
#include "controlplane/turn/store/redis_link.h"

#define TICK_MS        100
#define SEND_BATCH     512  // messages per tick
#define UNANSWERED_MAX 1024 // a slow server gets no more than this at once
#define KEEP_S         60 // a key outlives its allocation's lifetime by this, if we do not delete it
#define TEXT_BYTES_MAX 160
#define KEY_BYTES_MAX  (SHM_USERNAME_MAX + 256)

struct message {
	struct message *next;
	uint32_t keep_s; // also SET the key, for so long; 0: no
	bool deletes;    // also DEL the key
	uint32_t key_bytes;
	uint32_t text_bytes;
	char bytes[]; // key, text
};

struct accounting {
	struct turn_server *turn;
	struct redis_link *link;
	struct event *tick;
	struct turn_usage *told; // by allocation slot: what traffic messages have said
	uint32_t n_slots;
	uint32_t slots_per_tick;
	uint32_t slot; // looked at last
	struct message *oldest, **newest;
	uint32_t n_queued;
	uint64_t n_told, n_lost;
	bool is_down; // said already
	char where[160];
};

// ---- the queue

static void queue(struct accounting *a, const char *key, size_t key_bytes, const char *text,
		  uint32_t keep_s, bool deletes)
{
	size_t text_bytes = strlen(text);
	struct message *m;

	if (a->n_queued >= ACCOUNTING_QUEUE_MAX ||
	    (m = malloc(sizeof(*m) + key_bytes + text_bytes)) == NULL) {
		a->n_lost++;
		return;
	}
	*m = (struct message){ NULL, keep_s, deletes, (uint32_t)key_bytes, (uint32_t)text_bytes };
	memcpy(m->bytes, key, key_bytes);
	memcpy(m->bytes + key_bytes, text, text_bytes);
	*a->newest = m;
	a->newest = &m->next;
	a->n_queued++;
}

static void on_told(void *arg, const redisReply *reply)
{
	struct accounting *a = arg;

	if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
		a->n_lost++;
	else
		a->n_told++;
}

// Sends what may be sent now; what may not stays in the queue.
static void drain(struct accounting *a)
{
	for (uint32_t n = 0; n < SEND_BATCH && a->oldest != NULL; n++) {
		struct message *m = a->oldest;
		struct redis_word key = { m->bytes, m->key_bytes };
		struct redis_word text = { m->bytes + m->key_bytes, m->text_bytes };
		char keep_text[16];
		struct redis_word keep = { keep_text, (size_t)sprintf(keep_text, "%u", m->keep_s) };
		const struct redis_word set[] = { { "SET", 3 }, key, text, { "EX", 2 }, keep };
		const struct redis_word delete[] = { { "DEL", 3 }, key };
		const struct redis_word publish[] = { { "PUBLISH", 7 }, key, text };

		if (!redis_link_is_up(a->link) ||
		    redis_link_n_unanswered(a->link) >= UNANSWERED_MAX)
			return;
		if (m->keep_s > 0)
			redis_link_send(a->link, set, 5, NULL, NULL);
		if (m->deletes)
			redis_link_send(a->link, delete, 2, NULL, NULL);
		if (redis_link_send(a->link, publish, 3, on_told, a) < 0)
			a->n_lost++;
		a->oldest = m->next;
		if (a->oldest == NULL)
			a->newest = &a->oldest;
		a->n_queued--;
		free(m);
	}
}

// ---- messages

static void tell(struct accounting *a, uint32_t idx, const char *id, const char *kind,
		 const char *text, uint32_t keep_s, bool deletes)
{
	const struct shm_allocation *r = turn_record(a->turn, idx);
	const char *realm = turn_server_realm(a->turn, r->realm_idx);
	char key[KEY_BYTES_MAX];
	int n;

	// The name may hold any bytes, so it is no part of a format.
	n = snprintf(key, sizeof(key), "turn/realm/%s/user/", realm);
	memcpy(key + n, r->username, r->username_bytes);
	n += r->username_bytes;
	n += snprintf(key + n, sizeof(key) - (size_t)n, "/allocation/%s/%s", id, kind);
	queue(a, key, (size_t)n, text, keep_s, deletes);
}

static void tell_usage(struct accounting *a, uint32_t idx, const char *id, const char *kind,
		       const struct turn_usage *u)
{
	char text[TEXT_BYTES_MAX], peer_kind[32];

	snprintf(text, sizeof(text), "rcvp=%lu, rcvb=%lu, sentp=%lu, sentb=%lu",
		 (unsigned long)u->up_pkts, (unsigned long)u->up_bytes, (unsigned long)u->down_pkts,
		 (unsigned long)u->down_bytes);
	tell(a, idx, id, kind, text, 0, false);
	snprintf(text, sizeof(text), "rcvp=%lu, rcvb=%lu, sentp=%lu, sentb=%lu",
		 (unsigned long)u->down_pkts, (unsigned long)u->down_bytes,
		 (unsigned long)u->up_pkts, (unsigned long)u->up_bytes);
	snprintf(peer_kind, sizeof(peer_kind), "%s/peer", kind);
	tell(a, idx, id, peer_kind, text, 0, false);
}

// What has come since the last time; nothing is told of nothing.
static void tell_traffic(struct accounting *a, const struct turn_allocation_info *info)
{
	struct turn_usage *told = &a->told[info->idx];
	const struct turn_usage *now = &info->usage;
	const struct turn_usage since = {
		.up_pkts = now->up_pkts - told->up_pkts,
		.up_bytes = now->up_bytes - told->up_bytes,
		.down_pkts = now->down_pkts - told->down_pkts,
		.down_bytes = now->down_bytes - told->down_bytes,
	};

	if (since.up_pkts == 0 && since.down_pkts == 0)
		return;
	tell_usage(a, info->idx, info->id, "traffic", &since);
	*told = *now;
}

static void on_allocation(void *arg, uint32_t idx, enum turn_event event, uint64_t now_ns)
{
	struct accounting *a = arg;
	struct turn_allocation_info info;
	char text[TEXT_BYTES_MAX];
	uint64_t lifetime_s;

	if (turn_allocation_info(a->turn, idx, &info) < 0)
		return;
	if (event == TURN_EVENT_ENDED) {
		tell_traffic(a, &info);
		tell_usage(a, idx, info.id, "total_traffic", &info.usage);
		tell(a, idx, info.id, "status", "deleted", 0, true);
		return;
	}
	lifetime_s = (info.expires_at_ns - now_ns + TURN_NS_PER_S / 2) / TURN_NS_PER_S;
	if (event == TURN_EVENT_NEW)
		a->told[idx] = (struct turn_usage){ 0 };
	snprintf(text, sizeof(text), "%s lifetime=%lu",
		 event == TURN_EVENT_NEW ? "new" : "refreshed", (unsigned long)lifetime_s);
	tell(a, idx, info.id, "status", text, (uint32_t)lifetime_s + KEEP_S, false);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct accounting *a = arg;

	// Half of the queue is for begins and ends; traffic that is not told now is told next time.
	for (uint32_t i = 0; i < a->slots_per_tick && a->n_queued < ACCOUNTING_QUEUE_MAX / 2; i++) {
		struct turn_allocation_info info;

		a->slot = a->slot % a->n_slots + 1;
		if (turn_allocation_info(a->turn, a->slot, &info) == 0)
			tell_traffic(a, &info);
	}
	drain(a);
}

// ---- life

static void on_up(void *arg)
{
	struct accounting *a = arg;

	if (a->is_down)
		log_info("%s: statistics go on, %u messages had to wait", a->where, a->n_queued);
	a->is_down = false;
	drain(a);
}

static void on_down(void *arg, const char *why)
{
	struct accounting *a = arg;

	if (!a->is_down)
		log_warning("%s: statistics: %s; up to %d messages wait", a->where, why,
			    ACCOUNTING_QUEUE_MAX);
	a->is_down = true;
}

int accounting_new(struct event_base *base, const struct config *config, struct turn_server *turn,
		   struct accounting **out)
{
	const struct config_redis *c = &config->redis;
	const struct timeval period = { .tv_usec = TICK_MS * 1000 };
	struct accounting *a = calloc(1, sizeof(*a));
	const struct redis_link_events events = { a, on_up, on_down };
	const struct turn_observer observer = { a, on_allocation };
	uint64_t n_ticks = (uint64_t)c->statistics_s * 1000 / TICK_MS;
	int ret = -ENOMEM;

	if (a == NULL)
		return -ENOMEM;
	a->turn = turn;
	a->newest = &a->oldest;
	a->n_slots = turn->tables->n_allocations_max;
	a->slots_per_tick = (uint32_t)((a->n_slots + n_ticks - 1) / n_ticks);
	if (c->path != NULL)
		snprintf(a->where, sizeof(a->where), "redis unix:%s", c->path);
	else
		snprintf(a->where, sizeof(a->where), "redis %s:%u", c->host, c->port);
	a->told = calloc((size_t)a->n_slots + 1, sizeof(*a->told));
	a->tick = event_new(base, -1, EV_PERSIST, on_tick, a);
	if (a->told == NULL || a->tick == NULL || event_add(a->tick, &period) < 0)
		goto fail;
	// What allocations of a predecessor have used was told by it; their ends tell all of it.
	for (uint32_t idx = 1; idx <= a->n_slots; idx++) {
		struct turn_allocation_info info;

		if (turn_allocation_info(turn, idx, &info) == 0)
			a->told[idx] = info.usage;
	}
	ret = redis_link_new(base, c, &events, &a->link);
	if (ret < 0)
		goto fail;
	turn_server_observe(turn, &observer);
	*out = a;
	return 0;
fail:
	accounting_free(a);
	return ret;
}

void accounting_free(struct accounting *a)
{
	if (a == NULL)
		return;
	if (a->link != NULL) {
		turn_server_observe(a->turn, NULL);
		redis_link_free(a->link);
	}
	if (a->tick != NULL)
		event_free(a->tick);
	while (a->oldest != NULL) {
		struct message *m = a->oldest;

		a->oldest = m->next;
		free(m);
	}
	free(a->told);
	free(a);
}

struct accounting_stats accounting_stats(const struct accounting *a)
{
	return (struct accounting_stats){ a->n_told, a->n_lost, a->n_queued,
					  redis_link_is_up(a->link) };
}
