// Requests that workers hand up, and the answers they take back: the punt rings' consumer, the
// inject rings' producer. Control plane's loop thread.
#ifndef TP_PUNT_H
#define TP_PUNT_H

#include <stdint.h>

#include "controlplane/table_writer.h"
#include "controlplane/turn/server.h"

struct event_base;
struct punt;
struct sfu;
struct turn_dtls;
struct turn_streams;

// At most so many datagrams of one ring before the next one has its turn.
#define PUNT_BATCH        64
#define PUNT_STREAM_BATCH 512

struct punt_stats {
	uint64_t n_wakes;
	uint64_t n_datagrams; // taken from punt rings
	uint64_t n_answers;   // put into inject rings
	uint64_t
		n_inject_full; // answers lost because the inject ring was full; the client sends again
	uint64_t n_invalid;    // datagrams that name nothing of ours
};

int punt_new(struct event_base *base, struct table_writer *tables, struct turn_server *turn,
	     const char *instance, struct punt **out);
void punt_free(struct punt *p);
// From now on what concerns the SFU goes there; NULL = nowhere.
void punt_attach_sfu(struct punt *p, struct sfu *sfu);
// DTLS records that are no transport's of the SFU go there; NULL = nowhere.
void punt_attach_dtls(struct punt *p, struct turn_dtls *dtls);
// And what workers have for TURN clients on streams goes there.
void punt_attach_streams(struct punt *p, struct turn_streams *streams);
const struct punt_stats *punt_stats(const struct punt *p);
// Handles what is in the rings now, one batch each; returns how many datagrams. For the loop and
// for tests.
uint32_t punt_drain(struct punt *p, uint64_t now_ns, uint64_t wall_ns);

#endif
