// Binding requests, made once and sent again and again. One polling thread.
#include "bench/blast/binding.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_cycles.h>

#include "bench/blast/datagram.h"
#include "bench/blast/waited.h"
#include "dataplane/contract/wire/ip_udp.h"

#define REQUEST_FRAME_MAX 128
#define CLIENTS_MAX       4096

struct request {
	uint16_t frame_bytes;
	uint8_t frame[REQUEST_FRAME_MAX - 2];
};

struct binding {
	struct blast_port *port;
	struct flow_set *flows;
	struct request *requests;
	uint32_t n_requests;
	struct allocate neighbours; // answers ARP
};

static int requests_build(struct binding *b)
{
	b->n_requests = b->flows->plan.n_flows < CLIENTS_MAX ? b->flows->plan.n_flows : CLIENTS_MAX;
	b->requests = calloc(b->n_requests, sizeof(*b->requests));
	if (b->requests == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->n_requests; i++) {
		uint8_t transaction_id[12] = { 'b', 'i', 'n', 'd' };
		uint8_t frame[DATAGRAM_FRAME_MAX];
		uint8_t message[64];
		struct flow_addresses a;
		struct stun_builder builder;
		size_t n;

		memcpy(transaction_id + 8, &i, 4);
		flow_plan_addresses(&b->flows->plan, i, &a);
		stun_build_begin(&builder, message, sizeof(message), STUN_BINDING_REQUEST,
				 transaction_id);
		n = stun_build_end(&builder);
		b->requests[i].frame_bytes = datagram_write(frame, &b->flows->macs, &a.client,
							    &a.listener, message, (uint16_t)n);
		memcpy(b->requests[i].frame, frame, b->requests[i].frame_bytes);
	}
	return 0;
}

static void answer_judge(struct binding *b, const uint8_t *frame, uint32_t frame_bytes,
			 struct binding_result *out)
{
	struct ip_udp_view view;
	struct ip_endpoint mapped;
	struct stun_view m;
	struct stun_attr attr;

	if (ip_udp_parse(frame, frame_bytes, &view) != IP_UDP_OK ||
	    stun_parse(frame + view.payload_offset, view.payload_bytes, &m) != STUN_OK) {
		allocate_other(&b->neighbours, frame, frame_bytes);
		return;
	}
	if (m.type == STUN_BINDING_SUCCESS &&
	    stun_attr_find(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &attr) &&
	    stun_xor_address_get(&m, &attr, &mapped) == 0 &&
	    ip_endpoint_equal(&mapped, &view.destination))
		out->answered++;
	else
		out->wrong++;
}

static uint32_t answers_take(struct binding *b, struct binding_result *out)
{
	struct rte_mbuf *burst[PORT_BURST];
	uint32_t n = rte_eth_rx_burst(b->port->ethdev, 0, burst, PORT_BURST);

	for (uint32_t i = 0; i < n; i++)
		answer_judge(b, rte_pktmbuf_mtod(burst[i], const uint8_t *),
			     rte_pktmbuf_data_len(burst[i]), out);
	rte_pktmbuf_free_bulk(burst, n);
	return n;
}

static void requests_send(struct binding *b, uint32_t n, uint32_t *next, struct binding_result *out)
{
	struct blast_port *port = b->port;

	if (rte_pktmbuf_alloc_bulk(port->tx_pool, port->pending, n) != 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct request *r = &b->requests[*next];

		memcpy(rte_pktmbuf_mtod(port->pending[i], void *), r->frame, REQUEST_FRAME_MAX - 2);
		port->pending[i]->data_len = r->frame_bytes;
		port->pending[i]->pkt_len = r->frame_bytes;
		*next = *next + 1 == b->n_requests ? 0 : *next + 1;
	}
	port->n_pending = n;
	out->sent += n;
	blast_port_flush(port);
}

int binding_run(struct blast_port *port, struct flow_set *flows, double rate_pps, double seconds,
		struct binding_result *out)
{
	struct binding b = { .port = port, .flows = flows };
	uint64_t hz = rte_get_tsc_hz();
	uint64_t begin;
	uint64_t now;
	uint64_t last;
	uint64_t waited;
	uint32_t next = 0;
	int ret = allocate_create(&b.neighbours, port, flows, NULL, NULL, 1);

	memset(out, 0, sizeof(*out));
	if (ret == 0)
		ret = requests_build(&b);
	if (ret < 0)
		return ret;
	waited = waited_ns();
	begin = now = rte_rdtsc();
	while ((double)(now - begin) < seconds * (double)hz) {
		answers_take(&b, out);
		if (blast_port_flush(port)) {
			uint64_t due = PORT_BURST;

			if (rate_pps > 0) {
				uint64_t wanted =
					(uint64_t)((double)(now - begin) / (double)hz * rate_pps);

				due = wanted > out->sent ? wanted - out->sent : 0;
			}
			if (due > 0)
				requests_send(&b, due > PORT_BURST ? PORT_BURST : (uint32_t)due,
					      &next, out);
		}
		now = rte_rdtsc();
	}
	out->seconds = (double)(now - begin) / (double)hz;
	out->waited_share = (double)(waited_ns() - waited) / 1e9 / out->seconds;
	for (last = now; now - last < hz / 10; now = rte_rdtsc()) {
		if (answers_take(&b, out) > 0)
			last = now;
	}
	free(b.requests);
	return 0;
}
