// What a publisher's packet is, read once for all its watchers: extensions, frame boundaries, key frames and layers. Everything
// comes from the client and is checked; what cannot be read is forwarded as a packet of the lowest layer. Worker thread; writes
// the stream and the description.
#include "dataplane/contract/wire/av1_payload.h"
#include "dataplane/contract/wire/h264_payload.h"
#include "dataplane/contract/wire/rtp_extension_values.h"
#include "dataplane/contract/wire/vp8_descriptor.h"
#include "dataplane/contract/wire/vp9_descriptor.h"
#include "dataplane/sfu/reception.h"

int32_t dp_sfu_describe_extensions(const struct dp_sfu_client *c, const uint8_t *packet,
				   const struct rtp_view *rtp, struct dp_sfu_media *m)
{
	struct rtp_extension_reader r = rtp_extension_reader_init(rtp);
	struct rtp_audio_level level;
	struct rtp_extension e;
	int32_t twcc = -1;
	uint16_t sequence;

	memset(m->extension_offset, 0, sizeof(m->extension_offset));
	memset(m->extension_bytes, 0, sizeof(m->extension_bytes));
	m->audio_minus_dbov = 127;
	m->flags = 0;
	while (rtp_extension_next(&r, &e)) {
		uint32_t kind = c->extension_of[e.id];

		if (kind == 0)
			continue;
		kind--;
		m->extension_offset[kind] = (uint16_t)(e.value - packet);
		m->extension_bytes[kind] = e.value_bytes;
		if (kind == SHM_SFU_EXT_TWCC && rtp_twcc_sequence_read(&e, &sequence)) {
			twcc = sequence;
		} else if (kind == SHM_SFU_EXT_AUDIO_LEVEL && rtp_audio_level_read(&e, &level)) {
			m->audio_minus_dbov = level.minus_dbov;
			m->flags |= level.voice ? DP_SFU_MEDIA_F_VOICE : 0;
		}
	}
	return twcc;
}

static void describe_vp8(const struct rtp_view *rtp, struct dp_sfu_media *m)
{
	struct vp8_descriptor d;

	if (vp8_descriptor_parse(rtp->payload, rtp->payload_bytes, &d) < 0)
		return;
	m->descriptor_bytes = d.descriptor_bytes;
	m->temporal = d.temporal_id;
	m->flags |= d.frame_start ? DP_SFU_MEDIA_F_FRAME_START : 0;
	m->flags |= d.key_frame ? DP_SFU_MEDIA_F_KEYFRAME : 0;
	m->flags |= d.layer_sync ? DP_SFU_MEDIA_F_SWITCH_UP : 0;
	m->flags |= d.non_reference ? DP_SFU_MEDIA_F_DISCARDABLE : 0;
}

static void describe_vp9(const struct rtp_view *rtp, struct dp_sfu_media *m)
{
	struct vp9_descriptor d;

	if (vp9_descriptor_parse(rtp->payload, rtp->payload_bytes, &d) < 0)
		return;
	m->descriptor_bytes = (uint8_t)RTE_MIN(d.descriptor_bytes, 255);
	m->temporal = d.temporal_id;
	m->spatial = d.spatial_id;
	m->flags |= d.frame_start ? DP_SFU_MEDIA_F_FRAME_START : 0;
	m->flags |= vp9_is_spatial_switch(&d) ? DP_SFU_MEDIA_F_KEYFRAME : 0;
	m->flags |= d.switching_up ? DP_SFU_MEDIA_F_SWITCH_UP : 0;
}

// A new timestamp is a new frame; of the packets of one key frame the first is marked.
static void describe_h264(const struct dp_sfu_stream *s, const struct rtp_view *rtp,
			  struct dp_sfu_media *m)
{
	struct h264_payload p;

	if (!s->has_frame || s->frame_timestamp != rtp->timestamp)
		m->flags |= DP_SFU_MEDIA_F_FRAME_START;
	if (h264_payload_parse(rtp->payload, rtp->payload_bytes, &p) < 0)
		return;
	if (h264_is_key_frame(&p) && !(s->has_key && s->key_timestamp == rtp->timestamp))
		m->flags |= DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START;
}

