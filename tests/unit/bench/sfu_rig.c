// From a source to a sink, by way of SRTP. Test code.
#include "sfu_rig.h"

#include <criterion/criterion.h>
#include <string.h>

const struct rtp_source_config sfu_rig_video = {
	.is_video = true,
	.n_temporal = 3,
	.mid = LOAD_MID_VIDEO,
	.rid = "q",
	.has_twcc = true,
	.has_abs_send_time = true,
	.payload_type = LOAD_PT_VP8,
	.rtx_payload_type = LOAD_PT_RTX,
	.ssrc = 0x11223344,
	.rtx_ssrc = 0x55667788,
	.source = 7,
	.packet_bytes = 1200,
	.frames_per_s = 30,
	.pkts_per_frame = 4,
};

void sfu_rig_start(struct sfu_rig *r, uint32_t profile, const struct rtp_source_config *config)
{
	static const uint8_t key[DP_SRTP_KEY_BYTES_MAX] = { 1, 2, 3 };
	static const uint8_t salt[DP_SRTP_SALT_BYTES_MAX] = { 4, 5, 6 };

	memset(r, 0, sizeof(*r));
	r->now_ns = 1000000000000ULL;
	cr_assert_eq(dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &r->srtp), 0);
	cr_assert_eq(dp_srtp_context_create(r->srtp, profile, key, salt, &r->tx), 0);
	cr_assert_eq(dp_srtp_context_create(r->srtp, profile, key, salt, &r->rx), 0);
	cr_assert_eq(rtp_source_init(&r->source, config, r->now_ns), 0);
	rtp_sink_init(&r->sink, &r->totals);
	r->sink.is_counting = true;
}

void sfu_rig_end(struct sfu_rig *r)
{
	rtp_sink_end(&r->sink);
	rtp_source_end(&r->source);
	dp_srtp_context_destroy(r->tx);
	dp_srtp_context_destroy(r->rx);
	dp_srtp_close(r->srtp);
}

void sfu_rig_protect(struct sfu_rig *r, struct sfu_rig_packet *p)
{
	struct dp_srtp_protect job = { .context = r->tx,
				       .packet = p->bytes,
				       .payload = p->bytes + p->header_bytes,
				       .index = p->index,
				       .room_bytes = sizeof(p->bytes),
				       .header_bytes = p->header_bytes,
				       .payload_bytes = p->n_bytes - p->header_bytes };

	cr_assert_eq(dp_srtp_protect_burst(&job, 1), 1);
	p->n_bytes = job.protected_bytes;
}

void sfu_rig_next(struct sfu_rig *r, struct sfu_rig_packet *out)
{
	r->now_ns = rtp_source_next_ns(&r->source);
	out->n_bytes = (uint16_t)rtp_source_write(&r->source, r->now_ns, 1, out->bytes,
						  &out->header_bytes, &out->index);
	sfu_rig_protect(r, out);
}

bool sfu_rig_repeat(struct sfu_rig *r, uint16_t sequence, struct sfu_rig_packet *out)
{
	out->n_bytes = (uint16_t)rtp_source_repeat(&r->source, sequence, 1, out->bytes,
						   &out->header_bytes, &out->index);
	if (out->n_bytes == 0)
		return false;
	sfu_rig_protect(r, out);
	return true;
}

bool sfu_rig_deliver(struct sfu_rig *r, const struct sfu_rig_packet *p)
{
	uint8_t bytes[2048];
	struct rtp_view rtp;
	uint64_t tag = bytes_get_be64(p->bytes + p->n_bytes - 8);
	struct dp_srtp_unprotect job = {
		.context = r->rx,
		.packet = bytes,
		.plain = bytes,
		.packet_bytes = p->n_bytes,
		.index = rtp_sink_index(&r->sink, bytes_get_be32(p->bytes + 8),
					bytes_get_be16(p->bytes + 2)),
	};

	memcpy(bytes, p->bytes, p->n_bytes);
	if (dp_srtp_unprotect_burst(&job, 1) != 1)
		return false;
	cr_assert_eq(rtp_parse(bytes, job.plain_bytes, &rtp), 0);
	rtp_sink_take(&r->sink, &rtp, job.index, tag, r->now_ns + 100000);
	return true;
}
