// What the two processes agree on before anything else: names, version and header of the shared segments.
//
// All segments are created by the control plane and only attached by the dataplane:
//   tables   cp writes, dp maps read-only: settings, flow table, neighbour table
//   workers  dp writes, cp maps read-only: worker state, counters, usage per flow
//   rings    a punt, an inject and a stream ring per worker, each side writes its own end
//   keys     cp only, mode 0600, never dumped: allocations with their credentials, for adoption
//   sfu      cp writes, dp maps read-only: transports, tracks, subscriptions, fan-out lists
//   srtp     cp writes, dp maps read-only, mode 0600, never dumped: ICE passwords and SRTP keys
//   sfu_state dp writes, cp maps read-only: owners, SRTP indices, rewriting, figures
//   sessions cp only, mode 0600, never dumped: the SFU's sessions, for adoption
// Every struct has fixed-width fields and says offset, size, writer (cp | dp) and meaning; a unit test
// compares those lines with offsetof.
#ifndef TP_SHM_LAYOUT_H
#define TP_SHM_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

// Bump with any change below dataplane/contract/shm; the lint suite compares the golden fingerprint.
#define SHM_LAYOUT_VERSION 6u
#define SHM_MAGIC          0x31656b69506e7254ull

#define SHM_INSTANCE_NAME_MAX 32
#define SHM_WORKERS_MAX       16
#define SHM_PORTS_MAX         8
#define SHM_LOCALS_MAX        64
#define SHM_LISTENERS_MAX     32
#define SHM_PEER_RULES_MAX    128
#define SHM_REALMS_MAX        8
#define SHM_CACHE_LINE        64

// Head of every segment.
// off size field            writer meaning
//   0    8 magic            cp     SHM_MAGIC, stored last with release: not equal = not ready
//   8    4 layout_version   cp     SHM_LAYOUT_VERSION
//  12    4 kind             cp     enum shm_segment_kind
//  16    8 fingerprint      cp     folded from the sizes and offsets of every shared struct
//  24    8 size_bytes       cp     of the whole file
//  32   16 boot_id          cp     /proc/sys/kernel/random/boot_id, binary: clocks of another boot are void
//  48    8 created_at_ns    cp     CLOCK_MONOTONIC
//  56    4 cp_pid           cp     of the control plane that owns the segment now
//  60    4 reserved         cp     0
//  64    8 cp_heartbeat_ns  cp     CLOCK_MONOTONIC, about every 100 ms
//  72   56 reserved2        cp     0
struct shm_segment_header {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t kind;
	uint64_t fingerprint;
	uint64_t size_bytes;
	uint8_t boot_id[16];
	uint64_t created_at_ns;
	uint32_t cp_pid;
	uint32_t reserved;
	uint64_t cp_heartbeat_ns;
	uint8_t reserved2[56];
};
static_assert(sizeof(struct shm_segment_header) == 128, "bump SHM_LAYOUT_VERSION");

enum shm_segment_kind {
	SHM_SEGMENT_TABLES = 0,
	SHM_SEGMENT_WORKERS,
	SHM_SEGMENT_RINGS,
	SHM_SEGMENT_KEYS,
	SHM_SEGMENT_SFU,
	SHM_SEGMENT_SRTP,
	SHM_SEGMENT_SFU_STATE,
	SHM_SEGMENT_SESSIONS,
	SHM_SEGMENT_COUNT
};

#endif
