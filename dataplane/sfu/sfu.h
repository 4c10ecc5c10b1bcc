// The SFU's part of a worker. Two halves meet here: reception (transport, ICE, SRTP in, RTCP in, feedback to publishers) and
// transmission (selection, rewriting, pacing, SRTP out, retransmission, reports to watchers). A worker's thread throughout.
#ifndef TP_DP_SFU_H
#define TP_DP_SFU_H

#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/contract/shm/srtp_keys.h"
#include "dataplane/sfu/media.h"
#include "dataplane/srtp/srtp.h"
#include "dataplane/worker.h"

// What all workers of a process share of the SFU; dp_shared.sfu, NULL when none is configured.
struct dp_sfu_shared {
	struct shm_sfu_view table;
	struct shm_sfu_state_view state;
	const void *keys_base; // segment `srtp`, with a record per transport of the table
	uint32_t media_mbufs;  // plaintext buffers of each worker
	uint64_t remote_seed;  // of the tables of clients' addresses
	struct dp_sfu_remote_table *remotes[SHM_WORKERS_MAX]; // each written by its worker alone
	struct rte_ring *exchange[SHM_WORKERS_MAX][SHM_WORKERS_MAX]; // from, to
};

// ---- transports (reception half; sfu/transport.c)

// The keys of a transport as this worker uses them; made when the control plane has stored them, made anew when their
// generation changes, wiped with the transport.
struct dp_sfu_transport {
	uint32_t serial; // of the table entry that this stands for, 0 = nothing
	uint32_t srtp_generation;
	uint32_t profile;
	struct dp_srtp_context *rx; // NULL: no keys yet
	struct dp_srtp_context *tx;
	uint64_t n_tx_pkts; // under these keys; RFC 5764 §4.4
};

// The transport of an index, if this worker owns it, with keys up to date; NULL otherwise.
struct dp_sfu_transport *dp_sfu_transport_get(struct dp_worker *w, uint32_t transport_idx);

// ---- sending to a client (sfu/send.c)

// Room that must be free in front of a UDP payload for the headers toward any client.
#define DP_SFU_HEADER_ROOM 72

// Puts Ethernet, IP and UDP in front of the UDP payload in `m` and queues it toward the transport's client: to a port, or back
// through the relay where the client comes over one of our own allocations. Checksums are written. The mbuf is gone.
void dp_sfu_send(struct dp_worker *w, uint32_t transport_idx, struct rte_mbuf *m);
// Protects a compound RTCP packet (plaintext, RFC 3550 or reduced size) and sends it. False when there are no keys or no memory.
bool dp_sfu_send_rtcp(struct dp_worker *w, uint32_t transport_idx, const uint8_t *packet,
		      uint32_t packet_bytes);

// ---- clients behind our own relay (sfu/inside.c)

// A permitted datagram of an allocation whose destination is a listener of ours: true when it is the SFU's and its stage has it;
// false leaves the packet to the caller.
bool dp_sfu_inside_up(struct dp_worker *w, struct dp_packet *p, uint8_t local_idx);
// Takes a finished frame toward a relayed address of ours; it is relayed at the end of the poll. The mbuf is gone.
void dp_sfu_inside_push(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf *m);
// Relays what was pushed; returns how many packets moved. Not within a stage.
uint32_t dp_sfu_inside_poll(struct dp_worker *w);

// ---- what transmission asks of reception (sfu/upstream.c)

// Asks the publisher for a key frame of a layer; throttled per encoding and merged, from any worker.
void dp_sfu_request_keyframe(struct dp_worker *w, uint32_t track_idx, uint32_t layer);

// ---- what reception hands to transmission

// Decrypted packets, verified and classified, to every subscription that this worker serves. Takes a reference of its own where
// it keeps a packet; the caller's stays the caller's. Packets may be of different tracks; those of one track are in order of
// arrival.
void dp_sfu_forward_burst(struct dp_worker *w, struct rte_mbuf **plain, uint32_t n);

// From verified RTCP of a watcher.
void dp_sfu_on_nack(struct dp_worker *w, uint32_t subscription_idx, const uint16_t *sequences,
		    uint32_t n);
void dp_sfu_on_keyframe_request(struct dp_worker *w, uint32_t subscription_idx);
struct rtcp_report_block;
void dp_sfu_on_report_block(struct dp_worker *w, uint32_t subscription_idx,
			    const struct rtcp_report_block *block);
struct rtcp_twcc;
void dp_sfu_on_twcc(struct dp_worker *w, uint32_t transport_idx, const struct rtcp_twcc *feedback);
// A sender report of a publisher: what watchers get as theirs is made from it.
void dp_sfu_on_sender_report(struct dp_worker *w, uint32_t track_idx, uint32_t layer);

// ---- life: with the worker's; `sfu_rx` and `sfu_tx` of the worker are set and freed. Transmission is made last and freed first.

int dp_sfu_receive_create(struct dp_worker *w);
void dp_sfu_receive_destroy(struct dp_worker *w);
int dp_sfu_transmit_create(struct dp_worker *w);
void dp_sfu_transmit_destroy(struct dp_worker *w);

// ---- the worker's loop. `now_ns` of the worker is fresh in each poll; what must be done soon sets `wake_by_ns`, which each poll
// begins with UINT64_MAX.

// Once per poll: the pacer's due packets, rings of other workers, timers. Returns how many packets moved.
uint32_t dp_sfu_receive_poll(struct dp_worker *w);
uint32_t dp_sfu_transmit_poll(struct dp_worker *w);

#endif
