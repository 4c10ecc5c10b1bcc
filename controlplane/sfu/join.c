// Joining: from an offer to a session in the tables and an answer. Control plane's loop thread; writes through table_writer.
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/ice.h"
#include "controlplane/sfu/sctp.h"
#include "controlplane/sfu/sdp/answer.h"
#include "controlplane/sfu/state.h"

#define RETRY_PUBLISHER_S 2
#define RETRY_FULL_S      5
#define SECTIONS_MAX      16 // of each kind, for a watcher

// Hundreds of kilobytes: never on the stack.
struct join_work {
	struct sdp_session offer;
	struct sdp_negotiated negotiated;
	struct sdp_answer_params params;
	char answer[SDP_TEXT_BYTES_MAX];
};

static void refuse(struct sfu *s, struct sfu_reply *out, enum sfu_status status,
		   uint32_t retry_after_s, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void refuse(struct sfu *s, struct sfu_reply *out, enum sfu_status status,
		   uint32_t retry_after_s, const char *format, ...)
{
	va_list args;

	out->status = status;
	out->retry_after_s = retry_after_s;
	va_start(args, format);
	vsnprintf(out->reason, sizeof(out->reason), format, args);
	va_end(args);
	s->counters.n_refused[status]++;
}

static void refuse_sdp(struct sfu *s, struct sfu_reply *out, enum sfu_status status,
		       const struct sdp_error *error)
{
	if (error->line > 0)
		refuse(s, out, status, 0, "line %u: %s", error->line, error->reason);
	else
		refuse(s, out, status, 0, "%s", error->reason);
}

static bool is_name(const char *name, size_t bytes_max)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				"0123456789_.-");

	return n > 0 && n < bytes_max && name[n] == '\0';
}

