// See why.h. Control plane's loop thread.
#include "controlplane/sfu/why.h"

#include <stdarg.h>
#include <stdio.h>

#include "controlplane/sfu/bandwidth.h"

#define STALE_NS  10000000000ull // checks come every few seconds (RFC 7675 §5.1)
#define SILENT_NS 2000000000ull
#define NS_PER_S  1000000000ull

static void set(struct sfu_cause *out, const char *reason, const char *remedy, const char *format,
		...) __attribute__((format(printf, 4, 5)));

static void set(struct sfu_cause *out, const char *reason, const char *remedy, const char *format,
		...)
{
	va_list args;

	out->reason = reason;
	out->remedy = remedy;
	va_start(args, format);
	vsnprintf(out->text, sizeof(out->text), format, args);
	va_end(args);
}

static uint64_t age_s(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns < now_ns ? (now_ns - then_ns) / NS_PER_S : 0;
}

static bool is_older(uint64_t then_ns, uint64_t now_ns, uint64_t than_ns)
{
	return then_ns + than_ns < now_ns;
}

void sfu_why_transport(const struct sfu_session *session, uint64_t now_ns, struct sfu_cause *out)
{
	const struct table_writer *w = session->sfu->tables;
	const struct shm_sfu_transport_state *state =
		table_writer_transport_state(w, session->transport_idx);
	uint32_t generation = table_writer_srtp_generation(w, session->transport_idx);

	*out = (struct sfu_cause){ 0 };
	if (!table_writer_dataplane_alive(w, now_ns)) {
		set(out, "dataplane_down", "start turnpike-dataplane, or see its log",
		    "no dataplane runs, so nothing is forwarded");
	} else if (state == NULL || state->phase == SHM_SFU_WAITS) {
		set(out, "no_check",
		    "let UDP from the client through to the listeners, or give it a TURN server",
		    "no ICE check of the client has arrived in %llu s",
		    (unsigned long long)age_s(session->record.created_at_ns, now_ns));
	} else if (is_older(state->last_check_ns, now_ns, STALE_NS) &&
		   is_older(state->last_rx_ns, now_ns, STALE_NS)) {
		set(out, "no_consent", "the client or its network is gone; the session will end",
		    "the last ICE check of the client came %llu s ago",
		    (unsigned long long)age_s(state->last_check_ns, now_ns));
	} else if (state->phase != SHM_SFU_NOMINATED) {
		set(out, "not_nominated", "the client has not chosen a pair of addresses yet",
		    "ICE checks arrive, but none with USE-CANDIDATE");
	} else if (generation == 0 && session->detail[0] != '\0') {
		set(out, "dtls_failed", "the client must join anew",
		    "the DTLS handshake failed: %s", session->detail);
	} else if (generation == 0 && !session->is_connected) {
		set(out, "no_dtls",
		    session->is_adopted
			    ? "it was in its handshake when the control plane restarted; it must "
			      "join anew"
			    : "see whether datagrams over 1200 bytes are lost on the way",
		    "the DTLS handshake has not come to its end");
	} else if (generation != 0 && state->srtp_generation != generation) {
		set(out, "keys_pending", NULL, "the worker has not taken the SRTP keys yet");
	}
}

void sfu_why_track(const struct sfu_session *session, uint32_t kind, uint64_t now_ns,
		   struct sfu_cause *out)
{
	const struct table_writer *w = session->sfu->tables;
	const struct sfu_track *t = &session->tracks[kind];
	const struct shm_sfu_transport_state *transport =
		table_writer_transport_state(w, session->transport_idx);
	const char *name = kind == SHM_SFU_VIDEO ? "video" : "audio";
	uint64_t last_ns = 0, n_pkts = 0, n_keyframes = 0;

	*out = (struct sfu_cause){ 0 };
	for (uint32_t i = 0; i < t->n_layers; i++) {
		const struct shm_sfu_ingress_state *s = table_writer_ingress_state(w, t->idx, i);

		if (s == NULL)
			continue;
		n_pkts += s->pkts;
		n_keyframes += s->n_keyframes;
		last_ns = s->last_rx_ns > last_ns ? s->last_rx_ns : last_ns;
	}
	if (n_pkts == 0 && transport != NULL && transport->n_refused > 0)
		set(out, "refused", "compare the counters of turnpikectl drops",
		    "no %s was accepted; %llu packets of the client were not authentic, replayed, "
		    "or of "
		    "no known stream",
		    name, (unsigned long long)transport->n_refused);
	else if (n_pkts == 0)
		set(out, "no_media", "the client's camera or microphone may be off or blocked",
		    "the publisher has sent no %s yet", name);
	else if (is_older(last_ns, now_ns, SILENT_NS))
		set(out, "silent", "the client muted it, or its network is gone",
		    "the last %s of the publisher came %llu s ago", name,
		    (unsigned long long)age_s(last_ns, now_ns));
	else if (kind == SHM_SFU_VIDEO && n_keyframes == 0)
		set(out, "no_key_frame", "asked for by PLI; it comes with the next one",
		    "no key frame of the publisher has come yet");
}

