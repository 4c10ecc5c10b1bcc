// Fragments in (RFC 791 §3.2, RFC 8200 §4.5), by DPDK's ip_frag; a complete datagram becomes one
// packet in one buffer and is classified like any other. Worker thread; writes its own table.
#include <rte_ip.h>

#include "dataplane/header.h"
#include "dataplane/worker.h"

#define IPV6_FRAGMENT_BYTES 8
#define PROTOCOL_FRAGMENT   44

// Frees what the table gave up and counts it.
static void bury(struct dp_worker *w)
{
	uint32_t n_mbufs = w->death_row.cnt;

	if (n_mbufs == 0)
		return;
	rte_ip_frag_free_death_row(&w->death_row, 0);
	w->count[DP_DROP_FRAGMENT] += n_mbufs;
	w->n_fragments_waiting -= n_mbufs;
}

static bool fits(struct rte_mempool *pool, const struct rte_mbuf *m)
{
	return m->pkt_len <= (uint32_t)(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM);
}

struct rte_mbuf *dp_reassembly_linearise(struct dp_worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *whole = NULL;

	// Large buffers are few: only for what needs them.
	if (fits(w->shared->pool, m))
		whole = rte_pktmbuf_copy(m, w->shared->pool, 0, UINT32_MAX);
	else if (fits(w->jumbo_pool, m))
		whole = rte_pktmbuf_copy(m, w->jumbo_pool, 0, UINT32_MAX);
	rte_pktmbuf_free(m);
	return whole;
}

// Gives the fragment to the table; the whole datagram if this was the last piece.
static struct rte_mbuf *reassemble(struct dp_worker *w, struct dp_packet *p)
{
	uint8_t *ip = p->frame + p->view.l3_offset;
	struct rte_mbuf *m = p->mbuf;

	m->l2_len = p->view.l3_offset;
	if (p->view.is_v4) {
		m->l3_len = p->view.l4_offset - p->view.l3_offset;
		return rte_ipv4_frag_reassemble_packet(w->fragments, &w->death_row, m, w->last_tsc,
						       (struct rte_ipv4_hdr *)ip);
	}
	m->l3_len = IPV6_BYTES + IPV6_FRAGMENT_BYTES;
	return rte_ipv6_frag_reassemble_packet(w->fragments, &w->death_row, m, w->last_tsc,
					       (struct rte_ipv6_hdr *)ip,
					       (struct rte_ipv6_fragment_ext *)(ip + IPV6_BYTES));
}

// The library leaves the IPv4 header checksum to the hardware.
static void finish_header(struct dp_packet *p)
{
	uint8_t *ip = p->frame + p->view.l3_offset;
	uint16_t checksum;

	if (!p->view.is_v4)
		return;
	memset(ip + 10, 0, 2);
	checksum = ipv4_header_checksum(ip, (ip[0] & 0xfu) * 4);
	memcpy(ip + 10, &checksum, 2);
}

// True: the packet is a whole datagram now.
static bool take_fragment(struct dp_worker *w, struct dp_packet *p)
{
	struct rte_mbuf *whole;
	uint32_t n_pieces;

	// The library supports the fragment header only right behind the fixed one.
	if (!p->view.is_v4 && (p->frame[p->view.l3_offset + 6] != PROTOCOL_FRAGMENT ||
			       p->view.l4_offset != p->view.l3_offset + IPV6_BYTES)) {
		dp_drop(w, p, DP_DROP_FRAGMENT);
		return false;
	}
	w->n_fragments_waiting++;
	whole = reassemble(w, p);
	if (whole == NULL) {
		bury(w);
		return false;
	}
	n_pieces = whole->nb_segs;
	w->n_fragments_waiting -= n_pieces;
	w->count[DP_COUNTER_FRAGMENT_HELD] += n_pieces - 1;
	bury(w);
	whole = dp_reassembly_linearise(w, whole);
	if (whole == NULL) {
		w->count[DP_DROP_NO_MBUF]++;
		return false;
	}
	whole->ol_flags = 0;
	p->mbuf = whole;
	p->was_fragments = 1;
	p->frame = rte_pktmbuf_mtod(whole, uint8_t *);
	finish_header(p);
	w->count[DP_COUNTER_REASSEMBLED]++;
	return true;
}

void dp_reassembly_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	struct dp_packet *whole[DP_BURST];
	uint32_t n_whole = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (take_fragment(w, in[i]))
			whole[n_whole++] = in[i];
	}
	if (n_whole > 0)
		dp_classify_burst(w, whole, n_whole);
}

void dp_reassembly_expire(struct dp_worker *w)
{
	if (w->n_fragments_waiting == 0)
		return;
	rte_ip_frag_table_del_expired_entries(w->fragments, &w->death_row, w->last_tsc);
	bury(w);
}
