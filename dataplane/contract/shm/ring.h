// Single-producer single-consumer rings of datagrams between one worker and the control plane. Lock-free; a full ring
// refuses, never blocks. A position is published only behind a complete slot, so the death of a side leaves no half record,
// and whoever attaches next goes on from the stored positions.
#ifndef TP_SHM_RING_H
#define TP_SHM_RING_H

#include <stdbool.h>

#include "dataplane/contract/shm/layout.h"

#define SHM_RING_SLOTS 1024
// What waits for stream clients while the control plane waits for a CPU: 4000 messages a second for as long as they are worth
// sending (streams.buffer_ms, a second).
#define SHM_STREAM_RING_SLOTS  4096
#define SHM_DATAGRAM_BYTES_MAX 1984

enum shm_datagram_kind {
	SHM_DATAGRAM_NONE = 0,
	SHM_DATAGRAM_STUN, // a request for the control plane, or its answer
	SHM_DATAGRAM_DTLS, // records, both ways: of a transport of the SFU, injected ones go where it is now; with transport_idx 0 of
			   // TURN over DTLS
	SHM_DATAGRAM_SFU_EVENT,    // punt: one byte, enum shm_sfu_event
	SHM_DATAGRAM_SFU_FEEDBACK, // punt: array of struct shm_sfu_feedback
	SHM_DATAGRAM_STREAM, // one TURN message of a client whose socket the control plane has: inject from it (ChannelData or Send
			     // indication), stream ring to it; `remote` is its shm_stream_address
	SHM_DATAGRAM_KIND_COUNT
};

// The rings of a worker.
enum shm_ring_kind {
	SHM_RING_PUNT = 0, // to the control plane: requests, DTLS records, events
	SHM_RING_INJECT,   // from it
	SHM_RING_STREAM,   // to it: data for clients whose sockets it has
	SHM_RING_COUNT
};

#define SHM_DATAGRAM_F_ESTABLISHED 0x01 // punt: its 5-tuple has an allocation

// A datagram without its headers. Punt: from `remote` to our `local`. Inject: from our `local` to `remote`, on the L2 path it names.
// off size field          writer meaning
//   0   16 remote_address  producer  network order, IPv4-mapped
//  16    2 remote_port_be  producer
//  18    2 local_port_be   producer
//  20    1 local_idx       producer  index into settings.local
//  21    1 kind            producer  enum shm_datagram_kind
//  22    1 flags           producer  SHM_DATAGRAM_F_*
//  23    1 traffic_class   producer  STREAM, inject: DSCP of the connection, in place
//  24    8 l2_word         producer  as in neighbour_table.h; inject: where to send it
//  32    8 at_ns           producer  CLOCK_MONOTONIC of reception
//  40    2 length_bytes    producer  of data
//  42    2 reserved2       producer  0
//  44    4 transport_idx   producer  of the SFU; 0 = none
//  48    0 data            producer
struct shm_datagram {
	uint8_t remote_address[16];
	uint16_t remote_port_be;
	uint16_t local_port_be;
	uint8_t local_idx;
	uint8_t kind;
	uint8_t flags;
	uint8_t traffic_class;
	uint64_t l2_word;
	uint64_t at_ns;
	uint16_t length_bytes;
	uint16_t reserved2;
	uint32_t transport_idx;
	uint8_t data[];
};
static_assert(sizeof(struct shm_datagram) == 48, "bump SHM_LAYOUT_VERSION");

enum shm_sfu_event {
	SHM_SFU_EVENT_NONE = 0,
	SHM_SFU_EVENT_CHECKED,   // first authenticated check of a transport, or of its ICE restart
	SHM_SFU_EVENT_NOMINATED, // a pair is in use; another one than before, or the first
	SHM_SFU_EVENT_KEY_LIMIT, // 2^31 packets under one key are near (RFC 5764 §4.4): shake hands anew
	SHM_SFU_EVENT_NEW_OWNER, // a worker took the transport over: fan-out lists must follow
	SHM_SFU_EVENT_COUNT
};

// What became of one packet with a transport-wide sequence number, in the order of sending.
// off size field         writer    meaning
//   0    8 sent_at_ns    producer  CLOCK_MONOTONIC when it was sent
//   8    4 arrived_ticks producer  of 250 us, at the client's clock; only differences mean something
//  12    2 size_bytes    producer  of the UDP payload
//  14    1 is_lost       producer  1: the client says that it did not come
//  15    1 probe_id      producer  low bits of the cluster it was part of, 0 = media
struct shm_sfu_feedback {
	uint64_t sent_at_ns;
	uint32_t arrived_ticks;
	uint16_t size_bytes;
	uint8_t is_lost;
	uint8_t probe_id;
};
static_assert(sizeof(struct shm_sfu_feedback) == 16, "bump SHM_LAYOUT_VERSION");

#define SHM_RING_SLOT_BYTES 2048
static_assert(sizeof(struct shm_datagram) + SHM_DATAGRAM_BYTES_MAX <= SHM_RING_SLOT_BYTES,
	      "slot too small");

// Each line has one writer.
// off size field             writer   meaning
//   0    8 produced          producer slots ever published; atomic
//  64    8 consumed          consumer slots ever taken; atomic
//  72    4 consumer_sleeping consumer 1: wake it after publishing; atomic
// 128    0 slots             producer SHM_RING_SLOTS of SHM_RING_SLOT_BYTES, SHM_STREAM_RING_SLOTS of a stream ring
struct shm_ring {
	uint64_t produced;
	uint8_t pad[56];
	uint64_t consumed;
	uint32_t consumer_sleeping;
	uint8_t pad2[52];
	uint8_t slots[];
} __attribute__((aligned(64)));
static_assert(sizeof(struct shm_ring) == 128, "bump SHM_LAYOUT_VERSION");
#define SHM_RING_BYTES (sizeof(struct shm_ring) + (size_t)SHM_RING_SLOTS * SHM_RING_SLOT_BYTES)
#define SHM_STREAM_RING_BYTES                                                                      \
	(sizeof(struct shm_ring) + (size_t)SHM_STREAM_RING_SLOTS * SHM_RING_SLOT_BYTES)

// Producer: the slot to fill, NULL when the ring is full (or its positions make no sense). Fill it, then commit.
struct shm_datagram *shm_ring_reserve(struct shm_ring *r);
void shm_ring_commit(struct shm_ring *r);
// Producer, some time before: fetches the lines that reserving and filling the next slot are going to touch, which the consumer
// had last.
void shm_ring_prefetch_reserve(const struct shm_ring *r);
// Producer, after commit: whether the consumer sleeps and must be woken; clears the mark, so one waker suffices.
bool shm_ring_needs_wake(struct shm_ring *r);
// Free slots, from the producer's side.
uint32_t shm_ring_room(const struct shm_ring *r);

// Consumer: the oldest datagram, NULL when there is none. Its length is checked; its content stays untrusted, and may change
// under a hostile producer: copy what is checked. Release it when done.
const struct shm_datagram *shm_ring_peek(struct shm_ring *r, uint16_t *length_bytes);
void shm_ring_release(struct shm_ring *r);
// Consumer, before sleeping: sets the mark; false if something arrived meanwhile (then do not sleep).
bool shm_ring_prepare_sleep(struct shm_ring *r);

// The same for a stream ring, which has more slots; all else serves both.
struct shm_datagram *shm_stream_ring_reserve(struct shm_ring *r);
const struct shm_datagram *shm_stream_ring_peek(struct shm_ring *r, uint16_t *length_bytes);
bool shm_stream_ring_prepare_sleep(struct shm_ring *r);

#endif
