// The fast path: ChannelData from a client, and data of a peer that becomes ChannelData, of flows that
// are established: the frame is as plain as nearly all are, its flow is in the table and alive, and
// the policy has allowed the peer before. Three passes over the burst keep what a packet needs in a
// few words; everything else is left to the stages, untouched, and so is every drop. Worker thread;
// writes the packets' buffers, the tx queue and the usage of their flows.
#include "dataplane/contract/shm/turn_bucket.h"
#include "dataplane/lanes.h"
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
	uint8_t *ip; // its IP header
	uint32_t udp_bytes;
	uint32_t entry_idx;
	uint32_t burst_idx;
} __attribute__((aligned(64)));

// Packets of one kind each, so that no branch of the passes depends on it.
enum fast_kind { FAST_UP_V4 = 0, FAST_DOWN_V4, FAST_UP_V6, FAST_DOWN_V6, FAST_KIND_COUNT };
struct fast_burst {
	uint32_t n[FAST_KIND_COUNT];
	struct fast_packet packet[FAST_KIND_COUNT][DP_BURST];
};

static inline uint32_t load32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t load64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

// ---- first pass

// Adds a packet to those of its kind, if it came to a listener with ChannelData or to a relayed port.
// `channel_be`: the first two bytes of its payload.
ALWAYS_INLINE void arrival_add(const struct dp_local_table *own, struct fast_burst *b, bool is_v6,
			       const struct fast_packet *a, uint32_t local_idx, uint32_t ports_be,
			       uint32_t port, uint32_t channel_be, bool is_channel_data)
{
	bool is_up = dp_local_table_listens(own, local_idx, port);
	bool is_relayed = dp_local_table_relays(own, local_idx, port);
	uint32_t kind = is_v6 * 2u + !is_up;
	struct fast_packet *p = &b->packet[kind][b->n[kind]];

	if (!((is_up & is_channel_data) | (!is_up & is_relayed)))
		return;
	b->n[kind]++;
	p->key[0] = a->key[0];
	p->key[1] = a->key[1];
	p->key[2] = (ports_be | (uint64_t)local_idx << 32 | (uint64_t)SHM_FLOW_PEER << 40) ^
		    (-(uint64_t)is_up & ((uint64_t)(SHM_FLOW_PEER ^ SHM_FLOW_CHANNEL) << 40 |
					 (uint64_t)channel_be << 48));
	p->mbuf = a->mbuf;
	p->ip = a->ip;
	p->udp_bytes = a->udp_bytes;
	p->burst_idx = a->burst_idx;
}

// Frames over IPv4 on their way into the first pass, which takes eight at once.
struct arrivals_v4 {
	uint32_t n;
	struct rte_mbuf *mbuf[LANES];
	uint8_t *ip[LANES];
	uint32_t left_bytes[LANES]; // from the IP header to the frame's end
	uint32_t burst_idx[LANES];
};

