// Many TURN clients at once (RFC 8656), for benches: allocation, permission, channel, deletion, with long-term
// credentials and retransmissions. It knows messages and time only; frames or sockets are its caller's. One thread.
#ifndef TP_BENCH_TURN_CLIENT_H
#define TP_BENCH_TURN_CLIENT_H

#include "bench/blast/histogram.h"
#include "dataplane/contract/wire/stun.h"

#define TURN_CLIENT_MESSAGE_MAX 512
#define TURN_CLIENT_NONCE_MAX   64
#define TURN_CLIENT_REALM_MAX   128

enum turn_session_state {
	TURN_SESSION_IDLE = 0,
	TURN_SESSION_ALLOCATING,
	TURN_SESSION_ALLOCATED,
	TURN_SESSION_PERMITTING,
	TURN_SESSION_BINDING,
	TURN_SESSION_LIVE,
	TURN_SESSION_DELETING,
	TURN_SESSION_FAILED,
	TURN_SESSION_STATE_COUNT
};

struct turn_session {
	uint8_t state;
	uint8_t n_tries;
	uint8_t nonce_bytes;
	uint8_t n_challenges; // in a row
	uint16_t channel;     // 0: a permission only
	uint16_t error;       // code of the answer that failed it; 0: no answer
	uint32_t serial;      // of the transaction under way
	uint32_t active_at;   // place in the list of transactions under way
	uint64_t sent_ns;
	uint64_t cycle_began_ns;
	char nonce[TURN_CLIENT_NONCE_MAX];
	struct ip_endpoint peer;
	struct ip_endpoint relayed; // result
};

// Sends one message of session i.
typedef void (*turn_client_send_fn)(void *arg, uint32_t i, const void *message,
				    uint16_t message_bytes);

struct turn_client_options {
	const char *user;
	const char *password;
	uint32_t n_sessions;
	bool relay_is_v6;
	uint32_t window;        // transactions under way at once
	uint64_t retransmit_ns; // 0: 250 ms
	turn_client_send_fn send;
	void *send_arg;
};

struct turn_client;

int turn_client_create(const struct turn_client_options *o, struct turn_client **out);
void turn_client_destroy(struct turn_client *c);
struct turn_session *turn_client_session(struct turn_client *c, uint32_t i);

// A message that arrived for session i (the caller may pass UINT32_MAX: the transaction tells).
void turn_client_input(struct turn_client *c, const void *message, uint32_t message_bytes,
		       uint64_t now_ns);

// How far sessions are to be driven.
enum turn_client_goal {
	TURN_GOAL_ALLOCATED = 0, // IDLE -> ALLOCATED
	TURN_GOAL_LIVE,          // ALLOCATED or LIVE -> (again) LIVE
	TURN_GOAL_DELETED,       // anything -> IDLE
	TURN_GOAL_CYCLE,         // IDLE -> ALLOCATED -> LIVE -> IDLE, again and again
};

// Begins driving all sessions to that goal.
void turn_client_begin(struct turn_client *c, enum turn_client_goal goal);
// Starts what the window lets and retransmits; call it often. Returns how many sessions are not there yet
// (for TURN_GOAL_CYCLE: how many transactions are under way).
uint32_t turn_client_poll(struct turn_client *c, uint64_t now_ns);
// For TURN_GOAL_CYCLE: cycles may begin up to this number since turn_client_begin; UINT64_MAX: no limit.
void turn_client_allow_cycles(struct turn_client *c, uint64_t n);

struct turn_client_stats {
	uint64_t n_cycles;
	uint64_t n_transactions;
	uint64_t n_retransmitted;
	uint64_t n_failed; // sessions given up
	uint16_t last_error;
	struct histogram cycle; // ns
};
const struct turn_client_stats *turn_client_stats(const struct turn_client *c);
void turn_client_stats_clear(struct turn_client *c);

#endif
