// All paths of a run: two arrays, upward and downward. One thread.
#ifndef TP_BENCH_FLOW_SET_H
#define TP_BENCH_FLOW_SET_H

#include "bench/blast/flow_plan.h"
#include "bench/blast/frame.h"

struct flow_set {
	struct flow_plan plan;
	struct frame_use use;
	struct frame_macs macs;
	struct frame_path *up;
	struct frame_path *down;
	struct ip_endpoint *relayed; // by flow, where a server chose them; NULL: as planned
};

// Allocates the arrays and fills them from plan, use, macs and relayed. 0 or -ENOMEM.
int flow_set_fill(struct flow_set *s);
void flow_set_free(struct flow_set *s);
// The flow's addresses with the relayed one of the server.
void flow_set_addresses(const struct flow_set *s, uint32_t i, struct flow_addresses *out);

#endif
