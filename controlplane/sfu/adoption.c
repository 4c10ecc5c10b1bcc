// What a predecessor left: sessions that are whole go on, what it was in the middle of is undone. Start of the control plane's loop
// thread; writes through table_writer.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/state.h"

// Which entries a session has.
struct claims {
	uint8_t *tracks;
	uint8_t *subscriptions;
};

static bool is_text(const char *text, size_t bytes_max)
{
	return text[0] != '\0' && memchr(text, '\0', bytes_max) != NULL;
}

static bool record_is_sound(const struct shm_sfu_session *r)
{
	return r->role < SFU_ROLE_COUNT && r->n_mids <= SHM_SESSION_MIDS_MAX &&
	       is_text(r->session_id, sizeof(r->session_id)) &&
	       strlen(r->session_id) == SFU_SESSION_ID_BYTES - 1 &&
	       is_text(r->etag, sizeof(r->etag)) && strlen(r->etag) == SFU_ETAG_BYTES - 1 &&
	       is_text(r->room, sizeof(r->room)) &&
	       memchr(r->participant, '\0', sizeof(r->participant)) != NULL &&
	       (r->role != SFU_ROLE_PUBLISH || r->participant[0] != '\0') &&
	       r->fingerprint_hash < SDP_HASH_COUNT &&
	       r->fingerprint_bytes <= SHM_SESSION_HASH_BYTES &&
	       memchr(r->tag_format, '\0', sizeof(r->tag_format)) != NULL;
}

// Walks the chain of tracks; false when it is not what a publisher leaves.
static bool claim_tracks(struct sfu_session *session, struct claims *c)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(session->sfu->tables);
	uint32_t idx = v->transport[session->transport_idx].first_track;

	for (uint32_t n = 0; idx != 0; n++) {
		const struct shm_sfu_track *t = shm_sfu_track_get(v, idx);

		if (n == SHM_SFU_KIND_COUNT || t == NULL || c->tracks[idx] ||
		    t->transport_idx != session->transport_idx || t->kind >= SHM_SFU_KIND_COUNT ||
		    session->tracks[t->kind].idx != 0 || t->codec >= SHM_SFU_CODEC_COUNT ||
		    t->n_layers == 0 || t->n_layers > SHM_SFU_LAYERS_MAX)
			return false;
		c->tracks[idx] = 1;
		session->tracks[t->kind] = (struct sfu_track){
			.idx = idx,
			.codec = t->codec,
			.n_layers = t->n_layers,
		};
		idx = t->next_track;
	}
	return true;
}

static bool claim_slots(struct sfu_session *session, struct claims *c)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(session->sfu->tables);
	uint32_t idx = v->transport[session->transport_idx].first_subscription;

	for (; idx != 0; session->n_slots++) {
		const struct shm_sfu_subscription *s = shm_sfu_subscription_get(v, idx);

		if (session->n_slots == SFU_SLOTS_MAX || s == NULL || c->subscriptions[idx] ||
		    s->transport_idx != session->transport_idx || s->kind >= SHM_SFU_KIND_COUNT)
			return false;
		c->subscriptions[idx] = 1;
		session->slots[session->n_slots] = (struct sfu_slot){ .idx = idx, .kind = s->kind };
		idx = s->next_subscription;
	}
	return true;
}

static void unclaim(struct sfu_session *session, struct claims *c)
{
	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++)
		c->tracks[session->tracks[kind].idx] = 0;
	for (uint32_t i = 0; i < session->n_slots; i++)
		c->subscriptions[session->slots[i].idx] = 0;
}

