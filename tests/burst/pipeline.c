// The pipeline under test: segments, EAL, ring ports, one worker, and the counters.
#include "tests/burst/pipeline.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/contract/shm/grace.h"
#include "dataplane/contract/shm/segment.h"
#include "dataplane/segments.h"
#include "dataplane/sfu/sfu.h"
#include "dataplane/sfu/shared.h"

#define N_ENTRIES   4096
#define N_LIMITS    4096 // allocations that flows of a test may name
#define N_PORTS     2
#define MEDIA_MBUFS 1023

struct dp_worker *worker;
struct dp_worker *worker2;
struct shm_settings settings;
uint16_t hop_client = HOP_CLIENT;
uint16_t hop_peer = HOP_PEER;

static char directory[64];
static struct shm_segment tables_segment;
static struct shm_segment workers_segment;
static struct shm_segment rings_segment;
static bool with_sfu;
static uint32_t n_workers = 1;
static struct shm_tables *tables;
struct shm_flow_writer writer;
static uint32_t free_idx[N_ENTRIES];
static struct shm_flow_retired retired[N_ENTRIES];
static struct dp_segments attached;
static struct dp_shared shared;
static struct rte_ring *rx_ring[N_PORTS];
static struct rte_ring *tx_ring[N_PORTS];
static uint64_t baseline[DP_COUNTER_COUNT];

static const uint8_t hop_mac[][6] = {
	[HOP_CLIENT] = { 2, 0, 0, 0, 0, 0xc1 },    [HOP_PEER] = { 2, 0, 0, 0, 0, 0xfe },
	[HOP_PEER_VLAN] = { 2, 0, 0, 0, 0, 0xfd }, [HOP_UNRESOLVED] = { 0 },
	[HOP_NARROW] = { 2, 0, 0, 0, 0, 0xfa },
};

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct ip_endpoint endpoint(const char *text)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(text, &e), 0, "not an endpoint: %s", text);
	return e;
}

// ---- segments

static void set_local(uint32_t i, const char *text, uint8_t flags)
{
	struct ip_endpoint e = endpoint(text);

	memcpy(settings.local[i].address, e.address.bytes, 16);
	settings.local[i].flags = flags;
	if (flags & SHM_LOCAL_F_RELAY) {
		settings.local[i].relay_port_min = 49152;
		settings.local[i].relay_port_max = 65535;
	}
}

void rule_set(uint32_t i, const char *prefix, uint8_t action, uint8_t realm_idx)
{
	struct shm_peer_rule *r = &settings.peer_rule[i];
	struct ip_prefix p;

	cr_assert_eq(ip_prefix_parse(prefix, &p), 0);
	memcpy(r->address, p.address.bytes, 16);
	r->length_bits = p.length_bits;
	r->action = action;
	r->realm_idx = realm_idx;
}

static void add_rule(const char *prefix, uint8_t action)
{
	rule_set(settings.n_peer_rules++, prefix, action, SHM_REALM_ANY);
}

static void settings_fill(void)
{
	settings = (struct shm_settings){
		.n_workers = 1,
		.n_ports = N_PORTS,
		.n_locals = LOCALS,
		.n_listeners = 2,
		.punt_per_source_per_sec = 1000,
		.punt_burst_pkts = 2000,
		.n_realms = 1,
		.realm = { { .name_bytes = sizeof(REALM) - 1, .name = REALM } },
		.memory_mb = 20,
		.challenge_secret = { 1, 2, 3, 4 },
		.listener = { { .local_idx = LISTENER_V4,
				.port_be = 0x960d,
				.other_idx = SHM_LISTENER_NONE },
			      { .local_idx = LISTENER_V6,
				.port_be = 0x960d,
				.other_idx = SHM_LISTENER_NONE } },
	};
	for (uint32_t i = 0; i < N_PORTS; i++) {
		struct shm_port_settings *p = &settings.port[i];

		snprintf(p->device, sizeof(p->device), "net_ring_burst%u", i);
		p->n_queues = 1;
		p->mtu_bytes = i == 1 ? NARROW_MTU : 1500;
	}
	set_local(LISTENER_V4, LISTEN_V4, SHM_LOCAL_F_LISTENER);
	set_local(RELAY_V4, RELAYED_V4, SHM_LOCAL_F_RELAY);
	set_local(LISTENER_V6, LISTEN_V6, SHM_LOCAL_F_LISTENER);
	set_local(RELAY_V6, RELAYED_V6, SHM_LOCAL_F_RELAY);
	add_rule("203.0.113.0/24", SHM_PEER_ALLOW);
	add_rule("203.0.113.200/32", SHM_PEER_DENY);
	add_rule("2001:db8:f::/48", SHM_PEER_ALLOW);
}