// What is refused here is decided by the stages, for the same reasons (ip_udp_parse, classify.c).
static void arrivals_v4(const struct dp_worker *w, struct arrivals_v4 *in, struct fast_burst *b)
{
	const struct dp_local_table *own = &w->settings.local_table;
	uint32_t n_channels = w->settings.channel_max - TURN_CHANNEL_MIN + 1u;
	uint32_t ok[LANES];
	uint32_t is_channel_data[LANES];
	uint32_t source[LANES];
	uint32_t source_slot[LANES];
	uint32_t destination[LANES];
	uint32_t destination_slot[LANES];
	uint32_t ports_be[LANES];
	uint32_t port[LANES];
	uint32_t udp_bytes[LANES];
	uint32_t channel_be[LANES];
	lanes_signed total;
	lanes_signed udp;
	lanes_signed channel;
	lanes_signed net;
	lanes r[LANES]; // words 0..7 from the IP header on
	lanes swapped;

	for (uint32_t k = in->n; k < LANES; k++) {
		in->ip[k] = in->ip[0];
		in->left_bytes[k] = 0;
	}
	for (uint32_t k = 0; k < LANES; k++)
		r[k] = lanes_load(in->ip[k]);
	lanes_transpose(r);

	// Version and header length; fragment; protocol; TTL; header sum; no UDP checksum; source port.
	total = (lanes_signed)(lanes_swap16(r[0]) >> 16);
	swapped = lanes_swap16(r[6]);
	udp = (lanes_signed)(swapped & 0xffff);
	net = (lanes_signed)(r[3] & 0xff);
	lanes_store(ok,
		    (lanes)(((r[0] & 0xff) == 0x45) & ((r[1] & 0xff3f0000) == 0) &
			    ((r[2] & 0xff00) == IP_PROTOCOL_UDP << 8) & ((r[2] & 0xfe) != 0) &
			    (lanes_fold(lanes_sum16(r[0]) + lanes_sum16(r[1]) + lanes_sum16(r[2]) +
					lanes_sum16(r[3]) + lanes_sum16(r[4])) == 0xffff) &
			    (r[6] >> 16 != 0) & ((r[5] & 0xffff) != 0) &
			    // Lengths that agree.
			    (total <= (lanes_signed)lanes_load(in->left_bytes)) &
			    (udp + IPV4_BYTES == total) &
			    (udp >= UDP_BYTES + TURN_CHANNEL_HEADER_BYTES) &
			    // No host's address.
			    (net != 0) & (net != 127) & (net < 224)));
	swapped = lanes_swap16(r[7]);
	channel = (lanes_signed)(swapped & 0xffff);
	lanes_store(is_channel_data, (lanes)((channel >= TURN_CHANNEL_MIN) &
					     (channel < (int32_t)(TURN_CHANNEL_MIN + n_channels)) &
					     ((lanes_signed)(swapped >> 16) + UDP_BYTES +
						      TURN_CHANNEL_HEADER_BYTES ==
					      udp)));
	lanes_store(source, r[3]);
	lanes_store(source_slot, r[3] * own->multiplier >> DP_LOCAL_TABLE_SHIFT);
	lanes_store(destination, r[4]);
	lanes_store(destination_slot, r[4] * own->multiplier >> DP_LOCAL_TABLE_SHIFT);
	lanes_store(ports_be, r[5]);
	lanes_store(port, lanes_swap16(r[5]) >> 16);
	lanes_store(udp_bytes, (lanes)udp);
	lanes_store(channel_be, r[7] & 0xffff);

	for (uint32_t k = 0; k < in->n; k++) {
		struct fast_packet a = {
			.key = { 0, (uint64_t)source[k] << 32 | __builtin_bswap32(0xffff) },
			.mbuf = in->mbuf[k],
			.ip = in->ip[k],
			.udp_bytes = udp_bytes[k],
			.burst_idx = in->burst_idx[k],
		};

		if (ok[k] && !dp_local_table_has(own, source_slot[k], source[k]))
			arrival_add(own, b, false, &a,
				    dp_local_table_find(own, destination_slot[k], destination[k]),
				    ports_be[k], port[k], channel_be[k], is_channel_data[k] & 1);
	}
	in->n = 0;
}

// The same for one frame over IPv6, without extension headers.
static void arrival_v6(const struct dp_worker *w, struct rte_mbuf *m, uint8_t *ip,
		       uint32_t left_bytes, uint32_t burst_idx, struct fast_burst *b)
{
	uint64_t front = bytes_get_be64(ip);
	uint64_t behind = bytes_get_be64(ip + IPV6_BYTES + 4);
	uint32_t udp_bytes = (uint32_t)(front >> 16) & 0xffff;
	uint32_t channel = (uint32_t)(behind >> 16) & 0xffff;
	uint32_t ports_be = load32(ip + IPV6_BYTES);
	struct ip_address source = ip_address_from_v6(ip + 8);
	struct ip_address destination = ip_address_from_v6(ip + 24);
	uint8_t local_idx = dp_local_find(&w->settings, &destination);
	bool is_channel_data =
		channel >= TURN_CHANNEL_MIN && channel <= w->settings.channel_max &&
		((uint32_t)behind & 0xffff) + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES == udp_bytes;
	struct fast_packet a;

	if (front >> 60 != 6 || (front >> 8 & 0xff) != IP_PROTOCOL_UDP || (front & 0xff) <= 1 ||
	    udp_bytes + IPV6_BYTES > left_bytes || behind >> 48 != udp_bytes ||
	    udp_bytes < UDP_BYTES + TURN_CHANNEL_HEADER_BYTES || (behind & 0xffff00000000) == 0)
		return;
	memcpy(a.key, source.bytes, sizeof(source.bytes));
	// Not the unspecified address, loopback, IPv4 in any disguise, a group, port 0, or our own.
	if (a.key[0] == 0 || source.bytes[0] == 0xff || (ports_be & 0xffff) == 0 ||
	    local_idx == DP_LOCAL_NONE || w->settings.local[local_idx].is_v4 ||
	    dp_local_find(&w->settings, &source) != DP_LOCAL_NONE)
		return;
	a.mbuf = m;
	a.ip = ip;
	a.udp_bytes = udp_bytes;
	a.burst_idx = burst_idx;
	arrival_add(&w->settings.local_table, b, true, &a, local_idx, ports_be,
		    __builtin_bswap32(ports_be) & 0xffff,
		    load32(ip + IPV6_BYTES + UDP_BYTES) & 0xffff, is_channel_data);
}

