// SRTP of clients: whose it is, whether it is authentic and new, and what it carries; then to the watchers. A burst is decrypted at
// once, out of the received buffers into the worker's own, which from then on all watchers share. Nothing is recorded of a
// packet that is not verified (RFC 3711 §3.3). Worker thread; writes the state of transports that it owns.
#include "dataplane/contract/wire/rtp_rtx.h"
#include "dataplane/sfu/reception.h"

#define RTP_HEADER_BYTES 12

// A packet between header and verification.
struct job {
	struct dp_packet *p;
	struct dp_sfu_client *c;
	struct rte_mbuf *m; // plaintext
	uint32_t ssrc;
};

// What belongs to publishers is asked for step by step, because each step is found by the one before.
struct arrival {
	struct dp_sfu_remote_key key;
	uint32_t transport_idx; // of ours, 0: not found
};

struct burst {
	uint32_t n;
	uint32_t n_plain;
	struct job job[DP_BURST];
	struct dp_srtp_unprotect work[DP_BURST];
	struct rte_mbuf *plain[DP_BURST];
};

static void refuse(struct dp_worker *w, struct dp_sfu_client *c, enum dp_counter reason)
{
	w->count[reason]++;
	dp_sfu_state(w, c->transport_idx)->n_refused++;
}

// ---- before decryption

static struct replay_window *window_of(struct dp_worker *w, const struct dp_sfu_client *c,
				       uint32_t ssrc)
{
	struct shm_sfu_ingress_state *in;
	bool is_rtx;
	int i = dp_sfu_stream_find(c, ssrc, &is_rtx);

	if (i < 0)
		return NULL;
	in = dp_sfu_ingress(w, c->stream[i]);
	return dp_sfu_window(is_rtx ? &in->rtx_window : &in->window);
}

static void prepare(struct dp_worker *w, struct burst *b, struct dp_packet *p,
		    struct dp_sfu_client *c, struct dp_sfu_transport *t)
{
	uint8_t *packet = p->frame + p->view.payload_offset;
	uint32_t packet_bytes = p->view.payload_bytes;
	struct dp_srtp_unprotect *work = &b->work[b->n];
	struct job *job = &b->job[b->n];
	const struct replay_window *window;
	uint16_t sequence;

	if (packet_bytes < RTP_HEADER_BYTES) {
		refuse(w, c, DP_DROP_SFU_MALFORMED);
		dp_done(w, p);
		return;
	}
	sequence = bytes_get_be16(packet + 2);
	job->p = p;
	job->c = c;
	job->ssrc = bytes_get_be32(packet + 8);
	window = window_of(w, c, job->ssrc);
	work->context = t->rx;
	work->packet = packet;
	work->packet_bytes = (uint16_t)packet_bytes;
	// Of an unknown SSRC this is the first packet, so its ROC is 0 (RFC 3711 §3.3.1).
	work->index = window != NULL ? replay_rtp_index(window, sequence) : sequence;
	if (window != NULL && replay_check(window, work->index) != REPLAY_FRESH) {
		refuse(w, c, DP_DROP_SFU_REPLAYED);
		dp_done(w, p);
		return;
	}
	job->m = rte_pktmbuf_alloc(w->sfu_rx->pool);
	if (job->m == NULL) {
		dp_drop(w, p, DP_DROP_NO_MBUF);
		return;
	}
	if (packet_bytes > rte_pktmbuf_tailroom(job->m)) {
		rte_pktmbuf_free(job->m);
		dp_drop(w, p, DP_DROP_TOO_BIG);
		return;
	}
	work->plain = rte_pktmbuf_mtod(job->m, uint8_t *);
	b->n++;
}

static void arrivals_prefetch(struct dp_worker *w, struct dp_packet **in, uint32_t n,
			      struct arrival *a)
{
	const struct dp_sfu_reception *rx = w->sfu_rx;

