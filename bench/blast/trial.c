// The generator's loop. One polling thread; writes the paths' sequence state, the tally and its own mbufs.
#include "bench/blast/trial.h"

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>

#include "bench/blast/waited.h"

#define PREFETCH_AHEAD     8
#define DRAIN_QUIET_MS     60
#define DRAIN_MS_MAX       2000
#define TSC_STAMP_MASK     ((1ull << 48) - 1)
#define RX_BURSTS_PER_LOOP 2

// Builds up to n frames; returns how many, fewer only when no buffer is left.
static uint32_t frames_build(struct blast_port *port, struct flow_set *flows, struct mix *mix,
			     uint32_t n, struct tally *t)
{
	uint64_t tsc = rte_rdtsc();

	if (rte_pktmbuf_alloc_bulk(port->tx_pool, port->pending, n) != 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct mix_item *ahead = mix_peek(mix, PREFETCH_AHEAD);
		const struct frame_path *next = &(
			ahead->flow & MIX_DOWN ? flows->down : flows->up)[ahead->flow & ~MIX_DOWN];
		const struct mix_item *item = mix_next(mix);
		uint32_t flow_idx = item->flow & ~MIX_DOWN;
		struct frame_path *p = &(item->flow & MIX_DOWN ? flows->down : flows->up)[flow_idx];
		struct rte_mbuf *m = port->pending[i];
		uint16_t frame_bytes;

		for (uint32_t line = 0; line < sizeof(*next); line += 64)
			__builtin_prefetch((const uint8_t *)next + line, 1);
		frame_bytes = frame_write(p, flow_idx, blast_port_payload(m),
					  frame_payload_bytes(p, item->frame_bytes), tsc);
		blast_port_frame(m, p->header_bytes, frame_bytes);
		t->sent_bytes += frame_bytes;
	}
	port->n_pending = n;
	t->sent += n;
	return n;
}

static void frame_count(struct flow_set *flows, struct tally *t, const struct rte_mbuf *m,
			const struct frame_layout *l, uint64_t tsc)
{
	struct frame_arrival arrival;
	struct frame_path *p;

	switch (frame_judge(l, flows->up, flows->down, flows->plan.n_flows, &arrival)) {
	case FRAME_OK:
		p = &(arrival.is_down ? flows->down : flows->up)[arrival.flow_idx];
		tally_arrival(t, p, arrival.seq);
		t->received_bytes += rte_pktmbuf_data_len(m);
		histogram_add(&t->latency, (tsc - arrival.sent_tsc) & TSC_STAMP_MASK);
		break;
	case FRAME_BAD_CHECKSUM:
		t->bad_checksum++;
		break;
	case FRAME_MISDIRECTED:
		t->misdirected++;
		break;
	default:
		t->corrupted++;
		break;
	}
}

uint32_t trial_receive(struct blast_port *port, struct flow_set *flows, struct tally *t,
		       uint64_t tsc, const struct trial_options *o)
{
	struct rte_mbuf *burst[PORT_BURST];
	struct frame_layout layout[PORT_BURST];
	uint32_t n = rte_eth_rx_burst(port->ethdev, 0, burst, PORT_BURST);

	for (uint32_t i = 0; i < n; i++)
		__builtin_prefetch(rte_pktmbuf_mtod(burst[i], const uint8_t *));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t flow;

		if (!frame_locate(rte_pktmbuf_mtod(burst[i], const uint8_t *),
				  rte_pktmbuf_data_len(burst[i]), &layout[i])) {
			layout[i].payload = NULL;
			continue;
		}
		flow = frame_stamp_flow(&layout[i]);
		if ((flow & 0x7fffffff) < flows->plan.n_flows) {
			const struct frame_path *p =
				&(flow >> 31 ? flows->down : flows->up)[flow & 0x7fffffff];

			// The second half is what arrivals touch.
			__builtin_prefetch((const uint8_t *)p + 128, 1);
			__builtin_prefetch((const uint8_t *)p + 192, 1);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		if (layout[i].payload != NULL) {
			frame_count(flows, t, burst[i], &layout[i], tsc);
			continue;
		}
		t->not_ours++;
		if (o->other != NULL)
			o->other(o->other_arg, rte_pktmbuf_mtod(burst[i], const uint8_t *),
				 rte_pktmbuf_data_len(burst[i]));
	}
	rte_pktmbuf_free_bulk(burst, n);
	return n;
}

