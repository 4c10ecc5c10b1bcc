// A control plane's tables in a directory of their own, and the workers' memory as the test's to write. One thread.
#ifndef TP_TEST_SFU_RIG_H
#define TP_TEST_SFU_RIG_H

#include "controlplane/sfu/sfu.h"
#include "controlplane/table_writer_sfu.h"

#define SFU_RIG_SESSIONS      24
#define SFU_RIG_SUBSCRIPTIONS 192

// Two IPv4 and IPv6 listeners, an SFU with room for SFU_RIG_SESSIONS, two workers. The tables do not keep it: it lives until the process ends.
struct config *sfu_rig_config(void);
void sfu_rig_tables_open(struct table_writer *w, struct config *c);
// As a control plane that died without a word, and its successor.
void sfu_rig_tables_reopen(struct table_writer *w, struct config *c);
void sfu_rig_tables_open_again(struct table_writer *w, struct config *c);
void sfu_rig_tables_close(struct table_writer *w);

// What workers write, mapped writable.
struct shm_workers *sfu_rig_workers(void);
struct shm_sfu_state_view sfu_rig_state(const struct table_writer *w);

// The SFU over such tables.
struct sfu_rig {
	struct table_writer tables;
	struct config *config;
	struct sfu *sfu;
	uint64_t now_ns;
	struct shm_workers *workers;
	struct shm_sfu_state_view state;
};

void sfu_rig_open(struct sfu_rig *r, struct config *c);
// CLOCK_MONOTONIC: what sessions are dated by.
uint64_t sfu_rig_now_ns(void);
// A control plane that died, and the next one.
void sfu_rig_reopen(struct sfu_rig *r, struct config *c);
void sfu_rig_close(struct sfu_rig *r);
// A recorded offer of a browser; NUL-terminated, valid until the next one.
const char *sfu_rig_offer(const char *name);
// Joins with such an offer; the caller frees out->body.
void sfu_rig_join(struct sfu_rig *r, enum sfu_role role, const char *room, const char *participant,
		  const char *offer_name, struct sfu_reply *out);
// The same, and it must work. Returns the transport's index; the id goes to session_id unless NULL.
uint32_t sfu_rig_joined(struct sfu_rig *r, enum sfu_role role, const char *room,
			const char *participant, const char *offer_name,
			char session_id[SFU_SESSION_ID_BYTES]);
// A worker takes the transport, as after the first authenticated check, and says so.
void sfu_rig_own(struct sfu_rig *r, uint32_t transport_idx, uint32_t worker_idx);
// What a worker hands up.
void sfu_rig_punt(struct sfu_rig *r, uint32_t worker_idx, uint32_t transport_idx, uint8_t kind,
		  const void *bytes, size_t n_bytes);
// The track that a publisher sends of a kind; the n-th slot of a watcher.
uint32_t sfu_rig_track(const struct sfu_rig *r, uint32_t transport_idx, uint8_t kind);
uint32_t sfu_rig_slot(const struct sfu_rig *r, uint32_t transport_idx, uint32_t n);
// Whether a track's list at a worker names the subscription.
bool sfu_rig_lists(const struct sfu_rig *r, uint32_t track_idx, uint32_t worker_idx,
		   uint32_t subscription_idx);
// How many lists name it, over all tracks and workers.
uint32_t sfu_rig_count_lists(const struct sfu_rig *r, uint32_t subscription_idx);

#endif
