// A worker: one thread, its packets, and everything that it may write. Nothing here is shared with
// other workers but the ports and the read-only tables.
#ifndef TP_DP_WORKER_H
#define TP_DP_WORKER_H

#include <rte_ip_frag.h>
#include <rte_prefetch.h>

#include "dataplane/drop_reason.h"
#include "dataplane/icmp_limit.h"
#include "dataplane/limit.h"
#include "dataplane/packet.h"
#include "dataplane/port.h"
#include "dataplane/settings.h"
#include "dataplane/source_limit.h"

#define DP_BURST      32
#define DP_TX_PENDING 256 // a burst, its answers and its fragments; flushed when full

// Packets waiting for their stage, in order of arrival.
struct dp_list {
	uint32_t count;
	struct dp_packet *pkt[DP_BURST];
};

enum dp_stage {
	DP_STAGE_LOOKUP = 0,
	DP_STAGE_LOOKUP_DOWN, // from peers: looked up together with the others, behind them
	DP_STAGE_RELAY,
	DP_STAGE_HAIRPIN,
	DP_STAGE_STREAM, // to clients whose sockets the control plane has
	DP_STAGE_ICMP,   // about what relayed ports sent
	DP_STAGE_BINDING,
	DP_STAGE_REQUEST,
	DP_STAGE_PUNT,
	DP_STAGE_REASSEMBLY,
	DP_STAGE_KERNEL,
	DP_STAGE_ICE, // of the SFU, these three
	DP_STAGE_DTLS,
	DP_STAGE_SRTP,
	DP_STAGE_COUNT
};

struct dp_tx {
	uint32_t count;
	uint32_t bytes;
	struct rte_mbuf *mbuf[DP_TX_PENDING];
};

#define DP_FAST_PATH_PAUSE 15 // bursts that go around the fast path after one it could not help
#define DP_LATENCY_SAMPLE  8  // bursts for one whose latency is taken; a power of two

#define DP_INSIDE_MAX 1024 // frames from the SFU to the relay within one poll

// A frame that never sees a wire, and the port whose it would be.
struct dp_inside {
	struct rte_mbuf *mbuf;
	uint8_t port_idx;
};

#define DP_VERDICT_VERSION_MASK 0xfffu // of the settings' version, in dp_worker.verdict

// What all workers of a process use. Filled before the first worker runs; read-only afterwards.
struct dp_shared {
	const struct shm_tables *tables;
	struct shm_workers *workers;
	uint8_t *rings; // segment `rings`
	struct dp_port port[SHM_PORTS_MAX];
	uint32_t n_ports;
	uint32_t n_workers;
	struct rte_mempool *pool;
	int wake_fd; // FIFO toward the control plane, -1 without
	struct shm_flow_view flows;
	const struct shm_limit *limits; // by allocation_idx
	uint32_t n_limits;
	struct dp_limits limiter;  // their buckets
	struct shm_usage *usage;   // flows.n_entries per worker
	uint32_t stop;             // set by the main thread; atomic
	struct dp_sfu_shared *sfu; // NULL: none is configured
};

// Counters in whole cache lines.
#define DP_COUNTS_PER_LINE (RTE_CACHE_LINE_SIZE / sizeof(uint64_t))
#define DP_COUNTS                                                                                  \
	((DP_COUNTER_COUNT + DP_COUNTS_PER_LINE - 1) / DP_COUNTS_PER_LINE * DP_COUNTS_PER_LINE)

struct dp_worker {
	struct dp_shared *shared;
	uint32_t worker_idx;
	uint64_t now_ns;      // CLOCK_MONOTONIC, read once per burst
	uint64_t wall_off_ns; // CLOCK_REALTIME minus CLOCK_MONOTONIC

	struct dp_list list[DP_STAGE_COUNT];
	struct dp_tx tx[SHM_PORTS_MAX];
	struct rte_mbuf
		*done[DP_BURST]; // dropped or copied elsewhere: freed together at the burst's end
	uint32_t n_done;
	struct dp_packet packet[DP_BURST];
	struct dp_inside inside[DP_INSIDE_MAX];
	uint32_t n_inside;

