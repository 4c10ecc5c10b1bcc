// What the files of turn/ share: the server's state and the request that is being handled. Private
// to turn/. Control plane's loop thread.
#ifndef TP_TURN_STATE_H
#define TP_TURN_STATE_H

#include "controlplane/turn/auth.h"
#include "controlplane/turn/flows.h"
#include "controlplane/turn/limits.h"
#include "controlplane/turn/mobility.h"
#include "controlplane/turn/ports.h"
#include "controlplane/turn/quota.h"
#include "controlplane/turn/reservation.h"
#include "controlplane/turn/server.h"
#include "controlplane/turn/tcp_relay/tcp_relay.h"
#include "controlplane/turn/timers.h"
#include "controlplane/turn/waiting.h"
#include "dataplane/contract/wire/challenge.h"
#include "dataplane/contract/wire/peer_policy.h"
#include "dataplane/contract/wire/stun.h"

#define TURN_NS_PER_S 1000000000ull

// A way through all allocation slots, in a ring: started again while under way it goes on to where
// it stands now.
struct turn_walk {
	uint32_t idx;    // the slot looked at last
	uint32_t n_left; // slots still to look at, 0 = at rest
};

// An allocation whose client has shown its ticket on another path and not sent from there yet: what
// stands for the old path (RFC 8016 §3.2.2).
struct turn_move {
	struct turn_move *next;
	uint32_t allocation_idx;
	struct turn_path old_path;
	uint32_t old_flow_idx; // its ALLOCATION entry
	uint32_t old_channels; // list; `partner` of each is the new CHANNEL
};

struct turn_server {
	const struct config *config;
	struct table_writer *tables;
	struct turn_next_hops hops;
	struct turn_auth *auth;
	struct turn_quota quota;
	struct turn_ports *ports[SHM_LOCALS_MAX]; // of relay addresses, by local_idx
	struct turn_timers timers;
	struct turn_reservations reservations;
	struct turn_mobility mobility;
	struct turn_limits limits;
	bool is_draining;
	const struct turn_store_backend *backend; // of auth's store, also after a reload
	struct turn_observer observer;
	struct turn_waiting waiting;
	struct turn_walk recheck;            // of peers, after a reload
	struct turn_walk renewal;            // of next hops, after a route change
	struct turn_move *moves;             // under way
	struct turn_tcp_relay *tcp_relay;    // NULL: allocations relay UDP only
	struct turn_allocation *allocations; // by slot
	struct turn_flow_state *flows;       // by flow entry
	uint32_t n_allocations;
	uint32_t n_permissions;
	uint32_t n_channels;
	uint64_t counter[TURN_COUNTER_COUNT];
	struct turn_adoption adoption;
	struct turn_ended ended[TURN_ENDED_MAX];
	uint64_t n_ended; // ever
	struct peer_rule peer_rules[SHM_PEER_RULES_MAX];
	struct peer_local peer_locals[SHM_LOCALS_MAX];
	struct peer_policy policy;
	uint16_t node_id; // stands in front of allocation ids
};

// A request on its way through the checks.
struct turn_call {
	struct turn_server *server;
	const struct turn_request *in;
	struct stun_view msg;
	struct turn_identity identity; // after authentication
	bool has_fingerprint;
	uint32_t allocation_idx; // of the 5-tuple, or of the ticket; 0 = none
	bool has_ticket;         // MOBILITY-TICKET in a Refresh
	bool is_ticket_good;     // it is that of the allocation
	bool is_moving;          // and the request comes on another path than the allocation's
	uint8_t *out;
	size_t out_bytes;
};

// ---- answer.c: all return the answer's length

// A success answer without its end: the caller adds attributes, then turn_answer_end signs it.
void turn_answer_begin(const struct turn_call *c, struct stun_builder *b);
size_t turn_answer_end(const struct turn_call *c, struct stun_builder *b);
// Signed once the request is authenticated.
size_t turn_answer_error(const struct turn_call *c, uint16_t code);
// 420 with UNKNOWN-ATTRIBUTES.
size_t turn_answer_unknown(const struct turn_call *c, const uint16_t *types, uint32_t n);
// 300 with ALTERNATE-SERVER.
size_t turn_answer_alternate(const struct turn_call *c, const struct config_alternate *a);
// 401 or 438 with REALM and a fresh NONCE, unsigned.
size_t turn_answer_challenge(const struct turn_call *c, uint16_t code);

// ---- authenticate.c

