// From a plaintext packet and a watcher's numbers to an encrypted frame: header into a fresh buffer, payload encrypted out of the
// shared plaintext, Ethernet, IP and UDP in front. Worker thread; writes its batches and the records of what is sent.
#include <rte_branch_prediction.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/rtp_extension_values.h"
#include "dataplane/contract/wire/rtp_rtx.h"
#include "dataplane/contract/wire/vp8_descriptor.h"
#include "dataplane/contract/wire/vp9_descriptor.h"
#include "dataplane/sfu/index_check.h"
#include "dataplane/sfu/transmission.h"
#include "dataplane/sfu/twcc.h"

#define IPV4_LENGTH_AT   2
#define IPV4_CHECKSUM_AT 10
#define IPV6_LENGTH_AT   4
#define IPV4_BYTES       20
#define IPV6_BYTES       40
#define UDP_BYTES        8

#define RUN_BYTES 10240 // of payload; the first level of the cache has three to five times as much

static void job_drop(const struct dp_sfu_job *job)
{
	if (job->is_owned)
		rte_pktmbuf_free(job->plain);
}

static struct rte_mbuf *buffer_take(struct dp_sfu_transmission *x)
{
	struct dp_worker *w = x->worker;

	if (unlikely(x->n_stash == 0)) {
		if (rte_pktmbuf_alloc_bulk(w->shared->pool, x->stash, DP_SFU_STASH) != 0) {
			w->count[DP_DROP_NO_MBUF]++;
			return NULL;
		}
		x->n_stash = DP_SFU_STASH;
	}
	return x->stash[--x->n_stash];
}

// A transport with new keys: its packets begin with ROC 0 (RFC 3711 §3.3.1), sequence numbers go on.
static void generation_follow(struct dp_sfu_egress *e, uint32_t generation)
{
	uint64_t index = e->index_base + e->state->next_index;

	e->index_base = index & ~UINT64_C(0xffff);
	e->first_index = index;
	e->rtx_index &= 0xffff;
	e->state->next_rtx_index = e->rtx_index;
	// The indices before the generation: whoever finds the old generation with them begins anew again.
	__atomic_store_n(&e->state->next_index, index - e->index_base, __ATOMIC_RELEASE);
	__atomic_store_n(&e->state->srtp_generation, generation, __ATOMIC_RELEASE);
	e->srtp_generation = generation;
}

static void descriptor_rewrite(uint8_t *payload, const struct dp_sfu_media *m,
			       const struct dp_sfu_rewritten *out)
{
	if (m->codec == SHM_SFU_VP8) {
		struct vp8_descriptor d;

		if (vp8_descriptor_parse(payload, m->payload_bytes, &d) == 0)
			vp8_descriptor_rewrite(payload, &d, out->small.picture_id, out->small.tl0,
					       out->small.key_idx);
	} else if (m->codec == SHM_SFU_VP9) {
		struct vp9_descriptor d;

		if (vp9_descriptor_parse(payload, m->payload_bytes, &d) == 0)
			vp9_descriptor_rewrite(payload, &d, out->small.picture_id, out->small.tl0);
	}
}

// The RTP header; returns its length, 0 when it does not fit.
static inline uint32_t header_write(struct dp_sfu_transmission *x, uint8_t *p,
				    const struct dp_sfu_header *h, bool has_marker,
				    uint8_t payload_type, uint16_t sequence, uint32_t timestamp,
				    uint32_t ssrc)
{
	if (likely(h->n_bytes <= DP_SFU_RTP_HEADER_COPY))
		memcpy(p, h->bytes, DP_SFU_RTP_HEADER_COPY);
	else
		memcpy(p, h->bytes, h->n_bytes);
	p[1] = (uint8_t)(has_marker << 7 | payload_type);
	bytes_put_be16(p + 2, sequence);
	bytes_put_be32(p + 4, timestamp);
	bytes_put_be32(p + 8, ssrc);
	return h->n_bytes;
}

static uint32_t dependency_cut(const struct dp_sfu_transmission *x, const uint8_t *packet,
			       const struct dp_sfu_media *m, uint16_t cut, uint8_t *out)
{
	const struct dp_sfu_dependency *d =
		x->dependency[shm_sfu_ingress_idx(m->track_idx, m->layer)];

	if (d == NULL)
		return 0;
	return dp_sfu_dependency_cut(
		d, m->track_serial, packet + m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR],
		m->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR], cut, out);
}

