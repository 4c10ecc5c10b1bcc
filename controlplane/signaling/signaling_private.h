// What the files of signaling share. Control plane's loop thread.
#ifndef TP_SIGNALING_PRIVATE_H
#define TP_SIGNALING_PRIVATE_H

#include "controlplane/sfu/session.h"
#include "controlplane/signaling/exchange.h"
#include "controlplane/signaling/signaling.h"
#include "controlplane/signaling/token.h"

struct http_server;

// A copy of the configuration without what only the sockets need.
struct signaling_settings {
	bool requires_tokens;
	char **token_secrets;
	uint32_t n_token_secrets;
	char **turn_urls;
	uint32_t n_turn_urls;
	char *turn_secret;
	uint32_t turn_lifetime_s;
	char **allow_origins;
	uint32_t n_allow_origins;
	char *redirect;
};

struct signaling {
	struct sfu *sfu;
	struct signaling_settings settings;
	struct http_server *server; // NULL where only the handlers run, in fuzzers
};

int signaling_settings_copy(const struct signaling_config *c, struct signaling_settings *out);
void signaling_settings_wipe(struct signaling_settings *settings);

// Answers any request; the response always has a status afterwards. (router.c)
void signaling_handle(struct signaling *s, const struct http_request *request,
		      struct http_response *response);

// How WHIP and WHEP differ. (protocol.c)
struct signaling_protocol {
	const char *name;   // "WHIP"
	const char *prefix; // "/whip/"
	enum sfu_role role;
	int not_acceptable; // status of an offer that can be read but not taken
};
extern const struct signaling_protocol signaling_whip, signaling_whep;
// Fills the response to what the SFU said; `location` is the protocol's prefix.
void signaling_respond(struct signaling *s, const struct signaling_protocol *protocol,
		       const struct sfu_reply *reply, struct http_response *response);

// /whip/ROOM[/PARTICIPANT], /whep/… (join.c)
void signaling_join(struct signaling *s, const struct signaling_protocol *protocol,
		    const struct http_request *request, const char *room, const char *participant,
		    struct http_response *response);
// /whip/session/ID, /whep/session/ID (session_resource.c)
void signaling_session(struct signaling *s, const struct signaling_protocol *protocol,
		       const struct http_request *request, const char *id,
		       struct http_response *response);
// /rooms/ROOM[/SESSION] (rooms.c)
void signaling_room(struct signaling *s, const struct http_request *request, const char *room,
		    const char *session, struct http_response *response);
// /demo/… (demo.c)
void signaling_demo(const struct http_request *request, struct http_response *response);

// Whether the request's token lets it do this in the room; if not, the response is 401 or 403. Fills claims with
// "*" for everything where tokens are not required. (access.c)
bool signaling_may(const struct signaling *s, const struct http_request *request,
		   enum sfu_role role, const char *room, struct token_claims *claims,
		   struct http_response *response);
// The same for ending a session, where an expired token still serves: that takes nothing from anybody else.
bool signaling_may_end(const struct signaling *s, const struct http_request *request,
		       enum sfu_role role, const char *room, struct http_response *response);
// Whether it carries a token of ours for anything at all.
bool signaling_knows(const struct signaling *s, const struct http_request *request,
		     struct http_response *response);

// Adds what the Fetch standard asks for, also to errors. (cors.c)
void signaling_cors(const struct signaling *s, const struct http_request *request,
		    struct http_response *response);

// Adds a Link field for each TURN URL, with credentials of its own lifetime. (ice_servers.c)
void signaling_ice_servers(const struct signaling *s, int64_t now_s,
			   struct http_response *response);

#endif
