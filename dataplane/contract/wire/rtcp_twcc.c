// Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1). Pure, any thread.
#include "dataplane/contract/wire/rtcp_twcc.h"

#include <errno.h>

#define FIXED_BYTES     8 // base sequence, status count, reference time, feedback count
#define CHUNK_BYTES     2
#define RUN_MAX         8191
#define ONE_BIT_SYMBOLS 14
#define TWO_BIT_SYMBOLS 7
#define CHUNK_F_VECTOR  0x8000
#define CHUNK_F_TWO_BIT 0x4000
#define CHUNK_RUN_SHIFT 13
#define MESSAGE_BYTES   20 // header, two SSRCs, fixed part

// §3.1.1; a symbol's value is also the length of its delta.
enum symbol {
	SYMBOL_LOST = 0,
	SYMBOL_SMALL,
	SYMBOL_LARGE,
	SYMBOL_RESERVED,
};

// How many symbols a chunk has (§3.1.3, §3.1.4).
static uint32_t chunk_symbols(uint16_t chunk)
{
	if (!(chunk & CHUNK_F_VECTOR))
		return chunk & RUN_MAX;
	return chunk & CHUNK_F_TWO_BIT ? TWO_BIT_SYMBOLS : ONE_BIT_SYMBOLS;
}

// The i-th symbol of a chunk, i below chunk_symbols().
static enum symbol chunk_symbol(uint16_t chunk, uint32_t i)
{
	if (!(chunk & CHUNK_F_VECTOR))
		return (enum symbol)(chunk >> CHUNK_RUN_SHIFT & 3);
	if (chunk & CHUNK_F_TWO_BIT)
		return (enum symbol)(chunk >> (2 * (TWO_BIT_SYMBOLS - 1 - i)) & 3);
	return (enum symbol)(chunk >> (ONE_BIT_SYMBOLS - 1 - i) & 1);
}

// Walks the chunks up to n_statuses symbols; counts what they promise.
static int chunks_measure(struct bytes_reader *r, uint32_t n_statuses, uint32_t *n_received,
			  size_t *delta_bytes)
{
	while (n_statuses > 0) {
		const uint8_t *p = bytes_take(r, CHUNK_BYTES);
		uint32_t n;
		uint16_t chunk;

		if (p == NULL)
			return -EINVAL;
		chunk = bytes_get_be16(p);
		n = chunk_symbols(chunk);
		if (n == 0)
			return -EINVAL;
		if (n > n_statuses)
			n = n_statuses;
		n_statuses -= n;
		// A run says its symbol once: 65535 statuses cost no more than their few chunks.
		for (uint32_t i = 0; i < (chunk & CHUNK_F_VECTOR ? n : 1); i++) {
			enum symbol symbol = chunk_symbol(chunk, i);
			uint32_t times = chunk & CHUNK_F_VECTOR ? 1 : n;

			if (symbol == SYMBOL_RESERVED)
				return -EINVAL;
			*n_received += symbol != SYMBOL_LOST ? times : 0;
			*delta_bytes += (size_t)symbol * times;
		}
	}
	return 0;
}

int rtcp_twcc_parse(const struct rtcp_view *v, struct rtcp_twcc *out)
{
	struct rtcp_feedback feedback;
	uint32_t n_received = 0;
	size_t delta_bytes = 0;
	struct bytes_reader r;
	const uint8_t *p;
	int ret;

	if (v->type != RTCP_TYPE_RTPFB || v->count != RTCP_RTPFB_TWCC)
		return -EINVAL;
	ret = rtcp_feedback_parse(v, &feedback);
	if (ret < 0)
		return ret;
	r = bytes_reader_init(feedback.fci, feedback.fci_bytes);
	p = bytes_take(&r, FIXED_BYTES);
	if (p == NULL || bytes_get_be16(p + 2) == 0)
		return -EINVAL;
	out->sender_ssrc = feedback.sender_ssrc;
	out->media_ssrc = feedback.media_ssrc;
	out->base_sequence = bytes_get_be16(p);
	out->n_statuses = bytes_get_be16(p + 2);
	out->reference_units = (int32_t)bytes_get_be32(p + 4) >> 8;
	out->feedback_count = p[7];
	out->chunks = r.at;
	ret = chunks_measure(&r, out->n_statuses, &n_received, &delta_bytes);
	if (ret < 0)
		return ret;
	out->n_received = (uint16_t)n_received;
	out->deltas = r.at;
	return delta_bytes > bytes_left(&r) ? -EINVAL : 0;
}

