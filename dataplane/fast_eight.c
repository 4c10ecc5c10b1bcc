// The fast path's third pass over IPv4 where eight packets are as nearly all are: their entries are decided on
// and their headers made side by side, without a branch per packet. Where one of them is not, fast_v4.c decides
// one by one. Worker thread; writes the packets' buffers, the tx queue and the usage of their flows.
#include "dataplane/fast_headers.h"
#include "dataplane/policy_cache.h"
#include "dataplane/relay.h"

// ThreadSanitizer takes a vector access for a racing plain one, so it gets the portable twins.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define HAS_VECTOR_ATOMICS 1
#endif

typedef uint64_t pair __attribute__((vector_size(16)));
typedef uint64_t quad __attribute__((vector_size(32)));

// The second half of an entry in words: where the address behind its IPv4-mapped prefix, ports, and so on stand.
enum {
	REST_PREFIX = 0, // the last word of it
	REST_ADDRESS,    // to_address
	REST_PORTS,      // to_port_be, from_port_be
	REST_LOCAL,      // from_local_idx, flags, channel_be
	REST_NEIGHBOUR,  // neighbour_idx, peer_neighbour_idx
	REST_ALLOCATION,
	REST_EXPIRES_LOW, // expires_at_ns
	REST_EXPIRES_HIGH,
};
static_assert(offsetof(struct shm_flow, to_address) + 8 == 32 &&
		      offsetof(struct shm_flow, to_port_be) == 32 + 4 * REST_PORTS &&
		      offsetof(struct shm_flow, from_port_be) == 32 + 4 * REST_PORTS + 2 &&
		      offsetof(struct shm_flow, from_local_idx) == 32 + 4 * REST_LOCAL &&
		      offsetof(struct shm_flow, flags) == 32 + 4 * REST_LOCAL + 1 &&
		      offsetof(struct shm_flow, channel_be) == 32 + 4 * REST_LOCAL + 2 &&
		      offsetof(struct shm_flow, neighbour_idx) == 32 + 4 * REST_NEIGHBOUR &&
		      offsetof(struct shm_flow, expires_at_ns) == 32 + 4 * REST_EXPIRES_LOW,
	      "read as words");

// Each field once: what was checked is what is used.
ALWAYS_INLINE quad entry_rest(const struct shm_flow *f)
{
#ifdef HAS_VECTOR_ATOMICS
	// Each aligned 8-byte lane of a vector load is single-copy atomic.
	return ((const volatile quad *)(const void *)f)[1];
#else
	const uint64_t *word = (const uint64_t *)(const void *)f + 4;

	return (quad){
		__atomic_load_n(&word[0], __ATOMIC_RELAXED),
		__atomic_load_n(&word[1], __ATOMIC_RELAXED),
		__atomic_load_n(&word[2], __ATOMIC_RELAXED),
		__atomic_load_n(&word[3], __ATOMIC_RELAXED),
	};
#endif
}

ALWAYS_INLINE void count_usage(struct dp_worker *w, uint32_t entry_idx, uint32_t data_bytes)
{
#ifdef HAS_VECTOR_ATOMICS
	static_assert(offsetof(struct shm_usage, pkts) == 0 && sizeof(struct shm_usage) == 16,
		      "counted as one vector");
	// As of the loads.
	pair *u = (pair *)(void *)&w->usage[entry_idx];
	pair sum = *u + (pair){ 1, data_bytes };

	*(volatile pair *)u = sum;
#else
	dp_relay_count_usage(w, entry_idx, data_bytes);
#endif
}

ALWAYS_INLINE bool is_any(lanes v)
{
	quad q = (quad)v;

	return (q[0] | q[1] | q[2] | q[3]) != 0;
}

