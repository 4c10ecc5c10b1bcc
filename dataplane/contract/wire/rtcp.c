// Reading RTCP (RFC 3550 §6, RFC 5506). Pure, any thread.
#include "dataplane/contract/wire/rtcp.h"

#include <errno.h>

int rtcp_next(struct bytes_reader *r, struct rtcp_view *out)
{
	const uint8_t *p = r->at;
	size_t total_bytes, padding_bytes = 0;

	if (bytes_left(r) == 0)
		return 0;
	if (bytes_left(r) < RTCP_HEADER_BYTES || p[0] >> 6 != 2)
		return -EINVAL;
	total_bytes = 4u * (bytes_get_be16(p + 2) + 1u);
	if (total_bytes > bytes_left(r))
		return -EINVAL;
	if (p[0] & 0x20) {
		padding_bytes = p[total_bytes - 1];
		if (padding_bytes == 0 || padding_bytes > total_bytes - RTCP_HEADER_BYTES)
			return -EINVAL;
	}
	out->type = p[1];
	out->count = p[0] & 0x1f;
	out->body = p + RTCP_HEADER_BYTES;
	out->body_bytes = (uint32_t)(total_bytes - RTCP_HEADER_BYTES - padding_bytes);
	out->padding_bytes = (uint8_t)padding_bytes;
	r->at += total_bytes;
	return 1;
}

int rtcp_check(const uint8_t *buf, size_t len_bytes, bool reduced_size)
{
	struct bytes_reader r = bytes_reader_init(buf, len_bytes);
	struct rtcp_view v;
	int ret = rtcp_next(&r, &v);

	if (ret != 1 || (!reduced_size && v.type != RTCP_TYPE_SR && v.type != RTCP_TYPE_RR))
		return -EINVAL;
	while (ret == 1)
		ret = rtcp_next(&r, &v);
	return ret;
}

int rtcp_sr_parse(const struct rtcp_view *v, struct rtcp_sr *out)
{
	const uint32_t fixed_bytes = RTCP_SR_BYTES - RTCP_HEADER_BYTES;
	const uint8_t *p = v->body;

	if (v->type != RTCP_TYPE_SR ||
	    v->body_bytes < fixed_bytes + v->count * (uint32_t)RTCP_REPORT_BLOCK_BYTES)
		return -EINVAL;
	out->ssrc = bytes_get_be32(p);
	out->ntp = bytes_get_be64(p + 4);
	out->rtp_timestamp = bytes_get_be32(p + 12);
	out->sent_pkts = bytes_get_be32(p + 16);
	out->sent_bytes = bytes_get_be32(p + 20);
	out->blocks = p + fixed_bytes;
	out->n_blocks = v->count;
	return 0;
}

int rtcp_rr_parse(const struct rtcp_view *v, struct rtcp_rr *out)
{
	const uint32_t fixed_bytes = RTCP_RR_BYTES - RTCP_HEADER_BYTES;

	if (v->type != RTCP_TYPE_RR ||
	    v->body_bytes < fixed_bytes + v->count * (uint32_t)RTCP_REPORT_BLOCK_BYTES)
		return -EINVAL;
	out->ssrc = bytes_get_be32(v->body);
	out->blocks = v->body + fixed_bytes;
	out->n_blocks = v->count;
	return 0;
}

struct rtcp_report_block rtcp_report_block_read(const uint8_t *block)
{
	uint32_t lost = bytes_get_be32(block + 4);

	return (struct rtcp_report_block){
		.ssrc = bytes_get_be32(block),
		.fraction_lost = (uint8_t)(lost >> 24),
		.lost_pkts = (int32_t)(lost << 8) >> 8,
		.highest_sequence = bytes_get_be32(block + 8),
		.jitter = bytes_get_be32(block + 12),
		.last_sr = bytes_get_be32(block + 16),
		.delay_last_sr = bytes_get_be32(block + 20),
	};
}

struct rtcp_sdes_reader rtcp_sdes_reader_init(const struct rtcp_view *v)
{
	bool is_sdes = v->type == RTCP_TYPE_SDES;

	return (struct rtcp_sdes_reader){
		.bytes = bytes_reader_init(v->body, is_sdes ? v->body_bytes : 0),
		.n_chunks_left = is_sdes ? v->count : 0,
	};
}

// Skips the zero bytes that end a chunk: at least one, up to the next word. Chunks start at a word.
static bool sdes_chunk_end(struct rtcp_sdes_reader *r)
{
	size_t used_bytes = (size_t)(r->bytes.at - r->chunk);

	r->in_chunk = false;
	return bytes_take(&r->bytes, 4 - (used_bytes & 3)) != NULL;
}

int rtcp_sdes_next(struct rtcp_sdes_reader *r, struct rtcp_sdes_item *out)
{
	const uint8_t *p;

	for (;;) {
		if (!r->in_chunk) {
			if (r->n_chunks_left == 0)
				return 0;
			p = bytes_take(&r->bytes, 4);
			if (p == NULL)
				return -EINVAL;
			r->n_chunks_left--;
			r->in_chunk = true;
			r->ssrc = bytes_get_be32(p);
			r->chunk = p;
		}
		if (bytes_left(&r->bytes) == 0)
			return -EINVAL;
		if (*r->bytes.at != RTCP_SDES_END)
			break;
		if (!sdes_chunk_end(r))
			return -EINVAL;
	}
	p = bytes_take(&r->bytes, 2);
	if (p == NULL)
		return -EINVAL;
	out->ssrc = r->ssrc;
	out->type = p[0];
	out->text_bytes = p[1];
	out->text = bytes_take(&r->bytes, p[1]);
	return out->text == NULL ? -EINVAL : 1;
}

int rtcp_bye_parse(const struct rtcp_view *v, struct rtcp_bye *out)
{
	struct bytes_reader r = bytes_reader_init(v->body, v->body_bytes);
	const uint8_t *length;

	if (v->type != RTCP_TYPE_BYE)
		return -EINVAL;
	out->n_ssrcs = v->count;
	out->ssrcs = bytes_take(&r, 4u * v->count);
	out->reason = NULL;
	out->reason_bytes = 0;
	if (out->ssrcs == NULL)
		return -EINVAL;
	length = bytes_take(&r, 1);
	if (length == NULL)
		return 0;
	out->reason_bytes = *length;
	out->reason = bytes_take(&r, *length);
	return out->reason == NULL ? -EINVAL : 0;
}

int rtcp_app_parse(const struct rtcp_view *v, struct rtcp_app *out)
{
	if (v->type != RTCP_TYPE_APP || v->body_bytes < 8)
		return -EINVAL;
	out->subtype = v->count;
	out->ssrc = bytes_get_be32(v->body);
	out->name = v->body + 4;
	out->data = v->body + 8;
	out->data_bytes = v->body_bytes - 8;
	return 0;
}
