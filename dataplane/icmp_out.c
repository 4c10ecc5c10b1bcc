// What the relay cannot send on is told to whom it came from (RFC 8656 §13; RFC 7915 §4, §5): to the sender of the packet by ICMP, and
// by a Data indication to a client of which no packet came in. Worker thread; writes the packets' buffers and the tx queue.
#include "dataplane/contract/wire/turn.h"
#include "dataplane/header.h"
#include "dataplane/icmp.h"
#include "dataplane/relay.h"
#include "dataplane/stream.h"

#define IPV6_MTU_MIN 1280

// RFC 8656 §13.2: toward a peer over IPv6, room for a Data indication, whatever the framing is now.
#define V6_FRAMING_BYTES TURN_DATA_PREFIX_V6_BYTES

static uint32_t ip_header_bytes(bool is_v4)
{
	return is_v4 ? IPV4_BYTES : IPV6_BYTES;
}

// From the IP header on, as it came in, without what pads the frame.
static uint32_t packet_bytes(const struct dp_packet *p)
{
	return (uint32_t)p->view.payload_offset + p->view.payload_bytes - p->view.l3_offset;
}

bool dp_icmp_must_tell(const struct dp_packet *p, bool to_v4)
{
	// RFC 8656 §15: over a stream nobody sends packets; only DONT-FRAGMENT counts.
	if (p->from_stream)
		return p->asks_df;
	if (p->is_inside)
		return false;
	// RFC 8656 §14, and §13.1 by RFC 7915 §4. DONT-FRAGMENT is not for translations.
	if (p->view.is_v4)
		return p->view.dont_fragment || (to_v4 && p->asks_df);
	// RFC 8656 §13.2 and §13.3. RFC 8201 §4: no host goes below the least MTU, so what is not larger has to be cut
	// up by us, who are its source.
	return !p->was_fragments && packet_bytes(p) > IPV6_MTU_MIN;
}

// Drops it; true if the sender may be told.
static bool drop_and_tell(struct dp_worker *w, struct dp_packet *p, enum dp_counter reason)
{
	w->count[reason]++;
	if (!dp_icmp_limit_take(&w->icmp_out, &p->view.source, w->now_ns)) {
		w->count[DP_COUNTER_ICMP_HELD]++;
		dp_done(w, p);
		return false;
	}
	return true;
}

