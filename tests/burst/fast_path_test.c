// The fast path beside the stages: whatever it takes leaves as the stages would have sent it, byte by
// byte, with the same counters and the same usage; and it takes what it is there for. Frames are valid
// ones of every kind and mutations of them.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/header.h"
#include "tests/burst/relaying.h"

#define SINGLES       60000
#define BURSTS        3000
#define FRAMES_MAX    64
#define DATA_MAX      1200
#define FRAME_MAX     (DATA_MAX + 200)
#define N_FLOWS       (sizeof(flow) / sizeof(flow[0]))
#define RELAYED3_V4   "198.51.100.2:50004"
#define RELAYED2_V6   "[fd00::2]:50002"
#define RELAYED3_V6   "[fd00::2]:50004"
#define HAIRPIN_ENTRY "198.51.100.2:50006"

TestSuite(fast_path, .init = pipeline_init, .fini = pipeline_fini);

// {client, relayed, peer} of the flows that are programmed: families in all combinations, an expired
// one, one whose peer is denied, and one to another allocation of ours.
static const struct {
	const char *client;
	const char *relayed;
	const char *peer;
	uint16_t channel;
} flow[] = {
	{ CLIENT_V4, RELAYED_V4, PEER_V4, 0x4001 },
	{ OTHER_V4, RELAYED2_V4, PEER_V4, 0x4fff },
	{ CLIENT_V6, RELAYED_V6, PEER_V6, 0x4001 },
	{ "192.0.2.12:5002", RELAYED2_V6, PEER_V6, 0x4002 },
	{ "[2001:db8:c::11]:5002", RELAYED3_V4, PEER_V4, 0x4003 },
	{ "192.0.2.13:5003", HAIRPIN_ENTRY, DENIED_V4, 0x4004 },
	{ "192.0.2.14:5004", "198.51.100.2:50008", RELAYED_V4, 0x4005 },
};
#define EXPIRED_CLIENT  "192.0.2.15:5005"
#define EXPIRED_RELAYED "198.51.100.2:50010"

struct sample {
	uint32_t n;
	uint8_t bytes[FRAME_MAX];
};

// What a run left behind.
struct outcome {
	uint32_t n_frames;
	struct sample frame[FRAMES_MAX];
	uint64_t counter[DP_COUNTER_COUNT];
};

static struct outcome fast;
static struct outcome slow;
static struct shm_usage usage_before[4096];
static struct shm_usage usage_fast[4096];
static struct sample burst[DP_BURST];

static uint32_t pick(uint32_t n)
{
	return (uint32_t)random() % n;
}

static void flows_program(void)
{
	for (uint32_t i = 0; i < N_FLOWS; i++)
		program_flow(flow[i].client, flow[i].relayed, flow[i].peer, flow[i].channel);
	program_allocation(EXPIRED_CLIENT, EXPIRED_RELAYED, false);
	program_permission(EXPIRED_CLIENT, EXPIRED_RELAYED, PEER_V4, false);
	program_channel(EXPIRED_CLIENT, EXPIRED_RELAYED, PEER_V4, 0x4006, false);
	// The way back of the last of them.
	program_permission(CLIENT_V4, RELAYED_V4, flow[N_FLOWS - 1].relayed, true);
	program_channel(CLIENT_V4, RELAYED_V4, flow[N_FLOWS - 1].relayed, 0x4007, true);
	// Only permitted: what comes from there becomes a Data indication.
	program_permission(CLIENT_V4, RELAYED_V4, "203.0.113.21:0", true);
}

static void ip_checksum_mend(struct sample *s)
{
	uint8_t *ip = s->bytes + 14;
	uint16_t checksum;

	if (s->n < 34 || s->bytes[12] != 8 || s->bytes[13] != 0)
		return;
	memset(ip + 10, 0, 2);
	checksum = ipv4_header_checksum(ip, 20);
	memcpy(ip + 10, &checksum, 2);
}

