// Making the order of a traffic mix. Cold; one thread.
#include "bench/blast/mix.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIX_ITEMS_MIN (1u << 16)
#define MIX_ITEMS_MAX (1u << 22)
#define FRAME_MIN     60
#define FRAME_MAX     1514

static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((random_next(state) >> 32) * n >> 32);
}

// Inverse of the harmonic distribution: H(k) is about ln k + 0.5772, so k is about exp(u * H(n) - 0.5772).
static uint32_t random_zipf(uint64_t *state, uint32_t n)
{
	double u = (double)(random_next(state) >> 11) / 9007199254740992.0;
	double k = exp(u * (log(n) + 0.5772156649) - 0.5772156649);

	return k < 1 ? 0 : k >= n ? n - 1 : (uint32_t)k - 1;
}

// One period of frame sizes. Returns how many, 0 when the text is none.
static uint32_t sizes_parse(const char *text, uint16_t out[32])
{
	char *end;
	unsigned long v;

	if (strcmp(text, "imix") == 0) {
		static const uint16_t imix[12] = { 64,   594, 64,  64, 594, 64,
						   1418, 64,  594, 64, 594, 64 };

		memcpy(out, imix, sizeof(imix));
		return 12;
	}
	if (strcmp(text, "av") == 0) {
		for (uint32_t i = 0; i < 27; i++)
			out[i] = i % 5 == 2 ? 160 : 1200;
		return 27; // 5 of 27 are audio: 50 of 270
	}
	v = strtoul(text, &end, 10);
	if (*text == '\0' || *end != '\0' || v < FRAME_MIN || v > FRAME_MAX)
		return 0;
	out[0] = (uint16_t)v;
	return 1;
}

int mix_create(const struct mix_options *o, struct mix *out)
{
	uint64_t random = o->seed * 2 + 1;
	uint32_t n_items = o->n_items;
	uint16_t sizes[32];
	uint32_t n_sizes = sizes_parse(o->size, sizes);
	uint64_t total = 0;

	memset(out, 0, sizeof(*out));
	if (n_sizes == 0 || o->n_flows == 0)
		return -EINVAL;
	if (n_items == 0) {
		n_items = MIX_ITEMS_MIN;
		while (n_items < 2 * (uint64_t)o->n_flows && n_items < MIX_ITEMS_MAX)
			n_items *= 2;
		// Whole rounds, so that the circle closes without a seam.
		if (o->order == MIX_ROUND)
			n_items = n_items / o->n_flows == 0 ? o->n_flows
							    : n_items / o->n_flows * o->n_flows;
	}
	for (uint32_t i = 0; i < 16; i++)
		random_next(&random);
	out->items = malloc(sizeof(*out->items) * n_items);
	if (out->items == NULL)
		return -ENOMEM;
	out->n_items = n_items;
	for (uint32_t i = 0; i < n_items; i++) {
		struct mix_item *item = &out->items[i];
		bool is_down = o->direction == MIX_DOWN_ONLY;

		switch (o->order) {
		case MIX_UNIFORM:
			item->flow = random_below(&random, o->n_flows);
			break;
		case MIX_ZIPF:
			item->flow = random_zipf(&random, o->n_flows);
			break;
		default:
			item->flow = i % o->n_flows;
			break;
		}
		if (o->direction == MIX_BOTH)
			is_down = random_next(&random) >> 63;
		if (is_down)
			item->flow |= MIX_DOWN;
		item->frame_bytes = sizes[i % n_sizes];
		total += item->frame_bytes;
		if (item->frame_bytes > out->frame_bytes_max)
			out->frame_bytes_max = item->frame_bytes;
	}
	out->frame_bytes_mean = (double)total / n_items;
	return 0;
}

void mix_destroy(struct mix *m)
{
	free(m->items);
	memset(m, 0, sizeof(*m));
}

static int name_find(const char *text, const char *const *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}

int mix_order_parse(const char *text, enum mix_order *out)
{
	static const char *const names[] = { "round", "uniform", "zipf" };
	int i = name_find(text, names, MIX_ORDER_COUNT);

	if (i < 0)
		return i;
	*out = (enum mix_order)i;
	return 0;
}

int mix_direction_parse(const char *text, enum mix_direction *out)
{
	static const char *const names[] = { "up", "down", "both" };
	int i = name_find(text, names, MIX_DIRECTION_COUNT);

	if (i < 0)
		return i;
	*out = (enum mix_direction)i;
	return 0;
}
