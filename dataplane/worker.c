// The loop: rx, the stages in the order of the picture, tx. One thread per worker; it writes its
// own struct, its own slices of shared memory and the queues that are its own.
#include "dataplane/worker.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <sys/random.h>
#include <time.h>

#include "dataplane/contract/shm/grace.h"
#include "dataplane/contract/shm/ring.h"
#include "dataplane/log.h"
#include "dataplane/sfu/reception.h"

#define NS_PER_SEC 1000000000ull

// Fragments wait that long; buckets and entries bound what a flood of them can hold.
#define FRAGMENT_TTL_MS      1000
#define FRAGMENT_BUCKETS     64
#define FRAGMENT_BUCKET_SIZE 4
#define FRAGMENT_DATAGRAMS   (FRAGMENT_BUCKETS * FRAGMENT_BUCKET_SIZE)

// The largest datagram that DPDK's table can put together on an Ethernet of 1500 bytes, with room
// for headers.
#define JUMBO_ROOM_BYTES (RTE_LIBRTE_IP_FRAG_MAX_FRAG * 1500 + RTE_PKTMBUF_HEADROOM)
#define JUMBO_MBUFS      127
#define INDIRECT_MBUFS   255

// Adaptive idle: so many polls without a packet, then sleeps that grow. The longest one bounds the
// latency of the first packet after a pause. Each costs about 20 us of this machine's core: 4 % at
// 500 us, 2 % at 1 ms.
#define IDLE_POLLS          64
#define IDLE_SLEEP_MIN_NS   50000
#define IDLE_SLEEP_MAX_NS   500000
#define IDLE_SLEEP_DEEP_NS  1000000
#define IDLE_SLEEPS_TO_DEEP 2000 // a second without a packet

#define HEARTBEATS_PER_SEC 100

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

// ---- life

static int load_settings(struct dp_worker *w)
{
	struct shm_settings raw;
	const char *why = "";
	uint32_t version;
	int ret = dp_settings_read(w->shared->tables, &raw, &version, &why);

	if (ret == 0)
		dp_settings_build(&w->settings, &raw, version);
	return ret;
}

// New settings between two bursts. Such as do not pass the check are left aside until the next
// ones; the main thread says so.
static void reload_settings(struct dp_worker *w)
{
	uint32_t version = __atomic_load_n(&w->shared->tables->settings_version, __ATOMIC_ACQUIRE);
	uint32_t old_version = w->settings.version;

	if (load_settings(w) == -EINVAL)
		w->settings.version = version;
	// Verdicts carry few bits of the version: none may live until they come round again.
	if ((old_version ^ w->settings.version) & ~DP_VERDICT_VERSION_MASK)
		memset(w->verdict, 0, w->shared->flows.n_entries * sizeof(*w->verdict));
}

static struct rte_mempool *pool_create(const struct dp_worker *w, const char *what, uint32_t n,
				       uint32_t room_bytes)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_%u", what, w->worker_idx);
	return rte_pktmbuf_pool_create(name, n, 0, 0, (uint16_t)room_bytes, SOCKET_ID_ANY);
}

