// RTCP feedback messages (RFC 4585 §6, RFC 5104 §4.3.1, draft-alvestrand-rmcat-remb-03 §2.2). Pure, any thread.
#include "dataplane/contract/wire/rtcp_feedback.h"

#include <errno.h>

#define FEEDBACK_BYTES 12 // header and two SSRCs
#define NACK_BYTES     4
#define FIR_BYTES      8
#define REMB_BYTES     8 // name, count, rate
#define NACK_MASK_BITS 16
#define MANTISSA_BITS  18
#define REMB_NAME      UINT32_C(0x52454d42)

int rtcp_feedback_parse(const struct rtcp_view *v, struct rtcp_feedback *out)
{
	if ((v->type != RTCP_TYPE_RTPFB && v->type != RTCP_TYPE_PSFB) || v->body_bytes < 8)
		return -EINVAL;
	out->sender_ssrc = bytes_get_be32(v->body);
	out->media_ssrc = bytes_get_be32(v->body + 4);
	out->fci = v->body + 8;
	out->fci_bytes = v->body_bytes - 8;
	return 0;
}

static int feedback_parse_as(const struct rtcp_view *v, uint8_t type, uint8_t format,
			     struct rtcp_feedback *out)
{
	if (v->type != type || v->count != format)
		return -EINVAL;
	return rtcp_feedback_parse(v, out);
}

int rtcp_nack_parse(const struct rtcp_view *v, struct rtcp_feedback *feedback,
		    struct rtcp_nack_reader *out)
{
	int ret = feedback_parse_as(v, RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, feedback);

	if (ret < 0)
		return ret;
	if (feedback->fci_bytes == 0 || feedback->fci_bytes % NACK_BYTES != 0)
		return -EINVAL;
	*out = (struct rtcp_nack_reader){ .at = feedback->fci,
					  .end = feedback->fci + feedback->fci_bytes };
	return 0;
}

bool rtcp_nack_next(struct rtcp_nack_reader *r, uint16_t *sequence)
{
	if (r->pending == 0) {
		if (r->at == r->end)
			return false;
		r->pid = bytes_get_be16(r->at);
		r->pending = 1 | (uint32_t)bytes_get_be16(r->at + 2) << 1;
		r->at += NACK_BYTES;
	}
	*sequence = (uint16_t)(r->pid + __builtin_ctz(r->pending));
	r->pending &= r->pending - 1;
	return true;
}

int rtcp_fir_parse(const struct rtcp_view *v, struct rtcp_feedback *out)
{
	int ret = feedback_parse_as(v, RTCP_TYPE_PSFB, RTCP_PSFB_FIR, out);

	if (ret < 0)
		return ret;
	if (out->fci_bytes == 0 || out->fci_bytes % FIR_BYTES != 0)
		return -EINVAL;
	return (int)(out->fci_bytes / FIR_BYTES);
}

struct rtcp_fir_entry rtcp_fir_entry_read(const struct rtcp_feedback *feedback, uint32_t i)
{
	const uint8_t *p = feedback->fci + (size_t)i * FIR_BYTES;

	return (struct rtcp_fir_entry){ .ssrc = bytes_get_be32(p), .sequence_number = p[4] };
}

int rtcp_remb_parse(const struct rtcp_view *v, struct rtcp_remb *out)
{
	struct rtcp_feedback feedback;
	int ret = feedback_parse_as(v, RTCP_TYPE_PSFB, RTCP_PSFB_ALFB, &feedback);
	uint64_t mantissa;
	uint32_t exponent;

	if (ret < 0)
		return ret;
	if (feedback.fci_bytes < REMB_BYTES || bytes_get_be32(feedback.fci) != REMB_NAME)
		return -EINVAL;
	out->n_ssrcs = feedback.fci[4];
	if (feedback.fci_bytes != REMB_BYTES + 4u * out->n_ssrcs)
		return -EINVAL;
	exponent = feedback.fci[5] >> 2;
	mantissa = bytes_get_be32(feedback.fci + 4) & ((1u << MANTISSA_BITS) - 1);
	out->bits_per_sec = mantissa << exponent;
	if (out->bits_per_sec >> exponent != mantissa)
		return -EINVAL;
	out->sender_ssrc = feedback.sender_ssrc;
	out->ssrcs = feedback.fci + REMB_BYTES;
	return 0;
}

