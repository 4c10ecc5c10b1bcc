// The session's own URL: PATCH with candidates or for an ICE restart, DELETE to leave (RFC 9725 §4.2, §4.3; WHEP the
// same). Control plane's loop thread.
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

#define FRAGMENT_BYTES_MAX 16384
#define ALLOWED            "PATCH, DELETE, OPTIONS"

// RFC 9110 §8.8.3: the tag between its quotes, or *. False for what is neither: a list, or anything unquoted. A
// weak tag never matches strongly (§13.1.1); with its mark it equals none of ours.
static bool read_if_match(const char *value, char out[SFU_ETAG_BYTES + 2])
{
	size_t n;

	value += strspn(value, " \t");
	n = strcspn(value, " \t");
	if (value[n + strspn(value + n, " \t")] != '\0')
		return false;
	if (n == 1 && *value == '*') {
		strcpy(out, "*");
		return true;
	}
	if (n >= 2 && strncmp(value, "W/", 2) == 0) {
		strcpy(out, "W/");
		return true;
	}
	if (n < 2 || value[0] != '"' || value[n - 1] != '"' ||
	    memchr(value + 1, '"', n - 2) != NULL)
		return false;
	n -= 2;
	// What is longer than ours differs; one byte more keeps the difference. A quoted star is a tag, not the wildcard.
	if (n > SFU_ETAG_BYTES)
		n = SFU_ETAG_BYTES;
	memcpy(out, value + 1, n);
	out[n] = '\0';
	if (strcmp(out, "*") == 0)
		strcpy(out, "\"*\"");
	return true;
}

static void patch(struct signaling *s, const struct signaling_protocol *protocol,
		  const struct http_request *request, const char *id,
		  struct http_response *response)
{
	char if_match[SFU_ETAG_BYTES + 2];
	struct sfu_reply reply;

	if (!http_media_type_is(request->content_type, "application/trickle-ice-sdpfrag")) {
		http_response_text(response, 415,
				   "the body must be a fragment with Content-Type: "
				   "application/trickle-ice-sdpfrag");
		http_response_add(response, "Accept-Patch", "application/trickle-ice-sdpfrag");
		return;
	}
	if (request->body_bytes > FRAGMENT_BYTES_MAX) {
		http_response_text(response, 413, "the fragment has more than %d bytes",
				   FRAGMENT_BYTES_MAX);
		return;
	}
	if (request->if_match != NULL && !read_if_match(request->if_match, if_match)) {
		http_response_text(
			response, 400,
			"If-Match must hold one ETag in its quotes, or * to restart ICE");
		return;
	}
	memset(&reply, 0, sizeof(reply));
	sfu_patch(s->sfu, id, request->if_match != NULL ? if_match : NULL, request->body,
		  request->body_bytes, &reply);
	signaling_respond(s, protocol, &reply, response);
}

void signaling_session(struct signaling *s, const struct signaling_protocol *protocol,
		       const struct http_request *request, const char *id,
		       struct http_response *response)
{
	char room[SFU_ROOM_BYTES_MAX] = "";
	struct token_claims claims;
	struct sfu_reply reply;
	enum sfu_role role;

	if (request->method == HTTP_METHOD_OPTIONS) {
		response->status = 200;
		http_response_add(response, "Allow", ALLOWED);
		http_response_add(response, "Accept-Patch", "application/trickle-ice-sdpfrag");
		return;
	}
	if (request->method != HTTP_METHOD_PATCH && request->method != HTTP_METHOD_DELETE) {
		http_response_not_allowed(response, ALLOWED);
		return;
	}
	// Whether a session exists is nobody's business without a token.
	if (!signaling_knows(s, request, response))
		return;
	if (!sfu_session_find(s->sfu, id, &role, room) || role != protocol->role) {
		http_response_text(response, 404, "there is no such session; join again");
		return;
	}
	if (request->method == HTTP_METHOD_PATCH) {
		if (signaling_may(s, request, role, room, &claims, response))
			patch(s, protocol, request, id, response);
		return;
	}
	if (!signaling_may_end(s, request, role, room, response))
		return;
	memset(&reply, 0, sizeof(reply));
	sfu_leave(s->sfu, id, &reply);
	signaling_respond(s, protocol, &reply, response);
}
