// From a path to its handler. Control plane's loop thread.
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

#define NAME_RULE "1 to 63 letters, digits, '_', '.' and '-'"

// The part of the path up to the next '/'; moves *rest behind it. False if it is no name.
static bool take_name(const char **rest, char out[SFU_ROOM_BYTES_MAX])
{
	size_t n = strcspn(*rest, "/");

	if (n == 0 || n >= SFU_ROOM_BYTES_MAX)
		return false;
	memcpy(out, *rest, n);
	out[n] = '\0';
	*rest += n;
	// A slash stands between two names, not behind the last.
	if (**rest == '/' && *++*rest == '\0')
		return false;
	return token_name_is_good(out);
}

static void protocol_path(struct signaling *s, const struct signaling_protocol *protocol,
			  const struct http_request *request, struct http_response *response)
{
	const char *rest = request->path + strlen(protocol->prefix);
	char room[SFU_ROOM_BYTES_MAX], participant[SFU_PARTICIPANT_BYTES_MAX] = "";

	if (!take_name(&rest, room)) {
		http_response_text(response, 404,
				   "the path must be %sROOM; a room's name has " NAME_RULE,
				   protocol->prefix);
		return;
	}
	if (*rest != '\0' && (!take_name(&rest, participant) || *rest != '\0')) {
		http_response_text(response, 404,
				   "the path must be %sROOM/PARTICIPANT; a participant's name "
				   "has " NAME_RULE,
				   protocol->prefix);
		return;
	}
	// The one room name that the URLs of sessions have taken.
	if (strcmp(room, "session") != 0)
		signaling_join(s, protocol, request, room, participant, response);
	else if (participant[0] != '\0' && strlen(participant) < SFU_SESSION_ID_BYTES)
		signaling_session(s, protocol, request, participant, response);
	else
		http_response_text(response, 404,
				   "there is no such session, and no room may be called session");
}

static void room_path(struct signaling *s, const struct http_request *request,
		      struct http_response *response)
{
	const char *rest = request->path + strlen("/rooms/");
	char room[SFU_ROOM_BYTES_MAX], session[SFU_ROOM_BYTES_MAX] = "";

	if (take_name(&rest, room) &&
	    (*rest == '\0' || (take_name(&rest, session) && *rest == '\0')))
		signaling_room(s, request, room, session, response);
	else
		http_response_text(
			response, 404,
			"the path must be /rooms/ROOM[/SESSION]; a room's name has " NAME_RULE);
}

static bool begins(const char *path, const char *prefix)
{
	return strncmp(path, prefix, strlen(prefix)) == 0;
}

void signaling_handle(struct signaling *s, const struct http_request *request,
		      struct http_response *response)
{
	const char *path = request->path;

	if (begins(path, signaling_whip.prefix)) {
		protocol_path(s, &signaling_whip, request, response);
	} else if (begins(path, signaling_whep.prefix)) {
		protocol_path(s, &signaling_whep, request, response);
	} else if (begins(path, "/rooms/")) {
		room_path(s, request, response);
	} else if (begins(path, "/demo/")) {
		signaling_demo(request, response);
	} else if (strcmp(path, "/healthz") == 0) {
		if (http_is_read(request, response))
			http_response_text(response, 200, "ok");
	} else if (strcmp(path, "/") == 0 || strcmp(path, "/demo") == 0) {
		http_response_text(response, 302, "the demo is at /demo/");
		http_response_add(response, "Location", "/demo/");
	} else {
		http_response_text(response, 404,
				   "there are /whip/ROOM, /whep/ROOM, /rooms/ROOM and /demo/ here");
	}
	signaling_cors(s, request, response);
	http_response_add(response, "X-Content-Type-Options", "nosniff");
}