	uint64_t count[DP_COUNTS]; // of this burst; flushed into shm behind it
	uint32_t n_bursts;
	uint32_t fast_path_pause; // bursts
	uint64_t random_state[2];
	uint16_t ip_id;

	struct shm_worker *state;
	struct shm_usage *usage; // by flow entry
	uint64_t *verdict;       // by flow entry: what the policy said, see policy_cache.c
	uint64_t verdict_seed;
	struct shm_ring *punt;
	struct shm_ring *inject;
	struct shm_ring *stream; // toward clients whose sockets the control plane has

	struct rte_ip_frag_tbl *fragments;
	struct rte_ip_frag_death_row death_row;
	uint64_t n_fragments_waiting;
	struct rte_mempool *jumbo_pool;    // datagrams larger than one packet buffer
	struct rte_mempool *indirect_pool; // views of them while they are cut up again

	uint64_t busy_tsc;
	uint64_t total_tsc;
	uint64_t last_tsc;
	bool was_busy; // the last poll moved packets
	uint64_t last_heartbeat_tsc;
	uint64_t tsc_hz;
	uint64_t ns_per_tsc_q32; // 32 fractional bits
	uint32_t n_idle;         // polls in a row that moved nothing
	uint64_t wake_by_ns;     // adaptive idle sleeps no longer; UINT64_MAX: nothing is due

	struct dp_sfu_reception *sfu_rx; // both NULL without SFU
	struct dp_sfu_transmission *sfu_tx;

	struct dp_icmp_limit icmp_in;  // to clients
	struct dp_icmp_limit icmp_out; // of our own
	struct dp_source_limit sources;
	struct dp_settings settings;
};

// ---- life

// Allocates a worker on the calling thread's NUMA node and loads the settings. 0 or -errno.
int dp_worker_create(struct dp_shared *shared, uint32_t worker_idx, struct dp_worker **out);
void dp_worker_destroy(struct dp_worker *w);
// One round over all ports and the inject ring; returns how many packets it moved.
uint32_t dp_worker_poll(struct dp_worker *w);
// Polls until shared->stop. An lcore_function_t; `arg` is the worker.
int dp_worker_run(void *arg);

// ---- stages: each takes a burst and puts every packet into exactly one list, tx or drop

// Runs `n` received packets through all stages, up to the queues of the ports.
void dp_worker_burst(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf **mbuf, uint32_t n);
// The same behind the fast path; `mbuf`, `port_idx` and `was_fragments` of the packets are set.
void dp_worker_stages(struct dp_worker *w, struct dp_packet **in, uint32_t n);
// The same for what dp_stream_take made, here or at another worker.
void dp_worker_stream_stages(struct dp_worker *w, struct dp_packet **in, uint32_t n);

// Relays what it can of the burst and leaves the rest in mbuf[0..n), in order; returns their number.
uint32_t dp_fast_path_burst(struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n);

void dp_classify_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_classify_stream_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_reassembly_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_lookup_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_hairpin_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_relay_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_stream_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_icmp_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_binding_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_challenge_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
void dp_punt_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);
// Behind what was put into a ring toward the control plane: wakes it if it sleeps.
void dp_ring_wake(struct dp_worker *w, struct shm_ring *ring);
void dp_punt_wake(struct dp_worker *w);
void dp_kernel_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n);

// Sends what the control plane wants sent; returns how many answers it took.
uint32_t dp_inject_poll(struct dp_worker *w);
// Moves packets of the kernel from the TAP twins to their ports. Worker 0 only.
uint32_t dp_kernel_poll(struct dp_worker *w);
// Gives up fragments whose datagram did not complete in time.
void dp_reassembly_expire(struct dp_worker *w);
// A copy in one piece, NULL when memory is used up or it is larger than a datagram may be. The
// original is freed.
struct rte_mbuf *dp_reassembly_linearise(struct dp_worker *w, struct rte_mbuf *m);

// Sends what waits for a port.
void dp_tx_flush_port(struct dp_worker *w, uint32_t port_idx);
// As many frames as an IP packet larger than the port's MTU needs; false when memory did not
// suffice for all. The mbuf is gone either way.
bool dp_tx_push_fragments(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf *m,
			  uint32_t l2_bytes, bool is_v4);
