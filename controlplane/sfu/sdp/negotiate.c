// Sections, codecs, extensions: what both sides can do. Pure, any thread.
#include "controlplane/sfu/sdp/negotiate_private.h"

#include <errno.h>
#include <string.h>

void sdp_policy_default(struct sdp_policy *policy, enum sdp_role role)
{
	static const struct sdp_policy_codec codecs[] = {
		{ SDP_CODEC_OPUS, SDP_ANY, SDP_ANY },
		{ SDP_CODEC_VP8, SDP_ANY, SDP_ANY },
		{ SDP_CODEC_VP9, 0, SDP_ANY },
		{ SDP_CODEC_AV1, 0, SDP_ANY },
		{ SDP_CODEC_H264, SDP_H264_CONSTRAINED_BASELINE, 1 },
		{ SDP_CODEC_H264, SDP_H264_CONSTRAINED_BASELINE, 0 },
		{ SDP_CODEC_H264, SDP_H264_BASELINE, 1 },
		{ SDP_CODEC_H264, SDP_H264_BASELINE, 0 },
		{ SDP_CODEC_H264, SDP_H264_MAIN, 1 },
		{ SDP_CODEC_H264, SDP_H264_MAIN, 0 },
		{ SDP_CODEC_H264, SDP_H264_CONSTRAINED_HIGH, 1 },
		{ SDP_CODEC_H264, SDP_H264_HIGH, 1 },
	};

	*policy = (struct sdp_policy){
		.role = role,
		.n_codecs = sizeof(codecs) / sizeof(codecs[0]),
		.feedback = SDP_FB_ALL,
		.extensions = SDP_EXT_ALL,
		.has_rtx = true,
		.audio_max = 1,
		.video_max = 1,
		.data_max = 1,
		.layers_max = 3,
		.max_message_size_bytes = 262144,
	};
	memcpy(policy->codecs, codecs, sizeof(codecs));
}

uint8_t sdp_kept_extension_id(const struct sdp_kept_media *m, enum sdp_extension extension)
{
	for (uint32_t i = 0; i < m->n_extensions; i++)
		if (m->extensions[i].extension == extension)
			return m->extensions[i].id;
	return 0;
}

static bool is_configured(const struct sdp_policy *policy, const struct sdp_format *format)
{
	for (uint32_t i = 0; i < policy->n_codecs; i++) {
		const struct sdp_policy_codec *c = &policy->codecs[i];

		if (c->kind == format->kind &&
		    (c->profile == SDP_ANY || c->profile == format->profile) &&
		    (c->packetization_mode == SDP_ANY ||
		     c->packetization_mode == format->packetization_mode))
			return true;
	}
	return false;
}

// RFC 4588 §8.1: RTX goes with the payload type that its apt names.
static int keep_rtx(struct sdp_kept_media *m, const struct sdp_codec *rtx,
		    const struct sdp_format *format, struct sdp_error *error)
{
	const struct sdp_codec *repaired = sdp_media_codec(m->offered, format->apt);

	if (repaired == NULL || repaired == rtx)
		return sdp_refuse(error, rtx->fmtp_line,
				  "apt names payload type %u, which the section does not list",
				  format->apt);
	for (uint32_t i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].offered == repaired && m->codecs[i].rtx == NULL)
			m->codecs[i].rtx = rtx;
	return 0;
}

// Codecs in the offer's order, which is the offerer's preference.
static int keep_codecs(const struct sdp_policy *policy, struct sdp_kept_media *m,
		       struct sdp_error *error)
{
	const struct sdp_media *offered = m->offered;
	struct sdp_format formats[SDP_CODECS_MAX];

	for (uint32_t i = 0; i < offered->n_codecs; i++) {
		int ret = sdp_codec_format(&offered->codecs[i], offered->kind, &formats[i], error);

		if (ret < 0)
			return ret;
		if (is_configured(policy, &formats[i]) && formats[i].kind != SDP_CODEC_RTX &&
		    m->n_codecs < SDP_KEPT_CODECS_MAX)
			m->codecs[m->n_codecs++] = (struct sdp_kept_codec){
				.format = formats[i],
				.offered = &offered->codecs[i],
				.feedback = offered->codecs[i].feedback & policy->feedback,
			};
	}
	for (uint32_t i = 0; policy->has_rtx && i < offered->n_codecs; i++) {
		int ret = 0;

		if (formats[i].kind == SDP_CODEC_RTX)
			ret = keep_rtx(m, &offered->codecs[i], &formats[i], error);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static enum sdp_direction opposite(enum sdp_direction d)
{
	static const enum sdp_direction to[SDP_DIRECTION_COUNT] = { SDP_SENDRECV, SDP_RECVONLY,
								    SDP_SENDONLY, SDP_INACTIVE };

	return to[d];
}

// Ids are the offer's (RFC 8285 §7); without a=extmap-allow-mixed only those of the one-byte form.
static void keep_extensions(const struct sdp_policy *policy, bool is_mixed,
			    struct sdp_kept_media *m)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->offered->n_extmaps; i++) {
		const struct sdp_extmap *e = &m->offered->extmaps[i];
		enum sdp_extension extension = sdp_extension_of(e->uri);

