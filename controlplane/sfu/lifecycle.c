// The life of a session in memory, and its end everywhere. Control plane's loop thread; writes through table_writer.
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/state.h"

static const char *const end_names[SFU_END_COUNT] = { "none",   "left",      "closed",  "dtls",
						      "silent", "key_limit", "operator" };

const char *sfu_end_name(uint32_t end)
{
	return end < SFU_END_COUNT ? end_names[end] : NULL;
}

const char *sfu_end_text(enum sfu_end end)
{
	static const char *const texts[SFU_END_COUNT] = {
		"goes on",
		"the client left",
		"the client closed its connection",
		"its DTLS association failed",
		"the client gave no sign of life",
		"its keys were used up",
		"an operator ended it",
	};

	return texts[end];
}

// Ids are random, so their text is as good as a hash.
static uint32_t bucket_of(const char *id)
{
	uint32_t h = 0;

	for (uint32_t i = 0; i < 8 && id[i] != '\0'; i++)
		h = h * 31 + (uint8_t)id[i];
	return h % SFU_BUCKETS;
}

struct sfu_session *sfu_session_by_id(const struct sfu *s, const char *id)
{
	struct sfu_session *session = NULL;
	size_t n = strlen(id);

	if (n + 1 != SFU_SESSION_ID_BYTES)
		return NULL;
	session = s->by_id[bucket_of(id)];
	// Whoever knows the id may end the session: it is compared like a secret.
	while (session != NULL && CRYPTO_memcmp(session->record.session_id, id, n) != 0)
		session = session->next_by_id;
	return session;
}

struct sfu_session *sfu_session_new(struct sfu *s, uint32_t transport_idx)
{
	struct sfu_session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	session->sfu = s;
	session->transport_idx = transport_idx;
	s->by_transport[transport_idx] = session;
	TAILQ_INSERT_TAIL(&s->sessions, session, in_all);
	s->n_sessions++;
	return session;
}

void sfu_session_index(struct sfu_session *session)
{
	struct sfu_session **bucket = &session->sfu->by_id[bucket_of(session->record.session_id)];

	session->next_by_id = *bucket;
	*bucket = session;
}

static void unindex(struct sfu_session *session)
{
	struct sfu_session **link = &session->sfu->by_id[bucket_of(session->record.session_id)];

	while (*link != NULL && *link != session)
		link = &(*link)->next_by_id;
	if (*link != NULL)
		*link = session->next_by_id;
}

void sfu_session_forget(struct sfu_session *session)
{
	struct sfu *s = session->sfu;

	unindex(session);
	TAILQ_REMOVE(&s->sessions, session, in_all);
	s->by_transport[session->transport_idx] = NULL;
	s->n_sessions--;
	sfu_transport_free(session);
	sfu_bandwidth_free(session);
	free(session->slots);
	OPENSSL_cleanse(&session->record, sizeof(session->record));
	free(session);
}

void sfu_session_end(struct sfu_session *session, enum sfu_end why)
{
	struct sfu *s = session->sfu;
	struct table_writer *w = s->tables;

	log_info("room %s: %s %s: %s%s%s", session->record.room,
		 session->role == SFU_ROLE_PUBLISH ? "publisher" : "watcher",
		 session->role == SFU_ROLE_PUBLISH ? session->record.participant : "",
		 sfu_end_text(why), session->detail[0] != '\0' ? ": " : "", session->detail);
	s->counters.n_ended[why]++;
	sfu_data_stop(session);
	sfu_transport_close(session);
	// Its tracks leave the lists at once; a watcher's slots before they end.
	for (uint32_t kind = 0; kind < SHM_SFU_KIND_COUNT; kind++) {
		if (session->tracks[kind].idx != 0)
			table_writer_track_withdraw(w, session->tracks[kind].idx);
	}
	sfu_room_exit(session);
	table_writer_transport_withdraw(w, session->transport_idx);
	for (uint32_t i = 0; i < session->n_slots; i++)
		table_writer_subscription_withdraw(w, session->slots[i].idx);
	table_writer_session_remove(w, session->transport_idx);
	sfu_session_forget(session);
}
