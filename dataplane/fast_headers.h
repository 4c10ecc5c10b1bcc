// New headers over IPv4, eight datagrams side by side, for the fast path's third pass. Worker thread; writes
// nothing by itself.
#ifndef TP_DP_FAST_HEADERS_H
#define TP_DP_FAST_HEADERS_H

#include "dataplane/contract/wire/turn.h"
#include "dataplane/fast_path.h"
#include "dataplane/header.h"
#include "dataplane/lanes.h"

// What becomes of a datagram; a constant in each use.
enum fast_way {
	WAY_UP = 0,  // ChannelData to data
	WAY_DOWN,    // data to ChannelData
	WAY_HAIRPIN, // ChannelData to ChannelData
	WAY_SEND,    // Send indication to data
	WAY_DATA,    // data to a Data indication
};

// How far its headers move.
static const int32_t way_shift[] = {
	[WAY_UP] = TURN_CHANNEL_HEADER_BYTES,
	[WAY_DOWN] = -TURN_CHANNEL_HEADER_BYTES,
	[WAY_HAIRPIN] = 0,
	[WAY_SEND] = TURN_DATA_PREFIX_V4_BYTES,
	[WAY_DATA] = -TURN_DATA_PREFIX_V4_BYTES,
};

// Of eight datagrams, as sent.
struct fast_headers {
	lanes source;
	lanes destination;
	lanes ports_be;
	lanes udp_bytes;
	lanes channel_be; // WAY_DOWN, WAY_HAIRPIN
	lanes framing_sum; // WAY_SEND: as received around the data; WAY_DATA: as sent, but for the first word
};

// Of words 0..7 from the IP header on as received: `s[k]` becomes those of datagram k as sent, as
// dp_channel_send makes them. The last word of a datagram that loses its framing is data, which stays as it is.
ALWAYS_INLINE void dp_fast_headers_make(lanes s[LANES], const lanes r[LANES],
					const struct fast_headers *h, uint32_t ip_id,
					enum fast_way way)
{
	const lanes row = { 0, 1, 2, 3, 4, 5, 6, 7 };
	const bool is_up = way == WAY_UP || way == WAY_SEND;
	const lanes udp_bytes_be = lanes_swap16(h->udp_bytes);
	lanes addresses;
	lanes received;
	lanes sent;
	lanes sum;
	lanes df;

	s[0] = (r[0] & 0xffff) | lanes_swap16(h->udp_bytes + IPV4_BYTES) << 16;
	// RFC 6864 §4.1: the identification of a packet that cannot be fragmented means nothing.
	df = (lanes)((r[1] & 0x400000) != 0);
	s[1] = (df & 0x400000) | (~df & lanes_swap16((row + ip_id) & 0xffff));
	// A hairpin passes two relays.
	s[2] = (r[2] & 0xffff) - (way == WAY_HAIRPIN ? 2 : 1);
	s[3] = h->source;
	s[4] = h->destination;
	s[5] = h->ports_be;
	addresses = lanes_sum16(s[3]) + lanes_sum16(s[4]);
	sum = lanes_sum16(s[0]) + lanes_sum16(s[1]) + s[2] + addresses;
	s[2] |= (lanes_fold(sum) ^ 0xffff) << 16;
	if (is_up)
		s[7] = lanes_of(0);
	else if (way == WAY_DOWN)
		s[7] = h->channel_be |
		       lanes_swap16(h->udp_bytes - UDP_BYTES - TURN_CHANNEL_HEADER_BYTES) << 16;
	else if (way == WAY_HAIRPIN)
		s[7] = h->channel_be | (r[7] & 0xffff0000);
	else
		s[7] = __builtin_bswap16(TURN_DATA_INDICATION) |
		       lanes_swap16(h->udp_bytes - UDP_BYTES - STUN_HEADER_BYTES) << 16;

	// RFC 1624 eqn. 3.
	received = lanes_sum16(r[3]) + lanes_sum16(r[4]) + lanes_sum16(r[5]) + 2 * (r[6] & 0xffff);
	sent = addresses + lanes_sum16(s[5]) + 2 * udp_bytes_be;
	if (way == WAY_UP || way == WAY_HAIRPIN)
		received += lanes_sum16(r[7]);
	if (way == WAY_SEND)
		received += h->framing_sum;
	if (!is_up)
		sent += lanes_sum16(s[7]);
	if (way == WAY_DATA)
		sent += h->framing_sum;
	sum = lanes_fold((r[6] >> 16 ^ 0xffff) + sent + (lanes_fold(received) ^ 0xffff)) ^ 0xffff;
	sum |= (lanes)(sum == 0) & 0xffff;
	s[6] = udp_bytes_be | sum << 16;
	lanes_transpose(s);
}

// Writes them at `ip`, where they go.
ALWAYS_INLINE void dp_fast_headers_write(uint8_t *frame, uint64_t next_hop, const uint8_t *mac,
					 lanes s, enum fast_way way)
{
	static const lanes but_last = { 0, 1, 2, 3, 4, 5, 6, 15 };

	// Read before anything is written around it.
	if (way == WAY_UP || way == WAY_SEND)
		s = __builtin_shuffle(s, lanes_load(frame + ETHERNET_BYTES), but_last);
	dp_ethernet_write(frame, next_hop, mac, ETHERTYPE_BE_IPV4);
	lanes_store(frame + ETHERNET_BYTES, s);
}

#endif