	for (uint32_t i = 0; i < n; i++) {
		a[i].key = dp_sfu_remote_key(&in[i]->view.source, in[i]->local_idx,
					     in[i]->view.destination.port_be);
		dp_sfu_remote_prefetch(rx->remotes, &a[i].key);
	}
	for (uint32_t i = 0; i < n; i++) {
		a[i].transport_idx = dp_sfu_remote_find(rx->remotes, &a[i].key);
		if (a[i].transport_idx == 0)
			continue;
		rte_prefetch0(&w->shared->sfu->table.transport[a[i].transport_idx]);
		rte_prefetch0(&rx->transport[a[i].transport_idx]);
		rte_prefetch0(&rx->client[a[i].transport_idx]);
		__builtin_prefetch(dp_sfu_state(w, a[i].transport_idx), 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_sfu_client *c =
			a[i].transport_idx != 0 ? rx->client[a[i].transport_idx] : NULL;

		if (c == NULL)
			continue;
		rte_prefetch0(rx->transport[a[i].transport_idx].rx);
		rte_prefetch0(c->extension_of);
		rte_prefetch0(&c->n_streams);
		rte_prefetch0(c->rtx_ssrc);
		rte_prefetch0(c->stream);
		rte_prefetch0(&c->arrivals);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_sfu_client *c =
			a[i].transport_idx != 0 ? rx->client[a[i].transport_idx] : NULL;
		const struct dp_srtp_context *context;
		const uint8_t *at;

		if (c == NULL)
			continue;
		context = rx->transport[a[i].transport_idx].rx;
		if (context != NULL)
			dp_srtp_prefetch(context, in[i]->view.payload_bytes);
		if (c->arrivals != NULL)
			__builtin_prefetch(c->arrivals, 1);
		if (c->n_streams == 0)
			continue;
		// Most have a stream or two: the first stands for them.
		at = (const uint8_t *)c->stream[0];
		for (uint32_t line = 0; line < DP_SFU_STREAM_HOT_BYTES; line += RTE_CACHE_LINE_SIZE)
			__builtin_prefetch(at + line, 1);
	}
}

// The ingress records of publishers' first streams, which those streams name.
static void streams_prefetch(const struct dp_worker *w, const struct arrival *a, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct dp_sfu_client *c =
			a[i].transport_idx != 0 ? w->sfu_rx->client[a[i].transport_idx] : NULL;
		const uint8_t *in;

		if (c == NULL || c->n_streams == 0)
			continue;
		in = (const uint8_t *)dp_sfu_ingress(w, c->stream[0]);
		for (uint32_t line = 0; line < sizeof(struct shm_sfu_ingress_state);
		     line += RTE_CACHE_LINE_SIZE)
			__builtin_prefetch(in + line, 1);
		if (c->arrivals != NULL)
			__builtin_prefetch(&c->arrivals->ticks[(c->arrivals->highest + 1) %
							       DP_SFU_TWCC_WINDOW],
					   1);
	}
}

static void sort_one(struct dp_worker *w, struct burst *b, struct dp_packet *p,
		     const struct arrival *a)
{
	const uint8_t *packet = p->frame + p->view.payload_offset;
	struct dp_sfu_transport *t;
	struct dp_sfu_client *c;
	uint32_t transport_idx;
	uint32_t owner;

	transport_idx = a->transport_idx;
	owner = w->worker_idx;
	// RTCP of the packets before this one may have changed nothing of that; another worker may own it.
	if (unlikely(transport_idx == 0))
		transport_idx = dp_sfu_remote_lookup(w, &a->key, &owner);
	if (transport_idx == 0) {
		dp_drop(w, p, DP_DROP_SFU_NO_CLIENT);
		return;
	}
	if (owner != w->worker_idx) {
		dp_sfu_exchange_pass(w, p, owner);
		return;
	}
	t = dp_sfu_transport_get(w, transport_idx);
	if (t == NULL) {
		dp_drop(w, p, DP_DROP_SFU_NO_CLIENT);
		return;
	}
	if (t->rx == NULL) {
		dp_drop(w, p, DP_DROP_SFU_NO_KEYS);
		return;
	}
	c = w->sfu_rx->client[transport_idx];
	if (rtp_is_rtcp(packet, p->view.payload_bytes)) {
		dp_sfu_rtcp_receive(w, c, packet, p->view.payload_bytes);
		dp_done(w, p);
		return;
	}
	prepare(w, b, p, c, t);
}

// ---- behind decryption

// The stream of a verified packet; -1: of none that the client offered.
static int stream_of(struct dp_worker *w, struct dp_sfu_client *c, const struct rtp_view *rtp,
		     bool *is_rtx)
{
	int i = dp_sfu_stream_find(c, rtp->ssrc, is_rtx);

	if (i < 0)
		i = dp_sfu_stream_latch(w, c, rtp, is_rtx);
	// A track may have come since the table was looked at.
	if (i < 0 && c->synced_ns != w->now_ns) {
		dp_sfu_streams_sync(w, c);
		i = dp_sfu_stream_find(c, rtp->ssrc, is_rtx);
		if (i < 0)
			i = dp_sfu_stream_latch(w, c, rtp, is_rtx);
	}
	return i;
}

// Turns a retransmission into what it repeats (RFC 4588 §4). False: it carries nothing new.
static bool unwrap(struct dp_worker *w, struct dp_sfu_client *c, struct dp_sfu_stream *s,
		   struct rte_mbuf *m, struct rtp_view *rtp, uint64_t *index)
{
	struct shm_sfu_ingress_state *in = dp_sfu_ingress(w, s);
	struct replay_window *window = dp_sfu_window(&in->window);
	uint8_t *original;

