// Tells Redis of allocations and their traffic as coturn does, so that what bills by its messages goes
// on working:
//   turn/realm/<realm>/user/<user>/allocation/<id>/status         "new lifetime=600", "refreshed
//                                                                 lifetime=600", "deleted"; kept as a
//                                                                 key too while the allocation lives
//   …/traffic                                                     "rcvp=1, rcvb=2, sentp=3, sentb=4":
//                                                                 from and to the client, since the
//                                                                 last such message
//   …/total_traffic                                               the same from its begin to its end
//   …/traffic/peer, …/total_traffic/peer                          from and to its peers
// Traffic is told in a fixed rhythm, whatever it is, and through a bounded queue: a Redis that is slow
// or away costs no session anything. Control plane's loop thread.
#ifndef TP_TURN_ACCOUNTING_H
#define TP_TURN_ACCOUNTING_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"

struct accounting;
struct event_base;
struct turn_server;

#define ACCOUNTING_QUEUE_MAX 4096 // messages that wait for Redis

struct accounting_stats {
	uint64_t n_told; // messages that Redis took
	uint64_t n_lost; // messages that found the queue full, or Redis refused
	uint32_t n_queued;
	bool is_up;
};

// Observes the server from now on; both must outlive it. 0 or -errno.
int accounting_new(struct event_base *base, const struct config *config, struct turn_server *turn,
		   struct accounting **out);
void accounting_free(struct accounting *a);
struct accounting_stats accounting_stats(const struct accounting *a);

#endif