// A frame of one of the flows, one direction or the other, dressed at random.
static void sample_fill(struct sample *s)
{
	static const uint8_t ttl[] = { 0, 0, 0, 1, 2, 3, 255 };
	uint32_t i = pick(N_FLOWS + 1);
	bool expired = i == N_FLOWS;
	const char *client = expired ? EXPIRED_CLIENT : flow[i].client;
	const char *relayed = expired ? EXPIRED_RELAYED : flow[i].relayed;
	const char *peer = expired ? PEER_V4 : flow[i].peer;
	uint16_t channel = expired ? 0x4006 : flow[i].channel;
	struct dress d = {
		.ttl = ttl[pick(7)],
		.traffic_class = (uint8_t)random(),
		.dont_fragment = (uint8_t)pick(2),
		.no_checksum = pick(16) == 0,
		.option_bytes = pick(16) == 0 ? 8 : 0,
		.vlan_id = pick(16) == 0 ? 5 : 0,
		.ip_id = (uint16_t)random(),
	};
	uint16_t n = (uint16_t)(pick(4) == 0 ? pick(DATA_MAX) : pick(24));
	uint32_t n_message;

	for (uint32_t k = 0; k < n; k++)
		data[k] = (uint8_t)random();
	switch (pick(8)) {
	case 0:
	case 1:
	case 2:
		d.from = client;
		d.to = client[0] == '[' ? LISTEN_V6 : LISTEN_V4;
		n_message = channel_data(message, pick(16) == 0 ? 0x4777 : channel, data, n,
					 pick(8) == 0 ? pick(4) : 0);
		break;
	case 3:
		d.from = client;
		d.to = client[0] == '[' ? LISTEN_V6 : LISTEN_V4;
		n_message = send_indication(message, peer, data, n);
		break;
	case 4:
		d.from = pick(2) ? "203.0.113.21:7" : "203.0.113.22:7";
		d.to = RELAYED_V4;
		memcpy(message, data, n);
		n_message = n;
		break;
	default:
		d.from = peer;
		d.to = relayed;
		memcpy(message, data, n);
		n_message = n;
	}
	s->n = frame_build(s->bytes, &d, message, n_message);
	// Behind the datagram, as Ethernet pads; or too short.
	if (pick(8) == 0) {
		memset(s->bytes + s->n, 0x5a, 32);
		s->n += pick(32);
	} else if (pick(32) == 0) {
		s->n -= pick(RTE_MIN(s->n, 40u));
	}
}

static void mutate(struct sample *s)
{
	uint32_t n = pick(3);

	for (uint32_t i = 0; i < n && s->n > 0; i++) {
		uint8_t *at = &s->bytes[pick(RTE_MIN(s->n, 72u))];

		if (pick(2))
			*at ^= (uint8_t)(1u << pick(8));
		else
			*at = (uint8_t)random();
	}
	if (n > 0 && pick(4) != 0)
		ip_checksum_mend(s);
}

// Mutated or not, but no fragment: what becomes of one depends on those before it.
static void sample_make(struct sample *s, bool mutated)
{
	struct ip_udp_view v;

	do {
		sample_fill(s);
		if (mutated)
			mutate(s);
	} while (ip_udp_parse(s->bytes, s->n, &v) == IP_UDP_FRAGMENT);
}

// What orders of work may differ in: identifications of IPv4 and transaction ids, and the checksums
// over them.
static void sample_normalise(struct sample *s)
{
	struct ip_udp_view v;
	enum ip_udp_verdict verdict = ip_udp_parse(s->bytes, s->n, &v);
	uint8_t *ip = s->bytes + v.l3_offset;

	// An ICMP error about what came in has nothing that may differ.
	if (verdict == IP_UDP_OTHER_PROTOCOL)
		return;
	cr_assert(verdict == IP_UDP_OK || verdict == IP_UDP_FRAGMENT);
	if (v.is_v4) {
		memset(ip + 4, 0, 2);
		memset(ip + 10, 0, 2);
	}
	if (verdict == IP_UDP_OK && v.payload_bytes >= 20 &&
	    bytes_get_be16(s->bytes + v.payload_offset) == TURN_DATA_INDICATION) {
		uint8_t *message_start = s->bytes + v.payload_offset;

		memset(message_start - 2, 0, 2);
		memset(message_start + 8, 0, 12);
		// RFC 8489 §14.2: an IPv6 address is XORed with it.
		if (bytes_get_be16(message_start + 22) == 20)
			memset(message_start + 32, 0, 12);
	}
}