static int random_hex(char *out, size_t n_bytes)
{
	uint8_t random[16];

	if (RAND_bytes(random, (int)n_bytes) != 1)
		return -EIO;
	for (size_t i = 0; i < n_bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	OPENSSL_cleanse(random, sizeof(random));
	return 0;
}

// Whether the room takes one more; fills the refusal if not.
static bool has_place(struct sfu *s, const struct sfu_join *join, struct sfu_reply *out)
{
	const struct config_sfu *c = &s->config->sfu;
	const struct sfu_room *room = sfu_room_find(s, join->room);
	const char *participant = join->participant != NULL ? join->participant : "";

	if (s->is_draining) {
		refuse(s, out, SFU_DRAINING, RETRY_FULL_S,
		       "this host takes no new sessions; try another or later");
		return false;
	}
	if (join->role == SFU_ROLE_PUBLISH) {
		if (room != NULL && participant[0] != '\0' &&
		    sfu_room_publisher(room, participant) != NULL) {
			refuse(s, out, SFU_TAKEN, 0, "%s publishes in %s already", participant,
			       join->room);
			return false;
		}
		if (room != NULL && room->n_publishers >= c->max_publishers_per_room) {
			refuse(s, out, SFU_FULL, RETRY_FULL_S,
			       "room %s has %u publishers, the most", join->room,
			       room->n_publishers);
			return false;
		}
		return true;
	}
	if (!c->wait_for_publisher && participant[0] != '\0' &&
	    (room == NULL || sfu_room_publisher(room, participant) == NULL)) {
		refuse(s, out, SFU_NO_PUBLISHER, RETRY_PUBLISHER_S, "%s does not publish in %s",
		       participant, join->room);
		return false;
	}
	if (!c->wait_for_publisher && (room == NULL || room->n_publishers == 0)) {
		refuse(s, out, SFU_NO_PUBLISHER, RETRY_PUBLISHER_S, "nobody publishes in %s",
		       join->room);
		return false;
	}
	if (room != NULL && room->n_watchers >= c->max_watchers_per_room) {
		refuse(s, out, SFU_FULL, RETRY_FULL_S, "room %s has %u watchers, the most",
		       join->room, room->n_watchers);
		return false;
	}
	return true;
}

static void make_policy(const struct config_sfu *c, enum sfu_role role, struct sdp_policy *p)
{
	uint32_t n = 0;

	sdp_policy_default(p, role == SFU_ROLE_PUBLISH ? SDP_ROLE_PUBLISHER : SDP_ROLE_WATCHER);
	for (uint32_t i = 0; i < p->n_codecs; i++) {
		uint8_t codec = sfu_codec_of(p->codecs[i].kind);

		if (codec == SHM_SFU_OPUS || memchr(c->codecs, codec, c->n_codecs) != NULL)
			p->codecs[n++] = p->codecs[i];
	}
	p->n_codecs = (uint8_t)n;
	p->layers_max = SHM_SFU_LAYERS_MAX;
	if (role == SFU_ROLE_WATCH)
		p->audio_max = p->video_max = SECTIONS_MAX;
}

static bool has_media(const struct sdp_negotiated *n, enum sfu_role role)
{
	enum sdp_direction needed = role == SFU_ROLE_PUBLISH ? SDP_RECVONLY : SDP_SENDONLY;

	for (uint32_t i = 0; i < n->n_media; i++) {
		if (n->media[i].use == SDP_USE_DATA ||
		    (n->media[i].use == SDP_USE_RTP && n->media[i].direction == needed))
			return true;
	}
	return false;
}

// Reads the offer; fills the refusal if it cannot be taken.
static bool negotiate(struct sfu *s, const struct sfu_join *join, struct join_work *work,
		      struct sfu_reply *out)
{
	struct sdp_policy policy;
	struct sdp_error error = { 0 };

	if (sdp_parse(join->offer, join->offer_bytes, &work->offer, &error) < 0) {
		refuse_sdp(s, out, SFU_MALFORMED, &error);
		return false;
	}
	make_policy(&s->config->sfu, join->role, &policy);
	if (sdp_negotiate(&work->offer, &policy, &work->negotiated, &error) < 0) {
		refuse_sdp(s, out, SFU_NOT_ACCEPTABLE, &error);
		return false;
	}
	if (!has_media(&work->negotiated, join->role)) {
		refuse(s, out, SFU_NOT_ACCEPTABLE, 0, "%s",
		       join->role == SFU_ROLE_PUBLISH ? "the offer sends nothing"
						      : "the offer takes nothing");
		return false;
	}
	if (join->role == SFU_ROLE_PUBLISH)
		sfu_prune_codecs(&s->config->sfu, &work->negotiated);
	return true;
}

static void fill_record(const struct sfu_join *join, const struct sdp_negotiated *n,
			uint64_t now_ns, struct shm_sfu_session *r)
{
	r->role = (uint8_t)join->role;
	r->setup = (uint8_t)n->setup;
	r->created_at_ns = now_ns;
	r->version = 1;
	strncpy(r->room, join->room, sizeof(r->room) - 1);
	if (join->participant != NULL)
		strncpy(r->participant, join->participant, sizeof(r->participant) - 1);
	if (join->role == SFU_ROLE_PUBLISH && r->participant[0] == '\0')
		snprintf(r->participant, sizeof(r->participant), "guest-%.8s", r->session_id);
	for (uint32_t i = 0; i < n->transport->n_fingerprints; i++) {
		const struct sdp_fingerprint *f = &n->transport->fingerprints[i];

		if (f->hash != n->hash)
			continue;
		r->fingerprint_hash = (uint8_t)f->hash;
		r->fingerprint_bytes = f->n_bytes;
		memcpy(r->fingerprint, f->bytes, f->n_bytes);
		break;
	}
	for (uint32_t i = 0; i < n->n_media; i++) {
		const struct sdp_kept_media *m = &n->media[i];
		struct sdp_text format = m->offered->formats;

		if (m->use == SDP_USE_REJECTED)
			continue;
		if (m->use == SDP_USE_DATA) {
			r->flags |= SHM_SESSION_F_DATA;
			r->sctp_port = m->offered->sctp_port;
			r->max_message_size_bytes = m->max_message_size_bytes;
		}
		if (r->n_mids == 0) {
			struct sdp_text first = sdp_text_cut(&format, ' ');

			r->tag_kind = (uint8_t)m->offered->kind;
			memcpy(r->tag_format, first.at,
			       first.n < sizeof(r->tag_format) ? first.n
							       : sizeof(r->tag_format) - 1);
		}
		if (m->offered->mid.n > 0)
			memcpy(r->mids + (size_t)r->n_mids * SHM_SESSION_MID_BYTES,
			       m->offered->mid.at,
			       m->offered->mid.n < SHM_SESSION_MID_BYTES ? m->offered->mid.n
									 : SHM_SESSION_MID_BYTES);
		r->n_mids++;
	}
}

// Undoes what sfu_publish or sfu_watch put into the tables.
static void withdraw_media(struct sfu_session *session)
{
	struct table_writer *w = session->sfu->tables;

	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		if (session->tracks[kind].idx != 0)
			table_writer_track_withdraw(w, session->tracks[kind].idx);
	}
	for (uint32_t i = 0; i < session->n_slots; i++)
		table_writer_subscription_withdraw(w, session->slots[i].idx);
}