int dp_worker_create(struct dp_shared *shared, uint32_t worker_idx, struct dp_worker **out)
{
	uint64_t n_entries = shared->flows.n_entries;
	struct shm_workers *ws = shared->workers;
	struct dp_worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);
	int ret = -ENOMEM;

	if (w == NULL)
		return -ENOMEM;
	if (getrandom(w->icmp_in.hash_key, sizeof(w->icmp_in.hash_key), 0) < 0 ||
	    getrandom(w->icmp_out.hash_key, sizeof(w->icmp_out.hash_key), 0) < 0) {
		ret = -errno;
		rte_free(w);
		return ret;
	}
	w->shared = shared;
	w->worker_idx = worker_idx;
	w->tsc_hz = rte_get_tsc_hz();
	w->wake_by_ns = UINT64_MAX;
	w->ns_per_tsc_q32 = (NS_PER_SEC << 32) / w->tsc_hz;
	w->now_ns = clock_ns(CLOCK_MONOTONIC);
	w->wall_off_ns = clock_ns(CLOCK_REALTIME) - w->now_ns;
	w->last_tsc = rte_rdtsc();
	w->random_state[0] = rte_rand() | 1;
	w->random_state[1] = rte_rand();
	w->ip_id = (uint16_t)rte_rand();
	w->verdict_seed = rte_rand() | 1;
	dp_source_limit_init(&w->sources, rte_rand());

	w->state = &ws->worker[worker_idx];
	w->usage = shared->usage + worker_idx * n_entries;
	w->punt = (void *)(shared->rings + shm_rings_offset(worker_idx, SHM_RING_PUNT));
	w->inject = (void *)(shared->rings + shm_rings_offset(worker_idx, SHM_RING_INJECT));
	w->stream = (void *)(shared->rings + shm_rings_offset(worker_idx, SHM_RING_STREAM));
	w->busy_tsc = w->state->busy_tsc;
	w->total_tsc = w->state->total_tsc;

	w->verdict = rte_zmalloc("verdict", n_entries * sizeof(*w->verdict), RTE_CACHE_LINE_SIZE);
	w->jumbo_pool = pool_create(w, "jumbo", JUMBO_MBUFS, JUMBO_ROOM_BYTES);
	w->indirect_pool = pool_create(w, "indirect", INDIRECT_MBUFS, 0);
	w->fragments =
		rte_ip_frag_table_create(FRAGMENT_BUCKETS, FRAGMENT_BUCKET_SIZE, FRAGMENT_DATAGRAMS,
					 w->tsc_hz / 1000 * FRAGMENT_TTL_MS, SOCKET_ID_ANY);
	if (w->verdict == NULL || w->jumbo_pool == NULL || w->indirect_pool == NULL ||
	    w->fragments == NULL)
		goto fail_destroy;
	do {
		ret = load_settings(w);
	} while (ret == -EAGAIN);
	if (ret < 0)
		goto fail_destroy;
	if (shared->sfu != NULL) {
		ret = dp_sfu_receive_create(w);
		if (ret < 0)
			goto fail_destroy;
		ret = dp_sfu_transmit_create(w);
		if (ret < 0)
			goto fail_destroy;
	}
	*out = w;
	return 0;
fail_destroy:
	dp_worker_destroy(w);
	return ret;
}

void dp_worker_destroy(struct dp_worker *w)
{
	if (w == NULL)
		return;
	if (w->sfu_tx != NULL)
		dp_sfu_transmit_destroy(w);
	if (w->sfu_rx != NULL)
		dp_sfu_receive_destroy(w);
	if (w->fragments != NULL)
		rte_ip_frag_table_destroy(w->fragments);
	rte_mempool_free(w->indirect_pool);
	rte_mempool_free(w->jumbo_pool);
	rte_free(w->verdict);
	rte_free(w);
}

// ---- one round

// Runs a stage over what the stages before it left for it.
static void run(struct dp_worker *w, enum dp_stage stage,
		void (*burst)(struct dp_worker *, struct dp_packet **, uint32_t))
{
	struct dp_list *l = &w->list[stage];
	uint32_t n = l->count;

	l->count = 0;
	if (n > 0)
		burst(w, l->pkt, n);
}

// One lookup for both directions, but each by itself in it and in all stages behind: where they
// alternate at random, every branch over the direction is a guess.
static void lookup_join(struct dp_worker *w)
{
	struct dp_list *to = &w->list[DP_STAGE_LOOKUP];
	struct dp_list *down = &w->list[DP_STAGE_LOOKUP_DOWN];

	for (uint32_t i = 0; i < down->count; i++)
		to->pkt[to->count++] = down->pkt[i];
	down->count = 0;
}

static void run_all(struct dp_worker *w)
{
	// A reassembled datagram may turn out to be a fragment again.
	while (w->list[DP_STAGE_REASSEMBLY].count > 0)
		run(w, DP_STAGE_REASSEMBLY, dp_reassembly_burst);
	lookup_join(w);
	run(w, DP_STAGE_LOOKUP, dp_lookup_burst);
	run(w, DP_STAGE_HAIRPIN, dp_hairpin_burst);
	run(w, DP_STAGE_RELAY, dp_relay_burst);
	run(w, DP_STAGE_STREAM, dp_stream_burst);
	run(w, DP_STAGE_ICMP, dp_icmp_burst);
	if (w->shared->sfu != NULL) {
		run(w, DP_STAGE_ICE, dp_sfu_ice_burst);
		run(w, DP_STAGE_DTLS, dp_sfu_dtls_burst);
		run(w, DP_STAGE_SRTP, dp_sfu_srtp_burst);
	}
	run(w, DP_STAGE_BINDING, dp_binding_burst);
	run(w, DP_STAGE_REQUEST, dp_challenge_burst);
	run(w, DP_STAGE_PUNT, dp_punt_burst);
	run(w, DP_STAGE_KERNEL, dp_kernel_burst);

	if (w->n_done > 0)
		rte_pktmbuf_free_bulk(w->done, w->n_done);
	w->n_done = 0;
}