// What is each packet?
static void arrivals(const struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n,
		     struct fast_burst *b)
{
	struct arrivals_v4 v4;

	v4.n = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = mbuf[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
		uint32_t left_bytes = m->data_len - (uint32_t)ETHERNET_BYTES;
		uint32_t ethertype_be;

		if (i + DP_FRAMES_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(mbuf[i + DP_FRAMES_AHEAD], void *));
		// A group as the sender on the link is none.
		if (m->nb_segs != 1 || m->data_len < FRAME_V4_BYTES_MIN || (frame[6] & 1))
			continue;
		ethertype_be = load32(frame + 12) & 0xffff;
		if (ethertype_be == ETHERTYPE_BE_IPV4) {
			v4.mbuf[v4.n] = m;
			v4.ip[v4.n] = frame + ETHERNET_BYTES;
			v4.left_bytes[v4.n] = left_bytes;
			v4.burst_idx[v4.n] = i;
			if (++v4.n == LANES)
				arrivals_v4(w, &v4, b);
		} else if (ethertype_be == ETHERTYPE_BE_IPV6 && m->data_len >= FRAME_V6_BYTES_MIN) {
			arrival_v6(w, m, frame + ETHERNET_BYTES, left_bytes, i, b);
		}
	}
	if (v4.n > 0)
		arrivals_v4(w, &v4, b);
}

// ---- second pass: two loops, so that the misses of each overlap

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
	const uint8_t *key = (const uint8_t *)&f->key;

	return ((load64(key) ^ p->key[0]) | (load64(key + 8) ^ p->key[1]) |
		(load64(key + 16) ^ p->key[2])) == 0;
}