// Sends and receives until `end_tsc`. Returns the time at which it ended.
static uint64_t phase_run(struct blast_port *port, struct flow_set *flows, struct mix *mix,
			  const struct trial_options *o, uint64_t begin_tsc, uint64_t end_tsc,
			  struct tally *t, uint64_t *n_polls, uint64_t *n_busy)
{
	double per_tsc = o->rate_pps / (double)rte_get_tsc_hz();
	uint64_t n_built = 0;
	uint64_t now = begin_tsc;

	while (now < end_tsc) {
		for (uint32_t i = 0; i < RX_BURSTS_PER_LOOP; i++) {
			uint32_t n = trial_receive(port, flows, t, rte_rdtsc(), o);

			(*n_polls)++;
			*n_busy += n > 0;
			if (n < PORT_BURST)
				break;
		}
		if (blast_port_flush(port)) {
			uint64_t due = PORT_BURST;

			if (o->rate_pps > 0) {
				uint64_t wanted = (uint64_t)((double)(now - begin_tsc) * per_tsc);

				due = wanted > n_built ? wanted - n_built : 0;
				if (due > PORT_BURST)
					due = PORT_BURST;
			}
			if (due > 0) {
				n_built += frames_build(port, flows, mix, (uint32_t)due, t);
				blast_port_flush(port);
			}
		}
		now = rte_rdtsc();
	}
	return now;
}

// Receives until the line has been quiet for a while. What is still pending is sent first.
static void drain(struct blast_port *port, struct flow_set *flows, const struct trial_options *o,
		  struct tally *t)
{
	uint64_t hz = rte_get_tsc_hz();
	uint64_t begin = rte_rdtsc();
	uint64_t last = begin;
	uint64_t now = begin;

	while (now - last < hz / 1000 * DRAIN_QUIET_MS && now - begin < hz / 1000 * DRAIN_MS_MAX) {
		if (!blast_port_flush(port))
			last = now;
		if (trial_receive(port, flows, t, rte_rdtsc(), o) > 0)
			last = now;
		now = rte_rdtsc();
	}
}

int trial_run(struct blast_port *port, struct flow_set *flows, struct mix *mix,
	      const struct trial_options *o, struct trial_result *out)
{
	uint64_t hz = rte_get_tsc_hz();
	uint64_t n_polls = 0;
	uint64_t n_busy = 0;
	uint64_t begin;
	uint64_t end;
	uint64_t waited;

	memset(out, 0, sizeof(*out));
	if (o->warmup_seconds > 0) {
		begin = rte_rdtsc();
		phase_run(port, flows, mix, o, begin,
			  begin + (uint64_t)(o->warmup_seconds * (double)hz), &out->tally, &n_polls,
			  &n_busy);
		drain(port, flows, o, &out->tally);
		memset(out, 0, sizeof(*out));
		n_polls = n_busy = 0;
	}
	waited = waited_ns();
	begin = rte_rdtsc();
	end = phase_run(port, flows, mix, o, begin, begin + (uint64_t)(o->seconds * (double)hz),
			&out->tally, &n_polls, &n_busy);
	waited = waited_ns() - waited;
	drain(port, flows, o, &out->tally);
	out->seconds = (double)(end - begin) / (double)hz;
	out->waited_share = (double)waited / 1e9 / out->seconds;
	out->offered_pps = (double)out->tally.sent / out->seconds;
	out->received_pps = (double)out->tally.received / out->seconds;
	out->received_bps = (double)out->tally.received_bytes * 8 / out->seconds;
	out->rx_busy_share = n_polls == 0 ? 0 : (double)n_busy / (double)n_polls;
	return out->tally.sent == 0 && o->seconds > 0 ? -EIO : 0;
}
