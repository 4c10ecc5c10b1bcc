// The TURN server: requests in, answers out, tables changed through table_writer (RFC 8656, RFC
// 8489). No I/O and no clock of its own, so tests, the fuzzer and every transport drive it alike.
// Control plane's loop thread.
#ifndef TP_TURN_SERVER_H
#define TP_TURN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/table_writer.h"
#include "controlplane/turn/allocation.h"

// Larger than any answer: USERNAME never comes back, SOFTWARE and UNKNOWN-ATTRIBUTES are bounded.
#define TURN_ANSWER_BYTES_MAX 512

struct turn_auth;
struct turn_store;
struct turn_store_backend;
struct turn_waiting;

// Where flows get their next hops from. Every idx handed out is one reference on table_writer's
// neighbour.
struct turn_next_hops {
	void *arg;
	// Toward a client: the way its request came (l2_word, 0 = unknown) serves until the
	// kernel's route is resolved.
	uint16_t (*client)(void *arg, const struct ip_address *client, uint64_t l2_word);
	// Toward a peer.
	uint16_t (*peer)(void *arg, const struct ip_address *peer);
};

// One request as it arrived.
struct turn_request {
	struct ip_endpoint client;
	uint8_t local_idx; // settings.local of the listener
	uint16_t local_port_be;
	uint8_t realm_idx; // settings.realm of the listener that it came to
	uint64_t l2_word;  // the path it came on, 0 = unknown
	uint8_t transport; // enum shm_transport; but for UDP local_idx is SHM_LOCAL_STREAM and the port 0
	struct {
		uint32_t idx; // 0 = it came over UDP
		uint32_t serial;
	} stream;
	const uint8_t *bytes;
	size_t len_bytes;
	uint64_t now_ns;  // CLOCK_MONOTONIC
	uint64_t wall_ns; // CLOCK_REALTIME
	// Handles it once more, when its user's key had to be asked for elsewhere and is there now; `in` is a copy. NULL: then
	// such a request is dropped.
	void (*again)(void *arg, const struct turn_request *in);
	void *again_arg;
	uint32_t worker_idx;       // that took it from the wire; UDP alone
	uint64_t waiting_since_ns; // when it was handled first; 0 = now
};

enum turn_counter {
	TURN_COUNTER_REQUESTS = 0,
	TURN_COUNTER_MALFORMED, // no answer
	TURN_COUNTER_SUCCESS,
	TURN_COUNTER_ERROR_300,
	TURN_COUNTER_ERROR_400,
	TURN_COUNTER_ERROR_401,
	TURN_COUNTER_ERROR_403,
	TURN_COUNTER_ERROR_405,
	TURN_COUNTER_ERROR_420,
	TURN_COUNTER_ERROR_437,
	TURN_COUNTER_ERROR_438,
	TURN_COUNTER_ERROR_440,
	TURN_COUNTER_ERROR_441,
	TURN_COUNTER_ERROR_442,
	TURN_COUNTER_ERROR_443,
	TURN_COUNTER_ERROR_446,
	TURN_COUNTER_ERROR_447,
	TURN_COUNTER_ERROR_486,
	TURN_COUNTER_ERROR_508,
	TURN_COUNTER_WAITED, // a user store had to be asked; the request is kept for a moment
	TURN_COUNTER_ALLOCATED,
	TURN_COUNTER_ENDED_EXPIRED,
	TURN_COUNTER_ENDED_DELETED,
	TURN_COUNTER_ENDED_KILLED,
	TURN_COUNTER_ENDED_CONNECTION,
	TURN_COUNTER_MOVED, // RFC 8016
	// refused for what the section limits says; all of them 508
	TURN_COUNTER_LIMIT_PERMISSIONS,
	TURN_COUNTER_LIMIT_CHANNELS,
	TURN_COUNTER_LIMIT_NEW_PEERS,
	// How the owners of created allocations signed: by which key, and by which integrity.
	TURN_COUNTER_KEY_MD5,
	TURN_COUNTER_KEY_SHA256,
	TURN_COUNTER_KEY_TOKEN,
	TURN_COUNTER_INTEGRITY_SHA1,
	TURN_COUNTER_INTEGRITY_SHA256,
	TURN_COUNTER_COUNT
};
// snake_case, static; never NULL.
const char *turn_counter_name(enum turn_counter c);

struct turn_adoption {
	uint32_t n_allocations; // taken over
	uint32_t n_permissions;
	uint32_t n_channels;
	uint32_t n_repaired; // half-finished operations undone
	uint32_t
		n_ended; // allocations ended because they expired or their addresses are not configured any more
	uint64_t took_ns;
};

