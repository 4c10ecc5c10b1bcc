// Which addresses the flows of a benchmark have, as a pure function of their index, so that generator, pcap
// files and preloaded tables agree without exchanging anything. Any thread.
//
// One flow is one allocation with one channel (or one permission) to one peer:
//   client 198.19.0.0/16 or fd00:18:2::/64 -> listener 198.18.0.2:3478 or [fd00:18::2]:3478
//   relayed 198.18.1.1..16 or fd00:18:0:1::1..16, ports 1024..65535 -> peer 198.18.128.0/17 or fd00:18:3::/64
#ifndef TP_BENCH_FLOW_PLAN_H
#define TP_BENCH_FLOW_PLAN_H

#include "dataplane/contract/wire/address.h"

#define FLOW_PLAN_RELAYS         16
#define FLOW_PLAN_RELAY_PORT_MIN 1024
#define FLOW_PLAN_RELAY_PORTS    64512
#define FLOW_PLAN_FLOWS_MAX      (FLOW_PLAN_RELAYS * FLOW_PLAN_RELAY_PORTS)
#define FLOW_PLAN_LISTENER_PORT  3478

struct flow_plan {
	uint32_t n_flows;
	bool client_is_v6;
	bool peer_is_v6; // the relayed address is of the peer's family
	bool is_hairpin; // the peer of flow i is the relayed address of flow i ^ 1
};

struct flow_addresses {
	struct ip_endpoint client;
	struct ip_endpoint listener;
	struct ip_endpoint relayed;
	struct ip_endpoint peer;
	uint16_t channel;
};

// Addresses of flow i; i < FLOW_PLAN_FLOWS_MAX. A hairpin plan needs an even number of flows.
void flow_plan_addresses(const struct flow_plan *p, uint32_t i, struct flow_addresses *out);

// Reads "v4", "v6", "v4v6" (IPv4 client, IPv6 peer), "v6v4" into the families. 0 or -EINVAL.
int flow_plan_family_parse(const char *text, struct flow_plan *out);

// Ethernet addresses of a bench without a kernel beside its ports.
extern const uint8_t flow_plan_relay_mac[6];
extern const uint8_t flow_plan_outside_mac[6]; // of every client and peer

#endif