static const struct dp_sfu_header *own_header(struct dp_sfu_transmission *x,
					      const struct dp_sfu_egress *e,
					      const struct dp_sfu_job *job)
{
	const struct shm_sfu_subscription *s = &x->table->subscription[e->idx];
	const struct dp_sfu_media *m = job->plain != NULL ? dp_sfu_media(job->plain) : NULL;
	const uint8_t *packet =
		job->plain != NULL ? rte_pktmbuf_mtod(job->plain, const uint8_t *) : NULL;
	uint8_t mid_bytes = RTE_MIN(s->mid_bytes, (uint8_t)SHM_SFU_MID_MAX);
	uint8_t dependency[AV1_DD_BYTES_MAX];
	uint32_t dependency_bytes = 0;

	if (job->tells_cut && m != NULL)
		dependency_bytes = dependency_cut(x, packet, m, job->cut, dependency);
	dp_sfu_header_build(&x->own_header, &e->watcher->map, packet, m,
			    e->state->is_acknowledged ? NULL : s->mid, mid_bytes,
			    dependency_bytes > 0 ? dependency : NULL, (uint8_t)dependency_bytes);
	return &x->own_header;
}

// Padding that says how long it is in its last byte (RFC 3550 §5.1).
static uint32_t padding_write(uint8_t *packet, uint8_t *payload, uint8_t padding_bytes)
{
	memset(payload, 0, padding_bytes);
	payload[padding_bytes - 1] = padding_bytes;
	packet[0] |= 0x20;
	return padding_bytes;
}

