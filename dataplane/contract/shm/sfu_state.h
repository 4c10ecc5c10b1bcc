// What workers write about the SFU's sessions: who owns a transport and where its client is, SRTP indices and replay windows,
// what the rewriting of each subscription has come to, and figures for operators. Segment `sfu_state`: written by the dataplane,
// mapped read-only by the control plane. It outlives the dataplane: the next one goes on from it, so that no client notices and
// no SRTP index is used twice.
//
// Every record belongs to the entry of sfu_table.h of the same index (ingress: track index * SHM_SFU_LAYERS_MAX + layer) as long as
// `serial` agrees; with another serial it is void and begun anew by the owner. Writer: the worker that owns the transport.
#ifndef TP_SHM_SFU_STATE_H
#define TP_SHM_SFU_STATE_H

#include "dataplane/contract/shm/sfu_table.h"

// RFC 3711 §3.3.2, kept by replay.h of the dataplane; all zero before the first packet.
// off size field      writer meaning
//   0    8 highest    dp     the highest index that was verified
//   8   16 seen       dp     bit k: highest - k was verified
//  24    1 is_started dp     0 until the first
//  25    7 reserved   dp     0
struct shm_srtp_window {
	uint64_t highest;
	uint64_t seen[2];
	uint8_t is_started;
	uint8_t reserved[7];
};
static_assert(sizeof(struct shm_srtp_window) == 32, "bump SHM_LAYOUT_VERSION");

#define SHM_SRTCP_SENDERS_MAX 16

// The window of one RTCP sender: its SSRC has a context, and so an index, of its own (RFC 3711 §3.2.3, §3.4).
// off size field     writer meaning
//   0   32 window    dp
//  32    4 ssrc      dp
//  36    4 used_at_s dp     CLOCK_MONOTONIC; the longest unused one makes room
struct shm_srtcp_sender {
	struct shm_srtp_window window;
	uint32_t ssrc;
	uint32_t used_at_s;
};
static_assert(sizeof(struct shm_srtcp_sender) == 40, "bump SHM_LAYOUT_VERSION");

enum shm_sfu_phase {
	SHM_SFU_WAITS = 0, // no authenticated check yet
	SHM_SFU_CHECKED,   // a check was answered; DTLS may begin
	SHM_SFU_NOMINATED, // USE-CANDIDATE was seen on the pair in use
	SHM_SFU_PHASE_COUNT
};
// One transport. `owner` is claimed by compare-and-swap by the first worker that gets an authenticated check; all else is the owner's.
// off size field           writer meaning
//   0    4 serial          dp     of the transport
//   4    4 owner           dp     worker index + 1, 0 = nobody; atomic
//   8   16 remote_address  dp     the client, network order, IPv4-mapped
//  24    2 remote_port_be  dp
//  26    2 local_port_be   dp
//  28    1 local_idx       dp     index into settings.local
//  29    1 phase           dp     enum shm_sfu_phase; atomic
//  30    1 is_fused        dp     1: the client comes through a relay address of ours
//  31    1 reserved        dp     0
//  32    8 l2_word         dp     where it was last seen, as in neighbour_table.h
//  40    8 last_check_ns   dp     CLOCK_MONOTONIC of the last authenticated check; RFC 7675 consent is the client's own
//  48    8 last_rx_ns      dp     of the last verified packet
//  56    4 srtp_generation dp     of the keys that the indices below belong to
//  60    4 srtcp_tx_index  dp     next one to send, 31 bits; stored before the packet is
//  64    8 twcc_sequence   dp     next transport-wide sequence number, unwrapped; low 16 bits are sent
//  72    8 rx_pkts         dp
//  80    8 rx_bytes        dp     of UDP payload
//  88    8 tx_pkts         dp
//  96    8 tx_bytes        dp
// 104    8 n_refused       dp     not authentic, replayed, or of no known stream
// 112    8 remb_bps        dp     last REMB of the client, 0 = none
// 120    8 remb_at_ns      dp
// 128    4 rtt_us          dp     from LSR and DLSR of its reports, 0 = unknown
// 132    4 loss_q8         dp     fraction lost of its last report, of 256
// 136    8 report_at_ns    dp     of the last receiver report
// 144    8 n_probe_pkts    dp     sent to fill probes up
// 152    4 probe_id        dp     last cluster that was sent
// 156    4 pacer_bytes     dp     queued in the pacer
// 160  640 srtcp_rx        dp     of what the client sends
struct shm_sfu_transport_state {
	uint32_t serial;
	uint32_t owner;
	uint8_t remote_address[16];
	uint16_t remote_port_be;
	uint16_t local_port_be;
	uint8_t local_idx;
	uint8_t phase;
	uint8_t is_fused;
	uint8_t reserved;
	uint64_t l2_word;
	uint64_t last_check_ns;
	uint64_t last_rx_ns;
	uint32_t srtp_generation;
	uint32_t srtcp_tx_index;
	uint64_t twcc_sequence;
	uint64_t rx_pkts;
	uint64_t rx_bytes;
	uint64_t tx_pkts;
	uint64_t tx_bytes;
	uint64_t n_refused;
	uint64_t remb_bps;
	uint64_t remb_at_ns;
	uint32_t rtt_us;
	uint32_t loss_q8;
	uint64_t report_at_ns;
	uint64_t n_probe_pkts;
	uint32_t probe_id;
	uint32_t pacer_bytes;
	struct shm_srtcp_sender srtcp_rx[SHM_SRTCP_SENDERS_MAX];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_transport_state) == 832, "bump SHM_LAYOUT_VERSION");

