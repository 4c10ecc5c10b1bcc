// Who is in which room. Control plane's loop thread.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/state.h"

static uint32_t bucket_of(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return (h ^ h >> 15) % SFU_BUCKETS;
}

struct sfu_room *sfu_room_find(const struct sfu *s, const char *name)
{
	struct sfu_room *room = s->by_name[bucket_of(name)];

	while (room != NULL && strcmp(room->name, name) != 0)
		room = room->next_by_name;
	return room;
}

struct sfu_room *sfu_room_get(struct sfu *s, const char *name)
{
	struct sfu_room *room = sfu_room_find(s, name);
	struct sfu_room **bucket = &s->by_name[bucket_of(name)];

	if (room != NULL)
		return room;
	room = calloc(1, sizeof(*room));
	if (room == NULL)
		return NULL;
	strncpy(room->name, name, sizeof(room->name) - 1);
	TAILQ_INIT(&room->publishers);
	TAILQ_INIT(&room->watchers);
	speaker_init(&room->speaker);
	room->next_by_name = *bucket;
	*bucket = room;
	TAILQ_INSERT_TAIL(&s->rooms, room, in_all);
	s->n_rooms++;
	return room;
}

static void free_if_empty(struct sfu *s, struct sfu_room *room)
{
	struct sfu_room **link = &s->by_name[bucket_of(room->name)];

	if (room->n_publishers + room->n_watchers > 0)
		return;
	while (*link != room)
		link = &(*link)->next_by_name;
	*link = room->next_by_name;
	TAILQ_REMOVE(&s->rooms, room, in_all);
	s->n_rooms--;
	free(room->voices);
	free(room);
}

// A place for one voice more; its index.
static int voice_add(struct sfu_room *room, uint32_t *out)
{
	struct speaker_source *grown;
	uint32_t i = 0, n;

	while (i < room->n_voices && room->voices[i].is_present)
		i++;
	if (i == room->n_voices) {
		n = room->n_voices == 0 ? 4 : 2 * room->n_voices;
		grown = realloc(room->voices, n * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		memset(grown + room->n_voices, 0, (n - room->n_voices) * sizeof(*grown));
		room->voices = grown;
		room->n_voices = n;
	}
	speaker_source_init(&room->voices[i]);
	room->voices[i].is_present = true;
	*out = i;
	return 0;
}

int sfu_room_enter(struct sfu_session *session)
{
	struct sfu *s = session->sfu;
	struct sfu_room *room = sfu_room_get(s, session->record.room);

	if (room == NULL)
		return -ENOMEM;
	if (session->role == SFU_ROLE_PUBLISH && voice_add(room, &session->voice_idx) < 0) {
		free_if_empty(s, room);
		return -ENOMEM;
	}
	session->room = room;
	if (session->role == SFU_ROLE_WATCH) {
		TAILQ_INSERT_TAIL(&room->watchers, session, in_room);
		room->n_watchers++;
		return 0;
	}
	TAILQ_INSERT_TAIL(&room->publishers, session, in_room);
	room->n_publishers++;
	return 0;
}

void sfu_room_exit(struct sfu_session *session)
{
	struct sfu_room *room = session->room;

	if (room == NULL)
		return;
	session->room = NULL;
	if (session->role == SFU_ROLE_WATCH) {
		TAILQ_REMOVE(&room->watchers, session, in_room);
		room->n_watchers--;
	} else {
		TAILQ_REMOVE(&room->publishers, session, in_room);
		room->n_publishers--;
		room->voices[session->voice_idx].is_present = false;
	}
	sfu_room_apply(session->sfu, room);
	free_if_empty(session->sfu, room);
}

struct sfu_session *sfu_room_publisher(const struct sfu_room *room, const char *participant)
{
	struct sfu_session *p;

	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		if (strcmp(p->record.participant, participant) == 0)
			return p;
	}
	return NULL;
}
