// Changing and ending sessions: trickle and ICE restart by PATCH (RFC 9725 §4.3), DELETE, and what signaling asks about them.
// Control plane's loop thread; writes through table_writer.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/ice.h"
#include "controlplane/sfu/sdp/answer.h"
#include "controlplane/sfu/sdp/fragment.h"
#include "controlplane/sfu/state.h"

#define FRAGMENT_ANSWER_BYTES 8192

// What of the offer the answer to a restart needs, from the record: so that sessions of a predecessor are restarted like our own.
struct restart_work {
	struct sdp_session offer;
	struct sdp_negotiated negotiated;
	struct sdp_fragment fragment;
	char answer[FRAGMENT_ANSWER_BYTES];
};

static struct sdp_text text_of(const char *at, size_t bytes_max)
{
	return (struct sdp_text){ .at = at, .n = (uint32_t)strnlen(at, bytes_max) };
}

static struct sdp_text literal(const char *text)
{
	return (struct sdp_text){ .at = text, .n = (uint32_t)strlen(text) };
}

static void rebuild_negotiated(const struct shm_sfu_session *r, struct restart_work *work)
{
	static const char *const kinds[] = { "audio", "video", "application" };
	struct sdp_negotiated *n = &work->negotiated;

	n->offer = &work->offer;
	work->offer.bundle_line = 1;
	for (uint32_t i = 0; i < r->n_mids && i < SHM_SESSION_MIDS_MAX; i++) {
		struct sdp_media *m = &work->offer.media[i];
		bool is_data = r->tag_kind == SDP_KIND_APPLICATION;

		m->mid =
			text_of(r->mids + (size_t)i * SHM_SESSION_MID_BYTES, SHM_SESSION_MID_BYTES);
		m->is_bundled = true;
		m->port = 9;
		m->kind = (enum sdp_kind)(r->tag_kind % 3);
		m->kind_text = literal(kinds[r->tag_kind % 3]);
		m->proto_text = literal(is_data ? "UDP/DTLS/SCTP" : "UDP/TLS/RTP/SAVPF");
		m->formats = text_of(r->tag_format, sizeof(r->tag_format));
		work->offer.bundle[i] = m->mid;
		n->media[i].offered = m;
		n->media[i].use = is_data ? SDP_USE_DATA : SDP_USE_RTP;
	}
	n->n_media = work->offer.n_media = work->offer.n_bundle =
		r->n_mids < SHM_SESSION_MIDS_MAX ? r->n_mids : SHM_SESSION_MIDS_MAX;
	n->transport = &work->offer.transport;
}

static int restart(struct sfu_session *session, struct restart_work *work, struct sfu_reply *out)
{
	struct sfu *s = session->sfu;
	struct shm_sfu_session *r = &session->record;
	struct sdp_answer_params params = {
		.candidates = s->candidates,
		.n_candidates = s->n_candidates,
	};
	struct ice_credentials ice;
	uint8_t random[(SFU_ETAG_BYTES - 1) / 2];
	int n;

	n = ice_credentials_make(session->transport_idx, s->config->sfu.node_id, &ice);
	if (n < 0)
		return n;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return -EIO;
	params.ufrag = ice.ufrag;
	params.pwd = ice.pwd;
	rebuild_negotiated(r, work);
	n = sdp_answer_fragment_write(&work->negotiated, &params, work->answer,
				      sizeof(work->answer));
	if (n < 0)
		return n;
	out->body = malloc((size_t)n + 1);
	if (out->body == NULL)
		return -ENOMEM;
	memcpy(out->body, work->answer, (size_t)n + 1);
	out->body_bytes = (size_t)n;
	table_writer_ice_restart(s->tables, session->transport_idx, ice.ufrag, ice.pwd);
	OPENSSL_cleanse(&ice, sizeof(ice));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(r->etag + 2 * i, 3, "%02x", random[i]);
	r->version++;
	table_writer_session_store(s->tables, session->transport_idx, r);
	s->counters.n_restarts++;
	return 0;
}

static void fail(struct sfu *s, struct sfu_reply *out, enum sfu_status status, const char *reason)
{
	out->status = status;
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	s->counters.n_refused[status]++;
}

static void patch(struct sfu_session *session, const char *if_match, struct restart_work *work,
		  struct sfu_reply *out)
{
	struct sfu *s = session->sfu;

