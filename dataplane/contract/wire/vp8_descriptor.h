// VP8 payload descriptor (RFC 7741 §4.2) and the bit of the payload header (§4.3) that tells key frames. Pure, any thread.
#ifndef TP_WIRE_VP8_DESCRIPTOR_H
#define TP_WIRE_VP8_DESCRIPTOR_H

#include "dataplane/contract/wire/bytes.h"

// Offsets are from the payload's first byte; 0 says that the field is absent (no field is at 0).
struct vp8_descriptor {
	uint16_t picture_id; // 7 or 15 bits
	uint8_t tl0_picture_idx;
	uint8_t temporal_id;      // 0..3; 0 without the T bit
	uint8_t key_idx;          // 0..31
	uint8_t partition_id;     // PID, 0..7
	uint8_t descriptor_bytes; // 1..6
	uint8_t picture_id_offset;
	uint8_t tl0_picture_idx_offset;
	uint8_t tid_keyidx_offset;
	bool picture_id_is_long; // 15 bits
	bool has_temporal_id;    // T
	bool has_key_idx;        // K
	bool layer_sync;         // Y: depends on the base layer alone, so one may switch up here
	bool non_reference;      // N: may be dropped without harm
	bool partition_start;    // S
	bool frame_start;        // S with PID 0
	bool key_frame;          // first packet of a key frame
};

// Reads the descriptor of a payload (padding not counted). 0; -EINVAL when it is cut or no VP8 byte follows it. Reserved bits are
// ignored.
int vp8_descriptor_parse(const uint8_t *payload, size_t len_bytes, struct vp8_descriptor *out);

// Writes other numbers over those of a payload that was parsed to `d`, keeping every length: a field that is absent stays absent, a
// 7-bit picture id keeps the low 7 bits, the key index its low 5.
void vp8_descriptor_rewrite(uint8_t *payload, const struct vp8_descriptor *d, uint16_t picture_id,
			    uint8_t tl0_picture_idx, uint8_t key_idx);

#endif
