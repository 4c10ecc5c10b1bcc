// The flow table: one hash table that the control plane writes and every worker reads without locks.
//
// A lookup costs one bucket line and one entry line. Buckets hold seven words {tag 32 | entry index 32} and an
// overflow word; a key whose home bucket is full stands in the next one with room, and the overflow word of
// each bucket it passed counts it, so that a miss stops at the first bucket with overflow 0. Entries never move while
// published: a reader sees a key or does not, never a moment in which a live key is gone.
// One writer (control plane); any number of readers.
#ifndef TP_SHM_TURN_TABLE_H
#define TP_SHM_TURN_TABLE_H

#include <stdbool.h>

#include "dataplane/contract/shm/layout.h"

enum shm_flow_kind {
	SHM_FLOW_NONE = 0,
	SHM_FLOW_ALLOCATION, // {client, listener}: Send indications leave from {from_local_idx, from_port}
	SHM_FLOW_CHANNEL, // {client, listener, channel}: ChannelData to `to` from the relayed address
	SHM_FLOW_PEER, // {peer ip:port, relayed address}: ChannelData to the client from the listener
	SHM_FLOW_PERMISSION, // {peer ip, port 0, relayed address}: Data indication to the client; upward: permission and next hop of the peer
	SHM_FLOW_KIND_COUNT
};

// off size field         writer meaning
//   0   16 address       cp     far side (client or peer), network order, IPv4-mapped
//  16    2 port_be       cp     far side; 0 for PERMISSION
//  18    2 local_port_be cp     our port: listener (ALLOCATION, CHANNEL) or relayed (PEER, PERMISSION)
//  20    1 local_idx     cp     our address: index into settings.local
//  21    1 kind          cp     enum shm_flow_kind
//  22    2 channel_be    cp     CHANNEL only, else 0
struct shm_flow_key {
	uint8_t address[16];
	uint16_t port_be;
	uint16_t local_port_be;
	uint8_t local_idx;
	uint8_t kind;
	uint16_t channel_be;
};
static_assert(sizeof(struct shm_flow_key) == 24, "bump SHM_LAYOUT_VERSION");

#define SHM_FLOW_F_HAIRPIN 0x01 // `to` is a relayed address of our own: look up again downward
#define SHM_FLOW_F_STREAM  0x02 // the client is a stream, see shm_stream_address
#define SHM_FLOW_F_LIMITED 0x04 // its allocation has limits, see limit_table.h

// A client that the control plane has on a socket (TCP, TLS, DTLS) stands in flows under an address of the discard prefix (RFC
// 6666), port 0, with this in place of an index into settings.local. No packet of a wire has such a key.
#define SHM_LOCAL_STREAM 0xff

// Writes 100::<idx>:<serial>.
static inline void shm_stream_address(uint32_t idx, uint32_t serial, uint8_t out[16])
{
	const uint32_t id[2] = { __builtin_bswap32(idx), __builtin_bswap32(serial) };

	__builtin_memset(out, 0, 8);
	out[0] = 1;
	__builtin_memcpy(out + 8, id, sizeof(id));
}

// False: not such an address.
static inline bool shm_stream_address_get(const uint8_t in[16], uint32_t *idx, uint32_t *serial)
{
	static const uint8_t prefix[8] = { 1 };
	uint32_t id[2];

	__builtin_memcpy(id, in + 8, sizeof(id));
	*idx = __builtin_bswap32(id[0]);
	*serial = __builtin_bswap32(id[1]);
	return __builtin_memcmp(in, prefix, sizeof(prefix)) == 0 && *idx != 0;
}

// One direction of a flow; one cache line.
// off size field              writer meaning
//   0   24 key                cp
//  24   16 to_address         cp     CHANNEL: peer; PEER, PERMISSION: client; ALLOCATION: [15] is the local_idx of a second
//                                    relayed address, else zero
//  40    2 to_port_be         cp     ALLOCATION: port of the second relayed address, 0 = there is none
//  42    2 from_port_be       cp     our source port after the rewrite
//  44    1 from_local_idx     cp     our source address after the rewrite
//  45    1 flags              cp     SHM_FLOW_F_*
//  46    2 channel_be         cp     PEER: the channel to put in front; CHANNEL: its own; else 0
//  48    2 neighbour_idx      cp     next hop toward `to`; 0 = none
//  50    2 peer_neighbour_idx cp     PERMISSION: next hop toward the peer; else 0
//  52    4 allocation_idx     cp     index into the allocation table
//  56    8 expires_at_ns      cp     CLOCK_MONOTONIC; the least of allocation, permission and channel; atomic
struct shm_flow {
	struct shm_flow_key key;
	uint8_t to_address[16];
	uint16_t to_port_be;
	uint16_t from_port_be;
	uint8_t from_local_idx;
	uint8_t flags;
	uint16_t channel_be;
	uint16_t neighbour_idx;
	uint16_t peer_neighbour_idx;
	uint32_t allocation_idx;
	uint64_t expires_at_ns;
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_flow) == 64, "bump SHM_LAYOUT_VERSION");

#define SHM_BUCKET_SLOTS 7

// off size field     writer meaning
//   0   56 slot      cp     tag in the upper, entry index in the lower half; 0 = free; atomic
//  56    8 overflow  cp     keys that passed this bucket because it was full; atomic
struct shm_flow_bucket {
	uint64_t slot[SHM_BUCKET_SLOTS];
	uint64_t overflow;
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_flow_bucket) == 64, "bump SHM_LAYOUT_VERSION");