static uint8_t *feedback_grow(struct bytes_writer *w, uint8_t type, uint8_t format,
			      uint32_t sender_ssrc, uint32_t media_ssrc, size_t fci_bytes)
{
	uint8_t *p = rtcp_packet_grow(w, type, format, FEEDBACK_BYTES + fci_bytes);

	if (p == NULL)
		return NULL;
	bytes_put_be32(p, sender_ssrc);
	bytes_put_be32(p + 4, media_ssrc);
	return p + 8;
}

// How many of the sequences the entry that starts with the first of them takes in, and its mask.
static uint32_t nack_entry_take(const uint16_t *sequences, uint32_t n, uint16_t *mask)
{
	uint32_t i;

	*mask = 0;
	for (i = 1; i < n; i++) {
		uint16_t ahead = (uint16_t)(sequences[i] - sequences[0]);

		if (ahead > NACK_MASK_BITS)
			break;
		if (ahead > 0)
			*mask |= (uint16_t)(1u << (ahead - 1));
	}
	return i;
}

void rtcp_nack_put(struct bytes_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc,
		   const uint16_t *sequences, uint32_t n_sequences)
{
	uint32_t n_entries = 0;
	uint16_t mask;
	uint8_t *p;

	for (uint32_t i = 0; i < n_sequences; n_entries++)
		i += nack_entry_take(sequences + i, n_sequences - i, &mask);
	if (n_entries == 0)
		return;
	p = feedback_grow(w, RTCP_TYPE_RTPFB, RTCP_RTPFB_NACK, sender_ssrc, media_ssrc,
			  (size_t)n_entries * NACK_BYTES);
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < n_sequences; p += NACK_BYTES) {
		uint32_t taken = nack_entry_take(sequences + i, n_sequences - i, &mask);

		bytes_put_be16(p, sequences[i]);
		bytes_put_be16(p + 2, mask);
		i += taken;
	}
}

void rtcp_pli_put(struct bytes_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc)
{
	feedback_grow(w, RTCP_TYPE_PSFB, RTCP_PSFB_PLI, sender_ssrc, media_ssrc, 0);
}

void rtcp_fir_put(struct bytes_writer *w, uint32_t sender_ssrc, const struct rtcp_fir_entry *fir)
{
	uint8_t *p = feedback_grow(w, RTCP_TYPE_PSFB, RTCP_PSFB_FIR, sender_ssrc, 0, FIR_BYTES);

	if (p == NULL)
		return;
	bytes_put_be32(p, fir->ssrc);
	bytes_put_be32(p + 4, (uint32_t)fir->sequence_number << 24);
}

void rtcp_remb_put(struct bytes_writer *w, uint32_t sender_ssrc, uint64_t bits_per_sec,
		   const uint32_t *ssrcs, uint32_t n_ssrcs)
{
	uint32_t exponent = 0;
	uint8_t *p;

	if (n_ssrcs > RTCP_REMB_SSRC_MAX) {
		w->overflow = true;
		return;
	}
	while (bits_per_sec >> exponent >> MANTISSA_BITS != 0)
		exponent++;
	p = feedback_grow(w, RTCP_TYPE_PSFB, RTCP_PSFB_ALFB, sender_ssrc, 0,
			  REMB_BYTES + 4 * (size_t)n_ssrcs);
	if (p == NULL)
		return;
	bytes_put_be32(p, REMB_NAME);
	bytes_put_be32(p + 4, n_ssrcs << 24 | exponent << MANTISSA_BITS |
				      (uint32_t)(bits_per_sec >> exponent));
	for (uint32_t i = 0; i < n_ssrcs; i++)
		bytes_put_be32(p + REMB_BYTES + 4 * (size_t)i, ssrcs[i]);
}