void dp_worker_stages(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	dp_classify_burst(w, in, n);
	run_all(w);
}

void dp_worker_stream_stages(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	dp_classify_stream_burst(w, in, n);
	run_all(w);
}

void dp_worker_burst(struct dp_worker *w, uint32_t port_idx, struct rte_mbuf **mbuf, uint32_t n)
{
	struct dp_packet *in[DP_BURST];
	uint64_t rx_bytes = 0;
	uint32_t n_in = 0;

	for (uint32_t i = 0; i < n; i++) {
		// The first frames of the burst; the fast path fetches the others as it goes.
		if (i < DP_FRAMES_AHEAD)
			dp_prefetch_frame(mbuf[i]);
		rx_bytes += mbuf[i]->pkt_len;
	}
	w->count[DP_COUNTER_RX_PKTS] += n;
	w->count[DP_COUNTER_RX_BYTES] += rx_bytes;

	if (w->fast_path_pause > 0) {
		w->fast_path_pause--;
	} else {
		uint32_t n_left = dp_fast_path_burst(w, mbuf, n);

		if (n_left == 0)
			return;
		// Other traffic than its own is not looked at twice each time.
		if (n_left == n)
			w->fast_path_pause = DP_FAST_PATH_PAUSE;
		n = n_left;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct dp_packet *p = &w->packet[n_in];
		struct rte_mbuf *m = mbuf[i];

		if (unlikely(m->nb_segs > 1)) {
			m = dp_reassembly_linearise(w, m);
			if (m == NULL) {
				w->count[DP_DROP_NO_MBUF]++;
				continue;
			}
		}
		p->mbuf = m;
		p->port_idx = (uint8_t)port_idx;
		p->was_fragments = 0;
		p->is_inside = 0;
		in[n_in++] = p;
	}

	dp_worker_stages(w, in, n_in);
}

static uint32_t poll_ports(struct dp_worker *w)
{
	uint32_t n_moved = 0;

	for (uint32_t i = 0; i < w->shared->n_ports; i++) {
		struct dp_port *port = &w->shared->port[i];
		struct rte_mbuf *mbuf[DP_BURST];
		uint64_t n_sent = w->count[DP_COUNTER_TX_PKTS];
		uint64_t started_tsc = 0;
		bool sampled;
		uint16_t n;

		if (w->worker_idx >= port->n_queues)
			continue;
		n = rte_eth_rx_burst(port->ethdev, (uint16_t)w->worker_idx, mbuf, DP_BURST);
		if (n == 0)
			continue;
		sampled = w->n_bursts++ % DP_LATENCY_SAMPLE == 0;
		if (sampled)
			started_tsc = rte_rdtsc();
		w->now_ns = clock_ns(CLOCK_MONOTONIC);
		dp_worker_burst(w, i, mbuf, n);
		dp_tx_flush(w);
		// What only went on to the control plane, as handshakes do, has no way from RX to TX.
		if (sampled && w->count[DP_COUNTER_TX_PKTS] != n_sent)
			dp_stats_latency(w, rte_rdtsc() - started_tsc);
		n_moved += n;
	}
	return n_moved;
}

// What is done a hundred times a second, busy or idle.
static void tick(struct dp_worker *w)
{
	w->now_ns = clock_ns(CLOCK_MONOTONIC);
	w->wall_off_ns = clock_ns(CLOCK_REALTIME) - w->now_ns;
	w->last_heartbeat_tsc = w->last_tsc;
	dp_reassembly_expire(w);
	dp_stats_flush(w);
	__atomic_store_n(&w->state->heartbeat_ns, w->now_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&w->state->busy_tsc, w->busy_tsc, __ATOMIC_RELAXED);
	__atomic_store_n(&w->state->total_tsc, w->total_tsc, __ATOMIC_RELAXED);
}

