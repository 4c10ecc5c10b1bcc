// The SFU's control plane: sessions that signaling makes (session.h), their associations, rooms and bandwidth. It moves no media;
// it decides what the workers read in the tables. One thread: the control plane's loop. Writes through table_writer alone.
#ifndef TP_SFU_H
#define TP_SFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sfu/session.h"

struct config;
struct dtls_counters;
struct event_base;
struct shm_datagram;
struct table_writer;

struct sfu_counters {
	uint64_t n_joined[SFU_ROLE_COUNT];
	uint64_t n_refused[SFU_STATUS_COUNT];
	uint64_t n_ended[8]; // by enum sfu_end
	uint64_t n_adopted;
	uint64_t n_undone;    // half-made entries of a predecessor
	uint64_t n_restarts;  // of ICE
	uint64_t n_plan_ops;  // operations on lists and slots
	uint64_t n_list_full; // a list that had to wait for room in the pool
	uint64_t n_invalid;   // datagrams of workers that name nothing
	uint64_t n_inject_full;
	uint64_t n_probes;
};

struct sfu_figures {
	uint32_t n_sessions;
	uint32_t n_rooms;
	uint32_t n_publishers;
	uint32_t n_watchers;
};

// Takes over what stands in the tables. The DTLS certificate is kept in state_dir. `config` and `tables` must outlive it, or be replaced
// by sfu_reload. -EINVAL: no candidate address; -EIO: OpenSSL; -ENOMEM.
int sfu_new(const struct config *config, struct table_writer *tables, const char *state_dir,
	    uint64_t now_ns, struct sfu **out);
// Adds data channels, whose timers need the loop. -ENOMEM.
int sfu_start(struct sfu *s, struct event_base *base);
// Frees memory; the sessions go on without us.
void sfu_free(struct sfu *s);
void sfu_reload(struct sfu *s, const struct config *config);
// From now on joins are refused, so that the sessions can run out; or not any more.
void sfu_drain(struct sfu *s, bool is_draining);
// What a worker handed up: kinds DTLS, SFU_EVENT, SFU_FEEDBACK. `d` is the caller's copy; its content is not trusted.
void sfu_handle_datagram(struct sfu *s, uint32_t worker_idx, const struct shm_datagram *d,
			 size_t n_bytes, uint64_t now_ns);
// About twenty times a second: retransmissions, bandwidth, expiry.
#define SFU_TICK_US 50000
void sfu_tick(struct sfu *s, uint64_t now_ns);

const struct sfu_counters *sfu_counters(const struct sfu *s);
const struct dtls_counters *sfu_dtls_counters(const struct sfu *s);
void sfu_figures(const struct sfu *s, struct sfu_figures *out);
// Static name of what ended a session: "left", "silent", …; NULL behind the last.
const char *sfu_end_name(uint32_t end);

#endif
