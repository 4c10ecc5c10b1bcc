// One packet on its way through a worker. Lives in the worker's own array for the length of a
// burst; the bytes are the mbuf's.
#ifndef TP_DP_PACKET_H
#define TP_DP_PACKET_H

#include <rte_mbuf.h>

#include "dataplane/contract/shm/turn_table.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/stun.h"

// What classification found; each kind goes through its own stage.
enum dp_kind {
	DP_KIND_NONE = 0,
	DP_KIND_UP_CHANNEL, // ChannelData of a client
	DP_KIND_UP_SEND,    // Send indication of a client
	DP_KIND_DOWN,       // datagram of a peer
	DP_KIND_BINDING,    // STUN Binding request
	DP_KIND_REQUEST,    // any other STUN request
	DP_KIND_CHECK,      // connectivity check toward the SFU
	DP_KIND_DTLS,       // of a client of the SFU, or of TURN
	DP_KIND_SRTP,       // of a client of the SFU; SRTCP too
	DP_KIND_COUNT
};

struct dp_packet {
	struct rte_mbuf *mbuf;
	uint8_t *frame; // the Ethernet header
	const struct shm_flow *flow;
	const struct shm_flow *up_flow; // hairpin: the sender's
	struct shm_flow_key key;        // of the lookup that comes next
	struct ip_udp_view view;
	uint8_t kind;          // enum dp_kind
	uint8_t port_idx;      // it came from
	uint8_t local_idx;     // it was sent to
	uint8_t ttl;           // what is left
	uint8_t is_hairpin;    // 1: between two allocations of ours
	uint8_t was_fragments; // 1: put together here
	uint8_t is_inside;     // 1: between the relay and the SFU, on no wire
	uint8_t from_stream;   // 1: of a client whose socket the control plane has, on no wire
	uint8_t asks_df;       // 1: a Send indication with DONT-FRAGMENT
	uint16_t data_offset;  // application data, from `frame`
	uint16_t data_bytes;
	uint16_t neighbour_idx;
	uint16_t channel_be;            // down: 0 = Data indication
	struct ip_endpoint peer;        // whom the client deals with
	struct ip_endpoint source;      // after the rewrite
	struct ip_endpoint destination; // after the rewrite
	struct stun_view stun;          // BINDING, REQUEST
};

#endif