// 0; -EINVAL when the session is not whole.
static int adopt_session(struct sfu *s, uint32_t transport_idx, struct claims *c)
{
	const struct shm_sfu_session *r = table_writer_session(s->tables, transport_idx);
	struct sdp_fingerprint fingerprint = { 0 };
	struct sfu_session *session;
	int ret = -EINVAL;

	if (r == NULL || !record_is_sound(r) || sfu_session_by_id(s, r->session_id) != NULL)
		return -EINVAL;
	session = sfu_session_new(s, transport_idx);
	if (session == NULL)
		return -ENOMEM;
	session->record = *r;
	session->role = (enum sfu_role)r->role;
	session->is_adopted = true;
	session->slots = calloc(SFU_SLOTS_MAX, sizeof(*session->slots));
	if (session->slots == NULL) {
		ret = -ENOMEM;
		goto fail;
	}
	if (session->role == SFU_ROLE_PUBLISH ? !claim_tracks(session, c)
					      : !claim_slots(session, c))
		goto fail_claims;
	fingerprint.hash = (enum sdp_hash)r->fingerprint_hash;
	fingerprint.n_bytes = r->fingerprint_bytes;
	memcpy(fingerprint.bytes, r->fingerprint, r->fingerprint_bytes);
	ret = sfu_transport_open(session, &fingerprint, 1);
	if (ret == 0 && session->role == SFU_ROLE_WATCH)
		ret = sfu_bandwidth_new(session);
	if (ret == 0)
		ret = sfu_room_enter(session);
	if (ret < 0)
		goto fail_claims;
	sfu_session_index(session);
	s->counters.n_adopted++;
	return 0;
fail_claims:
	unclaim(session, c);
fail:
	sfu_session_forget(session);
	return ret;
}

// The order in which they joined, so that rooms look as they did.
struct joined {
	uint64_t created_at_ns;
	uint32_t transport_idx;
};

static int compare_joined(const void *a, const void *b)
{
	const struct joined *x = a, *y = b;

	if (x->created_at_ns != y->created_at_ns)
		return x->created_at_ns < y->created_at_ns ? -1 : 1;
	return x->transport_idx < y->transport_idx ? -1 : 1;
}

static void undo(struct sfu *s, const struct claims *c)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->tables);

	for (uint32_t i = 1; i < v->n_tracks; i++) {
		if (shm_sfu_track_get(v, i) != NULL && !c->tracks[i]) {
			table_writer_track_withdraw(s->tables, i);
			s->counters.n_undone++;
		}
	}
	for (uint32_t i = 1; i < v->n_subscriptions; i++) {
		if (shm_sfu_subscription_get(v, i) != NULL && !c->subscriptions[i]) {
			table_writer_subscription_withdraw(s->tables, i);
			s->counters.n_undone++;
		}
	}
}

int sfu_adopt(struct sfu *s)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->tables);
	struct joined *joined = calloc(v->n_transports, sizeof(*joined));
	struct claims c = { .tracks = calloc(v->n_tracks, 1),
			    .subscriptions = calloc(v->n_subscriptions, 1) };
	struct sfu_room *room;
	uint32_t n = 0;
	int ret = -ENOMEM;

	if (joined == NULL || c.tracks == NULL || c.subscriptions == NULL)
		goto out;
	for (uint32_t i = 1; i < v->n_transports; i++) {
		const struct shm_sfu_session *r = table_writer_session(s->tables, i);

		if (shm_sfu_transport_get(v, i) != NULL)
			joined[n++] = (struct joined){
				.created_at_ns = r != NULL ? r->created_at_ns : 0,
				.transport_idx = i,
			};
	}
	qsort(joined, n, sizeof(*joined), compare_joined);
	for (uint32_t i = 0; i < n; i++) {
		ret = adopt_session(s, joined[i].transport_idx, &c);
		if (ret == -ENOMEM)
			goto out;
		if (ret < 0) {
			table_writer_transport_withdraw(s->tables, joined[i].transport_idx);
			table_writer_session_remove(s->tables, joined[i].transport_idx);
			s->counters.n_undone++;
		}
	}
	undo(s, &c);
	TAILQ_FOREACH(room, &s->rooms, in_all)
	sfu_room_apply(s, room);
	ret = 0;
	if (s->counters.n_adopted > 0 || s->counters.n_undone > 0)
		log_info("adopted %llu sessions in %u rooms; undid %llu entries that a predecessor "
			 "was in the middle of",
			 (unsigned long long)s->counters.n_adopted, s->n_rooms,
			 (unsigned long long)s->counters.n_undone);
out:
	free(joined);
	free(c.tracks);
	free(c.subscriptions);
	return ret;
}
