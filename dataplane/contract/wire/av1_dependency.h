// AV1 dependency descriptor, an RTP header extension (AV1 RTP payload format 1.0, appendix A): read whole, and built again. Also sent
// with VP8 and VP9 by some. Bits run from each byte's highest. Pure, any thread.
#ifndef TP_WIRE_AV1_DEPENDENCY_H
#define TP_WIRE_AV1_DEPENDENCY_H

#include "dataplane/contract/wire/bytes.h"

#define AV1_DD_MANDATORY_BYTES    3
#define AV1_DD_BYTES_MAX          255 // of a two-byte header extension
#define AV1_DD_TEMPLATES_MAX      64
#define AV1_DD_DECODE_TARGETS_MAX 32
#define AV1_DD_CHAINS_MAX         32
#define AV1_DD_SPATIAL_LAYERS_MAX 4
#define AV1_DD_TEMPORAL_MAX       8
#define AV1_DD_FDIFFS_MAX         8 // an AV1 frame refers to 7 others at most

// What a frame is to a decode target (appendix A.3), 2 bits each.
enum av1_dti {
	AV1_DTI_NOT_PRESENT = 0,
	AV1_DTI_DISCARDABLE,
	AV1_DTI_SWITCH, // a receiver may begin or go on with the target here
	AV1_DTI_REQUIRED,
};

struct av1_dd_template {
	uint64_t dtis; // decode target t at bits 2t and 2t+1
	uint8_t spatial_id;
	uint8_t temporal_id;
	uint8_t n_fdiffs;
	uint8_t fdiffs[AV1_DD_FDIFFS_MAX]; // frames back, 1..16
	uint8_t chain_fdiffs[AV1_DD_CHAINS_MAX];
};

// The template dependency structure: comes with a key frame and holds until the next one.
struct av1_dd_structure {
	uint8_t template_id_offset;
	uint8_t n_templates;      // 1..64
	uint8_t n_decode_targets; // 1..32
	uint8_t n_chains;         // 0..32
	uint8_t n_spatial_layers; // 1..4
	bool has_resolutions;
	uint8_t protected_by
		[AV1_DD_DECODE_TARGETS_MAX]; // chain of each decode target, if n_chains > 0
	uint16_t width_minus_1[AV1_DD_SPATIAL_LAYERS_MAX];
	uint16_t height_minus_1[AV1_DD_SPATIAL_LAYERS_MAX];
	struct av1_dd_template templates[AV1_DD_TEMPLATES_MAX];
};

// One packet's descriptor. What the packet does not say of its frame itself comes from the frame's template.
struct av1_dd {
	uint64_t dtis;
	uint32_t
		active_decode_targets; // bit per target; meant if has_active_decode_targets or has_structure
	uint16_t frame_number;
	uint8_t template_id; // 0..63
	uint8_t spatial_id;
	uint8_t temporal_id;
	uint8_t n_fdiffs;
	uint16_t fdiffs[AV1_DD_FDIFFS_MAX]; // frames back, 1..4096
	uint8_t chain_fdiffs
		[AV1_DD_CHAINS_MAX]; // frames back to the last of each chain, 0 for the first
	bool frame_start;
	bool frame_end;
	bool has_structure;
	bool has_active_decode_targets;
	bool custom_dtis;
	bool custom_fdiffs;
	bool custom_chains;
};

// Reads a descriptor. `known` is the structure that the stream sent last, NULL before the first; a structure that comes with the packet
// goes to `attached`, which must be another one, and is to be taken over by the caller (for later packets) only on success; it
// is undefined after a failure.
// 0; -ENODATA when a structure is needed and unknown (frame_start, frame_end, template_id and frame_number are valid then); -EINVAL
// when bits are missing, the template is not in the structure, or a limit above is exceeded. Bits behind are padding.
int av1_dd_parse(const uint8_t *buf, size_t len_bytes, const struct av1_dd_structure *known,
		 struct av1_dd_structure *attached, struct av1_dd *out);

// Writes a descriptor: with `structure` inside if dd->has_structure, with the frame's own DTIs, fdiffs and chains where the custom
// flags say so; `structure` is the stream's otherwise. Returns the bytes written; -ENOSPC when they do not fit; -EINVAL for
// templates in an order that cannot be written, and for numbers out of range.
int av1_dd_build(uint8_t *buf, size_t capacity_bytes, const struct av1_dd *dd,
		 const struct av1_dd_structure *structure);

static inline enum av1_dti av1_dd_dti(const struct av1_dd *dd, uint32_t decode_target)
{
	return (enum av1_dti)(dd->dtis >> (2 * decode_target) & 3);
}

// First packet of a key frame: brings the structure and refers to no frame.
static inline bool av1_dd_is_key_frame(const struct av1_dd *dd)
{
	return dd->has_structure && dd->frame_start && dd->n_fdiffs == 0;
}

// The highest layers among the templates that belong to a decode target (appendix A.8.3.6, decode_target_layers).
void av1_dd_decode_target_layers(const struct av1_dd_structure *s, uint32_t decode_target,
				 uint8_t *spatial_id, uint8_t *temporal_id);

// Writes another frame number over that of a descriptor of at least 3 bytes.
static inline void av1_dd_frame_number_rewrite(uint8_t *buf, uint16_t frame_number)
{
	bytes_put_be16(buf + 1, frame_number);
}

#endif
