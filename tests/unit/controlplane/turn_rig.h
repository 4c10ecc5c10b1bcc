// A control plane without network and clock: real tables in a directory of its own, requests built
// and signed as a client builds them, answers taken apart.
#ifndef TP_TEST_TURN_RIG_H
#define TP_TEST_TURN_RIG_H

#include <criterion/criterion.h>

#include "controlplane/engine.h"
#include "dataplane/contract/wire/stun.h"

#define RIG_REALM    "lab.turnpike"
#define RIG_PASSWORD "lab-secret"
#define RIG_SECRET   "north-star-secret"
#define RIG_S        1000000000ull
#define RIG_LISTENER "198.51.100.1:3478"

struct rig {
	struct engine engine;
	char directory[64];
	uint64_t now_ns;
	uint64_t wall_ns;
};

struct rig_answer {
	uint8_t bytes[1024];
	size_t length_bytes; // 0: there was none
	uint16_t type;
	uint16_t code;  // of ERROR-CODE, 0 on success
	bool is_signed; // with a right MESSAGE-INTEGRITY by the key of the request
};

// Who sends. The nonce is fetched with the first request.
struct rig_client {
	struct ip_endpoint endpoint;
	const char *user;
	const char *password;
	char nonce[64];
	uint8_t key[16];
	uint16_t serial;     // of transaction ids
	uint8_t transport;   // enum shm_transport
	uint32_t stream_idx; // of all but UDP
	uint32_t stream_serial;
};

struct rig_request {
	struct stun_builder b;
	uint8_t bytes[1500];
	uint8_t transaction_id[12];
};

// Two users ("lab", "other"), one REST secret, relays 198.51.100.1 and 2001:4860::1, ports
// 50000-50099. The caller may change it before rig_open, which takes it over.
struct config *rig_config(void);
void rig_config_add_user(struct config *c, const char *name, const char *password);
void rig_config_add_rule(struct config *c, const char *prefix, uint8_t action);

// Opens a control plane over a fresh directory; rig_reopen another one over what it left.
void rig_open(struct rig *r, struct config *config);
void rig_reopen(struct rig *r, struct config *config);
// Leaves the tables as they are, as a crash does: closing writes nothing to them.
void rig_leave(struct rig *r);
void rig_close(struct rig *r);

struct rig_client rig_client(const char *endpoint, const char *user, const char *password);
// A client with a time-limited credential made from `secret`. name must outlive the client.
struct rig_client rig_rest_client(const char *endpoint, const char *name, const char *secret,
				  char password_out[32]);

void rig_begin(struct rig_request *q, struct rig_client *c, uint16_t type);
void rig_add_peer(struct rig_request *q, const char *endpoint);
void rig_add_u32(struct rig_request *q, uint16_t type, uint32_t value);
// Adds USERNAME, REALM, NONCE and MESSAGE-INTEGRITY, sends, and parses.
struct rig_answer rig_send(struct rig *r, struct rig_client *c, struct rig_request *q);
// Signs without sending; returns the length.
size_t rig_sign(struct rig *r, struct rig_client *c, struct rig_request *q, bool fingerprint);
struct rig_answer rig_send_bytes(struct rig *r, const struct rig_client *c, const void *bytes,
				 size_t length_bytes);

struct rig_answer rig_allocate(struct rig *r, struct rig_client *c);
struct rig_answer rig_allocate_family(struct rig *r, struct rig_client *c, uint8_t family);
struct rig_answer rig_refresh(struct rig *r, struct rig_client *c, uint32_t lifetime_s);
struct rig_answer rig_permit(struct rig *r, struct rig_client *c, const char *peer);
struct rig_answer rig_bind(struct rig *r, struct rig_client *c, uint16_t channel, const char *peer);

bool rig_get(const struct rig_answer *a, uint16_t type, struct stun_attr *out);
uint32_t rig_get_u32(const struct rig_answer *a, uint16_t type);
struct ip_endpoint rig_get_address(const struct rig_answer *a, uint16_t type);
struct ip_endpoint rig_endpoint(const char *text);

// The flow that a worker would find for a stream's messages: ALLOCATION, or CHANNEL of that number.
const struct shm_flow *rig_stream_flow(const struct rig *r, const struct rig_client *c,
				       uint16_t channel);
// The flow that a worker would find for that packet, NULL when there is none or it has expired.
const struct shm_flow *rig_flow(const struct rig *r, uint8_t kind, const char *far,
				const struct ip_endpoint *own, uint16_t channel);
void rig_advance(struct rig *r, uint64_t seconds);

#endif
