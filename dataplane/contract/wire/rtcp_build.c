// Writing RTCP reports, source descriptions and goodbyes (RFC 3550 §6.4..§6.6). Pure, any thread.
#include "dataplane/contract/wire/rtcp.h"

uint8_t *rtcp_packet_grow(struct bytes_writer *w, uint8_t type, uint8_t count, size_t total_bytes)
{
	uint8_t *p;

	if (count > RTCP_COUNT_MAX || total_bytes > 4u * 65536) {
		w->overflow = true;
		return NULL;
	}
	p = bytes_grow(w, total_bytes);
	if (p == NULL)
		return NULL;
	p[0] = (uint8_t)(0x80 | count);
	p[1] = type;
	bytes_put_be16(p + 2, (uint16_t)(total_bytes / 4 - 1));
	return p + RTCP_HEADER_BYTES;
}

// The loss is held within its 24 bits (RFC 3550 §A.3).
static void report_block_write(uint8_t *p, const struct rtcp_report_block *b)
{
	int32_t lost_pkts = b->lost_pkts;

	if (lost_pkts > 0x7fffff)
		lost_pkts = 0x7fffff;
	if (lost_pkts < -0x800000)
		lost_pkts = -0x800000;
	bytes_put_be32(p, b->ssrc);
	bytes_put_be32(p + 4, (uint32_t)b->fraction_lost << 24 | ((uint32_t)lost_pkts & 0xffffff));
	bytes_put_be32(p + 8, b->highest_sequence);
	bytes_put_be32(p + 12, b->jitter);
	bytes_put_be32(p + 16, b->last_sr);
	bytes_put_be32(p + 20, b->delay_last_sr);
}

// A packet with room for n report blocks behind its fixed part; more than 31 is refused.
static uint8_t *report_grow(struct bytes_writer *w, uint8_t type, size_t fixed_bytes,
			    const struct rtcp_report_block *blocks, uint32_t n_blocks)
{
	uint8_t *body;

	if (n_blocks > RTCP_COUNT_MAX) {
		w->overflow = true;
		return NULL;
	}
	body = rtcp_packet_grow(w, type, (uint8_t)n_blocks,
				fixed_bytes + (size_t)n_blocks * RTCP_REPORT_BLOCK_BYTES);
	for (uint32_t i = 0; body != NULL && i < n_blocks; i++)
		report_block_write(body + fixed_bytes - RTCP_HEADER_BYTES +
					   (size_t)i * RTCP_REPORT_BLOCK_BYTES,
				   &blocks[i]);
	return body;
}

void rtcp_sr_put(struct bytes_writer *w, const struct rtcp_sr *sr,
		 const struct rtcp_report_block *blocks, uint32_t n_blocks)
{
	uint8_t *p = report_grow(w, RTCP_TYPE_SR, RTCP_SR_BYTES, blocks, n_blocks);

	if (p == NULL)
		return;
	bytes_put_be32(p, sr->ssrc);
	bytes_put_be64(p + 4, sr->ntp);
	bytes_put_be32(p + 12, sr->rtp_timestamp);
	bytes_put_be32(p + 16, sr->sent_pkts);
	bytes_put_be32(p + 20, sr->sent_bytes);
}

void rtcp_rr_put(struct bytes_writer *w, uint32_t ssrc, const struct rtcp_report_block *blocks,
		 uint32_t n_blocks)
{
	uint8_t *p = report_grow(w, RTCP_TYPE_RR, RTCP_RR_BYTES, blocks, n_blocks);

	if (p != NULL)
		bytes_put_be32(p, ssrc);
}

void rtcp_sdes_cname_put(struct bytes_writer *w, uint32_t ssrc, const char *cname,
			 size_t cname_bytes)
{
	// The item, then at least one zero byte, up to the next word.
	size_t chunk_bytes = (4 + 2 + cname_bytes + 4) & ~(size_t)3;
	uint8_t *p;

	if (cname_bytes > UINT8_MAX) {
		w->overflow = true;
		return;
	}
	p = rtcp_packet_grow(w, RTCP_TYPE_SDES, 1, RTCP_HEADER_BYTES + chunk_bytes);
	if (p == NULL)
		return;
	memset(p, 0, chunk_bytes);
	bytes_put_be32(p, ssrc);
	p[4] = RTCP_SDES_CNAME;
	p[5] = (uint8_t)cname_bytes;
	if (cname_bytes > 0)
		memcpy(p + 6, cname, cname_bytes);
}

void rtcp_bye_put(struct bytes_writer *w, const uint32_t *ssrcs, uint32_t n_ssrcs)
{
	uint8_t *p;

	if (n_ssrcs > RTCP_COUNT_MAX) {
		w->overflow = true;
		return;
	}
	p = rtcp_packet_grow(w, RTCP_TYPE_BYE, (uint8_t)n_ssrcs,
			     RTCP_HEADER_BYTES + 4 * (size_t)n_ssrcs);
	for (uint32_t i = 0; p != NULL && i < n_ssrcs; i++)
		bytes_put_be32(p + 4 * (size_t)i, ssrcs[i]);
}