// An error about the packet as it came in, in its own buffer, back over the link that it came from.
static void answer(struct dp_worker *w, struct dp_packet *p, uint8_t type, uint8_t code,
		   uint32_t mtu_bytes)
{
	uint64_t l2_word = dp_answer_l2_word(p);
	uint32_t l2_bytes = dp_header_l2_bytes(l2_word);
	uint32_t enclosed_bytes = icmp_enclosed_bytes(p->view.is_v4, packet_bytes(p));
	uint32_t prefix_bytes =
		l2_bytes + (p->view.is_v4 ? ICMP_PREFIX_V4_BYTES : ICMP_PREFIX_V6_BYTES);
	struct icmp_reply r = {
		.source = p->view.destination.address,
		.destination = p->view.source.address,
		.mtu_bytes = mtu_bytes,
		.type = type,
		.code = code,
	};
	uint16_t vlan_id = shm_neighbour_vlan(l2_word);
	struct rte_mbuf *m = p->mbuf;
	uint8_t *packet = p->frame + p->view.l3_offset;
	uint16_t ethertype_be;
	uint8_t *frame;

	if (packet - (uint8_t *)m->buf_addr < (ptrdiff_t)prefix_bytes) {
		dp_done(w, p);
		return;
	}
	frame = packet - prefix_bytes;
	bytes_put_be64(frame, l2_word);
	memcpy(frame + 6, w->shared->port[p->port_idx].mac, 6);
	if (vlan_id != 0) {
		bytes_put_be16(frame + 12, 0x8100);
		bytes_put_be16(frame + 14, vlan_id);
	}
	ethertype_be = p->view.is_v4 ? ETHERTYPE_BE_IPV4 : ETHERTYPE_BE_IPV6;
	memcpy(frame + l2_bytes - 2, &ethertype_be, sizeof(ethertype_be));
	m->data_off = (uint16_t)(frame - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(l2_bytes + icmp_reply_write(frame + l2_bytes, &r, enclosed_bytes));
	m->pkt_len = m->data_len;
	dp_tx_push(w, p->port_idx, m);
	w->count[DP_COUNTER_ICMP_SENT]++;
}

// To the client that sent it, about what left its relayed address for `peer`.
static void indicate(struct dp_worker *w, struct dp_packet *p, const struct ip_endpoint *peer,
		     uint32_t mtu_bytes)
{
	bool is_v4 = ip_address_is_v4(&peer->address);
	uint8_t message[DP_ICMP_INDICATION_BYTES_MAX];
	uint32_t message_bytes = dp_icmp_indication(
		w, message, peer, is_v4 ? ICMP4_UNREACHABLE : ICMP6_PACKET_TOO_BIG,
		is_v4 ? ICMP4_FRAGMENTATION_NEEDED : 0, mtu_bytes);

	w->count[DP_COUNTER_ICMP_SENT]++;
	if (!p->from_stream) {
		dp_answer(w, p, message, message_bytes);
		return;
	}
	if (!dp_stream_put(w, &p->view.source.address, message, message_bytes))
		w->count[DP_COUNTER_ICMP_SENT]--;
	dp_done(w, p);
}

// The MTU for a sender whose packets have an IP header of `from_v4` and leave with one of `to_v4`, `framing_bytes` in front of
// their data, so that what fits it fits `mtu_bytes` on the way out. STUN messages are padded to four bytes.
static uint32_t mtu_of_sender(uint32_t mtu_bytes, bool from_v4, bool to_v4, uint32_t framing_bytes)
{
	uint32_t data_bytes = mtu_bytes - ip_header_bytes(to_v4) - UDP_BYTES - framing_bytes;

	if (framing_bytes > TURN_CHANNEL_HEADER_BYTES)
		data_bytes &= ~3u;
	mtu_bytes = data_bytes + UDP_BYTES + ip_header_bytes(from_v4);
	return !from_v4 && mtu_bytes < IPV6_MTU_MIN ? IPV6_MTU_MIN : mtu_bytes;
}

void dp_icmp_too_big(struct dp_worker *w, struct dp_packet *p, uint32_t mtu_bytes)
{
	bool to_v4 = ip_address_is_v4(&p->destination.address);
	bool from_v4 = p->view.is_v4;

	if (!drop_and_tell(w, p, DP_DROP_TOO_BIG))
		return;
	if (p->is_hairpin) {
		// As if the far relayed address had told the near one, and that one its client.
		struct ip_endpoint far_end = {
			.address = w->settings.local[p->local_idx].address,
			.port_be = p->key.local_port_be,
		};

		from_v4 = ip_address_is_v4(&p->peer.address);
		mtu_bytes = mtu_of_sender(mtu_bytes, from_v4, to_v4,
					  from_v4 ? dp_relay_prefix_bytes(p) : V6_FRAMING_BYTES);
		indicate(w, p, &far_end, mtu_bytes);
		return;
	}
	if (p->kind != DP_KIND_DOWN && p->asks_df && (to_v4 || p->from_stream)) {
		// The client asks about the path to the peer, of which this is the first link.
		indicate(w, p, &p->destination, mtu_bytes);
		return;
	}
	mtu_bytes = mtu_of_sender(mtu_bytes, from_v4, to_v4,
				  p->kind != DP_KIND_DOWN ? 0
				  : from_v4               ? dp_relay_prefix_bytes(p)
							  : V6_FRAMING_BYTES);
	if (from_v4)
		answer(w, p, ICMP4_UNREACHABLE, ICMP4_FRAGMENTATION_NEEDED, mtu_bytes);
	else
		answer(w, p, ICMP6_PACKET_TOO_BIG, 0, mtu_bytes);
}

void dp_icmp_time_exceeded(struct dp_worker *w, struct dp_packet *p)
{
	bool to_v4 = ip_address_is_v4(&p->destination.address);

	// RFC 8656 §13: like a router. Between IPv4 addresses (§14) nothing is asked for but that it ends here.
	if ((p->view.is_v4 && to_v4) || p->from_stream || p->is_inside || p->is_hairpin) {
		dp_drop(w, p, DP_DROP_TTL_EXPIRED);
		return;
	}
	if (drop_and_tell(w, p, DP_DROP_TTL_EXPIRED))
		answer(w, p, p->view.is_v4 ? ICMP4_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED, 0, 0);
}