static int sample_compare(const void *a, const void *b)
{
	const struct sample *x = a;
	const struct sample *y = b;

	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->n);
}

static struct rte_mbuf *mbuf_of(const struct sample *s)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(worker->shared->pool);

	cr_assert_not_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)s->n), s->bytes, s->n);
	return m;
}

// Runs the burst and takes down what came of it; returns how many packets the fast path took.
static uint32_t run_burst(uint32_t n, bool with_fast_path, struct outcome *o)
{
	struct rte_mbuf *mbuf[DP_BURST];
	struct dp_packet *in[DP_BURST];
	uint32_t n_left = n;

	for (uint32_t i = 0; i < n; i++)
		mbuf[i] = mbuf_of(&burst[i]);
	if (with_fast_path)
		n_left = dp_fast_path_burst(worker, mbuf, n);
	for (uint32_t i = 0; i < n_left; i++) {
		in[i] = &worker->packet[i];
		in[i]->mbuf = mbuf[i];
		in[i]->port_idx = 0;
		in[i]->was_fragments = 0;
	}
	dp_worker_stages(worker, in, n_left);
	dp_tx_flush(worker);
	dp_stats_flush(worker);
	o->n_frames = 0;
	for (uint32_t port_idx = 0; port_idx < 2; port_idx++) {
		struct rte_mbuf *m;

		while ((m = take_raw(port_idx)) != NULL) {
			struct sample *s = &o->frame[o->n_frames++];

			cr_assert_leq(o->n_frames, FRAMES_MAX);
			cr_assert_eq(m->pkt_len, m->data_len);
			s->n = m->pkt_len;
			memcpy(s->bytes, rte_pktmbuf_mtod(m, void *), m->pkt_len);
			rte_pktmbuf_free(m);
		}
	}
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++)
		o->counter[i] = counted((enum dp_counter)i);
	forget_counted();
	return n - n_left;
}

// The same burst both ways, from the same state.
static uint32_t run_both(uint32_t n)
{
	uint32_t n_entries = worker->shared->flows.n_entries;
	size_t usage_bytes = n_entries * sizeof(*worker->usage);
	uint16_t ip_id = worker->ip_id;
	uint64_t random_state[2];
	uint32_t n_taken;

	memcpy(random_state, worker->random_state, sizeof(random_state));
	memcpy(usage_before, worker->usage, usage_bytes);
	memset(&worker->icmp_out, 0, sizeof(worker->icmp_out));
	n_taken = run_burst(n, true, &fast);
	memcpy(usage_fast, worker->usage, usage_bytes);

	worker->ip_id = ip_id;
	memcpy(worker->random_state, random_state, sizeof(random_state));
	memcpy(worker->usage, usage_before, usage_bytes);
	memset(&worker->icmp_out, 0, sizeof(worker->icmp_out));
	run_burst(n, false, &slow);

	cr_assert_arr_eq(usage_fast, worker->usage, usage_bytes, "usage differs");
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++)
		cr_assert_eq(fast.counter[i], slow.counter[i], "%s: %lu, the stages say %lu",
			     dp_counter_info[i].name, (unsigned long)fast.counter[i],
			     (unsigned long)slow.counter[i]);
	cr_assert_eq(fast.n_frames, slow.n_frames);
	return n_taken;
}

static void expect_same_frames(void)
{
	for (uint32_t i = 0; i < fast.n_frames; i++) {
		cr_assert_eq(fast.frame[i].n, slow.frame[i].n);
		cr_assert_arr_eq(fast.frame[i].bytes, slow.frame[i].bytes, fast.frame[i].n,
				 "frame %u differs", i);
	}
}

