// The answer: session level, and one section for each that was offered. Pure, any thread.
#include "controlplane/sfu/sdp/answer_private.h"

#include <stdio.h>

static const char *const direction_names[SDP_DIRECTION_COUNT] = { "sendrecv", "sendonly",
								  "recvonly", "inactive" };

static void write_fingerprint(struct sdp_writer *w, const uint8_t sha256[SDP_SHA256_BYTES])
{
	char hex[SDP_SHA256_BYTES * 3 + 1];

	for (uint32_t i = 0; i < SDP_SHA256_BYTES; i++)
		snprintf(hex + 3 * i, 4, "%02X:", sha256[i]);
	hex[SDP_SHA256_BYTES * 3 - 1] = '\0';
	sdp_write_line(w, "a=fingerprint:sha-256 %s", hex);
}

static void write_codecs(struct sdp_writer *w, const struct sdp_kept_media *m)
{
	static const char *const feedback[] = { "nack", "nack pli", "ccm fir", "goog-remb",
						"transport-cc" };

	for (uint32_t i = 0; i < m->n_codecs; i++) {
		const struct sdp_codec *c = m->codecs[i].offered;
		const struct sdp_codec *rtx = m->codecs[i].rtx;
		char channels[8] = "";

		if (c->channels > 1)
			snprintf(channels, sizeof(channels), "/%u", c->channels);
		sdp_write_line(w, "a=rtpmap:%u %.*s/%u%s", c->pt, SDP_TEXT_ARGS(c->name),
			       c->clock_rate, channels);
		if (c->fmtp.n > 0)
			sdp_write_line(w, "a=fmtp:%u %.*s", c->pt, SDP_TEXT_ARGS(c->fmtp));
		for (uint32_t bit = 0; bit < sizeof(feedback) / sizeof(feedback[0]); bit++)
			if (m->codecs[i].feedback & 1u << bit)
				sdp_write_line(w, "a=rtcp-fb:%u %s", c->pt, feedback[bit]);
		if (rtx == NULL)
			continue;
		sdp_write_line(w, "a=rtpmap:%u %.*s/%u", rtx->pt, SDP_TEXT_ARGS(rtx->name),
			       rtx->clock_rate);
		sdp_write_line(w, "a=fmtp:%u %.*s", rtx->pt, SDP_TEXT_ARGS(rtx->fmtp));
	}
}

static void write_extensions(struct sdp_writer *w, const struct sdp_kept_media *m)
{
	for (uint32_t i = 0; i < m->n_extensions; i++) {
		const struct sdp_kept_extension *e = &m->extensions[i];

		if (e->direction == SDP_SENDRECV)
			sdp_write_line(w, "a=extmap:%u %s", e->id, sdp_extension_uri(e->extension));
		else
			sdp_write_line(w, "a=extmap:%u/%s %s", e->id, direction_names[e->direction],
				       sdp_extension_uri(e->extension));
	}
}

// A rid that was restricted to payload types stays so, to those that are left (RFC 8851 §6.3).
static void write_rid(struct sdp_writer *w, const struct sdp_kept_media *m,
		      const struct sdp_layer *layer)
{
	char pts[SDP_KEPT_CODECS_MAX * 4 + 8] = "";
	const uint32_t all = (1u << m->n_codecs) - 1;
	const char *separator = " pt=";
	size_t n = 0;

	for (uint32_t i = 0; layer->pts_kept != all && i < m->n_codecs; i++)
		if (layer->pts_kept & 1u << i) {
			n += (size_t)snprintf(pts + n, sizeof(pts) - n, "%s%u", separator,
					      m->codecs[i].offered->pt);
			separator = ",";
		}
	sdp_write_line(w, "a=rid:%.*s recv%s", SDP_TEXT_ARGS(layer->rid), pts);
}

static void write_layers(struct sdp_writer *w, const struct sdp_kept_media *m)
{
	char list[SDP_LAYERS_MAX * (SDP_RID_BYTES_MAX + 1) + 1];
	size_t n = 0;

	for (uint32_t i = 0; i < m->n_layers; i++) {
		if (m->layers[i].rid.n == 0)
			continue;
		write_rid(w, m, &m->layers[i]);
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%.*s", n > 0 ? ";" : "",
				      SDP_TEXT_ARGS(m->layers[i].rid));
	}
	if (m->is_simulcast && n > 0)
		sdp_write_line(w, "a=simulcast:recv %s", list);
}

