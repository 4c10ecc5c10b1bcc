// Judging a received frame: every byte of it that matters, against what its path says. Pure, any thread.
#include "bench/blast/frame.h"
#include "bench/blast/frame_private.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/stun_numbers.h"

// Finds UDP. The lengths must agree with the frame, but trailing Ethernet padding is no fault.
static bool layout_udp(const uint8_t *frame, uint32_t frame_bytes, struct frame_layout *l)
{
	const uint8_t *ip = frame + FRAME_ETHER_BYTES;
	uint16_t ether_type;

	if (frame_bytes < FRAME_ETHER_BYTES + 20 + 8)
		return false;
	memcpy(&ether_type, frame + 12, 2);
	l->ip = ip;
	if (ether_type == ETHERTYPE_BE_IPV4) {
		if (ip[0] != 0x45 || ip[9] != 17 || (bytes_get_be16(ip + 6) & 0x3fff) != 0)
			return false;
		l->is_v4 = true;
		l->udp = ip + 20;
		l->udp_bytes = bytes_get_be16(ip + 2);
		if (l->udp_bytes < 28)
			return false;
		l->udp_bytes -= 20;
	} else if (ether_type == ETHERTYPE_BE_IPV6) {
		if (frame_bytes < FRAME_ETHER_BYTES + 40 + 8 || ip[0] >> 4 != 6 || ip[6] != 17)
			return false;
		l->is_v4 = false;
		l->udp = ip + 40;
		l->udp_bytes = bytes_get_be16(ip + 4);
	} else {
		return false;
	}
	return l->udp_bytes >= 8 && bytes_get_be16(l->udp + 4) == l->udp_bytes &&
	       (uint32_t)(l->udp - frame) + l->udp_bytes <= frame_bytes;
}

// ChannelData and indications pass between listener and clients; what bears other ports comes from a peer's side.
static bool layout_payload(struct frame_layout *l)
{
	const uint8_t *data = l->udp + 8;
	uint32_t data_bytes = l->udp_bytes - 8;
	uint16_t listener_be = __builtin_bswap16(FLOW_PLAN_LISTENER_PORT);
	bool from_listener = memcmp(l->udp, &listener_be, 2) == 0;
	bool to_listener = memcmp(l->udp + 2, &listener_be, 2) == 0;

	l->form = FRAME_PLAIN;
	l->prefix_bytes = 0;
	l->payload_bytes = data_bytes;
	if (from_listener || to_listener) {
		if (data_bytes < 4)
			return false;
		if (data[0] >= 0x40 && data[0] <= 0x4f) {
			l->form = FRAME_CHANNEL;
			l->prefix_bytes = 4;
		} else {
			uint16_t type = bytes_get_be16(data);
			uint32_t address_bytes;

			if (data_bytes < 36 ||
			    (type != TURN_DATA_INDICATION && type != TURN_SEND_INDICATION))
				return false;
			address_bytes = bytes_get_be16(data + 22);
			if ((address_bytes != 8 && address_bytes != 20) ||
			    data_bytes < 28 + address_bytes)
				return false;
			l->form = FRAME_INDICATION;
			l->prefix_bytes = 28 + address_bytes;
		}
		l->payload_bytes = bytes_get_be16(data + l->prefix_bytes - 2);
	}
	l->payload = data + l->prefix_bytes;
	return l->payload_bytes >= FRAME_STAMP_BYTES && l->payload_bytes <= FRAME_PAYLOAD_MAX &&
	       l->prefix_bytes + l->payload_bytes <= data_bytes;
}

bool frame_locate(const uint8_t *frame, uint32_t frame_bytes, struct frame_layout *out)
{
	return layout_udp(frame, frame_bytes, out) && layout_payload(out);
}

