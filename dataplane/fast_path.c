// The fast path: TURN's data of flows that are established, in both directions: the frame is as plain as
// nearly all are, its flow is in the table and alive, and the policy has allowed the peer before. ChannelData of both
// families; over IPv4 hairpins and Send and Data indications, too, which take a second lookup. Three passes over the burst keep what a
// packet needs in a few words; everything else is left to the stages, untouched, and so is every
// drop. Worker thread; writes the packets' buffers, the tx queue and the usage of their flows.
#include "dataplane/fast_path.h"

#include "dataplane/policy_cache.h"
#include "dataplane/relay_channel.h"

// ---- second pass: two loops, so that the misses of each overlap

// Of keys that the first pass did not make.
static void buckets_fetch(const struct dp_worker *w, struct fast_packet *p, uint32_t n)
{
	const struct shm_flow_view v = w->shared->flows;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = shm_flow_hash_words(v.seed, p[i].key);

		p[i].hash = hash;
		rte_prefetch0(&v.buckets[(uint32_t)hash & v.bucket_mask]);
	}
}

// Finds the flow's entry; fetches it and what is kept beside it.
ALWAYS_INLINE void entries_fetch(const struct dp_worker *w, struct fast_packet *p, uint32_t n,
				 bool is_up)
{
	const struct shm_flow_view v = w->shared->flows;
	const struct shm_usage *usage = w->usage;
	const uint64_t *verdict = w->verdict;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t idx = shm_bucket_first_entry(&v, p[i].hash);

		p[i].entry_idx = idx;
		rte_prefetch0(&v.entries[idx]);
		rte_prefetch0(&usage[idx]);
		if (is_up)
			rte_prefetch0(&verdict[idx]);
	}
}

// ---- third pass

uint32_t dp_fast_entry_search(const struct dp_worker *w, const struct fast_packet *p)
{
	const struct shm_flow *f;
	struct shm_flow_key key;

	memcpy(&key, p->key, sizeof(key));
	f = shm_flow_lookup(&w->shared->flows, &key);
	return f != NULL ? dp_flow_idx(w, f) : 0;
}

// One packet to or from IPv6. True: it is on its way. False: nothing was touched.
ALWAYS_INLINE bool forward(struct dp_worker *w, const struct dp_policy_salt *salt,
			   const struct fast_packet *p, bool is_up, bool from_v4)
{
	const uint8_t *ip = p->ip;
	const uint8_t *udp = ip + (from_v4 ? IPV4_BYTES : IPV6_BYTES);
	const struct shm_flow *f = &w->shared->flows.entries[p->entry_idx];
	uint64_t front = bytes_get_be64(ip);
	struct dp_channel_datagram d;
	uint32_t local_idx;
	uint64_t next_hop;

	d.flow_idx = p->entry_idx;
	if (unlikely(!dp_fast_key_is(f, p))) {
		d.flow_idx = dp_fast_entry_search(w, p);
		if (d.flow_idx == 0)
			return false;
		f = &w->shared->flows.entries[d.flow_idx];
	}
	local_idx = dp_fast_source_of(f);
	if (!dp_flow_is_live(w, f) || local_idx >= w->settings.n_locals)
		return false;
	d.source = dp_address_of(&w->settings.local_address[local_idx]);
	d.destination = dp_address_of(f->to_address);
	d.channel_be = is_up ? 0 : __atomic_load_n(&f->channel_be, __ATOMIC_RELAXED);
	if (dp_address_is_v4(d.source) != dp_address_is_v4(d.destination) ||
	    (is_up ? w->verdict[d.flow_idx] != dp_policy_allowed(salt, d.destination)
		   : d.channel_be == 0))
		return false;

	d.mbuf = p->mbuf;
	d.data_offset = p->mbuf->data_off + (uint32_t)(udp - ip) + ETHERNET_BYTES + UDP_BYTES;
	d.data_bytes = p->udp_bytes - UDP_BYTES;
	d.udp_checksum = load32(udp + 4) >> 16;
	d.received_sum = (uint64_t)load32(udp) + 2 * dp_be16(p->udp_bytes);
	if (is_up) {
		d.received_sum += load32(udp + UDP_BYTES);
		d.data_offset += TURN_CHANNEL_HEADER_BYTES;
		d.data_bytes -= TURN_CHANNEL_HEADER_BYTES;
	}
	if (from_v4) {
		d.received_sum += (uint64_t)load32(ip + 12) + load32(ip + 16);
		d.traffic_class = (uint32_t)(front >> 48) & 0xff;
		d.dont_fragment = (front & 0x4000) != 0;
		d.ttl = ip[8];
	} else {
		d.received_sum += dp_channel_sum_address(dp_address_of(ip + 8)) +
				  dp_channel_sum_address(dp_address_of(ip + 24));
		d.traffic_class = (uint32_t)(front >> 52) & 0xff;
		d.dont_fragment = true;
		d.ttl = (uint32_t)front & 0xff;
	}
	d.from_v4 = from_v4;
	d.ports = dp_ports(f->from_port_be, f->to_port_be);
	next_hop = dp_next_hop(w, f->neighbour_idx);
	if (!(dp_address_is_v4(d.destination) ? dp_channel_send(w, &d, next_hop, !is_up, true)
					      : dp_channel_send(w, &d, next_hop, !is_up, false)))
		return false;
	dp_relay_count_usage(w, d.flow_idx, d.data_bytes);
	return true;
}