struct rtcp_twcc_reader rtcp_twcc_reader_init(const struct rtcp_twcc *twcc)
{
	return (struct rtcp_twcc_reader){
		.chunk = twcc->chunks,
		.delta = twcc->deltas,
		.ticks = (int64_t)twcc->reference_units * RTCP_TWCC_TICKS_PER_UNIT,
		.sequence = twcc->base_sequence,
		.n_left = twcc->n_statuses,
	};
}

bool rtcp_twcc_next(struct rtcp_twcc_reader *r, struct rtcp_twcc_status *out)
{
	enum symbol symbol;

	if (r->n_left == 0)
		return false;
	if (r->symbols_left == 0) {
		r->symbols = bytes_get_be16(r->chunk);
		r->symbols_left = (uint16_t)chunk_symbols(r->symbols);
		r->chunk += CHUNK_BYTES;
	}
	symbol = chunk_symbol(r->symbols, chunk_symbols(r->symbols) - r->symbols_left);
	if (symbol == SYMBOL_SMALL)
		r->ticks += *r->delta;
	else if (symbol == SYMBOL_LARGE)
		r->ticks += (int16_t)bytes_get_be16(r->delta);
	r->delta += symbol;
	out->sequence = r->sequence;
	out->received = symbol != SYMBOL_LOST;
	out->arrival_ticks = r->ticks;
	r->symbols_left--;
	r->n_left--;
	r->sequence++;
	return true;
}

// A message under construction: what fits is decided before anything is written.
struct draft {
	uint8_t symbols[RTCP_TWCC_STATUSES_MAX];
	uint32_t n;
	uint32_t n_received;
	size_t delta_bytes;
	int64_t reference_ticks;
};

// Chunks of n symbols at most: every chunk but the last takes 7 or more.
static size_t chunks_bound_bytes(uint32_t n)
{
	return CHUNK_BYTES * (size_t)((n + TWO_BIT_SYMBOLS - 1) / TWO_BIT_SYMBOLS);
}

// Ends at the first packet that does not fit; packets that were lost behind the last arrival count as told, too.
static void draft_make(struct draft *d, const int64_t *arrival_ticks, uint32_t n, size_t room_bytes)
{
	int64_t last_ticks = 0;

	d->n = 0;
	d->n_received = 0;
	d->delta_bytes = 0;
	for (uint32_t i = 0; i < n && i < RTCP_TWCC_STATUSES_MAX; i++) {
		enum symbol symbol = SYMBOL_LOST;
		size_t total_bytes;

		if (arrival_ticks[i] != RTCP_TWCC_LOST) {
			int64_t delta;

			if (d->n_received == 0) {
				d->reference_ticks =
					arrival_ticks[i] & ~(int64_t)(RTCP_TWCC_TICKS_PER_UNIT - 1);
				last_ticks = d->reference_ticks;
			}
			delta = (int64_t)((uint64_t)arrival_ticks[i] - (uint64_t)last_ticks);
			if (delta < INT16_MIN || delta > INT16_MAX)
				return;
			symbol = delta >= 0 && delta <= UINT8_MAX ? SYMBOL_SMALL : SYMBOL_LARGE;
			last_ticks = arrival_ticks[i];
		}
		total_bytes = MESSAGE_BYTES + chunks_bound_bytes(i + 1) + d->delta_bytes + symbol;
		if (((total_bytes + 3) & ~(size_t)3) > room_bytes)
			return;
		d->symbols[i] = (uint8_t)symbol;
		d->n = i + 1;
		d->n_received += symbol != SYMBOL_LOST;
		d->delta_bytes += symbol;
	}
}

// Length of the run of equal symbols at `at`.
static uint32_t draft_run(const struct draft *d, uint32_t at)
{
	uint32_t i = at + 1;

	while (i < d->n && d->symbols[i] == d->symbols[at])
		i++;
	return i - at;
}