static bool indication_is_expected(const struct frame_path *p, const struct frame_layout *l)
{
	const uint8_t *stun = l->udp + 8;
	const uint8_t *value = stun + 24;
	uint8_t peer[16] = { [10] = 0xff, [11] = 0xff };
	uint32_t padded = (l->payload_bytes + 3) & ~3u;
	bool is_v4 = l->prefix_bytes == 36;

	if (bytes_get_be16(stun + 2) != l->prefix_bytes - STUN_HEADER_BYTES + padded ||
	    l->udp_bytes != 8 + l->prefix_bytes + padded ||
	    bytes_get_be32(stun + 4) != STUN_MAGIC_COOKIE ||
	    bytes_get_be16(stun + 20) != TURN_ATTR_XOR_PEER_ADDRESS ||
	    value[1] != (is_v4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6) ||
	    bytes_get_be16(l->payload - 4) != TURN_ATTR_DATA)
		return false;
	for (uint32_t i = 0; i < (is_v4 ? 4u : 16u); i++)
		peer[is_v4 ? 12 + i : i] = value[4 + i] ^ stun[4 + i];
	return (bytes_get_be16(value + 2) ^ (STUN_MAGIC_COOKIE >> 16)) ==
		       __builtin_bswap16(p->rx_peer_port_be) &&
	       memcmp(peer, p->rx_peer, 16) == 0;
}

static bool direction_is_expected(const struct frame_path *p, const struct frame_layout *l)
{
	if (l->is_v4 != p->rx_is_v4 || l->form != (enum frame_form)p->rx_form)
		return false;
	if (l->is_v4 ? memcmp(l->ip + 12, p->rx_tuple, 12) != 0
		     : memcmp(l->ip + 8, p->rx_tuple, 36) != 0)
		return false;
	switch (l->form) {
	case FRAME_CHANNEL:
		return memcmp(l->payload - 4, &p->rx_channel_be, 2) == 0;
	case FRAME_INDICATION:
		return indication_is_expected(p, l);
	default:
		return true;
	}
}

// Two words of a checksum at once.
static inline uint32_t word_sum(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return (v & 0xffff) + (v >> 16);
}

static bool checksums_are_right(const struct frame_path *p, const struct frame_layout *l,
				const struct frame_stamp *stamp)
{
	// Every word but the pattern's; the UDP checksum itself included, so the whole folds to all ones.
	uint32_t sum =
		p->rx_tuple_sum + (17u << 8) + 2u * __builtin_bswap16((uint16_t)l->udp_bytes);
	uint16_t field;
	uint32_t tail = l->udp_bytes - 8 - l->prefix_bytes - l->payload_bytes;

	memcpy(&field, l->udp + 6, 2);
	sum += field;
	if (l->prefix_bytes == TURN_CHANNEL_HEADER_BYTES)
		sum += word_sum(l->udp + 8);
	else if (l->prefix_bytes > 0)
		sum = checksum_add(sum, l->udp + 8, l->prefix_bytes);
	sum += frame_stamp_sum(stamp) + frame_pattern_sum[l->payload_bytes];
	// Padding follows: behind an odd payload its first byte shares a word with the payload's last.
	if (tail > 0) {
		const uint8_t *pad = l->payload + l->payload_bytes;

		if (l->payload_bytes & 1) {
			sum += (uint32_t)*pad++ << 8;
			tail--;
		}
		sum = checksum_add(sum, pad, tail);
	}
	if (field == 0 || checksum_fold(sum) != 0xffff)
		return false;
	if (!l->is_v4)
		return true;
	sum = 0;
	for (uint32_t i = 0; i < 20; i += 4)
		sum += word_sum(l->ip + i);
	return checksum_fold(sum) == 0xffff;
}

enum frame_verdict frame_judge(const struct frame_layout *l, const struct frame_path *up,
			       const struct frame_path *down, uint32_t n_flows,
			       struct frame_arrival *out)
{
	const struct frame_path *p;
	struct frame_stamp stamp;

	memcpy(&stamp, l->payload, sizeof(stamp));
	out->flow_idx = stamp.flow & 0x7fffffff;
	out->is_down = stamp.flow >> 31;
	out->seq = stamp.seq;
	out->sent_tsc = stamp.tsc_check >> 16;
	out->payload_bytes = l->payload_bytes;
	if (out->flow_idx >= n_flows ||
	    (uint16_t)stamp.tsc_check !=
		    frame_stamp_check(stamp.flow, stamp.seq, stamp.tsc_check & ~0xffffull))
		return FRAME_CORRUPTED;
	if (memcmp(l->payload + FRAME_STAMP_BYTES, frame_pattern + FRAME_STAMP_BYTES,
		   l->payload_bytes - FRAME_STAMP_BYTES) != 0)
		return FRAME_CORRUPTED;
	p = (out->is_down ? down : up) + out->flow_idx;
	if (!direction_is_expected(p, l))
		return FRAME_MISDIRECTED;
	return checksums_are_right(p, l, &stamp) ? FRAME_OK : FRAME_BAD_CHECKSUM;
}
