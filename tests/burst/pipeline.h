// The real pipeline under test: one worker over two ring ports and the contract's own segments in a
// directory of the test's. Frames go in as bytes and come out as bytes; every counter can be asked
// for. One per test process.
#ifndef TP_TESTS_PIPELINE_H
#define TP_TESTS_PIPELINE_H

#include "dataplane/contract/shm/ring.h"
#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/contract/shm/srtp_keys.h"
#include "dataplane/contract/wire/challenge.h"
#include "dataplane/contract/wire/turn.h"
#include "dataplane/worker.h"

#define INSTANCE        "burst"
#define FRAME_BYTES_MAX 16384

// Addresses by role; indices are those of the settings.
enum { LISTENER_V4 = 0, RELAY_V4, LISTENER_V6, RELAY_V6, LOCALS };
#define CLIENT_V4   "192.0.2.10:5000"
#define CLIENT_V6   "[2001:db8:c::10]:5000"
#define OTHER_V4    "192.0.2.11:5001"
#define PEER_V4     "203.0.113.20:6000"
#define PEER_V6     "[2001:db8:f::20]:6000"
#define DENIED_V4   "203.0.113.200:6000"
#define LISTEN_V4   "198.51.100.1:3478"
#define LISTEN_V6   "[fd00::1]:3478"
#define RELAYED_V4  "198.51.100.2:50000"
#define RELAYED2_V4 "198.51.100.2:50002"
#define RELAYED_V6  "[fd00::2]:50000"
#define REALM       "example.org"

// Clients whose sockets the control plane has: what flows know them by, 100::<idx>:<serial>.
#define STREAM       "[100::7:0:9]:0"
#define STREAM2      "[100::8:0:1]:0"
#define STREAM_LOCAL "[100::]:0" // where they come in

// Next hops by index.
enum { HOP_NONE = 0, HOP_CLIENT, HOP_PEER, HOP_PEER_VLAN, HOP_UNRESOLVED, HOP_NARROW };
#define NARROW_MTU 1280 // of port 1, where HOP_NARROW is

struct frame {
	uint32_t length_bytes;
	uint32_t port_idx; // it left through
	struct ip_udp_view view;
	uint8_t bytes[FRAME_BYTES_MAX];
};

// How a datagram is dressed for the wire.
struct dress {
	const char *from;
	const char *to;
	uint8_t ttl; // 0: 64
	uint8_t traffic_class;
	uint8_t dont_fragment; // IPv4
	uint8_t no_checksum;
	uint8_t option_bytes; // IPv4 options, or an IPv6 destination header; multiple of 4 or 8
	uint16_t vlan_id;     // 0: untagged
	uint16_t ip_id;
};

extern struct dp_worker *worker;  // the first
extern struct dp_worker *worker2; // NULL but for pipeline_sfu_pair_init
extern struct shm_settings settings;
extern struct shm_flow_writer writer;

// Criterion's .init and .fini.
void pipeline_init(void);
void pipeline_fini(void);

// ---- with an SFU: the same ports, and what the control plane would write of its sessions

#define SFU_TRANSPORTS    16
#define SFU_TRACKS        16
#define SFU_SUBSCRIPTIONS 32
#define SFU_FANOUT        128

void pipeline_sfu_init(void);
void pipeline_sfu_segments_create(bool with_sfu);
void pipeline_sfu_segments_detach(void);
// Two workers; only the first one receives from ports. poll_once() polls both.
void pipeline_sfu_pair_init(void);
// The dataplane dies without a word and starts anew over the same segments.
void pipeline_restart(uint32_t n_workers);
struct shm_sfu_transport *sfu_transport(uint32_t idx);
struct shm_sfu_track *sfu_track(uint32_t idx);
struct shm_sfu_subscription *sfu_subscription(uint32_t idx);
uint32_t *sfu_fanout(void);
struct shm_srtp_keys *sfu_keys(uint32_t idx);
struct shm_sfu_transport_state *sfu_transport_state(uint32_t idx);
struct shm_sfu_ingress_state *sfu_ingress_state(uint32_t track_idx, uint32_t layer);
struct shm_sfu_egress_state *sfu_egress_state(uint32_t idx);
// What was punted next; NULL when there is nothing. Valid until the next call.
const struct shm_datagram *punted(uint32_t worker_idx, uint16_t *length_bytes);

struct ip_endpoint endpoint(const char *text);
// Publishes again what `settings` holds.
void settings_publish(void);
// What is published next has this rule about peers in that place.
void rule_set(uint32_t i, const char *prefix, uint8_t action, uint8_t realm_idx);

// ---- what the control plane would program; `live` false: expired a second ago

void program_allocation(const char *client, const char *relayed, bool live);
// With a second relayed address (RFC 8656 §7.2); NULL: without.
void program_allocation2(const char *client, const char *relayed, const char *relayed2, bool live);
void program_permission(const char *client, const char *relayed, const char *peer, bool live);
void program_channel(const char *client, const char *relayed, const char *peer, uint16_t channel,
		     bool live);
// Of flows that are programmed from now on, besides those that follow from the client.
extern uint8_t flow_flags;
extern uint32_t flow_allocation_idx;
// All three, with the next hops of client and peer.
void program_flow(const char *client, const char *relayed, const char *peer, uint16_t channel);
extern uint16_t hop_client;
extern uint16_t hop_peer;

uint64_t now_ns(void); // CLOCK_MONOTONIC

// ---- frames

uint32_t frame_build(uint8_t *out, const struct dress *d, const void *payload, uint32_t n);
// "00 11 22…" into bytes; returns how many.
uint32_t from_hex(const char *text, uint8_t *out);
uint32_t channel_data(uint8_t *out, uint16_t channel, const void *data, uint16_t n, uint32_t pad);
uint32_t send_indication(uint8_t *out, const char *peer, const void *data, uint16_t n);

// Gives one frame to a port and polls the worker; the answers wait in receive().
void send_bytes(uint32_t port_idx, const void *bytes, uint32_t n);
void send_datagram(const struct dress *d, const void *payload, uint32_t n);
// Puts without polling, for bursts.
void put_bytes(uint32_t port_idx, const void *bytes, uint32_t n);
void poll_once(void);
// The next frame that left; false when there is none. Its headers are parsed and its UDP checksum
// is recomputed in full (unless it is a fragment, or zero over IPv4).
bool receive(struct frame *out);
// The same without a look at it: the buffer itself, to be freed by the caller; NULL when there is
// none.
struct rte_mbuf *take_raw(uint32_t port_idx);
void expect_nothing_sent(void);
// Exactly one frame left and it is this datagram.
void expect_datagram(struct frame *f, const char *from, const char *to, const void *payload,
		     uint32_t n);

// ---- counters

uint64_t counted(enum dp_counter c);
// counted() starts at 0 again.
void forget_counted(void);
// Since the last call of this: `c` moved by one and no other outcome did.
void expect_only(enum dp_counter c);
// Packets received, and outcomes that they had; equal when none disappeared.
uint64_t n_received(void);
uint64_t n_outcomes(void);
// As the control plane writes them.
struct shm_limit *limit_of(uint32_t allocation_idx);
struct shm_usage usage_of(const struct shm_flow_key *key);

#endif