void dp_sfu_emit(struct dp_sfu_transmission *x, struct dp_sfu_egress *e,
		 const struct dp_sfu_job *job, const struct dp_sfu_header *h)
{
	struct dp_sfu_watcher *wt = e->watcher;
	struct dp_sfu_transport *t = wt->transport;
	struct dp_sfu_batch *b = x->batch[t->profile < DP_SRTP_PROFILE_COUNT ? t->profile : 0];
	const struct dp_sfu_media *m = job->plain != NULL ? dp_sfu_media(job->plain) : NULL;
	struct shm_sfu_egress_state *state = e->state;
	struct rte_mbuf *mbuf = buffer_take(x);
	struct dp_srtp_protect *op;
	const uint8_t *source;
	uint32_t header_bytes;
	uint32_t payload_bytes;
	uint64_t index;
	uint8_t *packet;

	if (unlikely(mbuf == NULL)) {
		job_drop(job);
		return;
	}
	if (unlikely(e->srtp_generation != t->srtp_generation))
		generation_follow(e, t->srtp_generation);
	if (h == NULL)
		h = own_header(x, e, job);
	packet = rte_pktmbuf_mtod(mbuf, uint8_t *);
	source = m != NULL ? rte_pktmbuf_mtod_offset(job->plain, const uint8_t *, m->header_bytes)
			   : NULL;
	payload_bytes = m != NULL ? m->payload_bytes : job->padding_bytes;
	// The longest header, OSN, tag.
	if (unlikely(job->kind == DP_SFU_JOB_MEDIA && job->out.index < e->first_index)) {
		rte_pktmbuf_free(mbuf); // of the key before this one
		job_drop(job);
		return;
	}
	if (unlikely(h->n_bytes + payload_bytes + RTX_OSN_BYTES + DP_SRTP_RTP_GROWTH_MAX >
			     rte_pktmbuf_tailroom(mbuf) ||
		     DP_SFU_RTP_HEADER_COPY > rte_pktmbuf_tailroom(mbuf))) {
		x->worker->count[DP_DROP_TOO_BIG]++;
		rte_pktmbuf_free(mbuf);
		job_drop(job);
		return;
	}
	if (likely(job->kind == DP_SFU_JOB_MEDIA)) {
		index = job->out.index - e->index_base;
		header_bytes = header_write(x, packet, h, job->has_marker, e->payload_type,
					    (uint16_t)index, job->out.timestamp, e->ssrc);
		if (unlikely(job->out.small.is_descriptor_changed)) {
			memcpy(packet + header_bytes, source, payload_bytes);
			source = packet + header_bytes;
			descriptor_rewrite(packet + header_bytes, m, &job->out);
		}
		// Before it is sent: whoever goes on from here must not use it again.
		if (likely(index >= state->next_index))
			__atomic_store_n(&state->next_index, index + 1, __ATOMIC_RELEASE);
		state->last_timestamp = job->out.timestamp;
		state->last_tx_ns = x->worker->now_ns;
		state->pkts++;
		state->bytes += payload_bytes;
	} else {
		uint32_t osn_bytes = 0;

		index = e->rtx_index++;
		__atomic_store_n(&state->next_rtx_index, e->rtx_index, __ATOMIC_RELEASE);
		header_bytes = header_write(x, packet, h, job->has_marker, e->rtx_payload_type,
					    (uint16_t)index, job->out.timestamp, e->rtx_ssrc);
		source = packet + header_bytes;
		if (job->kind != DP_SFU_JOB_PADDING) {
			bytes_put_be16(packet + header_bytes, (uint16_t)job->out.index);
			osn_bytes = RTX_OSN_BYTES;
			memcpy(packet + header_bytes + osn_bytes,
			       rte_pktmbuf_mtod_offset(job->plain, const uint8_t *,
						       m->header_bytes),
			       payload_bytes);
			if (job->out.small.is_descriptor_changed)
				descriptor_rewrite(packet + header_bytes + osn_bytes, m, &job->out);
			state->n_rtx += job->kind == DP_SFU_JOB_RTX;
		} else {
			padding_write(packet, packet + header_bytes, job->padding_bytes);
		}
		payload_bytes += osn_bytes;
	}
	if (h->dependency_at != 0)
		bytes_put_be16(packet + h->dependency_at + 1, job->out.small.frame_number);
	if (h->send_time_at != 0)
		rtp_abs_send_time_write(packet + h->send_time_at,
					rtp_abs_send_time_from_ns(x->worker->now_ns));
	if (h->twcc_at != 0) {
		bytes_put_be16(packet + h->twcc_at, (uint16_t)wt->twcc_sequence);
		if (wt->twcc_sequence % DP_SFU_RECENT == 0)
			dp_sfu_watcher_tell_history(wt);
		wt->recent[wt->twcc_sequence % DP_SFU_RECENT] =
			dp_sfu_sending(wt->twcc_sequence, x->worker->now_ns,
				       header_bytes + payload_bytes + wt->tag_bytes, job->probe_id);
		wt->twcc_sequence++;
	}
	op = &b->op[b->n];
	op->context = t->tx;
	op->packet = packet;
	op->payload = source;
	op->index = index;
	op->room_bytes = rte_pktmbuf_tailroom(mbuf);
	op->header_bytes = (uint16_t)header_bytes;
	op->payload_bytes = (uint16_t)payload_bytes;
	b->mbuf[b->n] = mbuf;
	b->plain[b->n] = job->is_owned ? job->plain : NULL;
	b->watcher[b->n] = wt;
	t->n_tx_pkts++;
	if (++b->n == DP_SFU_BATCH)
		dp_sfu_emit_flush(x);
}

// The sum of a payload and its tag. checksum_add() is made for any CPU; the workers' has wider registers, and this is most of
// what is ever summed.
static inline uint32_t payload_sum(uint32_t sum, const uint8_t *p, uint32_t n)
{
#ifdef __AVX2__
	// Words as signed ones, each 2^15 less than it is, are added in pairs.
	const __m256i less = _mm256_set1_epi16(INT16_MIN);
	const __m256i one = _mm256_set1_epi16(1);
	__m256i pairs = _mm256_setzero_si256();
	uint32_t lane[8];

	sum += (n / 32 * 16) << 15;
	for (; n >= 32; n -= 32, p += 32) {
		__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);

		pairs = _mm256_add_epi32(pairs, _mm256_madd_epi16(_mm256_xor_si256(v, less), one));
	}
	_mm256_storeu_si256((__m256i *)(void *)lane, pairs);
	for (uint32_t i = 0; i < 8; i++)
		sum += lane[i];
#endif
	return checksum_add(sum, p, n);
}

