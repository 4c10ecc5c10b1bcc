// rooms, sessions, session kill, why: the SFU for operators. Control plane's loop thread; reads worker state, which the dataplane
// writes. Ids are shown cut: whoever knows one whole may end the session.
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/ops/log.h"
#include "controlplane/sfu/bandwidth.h"
#include "controlplane/sfu/why.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX     10000
#define ID_SHOWN      8
#define ID_LEAST      4

static const char *const codec_names[SHM_SFU_CODEC_COUNT] = { "none", "opus", "vp8",   "vp9",
							      "h264", "av1",  "other", "" };
static const char *const role_names[SFU_ROLE_COUNT] = { "publish", "watch" };
static const char *const kind_names[SHM_SFU_KIND_COUNT] = { "audio", "video" };

static struct sfu *sfu_of(struct ctl_call *call)
{
	if (call->engine->sfu == NULL)
		ctl_refuse(call, "no_sfu", "add the section sfu to the configuration and restart",
			   "this instance has no SFU");
	return call->engine->sfu;
}

const char *ctl_codec_name(uint8_t codec)
{
	return codec_names[codec % SHM_SFU_CODEC_COUNT];
}

static json_t *cause_object(const struct sfu_cause *c)
{
	if (c->reason == NULL)
		return json_null();
	return json_pack("{s:s, s:o, s:s?}", "reason", c->reason, "text",
			 ctl_text(c->text, strlen(c->text)), "remedy", c->remedy);
}

static json_t *room_object(const struct sfu_room *room)
{
	const struct sfu_session *p, *speaker = NULL;

	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		if (p->voice_idx == room->speaker.active)
			speaker = p;
	}
	return json_pack("{s:s, s:I, s:I, s:s?, s:I}", "room", room->name, "publishers",
			 (json_int_t)room->n_publishers, "watchers", (json_int_t)room->n_watchers,
			 "speaker", speaker != NULL ? speaker->record.participant : NULL,
			 "codec_mismatches", (json_int_t)room->n_left_out);
}

json_t *ctl_rooms(struct ctl_call *call)
{
	const struct sfu *s = sfu_of(call);
	const struct sfu_room *room;
	uint64_t limit = LIMIT_DEFAULT, n = 0;
	json_t *array;

	if (s == NULL || ctl_arg_number(call, "limit", LIMIT_MAX, &limit) < 0)
		return NULL;
	array = json_array();
	TAILQ_FOREACH(room, &s->rooms, in_all)
	{
		if (n++ == limit)
			break;
		json_array_append_new(array, room_object(room));
	}
	return json_pack("{s:o, s:I, s:I}", "rooms", array, "live", (json_int_t)s->n_rooms,
			 "sessions", (json_int_t)s->n_sessions);
}

static json_t *client_of(const struct shm_sfu_transport_state *state)
{
	struct ip_endpoint e = { 0 };

	if (state == NULL || state->phase == SHM_SFU_WAITS)
		return json_null();
	memcpy(e.address.bytes, state->remote_address, sizeof(e.address.bytes));
	e.port_be = state->remote_port_be;
	return ctl_endpoint(&e);
}

static json_t *session_object(const struct ctl_call *call, const struct sfu_session *s)
{
	const struct shm_sfu_transport_state *state =
		table_writer_transport_state(s->sfu->tables, s->transport_idx);
	uint32_t owner = table_writer_transport_owner(s->sfu->tables, s->transport_idx);
	struct sfu_cause cause;

	sfu_why(s, call->now_ns, &cause);
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:s?, s:o}",
			 "id", json_stringn(s->record.session_id, ID_SHOWN), "role",
			 role_names[s->role], "room", s->record.room, "participant",
			 s->record.participant, "client", client_of(state), "worker",
			 owner != 0 ? json_integer(owner - 1) : json_null(), "age_s",
			 ctl_seconds(s->record.created_at_ns, call->now_ns), "fused",
			 state != NULL && state->is_fused == 1, "rx_pkts",
			 ctl_counter(state != NULL ? state->rx_pkts : 0), "rx_bytes",
			 ctl_counter(state != NULL ? state->rx_bytes : 0), "tx_pkts",
			 ctl_counter(state != NULL ? state->tx_pkts : 0), "tx_bytes",
			 ctl_counter(state != NULL ? state->tx_bytes : 0), "reason", cause.reason,
			 "cause", cause_object(&cause));
}

json_t *ctl_sessions(struct ctl_call *call)
{
	const struct sfu *s = sfu_of(call);
	const struct sfu_session *session;
	uint64_t limit = LIMIT_DEFAULT, n_matching = 0;
	const char *room = NULL;
	json_t *array;

	if (s == NULL || ctl_arg_text(call, "room", &room) < 0 ||
	    ctl_arg_number(call, "limit", LIMIT_MAX, &limit) < 0)
		return NULL;
	array = json_array();
	TAILQ_FOREACH(session, &s->sessions, in_all)
	{
		if (room != NULL && strcmp(room, session->record.room) != 0)
			continue;
		if (n_matching++ < limit)
			json_array_append_new(array, session_object(call, session));
	}
	return json_pack("{s:o, s:I, s:I}", "sessions", array, "matching", (json_int_t)n_matching,
			 "live", (json_int_t)s->n_sessions);
}

