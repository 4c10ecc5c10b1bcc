// What a publisher's offer becomes: tracks in the tables. Control plane's loop thread; writes through table_writer.
#include <errno.h>
#include <string.h>

#include "controlplane/sfu/state.h"

static_assert((int)SDP_EXT_MID == (int)SHM_SFU_EXT_MID &&
		      (int)SDP_EXT_TWCC == (int)SHM_SFU_EXT_TWCC &&
		      (int)SDP_EXT_ABS_CAPTURE_TIME == (int)SHM_SFU_EXT_ABS_CAPTURE_TIME &&
		      (int)SDP_EXT_COUNT == (int)SHM_SFU_EXTENSION_COUNT,
	      "extensions have one order in the SDP and in the tables");

uint8_t sfu_codec_of(enum sdp_codec_kind kind)
{
	static const uint8_t codecs[SDP_CODEC_COUNT] = {
		[SDP_CODEC_OPUS] = SHM_SFU_OPUS, [SDP_CODEC_VP8] = SHM_SFU_VP8,
		[SDP_CODEC_VP9] = SHM_SFU_VP9,   [SDP_CODEC_H264] = SHM_SFU_H264,
		[SDP_CODEC_AV1] = SHM_SFU_AV1,
	};

	return codecs[kind];
}

// Lower is better: the configured order, and of H264 what every browser decodes.
static uint32_t preference(const struct config_sfu *c, const struct sdp_format *f)
{
	uint32_t p = 0;

	while (p < c->n_codecs && c->codecs[p] != sfu_codec_of(f->kind))
		p++;
	p *= 4;
	if (f->kind == SDP_CODEC_H264)
		p += (f->profile != SDP_H264_CONSTRAINED_BASELINE ? 2 : 0) +
		     (f->packetization_mode != 1 ? 1 : 0);
	return p;
}

void sfu_prune_codecs(const struct config_sfu *c, struct sdp_negotiated *n)
{
	for (uint32_t i = 0; i < n->n_media; i++) {
		struct sdp_kept_media *m = &n->media[i];
		uint32_t best = 0, n_layers = 0;

		if (m->use != SDP_USE_RTP)
			continue;
		for (uint32_t k = 1; k < m->n_codecs; k++) {
			if (preference(c, &m->codecs[k].format) <
			    preference(c, &m->codecs[best].format))
				best = k;
		}
		m->codecs[0] = m->codecs[best];
		m->n_codecs = 1;
		for (uint32_t k = 0; k < m->n_layers; k++) {
			if (!(m->layers[k].pts_kept & 1u << best))
				continue;
			m->layers[n_layers] = m->layers[k];
			m->layers[n_layers++].pts_kept = 1;
		}
		m->n_layers = (uint8_t)n_layers;
	}
}

void sfu_transport_fill(const struct sdp_negotiated *n, struct shm_sfu_transport *t)
{
	for (uint32_t i = 0; i < n->n_media; i++) {
		const struct sdp_kept_media *m = &n->media[i];

		if (m->use != SDP_USE_RTP)
			continue;
		// One map for the bundle (RFC 9143 §15).
		for (uint32_t k = 0; k < m->n_extensions; k++)
			t->extension_id[m->extensions[k].extension] = m->extensions[k].id;
		for (uint32_t k = 0; k < m->n_codecs; k++) {
			if (m->codecs[k].feedback & SDP_FB_TWCC)
				t->flags |= SHM_SFU_TRANSPORT_F_TWCC;
			if (m->codecs[k].feedback & SDP_FB_REMB)
				t->flags |= SHM_SFU_TRANSPORT_F_REMB;
		}
		if (m->offered->has_rtcp_rsize)
			t->flags |= SHM_SFU_TRANSPORT_F_RTCP_RSIZE;
	}
	if (n->is_mixed)
		t->flags |= SHM_SFU_TRANSPORT_F_EXTMAP_MIXED;
}

static void put_text(char *out, size_t out_bytes, struct sdp_text text)
{
	if (text.n > 0)
		memcpy(out, text.at, text.n < out_bytes ? text.n : out_bytes);
}