static void expect_same_frames_in_any_order(void)
{
	for (uint32_t k = 0; k < fast.n_frames; k++) {
		sample_normalise(&fast.frame[k]);
		sample_normalise(&slow.frame[k]);
	}
	qsort(fast.frame, fast.n_frames, sizeof(fast.frame[0]), sample_compare);
	qsort(slow.frame, slow.n_frames, sizeof(slow.frame[0]), sample_compare);
	expect_same_frames();
}

Test(fast_path, one_packet_leaves_as_the_stages_send_it)
{
	uint32_t n_taken = 0;

	srandom(1);
	flows_program();
	for (uint32_t i = 0; i < SINGLES; i++) {
		sample_make(&burst[0], pick(2));
		n_taken += run_both(1);
		expect_same_frames();
	}
	cr_assert_gt(n_taken, SINGLES / 8, "the fast path took %u", n_taken);
}

Test(fast_path, a_burst_leaves_as_the_stages_send_it)
{
	uint32_t n_taken = 0;
	uint32_t n_sent = 0;

	srandom(2);
	flows_program();
	for (uint32_t i = 0; i < BURSTS; i++) {
		uint32_t n = 1 + pick(DP_BURST);

		for (uint32_t k = 0; k < n; k++)
			sample_make(&burst[k], pick(4) == 0);
		n_taken += run_both(n);
		n_sent += n;
		expect_same_frames_in_any_order();
	}
	cr_assert_gt(n_taken, n_sent / 8, "the fast path took %u of %u", n_taken, n_sent);
}

// Flows that differ in what a group of eight could share: relayed and listening address, next hop, port and its MTU.
// The last ones are no group's: tagged, unresolved, denied, expired.
static const struct {
	const char *client;
	const char *relayed;
	uint16_t hop_client;
	uint16_t hop_peer;
} mixed[] = {
	{ "192.0.2.20:5000", "198.51.100.2:50020", HOP_CLIENT, HOP_PEER },
	{ "192.0.2.21:5000", "198.51.100.1:50022", HOP_CLIENT, HOP_PEER },
	{ "192.0.2.22:5000", "198.51.100.2:50024", HOP_NARROW, HOP_PEER },
	{ "192.0.2.23:5000", "198.51.100.1:50026", HOP_NARROW, HOP_NARROW },
	{ "192.0.2.24:5000", "198.51.100.2:50028", HOP_PEER, HOP_CLIENT },
	{ "192.0.2.25:5000", "198.51.100.2:50030", HOP_CLIENT, HOP_PEER_VLAN },
	{ "192.0.2.26:5000", "198.51.100.1:50032", HOP_PEER_VLAN, HOP_PEER },
	{ "192.0.2.27:5000", "198.51.100.2:50034", HOP_UNRESOLVED, HOP_UNRESOLVED },
	{ "192.0.2.28:5000", "198.51.100.2:50036", HOP_CLIENT, HOP_PEER },
	{ "192.0.2.29:5000", "198.51.100.2:50038", HOP_CLIENT, HOP_PEER },
};
#define N_MIXED       (sizeof(mixed) / sizeof(mixed[0]))
#define N_MIXED_PLAIN 5
#define MIXED_DENIED  (N_MIXED - 2)
#define MIXED_EXPIRED (N_MIXED - 1)

static void mixed_program(void)
{
	settings.local[LISTENER_V4].flags |= SHM_LOCAL_F_RELAY;
	settings.local[LISTENER_V4].relay_port_min = 49152;
	settings.local[LISTENER_V4].relay_port_max = 65535;
	settings_publish();
	poll_once();
	for (uint32_t i = 0; i < N_MIXED; i++) {
		const char *peer = i == MIXED_DENIED ? DENIED_V4 : PEER_V4;
		bool is_live = i != MIXED_EXPIRED;

		hop_client = mixed[i].hop_client;
		hop_peer = mixed[i].hop_peer;
		program_allocation(mixed[i].client, mixed[i].relayed, is_live);
		program_permission(mixed[i].client, mixed[i].relayed, peer, is_live);
		program_channel(mixed[i].client, mixed[i].relayed, peer, CHANNEL, is_live);
	}
	hop_client = HOP_CLIENT;
	hop_peer = HOP_PEER;
}

