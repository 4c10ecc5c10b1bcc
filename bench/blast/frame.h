// Frames of the generator: a template per path, a stamped and patterned payload, and their exact verification.
// Pure but for the pattern, which frame_pattern_init fills once before any other call.
//
// Payload: 16 bytes of stamp, then bytes of a fixed pattern. Since the pattern's checksum is known for every length, UDP
// checksums are complete on sending and verified on reception without a second pass over the payload.
#ifndef TP_BENCH_FRAME_H
#define TP_BENCH_FRAME_H

#include "bench/blast/flow_plan.h"
#include "dataplane/contract/wire/bytes.h"

#define FRAME_STAMP_BYTES 16
#define FRAME_PAYLOAD_MAX 1472
#define FRAME_HEADER_MAX  128 // Ethernet, IPv6, UDP and the prefix of a Send indication are 110
#define FRAME_ETHER_BYTES 14

extern uint8_t frame_pattern[FRAME_PAYLOAD_MAX + 64];
void frame_pattern_init(void);

// What stands between the UDP header and the payload.
enum frame_form {
	FRAME_PLAIN = 0,  // nothing: a peer's datagram
	FRAME_CHANNEL,    // ChannelData
	FRAME_INDICATION, // Send upward, Data downward
	FRAME_FORM_COUNT
};

// One direction of one flow: what is sent, and what must come out at the other end.
struct frame_path {
	uint8_t header[FRAME_HEADER_MAX]; // ends where the payload begins
	uint32_t tx_udp_sum;              // pseudo header, UDP header, prefix; lengths taken as 0
	uint32_t tx_ip_sum;               // IPv4 header with length 0
	uint32_t next_seq;
	uint16_t header_bytes;
	uint8_t prefix_bytes; // between UDP header and payload
	uint8_t tx_form;
	uint8_t tx_is_v4;
	uint8_t rx_is_v4;
	uint8_t rx_form;
	uint8_t is_down;
	uint16_t rx_channel_be;
	uint16_t rx_peer_port_be; // of XOR-PEER-ADDRESS in a Data indication
	uint32_t rx_tuple_sum;
	uint32_t rx_next_seq;
	uint8_t rx_tuple[36]; // addresses and ports as they lie in the frame
	uint8_t rx_peer[16];
	uint64_t rx_window; // bit i: rx_next_seq - 1 - i was seen
} __attribute__((aligned(64)));

struct frame_stamp {
	uint32_t flow; // bit 31: downward
	uint32_t seq;
	uint64_t tsc_check; // TSC in the upper 48 bits, check in the lower 16
};

struct frame_macs {
	uint8_t source[6];
	uint8_t destination[6];
};

// How a flow is used.
struct frame_use {
	bool use_indications; // Send and Data instead of ChannelData
	bool is_echo;         // what is sent comes back as it is (a forwarder instead of a relay)
	bool is_reflected;    // it comes back to its sender, with addresses and ports swapped
	uint8_t ttl;
};

// Fills a path. `a` are the flow's addresses; `other` those of flow i ^ 1 for a hairpin flow, else NULL. is_down: from the
// peer to the client.
void frame_path_init(struct frame_path *p, const struct flow_addresses *a,
		     const struct flow_addresses *other, bool is_down, const struct frame_use *use,
		     const struct frame_macs *macs);

// Payload bytes of a frame of frame_bytes (without FCS) on that path; at least a stamp.
uint16_t frame_payload_bytes(const struct frame_path *p, uint32_t frame_bytes);

// Writes header and stamp in front of and into a payload whose pattern is there already, and returns the frame's
// length; it begins header_bytes before the payload. Takes the path's next sequence number.
uint16_t frame_write(struct frame_path *p, uint32_t flow_idx, uint8_t *payload,
		     uint16_t payload_bytes, uint64_t tsc);

enum frame_verdict {
	FRAME_OK = 0,
	FRAME_NOT_OURS,     // no UDP, or STUN for the TURN client, or ARP: not part of the traffic
	FRAME_CORRUPTED,    // stamp or payload differs, a length is wrong
	FRAME_BAD_CHECKSUM, // IPv4 or UDP checksum
	FRAME_MISDIRECTED,  // other addresses, ports, channel or framing than expected
	FRAME_VERDICT_COUNT
};

// What was received, for counting.
struct frame_arrival {
	uint32_t flow_idx;
	uint32_t seq;
	uint64_t sent_tsc; // 48 bits
	bool is_down;
	uint16_t payload_bytes;
};

// Where the parts of a received frame lie.
struct frame_layout {
	const uint8_t *ip;
	const uint8_t *udp;
	const uint8_t *payload;
	uint16_t prefix_bytes;
	uint16_t udp_bytes;
	uint16_t payload_bytes;
	uint8_t form; // enum frame_form
	uint8_t is_v4;
};

// Finds the parts; false when it is no frame of the traffic. Nothing is verified but that all lies within the frame.
bool frame_locate(const uint8_t *frame, uint32_t frame_bytes, struct frame_layout *out);

// The flow that a located frame's stamp names, unverified: bit 31 is the direction.
static inline uint32_t frame_stamp_flow(const struct frame_layout *l)
{
	uint32_t v;

	memcpy(&v, l->payload, sizeof(v));
	return v;
}

// Verifies a located frame against `up` and `down`, arrays of n_flows paths.
enum frame_verdict frame_judge(const struct frame_layout *l, const struct frame_path *up,
			       const struct frame_path *down, uint32_t n_flows,
			       struct frame_arrival *out);

// Both.
static inline enum frame_verdict frame_verify(const uint8_t *frame, uint32_t frame_bytes,
					      const struct frame_path *up,
					      const struct frame_path *down, uint32_t n_flows,
					      struct frame_arrival *out)
{
	struct frame_layout l;

	if (!frame_locate(frame, frame_bytes, &l))
		return FRAME_NOT_OURS;
	return frame_judge(&l, up, down, n_flows, out);
}

#endif
