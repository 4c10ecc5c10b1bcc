// The fast path's first pass: which frames are plain, as nearly all are, whose are they, and by which key are
// they looked up? Eight at once over IPv4. Worker thread; writes the burst only.
#include "dataplane/contract/wire/turn.h"
#include "dataplane/fast_path.h"
#include "dataplane/header.h"
#include "dataplane/lanes.h"

// What every frame is read of: a ChannelData header, or as many bytes of data, behind the headers.
#define FRAME_V4_BYTES_MIN (ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES)
#define FRAME_V6_BYTES_MIN (ETHERNET_BYTES + IPV6_BYTES + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES)

// The frames over IPv4 of a burst. All are noted before eight at once are worked on: what was stored one by
// one is not read as a vector until it has left the store buffer.
struct arrivals_v4 {
	uint32_t n;
	struct rte_mbuf *mbuf[DP_BURST];
	uint8_t *ip[DP_BURST];
	uint32_t left_bytes[DP_BURST]; // from the IP header to the frame's end
	uint32_t burst_idx[DP_BURST];
	// What was found out about each.
	uint32_t kind[DP_BURST];
	uint32_t udp_bytes[DP_BURST];
	lanes_row key[DP_BURST]; // the last four words; those before are 0
};
static_assert(DP_BURST % LANES == 0, "the last eight are whole");

// What headers are compared with. In memory, because GCC makes each constant anew for each eight, on the port
// that shuffles.
struct plain_words {
	uint32_t version;
	uint32_t fragment_mask;
	uint32_t protocol_mask;
	uint32_t protocol;
	uint32_t ttl_mask;
	uint32_t loopback;
	uint32_t groups;
	uint32_t ipv4_bytes;
	uint32_t udp_bytes_min;
	uint32_t channel_min;
	uint32_t channel_framing_bytes;
	uint32_t send_type;
	uint32_t key_prefix;
	uint32_t key_peer;
	uint32_t key_allocation;
	uint32_t key_channel;
	uint32_t down;
	uint32_t asked;
	uint32_t left;
};
static const struct plain_words plain_words = {
	.version = 0x45,
	.fragment_mask = 0xff3f0000,
	.protocol_mask = 0xff00,
	.protocol = IP_PROTOCOL_UDP << 8,
	.ttl_mask = 0xfe,
	.loopback = 127,
	.groups = 224,
	.ipv4_bytes = IPV4_BYTES,
	.udp_bytes_min = UDP_BYTES + TURN_CHANNEL_HEADER_BYTES,
	.channel_min = TURN_CHANNEL_MIN,
	.channel_framing_bytes = UDP_BYTES + TURN_CHANNEL_HEADER_BYTES,
	.send_type = TURN_SEND_INDICATION,
	.key_prefix = 0xffff0000, // of an IPv4-mapped address
	.key_peer = SHM_FLOW_PEER << 8,
	.key_allocation = SHM_FLOW_ALLOCATION << 8,
	.key_channel = SHM_FLOW_CHANNEL << 8,
	.down = FAST_DOWN_V4,
	.asked = FAST_ASKED_V4,
	.left = FAST_LEFT,
};

// Of eight packets over IPv4: at which of our addresses they arrive, and how.
struct lanes_arrival {
	lanes local_idx;
	lanes_signed is_own_source; // no host but us has that address
	lanes_signed is_up;         // to a listener
	lanes_signed is_down;       // to a relayed port
};

// Scalar loads: where gathers are slow, as on CPUs that leak by them, they are very slow.
ALWAYS_INLINE struct lanes_arrival arrive(const struct dp_local_ranges *own, lanes source,
					  lanes destination, lanes port)
{
	struct lanes_arrival a;
	uint32_t slot[LANES];
	uint32_t word[LANES];
	lanes r[4]; // of struct dp_local_range

	static_assert(sizeof(struct dp_local_range) == sizeof(lanes_row), "four words each");
	lanes_spill(slot, destination * own->multiplier >> (32 - DP_OWN_SLOTS_LOG2));
	for (uint32_t k = 0; k < 4; k++)
		r[k] = lanes_rows_load(&own->relay[slot[k]], &own->relay[slot[k + 4]]);
	lanes_transpose4(r);
	a.is_down = (destination == r[0]) & (port - r[1] < r[2]);
	a.local_idx = r[3];

	lanes_spill(word, source * own->multiplier >> (32 - DP_OWN_SLOTS_LOG2));
	a.is_own_source = source == (lanes){ own->address[word[0]], own->address[word[1]],
					     own->address[word[2]], own->address[word[3]],
					     own->address[word[4]], own->address[word[5]],
					     own->address[word[6]], own->address[word[7]] };

	a.is_up = (lanes_signed)lanes_of(0);
	for (uint32_t i = 0; i < own->n_listeners; i++) {
		const struct dp_local_range *l = &own->listener[i];
		lanes_signed here = (destination == l->address) & (port == l->port_min);

		a.is_up |= here;
		a.local_idx = ((lanes)here & l->local_idx) | (~(lanes)here & a.local_idx);
	}
	// A relayed port that is a listener's, too, is the listener's.
	a.is_down &= ~a.is_up;
	return a;
}

