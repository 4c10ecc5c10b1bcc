// The part of table_writer that writes the tables of the SFU: transports, tracks, subscriptions, fan-out lists, ICE passwords and
// SRTP keys, session records. The only code that stores into the segments `sfu`, `srtp` and `sessions`; `sfu_state` it reads.
// One thread: the control plane's loop.
//
// An entry goes from reserved (nobody sees it) to published (its serial is stored last) to withdrawn (serial 0), and is given out again
// when every worker has passed a grace period. Serials are never given twice.
#ifndef TP_TABLE_WRITER_SFU_H
#define TP_TABLE_WRITER_SFU_H

#include "controlplane/table_writer.h"
#include "dataplane/contract/shm/sfu_session_record.h"
#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/contract/shm/sfu_table.h"
#include "dataplane/contract/shm/srtp_keys.h"

struct table_writer_sfu_retired;

// Indices that may be given out.
struct table_writer_stack {
	uint32_t *idx;
	uint32_t n;
};

struct table_writer_sfu {
	struct shm_sfu *sfu;
	struct shm_sfu_view view;
	struct shm_sfu_transport *transport;
	struct shm_sfu_track *track;
	struct shm_sfu_subscription *subscription;
	uint32_t *fanout;
	struct shm_sfu_state_view state; // mapped read-only
	struct table_writer_stack free_transports;
	struct table_writer_stack free_tracks;
	struct table_writer_stack free_subscriptions;
	uint8_t *unit_used; // of the pool of lists, by TABLE_WRITER_UNIT_WORDS
	uint32_t n_units;
	uint32_t next_unit;   // where the search begins
	uint32_t *list_units; // of each track at each worker: units of its block
	struct table_writer_sfu_retired *retired; // ring
	uint32_t n_retired_max;
	uint32_t retired_head;
	uint32_t n_retired;
};

#define TABLE_WRITER_UNIT_WORDS 8

static inline const struct shm_sfu_view *table_writer_sfu_view(const struct table_writer *w)
{
	return &w->sfu->view;
}

// ---- transports, tracks, subscriptions

// A free index, its entry filled with zeros; 0 when none is left. A transport's records in `srtp` and `sessions` come with it.
uint32_t table_writer_transport_reserve(struct table_writer *w);
uint32_t table_writer_track_reserve(struct table_writer *w);
uint32_t table_writer_subscription_reserve(struct table_writer *w);
// Gives back what was reserved and not published.
void table_writer_transport_unreserve(struct table_writer *w, uint32_t idx);
void table_writer_track_unreserve(struct table_writer *w, uint32_t idx);
void table_writer_subscription_unreserve(struct table_writer *w, uint32_t idx);
// Stores a copy under a new serial; `serial` in it is ignored, and so are a track's lists, which begin empty. Returns the serial.
uint32_t table_writer_transport_publish(struct table_writer *w, uint32_t idx,
					const struct shm_sfu_transport *t, const char *ice_pwd);
uint32_t table_writer_track_publish(struct table_writer *w, uint32_t idx,
				    const struct shm_sfu_track *t);
uint32_t table_writer_subscription_publish(struct table_writer *w, uint32_t idx,
					   const struct shm_sfu_subscription *s);
// Unpublishes; wipes the keys of a transport, gives back the lists of a track. A subscription leaves its lists before.
void table_writer_transport_withdraw(struct table_writer *w, uint32_t idx);
void table_writer_track_withdraw(struct table_writer *w, uint32_t idx);
void table_writer_subscription_withdraw(struct table_writer *w, uint32_t idx);

// ---- single words, atomic

void table_writer_subscription_set_track(struct table_writer *w, uint32_t idx, uint32_t track_idx);
void table_writer_subscription_set_target(struct table_writer *w, uint32_t idx, uint32_t target);
void table_writer_transport_set_rates(struct table_writer *w, uint32_t idx, uint64_t pace_bps,
				      uint64_t target_bps);
// A probe of so many packets at that rate; ids differ from the last one's.
void table_writer_transport_probe(struct table_writer *w, uint32_t idx, uint16_t id,
				  uint16_t n_pkts, uint32_t kbps);

// ---- fan-out lists

// Makes these subscriptions the list of a track at a worker, as a whole. What only grows within its block is not copied. 0; -ENOSPC
// when the pool is full and the list would grow: it stays as it was. A list that only shrinks never fails.
int table_writer_list_set(struct table_writer *w, uint32_t track_idx, uint32_t worker_idx,
			  const uint32_t *subscriptions, uint32_t n);

// ---- ICE and SRTP

// RFC 8445 §9: new credentials; checks with the old ones are answered until table_writer_ice_settle.
void table_writer_ice_restart(struct table_writer *w, uint32_t transport_idx, const char *ufrag,
			      const char *pwd);
void table_writer_ice_settle(struct table_writer *w, uint32_t transport_idx);

struct table_writer_srtp {
	uint32_t profile; // enum dp_srtp_profile
	const uint8_t *rx_key;
	const uint8_t *tx_key;
	const uint8_t *rx_salt;
	const uint8_t *tx_salt;
	size_t key_bytes; // at most SHM_SRTP_KEY_MAX
	size_t salt_bytes;
};
// Puts keys of a handshake in force, under the next generation.
void table_writer_srtp_set(struct table_writer *w, uint32_t transport_idx,
			   const struct table_writer_srtp *keys);
// Generation of the keys in force, 0 = none.
uint32_t table_writer_srtp_generation(const struct table_writer *w, uint32_t transport_idx);

// ---- session records

// Stores a copy under the transport's serial, or replaces the one that stands there.
void table_writer_session_store(struct table_writer *w, uint32_t transport_idx,
				const struct shm_sfu_session *s);
void table_writer_session_remove(struct table_writer *w, uint32_t transport_idx);
// NULL when none belongs to the transport.
const struct shm_sfu_session *table_writer_session(const struct table_writer *w,
						   uint32_t transport_idx);

// ---- what workers wrote; NULL when the record is of a predecessor

const struct shm_sfu_transport_state *table_writer_transport_state(const struct table_writer *w,
								   uint32_t transport_idx);
const struct shm_sfu_ingress_state *table_writer_ingress_state(const struct table_writer *w,
							       uint32_t track_idx, uint32_t layer);
const struct shm_sfu_egress_state *table_writer_egress_state(const struct table_writer *w,
							     uint32_t subscription_idx);
// The worker that owns a transport, plus 1; 0 = nobody, or one that there is not.
uint32_t table_writer_transport_owner(const struct table_writer *w, uint32_t transport_idx);

#endif