// RFC 5576, RFC 8830. The group is there with RTX always: without it a browser may drop the video.
static void write_source(struct sdp_writer *w, const struct sdp_answer_params *params,
			 const struct sdp_answer_source *s, bool has_rtx)
{
	sdp_write_line(w, "a=msid:%s %s", s->stream_id, s->track_id);
	if (has_rtx)
		sdp_write_line(w, "a=ssrc-group:FID %u %u", s->ssrc, s->rtx_ssrc);
	sdp_write_line(w, "a=ssrc:%u cname:%s", s->ssrc, params->cname);
	if (has_rtx)
		sdp_write_line(w, "a=ssrc:%u cname:%s", s->rtx_ssrc, params->cname);
}

static void write_rtp(struct sdp_writer *w, const struct sdp_negotiated *n,
		      const struct sdp_kept_media *m, const struct sdp_answer_params *params)
{
	const struct sdp_answer_source *source = &params->sources[m - n->media];
	enum sdp_direction direction = m->direction;
	bool has_rtx = false;

	if (direction == SDP_SENDONLY && source->ssrc == 0)
		direction = SDP_INACTIVE;
	sdp_write_line(w, "a=%s", direction_names[direction]);
	sdp_write_line(w, "a=rtcp-mux");
	if (m->offered->has_rtcp_rsize)
		sdp_write_line(w, "a=rtcp-rsize");
	write_extensions(w, m);
	write_codecs(w, m);
	if (direction == SDP_RECVONLY)
		write_layers(w, m);
	for (uint32_t i = 0; i < m->n_codecs; i++)
		has_rtx |= m->codecs[i].rtx != NULL && source->rtx_ssrc != 0;
	if (direction == SDP_SENDONLY)
		write_source(w, params, source, has_rtx);
}

static void write_section(struct sdp_writer *w, const struct sdp_negotiated *n,
			  const struct sdp_kept_media *m, const struct sdp_answer_params *params)
{
	sdp_write_media(w, m, params);
	if (m->offered->mid.n > 0)
		sdp_write_line(w, "a=mid:%.*s", SDP_TEXT_ARGS(m->offered->mid));
	if (m->use == SDP_USE_REJECTED) {
		sdp_write_line(w, "a=inactive");
		return;
	}
	sdp_write_line(w, "a=setup:%s", n->setup == SDP_SETUP_ACTIVE ? "active" : "passive");
	sdp_write_credentials(w, params);
	sdp_write_candidates(w, params);
	if (m->use == SDP_USE_RTP) {
		write_rtp(w, n, m, params);
		return;
	}
	sdp_write_line(w, "a=sctp-port:%u", params->sctp_port);
	sdp_write_line(w, "a=max-message-size:%llu",
		       (unsigned long long)params->max_message_size_bytes);
}

int sdp_answer_write(const struct sdp_negotiated *n, const struct sdp_answer_params *params,
		     char *out, size_t out_bytes)
{
	struct sdp_writer w = { .out = out, .capacity_bytes = out_bytes };

	sdp_write_line(&w, "v=0");
	sdp_write_line(&w, "o=- %llu %llu IN IP4 0.0.0.0", (unsigned long long)params->session_id,
		       (unsigned long long)params->version);
	sdp_write_line(&w, "s=-");
	sdp_write_line(&w, "t=0 0");
	sdp_write_bundle(&w, n);
	if (n->is_mixed)
		sdp_write_line(&w, "a=extmap-allow-mixed");
	sdp_write_line(&w, "a=msid-semantic: WMS *");
	sdp_write_line(&w, "a=ice-lite");
	sdp_write_line(&w, "a=ice-options:trickle ice2");
	write_fingerprint(&w, params->fingerprint_sha256);
	for (uint32_t i = 0; i < n->n_media; i++)
		write_section(&w, n, &n->media[i], params);
	return sdp_write_end(&w);
}