// Ethernet, IP and UDP from the watcher's template.
static inline void frame_write(struct dp_sfu_watcher *wt, struct rte_mbuf *mbuf, uint8_t *payload,
			       uint32_t n)
{
	uint8_t *frame = payload - wt->frame_bytes;
	uint8_t *ip = frame + wt->l2_bytes;
	uint16_t udp_be = __builtin_bswap16((uint16_t)(UDP_BYTES + n));
	uint16_t checksum;
	uint8_t *udp;

	memcpy(frame, wt->frame, wt->frame_bytes);
	if (wt->is_v4) {
		uint16_t total_be = __builtin_bswap16((uint16_t)(IPV4_BYTES + UDP_BYTES + n));
		uint16_t ip_checksum = (uint16_t)~checksum_fold(wt->ip_sum + total_be);

		udp = ip + IPV4_BYTES;
		memcpy(ip + IPV4_LENGTH_AT, &total_be, 2);
		memcpy(ip + IPV4_CHECKSUM_AT, &ip_checksum, 2);
	} else {
		udp = ip + IPV6_BYTES;
		memcpy(ip + IPV6_LENGTH_AT, &udp_be, 2);
	}
	memcpy(udp + 4, &udp_be, 2);
	checksum = (uint16_t)~checksum_fold(payload_sum(wt->udp_sum + 2u * udp_be, payload, n));
	if (checksum == 0)
		checksum = 0xffff;
	memcpy(udp + 6, &checksum, 2);
	mbuf->data_off = (uint16_t)(mbuf->data_off - wt->frame_bytes);
	mbuf->data_len = (uint16_t)(n + wt->frame_bytes);
	mbuf->pkt_len = n + wt->frame_bytes;
}

// One packet behind its encryption.
static void packet_send(struct dp_sfu_transmission *x, struct dp_sfu_batch *b, uint32_t i)
{
	struct dp_sfu_watcher *wt = b->watcher[i];
	struct dp_worker *w = x->worker;
	struct rte_mbuf *mbuf = b->mbuf[i];
	uint32_t n = b->op[i].protected_bytes;

	if (b->plain[i] != NULL)
		rte_pktmbuf_free(b->plain[i]);
	if (unlikely(b->op[i].status != DP_SRTP_OK)) {
		w->count[DP_DROP_SFU_MALFORMED]++;
		rte_pktmbuf_free(mbuf);
		return;
	}
	if (unlikely(x->check != NULL))
		dp_sfu_index_check(x->check, b->op[i].context, b->op[i].packet, n, b->op[i].index);
	if (likely(wt->frame_bytes != 0 && wt->frame_bytes - wt->l2_bytes + n <= wt->mtu_bytes)) {
		wt->tx_pkts++;
		wt->tx_bytes += n;
		frame_write(wt, mbuf, b->op[i].packet, n);
		dp_tx_push(w, wt->port_idx, mbuf);
		return;
	}
	mbuf->data_len = (uint16_t)n;
	mbuf->pkt_len = n;
	dp_sfu_send(w, wt->transport_idx, mbuf);
}

// How many from `at` on are encrypted together: what comes out of it is summed while it is in the first level of the cache.
static uint32_t run_length(const struct dp_sfu_batch *b, uint32_t at)
{
	uint32_t n_bytes = 0;
	uint32_t i = at;

	while (i < b->n && (n_bytes += b->op[i].payload_bytes) <= RUN_BYTES)
		i++;
	return RTE_MAX(i - at, 1u);
}

static void batch_flush(struct dp_sfu_transmission *x, struct dp_sfu_batch *b)
{
	for (uint32_t at = 0; at < b->n;) {
		uint32_t n = run_length(b, at);

		dp_srtp_protect_burst(b->op + at, n);
		for (uint32_t end = at + n; at < end; at++)
			packet_send(x, b, at);
	}
	// Out while they are in the cache, and before the last copy of a large room is made.
	if (b->n == DP_SFU_BATCH)
		dp_tx_flush(x->worker);
	b->n = 0;
}

void dp_sfu_emit_flush(struct dp_sfu_transmission *x)
{
	for (uint32_t i = 0; i < DP_SRTP_PROFILE_COUNT; i++) {
		if (x->batch[i] != NULL && x->batch[i]->n > 0)
			batch_flush(x, x->batch[i]);
	}
}
