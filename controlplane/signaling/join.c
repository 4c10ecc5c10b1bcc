// The endpoints: POST of an offer, OPTIONS for what is taken (RFC 9725 §4.2, §4.6; WHEP the same). Control plane's
// loop thread.
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controlplane/signaling/signaling_private.h"

#define OFFER_BYTES_MAX 65536

// RFC 9725 §4.6: TURN credentials go only to whoever could join; a browser's preflight carries no token.
static void options(struct signaling *s, const struct http_request *request,
		    const struct signaling_protocol *protocol, const char *room,
		    struct http_response *response)
{
	struct http_response refused = { .status = 0 };
	struct token_claims claims;

	response->status = 200;
	http_response_add(response, "Allow", "POST, OPTIONS");
	http_response_add(response, "Accept-Post", "application/sdp");
	if (request->preflight_method == NULL &&
	    signaling_may(s, request, protocol->role, room, &claims, &refused))
		signaling_ice_servers(s, time(NULL), response);
	http_response_reset(&refused);
}

// The publisher's name in the room: the path's, which must be the token's own, or else the token's, or else any.
static bool name_publisher(const char *in_path, const struct token_claims *claims,
			   char out[SFU_PARTICIPANT_BYTES_MAX], struct http_response *response)
{
	unsigned char random[6];

	if (in_path[0] != '\0' && claims->participant[0] != '\0' &&
	    strcmp(in_path, claims->participant) != 0) {
		http_response_text(response, 403,
				   "the token is for participant %s; publish under that name",
				   claims->participant);
		return false;
	}
	if (in_path[0] != '\0' || claims->participant[0] != '\0') {
		strcpy(out, in_path[0] != '\0' ? in_path : claims->participant);
		return true;
	}
	if (RAND_bytes(random, sizeof(random)) != 1) {
		http_response_text(response, 503, "no randomness; try again");
		return false;
	}
	snprintf(out, SFU_PARTICIPANT_BYTES_MAX, "guest-%02x%02x%02x%02x%02x%02x", random[0],
		 random[1], random[2], random[3], random[4], random[5]);
	return true;
}

static void post(struct signaling *s, const struct signaling_protocol *protocol,
		 const struct http_request *request, const char *room, const char *participant,
		 struct http_response *response)
{
	char name[SFU_PARTICIPANT_BYTES_MAX] = "";
	struct token_claims claims;
	struct sfu_reply reply;
	struct sfu_join join;

	if (!signaling_may(s, request, protocol->role, room, &claims, response))
		return;
	if (protocol->role == SFU_ROLE_WATCH)
		strcpy(name, participant);
	else if (!name_publisher(participant, &claims, name, response))
		return;
	if (!http_media_type_is(request->content_type, "application/sdp")) {
		http_response_text(response, 415,
				   "the body must be an offer with Content-Type: application/sdp");
		http_response_add(response, "Accept-Post", "application/sdp");
		return;
	}
	if (request->body_bytes > OFFER_BYTES_MAX) {
		http_response_text(response, 413, "the offer has more than %d bytes",
				   OFFER_BYTES_MAX);
		return;
	}
	if (request->body_bytes == 0) {
		http_response_text(response, 400, "the offer is empty; send SDP in the body");
		return;
	}
	if (s->settings.redirect != NULL) { // RFC 9725 §4.5
		http_response_text(response, 307, "sessions are taken at %s", s->settings.redirect);
		http_response_add(response, "Location", "%s%s", s->settings.redirect,
				  request->path);
		return;
	}
	join = (struct sfu_join){
		.role = protocol->role,
		.room = room,
		.participant = name,
		.offer = request->body,
		.offer_bytes = request->body_bytes,
	};
	memset(&reply, 0, sizeof(reply));
	sfu_join(s->sfu, &join, &reply);
	signaling_respond(s, protocol, &reply, response);
}

void signaling_join(struct signaling *s, const struct signaling_protocol *protocol,
		    const struct http_request *request, const char *room, const char *participant,
		    struct http_response *response)
{
	if (request->method == HTTP_METHOD_OPTIONS)
		options(s, request, protocol, room, response);
	else if (request->method == HTTP_METHOD_POST)
		post(s, protocol, request, room, participant, response);
	else
		http_response_not_allowed(response, "POST, OPTIONS");
}