// Media is due by the clock, not only when packets come.
static uint32_t poll_sfu(struct dp_worker *w)
{
	uint32_t n_moved;

	w->now_ns = clock_ns(CLOCK_MONOTONIC);
	w->wake_by_ns = UINT64_MAX;
	n_moved = dp_sfu_receive_poll(w);
	n_moved += dp_sfu_transmit_poll(w);
	n_moved += dp_sfu_inside_poll(w);
	// Timers send too, when nothing else moved.
	dp_tx_flush(w);
	return n_moved;
}

uint32_t dp_worker_poll(struct dp_worker *w)
{
	uint64_t tsc = rte_rdtsc();
	uint64_t last_tsc = w->last_tsc;
	uint32_t n_moved;

	w->last_tsc = tsc;
	if (w->was_busy)
		w->busy_tsc += tsc - last_tsc;
	// Nothing of the tables is held here.
	shm_grace_quiesce(w->state, w->shared->tables);
	if (unlikely(dp_settings_changed(w->shared->tables, w->settings.version)))
		reload_settings(w);

	n_moved = poll_ports(w);
	if (w->inject->consumed != __atomic_load_n(&w->inject->produced, __ATOMIC_RELAXED)) {
		// Data of stream clients comes this way: lifetimes are judged by now.
		w->now_ns = clock_ns(CLOCK_MONOTONIC);
		n_moved += dp_inject_poll(w);
	}
	if (w->worker_idx == 0)
		n_moved += dp_kernel_poll(w);
	if (w->shared->sfu != NULL)
		n_moved += poll_sfu(w);
	if (n_moved > 0) {
		dp_tx_flush(w);
		dp_stats_flush(w);
	}
	w->was_busy = n_moved > 0;
	w->total_tsc += tsc - last_tsc;
	if (tsc - w->last_heartbeat_tsc > w->tsc_hz / HEARTBEATS_PER_SEC)
		tick(w);
	return n_moved;
}

static void idle(struct dp_worker *w)
{
	uint32_t n_sleeps = w->n_idle - IDLE_POLLS;
	uint64_t sleep_ns = IDLE_SLEEP_DEEP_NS;
	struct timespec t;

	if (n_sleeps < IDLE_SLEEPS_TO_DEEP)
		sleep_ns = RTE_MIN((uint64_t)IDLE_SLEEP_MIN_NS << RTE_MIN(n_sleeps / 2, 8u),
				   (uint64_t)IDLE_SLEEP_MAX_NS);
	else
		w->n_idle = IDLE_POLLS + IDLE_SLEEPS_TO_DEEP;
	if (w->wake_by_ns != UINT64_MAX) {
		uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

		// The kernel wakes late by about the least sleep.
		if (w->wake_by_ns < now_ns + 2 * IDLE_SLEEP_MIN_NS) {
			w->n_idle = IDLE_POLLS;
			return;
		}
		sleep_ns = RTE_MIN(sleep_ns, w->wake_by_ns - now_ns - IDLE_SLEEP_MIN_NS);
	}
	t = (struct timespec){ .tv_nsec = (long)sleep_ns };
	nanosleep(&t, NULL);
	__atomic_store_n(&w->state->n_sleeps, w->state->n_sleeps + 1, __ATOMIC_RELAXED);
}

int dp_worker_run(void *arg)
{
	struct dp_worker *w = arg;

	w->last_tsc = rte_rdtsc();
	w->state->cpu =
		rte_lcore_to_cpu_id(-1) >= 0 ? (uint32_t)rte_lcore_to_cpu_id(-1) : UINT32_MAX;
	tick(w);
	// Before it reads the tables: from here on grace waits for this worker.
	__atomic_store_n(&w->state->online, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&w->shared->stop, __ATOMIC_RELAXED)) {
		if (dp_worker_poll(w) > 0) {
			w->n_idle = 0;
			continue;
		}
		if (++w->n_idle > IDLE_POLLS && w->settings.idle == SHM_IDLE_ADAPTIVE)
			idle(w);
	}
	tick(w);
	__atomic_store_n(&w->state->online, 0, __ATOMIC_SEQ_CST);
	return 0;
}
