// The fast path: ChannelData from a client, and data of a peer that becomes ChannelData, of flows that
// are established: the frame is as plain as nearly all are, its flow is in the table and alive, and
// the policy has allowed the peer before. Three passes over the burst keep what a packet needs in a
// few words; everything else is left to the stages, untouched, and so is every drop. Worker thread;
// writes the packets' buffers, the tx queue and the usage of their flows.
#include "dataplane/contract/shm/turn_bucket.h"
#include "dataplane/policy_cache.h"
#include "dataplane/relay_channel.h"
#include "dataplane/worker.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// What every frame is read of: a ChannelData header, or as many bytes of data, behind the headers.
#define FRAME_V4_BYTES_MIN (ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES)
#define FRAME_V6_BYTES_MIN (ETHERNET_BYTES + IPV6_BYTES + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES)

// What the first pass leaves of a packet for those behind it. One cache line.
struct fast_packet {
	uint64_t key[3]; // struct shm_flow_key
	uint64_t hash;
	struct rte_mbuf *mbuf;
	uint32_t entry_idx;
	uint32_t burst_idx;
} __attribute__((aligned(64)));

// Packets of one kind each, so that no branch of the passes depends on it.
enum fast_kind { FAST_UP_V4 = 0, FAST_DOWN_V4, FAST_UP_V6, FAST_DOWN_V6, FAST_KIND_COUNT };
struct fast_burst {
	uint32_t n[FAST_KIND_COUNT];
	struct fast_packet packet[FAST_KIND_COUNT][DP_BURST];
};

// What a datagram is to us: its flow's key in three words, and its direction.
struct arrival {
	uint64_t key[3];
	bool is_up;
};

static inline uint32_t load32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

// ---- first pass

// `udp`: the UDP header with four bytes behind it. `ports` and `behind`: the same in host order.
ALWAYS_INLINE bool arrival_at_port(const struct dp_worker *w, uint64_t local_idx,
				   const uint8_t *udp, uint32_t ports, uint64_t behind,
				   struct arrival *a)
{
	const struct dp_local_ports *at = &w->settings.local_table.ports[local_idx];
	uint32_t udp_bytes = (uint32_t)(behind >> 48);
	uint32_t channel = (uint32_t)(behind >> 16) & 0xffff;
	uint32_t data_bytes = (uint32_t)behind & 0xffff;
	uint32_t n_channels = w->settings.channel_max - TURN_CHANNEL_MIN + 1u;
	bool is_channel_data = (channel - TURN_CHANNEL_MIN < n_channels) &
			       (data_bytes + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES == udp_bytes);
	bool is_up = dp_local_ports_listen(at, ports & 0xffff);
	bool is_relayed = dp_local_ports_relay(at, ports & 0xffff);
	uint64_t channel_be = load32(udp + UDP_BYTES) & 0xffff;

	// No host sends from port 0.
	if (ports >> 16 == 0 || !((is_up & is_channel_data) | (!is_up & is_relayed)))
		return false;
	a->key[2] = load32(udp) | local_idx << 32 | (uint64_t)SHM_FLOW_PEER << 40;
	a->key[2] ^= -(uint64_t)is_up &
		     ((uint64_t)(SHM_FLOW_PEER ^ SHM_FLOW_CHANNEL) << 40 | channel_be << 48);
	a->is_up = is_up;
	return true;
}

// True: a datagram over IPv4 for the passes that follow. What is refused here is decided by the
// stages, for the same reasons (ip_udp_parse, classify.c).
ALWAYS_INLINE bool arrival_v4(const struct dp_worker *w, const uint8_t *ip, uint32_t left_bytes,
			      struct arrival *a)
{
	uint64_t front = bytes_get_be64(ip);
	uint64_t middle = bytes_get_be64(ip + 8);
	uint64_t back = bytes_get_be64(ip + 16);
	uint64_t behind = bytes_get_be64(ip + 24);
	uint32_t source = load32(ip + 12);
	uint32_t total_bytes = (uint32_t)(front >> 32) & 0xffff;
	uint32_t udp_bytes = (uint32_t)(behind >> 48);
	uint32_t net = (uint32_t)middle >> 24;
	uint64_t sum =
		(front >> 32) + (uint32_t)front + (middle >> 32) + (uint32_t)middle + (back >> 32);

