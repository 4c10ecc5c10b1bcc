// Numbered test traffic, see traffic.h.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/e2e/traffic.h"

#define TRAFFIC_MAGIC 0x54505242u

// Host order: sender and receiver of these bytes are one process.
struct traffic_header {
	uint32_t magic;
	uint32_t stream_id;
	uint64_t seq;
	uint32_t window;
	uint32_t size_bytes;
	uint64_t sent_ns;
};

static_assert(sizeof(struct traffic_header) <= TRAFFIC_PACKET_MIN,
	      "header fits the smallest packet");

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

static uint8_t pattern(const struct traffic_header *h, size_t i)
{
	return (uint8_t)(mix(h->seq * 31 + h->stream_id + (i >> 3)) >> (8 * (i & 7)));
}

void traffic_packet_write(struct traffic *t, struct traffic_stream *s, uint8_t *out,
			  size_t size_bytes, uint64_t now_ns)
{
	struct traffic_window *w = &t->window[t->current];
	struct traffic_header h = {
		.magic = TRAFFIC_MAGIC,
		.stream_id = s->id,
		.seq = s->next_seq++,
		.window = t->current,
		.size_bytes = (uint32_t)size_bytes,
		.sent_ns = now_ns,
	};
	uint32_t bit = h.seq % TRAFFIC_SEQ_SEEN_BITS;

	s->seen[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
	memcpy(out, &h, sizeof(h));
	for (size_t i = sizeof(h); i < size_bytes; i++)
		out[i] = pattern(&h, i);
	if (w->n_sent++ == 0)
		w->first_sent_ns = now_ns;
}

static bool is_intact(const struct traffic *t, const struct traffic_stream *s,
		      const struct traffic_header *h, const uint8_t *packet, size_t size_bytes)
{
	if (h->magic != TRAFFIC_MAGIC || h->stream_id != s->id || h->seq >= s->next_seq ||
	    h->window > t->current || h->size_bytes != size_bytes)
		return false;
	for (size_t i = sizeof(*h); i < size_bytes; i++) {
		if (packet[i] != pattern(h, i))
			return false;
	}
	return true;
}

void traffic_packet_count(struct traffic *t, struct traffic_stream *s, const uint8_t *packet,
			  size_t size_bytes, size_t size_bytes_expected, uint64_t now_ns)
{
	struct traffic_header h;
	struct traffic_window *w = &t->window[t->current];
	struct timespec wall;
	uint32_t bit;

	if (size_bytes != size_bytes_expected || size_bytes < sizeof(h)) {
		w->n_corrupt++;
		return;
	}
	memcpy(&h, packet, sizeof(h));
	if (!is_intact(t, s, &h, packet, size_bytes)) {
		w->n_corrupt++;
		return;
	}
	// The gap belongs to the window it ends in; one before the first packet of all does not count.
	if (t->last_arrival_ns != 0 && now_ns - t->last_arrival_ns > w->longest_gap_ns) {
		clock_gettime(CLOCK_REALTIME, &wall);
		w->longest_gap_ns = now_ns - t->last_arrival_ns;
		w->gap_end_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
	}
	t->last_arrival_ns = now_ns;

	w = &t->window[h.window];
	bit = h.seq % TRAFFIC_SEQ_SEEN_BITS;
	if (s->next_seq - h.seq > TRAFFIC_SEQ_SEEN_BITS || (s->seen[bit / 8] & (1u << (bit % 8)))) {
		w->n_duplicate++;
		return;
	}
	s->seen[bit / 8] |= (uint8_t)(1u << (bit % 8));
	w->n_received++;
	if (s->any_received && h.seq < s->highest_seq)
		w->n_reordered++;
	else
		s->highest_seq = h.seq;
	s->any_received = true;
}

void traffic_socket_error(struct traffic *t)
{
	t->window[t->current].n_socket_errors++;
}

uint32_t traffic_window_next(struct traffic *t)
{
	uint32_t closed = t->current;

	if (t->current + 1 < TRAFFIC_WINDOWS_MAX)
		t->current++;
	return closed;
}

void traffic_window_print(const struct traffic *t, uint32_t index)
{
	const struct traffic_window *w = &t->window[index];

	printf("{\"event\":\"window\",\"index\":%" PRIu32 ",\"sent\":%" PRIu64
	       ",\"received\":%" PRIu64 ",\"lost\":%" PRId64 ",\"duplicate\":%" PRIu64
	       ",\"reordered\":%" PRIu64 ",\"corrupt\":%" PRIu64 ",\"socket_errors\":%" PRIu64
	       ",\"longest_gap_ms\":%" PRIu64 ",\"gap_end_ms\":%" PRIu64 "}\n",
	       index, w->n_sent, w->n_received, (int64_t)(w->n_sent - w->n_received),
	       w->n_duplicate, w->n_reordered, w->n_corrupt, w->n_socket_errors,
	       w->longest_gap_ns / 1000000, w->gap_end_ms);
	fflush(stdout);
}