ALWAYS_INLINE lanes_signed is_alive(const lanes rest[LANES], uint64_t now_ns)
{
	const lanes_signed now_high = (lanes_signed)lanes_of((uint32_t)(now_ns >> 32));
	// With the upper bit turned, signed comparisons are unsigned ones.
	const lanes_signed now_low = (lanes_signed)lanes_of((uint32_t)now_ns ^ 0x80000000);
	// Times with the uppermost bit are left to those who look more closely.
	lanes_signed high = (lanes_signed)rest[REST_EXPIRES_HIGH];
	lanes_signed low = (lanes_signed)(rest[REST_EXPIRES_LOW] ^ 0x80000000);

	return (high > now_high) | ((high == now_high) & (low > now_low));
}

// The same of eight; false: one of them is none of ours, or IPv6.
ALWAYS_INLINE bool sources_of(const struct dp_settings *settings, lanes local_idx, lanes *out)
{
	const uint32_t *v4 = settings->local_ranges.v4;
	uint32_t each[LANES];
	uint32_t idx = local_idx[0];

	if (likely(!is_any(local_idx ^ idx))) {
		if (idx >= settings->n_locals)
			return false;
		*out = lanes_of(v4[idx]);
		return v4[idx] != 0;
	}
	if (is_any((lanes)(local_idx >= settings->n_locals)))
		return false;
	lanes_store(each, local_idx);
	*out = (lanes){ v4[each[0]], v4[each[1]], v4[each[2]], v4[each[3]],
			v4[each[4]], v4[each[5]], v4[each[6]], v4[each[7]] };
	return !is_any((lanes)(*out == 0));
}

// The next hop of a neighbour; 0: there is none that untagged frames go to.
ALWAYS_INLINE uint64_t hop_of(const struct dp_shared *shared, uint32_t neighbour_idx)
{
	uint64_t hop =
		__atomic_load_n(&shared->tables->neighbour[neighbour_idx].word, __ATOMIC_RELAXED);

	return neighbour_idx != 0 && shm_neighbour_vlan(hop) == 0 &&
			       shm_neighbour_port(hop) < shared->n_ports
		       ? hop
		       : 0;
}

// How eight leave.
struct leaving {
	uint64_t hop[LANES];
	lanes mtu_bytes;
	bool is_one_hop; // hop[0] for all
};

ALWAYS_INLINE bool hops_of(const struct dp_shared *shared, lanes neighbour_idx, struct leaving *l)
{
	uint32_t each[LANES];
	uint64_t hop;

	l->is_one_hop = likely(!is_any(neighbour_idx ^ neighbour_idx[0]));
	if (l->is_one_hop) {
		hop = hop_of(shared, neighbour_idx[0]);
		l->hop[0] = hop;
		l->mtu_bytes = lanes_of(shared->port[shm_neighbour_port(hop)].mtu_bytes);
		return hop != 0;
	}
	lanes_store(each, neighbour_idx);
	for (uint32_t k = 0; k < LANES; k++) {
		hop = hop_of(shared, each[k]);
		if (hop == 0)
			return false;
		l->hop[k] = hop;
		each[k] = shared->port[shm_neighbour_port(hop)].mtu_bytes;
	}
	l->mtu_bytes = lanes_load(each);
	return true;
}

ALWAYS_INLINE void lengths_set(struct rte_mbuf *m, int32_t shift, uint32_t frame_bytes)
{
	m->data_off = (uint16_t)(m->data_off + shift);
	m->pkt_len = frame_bytes;
	m->data_len = (uint16_t)frame_bytes;
}