// Where the arrays stand in the tables segment. Read once at attach, checked, then used from the local view.
// off size field             writer meaning
//   0    8 buckets_offset    cp     from the segment's start
//   8    8 entries_offset    cp
//  16    8 own_expiry_offset cp     uint64_t per entry: expiry of that very permission, channel or allocation (adoption)
//  24    4 n_buckets_log2    cp
//  28    4 n_entries         cp     index 0 is never used
//  32   24 hash_seed         cp     random at creation, three words
//  56    4 n_used            cp     entries published
//  60    4 reserved          cp     0
struct shm_turn_table {
	uint64_t buckets_offset;
	uint64_t entries_offset;
	uint64_t own_expiry_offset;
	uint32_t n_buckets_log2;
	uint32_t n_entries;
	uint64_t hash_seed[3];
	uint32_t n_used;
	uint32_t reserved;
};
static_assert(sizeof(struct shm_turn_table) == 64, "bump SHM_LAYOUT_VERSION");

// A process's own checked view. Valid while the segment is mapped.
struct shm_flow_view {
	const struct shm_flow_bucket *buckets;
	const struct shm_flow *entries;
	uint32_t bucket_mask;
	uint32_t n_entries;
	uint64_t seed[3];
};

// Checks the offsets and sizes in `table` against the segment and fills the view. 0 or -EINVAL.
int shm_flow_view_init(struct shm_flow_view *v, const void *segment, size_t segment_bytes,
		       const struct shm_turn_table *table);

uint64_t shm_flow_hash(const struct shm_flow_view *v, const struct shm_flow_key *key);

// The entry published under that key; NULL when there is none. Expiry is the caller's to check.
const struct shm_flow *shm_flow_lookup(const struct shm_flow_view *v,
				       const struct shm_flow_key *key);

// The same for n keys (n <= SHM_FLOW_BULK_MAX), with both cache lines of all of them prefetched in stages.
#define SHM_FLOW_BULK_MAX 64
void shm_flow_lookup_bulk(const struct shm_flow_view *v,
			  const struct shm_flow_key *const *key_burst, uint32_t n,
			  const struct shm_flow **out_burst);

// Control plane only. `free_idx` and `retired` are memory of the caller's, n_entries elements each.
struct shm_flow_retired {
	uint64_t generation;
	uint32_t entry_idx;
	uint32_t reserved;
};
struct shm_flow_writer {
	struct shm_flow_view view;
	struct shm_turn_table *table;
	uint64_t *grace_generation; // of the same segment
	struct shm_flow_bucket *buckets;
	struct shm_flow *entries;
	uint64_t *own_expiry_ns;
	uint32_t *free_idx;
	uint32_t n_free;
	struct shm_flow_retired *retired; // ring of n_entries
	uint32_t retired_head;
	uint32_t n_retired;
};

// Bytes that a table of that many entries (one of which is never used) needs in the segment behind `base_offset`, and where
// its parts go. The caller fills in hash_seed. 0 for fewer than 2 or more than 2^27 entries.
size_t shm_turn_table_size(uint64_t base_offset, uint32_t n_entries,
			   struct shm_turn_table *out_placement);

// Builds the writer over a mapped `tables` segment, `table` being its `turn`. For a new segment and for adoption: what a writer
// that died left behind is mended (a slot that names no entry, or one under another key, or one named twice, is emptied), and
// entries that no bucket names become free: at once if never used, else when a grace period has passed. Readers may go on
// meanwhile. 0 or -EINVAL.
int shm_flow_writer_init(struct shm_flow_writer *w, void *segment, size_t segment_bytes,
			 struct shm_turn_table *table, uint32_t *free_idx,
			 struct shm_flow_retired *retired);

// Publishes a copy of *f (own_expires_at_ns is kept for adoption). 0 and the index; -EEXIST if the key is published, -ENOSPC when the
// table is full, -EINVAL for a key of no kind.
int shm_flow_publish(struct shm_flow_writer *w, const struct shm_flow *f,
		     uint64_t own_expires_at_ns, uint32_t *out_idx);
// Withdraws an entry; it may be reused once grace has passed both `generation` (0 is fine) and a generation that began after this
// call. 0, or -ENOENT when it is not published.
int shm_flow_unpublish(struct shm_flow_writer *w, uint32_t idx, uint64_t generation);
// Publishes a copy of *f in the place of the entry `idx`, which must have the same key and is withdrawn as by shm_flow_unpublish: a
// reader finds either, never none. 0 and the index; -EINVAL for another key, -ENOSPC when no entry is free, -ENOENT when idx is not
// published.
int shm_flow_replace(struct shm_flow_writer *w, uint32_t idx, const struct shm_flow *f,
		     uint64_t own_expires_at_ns, uint64_t generation, uint32_t *out_idx);
// Stores both expiries with relaxed atomics.
void shm_flow_set_expiry(struct shm_flow_writer *w, uint32_t idx, uint64_t expires_at_ns,
			 uint64_t own_expires_at_ns);
// Gives back entries whose generation every reader has passed (shm_grace_passed), and begins a new generation if some are left
// that none covers yet. Call it now and then.
void shm_flow_reclaim(struct shm_flow_writer *w, uint64_t passed_generation);
// Calls `fn` for each published entry (adoption). The callback may unpublish that entry.
void shm_flow_each(struct shm_flow_writer *w,
		   void (*fn)(void *arg, uint32_t idx, const struct shm_flow *f), void *arg);

#endif
