// Packet formats of SRTP and SRTCP. One thread; writes only the packets that it is given.
#include "dataplane/srtp/operation.h"

#include <string.h>

#include "dataplane/contract/wire/bytes.h"

#define RTP_FIXED_BYTES  12
#define RTCP_CLEAR_BYTES 8 // the first header and the sender's SSRC are never encrypted
#define RTCP_E_FLAG      UINT32_C(0x80000000)

void srtp_operation_salt(struct dp_srtp_context *context, uint32_t half, const uint8_t *salt)
{
	uint8_t padded[16] = { 0 };

	memcpy(padded, salt, DP_SRTP_SALT_BYTES_MAX);
	context->salt[half][0] = bytes_get_be64(padded);
	context->salt[half][1] = bytes_get_be64(padded + 8);
}

// 0 if the header is none, or does not end within the packet. The padding count is ciphertext and not looked at.
static uint32_t rtp_header_bytes(const uint8_t *p, uint32_t n)
{
	uint32_t header = RTP_FIXED_BYTES;

	if (n < RTP_FIXED_BYTES || p[0] >> 6 != 2)
		return 0;
	header += 4u * (p[0] & 0x0f);
	if (p[0] & 0x10) {
		if (header + 4 > n)
			return 0;
		header += 4 + 4u * bytes_get_be16(p + header + 2);
	}
	return header <= n ? header : 0;
}

// RFC 3711 §4.1.1: salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16. RFC 7714 §8.1, §9.1: 12 bytes, two of zeros, SSRC,
// and the index in the last 48 bits.
static void iv_make(const struct dp_srtp_context *context, uint32_t half, uint32_t ssrc,
		    uint64_t index, uint8_t *iv)
{
	uint64_t high = ssrc;
	uint64_t low = index << 16;

	if (context->info->cipher == DP_SRTP_CIPHER_AES_GCM) {
		high = (uint64_t)ssrc << 16 | index >> 32;
		low = index << 32;
	}
	bytes_put_be64(iv, high ^ context->salt[half][0]);
	bytes_put_be64(iv + 8, low ^ context->salt[half][1]);
}

static bool is_gcm(const struct dp_srtp_context *context)
{
	return context->info->cipher == DP_SRTP_CIPHER_AES_GCM;
}

// Without a cipher the bytes move here, and the engine only authenticates.
static void range_set(struct srtp_op *op, bool has_cipher, const uint8_t *src, uint8_t *dst,
		      uint32_t n)
{
	op->src = src;
	op->dst = dst;
	op->cipher_bytes = n;
	if (has_cipher)
		return;
	if (src != dst)
		memcpy(dst, src, n);
	op->cipher_bytes = 0;
}

// The sizes are few and small: no call is worth it.
static void tag_copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (n == 16) {
		memcpy(to, from, 16);
	} else if (n == 10) {
		memcpy(to, from, 10);
	} else {
		memcpy(to, from, n);
	}
}

enum dp_srtp_status srtp_operation_protect(const struct dp_srtp_protect *p, struct srtp_op *op)
{
	const struct dp_srtp_context *context = p->context;
	const struct dp_srtp_profile_info *info = context->info;
	uint32_t n = (uint32_t)p->header_bytes + p->payload_bytes;

	if (n + info->rtp_tag_bytes > p->room_bytes)
		return DP_SRTP_NO_ROOM;
	if (p->header_bytes == 0 ||
	    rtp_header_bytes(p->packet, p->header_bytes) != p->header_bytes ||
	    n + info->rtp_tag_bytes > DP_SRTP_PACKET_BYTES_MAX || p->index >> 48 != 0 ||
	    bytes_get_be16(p->packet + 2) != (uint16_t)p->index)
		return DP_SRTP_MALFORMED;
	op->key = context->key[SRTP_HALF_RTP];
	op->packet = p->packet;
	op->packet_bytes = n;
	op->index = p->index;
	op->authed = p->packet;
	op->authed_bytes = p->header_bytes;
	op->tag_bytes = info->rtp_tag_bytes;
	op->tag_at = p->packet + n;
	op->is_rtcp = 0;
	op->is_encrypted = 1;
	op->status = DP_SRTP_FAILED;
	range_set(op, info->cipher != DP_SRTP_CIPHER_NULL, p->payload, p->packet + p->header_bytes,
		  p->payload_bytes);
	iv_make(context, SRTP_HALF_RTP, bytes_get_be32(p->packet + 8), p->index, op->iv);
	if (!is_gcm(context)) {
		// HMAC covers the ROC behind the packet (§4.2); the tag's own room holds it meanwhile.
		bytes_put_be32(op->tag_at, (uint32_t)(p->index >> 16));
		op->authed_bytes = n + 4;
	}
	return DP_SRTP_OK;
}

enum dp_srtp_status srtp_operation_unprotect(struct dp_srtp_unprotect *p, struct srtp_op *op)
{
	const struct dp_srtp_context *context = p->context;
	const struct dp_srtp_profile_info *info = context->info;
	uint32_t n = p->packet_bytes;
	uint32_t header;