// Its bucket is fetched as soon as there is a key.
ALWAYS_INLINE void hash_and_fetch(const struct shm_flow_view *v, struct fast_packet *p,
				  const uint64_t key[3])
{
	p->hash = shm_flow_hash_words(v->seed, key);
	rte_prefetch0(&v->buckets[(uint32_t)p->hash & v->bucket_mask]);
}

// Eight, from `first` on. What is refused here is decided by the stages, for the same reasons (ip_udp_parse,
// classify.c).
ALWAYS_INLINE void parse_v4(const struct dp_settings *settings, const struct plain_words *c,
			    struct arrivals_v4 *in, uint32_t first)
{
	lanes r[LANES]; // words 0..7 from the IP header on
	lanes key[4];
	struct lanes_arrival a;
	lanes_signed total;
	lanes_signed udp;
	lanes_signed channel;
	lanes_signed net;
	lanes_signed ok;
	lanes_signed refused;
	lanes_signed is_channel_data;
	lanes_signed is_send;
	lanes swapped;

	for (uint32_t k = 0; k < LANES; k++)
		r[k] = lanes_load(in->ip[first + k]);
	lanes_transpose(r);

	a = arrive(&settings->local_ranges, r[3], r[4], lanes_swap16(r[5]) >> 16);
	total = (lanes_signed)(lanes_swap16(r[0]) >> 16);
	swapped = lanes_swap16(r[6]);
	udp = (lanes_signed)(swapped & 0xffff);
	net = (lanes_signed)(r[3] & 0xff);
	// Version and header length; fragment; protocol; header sum.
	ok = ((r[0] & 0xff) == c->version) & ((r[1] & c->fragment_mask) == 0) &
	     ((r[2] & c->protocol_mask) == c->protocol) &
	     (lanes_fold(lanes_sum16(r[0]) + lanes_sum16(r[1]) + lanes_sum16(r[2]) +
			 lanes_sum16(r[3]) + lanes_sum16(r[4])) == 0xffff) &
	     // Lengths that agree.
	     (total <= (lanes_signed)lanes_load(in->left_bytes + first)) &
	     (udp + (int32_t)c->ipv4_bytes == total) & (udp >= (int32_t)c->udp_bytes_min) &
	     (net < (int32_t)c->groups);
	// TTL; no UDP checksum; source port; no host's address.
	refused = ((r[2] & c->ttl_mask) == 0) | (r[6] >> 16 == 0) | ((r[5] & 0xffff) == 0) |
		  (net == 0) | (net == (int32_t)c->loopback) | a.is_own_source;
	ok &= ~refused;
	swapped = lanes_swap16(r[7]);
	channel = (lanes_signed)(swapped & 0xffff);
	is_channel_data =
		(channel >= (int32_t)c->channel_min) & (channel <= settings->channel_max) &
		((lanes_signed)(swapped >> 16) + (int32_t)c->channel_framing_bytes == udp) &
		a.is_up;
	is_send = (channel == (int32_t)c->send_type) & a.is_up;

	static_assert(FAST_UP_V4 == 0, "no bits of it need setting");
	lanes_store(in->kind + first,
		    ((lanes)(ok & a.is_down) & c->down) | ((lanes)(ok & is_send) & c->asked) |
			    ((lanes) ~(ok & (a.is_down | is_send | is_channel_data)) & c->left));
	lanes_store(in->udp_bytes + first, (lanes)udp);
	key[0] = lanes_of(c->key_prefix);
	key[1] = r[3];
	key[2] = r[5];
	key[3] = a.local_idx | ((lanes)a.is_down & c->key_peer) |
		 ((lanes)is_send & c->key_allocation) |
		 ((lanes)is_channel_data & (c->key_channel | r[7] << 16));
	lanes_transpose4(key);
	for (uint32_t k = 0; k < 4; k++)
		lanes_rows_store(&in->key[first + k], &in->key[first + k + 4], key[k]);
}

