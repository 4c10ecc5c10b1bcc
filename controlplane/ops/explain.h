// Why a client's packets arrive or do not: walks what filter and worker would do with them, in
// their order, over the same tables. Changes nothing. Internal to ops; control plane's loop thread.
#ifndef TP_OPS_EXPLAIN_H
#define TP_OPS_EXPLAIN_H

#include "controlplane/ops/ctl_verbs.h"

enum explain_direction {
	EXPLAIN_UP = 0x1,   // client to peer
	EXPLAIN_DOWN = 0x2, // peer to client
	EXPLAIN_BOTH = 0x3,
};

// Of one direction; the first cause found stays.
struct explain_outcome {
	const char *reason; // NULL: relayed. A drop reason's name, or one of explain.c's own
	const char *
		counter; // the worker's or filter's counter that moves with each packet; NULL: none
	char text[256];
	char remedy[256];
};

struct explain {
	struct ctl_call *call;
	const struct engine *engine;
	uint64_t now_ns;

	// Asked.
	struct ip_endpoint client;
	bool has_client;
	struct ip_endpoint listener;
	bool has_listener;
	struct ip_endpoint relayed;
	bool has_relayed;
	struct ip_endpoint peer; // port 0: any
	bool has_peer;
	uint16_t channel; // host order, 0: none named

	// Found.
	bool has_allocation;
	struct turn_allocation_info allocation;
	uint8_t server_idx; // settings.local of the listener and of the relayed address
	uint8_t relay_idx;
	uint16_t bound_channel; // of that peer, 0: none
	bool is_hairpin;

	json_t *steps;
	struct explain_outcome up;
	struct explain_outcome down;
};

// Notes a step that passes, or is worth knowing.
void explain_pass(struct explain *x, unsigned directions, const char *step, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
// Notes a step that ends the packets of those directions.
void explain_drop(struct explain *x, unsigned directions, const char *step, const char *reason,
		  const char *counter, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 7, 8)));

// Before the tables: is there a dataplane, does the filter steer to it, is the address ours.
void explain_reception(struct explain *x);
// Finds the allocation; false when there is none, with the cause noted.
bool explain_allocation(struct explain *x);
// What the tables do with the peer's and the channel's packets.
void explain_peer(struct explain *x);

#endif
