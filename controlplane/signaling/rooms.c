// GET /rooms/ROOM: who publishes there; GET /rooms/ROOM/SESSION: and where a watcher sees them. For pages that show
// everybody. Control plane's loop thread.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

#define PUBLISHERS_MAX 256
#define SEATS_MAX      64

static json_t *describe(const struct sfu_publisher_info *p)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:i}", "participant", p->participant, "audio",
			 p->has_audio, "video", p->has_video, "connected", p->is_connected,
			 "audio_level", p->audio_level);
}

static json_t *describe_seats(struct signaling *s, const char *session)
{
	struct sfu_seat seats[SEATS_MAX];
	uint32_t n = sfu_session_seats(s->sfu, session, seats, SEATS_MAX);
	json_t *all = json_array();

	for (uint32_t i = 0; i < n && i < SEATS_MAX; i++)
		json_array_append_new(all, json_pack("{s:s, s:i, s:s}", "kind",
						     seats[i].is_video ? "video" : "audio", "index",
						     (int)seats[i].index, "participant",
						     seats[i].participant));
	return all;
}

static void list(struct signaling *s, const char *room, const char *session,
		 struct http_response *response)
{
	struct sfu_publisher_info *publishers = calloc(PUBLISHERS_MAX, sizeof(*publishers));
	json_t *all = json_array(), *whole;
	char *text = NULL;
	uint32_t n = 0;

	if (publishers != NULL)
		n = sfu_room_publishers(s->sfu, room, publishers, PUBLISHERS_MAX);
	for (uint32_t i = 0; i < n && i < PUBLISHERS_MAX; i++)
		json_array_append_new(all, describe(&publishers[i]));
	whole = json_pack("{s:s, s:i, s:o}", "room", room, "count", (int)n, "publishers", all);
	if (session[0] != '\0' && whole != NULL)
		json_object_set_new(whole, "seats", describe_seats(s, session));
	if (publishers != NULL && whole != NULL)
		text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	free(publishers);
	if (text == NULL) {
		http_response_text(response, 503, "out of memory; try again");
		return;
	}
	http_response_body(response, 200, "application/json", text, strlen(text));
}

// Whether this is a watcher of this room; a session of another room is none of this token's business.
static bool is_watcher(struct signaling *s, const char *session, const char *room)
{
	char its_room[SFU_ROOM_BYTES_MAX];
	enum sfu_role role;

	return strlen(session) < SFU_SESSION_ID_BYTES &&
	       sfu_session_find(s->sfu, session, &role, its_room) && role == SFU_ROLE_WATCH &&
	       strcmp(its_room, room) == 0;
}

void signaling_room(struct signaling *s, const struct http_request *request, const char *room,
		    const char *session, struct http_response *response)
{
	struct token_claims claims;

	if (!http_is_read(request, response) ||
	    !signaling_may(s, request, SFU_ROLE_WATCH, room, &claims, response))
		return;
	if (session[0] == '\0' || is_watcher(s, session, room))
		list(s, room, session, response);
	else
		http_response_text(response, 404, "nobody watches this room as that session");
}