	if (in->ssrc == 0 || rtx_decapsulate(rte_pktmbuf_mtod(m, uint8_t *), rtp, s->payload_type,
					     in->ssrc, &original) < 0) {
		w->count[DP_COUNTER_SFU_PROBE]++;
		return false;
	}
	rte_pktmbuf_adj(m, RTX_OSN_BYTES);
	if (rtp_parse(original, rte_pktmbuf_data_len(m), rtp) < 0) {
		refuse(w, c, DP_DROP_SFU_MALFORMED);
		return false;
	}
	*index = replay_rtp_index(window, rtp->sequence);
	if (replay_check(window, *index) != REPLAY_FRESH) {
		w->count[DP_DROP_SFU_REPAIRED_TWICE]++;
		return false;
	}
	return true;
}

static void count_rx(struct dp_worker *w, const struct dp_sfu_client *c, uint32_t bytes)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, c->transport_idx);

	st->rx_pkts++;
	st->rx_bytes += bytes;
	st->last_rx_ns = w->now_ns;
}

// Of a verified packet; true when it goes to the watchers.
static bool take(struct dp_worker *w, struct dp_sfu_client *c, struct rte_mbuf *m, uint64_t index)
{
	struct dp_sfu_media *media = dp_sfu_media(m);
	struct shm_sfu_ingress_state *in = NULL; // these three are set with a stream
	struct replay_window *window = NULL;
	struct dp_sfu_stream *s = NULL;
	struct rtp_view rtp;
	bool is_rtx = false;
	int32_t twcc;
	int i;

	if (rtp_parse(rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_data_len(m), &rtp) < 0) {
		refuse(w, c, DP_DROP_SFU_MALFORMED);
		return false;
	}
	i = rtp.ssrc != 0 ? stream_of(w, c, &rtp, &is_rtx) : -1;
	if (i >= 0) {
		s = c->stream[i];
		in = dp_sfu_ingress(w, s);
		window = dp_sfu_window(is_rtx ? &in->rtx_window : &in->window);
		// Another of this burst may have had the same index.
		if (replay_check(window, index) != REPLAY_FRESH) {
			refuse(w, c, DP_DROP_SFU_REPLAYED);
			return false;
		}
	}
	twcc = dp_sfu_describe_extensions(c, rte_pktmbuf_mtod(m, uint8_t *), &rtp, media);
	if (twcc >= 0)
		dp_sfu_upstream_arrival(w, c, rtp.ssrc, (uint16_t)twcc);
	if (i < 0) {
		// libwebrtc probes the path under SSRC 0 before media flows.
		if (rtp.ssrc == 0 || rtp.payload_bytes == 0)
			w->count[DP_COUNTER_SFU_PROBE]++;
		else
			refuse(w, c, DP_DROP_SFU_NO_STREAM);
		return false;
	}
	if (is_rtx) {
		replay_record(window, index);
		if (!unwrap(w, c, s, m, &rtp, &index))
			return false;
		window = dp_sfu_window(&in->window);
		media->flags |= DP_SFU_MEDIA_F_REPAIRED;
	}
	dp_sfu_describe_payload(s, rte_pktmbuf_mtod(m, uint8_t *), &rtp, media);
	media->sequence = index;
	media->arrived_ns = w->now_ns;
	media->ssrc = in->ssrc;
	dp_sfu_upstream_note(w, s, media, window);
	replay_record(window, index);
	w->count[DP_COUNTER_SFU_RTP]++;
	return true;
}

static void finish(struct dp_worker *w, struct burst *b, uint32_t i)
{
	const struct dp_srtp_unprotect *work = &b->work[i];
	struct job *job = &b->job[i];

	dp_done(w, job->p);
	switch (work->status) {
	case DP_SRTP_OK:
		rte_pktmbuf_append(job->m, work->plain_bytes);
		count_rx(w, job->c, work->packet_bytes);
		if (take(w, job->c, job->m, work->index)) {
			b->plain[b->n_plain++] = job->m;
			return;
		}
		break;
	case DP_SRTP_FORGED:
		refuse(w, job->c, DP_DROP_SFU_FORGED);
		// Or under newer keys than those we know.
		dp_sfu_keys_suspect(w, job->c->transport_idx);
		break;
	default:
		refuse(w, job->c, DP_DROP_SFU_MALFORMED);
	}
	rte_pktmbuf_free(job->m);
}

void dp_sfu_srtp_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	struct arrival arrival[DP_BURST];
	struct burst b;

	b.n = 0;
	b.n_plain = 0;
	arrivals_prefetch(w, in, n, arrival);
	streams_prefetch(w, arrival, n);
	for (uint32_t i = 0; i < n; i++)
		sort_one(w, &b, in[i], &arrival[i]);
	dp_srtp_unprotect_burst(b.work, b.n);
	for (uint32_t i = 0; i < b.n; i++)
		finish(w, &b, i);
	if (b.n_plain > 0) {
		dp_sfu_exchange_share(w, b.plain, b.n_plain);
		dp_sfu_forward_burst(w, b.plain, b.n_plain);
		rte_pktmbuf_free_bulk(b.plain, b.n_plain);
	}
	while (w->sfu_rx->n_suspect > 0)
		dp_sfu_keys_refresh(w, w->sfu_rx->suspect[--w->sfu_rx->n_suspect]);
}
