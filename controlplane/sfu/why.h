// Why a session has no media, or not all of it: the first cause on the way from its client to its client, as one sentence with a remedy.
// Reads tables and worker state, changes nothing. One thread: the control plane's loop.
#ifndef TP_SFU_WHY_H
#define TP_SFU_WHY_H

#include "controlplane/sfu/state.h"

struct sfu_cause {
	const char *reason; // static name; NULL: nothing is wrong
	const char *remedy; // static; NULL where there is nothing to do
	char text[240];
};

// From the client's checks to its keys.
void sfu_why_transport(const struct sfu_session *session, uint64_t now_ns, struct sfu_cause *out);
// What a publisher sends in a section. The transport comes first.
void sfu_why_track(const struct sfu_session *session, uint32_t kind, uint64_t now_ns,
		   struct sfu_cause *out);
// What a watcher gets in its n-th section.
void sfu_why_slot(const struct sfu_session *session, uint32_t slot, uint64_t now_ns,
		  struct sfu_cause *out);
// The first of all of them.
void sfu_why(const struct sfu_session *session, uint64_t now_ns, struct sfu_cause *out);

#endif