static void mixed_make(struct sample *s, uint32_t i, bool is_up, uint16_t n)
{
	struct dress d = { .from = i == MIXED_DENIED ? DENIED_V4 : PEER_V4,
			   .to = mixed[i].relayed,
			   .traffic_class = (uint8_t)random(),
			   .dont_fragment = (uint8_t)pick(2),
			   .ip_id = (uint16_t)random() };
	const void *payload = data;

	for (uint32_t k = 0; k < n; k++)
		data[k] = (uint8_t)random();
	if (is_up) {
		d.from = mixed[i].client;
		d.to = LISTEN_V4;
		n = (uint16_t)channel_data(message, CHANNEL, data, n, 0);
		payload = message;
	}
	s->n = frame_build(s->bytes, &d, payload, n);
}

// Groups of every size, of one flow and of many, with one among them that is no group's and without.
Test(fast_path, eight_that_differ_leave_as_the_stages_send_them)
{
	srandom(4);
	mixed_program();
	for (uint32_t i = 0; i < BURSTS; i++) {
		uint32_t n = 1 + pick(DP_BURST);
		uint32_t n_flows = 1 + pick(N_MIXED_PLAIN);
		uint32_t first = pick(N_MIXED_PLAIN);
		// All up, all down, or by turns.
		uint32_t ways = pick(3);
		bool is_plain = pick(2);
		uint32_t n_taken;

		for (uint32_t k = 0; k < n; k++)
			mixed_make(&burst[k], (first + pick(n_flows)) % N_MIXED_PLAIN,
				   ways == 2 ? pick(2) : ways == 1, (uint16_t)(4 + pick(1200)));
		if (!is_plain) {
			uint32_t odd = N_MIXED_PLAIN + pick(N_MIXED - N_MIXED_PLAIN + 1);

			// Or one that is too long for one of the ports.
			mixed_make(&burst[pick(n)], odd == N_MIXED ? 2 : odd, pick(2),
				   odd == N_MIXED ? 1300 : 40);
		}
		// The policy is asked.
		run_burst(n, false, &slow);
		n_taken = run_both(n);
		if (is_plain)
			cr_assert_eq(n_taken, n);
		expect_same_frames_in_any_order();
	}
}

// Fills the burst with plain packets of the first `n_flows` flows, both ways by turns.
static void fill_plain(uint32_t n_flows)
{
	data_fill(40);
	for (uint32_t i = 0; i < DP_BURST; i++) {
		uint32_t k = i / 2 % n_flows;
		struct dress d = { .from = flow[k].peer, .to = flow[k].relayed };
		const void *payload = data;
		uint32_t n = 40;

		if (i % 2 == 0) {
			d.from = flow[k].client;
			d.to = flow[k].client[0] == '[' ? LISTEN_V6 : LISTEN_V4;
			n = channel_data(message, flow[k].channel, data, 40, 0);
			payload = message;
		}
		burst[i].n = frame_build(burst[i].bytes, &d, payload, n);
	}
}

Test(fast_path, takes_every_plain_packet_of_every_family)
{
	flows_program();
	fill_plain(5);
	run_burst(DP_BURST, false, &slow); // the policy is asked
	cr_assert_eq(run_both(DP_BURST), DP_BURST);
	cr_assert_eq(fast.counter[DP_COUNTER_UP_CHANNEL], DP_BURST / 2);
	cr_assert_eq(fast.counter[DP_COUNTER_DOWN_CHANNEL], DP_BURST / 2);
}

