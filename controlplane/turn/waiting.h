// Requests whose user a shared store has to be asked for: kept for a moment, and handled again once it
// has answered. Bounded; what does not fit, or waits too long, is dropped, and the client's
// retransmission finds the answer there. Control plane's loop thread.
#ifndef TP_TURN_WAITING_H
#define TP_TURN_WAITING_H

#include "controlplane/turn/server.h"

#define TURN_WAITING_MAX            256
#define TURN_WAITING_PER_SOURCE_MAX 16 // of an IPv4 address or a /64
#define TURN_WAITING_BYTES_MAX      2048
#define TURN_WAITING_NS             4000000000ull // behind that a client has long given up or sent again

struct turn_waiting_request;

struct turn_waiting {
	struct turn_waiting_request *oldest, *newest;
	uint32_t n;
	uint64_t n_kept; // ever
	uint64_t n_dropped_full;
	uint64_t n_dropped_source;
	uint64_t n_dropped_late;
};

void turn_waiting_fini(struct turn_waiting *w);
// Copies the request; without in->again it is dropped.
void turn_waiting_keep(struct turn_waiting *w, const struct turn_request *in);
// Hands all that are kept now to their `again`, with the clocks of now.
void turn_waiting_run(struct turn_waiting *w, uint64_t now_ns, uint64_t wall_ns);

#endif
