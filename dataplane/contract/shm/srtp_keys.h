// The SFU's secrets: ICE passwords and SRTP master keys, one record per transport. Segment `srtp`: mode 0600, MADV_DONTDUMP,
// written by the control plane, read by the workers; the CLI never maps it. Wiped when the session ends.
#ifndef TP_SHM_SRTP_KEYS_H
#define TP_SHM_SRTP_KEYS_H

#include "dataplane/contract/shm/layout.h"

#define SHM_ICE_PWD_MAX   32
#define SHM_SRTP_KEY_MAX  32 // AES-256
#define SHM_SRTP_SALT_MAX 14
// Index as shm_sfu_transport. `ice_serial` and `srtp_serial` are stored last with release, and set to 0 before a record is changed;
// a reader copies the record and looks at serial and version again behind the copy.
// off size field             writer meaning
//   0    4 ice_serial        cp     serial of the transport that the ICE fields belong to, 0 = none; atomic
//   4    4 ice_version       cp     counts ICE restarts; atomic
//   8   32 ice_pwd           cp     ours: key of MESSAGE-INTEGRITY in checks and answers
//  40    1 ice_pwd_bytes     cp
//  41    1 old_ice_pwd_bytes cp     0 = no ICE restart is under way
//  42    1 old_ufrag_bytes   cp
//  43    5 reserved          cp     0
//  48   32 old_ice_pwd       cp     before the restart
//  80   32 old_ufrag         cp     before the restart
// 112    4 srtp_serial       cp     serial of the transport that the SRTP fields belong to, 0 = none; atomic
// 116    4 srtp_generation   cp     counts handshakes, from 1
// 120    4 profile           cp     enum dp_srtp_profile
// 124    4 reserved2         cp     0
// 128   32 rx_key            cp     master key of what the client sends
// 160   32 tx_key            cp     master key of what we send
// 192   14 rx_salt           cp
// 206   14 tx_salt           cp
// 220    4 reserved3         cp     0
struct shm_srtp_keys {
	uint32_t ice_serial;
	uint32_t ice_version;
	char ice_pwd[SHM_ICE_PWD_MAX];
	uint8_t ice_pwd_bytes;
	uint8_t old_ice_pwd_bytes;
	uint8_t old_ufrag_bytes;
	uint8_t reserved[5];
	char old_ice_pwd[SHM_ICE_PWD_MAX];
	char old_ufrag[SHM_ICE_PWD_MAX];
	uint32_t srtp_serial;
	uint32_t srtp_generation;
	uint32_t profile;
	uint8_t reserved2[4];
	uint8_t rx_key[SHM_SRTP_KEY_MAX];
	uint8_t tx_key[SHM_SRTP_KEY_MAX];
	uint8_t rx_salt[SHM_SRTP_SALT_MAX];
	uint8_t tx_salt[SHM_SRTP_SALT_MAX];
	uint8_t reserved3[4];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_srtp_keys) == 256, "bump SHM_LAYOUT_VERSION");

// Segment `srtp`; n_transports records follow, index 0 included.
// off size field        writer meaning
//   0  128 header       cp
// 128    4 n_transports cp
struct shm_srtp {
	struct shm_segment_header header;
	uint32_t n_transports;
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_srtp) == 192, "bump SHM_LAYOUT_VERSION");

static inline size_t shm_srtp_size(uint32_t n_transports)
{
	return sizeof(struct shm_srtp) + (size_t)n_transports * sizeof(struct shm_srtp_keys);
}

static inline struct shm_srtp_keys *shm_srtp_record(void *base, uint32_t transport_idx)
{
	return (struct shm_srtp_keys *)((uint8_t *)base + sizeof(struct shm_srtp)) + transport_idx;
}

#endif
