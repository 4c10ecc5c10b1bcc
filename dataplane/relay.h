// What the relay stage shares with hairpins and the fast path.
#ifndef TP_DP_RELAY_H
#define TP_DP_RELAY_H

#include "dataplane/worker.h"

// RFC 7915 §5.1: below the least IPv6 MTU a translated packet may be fragmented on its way.
#define DP_RELAY_V4_FROM_V6_DF_BYTES 1260
// RFC 7915 §4.1: and what may be fragmented over IPv4 is not larger than that over IPv6.
#define DP_RELAY_V6_FROM_V4_BYTES 1280

// What TURN puts in front of the application data of this packet: 0 toward a peer, else a ChannelData header, or that of a Data
// indication up to the data.
uint32_t dp_relay_prefix_bytes(const struct dp_packet *p);
// Writes it, if there is one.
void dp_relay_prefix_write(struct dp_worker *w, const struct dp_packet *p, uint8_t *at);
// It is on its way: counted, and charged to its flow, or to both flows of a hairpin.
void dp_relay_sent(struct dp_worker *w, const struct dp_packet *p);

// One label per flow and direction, none of the sender's (RFC 8656 §14).
static inline uint32_t dp_relay_flow_label(uint32_t flow_idx)
{
	return (flow_idx + 1) * 0x9e3779b1u >> 12;
}

// Adds application data to the usage of a flow.
static inline void dp_relay_count_usage(struct dp_worker *w, uint32_t flow_idx, uint32_t data_bytes)
{
	struct shm_usage *u = &w->usage[flow_idx];

	__atomic_store_n(&u->pkts, u->pkts + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&u->bytes, u->bytes + data_bytes, __ATOMIC_RELAXED);
}

// Adds the packet's application data to the usage of a flow.
static inline void dp_relay_account(struct dp_worker *w, const struct shm_flow *flow,
				    const struct dp_packet *p)
{
	dp_relay_count_usage(w, dp_flow_idx(w, flow), p->data_bytes);
}

#endif