static bool any_target(const struct av1_dd *dd, uint32_t n_targets, enum av1_dti dti)
{
	for (uint32_t i = 0; i < n_targets; i++) {
		if (av1_dd_dti(dd, i) == dti)
			return true;
	}
	return false;
}

static bool describe_av1_dependency(struct dp_sfu_stream *s, const uint8_t *packet,
				    const struct rtp_view *rtp, struct dp_sfu_media *m)
{
	struct av1_dd_structure *known = s->has_structure ? &s->structure[s->structure_idx] : NULL;
	struct av1_dd_structure *attached = &s->structure[!s->structure_idx];
	struct av1_dd dd;

	if (m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] == 0 ||
	    av1_dd_parse(packet + m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR],
			 m->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR], known, attached,
			 &dd) < 0)
		return false;
	if (dd.has_structure) {
		s->structure_idx = !s->structure_idx;
		s->has_structure = 1;
		known = attached;
	}
	m->spatial = dd.spatial_id;
	m->temporal = dd.temporal_id;
	m->flags |= dd.frame_start ? DP_SFU_MEDIA_F_FRAME_START : 0;
	// Frames of upper spatial layers belong to the key picture that they come with.
	if (av1_dd_is_key_frame(&dd) || (dd.frame_start && dd.spatial_id > 0 && s->has_key &&
					 s->key_timestamp == rtp->timestamp))
		m->flags |= DP_SFU_MEDIA_F_KEYFRAME;
	if (any_target(&dd, known->n_decode_targets, AV1_DTI_SWITCH))
		m->flags |= DP_SFU_MEDIA_F_SWITCH_UP;
	else if (!any_target(&dd, known->n_decode_targets, AV1_DTI_REQUIRED) &&
		 any_target(&dd, known->n_decode_targets, AV1_DTI_DISCARDABLE))
		m->flags |= DP_SFU_MEDIA_F_DISCARDABLE;
	return true;
}

static void describe_av1(struct dp_sfu_stream *s, const uint8_t *packet, const struct rtp_view *rtp,
			 struct dp_sfu_media *m)
{
	struct av1_aggregation_header h;

	if (describe_av1_dependency(s, packet, rtp, m))
		return;
	if (!s->has_frame || s->frame_timestamp != rtp->timestamp)
		m->flags |= DP_SFU_MEDIA_F_FRAME_START;
	if (av1_aggregation_header_parse(rtp->payload, rtp->payload_bytes, &h) &&
	    h.new_coded_sequence)
		m->flags |= DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START;
}

void dp_sfu_describe_payload(struct dp_sfu_stream *s, const uint8_t *packet,
			     const struct rtp_view *rtp, struct dp_sfu_media *m)
{
	m->timestamp = rtp->timestamp;
	m->header_bytes = rtp->header_bytes;
	m->payload_bytes = rtp->payload_bytes;
	m->track_idx = s->track_idx;
	m->track_serial = s->track_serial;
	m->layer = s->layer;
	m->codec = s->codec;
	m->kind = s->kind;
	m->spatial = 0;
	m->temporal = 0;
	m->descriptor_bytes = 0;
	m->flags |= rtp->marker ? DP_SFU_MEDIA_F_MARKER : 0;
	// Padding alone keeps the sequence without a gap and says nothing of frames.
	if (rtp->payload_bytes == 0)
		return;
	switch (s->codec) {
	case SHM_SFU_VP8:
		describe_vp8(rtp, m);
		break;
	case SHM_SFU_VP9:
		describe_vp9(rtp, m);
		break;
	case SHM_SFU_H264:
		describe_h264(s, rtp, m);
		break;
	case SHM_SFU_AV1:
		describe_av1(s, packet, rtp, m);
		break;
	default:
		break;
	}
	if (m->flags & DP_SFU_MEDIA_F_KEYFRAME && m->spatial == 0) {
		s->has_key = 1;
		s->key_timestamp = rtp->timestamp;
	}
	s->has_frame = 1;
	s->frame_timestamp = rtp->timestamp;
}
