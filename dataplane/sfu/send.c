// Out to a client: headers in front of a payload that is ready, and a port. Worker thread; writes the mbuf and, of transports that
// it owns, the state.
#include "dataplane/contract/wire/rtcp.h"
#include "dataplane/sfu/reception.h"

#define SRTCP_INDEX_MAX UINT32_C(0x7fffffff)

static void lose(struct dp_worker *w, struct rte_mbuf *m)
{
	w->count[DP_DROP_SFU_NO_PATH]++;
	rte_pktmbuf_free(m);
}

static void send_on(struct dp_worker *w, const struct dp_sfu_path *path, struct rte_mbuf *m,
		    uint32_t payload_bytes)
{
	uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(m, path->header_bytes);

	if (unlikely(frame == NULL)) {
		lose(w, m);
		return;
	}
	dp_sfu_path_write(path, frame, payload_bytes, w->ip_id++);
	if (unlikely(path->is_fused)) {
		dp_sfu_inside_push(w, path->port_idx, m);
		return;
	}
	if (likely((uint32_t)(path->header_bytes - path->l2_bytes) + payload_bytes <=
		   path->mtu_bytes)) {
		dp_tx_push(w, path->port_idx, m);
		return;
	}
	if (!dp_tx_push_fragments(w, path->port_idx, m, path->l2_bytes, path->is_v4))
		w->count[DP_DROP_NO_MBUF]++;
}

void dp_sfu_send(struct dp_worker *w, uint32_t transport_idx, struct rte_mbuf *m)
{
	const struct dp_sfu_shared *sfu = w->shared->sfu;
	uint32_t payload_bytes = rte_pktmbuf_data_len(m);
	struct shm_sfu_transport_state *st;
	struct dp_sfu_path *path;

	if (unlikely(transport_idx == 0 || transport_idx >= sfu->table.n_transports)) {
		lose(w, m);
		return;
	}
	st = dp_sfu_state(w, transport_idx);
	if (unlikely(w->sfu_rx->client[transport_idx] == NULL)) {
		// Another worker's client, of which only DTLS is sent from here. What nobody owns may still show where the one
		// before it was.
		struct dp_sfu_path once;

		if (dp_sfu_owner(w, transport_idx) >= 0 && dp_sfu_path_build(w, st, &once))
			send_on(w, &once, m, payload_bytes);
		else
			lose(w, m);
		return;
	}
	path = &w->sfu_rx->path[transport_idx];
	if (unlikely((path->header_bytes == 0 || path->settings_version != w->settings.version) &&
		     !dp_sfu_path_build(w, st, path))) {
		lose(w, m);
		return;
	}
	st->tx_pkts++;
	st->tx_bytes += payload_bytes;
	send_on(w, path, m, payload_bytes);
}

bool dp_sfu_send_rtcp(struct dp_worker *w, uint32_t transport_idx, const uint8_t *packet,
		      uint32_t packet_bytes)
{
	struct dp_sfu_transport *t = dp_sfu_transport_get(w, transport_idx);
	struct shm_sfu_transport_state *st;
	struct rte_mbuf *m;
	uint32_t out_bytes;
	uint32_t index;

	if (t == NULL || t->tx == NULL)
		return false;
	st = dp_sfu_state(w, transport_idx);
	index = st->srtcp_tx_index;
	if (index >= SRTCP_INDEX_MAX)
		return false;
	m = rte_pktmbuf_alloc(w->shared->pool);
	if (m == NULL) {
		w->count[DP_DROP_NO_MBUF]++;
		return false;
	}
	// Before the packet can be seen, so that whoever comes after a crash does not use the index again.
	__atomic_store_n(&st->srtcp_tx_index, index + 1, __ATOMIC_RELEASE);
	if (dp_srtcp_protect(t->tx, packet, packet_bytes, index, true,
			     rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m),
			     &out_bytes) != DP_SRTP_OK) {
		rte_pktmbuf_free(m);
		return false;
	}
	rte_pktmbuf_append(m, (uint16_t)out_bytes);
	dp_sfu_send(w, transport_idx, m);
	return true;
}
