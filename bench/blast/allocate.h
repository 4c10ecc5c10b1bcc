// Real allocations for the generator's flows: the TURN clients, over the generator's own port. One thread, the one that
// polls the port.
#ifndef TP_BENCH_ALLOCATE_H
#define TP_BENCH_ALLOCATE_H

#include "bench/blast/flow_set.h"
#include "bench/blast/port.h"
#include "bench/blast/trial.h"
#include "bench/blast/turn_client.h"

struct allocate {
	struct turn_client *client;
	struct blast_port *port;
	struct flow_set *flows;
	uint64_t live_ns; // when permissions and channels were last made
};

int allocate_create(struct allocate *a, struct blast_port *port, struct flow_set *flows,
		    const char *user, const char *password, uint32_t window);
void allocate_destroy(struct allocate *a);

// Allocates every flow, tells flows->relayed, makes permissions and channels. 0; -EPROTO when some failed (the reason
// is printed).
int allocate_flows(struct allocate *a);
// Makes permissions and channels anew when they are older than two minutes. 0 or -EPROTO.
int allocate_renew(struct allocate *a);
// Deletes all allocations.
void allocate_release(struct allocate *a);

// Full cycles for that time, at most `rate` per second (0: no limit).
int allocate_cycles(struct allocate *a, double rate, double seconds, double *out_per_sec);

// A trial_other_fn: hands STUN to the clients, answers ARP and neighbour solicitations. `arg` is the struct allocate;
// client may be NULL.
void allocate_other(void *arg, const uint8_t *frame, uint32_t frame_bytes);

#endif
