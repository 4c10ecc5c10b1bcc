// From packets to what an engine does with them: ranges, IV, AAD, tags (RFC 3711 §3.3, §3.4, §4.1.1, §4.2; RFC 7714
// §8, §9). One thread.
#ifndef TP_SRTP_OPERATION_H
#define TP_SRTP_OPERATION_H

#include <assert.h>

#include "dataplane/srtp/engine.h"

// What RTP needs stands in one cache line.
struct dp_srtp_context {
	const struct dp_srtp_profile_info *info;
	const struct srtp_engine *engine;
	void *state; // of the engine
	void *key[SRTP_HALF_COUNT];
	uint32_t profile;
	uint64_t salt[SRTP_HALF_COUNT][2]; // the session salt as two words that an IV is made from
	// Apart, so that the keys of RTP, which are used all the time, are on few pages.
	void *rtcp_key; // NULL: the engine finds its own room
	struct dp_block_pool *rtcp_room;
	struct dp_block_pool *room; // whose block this is, with the key of RTP behind it
} __attribute__((aligned(64)));
static_assert(offsetof(struct dp_srtp_context, salt[SRTP_HALF_RTCP]) <= 64, "one line of RTP");

void srtp_operation_salt(struct dp_srtp_context *context, uint32_t half, const uint8_t *salt);

// Fills `op`; DP_SRTP_OK, or why the packet is refused, in which case neither packet nor `op` may be used.
enum dp_srtp_status srtp_operation_protect(const struct dp_srtp_protect *p, struct srtp_op *op);
enum dp_srtp_status srtp_operation_unprotect(struct dp_srtp_unprotect *p, struct srtp_op *op);
// SRTCP works in place at `packet`, which holds the plaintext and has room for what grows.
void srtp_operation_rtcp_protect(const struct dp_srtp_context *context, uint8_t *packet,
				 uint32_t packet_bytes, uint32_t index, bool is_encrypted,
				 struct srtp_op *op);
void srtp_operation_rtcp_unprotect(const struct dp_srtp_context *context, uint8_t *packet,
				   uint32_t packet_bytes, struct srtp_op *op);
// After the engine: puts the tag where it belongs (protect), or back where it was (unprotect). Returns the bytes that
// the packet has now, and 0, with nothing readable left at the destination, if the engine refused.
uint32_t srtp_operation_finish_protect(const struct dp_srtp_context *context,
				       const struct srtp_op *op);
uint32_t srtp_operation_finish_unprotect(const struct dp_srtp_context *context,
					 const struct srtp_op *op);

#endif
