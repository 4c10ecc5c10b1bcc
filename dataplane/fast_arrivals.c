// The fast path's first pass: which frames are plain, as nearly all are, whose are they, and by which key are
// they looked up? Eight at once over IPv4. Worker thread; writes the burst only.
#include "dataplane/contract/wire/turn.h"
#include "dataplane/fast_path.h"
#include "dataplane/header.h"
#include "dataplane/lanes.h"

// What every frame is read of: a ChannelData header, or as many bytes of data, behind the headers.
#define FRAME_V4_BYTES_MIN (ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES)
#define FRAME_V6_BYTES_MIN (ETHERNET_BYTES + IPV6_BYTES + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES)

// Frames over IPv4 on their way into the first pass, which takes eight at once.
struct arrivals_v4 {
	uint32_t n;
	struct rte_mbuf *mbuf[LANES];
	uint8_t *ip[LANES];
	uint32_t left_bytes[LANES]; // from the IP header to the frame's end
	uint32_t burst_idx[LANES];
};

// Of eight packets over IPv4: at which of our addresses they arrive, and how.
struct lanes_arrival {
	lanes local_idx;
	lanes_signed is_own_source; // no host but us has that address
	lanes_signed is_up;         // to a listener
	lanes_signed is_down;       // to a relayed port
};

ALWAYS_INLINE struct lanes_arrival arrive(const struct dp_local_ranges *own, lanes source,
					  lanes destination, lanes port)
{
	struct lanes_arrival a = { .local_idx = lanes_of(0) };

	for (uint32_t i = 0; i < own->n_addresses; i++)
		a.is_own_source |= source == own->address[i];
	for (uint32_t i = 0; i < own->n_listeners; i++) {
		const struct dp_local_range *l = &own->listener[i];
		lanes_signed here = (destination == l->address) & (port == l->port_min);

		a.is_up |= here;
		a.local_idx |= (lanes)here & l->local_idx;
	}
	for (uint32_t i = 0; i < own->n_relays; i++) {
		const struct dp_local_range *l = &own->relay[i];
		lanes_signed here = (destination == l->address) & (port - l->port_min < l->n_ports);

		a.is_down |= here;
		a.local_idx |= (lanes)here & l->local_idx;
	}
	// A relayed port that is a listener's, too, is the listener's.
	a.is_down &= ~a.is_up;
	return a;
}

// What is refused here is decided by the stages, for the same reasons (ip_udp_parse, classify.c).
static void arrivals_v4(const struct dp_worker *w, struct arrivals_v4 *in, struct fast_burst *b)
{
	uint32_t n_channels = w->settings.channel_max - TURN_CHANNEL_MIN + 1u;
	uint32_t kind[LANES];
	uint32_t source[LANES];
	uint32_t ports_be[LANES];
	uint32_t key_end[LANES]; // the upper half of the last word
	uint32_t udp_bytes[LANES];
	struct lanes_arrival a;
	lanes_signed total;
	lanes_signed udp;
	lanes_signed channel;
	lanes_signed net;
	lanes_signed ok;
	lanes_signed is_channel_data;
	lanes_signed is_send;
	lanes r[LANES]; // words 0..7 from the IP header on
	lanes swapped;

	for (uint32_t k = in->n; k < LANES; k++) {
		in->ip[k] = in->ip[0];
		in->left_bytes[k] = 0;
	}
	for (uint32_t k = 0; k < LANES; k++)
		r[k] = lanes_load(in->ip[k]);
	lanes_transpose(r);

	a = arrive(&w->settings.local_ranges, r[3], r[4], lanes_swap16(r[5]) >> 16);
	// Version and header length; fragment; protocol; TTL; header sum; no UDP checksum; source port.
	total = (lanes_signed)(lanes_swap16(r[0]) >> 16);
	swapped = lanes_swap16(r[6]);
	udp = (lanes_signed)(swapped & 0xffff);
	net = (lanes_signed)(r[3] & 0xff);
	ok = ((r[0] & 0xff) == 0x45) & ((r[1] & 0xff3f0000) == 0) &
	     ((r[2] & 0xff00) == IP_PROTOCOL_UDP << 8) & ((r[2] & 0xfe) != 0) &
	     (lanes_fold(lanes_sum16(r[0]) + lanes_sum16(r[1]) + lanes_sum16(r[2]) +
			 lanes_sum16(r[3]) + lanes_sum16(r[4])) == 0xffff) &
	     (r[6] >> 16 != 0) & ((r[5] & 0xffff) != 0) &
	     // Lengths that agree.
	     (total <= (lanes_signed)lanes_load(in->left_bytes)) & (udp + IPV4_BYTES == total) &
	     (udp >= UDP_BYTES + TURN_CHANNEL_HEADER_BYTES) &
	     // No host's address.
	     (net != 0) & (net != 127) & (net < 224) & ~a.is_own_source;
	swapped = lanes_swap16(r[7]);
	channel = (lanes_signed)(swapped & 0xffff);
	is_channel_data =
		(channel >= TURN_CHANNEL_MIN) &
		(channel < (int32_t)(TURN_CHANNEL_MIN + n_channels)) &
		((lanes_signed)(swapped >> 16) + UDP_BYTES + TURN_CHANNEL_HEADER_BYTES == udp) &
		a.is_up;
	is_send = (channel == TURN_SEND_INDICATION) & a.is_up;

	static_assert(FAST_UP_V4 == 0, "no bits of it need setting");
	lanes_store(kind,
		    ((lanes)(ok & a.is_down) & FAST_DOWN_V4) |
			    ((lanes)(ok & is_send) & FAST_ASKED_V4) |
			    ((lanes) ~(ok & (a.is_down | is_send | is_channel_data)) & FAST_LEFT));
	lanes_store(key_end,
		    a.local_idx | ((lanes)a.is_down & SHM_FLOW_PEER << 8) |
			    ((lanes)is_send & SHM_FLOW_ALLOCATION << 8) |
			    ((lanes)is_channel_data & (SHM_FLOW_CHANNEL << 8 | r[7] << 16)));
	lanes_store(source, r[3]);
	lanes_store(ports_be, r[5]);
	lanes_store(udp_bytes, (lanes)udp);

	for (uint32_t k = 0; k < in->n; k++) {
		struct fast_packet *p = &b->packet[kind[k]][b->n[kind[k]]++];

		dp_fast_key_v4(p->key, source[k]);
		p->key[2] = ports_be[k] | (uint64_t)key_end[k] << 32;
		p->mbuf = in->mbuf[k];
		p->ip = in->ip[k];
		p->udp_bytes = udp_bytes[k];
		p->burst_idx = in->burst_idx[k];
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
			if (++v4.n == LANES)
				arrivals_v4(w, &v4, b);
		} else if (ethertype_be == ETHERTYPE_BE_IPV6 && m->data_len >= FRAME_V6_BYTES_MIN) {
			arrival_v6(w, m, frame + ETHERNET_BYTES, left_bytes, i, b);
		}
	}
	if (v4.n > 0)
		arrivals_v4(w, &v4, b);
}
