// HMAC-SHA1 (RFC 2104) of connectivity checks, under ICE passwords. Takes no memory, any thread.
#ifndef TP_DP_SFU_ICE_HMAC_H
#define TP_DP_SFU_ICE_HMAC_H

#include <stddef.h>
#include <stdint.h>

#define DP_SFU_HMAC_BYTES   20
#define DP_SFU_HMAC_KEY_MAX 64

// Over head and tail, one behind the other. The key is at most DP_SFU_HMAC_KEY_MAX bytes.
void dp_sfu_hmac_sha1(const void *key, size_t key_bytes, const void *head, size_t head_bytes,
		      const void *tail, size_t tail_bytes, uint8_t out[DP_SFU_HMAC_BYTES]);

#endif