	// Version and header length; fragment; protocol; lengths; no UDP checksum; TTL; header sum.
	if (front >> 56 != 0x45 || (front & 0x3fff) != 0 ||
	    (middle >> 48 & 0xff) != IP_PROTOCOL_UDP || total_bytes > left_bytes ||
	    udp_bytes + IPV4_BYTES != total_bytes ||
	    udp_bytes < UDP_BYTES + TURN_CHANNEL_HEADER_BYTES || (behind & 0xffff00000000) == 0 ||
	    middle >> 56 <= 1 || checksum_fold(checksum_fold64(sum)) != 0xffff)
		return false;
	// No host's address, or our own.
	if (net - 1 >= 223 || net == 127 || dp_local_table_has(&w->settings.local_table, source))
		return false;
	a->key[0] = 0;
	a->key[1] = (uint64_t)source << 32 | __builtin_bswap32(0xffff);
	return arrival_at_port(w, dp_local_table_find(&w->settings.local_table, load32(ip + 16)),
			       ip + IPV4_BYTES, (uint32_t)back, behind, a);
}

// The same over IPv6, without extension headers.
static bool arrival_v6(const struct dp_worker *w, const uint8_t *ip, uint32_t left_bytes,
		       struct arrival *a)
{
	uint64_t front = bytes_get_be64(ip);
	uint64_t behind = bytes_get_be64(ip + IPV6_BYTES + 4);
	uint32_t payload_bytes = (uint32_t)(front >> 16) & 0xffff;
	struct ip_address source = ip_address_from_v6(ip + 8);
	struct ip_address destination = ip_address_from_v6(ip + 24);
	uint8_t local_idx;

	if (front >> 60 != 6 || (front >> 8 & 0xff) != IP_PROTOCOL_UDP ||
	    payload_bytes + IPV6_BYTES > left_bytes || behind >> 48 != payload_bytes ||
	    payload_bytes < UDP_BYTES + TURN_CHANNEL_HEADER_BYTES ||
	    (behind & 0xffff00000000) == 0 || (front & 0xff) <= 1)
		return false;
	memcpy(a->key, source.bytes, sizeof(source.bytes));
	// Not the unspecified address, loopback, IPv4 in any disguise, a group, or our own.
	if (a->key[0] == 0 || source.bytes[0] == 0xff ||
	    dp_local_find(&w->settings, &source) != DP_LOCAL_NONE)
		return false;
	local_idx = dp_local_find(&w->settings, &destination);
	if (local_idx == DP_LOCAL_NONE || w->settings.local[local_idx].is_v4)
		return false;
	return arrival_at_port(w, local_idx, ip + IPV6_BYTES, bytes_get_be32(ip + IPV6_BYTES),
			       behind, a);
}

ALWAYS_INLINE bool arrival_of(const struct dp_worker *w, const struct rte_mbuf *m,
			      struct arrival *a, bool *is_v6)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t length_bytes = m->data_len;
	uint32_t ethertype_be;

	// A group as the sender on the link is none.
	if (m->nb_segs != 1 || length_bytes < FRAME_V4_BYTES_MIN || (frame[6] & 1))
		return false;
	ethertype_be = load32(frame + 12) & 0xffff;
	*is_v6 = ethertype_be == ETHERTYPE_BE_IPV6;
	if (ethertype_be == ETHERTYPE_BE_IPV4)
		return arrival_v4(w, frame + ETHERNET_BYTES, length_bytes - ETHERNET_BYTES, a);
	return *is_v6 && length_bytes >= FRAME_V6_BYTES_MIN &&
	       arrival_v6(w, frame + ETHERNET_BYTES, length_bytes - ETHERNET_BYTES, a);
}

// What is each packet? Fetches the buckets of their keys.
static void arrivals(const struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n,
		     struct fast_burst *b)
{
	const struct shm_flow_view *v = &w->shared->flows;

	for (uint32_t i = 0; i < n; i++) {
		struct fast_packet *p;
		struct arrival a;
		uint32_t kind;
		bool is_v6;

		if (i + DP_FRAMES_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(mbuf[i + DP_FRAMES_AHEAD], void *));
		if (!arrival_of(w, mbuf[i], &a, &is_v6))
			continue;
		kind = is_v6 * 2u + !a.is_up;
		p = &b->packet[kind][b->n[kind]++];
		p->key[0] = a.key[0];
		p->key[1] = a.key[1];
		p->key[2] = a.key[2];
		p->hash = shm_flow_hash_words(v->seed, a.key);
		p->mbuf = mbuf[i];
		p->burst_idx = i;
		rte_prefetch0(&v->buckets[(uint32_t)p->hash & v->bucket_mask]);
	}
}

// ---- second pass

// Fetches the flow's entry and what is kept beside it.
static void entries_find(const struct dp_worker *w, struct fast_packet *p, uint32_t n)
{
	const struct shm_flow_view v = w->shared->flows;
	const struct shm_usage *usage = w->usage;
	const uint64_t *verdict = w->verdict;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t idx = shm_bucket_first_entry(&v, p[i].hash);

		p[i].entry_idx = idx;
		rte_prefetch0(&v.entries[idx]);
		rte_prefetch0(&usage[idx]);
		rte_prefetch0(&verdict[idx]);
	}
}

