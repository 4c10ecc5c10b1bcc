// The dependency descriptor where layers are cut: which decode targets a watcher still gets (AV1 RTP payload format 1.0, appendix A.8.2,
// active_decode_targets_bitmask). Worker thread.
#ifndef TP_DP_SFU_DEPENDENCY_H
#define TP_DP_SFU_DEPENDENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/wire/av1_dependency.h"

#define DP_SFU_CUT_NONE 0xffff // spatial layer (15..8) and temporal layer (7..0) that are kept

// The structure that a stream sent last.
struct dp_sfu_dependency {
	uint32_t track_serial;
	struct av1_dd_structure structure;
};

// Whether a descriptor brings a structure.
static inline bool dp_sfu_dependency_has_structure(const uint8_t *descriptor, uint32_t n_bytes)
{
	return n_bytes > AV1_DD_MANDATORY_BYTES && descriptor[AV1_DD_MANDATORY_BYTES] & 0x80;
}

// Keeps the structure of a descriptor that has one.
void dp_sfu_dependency_note(struct dp_sfu_dependency *d, uint32_t track_serial,
			    const uint8_t *descriptor, uint32_t n_bytes);
// Writes the descriptor again with the decode targets that lie within the cut. Returns its length; 0 when it must stay as it is:
// it is malformed, its structure is unknown, no target would be left, or it grew too long.
uint32_t dp_sfu_dependency_cut(const struct dp_sfu_dependency *d, uint32_t track_serial,
			       const uint8_t *descriptor, uint32_t n_bytes, uint16_t cut,
			       uint8_t out[AV1_DD_BYTES_MAX]);

#endif