	if (strcmp(if_match, "*") == 0) {
		if (work->fragment.ufrag.n == 0 || work->fragment.pwd.n == 0)
			fail(s, out, SFU_MALFORMED,
			     "an ICE restart needs a=ice-ufrag and a=ice-pwd");
		else if (restart(session, work, out) < 0)
			fail(s, out, SFU_FULL, "out of memory or of randomness");
		else
			out->status = SFU_RESTARTED;
	} else if (strcmp(if_match, session->record.etag) != 0) {
		fail(s, out, SFU_ETAG_MISMATCH,
		     "If-Match is not the session's ETag: ICE was restarted since");
	} else {
		// An ICE-lite agent learns its peer from the checks (RFC 8445 §6.1.1).
		out->status = SFU_TRICKLED;
	}
	strcpy(out->session_id, session->record.session_id);
	strcpy(out->etag, session->record.etag);
}

void sfu_patch(struct sfu *s, const char *session_id, const char *if_match, const char *fragment,
	       size_t fragment_bytes, struct sfu_reply *out)
{
	struct sfu_session *session = sfu_session_by_id(s, session_id);
	struct sdp_error error = { 0 };
	struct restart_work *work;

	*out = (struct sfu_reply){ 0 };
	if (session == NULL) {
		fail(s, out, SFU_NOT_FOUND, "there is no such session");
		return;
	}
	if (if_match == NULL) {
		fail(s, out, SFU_ETAG_MISSING,
		     "a PATCH needs If-Match: the session's ETag, or * to restart ICE");
		return;
	}
	work = calloc(1, sizeof(*work));
	if (work == NULL) {
		fail(s, out, SFU_FULL, "out of memory");
		out->retry_after_s = 5;
		return;
	}
	if (sdp_fragment_parse(fragment, fragment_bytes, &work->fragment, &error) < 0) {
		fail(s, out, SFU_MALFORMED, error.reason);
		if (error.line > 0)
			snprintf(out->reason, sizeof(out->reason), "line %u: %s", error.line,
				 error.reason);
	} else {
		patch(session, if_match, work, out);
	}
	free(work);
}

void sfu_leave(struct sfu *s, const char *session_id, struct sfu_reply *out)
{
	struct sfu_session *session = sfu_session_by_id(s, session_id);

	*out = (struct sfu_reply){ 0 };
	if (session == NULL) {
		fail(s, out, SFU_NOT_FOUND, "there is no such session");
		return;
	}
	out->status = SFU_DELETED;
	strcpy(out->session_id, session->record.session_id);
	sfu_session_end(session, SFU_END_LEFT);
}

bool sfu_session_find(const struct sfu *s, const char *session_id, enum sfu_role *role,
		      char room[SFU_ROOM_BYTES_MAX])
{
	const struct sfu_session *session = sfu_session_by_id(s, session_id);

	if (session == NULL)
		return false;
	*role = session->role;
	memcpy(room, session->record.room, SFU_ROOM_BYTES_MAX);
	return true;
}

uint32_t sfu_room_publishers(const struct sfu *s, const char *name, struct sfu_publisher_info *out,
			     uint32_t max)
{
	const struct sfu_room *room = sfu_room_find(s, name);
	const struct sfu_session *p;
	uint32_t n = 0;

	if (room == NULL)
		return 0;
	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		uint32_t audio_idx = p->tracks[SHM_SFU_AUDIO].idx;
		const struct shm_sfu_ingress_state *state = NULL;

		if (n >= max)
			break;
		out[n] = (struct sfu_publisher_info){
			.has_audio = audio_idx != 0,
			.has_video = p->tracks[SHM_SFU_VIDEO].idx != 0,
			.is_connected =
				table_writer_srtp_generation(s->tables, p->transport_idx) != 0,
			.audio_level = SPEAKER_SILENT,
		};
		memcpy(out[n].participant, p->record.participant, sizeof(out[n].participant));
		if (audio_idx != 0)
			state = table_writer_ingress_state(s->tables, audio_idx, 0);
		if (state != NULL && state->audio_level < SPEAKER_SILENT)
			out[n].audio_level = state->audio_level;
		n++;
	}
	return room->n_publishers;
}