static int write_answer(struct sfu_session *session, struct join_work *work,
			const struct ice_credentials *ice, struct sfu_reply *out)
{
	struct sfu *s = session->sfu;
	struct sdp_answer_params *p = &work->params;
	int n;

	p->session_id = session->record.created_at_ns / 1000;
	p->version = session->record.version;
	p->ufrag = ice->ufrag;
	p->pwd = ice->pwd;
	memcpy(p->fingerprint_sha256, dtls_context_fingerprint(s->dtls), SDP_SHA256_BYTES);
	p->candidates = s->candidates;
	p->n_candidates = s->n_candidates;
	p->sctp_port = SFU_SCTP_PORT;
	p->max_message_size_bytes = SCTP_MESSAGE_BYTES_MAX;
	p->cname = s->cname;
	n = sdp_answer_write(&work->negotiated, p, work->answer, sizeof(work->answer));
	if (n < 0)
		return n;
	out->body = malloc((size_t)n + 1);
	if (out->body == NULL)
		return -ENOMEM;
	memcpy(out->body, work->answer, (size_t)n + 1);
	out->body_bytes = (size_t)n;
	return 0;
}

// Everything of the session but the transport is in the tables when this returns 0, and nothing when it fails.
static int build(struct sfu_session *session, struct join_work *work, struct shm_sfu_transport *t,
		 struct ice_credentials *ice, struct sfu_reply *out)
{
	const struct sdp_negotiated *n = &work->negotiated;
	int ret;

	ret = ice_credentials_make(session->transport_idx, session->sfu->config->sfu.node_id, ice);
	if (ret < 0)
		return ret;
	strncpy(t->ufrag, ice->ufrag, sizeof(t->ufrag));
	t->ufrag_bytes = (uint8_t)strnlen(t->ufrag, sizeof(t->ufrag));
	if (RAND_bytes((unsigned char *)&t->rtcp_ssrc, sizeof(t->rtcp_ssrc)) != 1)
		return -EIO;
	t->rtcp_ssrc |= 1;
	sfu_transport_fill(n, t);
	ret = sfu_transport_open(session, n->transport->fingerprints, n->transport->n_fingerprints);
	if (ret < 0)
		return ret;
	ret = session->role == SFU_ROLE_PUBLISH ? sfu_publish(session, n, t)
						: sfu_watch(session, n, t, &work->params);
	if (ret < 0)
		return ret;
	if (session->role == SFU_ROLE_WATCH)
		ret = sfu_bandwidth_new(session);
	if (ret == 0)
		ret = write_answer(session, work, ice, out);
	if (ret == 0)
		ret = sfu_room_enter(session);
	if (ret < 0)
		withdraw_media(session);
	return ret;
}