// ---- third pass

// Where the first match of the tag did not lead: a full bucket, or no such flow.
static __attribute__((noinline)) uint32_t entry_search(const struct dp_worker *w,
						       const struct fast_packet *p)
{
	const struct shm_flow *f;
	struct shm_flow_key key;

	memcpy(&key, p->key, sizeof(key));
	f = shm_flow_lookup(&w->shared->flows, &key);
	return f != NULL ? dp_flow_idx(w, f) : 0;
}

ALWAYS_INLINE bool key_is(const struct shm_flow *f, const struct fast_packet *p)
{
	uint64_t key[3];

	memcpy(key, &f->key, sizeof(key));
	return ((key[0] ^ p->key[0]) | (key[1] ^ p->key[1]) | (key[2] ^ p->key[2])) == 0;
}

// True: it is on its way. False: nothing was touched.
ALWAYS_INLINE bool forward(struct dp_worker *w, const struct fast_packet *p, bool is_up,
			   bool from_v4)
{
	const uint8_t *ip = rte_pktmbuf_mtod(p->mbuf, const uint8_t *) + ETHERNET_BYTES;
	const uint8_t *udp = ip + (from_v4 ? IPV4_BYTES : IPV6_BYTES);
	const struct shm_flow *f = &w->shared->flows.entries[p->entry_idx];
	uint64_t front = bytes_get_be64(ip);
	uint32_t udp_bytes = bytes_get_be32(udp + 4) >> 16;
	struct dp_channel_datagram d;
	uint32_t local_idx;
	uint64_t next_hop;

	d.flow_idx = p->entry_idx;
	if (unlikely(!key_is(f, p))) {
		d.flow_idx = entry_search(w, p);
		if (d.flow_idx == 0)
			return false;
		f = &w->shared->flows.entries[d.flow_idx];
	}
	// Once: what was checked is what is used.
	local_idx = __atomic_load_n(&f->from_local_idx, __ATOMIC_RELAXED);
	if (!dp_flow_is_live(w, f) || local_idx >= w->settings.n_locals)
		return false;
	d.source = dp_address_of(&w->settings.local_address[local_idx]);
	d.destination = dp_address_of(f->to_address);
	d.channel_be = is_up ? 0 : __atomic_load_n(&f->channel_be, __ATOMIC_RELAXED);
	if (dp_address_is_v4(d.source) != dp_address_is_v4(d.destination) ||
	    (is_up ? !dp_policy_is_allowed(w, d.flow_idx, d.destination) : d.channel_be == 0))
		return false;

	d.mbuf = p->mbuf;
	d.data_offset = p->mbuf->data_off + (uint32_t)(udp - ip) + ETHERNET_BYTES + UDP_BYTES;
	d.data_bytes = udp_bytes - UDP_BYTES;
	d.udp_checksum = load32(udp + 4) >> 16;
	d.received_sum = (uint64_t)load32(udp) + 2 * dp_be16(udp_bytes);
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

ALWAYS_INLINE uint32_t forward_all(struct dp_worker *w, const struct fast_packet *p, uint32_t n,
				   struct rte_mbuf **mbuf, bool is_up, bool from_v4)
{
	uint32_t n_sent = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (forward(w, &p[i], is_up, from_v4)) {
			mbuf[p[i].burst_idx] = NULL;
			n_sent++;
		}
	}
	w->count[is_up ? DP_COUNTER_UP_CHANNEL : DP_COUNTER_DOWN_CHANNEL] += n_sent;
	return n_sent;
}

uint32_t dp_fast_path_burst(struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n)
{
	struct fast_burst b;
	uint32_t n_left = 0;
	uint32_t n_sent;

	memset(b.n, 0, sizeof(b.n));
	arrivals(w, mbuf, n, &b);
	for (uint32_t i = 0; i < FAST_KIND_COUNT; i++)
		entries_find(w, b.packet[i], b.n[i]);
	n_sent = forward_all(w, b.packet[FAST_UP_V4], b.n[FAST_UP_V4], mbuf, true, true);
	n_sent += forward_all(w, b.packet[FAST_DOWN_V4], b.n[FAST_DOWN_V4], mbuf, false, true);
	n_sent += forward_all(w, b.packet[FAST_UP_V6], b.n[FAST_UP_V6], mbuf, true, false);
	n_sent += forward_all(w, b.packet[FAST_DOWN_V6], b.n[FAST_DOWN_V6], mbuf, false, false);
	if (n_sent == n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (mbuf[i] != NULL)
			mbuf[n_left++] = mbuf[i];
	}
	return n_left;
}
