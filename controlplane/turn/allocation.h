// Allocations, permissions and channels as the control plane holds them (RFC 8656 §5, §9, §12). The
// shared tables are the state itself: an allocation is a record in `keys`, a permission a
// PERMISSION flow, a channel a CHANNEL and a PEER flow. What stands here is only what chains them
// together, so that a successor rebuilds it from the tables. Control plane's loop thread.
#ifndef TP_TURN_ALLOCATION_H
#define TP_TURN_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/shm/tables.h"
#include "dataplane/contract/wire/address.h"

#define TURN_LIFETIME_MIN_S             600 // RFC 8656 §7.2: the default lifetime
#define TURN_PERMISSION_LIFETIME_S      300 // RFC 8656 §9
#define TURN_CHANNEL_LIFETIME_S         600 // RFC 8656 §12
#define TURN_ALLOCATE_RETRANSMIT_S      40 // RFC 8656 §7.2: answers to retransmissions stay the same
#define TURN_ALLOCATION_PERMISSIONS_MAX 256
#define TURN_ALLOCATION_CHANNELS_MAX    256
#define TURN_ALLOCATION_ID_TEXT_MAX     32

struct turn_move;
struct turn_server;
struct turn_user;

// Per allocation slot; process memory.
struct turn_allocation {
	struct turn_user *user; // whose quota it counts against; NULL = slot not live
	uint32_t flow_idx;      // its ALLOCATION entry
	uint32_t permissions;   // heads of the lists of its entries
	uint32_t channels;
	uint16_t n_permissions;
	uint16_t n_channels;
	uint16_t address_error;       // code for the family that a dual allocation did not get, 0
	uint8_t address_error_family; // STUN_FAMILY_*
	uint8_t flow_flags;           // that all its flows have
	bool has_old_ticket;          // the ticket before the one that counts is still good
	struct turn_move *move;       // NULL: its client is where the record says
	uint64_t new_peers_until_ns;  // a leaky bucket: when it will be empty
	uint8_t ticket_transaction_id[12]; // of the Refresh that used a ticket up
};

// Per flow entry; process memory.
struct turn_flow_state {
	uint32_t timer_next;
	uint32_t timer_prev;
	uint32_t list_next; // PERMISSION: next permission; CHANNEL: next channel of the allocation
	uint32_t list_prev;
	uint32_t partner;    // CHANNEL: its PEER; PEER: its CHANNEL
	uint32_t timer_slot; // TURN_TIMER_NONE when not queued
};

enum turn_end_reason {
	TURN_END_EXPIRED = 0,
	TURN_END_DELETED,       // Refresh with LIFETIME 0
	TURN_END_KILLED,        // by an operator
	TURN_END_CONFIGURATION, // its listener, relay address or port is not configured any more
	TURN_END_DAMAGED,       // half-finished when a control plane died
	TURN_END_CONNECTION,    // the client's connection closed
	TURN_END_COUNT
};
// "expired", "deleted", "killed", "configuration", "damaged", "connection".
const char *turn_end_reason_name(enum turn_end_reason r);

// ---- for the operators' side (ctl, metrics)

// A snapshot of one live allocation. `username` points into the record and is not NUL-terminated.
struct turn_allocation_info {
	uint32_t idx;
	char id[TURN_ALLOCATION_ID_TEXT_MAX];
	struct ip_endpoint client;
	struct ip_endpoint server; // the listener
	struct ip_endpoint relayed;
	struct ip_endpoint relayed2; // of the other family, port 0: there is none
	uint8_t client_transport;    // enum shm_transport
	bool is_mobile;
	bool is_moving;             // data for the client still goes to where it was before
	struct shm_flow_key up_key; // of its ALLOCATION flow
	const char *username;
	uint16_t username_bytes;
	uint8_t realm_idx;
	uint64_t created_at_ns; // CLOCK_MONOTONIC
	uint64_t expires_at_ns;
	uint32_t n_permissions;
	uint32_t n_channels;
	struct turn_usage {
		uint64_t up_pkts; // client to peers
		uint64_t up_bytes;
		uint64_t down_pkts; // peers to client
		uint64_t down_bytes;
	} usage;
	uint16_t client_neighbour_idx; // 0 = none
	uint64_t client_l2_word;       // what that neighbour resolves to now; 0 = unresolved
};

struct turn_permission_info {
	struct ip_address peer;
	uint64_t expires_at_ns;
	bool is_hairpin;        // the peer is a relayed address of ours
	uint16_t neighbour_idx; // next hop toward the peer; 0 = none (or hairpin)
	uint64_t l2_word;       // 0 = unresolved
	uint64_t down_pkts,
		down_bytes; // Data indications; Send indications count at the allocation
};

struct turn_channel_info {
	uint16_t channel; // host order
	struct ip_endpoint peer;
	uint64_t expires_at_ns; // of the binding itself
	bool is_hairpin;
	uint16_t neighbour_idx;
	uint64_t l2_word;
	uint64_t up_pkts, up_bytes, down_pkts, down_bytes;
};

// All return -ENOENT when there is no such live allocation. Expired ones that the timer has not
// reached yet are still found.
int turn_allocation_info(const struct turn_server *s, uint32_t idx,
			 struct turn_allocation_info *out);
int turn_allocation_find_id(const struct turn_server *s, const char *id, uint32_t *out_idx);
// By client endpoint, over all listeners (server NULL) or one.
int turn_allocation_find_client(const struct turn_server *s, const struct ip_endpoint *client,
				const struct ip_endpoint *server, uint32_t *out_idx);
int turn_allocation_find_relayed(const struct turn_server *s, const struct ip_endpoint *relayed,
				 uint32_t *out_idx);
// Ends it: flows withdrawn, port free, quota returned.
int turn_allocation_kill(struct turn_server *s, uint32_t idx, uint64_t now_ns);
// What a search may ask of each live allocation, without the cost of a snapshot. `username` points
// into the record and is not NUL-terminated.
struct turn_allocation_brief {
	uint32_t idx;
	struct ip_endpoint client;
	const char *username;
	uint16_t username_bytes;
	uint8_t realm_idx;
};
// Calls fn for each live allocation that `wants` says true to, until it returns false; NULL where
// `wants` never does. Neither may end allocations.
void turn_allocation_each(const struct turn_server *s,
			  bool (*wants)(void *arg, const struct turn_allocation_brief *brief),
			  bool (*fn)(void *arg, const struct turn_allocation_info *info),
			  void *arg);
void turn_allocation_permissions(const struct turn_server *s, uint32_t idx,
				 bool (*fn)(void *arg, const struct turn_permission_info *p),
				 void *arg);
void turn_allocation_channels(const struct turn_server *s, uint32_t idx,
			      bool (*fn)(void *arg, const struct turn_channel_info *c), void *arg);

// The last allocations that ended, newest first.
#define TURN_ENDED_MAX          256
#define TURN_ENDED_USERNAME_MAX 64
struct turn_ended {
	char id[TURN_ALLOCATION_ID_TEXT_MAX];
	struct ip_endpoint client;
	struct ip_endpoint server;
	struct ip_endpoint relayed;
	char username[TURN_ENDED_USERNAME_MAX]; // NUL-terminated, cut off
	uint64_t ended_at_ns;
	enum turn_end_reason reason;
};
// The newest one of that client; NULL when none is remembered.
const struct turn_ended *turn_ended_find_client(const struct turn_server *s,
						const struct ip_endpoint *client);
// i = 0 is the newest; NULL behind the last.
const struct turn_ended *turn_ended_at(const struct turn_server *s, uint32_t i);

#endif
