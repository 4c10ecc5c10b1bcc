// What a watcher's offer becomes: slots, each with its own SSRCs for as long as the session lives. Control plane's loop thread; writes
// through table_writer.
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/sdp/answer.h"
#include "controlplane/sfu/state.h"

#define PT_NONE 0xff

// One payload type for each codec; of H264, what publishers are asked for first.
static bool is_better(const struct sdp_format *a, const struct sdp_format *b)
{
	bool a_base = a->profile == SDP_H264_CONSTRAINED_BASELINE;
	bool b_base = b->profile == SDP_H264_CONSTRAINED_BASELINE;

	if (a->kind != SDP_CODEC_H264)
		return false;
	return a_base != b_base ? a_base : a->packetization_mode == 1 && b->packetization_mode != 1;
}

static void fill_payload_types(const struct sdp_kept_media *m, struct shm_sfu_subscription *s)
{
	const struct sdp_kept_codec *best[SHM_SFU_CODEC_COUNT] = { 0 };

	memset(s->payload_type, PT_NONE, sizeof(s->payload_type));
	memset(s->rtx_payload_type, PT_NONE, sizeof(s->rtx_payload_type));
	for (uint32_t i = 0; i < m->n_codecs; i++) {
		const struct sdp_kept_codec *c = &m->codecs[i];
		uint8_t codec = sfu_codec_of(c->format.kind);

		if (best[codec] == NULL || is_better(&c->format, &best[codec]->format))
			best[codec] = c;
		if (c->feedback & SDP_FB_NACK)
			s->has_nack = 1;
	}
	for (uint32_t i = 0; i < SHM_SFU_CODEC_COUNT; i++) {
		if (best[i] == NULL)
			continue;
		s->payload_type[i] = best[i]->offered->pt;
		if (best[i]->rtx != NULL)
			s->rtx_payload_type[i] = best[i]->rtx->pt;
	}
}

static bool has_rtx(const struct sdp_kept_media *m)
{
	for (uint32_t i = 0; i < m->n_codecs; i++) {
		if (m->codecs[i].rtx != NULL)
			return true;
	}
	return false;
}

// SSRCs that no other stream of the transport has; 0 means none.
static int make_ssrcs(uint32_t *ssrcs, uint32_t n)
{
	bool is_unique;

	do {
		if (RAND_bytes((unsigned char *)ssrcs, (int)(n * sizeof(*ssrcs))) != 1)
			return -EIO;
		is_unique = true;
		for (uint32_t i = 0; i < n; i++) {
			is_unique &= ssrcs[i] != 0;
			for (uint32_t k = 0; k < i; k++)
				is_unique &= ssrcs[i] != ssrcs[k];
		}
	} while (!is_unique);
	return 0;
}

// Names of streams: sound and picture of a pair share one, so that a browser keeps them in step; without pairs nothing that may come
// from two people does.
static void name_streams(const struct sdp_negotiated *n, struct sdp_answer_params *params)
{
	static const char *const names[SDP_MEDIA_MAX] = {
		"s0",  "s1",  "s2",  "s3",  "s4",  "s5",  "s6",  "s7",  "s8",  "s9",  "s10",
		"s11", "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21",
		"s22", "s23", "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31",
	};
	uint32_t n_of[2] = { 0 }, at[2] = { 0 };

	for (uint32_t i = 0; i < n->n_media; i++) {
		if (n->media[i].use == SDP_USE_RTP && n->media[i].direction == SDP_SENDONLY)
			n_of[n->media[i].offered->kind == SDP_KIND_VIDEO]++;
	}
	for (uint32_t i = 0; i < n->n_media; i++) {
		uint32_t kind = n->media[i].offered->kind == SDP_KIND_VIDEO;

		if (n->media[i].use != SDP_USE_RTP || n->media[i].direction != SDP_SENDONLY)
			continue;
		params->sources[i].stream_id = n_of[0] == n_of[1] ? names[at[kind]] : names[i];
		params->sources[i].track_id = kind ? "video" : "audio";
		at[kind]++;
	}
}

static void unreserve(struct sfu_session *session)
{
	for (uint32_t i = 0; i < session->n_slots; i++)
		table_writer_subscription_unreserve(session->sfu->tables, session->slots[i].idx);
	session->n_slots = 0;
}

int sfu_watch(struct sfu_session *session, const struct sdp_negotiated *n,
	      struct shm_sfu_transport *t, struct sdp_answer_params *params)
{
	struct table_writer *w = session->sfu->tables;
	const struct sdp_kept_media *media[SFU_SLOTS_MAX];
	uint32_t ssrcs[2 * SFU_SLOTS_MAX];
	int ret;

	session->slots = calloc(SFU_SLOTS_MAX, sizeof(*session->slots));
	if (session->slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->n_media; i++) {
		const struct sdp_kept_media *m = &n->media[i];
		struct sfu_slot *slot = &session->slots[session->n_slots];

		if (m->use != SDP_USE_RTP || m->direction != SDP_SENDONLY)
			continue;
		slot->kind = m->offered->kind == SDP_KIND_VIDEO ? SHM_SFU_VIDEO : SHM_SFU_AUDIO;
		slot->idx = table_writer_subscription_reserve(w);
		if (slot->idx == 0) {
			unreserve(session);
			return -ENOSPC;
		}
		media[session->n_slots++] = m;
	}
	ret = make_ssrcs(ssrcs, 2 * session->n_slots);
	if (ret < 0) {
		unreserve(session);
		return ret;
	}
	for (uint32_t i = session->n_slots; i-- > 0;) {
		struct sdp_answer_source *source = &params->sources[media[i] - n->media];
		struct shm_sfu_subscription s = {
			.transport_idx = session->transport_idx,
			.next_subscription = t->first_subscription,
			.ssrc = ssrcs[2 * i],
			.rtx_ssrc = has_rtx(media[i]) ? ssrcs[2 * i + 1] : 0,
			.target = SHM_SFU_TARGET_ALL,
			.kind = session->slots[i].kind,
		};
		struct sdp_text mid = media[i]->offered->mid;

		fill_payload_types(media[i], &s);
		s.mid_bytes = (uint8_t)(mid.n < sizeof(s.mid) ? mid.n : sizeof(s.mid));
		if (s.mid_bytes > 0)
			memcpy(s.mid, mid.at, s.mid_bytes);
		source->ssrc = s.ssrc;
		source->rtx_ssrc = s.rtx_ssrc;
		t->first_subscription = session->slots[i].idx;
		table_writer_subscription_publish(w, session->slots[i].idx, &s);
	}
	name_streams(n, params);
	t->flags |= SHM_SFU_TRANSPORT_F_WATCHES;
	return 0;
}