// To one next hop.
ALWAYS_INLINE void send_together(struct dp_worker *w, const struct fast_packet *list, uint32_t n,
				 struct rte_mbuf **mbuf, uint64_t hop, const lanes s[LANES],
				 const uint32_t frame_bytes[LANES], enum fast_way way)
{
	static const lanes but_last = { 0, 1, 2, 3, 4, 5, 6, 15 };
	const int32_t shift = way_shift[way];
	const uint32_t header_bytes = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES +
				      (way == WAY_DOWN ? TURN_CHANNEL_HEADER_BYTES : 0);
	uint32_t port_idx = shm_neighbour_port(hop);
	struct dp_tx *tx = &w->tx[port_idx];
	uint8_t ethernet[16] = { 0 };
	struct rte_mbuf **out;
	uint32_t bytes = 0;
	pair front;

	dp_ethernet_write(ethernet, hop, w->shared->port[port_idx].mac, ETHERTYPE_BE_IPV4);
	memcpy(&front, ethernet, sizeof(front));
	if (unlikely(tx->count > DP_TX_PENDING - LANES))
		dp_tx_flush_port(w, port_idx);
	out = &tx->mbuf[tx->count];
#pragma GCC unroll 8
	for (uint32_t k = 0; k < LANES; k++) {
		const struct fast_packet *p = &list[k];
		uint8_t *frame = p->ip + shift - ETHERNET_BYTES;
		lanes words = s[k];

		if (k == n)
			break;

		// Read before anything is written around it.
		if (way == WAY_UP)
			words = __builtin_shuffle(words, lanes_load(frame + ETHERNET_BYTES),
						  but_last);
		memcpy(frame, &front, sizeof(front));
		lanes_store(frame + ETHERNET_BYTES, words);
		lengths_set(p->mbuf, shift, frame_bytes[k]);
		out[k] = p->mbuf;
		bytes += frame_bytes[k];
		mbuf[p->burst_idx] = NULL;
		count_usage(w, p->entry_idx, frame_bytes[k] - header_bytes);
	}
	tx->bytes += bytes;
	tx->count += n;
	if (unlikely(tx->count == DP_TX_PENDING))
		dp_tx_flush_port(w, port_idx);
}

// To several.
ALWAYS_INLINE void send_apart(struct dp_worker *w, const struct fast_packet *list, uint32_t n,
			      struct rte_mbuf **mbuf, const struct leaving *l, const lanes s[LANES],
			      const uint32_t frame_bytes[LANES], enum fast_way way)
{
	const int32_t shift = way_shift[way];
	const uint32_t header_bytes = ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES +
				      (way == WAY_DOWN ? TURN_CHANNEL_HEADER_BYTES : 0);

	for (uint32_t k = 0; k < n; k++) {
		const struct fast_packet *p = &list[k];
		uint64_t hop = l->hop[k];
		uint32_t port_idx = shm_neighbour_port(hop);

		dp_fast_headers_write(p->ip + shift - ETHERNET_BYTES, hop,
				      w->shared->port[port_idx].mac, s[k], way);
		lengths_set(p->mbuf, shift, frame_bytes[k]);
		mbuf[p->burst_idx] = NULL;
		count_usage(w, p->entry_idx, frame_bytes[k] - header_bytes);
		dp_tx_push(w, port_idx, p->mbuf);
	}
}

// Of list[0..n), and of what stands behind it up to eight. False: one of them is not as nearly all are, and nothing was touched.
ALWAYS_INLINE bool forward_eight(struct dp_worker *w, struct fast_packet *list, uint32_t n,
				 struct rte_mbuf **mbuf, const struct dp_policy_salt *salt,
				 enum fast_way way)
{
	const struct shm_flow *entries = w->shared->flows.entries;
	const uint64_t *verdict = w->verdict;
	const int32_t shift = way_shift[way];
	struct fast_headers h;
	struct leaving leaving;
	uint32_t frame_bytes[LANES];
	uint64_t unlike = 0;
	lanes rest[LANES];
	lanes r[LANES]; // words 0..7 from the IP header on, as received
	lanes s[LANES]; // as sent
	lanes bad;

#pragma GCC unroll 8
	for (uint32_t k = 0; k < LANES; k++) {
		struct fast_packet *p = &list[k];
		const struct shm_flow *f = &entries[p->entry_idx];
		quad q;

		if (unlikely(!dp_fast_key_is(f, p))) {
			p->entry_idx = dp_fast_entry_search(w, p);
			if (p->entry_idx == 0)
				return false;
			f = &entries[p->entry_idx];
		}
		unlike |= load64(f->to_address);
		q = entry_rest(f);
		rest[k] = (lanes)q;
		if (way == WAY_UP) {
			struct dp_address to = { 0, q[0] };

			unlike |= dp_policy_allowed(salt, to) ^ verdict[p->entry_idx];
		} else {
			unlike |= p->mbuf->data_off < -shift;
		}
	}
	if (unlike != 0)
		return false;
	lanes_transpose(rest);