Test(fast_path, takes_hairpins)
{
	const uint32_t i = N_FLOWS - 1;
	struct dress d = { .from = flow[i].client, .to = LISTEN_V4 };

	flows_program();
	data_fill(40);
	for (uint32_t k = 0; k < DP_BURST; k++)
		burst[k].n = frame_build(burst[k].bytes, &d, message,
					 channel_data(message, flow[i].channel, data, 40, 0));
	run_burst(DP_BURST, false, &slow); // the policy is asked
	cr_assert_eq(run_both(DP_BURST), DP_BURST);
	cr_assert_eq(fast.counter[DP_COUNTER_HAIRPIN], DP_BURST);
}

// RFC 8656 §11.1, §11.3: with every length of padding.
Test(fast_path, takes_indications)
{
	flows_program();
	data_fill(40);
	for (uint32_t k = 0; k < DP_BURST; k++) {
		struct dress d = { .from = CLIENT_V4, .to = LISTEN_V4 };
		const void *payload = message;
		uint32_t n = 37 + k / 2 % 4;

		if (k % 2 == 0) {
			n = send_indication(message, "203.0.113.21:7", data, n);
		} else {
			d = (struct dress){ .from = "203.0.113.21:7", .to = RELAYED_V4 };
			payload = data;
		}
		burst[k].n = frame_build(burst[k].bytes, &d, payload, n);
	}
	run_burst(DP_BURST, false, &slow); // the policy is asked
	cr_assert_eq(run_both(DP_BURST), DP_BURST);
	cr_assert_eq(fast.counter[DP_COUNTER_UP_SEND], DP_BURST / 2);
	cr_assert_eq(fast.counter[DP_COUNTER_DOWN_DATA], DP_BURST / 2);
}

// DESIGN: nothing is relayed upward before the policy was asked, and again when its rules changed.
Test(fast_path, leaves_the_first_packet_to_the_policy)
{
	flows_program();
	fill_plain(1);
	cr_assert_eq(run_both(DP_BURST), DP_BURST / 2, "only what comes down");
	cr_assert_eq(run_both(DP_BURST), DP_BURST);
	settings.peer_rule[0].action = SHM_PEER_DENY;
	settings_publish();
	poll_once();
	cr_assert_eq(run_both(DP_BURST), DP_BURST / 2, "only what comes down");
	cr_assert_eq(fast.counter[DP_DROP_PEER_DENIED], DP_BURST / 2);
}

Test(fast_path, leaves_what_has_expired)
{
	flows_program();
	fill_plain(5);
	run_burst(DP_BURST, false, &slow);
	worker->now_ns += 2000000000000;
	cr_assert_eq(run_both(DP_BURST), 0);
	cr_assert_eq(fast.n_frames, 0);
	cr_assert_gt(fast.counter[DP_DROP_ALLOCATION_EXPIRED], 0);
}

// Flows with limits, and of clients whose sockets the control plane has, are the stages' alone.
Test(fast_path, leaves_what_is_limited_or_goes_to_a_stream)
{
	flow_flags = SHM_FLOW_F_LIMITED;
	flows_program();
	fill_plain(5);
	run_burst(DP_BURST, false, &slow); // the policy is asked
	cr_assert_eq(run_both(DP_BURST), 0);
	cr_assert_eq(fast.counter[DP_COUNTER_UP_CHANNEL], DP_BURST / 2);
	cr_assert_eq(fast.counter[DP_COUNTER_DOWN_CHANNEL], DP_BURST / 2);
	flow_flags = 0;
	program_flow(STREAM, "198.51.100.2:50012", PEER_V4, 0x4001);
	program_flow(STREAM2, "[fd00::2]:50012", PEER_V6, 0x4001);
	for (uint32_t i = 0; i < DP_BURST; i++) {
		struct dress d = { .from = i % 2 ? PEER_V4 : PEER_V6,
				   .to = i % 2 ? "198.51.100.2:50012" : "[fd00::2]:50012" };

		burst[i].n = frame_build(burst[i].bytes, &d, data, 40);
	}
	cr_assert_eq(run_both(DP_BURST), 0);
	cr_assert_eq(fast.counter[DP_COUNTER_STREAM_OUT], DP_BURST);
}