// One encoding that a publisher sends.
// off size field           writer meaning
//   0    4 serial          dp     of the track
//   4    4 ssrc            dp     told by the offer or learnt; 0 = nothing yet
//   8    4 rtx_ssrc        dp
//  12    4 bitrate_bps     dp     of the last second
//  16   32 window          dp     of ssrc
//  48   32 rtx_window      dp     of rtx_ssrc
//  80    8 pkts            dp
//  88    8 bytes           dp     of payload
//  96    8 n_lost          dp     by RFC 3550 appendix A.3, never below 0
// 104    8 n_repaired      dp     came by RTX
// 112    8 n_nacks         dp     asked for
// 120    8 n_keyframes     dp
// 128    8 n_plis          dp     key frames asked for
// 136    8 last_rx_ns      dp
// 144    8 sr_ntp          dp     of the last sender report
// 152    8 sr_at_ns        dp     when it came
// 160    4 sr_rtp          dp     its RTP time
// 164    4 sr_pkts         dp     its packet count
// 168    4 jitter_ticks    dp     RFC 3550 §6.4.1
// 172    4 frames          dp     video: markers seen
// 176    1 audio_level     dp     smoothed, -dBov, 127 = silence or unknown
// 177    1 voice           dp     the V bit of RFC 6464
// 178    1 temporal_layers dp     highest temporal id seen in the last seconds, plus 1
// 179    1 spatial_layers  dp     of an SVC stream
// 180   16 temporal_bps    dp     bitrate_bps up to each temporal layer
// 196    4 reserved        dp     0
struct shm_sfu_ingress_state {
	uint32_t serial;
	uint32_t ssrc;
	uint32_t rtx_ssrc;
	uint32_t bitrate_bps;
	struct shm_srtp_window window;
	struct shm_srtp_window rtx_window;
	uint64_t pkts;
	uint64_t bytes;
	uint64_t n_lost;
	uint64_t n_repaired;
	uint64_t n_nacks;
	uint64_t n_keyframes;
	uint64_t n_plis;
	uint64_t last_rx_ns;
	uint64_t sr_ntp;
	uint64_t sr_at_ns;
	uint32_t sr_rtp;
	uint32_t sr_pkts;
	uint32_t jitter_ticks;
	uint32_t frames;
	uint8_t audio_level;
	uint8_t voice;
	uint8_t temporal_layers;
	uint8_t spatial_layers;
	uint32_t temporal_bps[4];
	uint8_t reserved[4];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_ingress_state) == 256, "bump SHM_LAYOUT_VERSION");