	if (!sources_of(&w->settings, rest[REST_LOCAL] & 0xff, &h.source) ||
	    !hops_of(w->shared, rest[REST_NEIGHBOUR] & 0xffff, &leaving))
		return false;
	h.destination = rest[REST_ADDRESS];
	h.ports_be = rest[REST_PORTS] >> 16 | rest[REST_PORTS] << 16;
	// Not by an array: what was stored one by one is not read as a vector until it has left the store buffer.
	h.udp_bytes = (lanes){ list[0].udp_bytes, list[1].udp_bytes, list[2].udp_bytes,
			       list[3].udp_bytes, list[4].udp_bytes, list[5].udp_bytes,
			       list[6].udp_bytes, list[7].udp_bytes } -
		      (uint32_t)shift;
	bad = (rest[REST_PREFIX] ^ __builtin_bswap32(0xffff)) |
	      (rest[REST_LOCAL] & (SHM_FLOW_F_LIMITED | SHM_FLOW_F_STREAM) << 8) |
	      (lanes)~is_alive(rest, w->now_ns) |
	      (lanes)((lanes_signed)(h.udp_bytes + IPV4_BYTES) > (lanes_signed)leaving.mtu_bytes);
	if (way == WAY_DOWN) {
		h.channel_be = rest[REST_LOCAL] >> 16;
		bad |= (lanes)(h.channel_be == 0);
	}
	if (unlikely(is_any(bad)))
		return false;

	lanes_store(frame_bytes, h.udp_bytes + IPV4_BYTES + ETHERNET_BYTES);
	for (uint32_t k = 0; k < LANES; k++)
		r[k] = lanes_load(list[k].ip);
	lanes_transpose(r);
	dp_fast_headers_make(s, r, &h, w->ip_id, way);
	w->ip_id = (uint16_t)(w->ip_id + n);
	if (likely(leaving.is_one_hop))
		send_together(w, list, n, mbuf, leaving.hop[0], s, frame_bytes, way);
	else
		send_apart(w, list, n, mbuf, &leaving, s, frame_bytes, way);
	return true;
}

ALWAYS_INLINE uint32_t forward(struct dp_worker *w, struct fast_burst *b, enum fast_kind kind,
			       struct rte_mbuf **mbuf, enum fast_way way)
{
	const struct dp_policy_salt salt = dp_policy_salt(w);
	struct fast_packet *list = b->packet[kind];
	const uint32_t n = b->n[kind];
	uint32_t i;

	static_assert(DP_BURST % LANES == 0, "behind the last there is room up to eight");
	for (i = 0; i < n; i += LANES) {
		uint32_t n_here = RTE_MIN(n - i, (uint32_t)LANES);

		for (uint32_t k = n_here; k < LANES; k++)
			list[i + k] = list[i];
		if (!forward_eight(w, &list[i], n_here, mbuf, &salt, way))
			break;
	}
	if (i >= n)
		return n;
	// Where one is another kind, more of them are.
	return i + dp_fast_one_by_one_v4(w, b, kind, i, mbuf);
}

uint32_t dp_fast_up_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf)
{
	return forward(w, b, FAST_UP_V4, mbuf, WAY_UP);
}

uint32_t dp_fast_down_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf)
{
	return forward(w, b, FAST_DOWN_V4, mbuf, WAY_DOWN);
}
