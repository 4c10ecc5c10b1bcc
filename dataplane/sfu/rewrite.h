// What a watcher sees in place of the publisher's numbers: one continuous stream, whatever tracks and layers it is put together
// from. Sequence numbers close up where selection left packets out and keep the gaps of what was lost; timestamps go on over a
// switch; picture ids, TL0PICIDX, KEYIDX and frame numbers likewise. Pure: the owner of the struct calls, nothing else is written.
#ifndef TP_DP_SFU_REWRITE_H
#define TP_DP_SFU_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

// Places where the mapping changed that are remembered, for packets that come late by repair.
#define DP_SFU_REWRITE_STEPS 8

#define DP_SFU_PICTURE_NONE 0xffff
#define DP_SFU_PICTURE_MASK 0x7fff // ids have 15 bits at most

// What a packet carries that is rewritten; read from the descriptors once per packet, not once per watcher.
struct dp_sfu_numbers {
	uint16_t picture_id; // DP_SFU_PICTURE_NONE: has none
	uint16_t picture_id_mask;
	uint16_t frame_number; // of the dependency descriptor
	uint8_t has_frame_number;
	uint8_t has_tl0;
	uint8_t tl0;
	uint8_t key_idx;
	// 1: picture ids say nothing but order, so they close up over frames that are left out (VP8). Where frames refer to each
	// other by the distance of their ids (VP9), or with frame numbers, distances are kept.
	uint8_t closes_up;
	uint8_t ends_layer; // last packet of its spatial layer's frame
};

// The small ones as one word: what is stored in pieces cannot be loaded as a whole before it has left the store buffer.
union dp_sfu_small {
	struct {
		uint16_t picture_id;
		uint16_t frame_number;
		uint8_t tl0;
		uint8_t key_idx;
		uint8_t is_descriptor_changed; // 1: the payload's descriptor needs other numbers than it has
		uint8_t layer;                 // left 0
	};
	uint64_t word;
};

// The same for a watcher.
struct dp_sfu_rewritten {
	uint64_t index; // SRTP: ROC << 16 | sequence
	union dp_sfu_small small;
	uint32_t timestamp;
};

// From `from` on, an original sequence goes to itself plus `index_offset`.
struct dp_sfu_rewrite_step {
	uint64_t from;
	uint64_t index_offset; // modulo 2^64
	uint16_t picture_id_offset;
};

struct dp_sfu_rewrite {
	uint64_t next_index;   // of the next packet that is not late
	uint64_t next_in;      // sequence that is expected of the publisher's stream
	uint64_t index_offset; // next_index - next_in
	uint32_t timestamp_offset;
	uint32_t last_timestamp;
	uint16_t picture_id_offset; // modulo 2^15
	uint16_t last_picture_id;   // sent
	uint16_t frame_number_offset;
	uint16_t last_frame_number;
	uint16_t dropped_picture_id; // the publisher's, of the last frame that was left out
	uint8_t tl0_offset;
	uint8_t last_tl0;
	uint8_t key_idx_offset;
	uint8_t last_key_idx;
	uint8_t is_started; // a packet was mapped since the last switch
	uint32_t version;   // another one with every change of an offset
	uint8_t n_steps;
	struct dp_sfu_rewrite_step step[DP_SFU_REWRITE_STEPS]; // oldest first
};

// Begins with `first_index` as the first to be given out.
void dp_sfu_rewrite_init(struct dp_sfu_rewrite *r, uint64_t first_index);

// The next packet comes from another stream: another track or layer, or the same one anew after a pause. `timestamp` is the
// publisher's of that packet, `out_timestamp` what it is to be for the watcher. Offsets are made so that every number
// follows what was sent last; with is_first, nothing was sent yet and the publisher's numbers are kept.
void dp_sfu_rewrite_switch(struct dp_sfu_rewrite *r, uint64_t sequence, uint32_t timestamp,
			   uint32_t out_timestamp, const struct dp_sfu_numbers *n, bool is_first);

// The timestamp for the first packet of another stream. `mapped` is what both streams' sender reports say, if has_mapped; it is
// taken when it lies behind the last one sent and not further than `elapsed_ns` allows; else the time that passed
// since the last packet decides.
uint32_t dp_sfu_rewrite_join_timestamp(const struct dp_sfu_rewrite *r, bool has_mapped,
				       uint32_t mapped, uint64_t elapsed_ns, uint32_t clock_hz);

// Maps a packet that is forwarded. False when it came too late to be placed: no number is free for it.
bool dp_sfu_rewrite_map(struct dp_sfu_rewrite *r, uint64_t sequence, uint32_t timestamp,
			const struct dp_sfu_numbers *n, struct dp_sfu_rewritten *out);

// A packet of the stream in use is left out on purpose: what follows closes up.
void dp_sfu_rewrite_skip(struct dp_sfu_rewrite *r, uint64_t sequence,
			 const struct dp_sfu_numbers *n);

#endif
