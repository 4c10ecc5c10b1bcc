// The order of a traffic mix: which flow, in which direction and how long each packet is. Made once before a run, from
// a seed, then walked in a circle, so that choosing costs a load and two runs send the same. One thread.
#ifndef TP_BENCH_MIX_H
#define TP_BENCH_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIX_DOWN 0x80000000u // in mix_item.flow: from the peer to the client

struct mix_item {
	uint32_t flow; // index, and MIX_DOWN
	uint16_t frame_bytes;
};

enum mix_order {
	MIX_ROUND = 0, // one flow after the other
	MIX_UNIFORM,
	MIX_ZIPF, // exponent 1: flow k is met in proportion to 1 / (k + 1)
	MIX_ORDER_COUNT
};

enum mix_direction { MIX_UP_ONLY = 0, MIX_DOWN_ONLY, MIX_BOTH, MIX_DIRECTION_COUNT };

struct mix_options {
	uint32_t n_flows;
	uint32_t n_items; // 0: chosen by the number of flows
	enum mix_order order;
	enum mix_direction direction;
	// Frame bytes without FCS: "64", "imix" (64, 594 and 1418 as 7:4:1), "av" (per second and call 50 audio frames of 160
	// bytes and 220 video frames of 1200 bytes).
	const char *size;
	uint64_t seed;
};

struct mix {
	struct mix_item *items;
	uint32_t n_items;
	uint32_t at;
	uint32_t frame_bytes_max;
	double frame_bytes_mean;
};

// 0, -EINVAL for a size that is none, -ENOMEM.
int mix_create(const struct mix_options *o, struct mix *out);
void mix_destroy(struct mix *m);

static inline const struct mix_item *mix_next(struct mix *m)
{
	const struct mix_item *i = &m->items[m->at];

	if (++m->at == m->n_items)
		m->at = 0;
	return i;
}

// The item that mix_next will give `ahead` calls later.
static inline const struct mix_item *mix_peek(const struct mix *m, uint32_t ahead)
{
	uint32_t i = m->at + ahead;

	return &m->items[i >= m->n_items ? i - m->n_items : i];
}

// Names as on the command line: "round", "uniform", "zipf"; "up", "down", "both". 0 or -EINVAL.
int mix_order_parse(const char *text, enum mix_order *out);
int mix_direction_parse(const char *text, enum mix_direction *out);

#endif
