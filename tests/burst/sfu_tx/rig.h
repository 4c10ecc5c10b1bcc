// The transmission half of a worker alone: tables and state in memory, plaintext packets in, encrypted frames out, everything of
// the reception half replaced by doubles that take notes. One per process; used by tests and by the bench.
#ifndef TP_TESTS_SFU_TX_RIG_H
#define TP_TESTS_SFU_TX_RIG_H

#include "dataplane/sfu/transmission.h"

#define RIG_FRAMES_MAX 4096

struct rig_frame {
	uint32_t n_bytes;
	uint8_t bytes[1600];
};

struct rig_options {
	uint32_t n_transports;
	uint32_t n_tracks;
	uint32_t n_subscriptions;
	uint32_t retransmit_ms;
	uint32_t media_mbufs;
	bool is_bench; // frames are not kept
	bool has_hugepages;
};

struct rig {
	struct dp_worker *w;
	struct dp_shared *shared;
	struct dp_sfu_shared *sfu;
	struct shm_sfu *table;
	struct shm_sfu_transport *transport;
	struct shm_sfu_track *track;
	struct shm_sfu_subscription *subscription;
	uint32_t *fanout;
	struct shm_sfu_transport_state *transport_state;
	struct shm_sfu_ingress_state *ingress;
	struct shm_sfu_egress_state *egress;
	struct rte_mempool *media_pool;
	struct dp_srtp *srtp;
	struct dp_sfu_transport *keys; // by transport
	struct rig_options options;
	uint32_t n_fanout_used;
	uint32_t n_frames;
	uint32_t n_pushed; // frames ever
	struct rig_frame *frame;
	uint32_t n_rtcp;
	uint8_t rtcp[64][256];
	uint32_t rtcp_bytes[64];
	uint32_t n_keyframes_asked;
	uint32_t asked_track;
	uint32_t asked_layer;
	uint32_t last_serial;
};

extern struct rig rig;

void rig_init(const struct rig_options *o);
void rig_fini(void);
// As after the death of the process: private state is gone, shared state stays.
void rig_restart(void);

// The key material of a transport, as a client would have it.
void rig_key(uint32_t transport_idx, uint32_t generation, uint8_t key[32], uint8_t salt[14]);
// Publishes entries; ids of extensions are 1.. in the enum's order with TWCC, MID and the like.
void rig_transport(uint32_t idx, uint32_t profile);
void rig_rekey(uint32_t idx);
void rig_track(uint32_t idx, uint8_t kind, uint8_t codec, uint8_t n_layers);
void rig_subscription(uint32_t idx, uint32_t transport_idx, uint32_t track_idx);
// The fan-out list of a track on this worker.
void rig_list(uint32_t track_idx, const uint32_t *subscriptions, uint32_t n);

struct rig_packet {
	uint32_t track_idx;
	uint64_t sequence;
	uint32_t timestamp;
	uint8_t layer;
	uint8_t spatial;
	uint8_t temporal;
	uint8_t flags; // DP_SFU_MEDIA_F_*
	const uint8_t *payload;
	uint16_t payload_bytes;
	const uint8_t *dependency; // descriptor, as an extension
	uint8_t dependency_bytes;
};

struct rte_mbuf *rig_media(const struct rig_packet *p);
// Builds, forwards, gives back.
void rig_forward(const struct rig_packet *p);
void rig_advance_ns(uint64_t ns); // and polls

#endif