void settings_publish(void)
{
	uint32_t next = !tables->active_settings;

	tables->settings[next] = settings;
	__atomic_store_n(&tables->active_settings, next, __ATOMIC_RELEASE);
	__atomic_fetch_add(&tables->settings_version, 1, __ATOMIC_ACQ_REL);
}

static void segments_create(void)
{
	uint64_t front = RTE_ALIGN_CEIL(sizeof(struct shm_tables), 64);
	struct shm_turn_table placement;
	size_t table_bytes = RTE_ALIGN_CEIL(shm_turn_table_size(front, N_ENTRIES, &placement), 64);
	struct shm_workers *ws;

	cr_assert_eq(shm_segment_create(INSTANCE, SHM_SEGMENT_TABLES,
					front + table_bytes + N_LIMITS * sizeof(struct shm_limit),
					&tables_segment),
		     0);
	tables = tables_segment.base;
	tables->limits_offset = front + table_bytes;
	tables->n_limits = N_LIMITS;
	for (int i = 0; i < 3; i++)
		placement.hash_seed[i] = 0x1234567 * (uint64_t)(i + 1);
	tables->turn = placement;
	settings_publish();
	cr_assert_eq(shm_flow_writer_init(&writer, tables, tables_segment.size_bytes, &tables->turn,
					  free_idx, retired),
		     0);
	for (uint32_t i = HOP_CLIENT; i <= HOP_NARROW; i++) {
		if (i != HOP_UNRESOLVED)
			tables->neighbour[i].word = shm_neighbour_word(
				hop_mac[i], i == HOP_PEER_VLAN ? 77 : 0, i == HOP_NARROW ? 1 : 0);
	}

	cr_assert_eq(
		shm_segment_create(INSTANCE, SHM_SEGMENT_WORKERS,
				   sizeof(*ws) + n_workers * N_ENTRIES * sizeof(struct shm_usage),
				   &workers_segment),
		0);
	ws = workers_segment.base;
	ws->usage_offset = sizeof(*ws);
	ws->n_entries = N_ENTRIES;
	ws->n_workers = n_workers;
	cr_assert_eq(shm_segment_create(INSTANCE, SHM_SEGMENT_RINGS,
					shm_rings_offset(n_workers, SHM_RING_PUNT), &rings_segment),
		     0);
	pipeline_sfu_segments_create(with_sfu);
	cr_assert_eq(shm_segment_publish(&rings_segment, INSTANCE), 0);
	cr_assert_eq(shm_segment_publish(&workers_segment, INSTANCE), 0);
	cr_assert_eq(shm_segment_publish(&tables_segment, INSTANCE), 0);
}

// ---- life

static void eal_start(void)
{
	char *argv[] = { (char *)"burst",
			 (char *)"--no-huge",
			 (char *)"--no-pci",
			 (char *)"--no-shconf",
			 (char *)"-m",
			 (char *)"64",
			 (char *)"-l",
			 (char *)"0",
			 (char *)"--no-telemetry",
			 (char *)"--iova-mode=va",
			 (char *)"--log-level=*:error",
			 NULL };

	cr_assert_geq(rte_eal_init((int)RTE_DIM(argv) - 1, argv), 0, "EAL does not start");
}

static void ports_open(void)
{
	struct dp_port_error err;

	shared.pool = dp_port_pool_create(&settings, &err);
	cr_assert_not_null(shared.pool, "%s", err.text);
	for (uint32_t i = 0; i < N_PORTS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "rx%u", i);
		rx_ring[i] = rte_ring_create(name, 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "tx%u", i);
		tx_ring[i] = rte_ring_create(name, 1024, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
		snprintf(name, sizeof(name), "burst%u", i);
		cr_assert_geq(rte_eth_from_rings(name, &rx_ring[i], 1, &tx_ring[i], 1, 0), 0);
		cr_assert_eq(dp_port_open(&shared.port[i], &settings.port[i], i, n_workers,
					  "/nonexistent", shared.pool, &err),
			     0, "%s", err.text);
	}
	shared.n_ports = N_PORTS;
}

static void workers_create(void)
{
	shared.n_workers = n_workers;
	if (attached.has_sfu)
		cr_assert_eq(dp_sfu_shared_create(&attached, n_workers, MEDIA_MBUFS, &shared.sfu),
			     0);
	cr_assert_eq(dp_worker_create(&shared, 0, &worker), 0);
	if (n_workers > 1)
		cr_assert_eq(dp_worker_create(&shared, 1, &worker2), 0);
}