		if (extension == SDP_EXT_COUNT || kept & SDP_EXT_BIT(extension) ||
		    (policy->extensions & SDP_EXT_BIT(extension)) == 0 ||
		    e->direction == SDP_INACTIVE ||
		    // The way that media flows here is the way that the extension must be for.
		    e->direction ==
			    (policy->role == SDP_ROLE_PUBLISHER ? SDP_RECVONLY : SDP_SENDONLY) ||
		    (e->id > 14 && !is_mixed))
			continue;
		kept |= SDP_EXT_BIT(extension);
		m->extensions[m->n_extensions++] =
			(struct sdp_kept_extension){ extension, e->id, opposite(e->direction) };
	}
}

// Transport-wide feedback needs both a=extmap and a=rtcp-fb in the section; with it, REMB is silent.
static void settle_twcc(struct sdp_kept_media *m)
{
	bool is_mapped = sdp_kept_extension_id(m, SDP_EXT_TWCC) != 0;
	bool is_used = false;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n_codecs; i++) {
		if (!is_mapped)
			m->codecs[i].feedback &= (uint8_t)~SDP_FB_TWCC;
		if (m->codecs[i].feedback & SDP_FB_TWCC) {
			m->codecs[i].feedback &= (uint8_t)~SDP_FB_REMB;
			is_used = true;
		}
	}
	for (uint32_t i = 0; i < m->n_extensions; i++)
		if (m->extensions[i].extension != SDP_EXT_TWCC || is_used)
			m->extensions[n++] = m->extensions[i];
	m->n_extensions = (uint8_t)n;
}

static enum sdp_direction our_direction(enum sdp_role role, enum sdp_direction offered)
{
	if (role == SDP_ROLE_PUBLISHER)
		return offered == SDP_SENDONLY || offered == SDP_SENDRECV ? SDP_RECVONLY
									  : SDP_INACTIVE;
	return offered == SDP_RECVONLY || offered == SDP_SENDRECV ? SDP_SENDONLY : SDP_INACTIVE;
}

static int keep_rtp(const struct sdp_policy *policy, struct sdp_negotiated *out,
		    struct sdp_kept_media *m, struct sdp_error *error)
{
	const struct sdp_media *offered = m->offered;
	int ret = keep_codecs(policy, m, error);

	if (ret < 0)
		return ret;
	if (m->n_codecs == 0)
		return policy->role == SDP_ROLE_WATCHER
			       ? 0
			       : sdp_refuse(error, offered->line,
					    "the section lists no codec that is configured here");
	m->use = SDP_USE_RTP;
	m->direction = our_direction(policy->role, offered->direction);
	keep_extensions(policy, out->is_mixed, m);
	settle_twcc(m);
	if (m->direction == SDP_RECVONLY)
		sdp_layers_keep(policy, m);
	return 0;
}

static void keep_data(const struct sdp_policy *policy, struct sdp_kept_media *m)
{
	uint64_t theirs = m->offered->max_message_size_bytes;

	m->use = SDP_USE_DATA;
	m->direction = SDP_SENDRECV;
	// RFC 8841 §6.1: 0 is no limit.
	m->max_message_size_bytes = policy->max_message_size_bytes;
	if (theirs != 0 && (theirs < m->max_message_size_bytes || m->max_message_size_bytes == 0))
		m->max_message_size_bytes = theirs;
}

static int keep_section(const struct sdp_policy *policy, uint8_t n_kept[SDP_KIND_COUNT],
			struct sdp_negotiated *out, struct sdp_kept_media *m,
			struct sdp_error *error)
{
	const struct sdp_media *offered = m->offered;
	const uint8_t max[SDP_KIND_COUNT] = { policy->audio_max, policy->video_max,
					      policy->data_max, 0 };
	int ret = 0;

	m->direction = SDP_INACTIVE;
	if (!sdp_media_is_offered(offered))
		return 0;
	if (n_kept[offered->kind] >= max[offered->kind])
		return policy->role == SDP_ROLE_PUBLISHER && offered->kind <= SDP_KIND_VIDEO
			       ? sdp_refuse(error, offered->line,
					    "more than %u section(s) of this kind are not taken",
					    max[offered->kind])
			       : 0;
	if (offered->proto == SDP_PROTO_RTP && offered->kind <= SDP_KIND_VIDEO)
		ret = keep_rtp(policy, out, m, error);
	else if (offered->proto == SDP_PROTO_SCTP && offered->kind == SDP_KIND_APPLICATION &&
		 offered->sctp_port != 0 && sdp_text_is(offered->formats, "webrtc-datachannel"))
		keep_data(policy, m);
	if (m->use != SDP_USE_REJECTED)
		n_kept[offered->kind]++;
	return ret;
}

int sdp_negotiate(const struct sdp_session *offer, const struct sdp_policy *policy,
		  struct sdp_negotiated *out, struct sdp_error *error)
{
	uint8_t n_kept[SDP_KIND_COUNT] = { 0 };
	int ret;

	*error = (struct sdp_error){ 0 };
	memset(out, 0, sizeof(*out));
	out->offer = offer;
	ret = sdp_bundle_check(offer, out, error);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < offer->n_media; i++) {
		struct sdp_kept_media *m = &out->media[out->n_media++];

		m->offered = &offer->media[i];
		ret = keep_section(policy, n_kept, out, m, error);
		if (ret < 0)
			return ret;
	}
	return sdp_transport_keep(out, error);
}