static bool draft_is_one_bit(const struct draft *d, uint32_t at)
{
	for (uint32_t i = at; i < d->n && i < at + ONE_BIT_SYMBOLS; i++)
		if (d->symbols[i] == SYMBOL_LARGE)
			return false;
	return true;
}

// The chunk that tells most about the symbols from `at`; returns how many it takes.
static uint32_t draft_chunk(const struct draft *d, uint32_t at, uint16_t *chunk)
{
	uint32_t run = draft_run(d, at);
	bool one_bit = draft_is_one_bit(d, at);
	uint32_t n = one_bit ? ONE_BIT_SYMBOLS : TWO_BIT_SYMBOLS;

	if (n > d->n - at)
		n = d->n - at;
	if (run >= n) {
		*chunk = (uint16_t)((uint32_t)d->symbols[at] << CHUNK_RUN_SHIFT | run);
		return run;
	}
	*chunk = one_bit ? CHUNK_F_VECTOR : CHUNK_F_VECTOR | CHUNK_F_TWO_BIT;
	for (uint32_t i = 0; i < n; i++)
		*chunk |=
			(uint16_t)(d->symbols[at + i] << (one_bit ? ONE_BIT_SYMBOLS - 1 - i
								  : 2 * (TWO_BIT_SYMBOLS - 1 - i)));
	return n;
}

static uint32_t draft_chunk_count(const struct draft *d)
{
	uint32_t n_chunks = 0;
	uint16_t chunk;

	for (uint32_t at = 0; at < d->n; n_chunks++)
		at += draft_chunk(d, at, &chunk);
	return n_chunks;
}

static uint8_t *draft_write_chunks(const struct draft *d, uint8_t *p)
{
	for (uint32_t at = 0; at < d->n; p += CHUNK_BYTES) {
		uint16_t chunk;

		at += draft_chunk(d, at, &chunk);
		bytes_put_be16(p, chunk);
	}
	return p;
}

static uint8_t *draft_write_deltas(const struct draft *d, const int64_t *arrival_ticks, uint8_t *p)
{
	int64_t last_ticks = d->reference_ticks;

	for (uint32_t i = 0; i < d->n; i++) {
		int64_t delta;

		if (d->symbols[i] == SYMBOL_LOST)
			continue;
		delta = arrival_ticks[i] - last_ticks;
		if (d->symbols[i] == SYMBOL_SMALL)
			*p = (uint8_t)delta;
		else
			bytes_put_be16(p, (uint16_t)delta);
		p += d->symbols[i];
		last_ticks = arrival_ticks[i];
	}
	return p;
}

uint32_t rtcp_twcc_put(struct bytes_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc,
		       uint8_t feedback_count, uint16_t base_sequence, const int64_t *arrival_ticks,
		       uint32_t n)
{
	size_t used_bytes, padding_bytes;
	struct draft d;
	uint8_t *p;

	if (w->overflow)
		return 0;
	draft_make(&d, arrival_ticks, n, w->capacity_bytes - w->len_bytes);
	if (d.n_received == 0)
		return 0;
	used_bytes = MESSAGE_BYTES + CHUNK_BYTES * (size_t)draft_chunk_count(&d) + d.delta_bytes;
	padding_bytes = -used_bytes & 3;
	p = rtcp_packet_grow(w, RTCP_TYPE_RTPFB, RTCP_RTPFB_TWCC, used_bytes + padding_bytes);
	if (p == NULL)
		return 0;
	if (padding_bytes > 0)
		p[-RTCP_HEADER_BYTES] |= 0x20;
	bytes_put_be32(p, sender_ssrc);
	bytes_put_be32(p + 4, media_ssrc);
	bytes_put_be16(p + 8, base_sequence);
	bytes_put_be16(p + 10, (uint16_t)d.n);
	bytes_put_be32(p + 12, (uint32_t)(d.reference_ticks / RTCP_TWCC_TICKS_PER_UNIT) << 8 |
				       feedback_count);
	p = draft_write_chunks(&d, p + 16);
	p = draft_write_deltas(&d, arrival_ticks, p);
	if (padding_bytes > 0) {
		memset(p, 0, padding_bytes);
		p[padding_bytes - 1] = (uint8_t)padding_bytes;
	}
	return d.n;
}
