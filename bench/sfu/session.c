// Joining and leaving, and the publisher's side. One thread.
#include "bench/sfu/session.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/sfu/session_rtcp.h"
#include "dataplane/contract/wire/rtp_extension.h"

#define PACKET_BYTES_MIN 160
#define LATE_NS          500000000ULL // a publisher further behind than this leaves packets out

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static uint64_t handle_index(void *context, uint32_t ssrc, uint16_t sequence)
{
	struct load_session *s = context;

	return rtp_sink_index(&s->sink, ssrc, sequence);
}

static void handle_rtp(void *context, const struct rtp_view *rtp, uint64_t index, uint64_t tag,
		       uint64_t now_ns)
{
	struct load_session *s = context;
	struct rtp_extension e;

	if (rtp_extension_find(rtp, LOAD_EXT_TWCC, &e) && e.value_bytes >= 2)
		twcc_recorder_take(&s->twcc, bytes_get_be16(e.value), now_ns);
	rtp_sink_take(&s->sink, rtp, index, tag, now_ns);
}

static const struct load_handler handler = {
	.index = handle_index,
	.rtp = handle_rtp,
	.rtcp = load_session_rtcp,
};

// What every layer but the highest is: a third of the one above.
static uint32_t layer_bps(const struct load_media *media, uint32_t n_layers, uint32_t layer)
{
	uint32_t bps = media->video_bps;

	while (++layer < n_layers)
		bps /= 3;
	return bps;
}

// Packets of a frame, and their size: what was asked for at the highest layer, what fits the bitrate below it.
static uint16_t layer_shape(const struct load_media *media, uint32_t n_layers, uint32_t layer,
			    uint32_t *n_pkts)
{
	uint32_t frame_bytes = layer_bps(media, n_layers, layer) / 8 / media->frames_per_s;
	uint32_t n = frame_bytes / media->packet_bytes;

	if (layer + 1 == n_layers) {
		*n_pkts = n ? n : 1;
		return media->packet_bytes;
	}
	*n_pkts = n + 1;
	frame_bytes /= n + 1;
	return (uint16_t)(frame_bytes > PACKET_BYTES_MIN ? frame_bytes : PACKET_BYTES_MIN);
}

static int add_video(struct load_session *s, const uint32_t *ssrcs, uint64_t now_ns)
{
	const struct load_answer *a = &s->transport.answer;
	const bool *has = a->video_extensions;
	uint32_t n_layers = s->media->n_layers < a->n_layers ? s->media->n_layers : a->n_layers;

	for (uint32_t i = 0; i < n_layers; i++) {
		uint32_t n_pkts;
		uint16_t packet_bytes = layer_shape(s->media, n_layers, i, &n_pkts);
		struct rtp_source_config c = {
			.is_video = true,
			.layer = (uint8_t)i,
			.n_temporal = s->media->n_temporal,
			.mid = has[LOAD_EXT_MID] ? LOAD_MID_VIDEO : NULL,
			.rid = s->media->n_layers > 1 && has[LOAD_EXT_RID] ? load_rids[i] : NULL,
			.has_twcc = has[LOAD_EXT_TWCC],
			.has_abs_send_time = has[LOAD_EXT_ABS_SEND_TIME],
			.payload_type = LOAD_PT_VP8,
			.rtx_payload_type = a->has_rtx ? LOAD_PT_RTX : 0,
			.ssrc = ssrcs[2 * i],
			.rtx_ssrc = ssrcs[2 * i + 1],
			.source = s->number,
			.packet_bytes = packet_bytes,
			.frames_per_s = s->media->frames_per_s,
			.pkts_per_frame = n_pkts,
			.burst_us = s->media->burst_us,
			.key_pkts = s->media->key_bytes / packet_bytes,
			.key_every_frames = s->media->key_every_frames,
		};
		int ret = rtp_source_init(&s->sources[s->n_sources], &c, now_ns);

		if (ret < 0)
			return ret;
		s->n_sources++;
	}
	return 0;
}

static int add_audio(struct load_session *s, uint32_t ssrc, uint64_t now_ns)
{
	const bool *has = s->transport.answer.audio_extensions;
	struct rtp_source_config c = {
		.mid = has[LOAD_EXT_MID] ? LOAD_MID_AUDIO : NULL,
		.has_twcc = has[LOAD_EXT_TWCC],
		.has_audio_level = has[LOAD_EXT_AUDIO_LEVEL],
		.payload_type = LOAD_PT_OPUS,
		.ssrc = ssrc,
		.source = s->number,
		.packet_bytes = 160,
		.frames_per_s = 50,
		.pkts_per_frame = 1,
	};

	return rtp_source_init(&s->sources[s->n_sources++], &c, now_ns);
}