// By the first characters of its id; NULL after a refusal.
static struct sfu_session *session_by_arg(struct ctl_call *call, struct sfu *s)
{
	struct sfu_session *session, *found = NULL;
	const char *id = NULL;

	if (ctl_arg_text(call, "id", &id) < 0)
		return NULL;
	if (id == NULL || strlen(id) < ID_LEAST) {
		ctl_refuse(call, "bad_argument", "list them: turnpikectl sessions",
			   "give at least %d characters of the session's id", ID_LEAST);
		return NULL;
	}
	TAILQ_FOREACH(session, &s->sessions, in_all)
	{
		if (strncmp(session->record.session_id, id, strlen(id)) != 0)
			continue;
		if (found != NULL) {
			ctl_refuse(call, "ambiguous", "give more of it",
				   "several sessions begin with '%.40s'", id);
			return NULL;
		}
		found = session;
	}
	if (found == NULL)
		ctl_refuse(call, "not_found", "list them: turnpikectl sessions",
			   "no session begins with '%.40s'", id);
	return found;
}

json_t *ctl_session_kill(struct ctl_call *call)
{
	struct sfu *s = sfu_of(call);
	struct sfu_session *session = s != NULL ? session_by_arg(call, s) : NULL;
	json_t *object;

	if (session == NULL)
		return NULL;
	object = session_object(call, session);
	sfu_session_end(session, SFU_END_OPERATOR);
	return json_pack("{s:o}", "session", object);
}

// ---- why

static json_t *layer_object(const struct sfu_session *s, uint32_t kind, uint32_t layer)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->sfu->tables);
	uint32_t idx = s->tracks[kind].idx;
	const struct shm_sfu_ingress_state *i =
		table_writer_ingress_state(s->sfu->tables, idx, layer);
	const char *rid = v->track[idx].layer[layer].rid;

	if (i == NULL)
		return json_pack("{s:o, s:I}", "rid", json_stringn(rid, strnlen(rid, 16)), "pkts",
				 (json_int_t)0);
	return json_pack("{s:o, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "rid",
			 json_stringn(rid, strnlen(rid, 16)), "ssrc", (json_int_t)i->ssrc, "pkts",
			 ctl_counter(i->pkts), "bitrate_bps", (json_int_t)i->bitrate_bps, "lost",
			 ctl_counter(i->n_lost), "repaired", ctl_counter(i->n_repaired), "nacks",
			 ctl_counter(i->n_nacks), "key_frames", ctl_counter(i->n_keyframes), "plis",
			 ctl_counter(i->n_plis), "audio_level", (json_int_t)i->audio_level,
			 "temporal_layers", (json_int_t)i->temporal_layers);
}

static json_t *tracks_array(const struct ctl_call *call, const struct sfu_session *s)
{
	json_t *array = json_array();

	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		json_t *layers;
		struct sfu_cause cause;

		if (s->tracks[kind].idx == 0)
			continue;
		layers = json_array();
		for (uint32_t i = 0; i < s->tracks[kind].n_layers; i++)
			json_array_append_new(layers, layer_object(s, kind, i));
		sfu_why_track(s, kind, call->now_ns, &cause);
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:o, s:o}", "kind", kind_names[kind],
						"codec", ctl_codec_name(s->tracks[kind].codec),
						"layers", layers, "cause", cause_object(&cause)));
	}
	return array;
}

static json_t *figures_object(const struct shm_sfu_egress_state *e)
{
	if (e == NULL)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "pkts",
			 ctl_counter(e->pkts), "bytes", ctl_counter(e->bytes), "resent",
			 ctl_counter(e->n_rtx), "nacks", ctl_counter(e->n_nacks), "nacks_missed",
			 ctl_counter(e->n_nacks_missed), "plis", ctl_counter(e->n_plis), "dropped",
			 ctl_counter(e->n_dropped), "switches", ctl_counter(e->n_switches),
			 "spatial", (json_int_t)e->spatial, "temporal", (json_int_t)e->temporal);
}