// Each to those of its kind. Out of line, for the registers.
static __attribute__((noinline)) void sort_v4(const struct shm_flow_view *v,
					      const struct arrivals_v4 *in, struct fast_burst *b)
{
	const uint32_t n = in->n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = in->kind[i];
		struct fast_packet *p = &b->packet[kind][b->n[kind]++];
		uint64_t key[3] = { 0 };

		memcpy(&key[1], &in->key[i], sizeof(in->key[i]));
		p->key[0] = key[0];
		p->key[1] = key[1];
		p->key[2] = key[2];
		hash_and_fetch(v, p, key);
		p->mbuf = in->mbuf[i];
		p->ip = in->ip[i];
		p->udp_bytes = in->udp_bytes[i];
		p->burst_idx = in->burst_idx[i];
	}
}

// All of the burst over IPv4.
ALWAYS_INLINE void arrivals_v4(const struct dp_worker *w, struct arrivals_v4 *in,
			       struct fast_burst *b)
{
	const struct plain_words *c = &plain_words;

	__asm__("" : "+r"(c));
	for (uint32_t k = in->n; k % LANES != 0; k++) {
		in->ip[k] = in->ip[0];
		in->left_bytes[k] = 0;
	}
	for (uint32_t i = 0; i < in->n; i += LANES)
		parse_v4(&w->settings, c, in, i);
	sort_v4(&w->shared->flows, in, b);
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
	const struct dp_local *l;
	struct fast_packet *p;
	uint64_t key[2];
	bool is_up;

	if (front >> 60 != 6 || (front >> 8 & 0xff) != IP_PROTOCOL_UDP || (front & 0xff) <= 1 ||
	    udp_bytes + IPV6_BYTES > left_bytes || behind >> 48 != udp_bytes ||
	    udp_bytes < UDP_BYTES + TURN_CHANNEL_HEADER_BYTES || (behind & 0xffff00000000) == 0)
		return;
	memcpy(key, source.bytes, sizeof(source.bytes));
	// Not the unspecified address, loopback, IPv4 in any disguise, a group, port 0, or our own.
	if (key[0] == 0 || source.bytes[0] == 0xff || (ports_be & 0xffff) == 0 ||
	    local_idx == DP_LOCAL_NONE || w->settings.local[local_idx].is_v4 ||
	    dp_local_find(&w->settings, &source) != DP_LOCAL_NONE)
		return;
	l = &w->settings.local[local_idx];
	is_up = dp_local_listens(l, (uint16_t)(ports_be >> 16));
	if (is_up ? channel < TURN_CHANNEL_MIN || channel > w->settings.channel_max ||
			    ((uint32_t)behind & 0xffff) + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES !=
				    udp_bytes
		  : !dp_local_relays(l, (uint16_t)(ports_be >> 16)))
		return;
	p = is_up ? &b->packet[FAST_UP_V6][b->n[FAST_UP_V6]++]
		  : &b->packet[FAST_DOWN_V6][b->n[FAST_DOWN_V6]++];
	p->key[0] = key[0];
	p->key[1] = key[1];
	p->key[2] = is_up ? dp_fast_key_end(ports_be, local_idx, SHM_FLOW_CHANNEL,
					    load32(ip + IPV6_BYTES + UDP_BYTES) & 0xffff)
			  : dp_fast_key_end(ports_be, local_idx, SHM_FLOW_PEER, 0);
	hash_and_fetch(&w->shared->flows, p, p->key);
	p->mbuf = m;
	p->ip = ip;
	p->udp_bytes = udp_bytes;
	p->burst_idx = burst_idx;
}

// What is each packet?
void dp_fast_arrivals(const struct dp_worker *w, struct rte_mbuf **mbuf, uint32_t n,
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
			v4.n++;
		} else if (ethertype_be == ETHERTYPE_BE_IPV6 && m->data_len >= FRAME_V6_BYTES_MIN) {
			arrival_v6(w, m, frame + ETHERNET_BYTES, left_bytes, i, b);
		}
	}
	if (v4.n > 0)
		arrivals_v4(w, &v4, b);
}
