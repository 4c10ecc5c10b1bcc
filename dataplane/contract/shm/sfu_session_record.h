// What the control plane must remember of each session of the SFU for its successor, beside what stands in the tables that the
// workers read: names, the ids that HTTP clients hold, and what of the offer later answers need. Segment `sessions`: control
// plane only, mode 0600, never dumped.
#ifndef TP_SHM_SFU_SESSION_RECORD_H
#define TP_SHM_SFU_SESSION_RECORD_H

#include "dataplane/contract/shm/layout.h"

#define SHM_SESSION_ID_BYTES   40
#define SHM_SESSION_ETAG_BYTES 24
#define SHM_SESSION_NAME_BYTES 64
#define SHM_SESSION_MIDS_MAX   32
#define SHM_SESSION_MID_BYTES  16
#define SHM_SESSION_HASH_BYTES 64

#define SHM_SESSION_F_WAITS 0x01 // watcher: joined before anybody published
#define SHM_SESSION_F_DATA  0x02 // has a section for data channels
// One session; index as shm_sfu_transport, whose chains hold its tracks or subscriptions in the order of the offer. Texts are
// NUL-padded.
// off size field                  writer meaning
//   0    4 serial                 cp     of the transport; 0 = none; atomic, stored last
//   4    1 role                   cp     enum sfu_role
//   5    1 setup                  cp     enum sdp_setup, ours
//   6    1 flags                  cp     SHM_SESSION_F_*
//   7    1 n_mids                 cp     accepted sections
//   8    8 created_at_ns          cp     CLOCK_MONOTONIC
//  16    8 version                cp     of the description, counts from 1
//  24   40 session_id             cp     128 random bits in hex: whoever knows it may end the session
//  64   24 etag                   cp
//  88   64 room                   cp
// 152   64 participant            cp     publisher: its name; watcher: the publisher wanted, "" = all
// 216    1 fingerprint_hash       cp     enum sdp_hash, of the client's certificate
// 217    1 fingerprint_bytes      cp
// 218   64 fingerprint            cp
// 282    1 tag_kind               cp     enum sdp_kind of the tagged section (RFC 9143 §7.2)
// 283    1 reserved               cp     0
// 284   28 tag_format             cp     a format of its m= line
// 312    2 sctp_port              cp     the client's, 0 = no data channels
// 314    6 reserved2              cp     0
// 320    8 max_message_size_bytes cp     that the client takes
// 328   56 reserved3              cp     0
// 384  512 mids                   cp     of the accepted sections, 16 bytes each
struct shm_sfu_session {
	uint32_t serial;
	uint8_t role;
	uint8_t setup;
	uint8_t flags;
	uint8_t n_mids;
	uint64_t created_at_ns;
	uint64_t version;
	char session_id[SHM_SESSION_ID_BYTES];
	char etag[SHM_SESSION_ETAG_BYTES];
	char room[SHM_SESSION_NAME_BYTES];
	char participant[SHM_SESSION_NAME_BYTES];
	uint8_t fingerprint_hash;
	uint8_t fingerprint_bytes;
	uint8_t fingerprint[SHM_SESSION_HASH_BYTES];
	uint8_t tag_kind;
	uint8_t reserved;
	char tag_format[28];
	uint16_t sctp_port;
	uint8_t reserved2[6];
	uint64_t max_message_size_bytes;
	uint8_t reserved3[56];
	char mids[SHM_SESSION_MIDS_MAX * SHM_SESSION_MID_BYTES];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sfu_session) == 896, "bump SHM_LAYOUT_VERSION");

// Segment `sessions`; n_sessions records follow, index 0 included.
// off size field      writer meaning
//   0  128 header     cp
// 128    4 n_sessions cp     as shm_sfu.n_transports
struct shm_sessions {
	struct shm_segment_header header;
	uint32_t n_sessions;
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_sessions) == 192, "bump SHM_LAYOUT_VERSION");

static inline size_t shm_sessions_size(uint32_t n_sessions)
{
	return sizeof(struct shm_sessions) + (size_t)n_sessions * sizeof(struct shm_sfu_session);
}

static inline struct shm_sfu_session *shm_sessions_record(void *base, uint32_t transport_idx)
{
	return (struct shm_sfu_session *)((uint8_t *)base + sizeof(struct shm_sessions)) +
	       transport_idx;
}

#endif