void dp_tx_flush(struct dp_worker *w);

// Sends `message` back to where the packet came from, in the packet's own mbuf.
void dp_answer(struct dp_worker *w, struct dp_packet *p, const void *message,
	       uint32_t message_bytes);
// The same between other endpoints of the packet's family, over the link that it came from; in fragments where it is
// longer than the port's MTU.
void dp_answer_between(struct dp_worker *w, struct dp_packet *p, const struct ip_endpoint *from,
		       const struct ip_endpoint *to, const void *message, uint32_t message_bytes);

// Where a packet came from, as a next hop: its source MAC, VLAN and port.
uint64_t dp_answer_l2_word(const struct dp_packet *p);

// What the peer policy says about an address; remembered per flow entry.
enum peer_verdict dp_policy_verdict(struct dp_worker *w, const struct shm_flow *flow,
				    const struct ip_address *peer);

// Adds what this burst counted to shared memory.
void dp_stats_flush(struct dp_worker *w);
// A burst took that long from reception to transmission.
void dp_stats_latency(struct dp_worker *w, uint64_t tsc);
// Bucket of shm_worker.latency.
uint32_t dp_stats_latency_bucket(uint64_t ns);

// ---- small things on the path

// Packets ahead of the one in work whose frames are fetched.
#define DP_FRAMES_AHEAD 4

// Headers and STUN header: the first two lines.
static inline void dp_prefetch_frame(const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	rte_prefetch0(frame);
	rte_prefetch0(frame + RTE_CACHE_LINE_SIZE);
}

// Queues a complete frame; the mbuf is not the caller's any more.
static inline void dp_tx_push(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf *m)
{
	struct dp_tx *tx = &w->tx[port_idx];

	tx->mbuf[tx->count++] = m;
	tx->bytes += m->pkt_len;
	if (unlikely(tx->count == DP_TX_PENDING))
		dp_tx_flush_port(w, port_idx);
}

static inline void dp_list_add(struct dp_worker *w, enum dp_stage stage, struct dp_packet *p)
{
	struct dp_list *l = &w->list[stage];

	l->pkt[l->count++] = p;
}

// The packet's bytes are not needed any more.
static inline void dp_done(struct dp_worker *w, struct dp_packet *p)
{
	w->done[w->n_done++] = p->mbuf;
}

static inline void dp_drop(struct dp_worker *w, struct dp_packet *p, enum dp_counter reason)
{
	w->count[reason]++;
	dp_done(w, p);
}

// Not ours: the kernel's, where this port has a way to it.
static inline void dp_pass_or_drop(struct dp_worker *w, struct dp_packet *p, enum dp_counter reason)
{
	if (w->shared->port[p->port_idx].tap_ethdev != DP_ETHDEV_NONE)
		dp_list_add(w, DP_STAGE_KERNEL, p);
	else
		dp_drop(w, p, reason);
}

// xoroshiro128+ (Blackman, Vigna 2018): transaction ids of Data indications, nothing secret.
static inline uint64_t dp_random(struct dp_worker *w)
{
	uint64_t a = w->random_state[0];
	uint64_t b = w->random_state[1];
	uint64_t sum = a + b;

	b ^= a;
	w->random_state[0] = (a << 24 | a >> 40) ^ b ^ (b << 16);
	w->random_state[1] = b << 37 | b >> 27;
	return sum;
}

static inline bool dp_flow_is_live(const struct dp_worker *w, const struct shm_flow *f)
{
	return __atomic_load_n(&f->expires_at_ns, __ATOMIC_RELAXED) > w->now_ns;
}

static inline uint32_t dp_flow_idx(const struct dp_worker *w, const struct shm_flow *f)
{
	return (uint32_t)(f - w->shared->flows.entries);
}

// The next hop's word, 0 when it is not resolved or names no port of ours.
static inline uint64_t dp_next_hop(const struct dp_worker *w, uint16_t neighbour_idx)
{
	uint64_t word;

	if (neighbour_idx == 0)
		return 0;
	word = __atomic_load_n(&w->shared->tables->neighbour[neighbour_idx].word, __ATOMIC_RELAXED);
	return shm_neighbour_port(word) < w->shared->n_ports ? word : 0;
}

#endif
