// What the files of turn/stream share behind stream.h. Control plane's loop thread.
#ifndef TP_TURN_STREAM_PRIVATE_H
#define TP_TURN_STREAM_PRIVATE_H

#include <time.h>

#include "controlplane/turn/stream/handshake_rate.h"
#include "controlplane/turn/stream/stream.h"

#define TURN_STREAM_SOURCE_BUCKETS 4096

struct turn_streams {
	const struct config *config;
	struct table_writer *tables;
	struct turn_server *turn;
	struct turn_streams_stats stats;
	struct turn_stream **slot; // by idx; NULL = free
	uint32_t *serial;          // by idx, of the one that has it or had it last
	uint32_t n_slots;
	uint32_t *free_idx; // a queue, so that an idx rests as long as possible
	uint32_t free_head;
	uint32_t n_free;
	uint32_t n_open;
	struct turn_stream *source[TURN_STREAM_SOURCE_BUCKETS];
	uint8_t source_key[16];
	struct turn_handshake_rate handshakes;
	struct turn_stream *dead; // closed ones, until nobody up the stack can hold them
	struct event *sweep;
};

// ---- receive.c
bool turn_stream_allocation_exists(const struct turn_stream *s);

static inline uint64_t turn_stream_now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

#endif
