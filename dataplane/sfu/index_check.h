// A witness for tests and debugging: no (key, SSRC, SRTP index) is ever sent twice with other bytes. It stands apart from what
// gives the indices out. Worker thread.
#ifndef TP_DP_SFU_INDEX_CHECK_H
#define TP_DP_SFU_INDEX_CHECK_H

#include <stdint.h>

struct dp_sfu_index_check;

// NULL without memory. `n_log2`: packets that are remembered, each a slot; the older ones are forgotten.
struct dp_sfu_index_check *dp_sfu_index_check_create(uint32_t n_log2);
void dp_sfu_index_check_destroy(struct dp_sfu_index_check *c);
// A protected packet that is about to be sent. Aborts with what was reused.
void dp_sfu_index_check(struct dp_sfu_index_check *c, const void *key, const uint8_t *packet,
			uint32_t packet_bytes, uint64_t index);
uint64_t dp_sfu_index_check_count(const struct dp_sfu_index_check *c);

#endif