// The answer of the server, or why not.
static int post_offer(struct load_session *s, const struct load_offer *offer, const char *url,
		      char *why)
{
	static struct http_reply reply;
	char sdp[8192];
	int n = load_offer_write(offer, sdp, sizeof(sdp));
	struct http_request request = { .method = "POST",
					.url = url,
					.token = s->token,
					.content_type = "application/sdp",
					.body = sdp,
					.body_bytes = (size_t)n };
	const char *reason;
	int ret;

	if (n < 0)
		return n;
	ret = http_exchange(&request, &reply);
	if (ret < 0) {
		snprintf(why, 256, "%s: %s", url, strerror(-ret));
		return ret;
	}
	if (reply.status != 201) {
		snprintf(why, 256, "%s: HTTP %d %.160s", url, reply.status, reply.body);
		return reply.status == 409 || reply.status == 503 ? -EAGAIN : -EPROTO;
	}
	memcpy(s->resource, reply.location, sizeof(s->resource));
	ret = load_answer_read(reply.body, &s->transport.answer, &reason);
	if (ret < 0)
		snprintf(why, 256, "%s: the answer cannot be used: %s", url, reason);
	return ret;
}

int load_session_join(struct load_session *s, const struct load_world *world, bool is_publisher,
		      uint32_t number, const struct load_media *media, const char *url,
		      const char *token, char *why)
{
	uint32_t ssrcs[2 + 2 * LOAD_LAYERS_MAX];
	uint64_t now_ns = clock_ns();
	struct load_offer offer;
	int ret;

	memset(s, 0, sizeof(*s));
	s->is_publisher = is_publisher;
	s->number = number;
	s->media = media;
	s->token = token;
	s->counters = world->counters;
	rtp_sink_init(&s->sink, world->totals);
	twcc_recorder_init(&s->twcc);
	RAND_bytes((uint8_t *)ssrcs, sizeof(ssrcs));
	s->own_ssrc = ssrcs[1] | 1;
	ret = load_transport_open(&s->transport, world->dtls, world->srtp,
				  world->transport_counters, &handler, s);
	if (ret < 0) {
		snprintf(why, 256, "socket: %s", strerror(-ret));
		return ret;
	}
	offer = (struct load_offer){
		.is_publisher = is_publisher,
		.has_audio = media->has_audio,
		.has_video = media->has_video,
		.has_no_estimate = !is_publisher && !media->has_estimate,
		.n_layers = media->n_layers,
		.ufrag = s->transport.ice.ufrag,
		.pwd = s->transport.ice.pwd,
		.fingerprint = load_dtls_fingerprint(world->dtls),
		.audio_ssrc = ssrcs[0],
		.video_ssrc = ssrcs[2],
		.rtx_ssrc = ssrcs[3],
	};
	ret = post_offer(s, &offer, url, why);
	if (ret < 0)
		goto fail_session;
	s->join_ns = clock_ns() - now_ns;
	now_ns += s->join_ns;
	if (is_publisher && media->has_audio)
		ret = add_audio(s, ssrcs[0], now_ns);
	if (ret == 0 && is_publisher && media->has_video)
		ret = add_video(s, ssrcs + 2, now_ns);
	if (ret < 0) {
		snprintf(why, 256, "these sizes and rates make no stream");
		goto fail_session;
	}
	s->report_ns = now_ns + number % 1000 * 1000000ULL;
	load_transport_begin(&s->transport, now_ns);
	return 0;

fail_session:
	load_session_leave(s);
	return ret;
}

void load_session_leave(struct load_session *s)
{
	static struct http_reply reply;
	struct http_request request = { .method = "DELETE", .url = s->resource, .token = s->token };

	if (s->resource[0])
		(void)http_exchange(&request, &reply);
	load_transport_close(&s->transport);
	for (uint32_t i = 0; i < s->n_sources; i++)
		rtp_source_end(&s->sources[i]);
	s->n_sources = 0;
	rtp_sink_end(&s->sink);
}

uint64_t load_session_send(struct load_session *s, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	if (s->transport.stage != LOAD_STAGE_CONNECTED)
		return UINT64_MAX;
	for (uint32_t i = 0; i < s->n_sources; i++) {
		struct rtp_source *src = &s->sources[i];

		// Its clock starts with the connection, and starts anew when we were kept from
		// sending.
		if (!s->is_sending || rtp_source_next_ns(src) + LATE_NS < now_ns)
			src->begin_ns += now_ns - rtp_source_next_ns(src);
		while (rtp_source_next_ns(src) <= now_ns) {
			uint8_t *room = load_transport_room(&s->transport);
			uint16_t header_bytes;
			uint64_t index;
			uint32_t n = rtp_source_write(src, now_ns, s->twcc_sequence, room,
						      &header_bytes, &index);

			s->twcc_sequence += src->config.has_twcc;
			load_transport_queue(&s->transport, n, header_bytes, index);
		}
		if (rtp_source_next_ns(src) < next_ns)
			next_ns = rtp_source_next_ns(src);
	}
	s->is_sending = true;
	return next_ns;
}