bool dp_fast_forward_v4_to_v6(struct dp_worker *w, const struct fast_packet *p, bool is_up)
{
	const struct dp_policy_salt salt = dp_policy_salt(w);

	return is_up ? forward(w, &salt, p, true, true) : forward(w, &salt, p, false, true);
}

ALWAYS_INLINE uint32_t forward_v6(struct dp_worker *w, const struct fast_packet *list, uint32_t n,
				  struct rte_mbuf **mbuf, bool is_up)
{
	const struct dp_policy_salt salt = dp_policy_salt(w);
	uint32_t n_sent = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (forward(w, &salt, &list[i], is_up, false)) {
			mbuf[list[i].burst_idx] = NULL;
			n_sent++;
		}
	}
	return n_sent;
}

// The second pass over one kind. What is kept beside an entry is fetched with it: a verdict where the datagram goes up.
ALWAYS_INLINE void look_up(const struct dp_worker *w, struct fast_burst *b, enum fast_kind kind,
			   bool is_up)
{
	buckets_fetch(w, b->packet[kind], b->n[kind]);
	entries_fetch(w, b->packet[kind], b->n[kind], is_up);
}

// What the first lookups led to. Rare beside ChannelData, but where it is all that there is.
static uint32_t burst_again(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf)
{
	uint32_t n_sent = 0;
	uint32_t n;

	if (b->n[FAST_ASKED_V4] > 0) {
		dp_fast_asked_v4(w, b);
		look_up(w, b, FAST_SEND_V4, true);
		n = dp_fast_send_v4(w, b, mbuf);
		w->count[DP_COUNTER_UP_SEND] += n;
		n_sent += n;
	}
	if (b->n[FAST_DATA_V4] > 0) {
		look_up(w, b, FAST_DATA_V4, false);
		n = dp_fast_data_v4(w, b, mbuf);
		w->count[DP_COUNTER_DOWN_DATA] += n;
		n_sent += n;
	}
	if (b->n[FAST_HAIRPIN_V4] > 0) {
		look_up(w, b, FAST_HAIRPIN_V4, false);
		n = dp_fast_hairpin_v4(w, b, mbuf);
		w->count[DP_COUNTER_DOWN_CHANNEL] += n;
		w->count[DP_COUNTER_HAIRPIN] += n;
		n_sent += n;
	}
	return n_sent;
}

uint32_t dp_fast_path_burst(struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n)
{
	struct fast_burst b;
	uint32_t n_left = 0;
	uint32_t n_again;
	uint32_t n_down;
	uint32_t n_up;

	memset(b.n, 0, sizeof(b.n));
	dp_fast_arrivals(w, mbuf, n, &b);
	entries_fetch(w, b.packet[FAST_UP_V4], b.n[FAST_UP_V4], true);
	entries_fetch(w, b.packet[FAST_DOWN_V4], b.n[FAST_DOWN_V4], false);
	entries_fetch(w, b.packet[FAST_UP_V6], b.n[FAST_UP_V6], true);
	entries_fetch(w, b.packet[FAST_DOWN_V6], b.n[FAST_DOWN_V6], false);
	entries_fetch(w, b.packet[FAST_ASKED_V4], b.n[FAST_ASKED_V4], false);
	n_up = dp_fast_up_v4(w, &b, mbuf);
	n_up += forward_v6(w, b.packet[FAST_UP_V6], b.n[FAST_UP_V6], mbuf, true);
	n_down = dp_fast_down_v4(w, &b, mbuf);
	n_down += forward_v6(w, b.packet[FAST_DOWN_V6], b.n[FAST_DOWN_V6], mbuf, false);
	w->count[DP_COUNTER_UP_CHANNEL] += n_up;
	w->count[DP_COUNTER_DOWN_CHANNEL] += n_down;
	if (n_up + n_down == n)
		return 0;
	n_again = burst_again(w, &b, mbuf);
	if (n_up + n_down + n_again == n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (mbuf[i] != NULL)
			mbuf[n_left++] = mbuf[i];
	}
	return n_left;
}
