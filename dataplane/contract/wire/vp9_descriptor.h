// VP9 payload descriptor (RFC 9628 §4.2). Pure, any thread.
#ifndef TP_WIRE_VP9_DESCRIPTOR_H
#define TP_WIRE_VP9_DESCRIPTOR_H

#include "dataplane/contract/wire/bytes.h"

#define VP9_SPATIAL_LAYERS_MAX 8
#define VP9_REFERENCES_MAX     3

// Offsets are from the payload's first byte; 0 says that the field is absent (no field is at 0).
struct vp9_descriptor {
	uint16_t picture_id;       // 7 or 15 bits
	uint16_t descriptor_bytes; // the scalability structure makes it long
	uint8_t picture_id_offset;
	uint8_t tl0_picture_idx_offset;
	uint8_t tl0_picture_idx;                    // in non-flexible mode with layer indices
	uint8_t temporal_id;                        // 0 without layer indices
	uint8_t spatial_id;                         // 0 without layer indices
	uint8_t n_references;                       // in flexible mode, 0..3
	uint8_t reference_diff[VP9_REFERENCES_MAX]; // pictures back, 7 bits
	bool picture_id_is_long;
	bool inter_picture;         // P: refers to earlier pictures
	bool has_layer_indices;     // L
	bool flexible;              // F
	bool frame_start;           // B
	bool frame_end;             // E: of this layer's frame; the marker ends the picture
	bool has_structure;         // V
	bool not_spatial_reference; // Z: no higher spatial layer refers to it
	bool switching_up; // U: later frames of higher temporal layers refer to nothing before this
	bool inter_layer;  // D: refers to the lower spatial layer of the picture
	// Scalability structure (§4.2.1), if has_structure; sizes are 0 if it has none.
	uint8_t n_spatial_layers; // 1..8
	uint8_t n_pictures;       // of the picture group, 0..255
	uint16_t width[VP9_SPATIAL_LAYERS_MAX];
	uint16_t height[VP9_SPATIAL_LAYERS_MAX];
};

// Reads the descriptor of a payload (padding not counted). 0; -EINVAL when it is cut, when more than 3 reference indices come, or no
// VP9 byte follows it. Reserved bits are ignored; flexible mode without picture id is let pass.
int vp9_descriptor_parse(const uint8_t *payload, size_t len_bytes, struct vp9_descriptor *out);

// First packet of a picture that a decoder can start with: begins a frame of the lowest spatial layer that refers to no other picture.
static inline bool vp9_is_key_frame(const struct vp9_descriptor *d)
{
	return d->frame_start && !d->inter_picture && d->spatial_id == 0;
}

// First packet of a frame where a receiver of lower spatial layers may take up this one: it refers to its own picture alone.
static inline bool vp9_is_spatial_switch(const struct vp9_descriptor *d)
{
	return d->frame_start && !d->inter_picture;
}

// Writes other numbers over those of a payload that was parsed to `d`, keeping every length: what is absent stays absent, a 7-bit
// picture id keeps the low 7 bits.
void vp9_descriptor_rewrite(uint8_t *payload, const struct vp9_descriptor *d, uint16_t picture_id,
			    uint8_t tl0_picture_idx);

#endif