// What challenges say of us, CHALLENGE_F_*.
static inline uint32_t turn_challenge_features(const struct shm_settings *settings)
{
	return (settings->flags & SHM_SETTINGS_F_SHA256 ? CHALLENGE_F_ALGORITHMS : 0) |
	       (settings->flags & SHM_SETTINGS_F_USERHASH ? CHALLENGE_F_USERHASH : 0);
}

// RFC 8489 §9.2.4, in its order. True: c->identity is who sent it. False: the request ends with an
// answer of *answer_bytes, 0 for none.
bool turn_authenticate(struct turn_call *c, size_t *answer_bytes);
// Whether the request is by the owner of the allocation on its 5-tuple (else 441, RFC 8656 §5).
bool turn_is_owner(const struct turn_call *c);
// Writes who sent the request into an allocation's record; on a Refresh with a new access token that
// replaces the key of the old one.
void turn_identity_keep(const struct turn_call *c, struct shm_allocation *r);
// Whether a record's credentials can be used.
bool turn_identity_is_sound(const struct shm_allocation *r);
// Counts how the owner of a new allocation signs.
void turn_identity_count(const struct turn_call *c);

// ---- methods, after authentication
size_t turn_allocate(struct turn_call *c);
size_t turn_refresh(struct turn_call *c);
size_t turn_create_permission(struct turn_call *c);
size_t turn_channel_bind(struct turn_call *c);

// ---- attributes.c: what several methods read

// LIFETIME: 0 and seconds, granted within [TURN_LIFETIME_MIN_S, maximum], but 0 stays 0; the
// default when absent; -EINVAL when malformed.
int turn_lifetime_get(const struct turn_call *c, uint32_t *out_seconds);
// REQUESTED-ADDRESS-FAMILY: STUN_FAMILY_* or whatever it holds, 0 when absent; -EINVAL when
// malformed.
int turn_family_get(const struct turn_call *c, uint8_t *out);
uint8_t turn_family_of(const struct ip_address *a);

// ---- lifecycle.c: allocations

struct turn_allocate_params {
	uint8_t relay_idx;
	uint16_t relay_port; // host order, already taken
	uint8_t relay2_idx;  // of a second relayed address
	uint16_t relay2_port;
	uint32_t lifetime_s;
	uint8_t relay_transport; // enum shm_transport: UDP or TCP
};
// The live allocation of the request's 5-tuple or stream, 0 when there is none; one that has expired
// is ended here.
uint32_t turn_allocation_find(struct turn_server *s, const struct turn_request *in);
// 0, or -ENOSPC.
int turn_allocation_create(struct turn_call *c, const struct turn_allocate_params *p,
			   uint32_t *out_idx);
// Of one family's relayed address, or of all (0).
void turn_allocation_set_lifetime(struct turn_server *s, uint32_t idx, uint8_t family,
				  uint64_t expires_at_ns);
// Ends what is over by then: a relayed address, or all of it. False when nothing was.
bool turn_allocation_expire(struct turn_server *s, uint32_t idx, uint64_t now_ns);
// Gives up one of two relayed addresses, with its permissions and channels. 0, or -ENOSPC.
int turn_allocation_drop_family(struct turn_server *s, uint32_t idx, uint8_t family);
void turn_allocation_end(struct turn_server *s, uint32_t idx, enum turn_end_reason reason,
			 uint64_t now_ns);

// Notes the path on which the client's request came; it serves downward until the kernel knows
// better.
void turn_allocation_seen(struct turn_server *s, uint32_t idx, uint64_t l2_word);
void turn_allocation_renew_next_hops(struct turn_server *s, uint32_t idx);

void turn_allocation_id_format(const struct turn_server *s, uint32_t idx, uint32_t serial,
			       char out[TURN_ALLOCATION_ID_TEXT_MAX]);

// Where the client of a request is, into its record.
void turn_record_set_path(struct shm_allocation *r, const struct turn_request *in);

// ---- move.c

// Moves an allocation to the path of the request. 0, -ENOSPC or -ENOMEM.
int turn_move_start(struct turn_call *c, uint32_t idx);
// Gives the old path up: the client was heard on the new one. False: no room, all stays as it was.
bool turn_move_finish(struct turn_server *s, uint32_t idx);
// Withdraws the old path of an allocation that ends.
void turn_move_forget(struct turn_server *s, uint32_t idx);
// What happens to a channel happens to the old path's as well.
void turn_move_follow_channel(struct turn_server *s, uint32_t idx, uint32_t entry);
void turn_move_drop_channel(struct turn_server *s, uint32_t idx, uint32_t entry);
void turn_move_follow_expiries(struct turn_server *s, uint32_t idx);
// Gives all entries toward the client the path of the record. False: no room.
bool turn_bindings_turn_around(struct turn_server *s, uint32_t idx);