static void workers_destroy(void)
{
	dp_worker_destroy(worker2);
	dp_worker_destroy(worker);
	dp_sfu_shared_destroy(shared.sfu);
	worker = NULL;
	worker2 = NULL;
	shared.sfu = NULL;
}

void pipeline_restart(uint32_t n)
{
	workers_destroy();
	n_workers = n;
	workers_create();
}

void pipeline_sfu_init(void)
{
	with_sfu = true;
	pipeline_init();
}

void pipeline_sfu_pair_init(void)
{
	with_sfu = true;
	n_workers = 2;
	pipeline_init();
}

void pipeline_init(void)
{
	enum shm_segment_kind kind;
	const char *why = "";

	snprintf(directory, sizeof(directory), "/tmp/burst.XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	setenv("TURNPIKE_SHM_DIR", directory, 1);
	settings_fill();
	segments_create();
	cr_assert_eq(dp_segments_attach(INSTANCE, &attached, &kind), SHM_ATTACH_READY);
	cr_assert_eq(dp_segments_check(&attached, n_workers, &why), 0, "%s", why);

	eal_start();
	shared.tables = attached.tables;
	shared.workers = attached.workers;
	shared.rings = attached.rings;
	shared.flows = attached.flows;
	shared.usage = attached.usage;
	shared.limits = attached.limits;
	shared.n_limits = attached.n_limits;
	cr_assert_eq(dp_limits_create(attached.limits, attached.n_limits, &shared.limiter), 0);
	shared.wake_fd = attached.wake_fd;
	ports_open();
	workers_create();
}

void pipeline_fini(void)
{
	struct frame f;

	while (receive(&f))
		;
	workers_destroy();
	dp_limits_destroy(&shared.limiter);
	// Whatever was taken from the pool came back, so nothing leaks per packet.
	if (rte_mempool_in_use_count(shared.pool) != 0)
		cr_assert_fail("%u packet buffers are lost", rte_mempool_in_use_count(shared.pool));
	for (uint32_t i = 0; i < N_PORTS; i++)
		dp_port_close(&shared.port[i]);
	dp_segments_detach(&attached);
	shm_segment_detach(&tables_segment);
	shm_segment_detach(&workers_segment);
	shm_segment_detach(&rings_segment);
	pipeline_sfu_segments_detach();
	shm_instance_remove(INSTANCE);
	rmdir(directory);
	rte_eal_cleanup();
}

// ---- what was punted

const struct shm_datagram *punted(uint32_t worker_idx, uint16_t *length_bytes)
{
	static struct {
		struct shm_datagram datagram;
		uint8_t data[SHM_DATAGRAM_BYTES_MAX];
	} copy;
	struct shm_ring *r = (void *)(attached.rings + shm_rings_offset(worker_idx, SHM_RING_PUNT));
	const struct shm_datagram *d = shm_ring_peek(r, length_bytes);

	if (d == NULL)
		return NULL;
	memcpy(&copy, d, sizeof(*d) + *length_bytes);
	shm_ring_release(r);
	return &copy.datagram;
}

struct shm_limit *limit_of(uint32_t allocation_idx)
{
	cr_assert_lt(allocation_idx, N_LIMITS);
	return (struct shm_limit *)(void *)((uint8_t *)tables + tables->limits_offset) +
	       allocation_idx;
}

struct shm_usage usage_of(const struct shm_flow_key *key)
{
	const struct shm_flow *f = shm_flow_lookup(&attached.flows, key);

	cr_assert_not_null(f);
	return worker->usage[f - attached.flows.entries];
}

// ---- frames in and out

void put_bytes(uint32_t port_idx, const void *bytes, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(shared.pool);
	char *to;

	cr_assert_not_null(m);
	to = rte_pktmbuf_append(m, (uint16_t)n);
	cr_assert_not_null(to, "frame of %u bytes", n);
	memcpy(to, bytes, n);
	cr_assert_eq(rte_ring_enqueue(rx_ring[port_idx], m), 0);
}

void poll_once(void)
{
	dp_worker_poll(worker);
	// What the second sends back needs the first again.
	if (worker2 != NULL) {
		dp_worker_poll(worker2);
		dp_worker_poll(worker);
	}
}

void send_bytes(uint32_t port_idx, const void *bytes, uint32_t n)
{
	put_bytes(port_idx, bytes, n);
	poll_once();
}

void send_datagram(const struct dress *d, const void *payload, uint32_t n)
{
	uint8_t frame[FRAME_BYTES_MAX];

	send_bytes(0, frame, frame_build(frame, d, payload, n));
}

struct rte_mbuf *take_raw(uint32_t port_idx)
{
	struct rte_mbuf *m;

	return rte_ring_dequeue(tx_ring[port_idx], (void **)&m) == 0 ? m : NULL;
}

bool receive(struct frame *out)
{
	for (uint32_t i = 0; i < N_PORTS; i++) {
		const uint8_t *udp;
		struct rte_mbuf *m = take_raw(i);

		if (m == NULL)
			continue;
		cr_assert_eq(m->nb_segs, 1, "a chain left, which not every driver sends");
		cr_assert_leq(m->pkt_len, FRAME_BYTES_MAX);
		out->port_idx = i;
		out->length_bytes = m->pkt_len;
		memcpy(out->bytes, rte_pktmbuf_mtod(m, void *), m->pkt_len);
		rte_pktmbuf_free(m);
		switch (ip_udp_parse(out->bytes, out->length_bytes, &out->view)) {
		case IP_UDP_OK:
			break;
		case IP_UDP_FRAGMENT:
			return true;
		default:
			cr_assert_fail("a frame left that is no UDP datagram");
		}
		udp = out->bytes + out->view.l4_offset;
		if (out->view.udp_checksum_be == 0 && out->view.is_v4)
			return true;
		cr_assert_eq(udp_checksum(&out->view.source.address, &out->view.destination.address,
					  udp, (uint16_t)(8 + out->view.payload_bytes)),
			     out->view.udp_checksum_be, "UDP checksum of what left is wrong");
		return true;
	}
	return false;
}

void expect_nothing_sent(void)
{
	struct frame f;

	cr_assert_not(receive(&f), "a frame left");
}

void expect_datagram(struct frame *f, const char *from, const char *to, const void *payload,
		     uint32_t n)
{
	struct ip_endpoint source = endpoint(from);
	struct ip_endpoint destination = endpoint(to);

	cr_assert(receive(f), "nothing left");
	cr_assert(ip_endpoint_equal(&f->view.source, &source), "from elsewhere than %s", from);
	cr_assert(ip_endpoint_equal(&f->view.destination, &destination), "not to %s", to);
	cr_assert_eq(f->view.payload_bytes, n, "%u bytes instead of %u", f->view.payload_bytes, n);
	cr_assert_arr_eq(f->bytes + f->view.payload_offset, payload, n);
	cr_assert_eq(f->length_bytes, f->view.payload_offset + n, "bytes behind the datagram");
	expect_nothing_sent();
}

// ---- counters

uint64_t counted(enum dp_counter c)
{
	return worker->state->counter[c] - baseline[c];
}

void forget_counted(void)
{
	memcpy(baseline, worker->state->counter, sizeof(baseline));
}

static bool is_outcome(enum dp_counter c)
{
	switch (c) {
	case DP_COUNTER_UP_CHANNEL:
	case DP_COUNTER_UP_SEND:
	case DP_COUNTER_DOWN_CHANNEL:
	case DP_COUNTER_DOWN_DATA:
	case DP_COUNTER_BINDING:
	case DP_COUNTER_CHALLENGE:
	case DP_COUNTER_PUNT:
	case DP_COUNTER_KERNEL:
	case DP_COUNTER_FRAGMENT_HELD:
	case DP_COUNTER_ICMP_RELAYED:
	case DP_COUNTER_SFU_CHECK:
	case DP_COUNTER_SFU_CHECK_REFUSED:
	case DP_COUNTER_SFU_DTLS:
	case DP_COUNTER_SFU_RTP:
	case DP_COUNTER_SFU_RTCP:
	case DP_COUNTER_SFU_PROBE:
	case DP_COUNTER_TURN_DTLS:
		return true;
	case DP_DROP_TX_FULL:
	case DP_DROP_BAD_INJECT:
	case DP_DROP_INJECT_LOST:
	case DP_DROP_SFU_NO_PATH:
		// Of packets that have had their outcome, or that came from no port.
		return false;
	default:
		return c >= DP_DROP_FIRST;
	}
}

void expect_only(enum dp_counter expected)
{
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++) {
		if (!is_outcome((enum dp_counter)i))
			continue;
		cr_assert_eq(counted((enum dp_counter)i), i == expected, "%s is %lu, expected %s",
			     dp_counter_info[i].name, (unsigned long)counted((enum dp_counter)i),
			     dp_counter_info[expected].name);
	}
	forget_counted();
}

uint64_t n_received(void)
{
	return worker->state->counter[DP_COUNTER_RX_PKTS];
}

uint64_t n_outcomes(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++) {
		if (is_outcome((enum dp_counter)i))
			n += worker->state->counter[i];
	}
	return n + worker->n_fragments_waiting;
}
