// The control plane's ends of the rings. It sleeps on the FIFO that workers write a byte to when
// they see it asleep; a timer looks as well, because a worker may die between its commit and its
// byte. Control plane's loop thread; writes consumer positions of punt rings and the inject rings.
#include "controlplane/punt.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/sfu/sfu.h"
#include "controlplane/turn/dtls/dtls.h"
#include "controlplane/turn/stream/stream.h"
#include "dataplane/contract/shm/segment.h"

#define FALLBACK_US 20000

struct punt {
	struct event_base *base;
	struct table_writer *tables;
	struct turn_server *turn;
	struct sfu *sfu;
	struct turn_streams *streams;
	struct turn_dtls *dtls;
	struct punt_stats stats;
	int wake_fd;
	struct event *wake;
	struct event *fallback;
	struct event *again; // as soon as everything else has had its turn
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

// NULL: it is none.
static const struct shm_listener *listener_at(const struct table_writer *w, uint8_t local_idx,
					      uint16_t port_be)
{
	for (uint32_t i = 0; i < w->settings.n_listeners; i++) {
		if (w->settings.listener[i].local_idx == local_idx &&
		    w->settings.listener[i].port_be == port_be)
			return &w->settings.listener[i];
	}
	return NULL;
}

// Answers where the request came from, over the worker that has it.
static void inject(struct punt *p, uint32_t worker_idx, const struct turn_request *request,
		   const uint8_t *answer, size_t answer_bytes)
{
	struct shm_datagram *d =
		shm_ring_reserve(table_writer_ring(p->tables, worker_idx, SHM_RING_INJECT));

	if (d == NULL) {
		p->stats.n_inject_full++;
		return;
	}
	memset(d, 0, sizeof(*d));
	memcpy(d->remote_address, request->client.address.bytes, 16);
	d->remote_port_be = request->client.port_be;
	d->local_port_be = request->local_port_be;
	d->local_idx = request->local_idx;
	d->kind = SHM_DATAGRAM_STUN;
	d->l2_word = request->l2_word;
	d->at_ns = request->now_ns;
	d->length_bytes = (uint16_t)answer_bytes;
	memcpy(d->data, answer, answer_bytes);
	shm_ring_commit(table_writer_ring(p->tables, worker_idx, SHM_RING_INJECT));
	p->stats.n_answers++;
}

static void request_handle(void *arg, const struct turn_request *request)
{
	uint8_t answer[TURN_ANSWER_BYTES_MAX];
	struct punt *p = arg;
	size_t answer_bytes;

	answer_bytes = turn_server_handle(p->turn, request, answer, sizeof(answer));
	if (answer_bytes > 0)
		inject(p, request->worker_idx, request, answer, answer_bytes);
}

// One datagram, already out of the ring.
static void handle(struct punt *p, uint32_t worker_idx, const struct shm_datagram *d,
		   uint16_t length_bytes, uint64_t now_ns, uint64_t wall_ns)
{
	struct turn_request request = {
		.now_ns = now_ns,
		.wall_ns = wall_ns,
		.again = request_handle,
		.again_arg = p,
		.worker_idx = worker_idx,
	};
	const struct shm_listener *listener;

	// Records of strangers, no transport of the SFU's.
	if (p->dtls != NULL && d->kind == SHM_DATAGRAM_DTLS && d->transport_idx == 0) {
		turn_dtls_receive(p->dtls, worker_idx, d, length_bytes, now_ns, wall_ns);
		return;
	}
	if (p->sfu != NULL && (d->kind == SHM_DATAGRAM_DTLS || d->kind == SHM_DATAGRAM_SFU_EVENT ||
			       d->kind == SHM_DATAGRAM_SFU_FEEDBACK)) {
		sfu_handle_datagram(p->sfu, worker_idx, d, length_bytes, now_ns);
		return;
	}
	memcpy(request.client.address.bytes, d->remote_address, 16);
	request.client.port_be = d->remote_port_be;
	request.local_port_be = d->local_port_be;
	request.local_idx = d->local_idx;
	request.l2_word = d->l2_word;
	request.bytes = d->data;
	request.len_bytes = length_bytes;
	listener = listener_at(p->tables, request.local_idx, request.local_port_be);
	if (d->kind != SHM_DATAGRAM_STUN || request.client.port_be == 0 || listener == NULL) {
		p->stats.n_invalid++;
		return;
	}
	request.realm_idx = listener->realm_idx;
	shm_ring_prefetch_reserve(table_writer_ring(p->tables, worker_idx, SHM_RING_INJECT));
	request_handle(p, &request);
}

// What workers have for clients whose sockets are ours. A key frame comes as some hundred messages at once.
static uint32_t drain_stream_ring(struct punt *p, uint32_t worker_idx, uint64_t now_ns)
{
	_Alignas(struct shm_datagram) uint8_t copy[SHM_RING_SLOT_BYTES];
	struct shm_ring *ring = table_writer_ring(p->tables, worker_idx, SHM_RING_STREAM);
	const struct shm_datagram *d = (const struct shm_datagram *)copy;
	uint32_t n;

	for (n = 0; n < PUNT_STREAM_BATCH; n++) {
		const struct shm_datagram *at;
		uint16_t length_bytes;

		at = shm_stream_ring_peek(ring, &length_bytes);
		if (at == NULL)
			break;
		memcpy(copy, at, sizeof(*at) + length_bytes);
		shm_ring_release(ring);
		if (p->streams == NULL || d->kind != SHM_DATAGRAM_STREAM)
			p->stats.n_invalid++;
		else
			turn_streams_deliver(p->streams, d->remote_address, d->data, length_bytes,
					     d->at_ns < now_ns ? d->at_ns : now_ns);
	}
	return n;
}

uint32_t punt_drain(struct punt *p, uint64_t now_ns, uint64_t wall_ns)
{
	_Alignas(struct shm_datagram) uint8_t copy[SHM_RING_SLOT_BYTES];
	uint32_t n_all = 0;

	for (uint32_t i = 0; i < p->tables->n_workers_max; i++) {
		struct shm_ring *ring = table_writer_ring(p->tables, i, SHM_RING_PUNT);

		for (uint32_t n = 0; n < PUNT_BATCH; n++) {
			const struct shm_datagram *d;
			uint16_t length_bytes;

			d = shm_ring_peek(ring, &length_bytes);
			if (d == NULL)
				break;
			// Copied, since the memory belongs to a worker and what is checked must be
			// what is used; and released first, so that a request that kills us does
			// not meet our successor.
			memcpy(copy, d, sizeof(*d) + length_bytes);
			shm_ring_release(ring);
			handle(p, i, (const struct shm_datagram *)copy, length_bytes, now_ns,
			       wall_ns);
			n_all++;
		}
	}
	p->stats.n_datagrams += n_all;
	for (uint32_t i = 0; i < p->tables->n_workers_max; i++)
		n_all += drain_stream_ring(p, i, now_ns);
	return n_all;
}

// Before sleeping every ring is marked, also of workers that are not configured any more; false
// when one has something.
static bool prepare_sleep(struct punt *p)
{
	bool may_sleep = true;

	for (uint32_t i = 0; i < p->tables->n_workers_max; i++) {
		may_sleep &= shm_ring_prepare_sleep(table_writer_ring(p->tables, i, SHM_RING_PUNT));
		may_sleep &= shm_stream_ring_prepare_sleep(
			table_writer_ring(p->tables, i, SHM_RING_STREAM));
	}
	return may_sleep;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once = { 0 };
	struct punt *p = arg;
	char discard[256];

	if (what & EV_READ) {
		p->stats.n_wakes++;
		while (read(p->wake_fd, discard, sizeof(discard)) == (ssize_t)sizeof(discard))
			;
	}
	punt_drain(p, clock_ns(CLOCK_MONOTONIC), clock_ns(CLOCK_REALTIME));
	// Other events have their turn before the next round. Not event_active: the loop runs what is
	// activated meanwhile before it looks at timers, signals and sockets, so a flood of requests
	// would keep withdrawn entries from being reclaimed and the heartbeat from beating.
	if (!prepare_sleep(p))
		event_add(p->again, &at_once);
}

int punt_new(struct event_base *base, struct table_writer *tables, struct turn_server *turn,
	     const char *instance, struct punt **out)
{
	const struct timeval fallback = { .tv_usec = FALLBACK_US };
	struct punt *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;

	if (p == NULL)
		return -ENOMEM;
	p->base = base;
	p->tables = tables;
	p->turn = turn;
	p->wake_fd = -1;
	if (base != NULL) {
		p->wake_fd = shm_wake_open(instance);
		if (p->wake_fd < 0) {
			ret = p->wake_fd;
			goto fail;
		}
		p->wake = event_new(base, p->wake_fd, EV_READ | EV_PERSIST, on_wake, p);
		p->fallback = event_new(base, -1, EV_PERSIST, on_wake, p);
		p->again = event_new(base, -1, 0, on_wake, p);
		if (p->wake == NULL || p->fallback == NULL || p->again == NULL ||
		    event_add(p->wake, NULL) < 0 || event_add(p->fallback, &fallback) < 0)
			goto fail;
		event_active(p->wake, EV_TIMEOUT, 0);
	}
	*out = p;
	return 0;
fail:
	punt_free(p);
	return ret;
}

void punt_free(struct punt *p)
{
	if (p == NULL)
		return;
	if (p->wake != NULL)
		event_free(p->wake);
	if (p->fallback != NULL)
		event_free(p->fallback);
	if (p->again != NULL)
		event_free(p->again);
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	free(p);
}

void punt_attach_sfu(struct punt *p, struct sfu *sfu)
{
	p->sfu = sfu;
}

void punt_attach_dtls(struct punt *p, struct turn_dtls *dtls)
{
	p->dtls = dtls;
}

void punt_attach_streams(struct punt *p, struct turn_streams *streams)
{
	p->streams = streams;
}

const struct punt_stats *punt_stats(const struct punt *p)
{
	return &p->stats;
}
