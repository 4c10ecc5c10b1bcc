// A decrypted RTP packet on its way from a publisher to its watchers. The mbuf holds the plaintext RTP packet, header first, and
// is shared by reference count: fan-out source on every worker and retransmission cache in one. Written by the worker that owns
// the publisher, before it is shared; read-only from then on.
#ifndef TP_DP_SFU_MEDIA_H
#define TP_DP_SFU_MEDIA_H

#include <rte_mbuf.h>

#include "dataplane/contract/shm/sfu_table.h"

#define DP_SFU_MEDIA_F_MARKER      0x01
#define DP_SFU_MEDIA_F_KEYFRAME    0x02 // first packet of a key frame, of this spatial layer too
#define DP_SFU_MEDIA_F_FRAME_START 0x04
#define DP_SFU_MEDIA_F_REPAIRED    0x08 // came late, by RTX
#define DP_SFU_MEDIA_F_SWITCH_UP   0x10 // temporal up-switch is allowed here
#define DP_SFU_MEDIA_F_DISCARDABLE 0x20 // nothing depends on it
#define DP_SFU_MEDIA_F_VOICE       0x40

// Lives in the mbuf's private area (pools of plaintext have DP_SFU_MEDIA_BYTES of it).
struct dp_sfu_media {
	uint64_t sequence; // unwrapped: the SRTP index of the original packet, ROC << 16 | seq
	uint64_t arrived_ns;
	uint32_t track_idx;
	uint32_t track_serial;
	uint32_t timestamp; // host order, of the publisher
	uint32_t ssrc;      // of the publisher
	uint16_t header_bytes;
	uint16_t payload_bytes; // without padding
	uint8_t layer;          // simulcast encoding, index into shm_sfu_track.layer
	uint8_t spatial;        // of an SVC stream, else 0
	uint8_t temporal;
	uint8_t flags; // DP_SFU_MEDIA_F_*
	uint8_t codec; // enum shm_sfu_codec
	uint8_t kind;  // enum shm_sfu_kind
	uint8_t audio_minus_dbov;
	// The codec's own header at the head of the payload, in bytes; what is rewritten lies in it.
	uint8_t descriptor_bytes;
	// Where extensions stand in the packet that are rewritten or dropped: offset of the value from the packet's
	// start and its length, by enum shm_sfu_extension; 0 = absent.
	uint16_t extension_offset[SHM_SFU_EXTENSION_COUNT];
	uint8_t extension_bytes[SHM_SFU_EXTENSION_COUNT];
};

#define DP_SFU_MEDIA_BYTES RTE_ALIGN(sizeof(struct dp_sfu_media), RTE_MBUF_PRIV_ALIGN)

static inline struct dp_sfu_media *dp_sfu_media(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

#endif