// One subscription. Indices are stored before the packets that carry them are sent.
// off size field               writer meaning
//   0    4 serial              dp     of the subscription
//   4    4 srtp_generation     dp     of the keys that the indices belong to
//   8    8 next_index          dp     of SRTP: ROC << 16 | sequence of the next packet
//  16    8 next_rtx_index      dp     the same of the RTX stream
//  24    4 track_serial        dp     what the offsets below were made for
//  28    4 track_idx           dp
//  32    4 timestamp_offset    dp     added to the publisher's timestamp
//  36    4 last_timestamp      dp     sent
//  40    8 last_tx_ns          dp
//  48    2 picture_id_offset   dp     VP8, VP9: added modulo 2^15
//  50    2 last_picture_id     dp     sent
//  52    2 frame_number_offset dp     dependency descriptor
//  54    2 last_frame_number   dp
//  56    1 tl0_offset          dp     VP8 TL0PICIDX
//  57    1 last_tl0            dp
//  58    1 spatial             dp     layer that is sent; 0xff = none yet
//  59    1 temporal            dp
//  60    1 reason              dp     why this layer: enum shm_sfu_egress_reason
//  61    1 is_acknowledged     dp     a report block named our SSRC: MID is left out
//  62    2 reserved            dp     0
//  64    8 pkts                dp
//  72    8 bytes               dp     of payload
//  80    8 n_rtx               dp     sent again
//  88    8 n_nacks             dp     sequence numbers asked for
//  96    8 n_nacks_missed      dp     that were not in the cache any more
// 104    8 n_plis              dp     key frames it asked for
// 112    8 n_dropped           dp     given up in the pacer
// 120    8 n_switches          dp     of layer or track
// 128    4 loss_q8             dp     of its last report block
// 132    4 jitter_ticks        dp
// 136    4 sr_sent_at_ms       dp     CLOCK_MONOTONIC
// 140    4 reserved2           dp     0
struct shm_sfu_egress_state {
	uint32_t serial;
	uint32_t srtp_generation;
	uint64_t next_index;
	uint64_t next_rtx_index;
	uint32_t track_serial;
	uint32_t track_idx;
	uint32_t timestamp_offset;
	uint32_t last_timestamp;
	uint64_t last_tx_ns;
	uint16_t picture_id_offset;
	uint16_t last_picture_id;
	uint16_t frame_number_offset;
	uint16_t last_frame_number;
	uint8_t tl0_offset;
	uint8_t last_tl0;
	uint8_t spatial;
	uint8_t temporal;
	uint8_t reason;
	uint8_t is_acknowledged;
	uint8_t reserved[2];
	uint64_t pkts;
	uint64_t bytes;
	uint64_t n_rtx;
	uint64_t n_nacks;
	uint64_t n_nacks_missed;
	uint64_t n_plis;
	uint64_t n_dropped;
	uint64_t n_switches;
	uint32_t loss_q8;
	uint32_t jitter_ticks;
	uint32_t sr_sent_at_ms;
	uint8_t reserved2[4];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_egress_state) == 192, "bump SHM_LAYOUT_VERSION");

enum shm_sfu_egress_reason {
	SHM_SFU_EGRESS_IDLE = 0,  // no track, or it sends nothing
	SHM_SFU_EGRESS_FORWARDS,  // what is wanted is sent
	SHM_SFU_EGRESS_WAITS_KEY, // for a key frame of the layer that is wanted
	SHM_SFU_EGRESS_PAUSED,    // by the bandwidth decision
	SHM_SFU_EGRESS_MUTED,     // silent source
	SHM_SFU_EGRESS_NO_KEYS,   // the watcher's DTLS is not done
	SHM_SFU_EGRESS_NO_CODEC,  // the watcher does not take the track's codec
	SHM_SFU_EGRESS_REASON_COUNT
};
// Segment `sfu_state`; transport, ingress and egress records follow, with the counts of shm_sfu. One more header line than it needs, so that
// the control plane's and the workers' words do not share one.
// off size field           writer meaning
//   0  128 header          cp
// 128    4 n_transports    cp
// 132    4 n_tracks        cp
// 136    4 n_subscriptions cp
// 140    4 reserved        cp     0
// 144    8 ingress_offset  cp     n_tracks * SHM_SFU_LAYERS_MAX records
// 152    8 egress_offset   cp     n_subscriptions records
struct shm_sfu_state {
	struct shm_segment_header header;
	uint32_t n_transports;
	uint32_t n_tracks;
	uint32_t n_subscriptions;
	uint32_t reserved;
	uint64_t ingress_offset;
	uint64_t egress_offset;
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_state) == 192, "bump SHM_LAYOUT_VERSION");

struct shm_sfu_state_view {
	struct shm_sfu_transport_state *transport;
	struct shm_sfu_ingress_state *ingress;
	struct shm_sfu_egress_state *egress;
};

size_t shm_sfu_state_size(uint32_t n_transports, uint32_t n_tracks, uint32_t n_subscriptions,
			  struct shm_sfu_state *placement);
// 0, or -EINVAL when the segment is too small for the table's counts or its offsets lie outside.
int shm_sfu_state_view_init(struct shm_sfu_state_view *v, void *base, size_t size_bytes,
			    const struct shm_sfu_view *table);

static inline uint32_t shm_sfu_ingress_idx(uint32_t track_idx, uint32_t layer)
{
	return track_idx * SHM_SFU_LAYERS_MAX + layer;
}

#endif
