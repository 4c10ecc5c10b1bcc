// Synthetic RTP. One thread.
#include "bench/sfu/rtp_source.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "bench/sfu/description.h"
#include "bench/sfu/payload.h"
#include "dataplane/contract/wire/rtp_extension_values.h"
#include "dataplane/contract/wire/rtp_rtx.h"

#define RTP_FIXED_BYTES      12
#define VP8_DESCRIPTOR_BYTES 6  // with every field
#define VP8_KEY_BYTES        10 // of the payload header, RFC 6386 §9.1
#define VP8_INTER_BYTES      3
#define HEADER_BYTES_MAX     80
#define VIDEO_CLOCK          90000
#define AUDIO_CLOCK          48000

int rtp_source_init(struct rtp_source *s, const struct rtp_source_config *config, uint64_t now_ns)
{
	uint16_t start;

	if (config->packet_bytes > RTP_SOURCE_PACKET_BYTES_MAX - 32 ||
	    config->packet_bytes <
		    HEADER_BYTES_MAX + VP8_DESCRIPTOR_BYTES + VP8_KEY_BYTES + PAYLOAD_BYTES_MIN ||
	    config->frames_per_s == 0 || config->pkts_per_frame == 0)
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	s->config = *config;
	RAND_bytes((uint8_t *)&start, sizeof(start));
	s->index = start &
		   0x7fff; // RFC 3711 §3.3.1: so that a lost first packet does not shift the ROC
	s->rtx_index = s->index ^ 0x1234;
	RAND_bytes((uint8_t *)&s->timestamp, sizeof(s->timestamp));
	s->begin_ns = now_ns;
	s->wants_key = config->is_video;
	s->n_of_frame = config->pkts_per_frame;
	if (config->rtx_payload_type) {
		s->history = calloc(RTP_SOURCE_HISTORY_PKTS, sizeof(*s->history));
		if (!s->history)
			return -ENOMEM;
		for (uint32_t i = 0; i < RTP_SOURCE_HISTORY_PKTS; i++)
			s->history[i].index = UINT64_MAX;
	}
	return 0;
}

void rtp_source_end(struct rtp_source *s)
{
	free(s->history);
	s->history = NULL;
}

void rtp_source_key(struct rtp_source *s)
{
	s->wants_key = s->config.is_video;
}

uint64_t rtp_source_next_ns(const struct rtp_source *s)
{
	uint64_t per_s = (uint64_t)s->config.frames_per_s * s->config.pkts_per_frame;

	if (s->config.burst_us)
		return s->begin_ns + s->frame * 1000000000ULL / s->config.frames_per_s +
		       (uint64_t)s->pkt_of_frame * s->config.burst_us * 1000ULL / s->n_of_frame;
	return s->begin_ns + s->n_pkts / per_s * 1000000000ULL +
	       s->n_pkts % per_s * 1000000000ULL / per_s;
}

// Fixed header and extensions; returns their bytes.
static uint16_t put_header(struct rtp_source *s, uint64_t now_ns, uint16_t twcc, bool marker,
			   uint8_t *out)
{
	const struct rtp_source_config *c = &s->config;
	struct rtp_extension_writer w =
		rtp_extension_writer_init(out + RTP_FIXED_BYTES, HEADER_BYTES_MAX, false);
	uint8_t value[3];
	int n;

	if (c->has_audio_level) {
		// Speech that comes and goes: 4 s loud, 4 s silent, publishers in turn.
		bool is_loud = (now_ns / 4000000000ULL + c->source) % 2 == 0;

		value[0] = is_loud ? 0x80 | 30 : 127;
		rtp_extension_put(&w, LOAD_EXT_AUDIO_LEVEL, value, 1);
	}
	if (c->has_abs_send_time) {
		rtp_abs_send_time_write(value, rtp_abs_send_time_from_ns(now_ns));
		rtp_extension_put(&w, LOAD_EXT_ABS_SEND_TIME, value, 3);
	}
	if (c->has_twcc) {
		bytes_put_be16(value, twcc);
		rtp_extension_put(&w, LOAD_EXT_TWCC, value, 2);
	}
	if (c->mid)
		rtp_extension_put(&w, LOAD_EXT_MID, (const uint8_t *)c->mid,
				  (uint8_t)strlen(c->mid));
	if (c->rid)
		rtp_extension_put(&w, LOAD_EXT_RID, (const uint8_t *)c->rid,
				  (uint8_t)strlen(c->rid));
	n = rtp_extension_finish(&w);
	out[0] = 0x80 | (n > 0 ? 0x10 : 0);
	out[1] = (uint8_t)(marker ? 0x80 : 0) | c->payload_type;
	bytes_put_be16(out + 2, (uint16_t)s->index);
	bytes_put_be32(out + 4, s->timestamp);
	bytes_put_be32(out + 8, c->ssrc);
	return (uint16_t)(RTP_FIXED_BYTES + (n > 0 ? n : 0));
}

// RFC 7741 §4.5: the temporal layer of a frame, 0 2 1 2 with three, 0 1 with two.
static uint8_t temporal_id(const struct rtp_source *s)
{
	static const uint8_t of_three[4] = { 0, 2, 1, 2 };

	if (s->is_key || s->config.n_temporal < 2)
		return 0;
	return s->config.n_temporal == 2 ? s->frame % 2 : of_three[s->frame % 4];
}

