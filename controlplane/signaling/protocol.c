// WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-02) as data, and the SFU's statuses as theirs. Control plane's
// loop thread.
#include <stdlib.h>
#include <time.h>

#include "controlplane/signaling/signaling_private.h"

#define RETRY_NO_PUBLISHER_S 2
#define RETRY_FULL_S         10

const struct signaling_protocol signaling_whip = {
	.name = "WHIP", .prefix = "/whip/", .role = SFU_ROLE_PUBLISH, .not_acceptable = 406
};
// In WHEP a 406 carries a counter-offer; without one, what cannot be processed is 422.
const struct signaling_protocol signaling_whep = {
	.name = "WHEP", .prefix = "/whep/", .role = SFU_ROLE_WATCH, .not_acceptable = 422
};

static void refuse(struct http_response *response, int status, const struct sfu_reply *reply,
		   const char *fallback, uint32_t retry_after_s)
{
	if (reply->retry_after_s != 0)
		retry_after_s = reply->retry_after_s;
	http_response_text(response, status, "%s",
			   reply->reason[0] != '\0' ? reply->reason : fallback);
	if (retry_after_s != 0)
		http_response_add(response, "Retry-After", "%u", retry_after_s);
}

// RFC 9725 §4.2: where the session is, how to change it, and the answer.
static void created(struct signaling *s, const struct signaling_protocol *protocol,
		    const struct sfu_reply *reply, struct http_response *response)
{
	http_response_body(response, 201, "application/sdp", reply->body, reply->body_bytes);
	http_response_add(response, "Location", "%ssession/%s", protocol->prefix,
			  reply->session_id);
	http_response_add(response, "ETag", "\"%s\"", reply->etag);
	http_response_add(response, "Accept-Patch", "application/trickle-ice-sdpfrag");
	signaling_ice_servers(s, time(NULL), response);
}

void signaling_respond(struct signaling *s, const struct signaling_protocol *protocol,
		       const struct sfu_reply *reply, struct http_response *response)
{
	switch (reply->status) {
	case SFU_CREATED:
		created(s, protocol, reply, response);
		break;
	case SFU_TRICKLED:
		response->status = 204;
		break;
	case SFU_RESTARTED: // §4.3.3: the ETag of the new ICE session
		http_response_body(response, 200, "application/trickle-ice-sdpfrag", reply->body,
				   reply->body_bytes);
		http_response_add(response, "ETag", "\"%s\"", reply->etag);
		break;
	case SFU_DELETED:
		response->status = 200;
		break;
	case SFU_MALFORMED:
		refuse(response, 400, reply, "the body cannot be read", 0);
		break;
	case SFU_NOT_FOUND:
		refuse(response, 404, reply, "there is no such session; join again", 0);
		break;
	case SFU_NOT_ACCEPTABLE:
		refuse(response, protocol->not_acceptable, reply,
		       "nothing in the offer can be taken", 0);
		break;
	case SFU_NO_PUBLISHER:
		refuse(response, 409, reply, "nobody publishes here yet; try again",
		       RETRY_NO_PUBLISHER_S);
		break;
	case SFU_TAKEN:
		refuse(response, 409, reply,
		       "this participant publishes already; take another name", 0);
		break;
	case SFU_ETAG_MISMATCH:
		refuse(response, 412, reply, "ICE was restarted since; use the newest ETag", 0);
		break;
	case SFU_ETAG_MISSING:
		refuse(response, 428, reply, "If-Match with the session's ETag is missing", 0);
		break;
	case SFU_FULL:
		refuse(response, 503, reply, "no room for another session", RETRY_FULL_S);
		break;
	case SFU_DRAINING:
		refuse(response, 503, reply, "this host takes no new sessions", RETRY_FULL_S);
		break;
	case SFU_STATUS_COUNT:
		break;
	}
	// The body of a failure has no use; only these two hand it over.
	if (reply->status != SFU_CREATED && reply->status != SFU_RESTARTED)
		free(reply->body);
}