// ---- bindings.c: permissions and channels

// The permission entry for a peer's address, 0 when there is none.
uint32_t turn_permission_find(const struct turn_server *s, uint32_t idx,
			      const struct ip_address *peer);
// Creates one. 0 and the entry, or -ENOSPC.
int turn_permission_create(struct turn_server *s, uint32_t idx, const struct ip_address *peer,
			   bool is_hairpin, uint64_t now_ns, uint32_t *out_entry);
// Sets its expiry, and asks for the peer's next hop where none was known. The channels follow by
// turn_channels_follow.
void turn_permission_refresh(struct turn_server *s, uint32_t idx, uint32_t entry,
			     uint64_t own_expires_at_ns);
void turn_permission_remove(struct turn_server *s, uint32_t idx, uint32_t entry);

uint32_t turn_channel_find(const struct turn_server *s, uint32_t idx, uint16_t channel_be);
// The PEER entry of that transport address, 0 when it is bound to no channel.
uint32_t turn_channel_peer_find(const struct turn_server *s, uint32_t idx,
				const struct ip_endpoint *peer);
// Creates CHANNEL and PEER. 0 or -ENOSPC.
int turn_channel_create(struct turn_server *s, uint32_t idx, uint16_t channel_be,
			const struct ip_endpoint *peer, bool is_hairpin, uint32_t permission,
			uint64_t now_ns);
void turn_channel_refresh(struct turn_server *s, uint32_t idx, uint32_t entry,
			  uint64_t own_expires_at_ns);
// Gives all channels what their permissions have meanwhile: expiries and next hops.
void turn_channels_follow(struct turn_server *s, uint32_t idx);
void turn_channel_remove(struct turn_server *s, uint32_t idx, uint32_t entry);
// Chain an entry that adoption found.
void turn_permission_link(struct turn_server *s, uint32_t idx, uint32_t entry);
void turn_channel_link(struct turn_server *s, uint32_t idx, uint32_t entry, uint32_t peer_entry);
// Asks anew for the peers' next hops and gives all entries the client's.
void turn_bindings_renew_next_hops(struct turn_server *s, uint32_t idx, uint16_t client_hop);
// Ends those of one family's relayed address, or all (0).
void turn_bindings_remove(struct turn_server *s, uint32_t idx, uint8_t family);

// ---- realm.c

// Whether the request's user, its realm or the server has as many allocations as it may have.
bool turn_quota_is_reached(const struct turn_call *c);
// Tells the observer.
void turn_tell(struct turn_server *s, uint32_t idx, enum turn_event event, uint64_t now_ns);

// ---- peers.c

// Takes over rules and own addresses from the settings in force.
void turn_policy_set(struct turn_server *s);
// Ends permissions and channels to peers that policy denies meanwhile.
void turn_peers_recheck(struct turn_server *s, uint32_t idx);

// ---- server.c

// What a new configuration, or other rules of the shared store, may have changed for an allocation.
void turn_allocation_recheck(struct turn_server *s, uint32_t idx);

// ---- walk.c

void turn_walk_start(const struct turn_server *s, struct turn_walk *w);
// Calls fn for the next live allocations, a bounded amount of work; true: there is more. fn must
// not end allocations.
bool turn_walk_slice(struct turn_server *s, struct turn_walk *w,
		     void (*fn)(struct turn_server *s, uint32_t idx));

// ---- adoption.c
int turn_adopt(struct turn_server *s, uint64_t now_ns);

// ---- keys of flow entries
static inline struct ip_address turn_local_address(const struct turn_server *s, uint8_t local_idx)
{
	static const struct ip_address none;

	// SHM_LOCAL_STREAM stands for an address that the dataplane does not know.
	if (local_idx >= s->tables->settings.n_locals)
		return none;
	return ip_address_from_v6(s->tables->settings.local[local_idx].address);
}

static inline struct shm_allocation *turn_record(const struct turn_server *s, uint32_t idx)
{
	return table_writer_allocation(s->tables, idx);
}

// Of the second relayed address; only where there is one. Within the first one's second it is the
// same as that.
static inline uint64_t turn_second_expiry_ns(const struct shm_allocation *r)
{
	if (r->relay2_expires_s == r->expires_at_ns / TURN_NS_PER_S)
		return r->expires_at_ns;
	return r->relay2_expires_s * TURN_NS_PER_S;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