// Payload descriptor (RFC 7741 §4.2) and, at a frame's start, payload header (§4.3); returns their
// bytes.
static uint32_t put_vp8(struct rtp_source *s, uint8_t *out)
{
	uint8_t tid = temporal_id(s);
	bool is_start = s->pkt_of_frame == 0;
	bool is_top = s->config.n_temporal > 1 && tid == s->config.n_temporal - 1;
	bool is_sync = tid == 1 || (tid == 2 && s->frame % 4 == 1);
	uint8_t *header = out + VP8_DESCRIPTOR_BYTES;

	out[0] = 0x80 | (is_top ? 0x20 : 0) | (is_start ? 0x10 : 0);
	out[1] = 0xf0; // I, L, T, K
	bytes_put_be16(out + 2, (uint16_t)(0x8000 | (s->frame & 0x7fff)));
	out[4] = s->tl0_picture_idx;
	out[5] = (uint8_t)(tid << 6 | (is_sync ? 0x20 : 0) | (s->key_idx & 31));
	if (!is_start)
		return VP8_DESCRIPTOR_BYTES;
	// show_frame, and the bit that is 0 in key frames alone; the partition's size is of no
	// interest.
	header[0] = 0x10 | (s->is_key ? 0 : 1);
	header[1] = 0;
	header[2] = 0;
	if (!s->is_key)
		return VP8_DESCRIPTOR_BYTES + VP8_INTER_BYTES;
	memcpy(header + 3, "\x9d\x01\x2a", 3);
	header[6] = (uint8_t)(320 << s->config.layer);
	header[7] = (uint8_t)((320 << s->config.layer) >> 8);
	header[8] = (uint8_t)(180 << s->config.layer);
	header[9] = (uint8_t)((180 << s->config.layer) >> 8);
	return VP8_DESCRIPTOR_BYTES + VP8_KEY_BYTES;
}

static void begin_frame(struct rtp_source *s)
{
	uint32_t every = s->config.key_every_frames;

	s->is_key = s->wants_key || (every && s->frame % every == 0);
	s->wants_key = false;
	s->n_of_frame =
		s->is_key && s->config.key_pkts ? s->config.key_pkts : s->config.pkts_per_frame;
	if (s->is_key) {
		s->n_key_frames++;
		s->key_idx++;
	}
	if (temporal_id(s) == 0)
		s->tl0_picture_idx++;
}

static void end_packet(struct rtp_source *s, const uint8_t *packet, uint32_t n_bytes)
{
	if (s->history) {
		uint32_t i = s->index % RTP_SOURCE_HISTORY_PKTS;

		s->history[i].index = s->index;
		s->history[i].n_bytes = (uint16_t)n_bytes;
		memcpy(s->history[i].packet, packet, n_bytes);
	}
	s->index++;
	s->n_pkts++;
	s->n_bytes += n_bytes;
	if (++s->pkt_of_frame < s->n_of_frame)
		return;
	s->pkt_of_frame = 0;
	s->frame++;
	s->timestamp += (s->config.is_video ? VIDEO_CLOCK : AUDIO_CLOCK) / s->config.frames_per_s;
}

uint32_t rtp_source_write(struct rtp_source *s, uint64_t now_ns, uint16_t twcc, uint8_t *out,
			  uint16_t *header_bytes, uint64_t *index)
{
	struct payload p = { .counter = s->n_pkts,
			     .send_ns = now_ns,
			     .source = s->config.source,
			     .frame = s->frame,
			     .kind = s->config.is_video,
			     .layer = s->config.layer };
	bool is_last;
	uint32_t at;

	if (s->config.is_video && s->pkt_of_frame == 0)
		begin_frame(s);
	is_last = s->pkt_of_frame + 1 == s->n_of_frame;
	*header_bytes = put_header(s, now_ns, twcc, s->config.is_video && is_last, out);
	at = *header_bytes;
	*index = s->index;
	if (s->config.is_video) {
		at += put_vp8(s, out + at);
	} else {
		out[at++] = 0xf8; // opus TOC: CELT, 20 ms, mono
	}
	payload_write(&p, out + at, s->config.packet_bytes - at);
	end_packet(s, out, s->config.packet_bytes);
	return s->config.packet_bytes;
}

uint32_t rtp_source_repeat(struct rtp_source *s, uint16_t sequence, uint16_t twcc, uint8_t *out,
			   uint16_t *header_bytes, uint64_t *index)
{
	struct rtp_view rtp;
	uint64_t wanted = s->index - (uint16_t)((uint16_t)s->index - sequence);
	uint32_t i = wanted % RTP_SOURCE_HISTORY_PKTS;
	uint8_t value[2];
	uint32_t n_bytes;
	int n;

	if (!s->history || s->history[i].index != wanted ||
	    rtp_parse(s->history[i].packet, s->history[i].n_bytes, &rtp) < 0)
		return 0;
	n = rtx_header_write(out, RTP_SOURCE_PACKET_BYTES_MAX, s->history[i].packet, &rtp,
			     s->config.rtx_payload_type, (uint16_t)s->rtx_index,
			     s->config.rtx_ssrc);
	if (n < 0)
		return 0;
	memcpy(out + n, rtp.payload, rtp.payload_bytes);
	*header_bytes = rtp.header_bytes;
	*index = s->rtx_index++;
	n_bytes = (uint32_t)n + rtp.payload_bytes;
	if (rtp_parse(out, n_bytes, &rtp) < 0)
		return 0;
	bytes_put_be16(value, twcc);
	rtp_extension_overwrite(out, &rtp, LOAD_EXT_TWCC, value, 2);
	if (s->config.rid)
		rtp_extension_renumber(out, &rtp, LOAD_EXT_RID, LOAD_EXT_REPAIRED_RID);
	return n_bytes;
}
