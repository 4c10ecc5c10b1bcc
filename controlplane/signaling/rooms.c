// GET /rooms/ROOM: who publishes there, for pages that show everybody. Control plane's loop thread.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

#define PUBLISHERS_MAX 256

static json_t *describe(const struct sfu_publisher_info *p)
{
	return json_pack("{s:s, s:b, s:b, s:b, s:i}", "participant", p->participant, "audio",
			 p->has_audio, "video", p->has_video, "connected", p->is_connected,
			 "audio_level", p->audio_level);
}

static void list(struct signaling *s, const char *room, struct http_response *response)
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

void signaling_room(struct signaling *s, const struct http_request *request, const char *room,
		    struct http_response *response)
{
	struct token_claims claims;

	if (request->method == HTTP_METHOD_OPTIONS) {
		response->status = 200;
		http_response_add(response, "Allow", "GET, HEAD, OPTIONS");
	} else if (request->method != HTTP_METHOD_GET && request->method != HTTP_METHOD_HEAD) {
		http_response_not_allowed(response, "GET, HEAD, OPTIONS");
	} else if (signaling_may(s, request, SFU_ROLE_WATCH, room, &claims, response)) {
		list(s, room, response);
	}
}