// Builds the server over open tables and adopts what stands in them. `config` and `tables` must
// outlive it; `hops` is copied. 0 or -errno.
int turn_server_new(const struct config *config, struct table_writer *tables,
		    const struct turn_next_hops *hops, uint64_t now_ns, struct turn_server **out);
// Frees process memory only; the tables keep the sessions.
void turn_server_free(struct turn_server *s);
// Takes over quotas and limits of another configuration, and `auth`, which was made from it; the
// tables' settings are the caller's. Peers that are denied meanwhile go as time passes.
void turn_server_reload(struct turn_server *s, const struct config *config, struct turn_auth *auth);

// Handles one request; returns the length of the answer in out, 0 for none.
size_t turn_server_handle(struct turn_server *s, const struct turn_request *in, uint8_t *out,
			  size_t out_bytes);
// The connection is gone: its allocation ends, or waits for a Refresh with its ticket if it may move.
void turn_server_stream_closed(struct turn_server *s, uint32_t stream_idx, uint32_t stream_serial,
			       uint64_t now_ns);
// Handles those requests once more whose users' keys had to be asked for: the store has answered, or
// some time has passed.
void turn_server_retry(struct turn_server *s, uint64_t now_ns, uint64_t wall_ns);
// Finishes the moves of clients that were heard on their new path. Every few milliseconds.
void turn_server_follow_moves(struct turn_server *s);
// Ends what has expired and goes on with walks through all allocations, a bounded amount of work;
// true: there may be more, call again soon. Otherwise several times a second.
bool turn_server_expire(struct turn_server *s, uint64_t now_ns);

// After a route change: turn_server_expire asks anew for the next hops of all flows.
void turn_server_renew_next_hops(struct turn_server *s);

// While draining, new allocations are sent to the alternate servers; those that are live go on.
void turn_server_drain(struct turn_server *s, bool is_draining);
bool turn_server_is_draining(const struct turn_server *s);
// The requests that wait for the store: how many did, and how many were dropped meanwhile.
const struct turn_waiting *turn_server_waiting(const struct turn_server *s);

// ---- state for operators
uint32_t turn_server_n_allocations(const struct turn_server *s);
uint32_t turn_server_n_permissions(const struct turn_server *s);
uint32_t turn_server_n_channels(const struct turn_server *s);
uint64_t turn_server_counter(const struct turn_server *s, enum turn_counter c);
const struct turn_adoption *turn_server_adoption(const struct turn_server *s);
// Live allocations of a user (the id part of a REST username) in all realms, 0 for an unknown one.
uint32_t turn_server_user_allocations(const struct turn_server *s, const char *name,
				      size_t name_bytes);
// Free relayed ports of one of our addresses.
uint32_t turn_server_free_ports(const struct turn_server *s, uint8_t local_idx);

// What policy says about a peer, as CreatePermission asks it: 0, or the code of the error answer
// (403, 443, 440). `rule_idx` gets the index in settings.peer_rule that decided, -1 when none did
// (default by class).
struct turn_peer_verdict {
	uint16_t code;
	bool is_hairpin;
	int rule_idx;
};
struct turn_peer_verdict turn_server_peer_verdict(const struct turn_server *s, uint8_t realm_idx,
						  uint8_t relay_idx, const struct ip_address *peer);

// ---- what is shared with other hosts

// Users and secrets beside those of the configuration; NULL takes them away. `backend` must outlive
// the server, or be taken away before.
void turn_server_attach_store(struct turn_server *s, const struct turn_store_backend *backend);
// Where its users are looked up.
const struct turn_store *turn_server_store(const struct turn_server *s);
// The name of a realm, NUL-terminated.
const char *turn_server_realm(const struct turn_server *s, uint8_t realm_idx);
// The rules about peers in the settings are others now: what they deny goes as time passes.
void turn_server_rules_changed(struct turn_server *s);

enum turn_event {
	TURN_EVENT_NEW = 0,
	TURN_EVENT_REFRESHED,
	TURN_EVENT_ENDED, // it can still be looked at
};
// Told of allocations as they happen. It must not change them.
struct turn_observer {
	void *arg;
	void (*allocation)(void *arg, uint32_t idx, enum turn_event event, uint64_t now_ns);
};
// One; NULL takes it away.
void turn_server_observe(struct turn_server *s, const struct turn_observer *observer);

#endif