static int create(struct sfu *s, const struct sfu_join *join, struct join_work *work,
		  struct sfu_reply *out)
{
	uint32_t transport_idx = table_writer_transport_reserve(s->tables);
	struct shm_sfu_transport t = { 0 };
	struct ice_credentials ice;
	struct sfu_session *session;
	int ret = -ENOMEM;

	if (transport_idx == 0)
		return -ENOSPC;
	session = sfu_session_new(s, transport_idx);
	if (session == NULL)
		goto fail_transport;
	session->role = join->role;
	ret = random_hex(session->record.session_id, (SFU_SESSION_ID_BYTES - 1) / 2);
	if (ret == 0)
		ret = random_hex(session->record.etag, (SFU_ETAG_BYTES - 1) / 2);
	if (ret < 0)
		goto fail_session;
	fill_record(join, &work->negotiated, s->now_ns, &session->record);
	ret = build(session, work, &t, &ice, out);
	if (ret < 0)
		goto fail_session;
	// A successor undoes tracks and subscriptions of no transport, and a transport without a record.
	table_writer_transport_publish(s->tables, transport_idx, &t, ice.pwd);
	OPENSSL_cleanse(&ice, sizeof(ice));
	table_writer_session_store(s->tables, transport_idx, &session->record);
	sfu_session_index(session);
	strcpy(out->session_id, session->record.session_id);
	strcpy(out->etag, session->record.etag);
	s->counters.n_joined[join->role]++;
	log_info("room %s: %s %s joins as session %.8s", join->room,
		 join->role == SFU_ROLE_PUBLISH ? "publisher" : "watcher",
		 join->role == SFU_ROLE_PUBLISH ? session->record.participant : "",
		 session->record.session_id);
	sfu_room_touch(s, session->room);
	// Its first key frame does not wait for the next tick, and must not go out unpaced.
	if (session->role == SFU_ROLE_WATCH)
		sfu_bandwidth_begin(session, s->now_ns);
	return 0;
fail_session:
	sfu_session_forget(session);
fail_transport:
	table_writer_transport_unreserve(s->tables, transport_idx);
	return ret;
}

void sfu_join(struct sfu *s, const struct sfu_join *join, struct sfu_reply *out)
{
	struct join_work *work;
	int ret;

	*out = (struct sfu_reply){ 0 };
	s->now_ns = sfu_clock_ns();
	if (!is_name(join->room, SFU_ROOM_BYTES_MAX) ||
	    (join->participant != NULL && join->participant[0] != '\0' &&
	     !is_name(join->participant, SFU_PARTICIPANT_BYTES_MAX))) {
		refuse(s, out, SFU_MALFORMED, 0,
		       "names of rooms and participants have 1 to %d characters of A-Z a-z 0-9 _ . "
		       "-",
		       SFU_ROOM_BYTES_MAX - 1);
		return;
	}
	if (!has_place(s, join, out))
		return;
	work = calloc(1, sizeof(*work));
	if (work == NULL) {
		refuse(s, out, SFU_FULL, RETRY_FULL_S, "out of memory");
		return;
	}
	if (negotiate(s, join, work, out)) {
		ret = create(s, join, work, out);
		if (ret < 0) {
			free(out->body);
			*out = (struct sfu_reply){ 0 };
			if (ret == -EINVAL)
				refuse(s, out, SFU_NOT_ACCEPTABLE, 0,
				       "the offer has no fingerprint that can be verified");
			else
				refuse(s, out, SFU_FULL, RETRY_FULL_S,
				       ret == -ENOSPC ? "the tables of the SFU are full"
						      : "out of memory or of randomness");
		}
	}
	free(work);
}