static json_t *slots_array(const struct ctl_call *call, const struct sfu_session *s)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->sfu->tables);
	json_t *array = json_array();

	for (uint32_t i = 0; i < s->n_slots; i++) {
		const struct shm_sfu_subscription *sub = &v->subscription[s->slots[i].idx];
		const struct sfu_session *p, *from = NULL;
		struct sfu_cause cause;

		TAILQ_FOREACH(p, &s->room->publishers, in_room)
		{
			if (sub->track_idx != 0 &&
			    p->tracks[s->slots[i].kind].idx == sub->track_idx)
				from = p;
		}
		sfu_why_slot(s, i, call->now_ns, &cause);
		json_array_append_new(
			array,
			json_pack("{s:s, s:o, s:I, s:s?, s:s?, s:I, s:b, s:s, s:o, s:o}", "kind",
				  kind_names[s->slots[i].kind], "mid",
				  json_stringn(sub->mid, strnlen(sub->mid, sizeof(sub->mid))),
				  "ssrc", (json_int_t)sub->ssrc, "publisher",
				  from != NULL ? from->record.participant : NULL, "codec",
				  from != NULL
					  ? ctl_codec_name(from->tracks[s->slots[i].kind].codec)
					  : NULL,
				  "target_spatial", (json_int_t)(sub->target & 0xff), "paused",
				  (sub->target & SHM_SFU_TARGET_F_PAUSED) != 0, "decision",
				  bwe_share_sentence(s->bandwidth->tracks[i].share), "figures",
				  figures_object(table_writer_egress_state(s->sfu->tables,
									   s->slots[i].idx)),
				  "cause", cause_object(&cause)));
	}
	return array;
}

static json_t *bandwidth_object(const struct sfu_session *s)
{
	const struct shm_sfu_transport_state *state =
		table_writer_transport_state(s->sfu->tables, s->transport_idx);
	const struct sfu_bandwidth *b = s->bandwidth;

	if (b == NULL)
		return json_null();
	return json_pack(
		"{s:b, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:I, s:I}",
		"adaptive", b->is_adaptive, "estimate_bps", ctl_counter(b->estimator.target_bps),
		"bound_by", bwe_reason_name(b->estimator.reason), "usage",
		bwe_usage_name(b->estimator.usage), "arrives_bps",
		ctl_counter(b->estimator.acked_bps), "sent_bps", ctl_counter(b->estimator.sent_bps),
		"wanted_bps", ctl_counter(b->allocation.wanted_bps), "used_bps",
		ctl_counter(b->allocation.used_bps), "pace_bps", ctl_counter(b->pace_bps),
		"remb_bps", ctl_counter(state != NULL ? state->remb_bps : 0), "last_probe_bps",
		ctl_counter(b->last_probe_bps), "loss",
		state != NULL ? (double)(state->loss_q8 & 0xff) / 256 : 0.0, "rtt_us",
		(json_int_t)(state != NULL ? state->rtt_us : 0), "pacer_bytes",
		(json_int_t)(state != NULL ? state->pacer_bytes : 0));
}

json_t *ctl_why(struct ctl_call *call)
{
	struct sfu *s = sfu_of(call);
	struct sfu_session *session = s != NULL ? session_by_arg(call, s) : NULL;
	struct sfu_cause transport, cause;

	if (session == NULL)
		return NULL;
	sfu_why_transport(session, call->now_ns, &transport);
	sfu_why(session, call->now_ns, &cause);
	return json_pack(
		"{s:s, s:s?, s:o, s:s?, s:o, s:o, s:o, s:o, s:o}", "verdict",
		cause.reason == NULL ? "flows" : "trouble", "reason", cause.reason, "text",
		cause.reason == NULL
			? json_string(session->role == SFU_ROLE_PUBLISH
					      ? "media of the client arrives and is forwarded"
					      : "the client gets what it is meant to get")
			: ctl_text(cause.text, strlen(cause.text)),
		"remedy", cause.remedy, "session", session_object(call, session), "transport",
		cause_object(&transport), "tracks", tracks_array(call, session), "slots",
		slots_array(call, session), "bandwidth", bandwidth_object(session));
}

json_t *ctl_sfu_counters(const struct engine *e)
{
	const struct sfu_counters *c;
	const struct dtls_counters *d;
	json_t *object;

	if (e->sfu == NULL)
		return json_object();
	c = sfu_counters(e->sfu);
	d = sfu_dtls_counters(e->sfu);
	object = json_pack(
		"{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rooms",
		(json_int_t)e->sfu->n_rooms, "sessions", (json_int_t)e->sfu->n_sessions,
		"publishers_joined", ctl_counter(c->n_joined[SFU_ROLE_PUBLISH]), "watchers_joined",
		ctl_counter(c->n_joined[SFU_ROLE_WATCH]), "adopted", ctl_counter(c->n_adopted),
		"undone", ctl_counter(c->n_undone), "ice_restarts", ctl_counter(c->n_restarts),
		"plan_operations", ctl_counter(c->n_plan_ops), "lists_delayed",
		ctl_counter(c->n_list_full), "invalid", ctl_counter(c->n_invalid), "inject_full",
		ctl_counter(c->n_inject_full), "probes", ctl_counter(c->n_probes), "dtls_connected",
		ctl_counter(d->n_connected), "dtls_retransmits", ctl_counter(d->n_retransmits));
	for (uint32_t i = SFU_END_LEFT; object != NULL && i < SFU_END_COUNT; i++) {
		char name[32];

		snprintf(name, sizeof(name), "ended_%s", sfu_end_name(i));
		json_object_set_new(object, name, ctl_counter(c->n_ended[i]));
	}
	return object;
}
