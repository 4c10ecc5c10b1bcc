// Encrypted packets of the publishers of bench rooms, as they come from the wire. One thread; plain memory.
#ifndef TP_BENCH_SFU_FANOUT_SOURCE_H
#define TP_BENCH_SFU_FANOUT_SOURCE_H

#include "bench/sfu/rooms.h"
#include "bench/sfu/rtp_source.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/srtp/srtp.h"

#define FANOUT_FRAME_BYTES 1536

// A publisher's own end.
struct fanout_publisher {
	struct rtp_source source;
	struct dp_srtp_context *tx;
	struct ip_endpoint from;
	uint16_t twcc;
};

struct fanout_source {
	struct dp_srtp *srtp;
	struct fanout_publisher *publishers; // one of each room
	uint32_t n_publishers;
	uint32_t next; // whose turn it is
	struct ip_endpoint listener;
	uint8_t port_mac[6];
};

// `packet_bytes` of RTP, without tag; `port_mac` is where frames go. 0 or -errno.
int fanout_source_open(struct fanout_source *f, const struct rooms *rooms, uint16_t packet_bytes,
		       const uint8_t port_mac[6]);
// The next packet of the next publisher, a whole Ethernet frame. Its length, 0 when it could not be encrypted.
uint16_t fanout_source_frame(struct fanout_source *f, uint8_t frame[FANOUT_FRAME_BYTES]);

#endif
