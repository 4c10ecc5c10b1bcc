// What signaling asks of the SFU: join a room with an offer, change a session, leave. One thread: the control
// plane's loop. Nothing here knows HTTP, but every status stands for exactly one answer of RFC 9725 or WHEP.
#ifndef TP_SFU_SESSION_H
#define TP_SFU_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sfu;

#define SFU_ROOM_BYTES_MAX        64 // names of rooms and participants: [A-Za-z0-9_.-], NUL included
#define SFU_PARTICIPANT_BYTES_MAX 64
#define SFU_SESSION_ID_BYTES      33 // 128 random bits in hex, NUL included
#define SFU_ETAG_BYTES            17 // without the quotes, NUL included; changes with each ICE restart

enum sfu_role {
	SFU_ROLE_PUBLISH = 0, // WHIP: we receive
	SFU_ROLE_WATCH,       // WHEP: we send
	SFU_ROLE_COUNT
};

enum sfu_status {
	SFU_CREATED = 0,    // 201 with an answer
	SFU_TRICKLED,       // 204
	SFU_RESTARTED,      // 200 with a fragment and a new ETag
	SFU_DELETED,        // 200
	SFU_MALFORMED,      // 400: the body cannot be read
	SFU_NOT_FOUND,      // 404: no such session
	SFU_NOT_ACCEPTABLE, // 406 (422 where the draft says so): read, but nothing we can take
	SFU_NO_PUBLISHER,   // 409 + Retry-After: nobody publishes in the room
	SFU_TAKEN,          // 409: the participant publishes already
	SFU_ETAG_MISMATCH,  // 412
	SFU_ETAG_MISSING,   // 428
	SFU_FULL,           // 503 + Retry-After: a limit of the configuration or of a table
	SFU_DRAINING,       // 503 + Retry-After: the operator lets sessions run out
	SFU_STATUS_COUNT
};

struct sfu_join {
	enum sfu_role role;
	const char *room;
	const char *
		participant; // publish: its name in the room; watch: the publisher wanted, NULL or "" = all
	const char *offer; // application/sdp, not NUL-terminated
	size_t offer_bytes;
};

struct sfu_reply {
	enum sfu_status status;
	char reason[256]; // one sentence for failures; names the line of an SDP that is refused
	char session_id[SFU_SESSION_ID_BYTES];
	char etag[SFU_ETAG_BYTES];
	char *body; // malloc'd, the caller frees it; NULL without
	size_t body_bytes;
	uint32_t retry_after_s; // 0 = none
};

// All of them fill `out` whatever happens.
void sfu_join(struct sfu *s, const struct sfu_join *join, struct sfu_reply *out);
// application/trickle-ice-sdpfrag. `if_match` as in the header field without quotes, "*" for a restart, NULL
// if the request has none.
void sfu_patch(struct sfu *s, const char *session_id, const char *if_match, const char *fragment,
	       size_t fragment_bytes, struct sfu_reply *out);
void sfu_leave(struct sfu *s, const char *session_id, struct sfu_reply *out);
// The role and room of a session, so that a token can be checked against it; false if there is none.
bool sfu_session_find(const struct sfu *s, const char *session_id, enum sfu_role *role,
		      char room[SFU_ROOM_BYTES_MAX]);

// Who publishes in a room, for the demo pages; returns how many there are, fills at most `max`.
struct sfu_publisher_info {
	char participant[SFU_PARTICIPANT_BYTES_MAX];
	bool has_audio;
	bool has_video;
	bool is_connected;
	uint8_t audio_level; // dBov below full scale, 127 = silent or unknown
};
uint32_t sfu_room_publishers(const struct sfu *s, const char *room, struct sfu_publisher_info *out,
			     uint32_t max);

// Whom a watcher's sections show now: the n-th that it offered of each kind, and its publisher. Returns how many
// sections show somebody, fills at most `max`. Publishers keep their seats as long as they stay.
struct sfu_seat {
	bool is_video;
	uint32_t index; // among the session's sections of this kind
	char participant[SFU_PARTICIPANT_BYTES_MAX];
};
uint32_t sfu_session_seats(const struct sfu *s, const char *session_id, struct sfu_seat *out,
			   uint32_t max);

#endif