// Browsers list the lowest layer first, whose rids tell when an application does not.
static bool is_highest_first(const struct sdp_kept_media *m)
{
	const struct sdp_text *first = &m->layers[0].rid, *last = &m->layers[m->n_layers - 1].rid;

	return m->n_layers > 1 && first->n > 0 && last->n > 0 &&
	       (first->at[0] == 'f' || (first->n >= 2 && memcmp(first->at, "hi", 2) == 0)) &&
	       (last->at[0] == 'q' || last->at[0] == 'h' || last->at[0] == 'l');
}

static void fill_layers(const struct sdp_kept_media *m, struct shm_sfu_track *t)
{
	uint32_t n = m->n_layers < SHM_SFU_LAYERS_MAX ? m->n_layers : SHM_SFU_LAYERS_MAX;
	bool is_reversed = is_highest_first(m);

	for (uint32_t i = 0; i < n; i++) {
		const struct sdp_layer *layer = &m->layers[is_reversed ? n - 1 - i : i];

		t->layer[i].ssrc = layer->ssrc;
		t->layer[i].rtx_ssrc = layer->rtx_ssrc;
		put_text(t->layer[i].rid, sizeof(t->layer[i].rid), layer->rid);
	}
	t->n_layers = n > 0 ? (uint8_t)n : 1;
}

static void fill_track(const struct sfu_session *session, const struct sdp_kept_media *m,
		       struct shm_sfu_track *t)
{
	const struct sdp_kept_codec *c = &m->codecs[0];

	*t = (struct shm_sfu_track){
		.transport_idx = session->transport_idx,
		.kind = m->offered->kind == SDP_KIND_AUDIO ? SHM_SFU_AUDIO : SHM_SFU_VIDEO,
		.codec = sfu_codec_of(c->format.kind),
		.payload_type = c->offered->pt,
		.rtx_payload_type = c->rtx != NULL ? c->rtx->pt : 0,
		.clock_hz = c->offered->clock_rate,
		.has_nack = c->feedback & SDP_FB_NACK ? 1 : 0,
		.has_pli = c->feedback & SDP_FB_PLI   ? 1
			   : c->feedback & SDP_FB_FIR ? 2
						      : 0,
	};
	put_text(t->mid, sizeof(t->mid), m->offered->mid);
	fill_layers(m, t);
}

int sfu_publish(struct sfu_session *session, const struct sdp_negotiated *n,
		struct shm_sfu_transport *t)
{
	struct table_writer *w = session->sfu->tables;
	const struct sdp_kept_media *media[SHM_SFU_KIND_COUNT] = { 0 };

	for (uint32_t i = 0; i < n->n_media; i++) {
		const struct sdp_kept_media *m = &n->media[i];
		uint32_t kind = m->use == SDP_USE_RTP && m->offered->kind == SDP_KIND_VIDEO;

		// The policy takes one section of each kind.
		if (m->use == SDP_USE_RTP && m->direction == SDP_RECVONLY)
			media[kind] = m;
	}
	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		if (media[kind] == NULL)
			continue;
		session->tracks[kind].idx = table_writer_track_reserve(w);
		if (session->tracks[kind].idx == 0)
			goto fail_full;
	}
	for (uint32_t kind = SHM_SFU_KIND_COUNT; kind-- > 0;) {
		struct shm_sfu_track track;

		if (media[kind] == NULL)
			continue;
		fill_track(session, media[kind], &track);
		track.next_track = t->first_track;
		t->first_track = session->tracks[kind].idx;
		session->tracks[kind].codec = track.codec;
		session->tracks[kind].n_layers = track.n_layers;
		table_writer_track_publish(w, session->tracks[kind].idx, &track);
	}
	t->flags |= SHM_SFU_TRANSPORT_F_PUBLISHES;
	// What a REMB tells it: send what you like, up to this.
	t->target_bps = session->sfu->config->sfu.max_kbps * 1000ull;
	return 0;
fail_full:
	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		if (session->tracks[kind].idx != 0)
			table_writer_track_unreserve(w, session->tracks[kind].idx);
		session->tracks[kind].idx = 0;
	}
	return -ENOSPC;
}
