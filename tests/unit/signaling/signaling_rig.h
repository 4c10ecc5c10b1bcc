// A signaling server on loopback with a scripted SFU behind it, and a client that speaks plain bytes to it. One
// thread: while the client waits, the server's loop runs.
#ifndef TP_TESTS_SIGNALING_RIG_H
#define TP_TESTS_SIGNALING_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/sfu/session.h"
#include "controlplane/signaling/signaling.h"
#include "controlplane/signaling/token.h"

#define RIG_SECRET  "0123456789abcdef0123456789abcdef-new"
#define RIG_SECRET2 "0123456789abcdef0123456789abcdef-old"
#define RIG_SESSION "00112233445566778899aabbccddeeff"
#define RIG_OFFER   "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"

// What the SFU was asked last, and what it says next.
struct fake_sfu {
	unsigned n_joins, n_patches, n_leaves;
	enum sfu_role role;
	char room[SFU_ROOM_BYTES_MAX];
	char participant[SFU_PARTICIPANT_BYTES_MAX];
	char body[256];
	bool has_if_match;
	char if_match[64];
	enum sfu_status next; // of any call
	char next_reason[128];
	uint32_t next_retry_after_s;
	enum sfu_role session_role; // of RIG_SESSION, in room lobby
	bool has_publisher;
};
extern struct fake_sfu fake_sfu;

// Starts a server on 127.0.0.1: listener 0 plain, listener 1 TLS if the configuration has a state_dir.
// `change` may be NULL.
void rig_open(void (*change)(struct signaling_config *c));
struct signaling *rig_signaling(void);
void rig_close(void);

struct rig_answer {
	int status;
	char head[8192]; // status line and fields
	char body[131072];
	size_t body_bytes;
};

// Connects to a listener; returns the descriptor.
int rig_connect(unsigned listener_idx);
// Sends bytes and runs the loop until a whole response was read or the server ended the connection (status 0).
void rig_talk(int fd, const char *bytes, size_t n_bytes, struct rig_answer *out);
// Runs the loop for a while.
void rig_run(unsigned ms);
// One request on a connection of its own. `fields` are lines with CRLF, or "". Returns the last answer.
struct rig_answer *rig_request(const char *method, const char *path, const char *fields,
			       const char *body);
// The value of a field of that answer, or NULL.
const char *rig_field(const struct rig_answer *a, const char *name);
void rig_expect_field(const struct rig_answer *a, const char *name, const char *value);
// "Authorization: Bearer …\r\n" for these grants.
const char *rig_bearer(const char *secret, const char *participant, const char *room,
		       bool may_publish, bool may_watch, int lifetime_s);

#endif
