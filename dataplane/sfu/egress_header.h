// RTP headers toward a watcher: with the extensions that it negotiated, under its ids, and nothing else of the publisher's. What
// many watchers share is built once per packet and copied. Pure but for the mbuf's bytes that are read; worker thread.
#ifndef TP_DP_SFU_EGRESS_HEADER_H
#define TP_DP_SFU_EGRESS_HEADER_H

#include "dataplane/sfu/media.h"

#define DP_SFU_RTP_FIXED_BYTES 12
// Fixed header and the longest block: a dependency descriptor with its structure beside all others.
#define DP_SFU_RTP_HEADER_MAX 384
// Copied as one piece when the header is no longer.
#define DP_SFU_RTP_HEADER_COPY 64

// What headers depend on but for numbers: two watchers with equal maps get equal headers.
union dp_sfu_map {
	struct {
		uint8_t id[SHM_SFU_EXTENSION_COUNT];
		uint8_t is_mixed; // RFC 8285 §4.1.2 was agreed on
		uint8_t has_twcc;
		uint8_t reserved[4];
	};
	uint64_t word[2];
};
static_assert(sizeof(union dp_sfu_map) == 16, "compared as two words");

struct dp_sfu_header {
	uint8_t bytes[DP_SFU_RTP_HEADER_MAX];
	union dp_sfu_map map; // that it was built for
	uint16_t n_bytes;     // 0: not built
	// Offsets of values that are stamped at sending; 0: absent.
	uint16_t send_time_at;
	uint16_t twcc_at;
	uint16_t dependency_at;
};

static inline bool dp_sfu_map_equal(const union dp_sfu_map *a, const union dp_sfu_map *b)
{
	return ((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1])) == 0;
}

// Builds the header for `packet` (RTP plaintext that `m` describes; both NULL for a packet of padding) with everything but
// payload type, sequence, timestamp and SSRC. `mid` NULL or empty leaves it out. `dependency` replaces the packet's dependency
// descriptor, NULL keeps it. What does not fit one-byte form goes in two-byte form if that was agreed on, and is
// left out otherwise.
void dp_sfu_header_build(struct dp_sfu_header *h, const union dp_sfu_map *map,
			 const uint8_t *packet, const struct dp_sfu_media *m, const char *mid,
			 uint8_t mid_bytes, const uint8_t *dependency, uint8_t dependency_bytes);

#endif