// The index of the flow's source among our addresses, or, of a flow that is the stages' alone, a number
// that is none: one with limits, or of a client on a socket of the control plane's.
ALWAYS_INLINE uint32_t source_of(const struct shm_flow *f)
{
	const uint32_t mask = 0xff | (SHM_FLOW_F_LIMITED | SHM_FLOW_F_STREAM) << 8;

	static_assert(offsetof(struct shm_flow, from_local_idx) % 2 == 0 &&
			      offsetof(struct shm_flow, flags) ==
				      offsetof(struct shm_flow, from_local_idx) + 1,
		      "read as one word");
	// Once: what was checked is what is used.
	return __atomic_load_n((const uint16_t *)(const void *)&f->from_local_idx,
			       __ATOMIC_RELAXED) &
	       mask;
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
	if (unlikely(!key_is(f, p))) {
		d.flow_idx = entry_search(w, p);
		if (d.flow_idx == 0)
			return false;
		f = &w->shared->flows.entries[d.flow_idx];
	}
	local_idx = source_of(f);
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

static bool forward_up_v4_to_v6(struct dp_worker *w, const struct dp_policy_salt *salt,
				const struct fast_packet *p)
{
	return forward(w, salt, p, true, true);
}

static bool forward_down_v4_to_v6(struct dp_worker *w, const struct dp_policy_salt *salt,
				  const struct fast_packet *p)
{
	return forward(w, salt, p, false, true);
}

// Datagrams from IPv4 to IPv4 that are about to leave.
struct departures_v4 {
	uint32_t n;
	struct rte_mbuf *mbuf[LANES];
	uint8_t *ip[LANES]; // as received
	uint64_t next_hop[LANES];
	uint32_t source[LANES];
	uint32_t destination[LANES];
	uint32_t ports_be[LANES];
	uint32_t channel_be[LANES];
	uint32_t udp_bytes[LANES]; // as received
};

// Gives eight at once their new headers and queues them: dp_channel_send, side by side.
ALWAYS_INLINE void departures_v4(struct dp_worker *w, struct departures_v4 *out, bool is_up)
{
	const lanes row = { 0, 1, 2, 3, 4, 5, 6, 7 };
	int32_t shift = is_up ? TURN_CHANNEL_HEADER_BYTES : -TURN_CHANNEL_HEADER_BYTES;
	uint32_t data[LANES] = { 0 };
	lanes r[LANES]; // words 0..7 from the IP header on, as received
	lanes s[LANES]; // as sent
	lanes udp_bytes;
	lanes udp_bytes_be;
	lanes addresses;
	lanes received;
	lanes sent;
	lanes sum;
	lanes df;

	for (uint32_t k = out->n; k < LANES; k++)
		out->ip[k] = out->ip[0];
	for (uint32_t k = 0; k < LANES; k++) {
		r[k] = lanes_load(out->ip[k]);
		// The last word as sent is data already, which stays where it is.
		if (is_up)
			data[k] = load32(out->ip[k] + sizeof(lanes));
	}
	lanes_transpose(r);

	udp_bytes = lanes_load(out->udp_bytes) - (uint32_t)shift;
	udp_bytes_be = lanes_swap16(udp_bytes);
	s[0] = (r[0] & 0xffff) | lanes_swap16(udp_bytes + IPV4_BYTES) << 16;
	// RFC 6864 §4.1: the identification of a packet that cannot be fragmented means nothing.
	df = (lanes)((r[1] & 0x400000) != 0);
	s[1] = (df & 0x400000) | (~df & lanes_swap16((row + w->ip_id) & 0xffff));
	s[2] = (r[2] & 0xffff) - 1;
	s[3] = lanes_load(out->source);
	s[4] = lanes_load(out->destination);
	s[5] = lanes_load(out->ports_be);
	addresses = lanes_sum16(s[3]) + lanes_sum16(s[4]);
	sum = lanes_sum16(s[0]) + lanes_sum16(s[1]) + s[2] + addresses;
	s[2] |= (lanes_fold(sum) ^ 0xffff) << 16;
	s[7] = is_up ? lanes_load(data)
		     : lanes_load(out->channel_be) |
			       lanes_swap16(udp_bytes - UDP_BYTES - TURN_CHANNEL_HEADER_BYTES)
				       << 16;

	// RFC 1624 eqn. 3.
	received = lanes_sum16(r[3]) + lanes_sum16(r[4]) + lanes_sum16(r[5]) + 2 * (r[6] & 0xffff);
	sent = addresses + lanes_sum16(s[5]) + 2 * udp_bytes_be;
	if (is_up)
		received += lanes_sum16(r[7]);
	else
		sent += lanes_sum16(s[7]);
	sum = lanes_fold((r[6] >> 16 ^ 0xffff) + sent + (lanes_fold(received) ^ 0xffff)) ^ 0xffff;
	sum |= (lanes)(sum == 0) & 0xffff;
	s[6] = udp_bytes_be | sum << 16;
	lanes_transpose(s);

	for (uint32_t k = 0; k < out->n; k++) {
		uint64_t next_hop = out->next_hop[k];
		const struct dp_port *port = &w->shared->port[shm_neighbour_port(next_hop)];
		uint8_t *frame = out->ip[k] + shift - ETHERNET_BYTES;
		struct rte_mbuf *m = out->mbuf[k];

		dp_ethernet_write(frame, next_hop, port->mac, ETHERTYPE_BE_IPV4);
		lanes_store(frame + ETHERNET_BYTES, s[k]);
		m->data_off = (uint16_t)(m->data_off + shift);
		m->pkt_len = out->udp_bytes[k] - (uint32_t)shift + IPV4_BYTES + ETHERNET_BYTES;
		m->data_len = (uint16_t)m->pkt_len;
		dp_tx_push(w, shm_neighbour_port(next_hop), m);
	}
	w->ip_id = (uint16_t)(w->ip_id + out->n);
	out->n = 0;
}

// Decides for each packet of a list from IPv4; returns how many are on their way.
ALWAYS_INLINE uint32_t forward_v4(struct dp_worker *w, const struct fast_packet *list, uint32_t n,
				  struct rte_mbuf **mbuf, bool is_up)
{
	const struct dp_shared *shared = w->shared;
	const struct shm_flow *entries = shared->flows.entries;
	const struct shm_neighbour *neighbour = shared->tables->neighbour;
	const struct dp_policy_salt salt = dp_policy_salt(w);
	const uint64_t *verdict = w->verdict;
	const uint64_t now_ns = w->now_ns;
	const uint32_t n_locals = w->settings.n_locals;
	const uint32_t n_ports = shared->n_ports;
	struct departures_v4 out;
	uint32_t n_sent = 0;

	out.n = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct fast_packet *p = &list[i];
		uint32_t entry_idx = p->entry_idx;
		const struct shm_flow *f = &entries[entry_idx];
		struct dp_address to;
		uint32_t neighbour_idx;
		uint32_t local_idx;
		uint32_t channel_be;
		uint32_t ip_bytes;
		uint64_t next_hop;
		uint32_t k = out.n;

		if (unlikely(!key_is(f, p))) {
			entry_idx = entry_search(w, p);
			if (entry_idx == 0)
				continue;
			f = &entries[entry_idx];
		}
		// Each field once: what was checked is what is used.
		to = dp_address_of(f->to_address);
		local_idx = source_of(f);
		neighbour_idx = __atomic_load_n(&f->neighbour_idx, __ATOMIC_RELAXED);
		channel_be = is_up ? 0 : __atomic_load_n(&f->channel_be, __ATOMIC_RELAXED);
		if (__atomic_load_n(&f->expires_at_ns, __ATOMIC_RELAXED) <= now_ns ||
		    local_idx >= n_locals || neighbour_idx == 0)
			continue;
		out.source[k] = w->settings.local_table.v4[local_idx];
		if (unlikely(!dp_address_is_v4(to) || out.source[k] == 0)) {
			if (is_up ? forward_up_v4_to_v6(w, &salt, p)
				  : forward_down_v4_to_v6(w, &salt, p)) {
				mbuf[p->burst_idx] = NULL;
				n_sent++;
			}
			continue;
		}
		if (is_up ? verdict[entry_idx] != dp_policy_allowed(&salt, to) : channel_be == 0)
			continue;
		next_hop = __atomic_load_n(&neighbour[neighbour_idx].word, __ATOMIC_RELAXED);
		ip_bytes = p->udp_bytes + IPV4_BYTES -
			   (is_up ? TURN_CHANNEL_HEADER_BYTES : -TURN_CHANNEL_HEADER_BYTES);
		if (next_hop == 0 || shm_neighbour_vlan(next_hop) != 0 ||
		    shm_neighbour_port(next_hop) >= n_ports ||
		    ip_bytes > shared->port[shm_neighbour_port(next_hop)].mtu_bytes ||
		    (!is_up && p->mbuf->data_off < TURN_CHANNEL_HEADER_BYTES))
			continue;

		out.mbuf[k] = p->mbuf;
		out.ip[k] = p->ip;
		out.next_hop[k] = next_hop;
		out.destination[k] = dp_address_v4(to);
		out.ports_be[k] = dp_ports(f->from_port_be, f->to_port_be);
		out.channel_be[k] = channel_be;
		out.udp_bytes[k] = p->udp_bytes;
		mbuf[p->burst_idx] = NULL;
		n_sent++;
		dp_relay_count_usage(w, entry_idx,
				     p->udp_bytes - UDP_BYTES -
					     (is_up ? TURN_CHANNEL_HEADER_BYTES : 0));
		if (++out.n == LANES)
			departures_v4(w, &out, is_up);
	}
	if (out.n > 0)
		departures_v4(w, &out, is_up);
	return n_sent;
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

uint32_t dp_fast_path_burst(struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n)
{
	struct fast_burst b;
	uint32_t n_left = 0;
	uint32_t n_down;
	uint32_t n_up;

	memset(b.n, 0, sizeof(b.n));
	arrivals(w, mbuf, n, &b);
	for (uint32_t i = 0; i < FAST_KIND_COUNT; i++)
		buckets_fetch(w, b.packet[i], b.n[i]);
	entries_fetch(w, b.packet[FAST_UP_V4], b.n[FAST_UP_V4], true);
	entries_fetch(w, b.packet[FAST_DOWN_V4], b.n[FAST_DOWN_V4], false);
	entries_fetch(w, b.packet[FAST_UP_V6], b.n[FAST_UP_V6], true);
	entries_fetch(w, b.packet[FAST_DOWN_V6], b.n[FAST_DOWN_V6], false);
	n_up = forward_v4(w, b.packet[FAST_UP_V4], b.n[FAST_UP_V4], mbuf, true);
	n_up += forward_v6(w, b.packet[FAST_UP_V6], b.n[FAST_UP_V6], mbuf, true);
	n_down = forward_v4(w, b.packet[FAST_DOWN_V4], b.n[FAST_DOWN_V4], mbuf, false);
	n_down += forward_v6(w, b.packet[FAST_DOWN_V6], b.n[FAST_DOWN_V6], mbuf, false);
	w->count[DP_COUNTER_UP_CHANNEL] += n_up;
	w->count[DP_COUNTER_DOWN_CHANNEL] += n_down;
	if (n_up + n_down == n)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (mbuf[i] != NULL)
			mbuf[n_left++] = mbuf[i];
	}
	return n_left;
}