	if (n < RTP_FIXED_BYTES + (uint32_t)info->rtp_tag_bytes || n > DP_SRTP_PACKET_BYTES_MAX)
		return DP_SRTP_MALFORMED;
	n -= info->rtp_tag_bytes;
	header = rtp_header_bytes(p->packet, n);
	if (header == 0 || p->index >> 48 != 0 ||
	    bytes_get_be16(p->packet + 2) != (uint16_t)p->index)
		return DP_SRTP_MALFORMED;
	p->header_bytes = (uint16_t)header;
	op->key = context->key[SRTP_HALF_RTP];
	op->packet = p->packet;
	op->plain = p->plain;
	op->packet_bytes = p->packet_bytes;
	op->index = p->index;
	op->authed = p->packet;
	op->authed_bytes = header;
	op->tag_bytes = info->rtp_tag_bytes;
	op->tag_at = p->packet + n;
	op->is_rtcp = 0;
	op->is_encrypted = 1;
	op->status = DP_SRTP_FAILED;
	tag_copy(op->tag, op->tag_at, op->tag_bytes);
	if (p->plain != p->packet)
		memcpy(p->plain, p->packet, header);
	range_set(op, info->cipher != DP_SRTP_CIPHER_NULL, p->packet + header, p->plain + header,
		  n - header);
	iv_make(context, SRTP_HALF_RTP, bytes_get_be32(p->packet + 8), p->index, op->iv);
	if (!is_gcm(context)) {
		bytes_put_be32(op->tag_at, (uint32_t)(p->index >> 16));
		op->authed_bytes = n + 4;
	}
	return DP_SRTP_OK;
}

// What both directions of SRTCP share. `n` counts the plaintext, `word` is E flag and index.
static void rtcp_set(const struct dp_srtp_context *context, uint8_t *packet, uint32_t n,
		     uint32_t word, struct srtp_op *op)
{
	bool is_encrypted = word & RTCP_E_FLAG;

	op->key = context->key[SRTP_HALF_RTCP];
	op->packet = packet;
	op->plain = packet;
	op->index = word & ~RTCP_E_FLAG;
	op->tag_bytes = context->info->rtcp_tag_bytes;
	op->is_rtcp = 1;
	op->is_encrypted = is_encrypted;
	op->status = DP_SRTP_FAILED;
	range_set(op, is_encrypted && context->info->cipher != DP_SRTP_CIPHER_NULL,
		  packet + RTCP_CLEAR_BYTES, packet + RTCP_CLEAR_BYTES, n - RTCP_CLEAR_BYTES);
	iv_make(context, SRTP_HALF_RTCP, bytes_get_be32(packet + 4), op->index, op->iv);
	// HMAC: packet, then the word. GCM: AAD is what is not encrypted, then the word.
	bytes_put_be32(packet + n, word);
	op->authed = packet;
	op->authed_bytes = n + DP_SRTCP_TRAILER_BYTES;
	if (is_gcm(context) && is_encrypted) {
		memcpy(op->head, packet, RTCP_CLEAR_BYTES);
		bytes_put_be32(op->head + RTCP_CLEAR_BYTES, word);
		op->authed = op->head;
		op->authed_bytes = sizeof(op->head);
	}
	op->tag_at = packet + n + (is_gcm(context) ? 0 : DP_SRTCP_TRAILER_BYTES);
}

void srtp_operation_rtcp_protect(const struct dp_srtp_context *context, uint8_t *packet,
				 uint32_t packet_bytes, uint32_t index, bool is_encrypted,
				 struct srtp_op *op)
{
	op->packet_bytes = packet_bytes;
	rtcp_set(context, packet, packet_bytes, index | (is_encrypted ? RTCP_E_FLAG : 0), op);
}

void srtp_operation_rtcp_unprotect(const struct dp_srtp_context *context, uint8_t *packet,
				   uint32_t packet_bytes, struct srtp_op *op)
{
	uint32_t tag_bytes = context->info->rtcp_tag_bytes;
	uint32_t n = packet_bytes - tag_bytes - DP_SRTCP_TRAILER_BYTES;
	uint8_t *tag_at = packet + n + (is_gcm(context) ? 0 : DP_SRTCP_TRAILER_BYTES);
	uint8_t *word_at = packet + n + (is_gcm(context) ? tag_bytes : 0);
	uint32_t word = bytes_get_be32(word_at);

	memcpy(op->tag, tag_at, tag_bytes);
	op->packet_bytes = packet_bytes;
	rtcp_set(context, packet, n, word, op);
}

uint32_t srtp_operation_finish_protect(const struct dp_srtp_context *context,
				       const struct srtp_op *op)
{
	if (op->status != DP_SRTP_OK) {
		memset(op->packet, 0, op->packet_bytes);
		return 0;
	}
	tag_copy(op->tag_at, op->tag, op->tag_bytes);
	if (!op->is_rtcp)
		return op->packet_bytes + op->tag_bytes;
	if (is_gcm(context))
		bytes_put_be32(op->tag_at + op->tag_bytes,
			       (uint32_t)op->index | (op->is_encrypted ? RTCP_E_FLAG : 0));
	return op->packet_bytes + op->tag_bytes + DP_SRTCP_TRAILER_BYTES;
}

uint32_t srtp_operation_finish_unprotect(const struct dp_srtp_context *context,
					 const struct srtp_op *op)
{
	uint32_t n = op->packet_bytes - op->tag_bytes - (op->is_rtcp ? DP_SRTCP_TRAILER_BYTES : 0);

	if (!op->is_rtcp)
		tag_copy(op->tag_at, op->tag, op->tag_bytes);
	if (op->status != DP_SRTP_OK) {
		memset(op->plain, 0, n);
		return 0;
	}
	return n;
}