// An empty section.
static void why_empty(const struct sfu_session *session, uint8_t kind, struct sfu_cause *out)
{
	const struct sfu_room *room = session->room;
	const char *wanted = session->record.participant;
	const char *name = kind == SHM_SFU_VIDEO ? "video" : "audio";
	const struct sfu_session *p;
	uint32_t n_senders = 0;

	TAILQ_FOREACH(p, &room->publishers, in_room)
	n_senders += p->tracks[kind].idx != 0;
	if (wanted[0] != '\0' && sfu_room_publisher(room, wanted) == NULL)
		set(out, "no_publisher", "it comes as soon as that one publishes",
		    "%s does not publish in the room", wanted);
	else if (room->n_publishers == 0)
		set(out, "no_publisher", "it comes as soon as somebody publishes",
		    "nobody publishes in the room");
	else if (n_senders == 0)
		set(out, "no_publisher", "it comes as soon as somebody sends it",
		    "nobody in the room publishes %s", name);
	else if (room->n_left_out > 0)
		set(out, "codec_mismatch",
		    "put a codec that all clients take first in sfu: codecs, and let them join "
		    "anew",
		    "a publisher sends a codec that this watcher does not take");
	else
		set(out, "spare", NULL, "there are fewer publishers than sections of this kind");
}

static const struct sfu_session *publisher_of(const struct sfu_session *session, uint8_t kind,
					      uint32_t track_idx)
{
	const struct sfu_session *p;

	TAILQ_FOREACH(p, &session->room->publishers, in_room)
	{
		if (p->tracks[kind].idx == track_idx)
			return p;
	}
	return NULL;
}

static void why_not_sent(const struct sfu_session *session, uint32_t slot,
			 const struct shm_sfu_egress_state *e, struct sfu_cause *out)
{
	const struct sfu_bandwidth *b = session->bandwidth;

	switch (e != NULL ? e->reason : SHM_SFU_EGRESS_IDLE) {
	case SHM_SFU_EGRESS_FORWARDS:
		break;
	case SHM_SFU_EGRESS_WAITS_KEY:
		set(out, "waits_key_frame", "asked for by PLI; it comes with the next one",
		    "the worker waits for a key frame of the layer that is wanted");
		break;
	case SHM_SFU_EGRESS_PAUSED:
		set(out, "bandwidth",
		    "the watcher's network is too slow; a lower bitrate of the publisher would fit",
		    "%s (estimate %llu kb/s: %s)", bwe_share_sentence(b->tracks[slot].share),
		    (unsigned long long)b->estimator.target_bps / 1000,
		    bwe_reason_name(b->estimator.reason));
		break;
	case SHM_SFU_EGRESS_MUTED:
		set(out, "muted", NULL, "the publisher is muted or silent");
		break;
	case SHM_SFU_EGRESS_NO_KEYS:
		set(out, "no_dtls", "see whether datagrams over 1200 bytes are lost on the way",
		    "the watcher's DTLS handshake has not come to its end");
		break;
	case SHM_SFU_EGRESS_NO_CODEC:
		set(out, "codec_mismatch",
		    "put a codec that all clients take first in sfu: codecs, and let them join "
		    "anew",
		    "the watcher does not take the publisher's codec");
		break;
	default:
		set(out, "not_forwarded", NULL, "the worker has forwarded nothing of it yet");
		break;
	}
}

void sfu_why_slot(const struct sfu_session *session, uint32_t slot, uint64_t now_ns,
		  struct sfu_cause *out)
{
	const struct table_writer *w = session->sfu->tables;
	const struct sfu_slot *s = &session->slots[slot];
	uint32_t track_idx = table_writer_sfu_view(w)->subscription[s->idx].track_idx;
	const struct sfu_session *p = publisher_of(session, s->kind, track_idx);
	struct sfu_cause theirs;

	*out = (struct sfu_cause){ 0 };
	if (track_idx == 0 || p == NULL) {
		why_empty(session, s->kind, out);
		return;
	}
	sfu_why_transport(p, now_ns, &theirs);
	if (theirs.reason == NULL)
		sfu_why_track(p, s->kind, now_ns, &theirs);
	if (theirs.reason != NULL) {
		set(out, theirs.reason, theirs.remedy, "publisher %.63s: %.160s",
		    p->record.participant, theirs.text);
		return;
	}
	why_not_sent(session, slot, table_writer_egress_state(w, s->idx), out);
}

void sfu_why(const struct sfu_session *session, uint64_t now_ns, struct sfu_cause *out)
{
	struct sfu_cause spare = { 0 };

	sfu_why_transport(session, now_ns, out);
	for (uint32_t kind = 0; out->reason == NULL && kind < SHM_SFU_KIND_COUNT; kind++) {
		if (session->tracks[kind].idx != 0)
			sfu_why_track(session, kind, now_ns, out);
	}
	for (uint32_t i = 0; out->reason == NULL && i < session->n_slots; i++) {
		sfu_why_slot(session, i, now_ns, out);
		// A section too many is no trouble.
		if (out->text[0] != '\0' && out->remedy == NULL)
			*out = spare;
	}
}
