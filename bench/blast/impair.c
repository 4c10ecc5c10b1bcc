// impair: a line that loses, duplicates, corrupts and reorders, between the generator and what it measures, and tells
// afterwards how often it did. The proof that blast cannot flatter. One polling thread.
//
//   impair --near DEVICE [--far DEVICE] [--lose N] [--duplicate N] [--corrupt N] [--reorder N] [--cpu N]
//
// Packets from near to far suffer; those from far to near pass. Without --far everything returns to near. It runs until
// SIGTERM or SIGINT, then prints one JSON object.
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "bench/blast/impairment.h"
#include "bench/blast/port.h"

#define HELD_MS_MAX 20 // a held packet that nothing overtakes goes on

struct line {
	struct blast_port near;
	struct blast_port far;
	struct impairment impairment;
	struct rte_mbuf *held;
	uint32_t held_flow;
	uint64_t held_since_tsc;
	uint64_t n_refused;
};

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	is_stopped = 1;
}

static void packet_send(struct line *l, struct blast_port *to, struct rte_mbuf *m)
{
	uint64_t end = rte_rdtsc() + rte_get_tsc_hz();

	// The line itself must lose nothing that it does not count.
	while (rte_eth_tx_burst(to->ethdev, 0, &m, 1) == 0) {
		struct timespec pause = { .tv_nsec = 50000 };

		if (is_stopped || rte_rdtsc() > end) {
			rte_pktmbuf_free(m);
			l->n_refused++;
			return;
		}
		nanosleep(&pause, NULL);
	}
}

static void held_release(struct line *l, bool was_overtaken)
{
	l->impairment.count[was_overtaken ? IMPAIRMENT_HOLD : IMPAIRMENT_PASS]++;
	packet_send(l, &l->far, l->held);
	l->held = NULL;
}

static void packet_impair(struct line *l, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct frame_layout layout;
	struct rte_mbuf *copy;
	uint32_t bit;
	uint32_t flow;
	bool is_whole = true;

	if (!frame_locate(frame, rte_pktmbuf_data_len(m),
			  &layout)) { // STUN and ARP: no part of the traffic
		packet_send(l, &l->far, m);
		return;
	}
	flow = frame_stamp_flow(&layout);
	switch (impairment_decide(&l->impairment, l->held == NULL)) {
	case IMPAIRMENT_LOSE:
		rte_pktmbuf_free(m);
		return;
	case IMPAIRMENT_HOLD:
		l->held = m;
		l->held_flow = flow;
		l->held_since_tsc = rte_rdtsc();
		return;
	case IMPAIRMENT_CORRUPT:
		// Any bit of the payload, stamp or pattern: what a relay must carry untouched.
		bit = impairment_bit(&l->impairment, layout.payload_bytes);
		frame[layout.payload - frame + bit / 8] ^= (uint8_t)(1u << bit % 8);
		is_whole = false;
		break;
	case IMPAIRMENT_DUPLICATE:
		copy = rte_pktmbuf_copy(m, l->near.rx_pool, 0, UINT32_MAX);
		if (copy == NULL)
			l->n_refused++;
		else
			packet_send(l, &l->far, copy);
		break;
	default:
		break;
	}
	packet_send(l, &l->far, m);
	if (l->held != NULL && is_whole && flow == l->held_flow)
		held_release(l, true);
}

static void line_run(struct line *l, bool has_far)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	uint64_t held_tsc_max = rte_get_tsc_hz() / 1000 * HELD_MS_MAX;
	struct rte_mbuf *burst[PORT_BURST];

	while (!is_stopped) {
		uint32_t n = rte_eth_rx_burst(l->near.ethdev, 0, burst, PORT_BURST);
		uint32_t n_back = 0;

		for (uint32_t i = 0; i < n; i++)
			packet_impair(l, burst[i]);
		if (has_far) {
			n_back = rte_eth_rx_burst(l->far.ethdev, 0, burst, PORT_BURST);
			for (uint32_t i = 0; i < n_back; i++)
				packet_send(l, &l->near, burst[i]);
		}
		if (l->held != NULL && rte_rdtsc() - l->held_since_tsc > held_tsc_max)
			held_release(l, false);
		if (n + n_back == 0)
			nanosleep(&pause, NULL);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: impair --near DEVICE [--far DEVICE] [--lose N] [--duplicate N] "
			"[--corrupt N] [--reorder N] [--cpu N]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "near", required_argument, NULL, 'n' },
		{ "far", required_argument, NULL, 'f' },
		{ "lose", required_argument, NULL, 'l' },
		{ "duplicate", required_argument, NULL, 'd' },
		{ "corrupt", required_argument, NULL, 'c' },
		{ "reorder", required_argument, NULL, 'r' },
		{ "cpu", required_argument, NULL, 'p' },
		{ 0 },
	};
	const char *devices[2] = { NULL, NULL };
	struct port_options o = { .cpu = 0, .ring = 4096, .file_prefix = "impair" };
	static struct line l;
	const uint64_t *n;
	uint32_t n_devices;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint32_t value = optarg == NULL ? 0 : (uint32_t)strtoul(optarg, NULL, 10);

		switch (opt) {
		case 'n':
			devices[0] = optarg;
			break;
		case 'f':
			devices[1] = optarg;
			break;
		case 'l':
			l.impairment.options.lose_every = value;
			break;
		case 'd':
			l.impairment.options.duplicate_every = value;
			break;
		case 'c':
			l.impairment.options.corrupt_every = value;
			break;
		case 'r':
			l.impairment.options.reorder_every = value;
			break;
		case 'p':
			o.cpu = value;
			break;
		default:
			return usage();
		}
	}
	if (devices[0] == NULL || optind < argc)
		return usage();
	n_devices = devices[1] == NULL ? 1 : 2;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	frame_pattern_init();
	if (blast_eal_start(&o, devices, n_devices) < 0)
		return 1;
	if (rte_eth_dev_count_avail() != n_devices) {
		fprintf(stderr, "impair: a device gives no port\n");
		return 1;
	}
	o.device = devices[0];
	if (blast_port_start(0, &o, &l.near) < 0)
		return 1;
	l.far = l.near;
	o.device = devices[1];
	if (n_devices == 2 && blast_port_start(1, &o, &l.far) < 0)
		return 1;
	line_run(&l, n_devices == 2);
	n = l.impairment.count;
	printf("{\"seen\":%lu,\"lost\":%lu,\"duplicated\":%lu,\"corrupted\":%lu,\"reordered\":%lu,"
	       "\"refused\":%lu}\n",
	       (unsigned long)l.impairment.n_seen, (unsigned long)n[IMPAIRMENT_LOSE],
	       (unsigned long)n[IMPAIRMENT_DUPLICATE], (unsigned long)n[IMPAIRMENT_CORRUPT],
	       (unsigned long)n[IMPAIRMENT_HOLD], (unsigned long)l.n_refused);
	return fflush(stdout) == 0 ? 0 : 1;
}
