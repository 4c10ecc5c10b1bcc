// The relay stage: takes TURN's framing off or puts it on, and gives the datagram new headers (RFC
// 8656 §11, §12, §13–16). The application data stays where it lies. Worker thread; writes the
// packet's buffer and the usage of its flow.
#include "dataplane/relay.h"

#include "dataplane/contract/wire/turn.h"
#include "dataplane/header.h"
#include "dataplane/icmp.h"
#include "dataplane/relay_channel.h"

// Sum of 32-bit words as they lie in memory; folds into a checksum.
static inline uint64_t sum_endpoint(const struct ip_endpoint *e)
{
	uint32_t v[4];

	// The mapped prefix of IPv4 sums to 0xffff, which is zero in this arithmetic.
	memcpy(v, e->address.bytes, sizeof(v));
	return (uint64_t)v[0] + v[1] + v[2] + v[3] + e->port_be;
}

// Framing of TURN: four bytes of ChannelData, 36 or 48 of an indication.
static inline uint64_t sum_framing(const uint8_t *at, uint32_t n)
{
	uint64_t sum = 0;

	if (n % 4 != 0 || n > TURN_DATA_PREFIX_V6_BYTES)
		return checksum_add(0, at, n);
	for (uint32_t i = 0; i < n; i += 4) {
		uint32_t word;

		memcpy(&word, at + i, sizeof(word));
		sum += word;
	}
	return sum;
}

// A length counts twice: in the pseudo header and in the UDP header.
static inline uint64_t sum_length(uint32_t udp_bytes)
{
	return 2ull * __builtin_bswap16((uint16_t)udp_bytes);
}

// Everything around the application data as it was received. What stands behind data of odd length
// lies at odd offsets of the sum, so its bytes count swapped.
static uint32_t sum_received(const struct dp_packet *p)
{
	uint32_t head_bytes = p->data_offset - p->view.payload_offset;
	uint32_t tail_bytes = p->view.payload_bytes - head_bytes - p->data_bytes;
	uint64_t sum = sum_endpoint(&p->view.source) + sum_endpoint(&p->view.destination) +
		       sum_length(UDP_BYTES + p->view.payload_bytes);

	sum += sum_framing(p->frame + p->view.payload_offset, head_bytes);
	if (tail_bytes > 0) {
		uint16_t tail = checksum_fold(
			checksum_add(0, p->frame + p->data_offset + p->data_bytes, tail_bytes));

		sum += p->data_bytes & 1 ? __builtin_bswap16(tail) : tail;
	}
	return checksum_fold64(sum);
}

uint32_t dp_relay_prefix_bytes(const struct dp_packet *p)
{
	if (p->kind != DP_KIND_DOWN)
		return 0;
	if (p->channel_be != 0)
		return TURN_CHANNEL_HEADER_BYTES;
	return ip_address_is_v4(&p->peer.address) ? TURN_DATA_PREFIX_V4_BYTES
						  : TURN_DATA_PREFIX_V6_BYTES;
}

// RFC 8656 §12.5: over UDP ChannelData needs no padding; a STUN message always has it.
static uint32_t pad_bytes_of(const struct dp_packet *p)
{
	if (p->kind != DP_KIND_DOWN || p->channel_be != 0)
		return 0;
	return -(uint32_t)p->data_bytes & 3;
}

void dp_relay_prefix_write(struct dp_worker *w, const struct dp_packet *p, uint8_t *at)
{
	uint64_t random[2];
	uint8_t transaction_id[12];

	if (p->kind != DP_KIND_DOWN)
		return;
	if (p->channel_be != 0) {
		uint32_t channel_data = p->channel_be | (uint32_t)__builtin_bswap16(p->data_bytes)
								<< 16;

		memcpy(at, &channel_data, sizeof(channel_data));
		return;
	}
	random[0] = dp_random(w);
	random[1] = dp_random(w);
	memcpy(transaction_id, random, sizeof(transaction_id));
	turn_data_prefix_write(at, &p->peer, p->data_bytes, transaction_id);
}

// Moves the start of the mbuf's data to `frame_offset` (from the old start) and sets its length.
// False when the buffer has no room.
static bool set_extent(struct rte_mbuf *m, int32_t frame_offset, uint32_t length_bytes)
{
	int32_t data_off = (int32_t)m->data_off + frame_offset;

	if (data_off < 0 || (uint32_t)data_off + length_bytes > m->buf_len)
		return false;
	m->data_off = (uint16_t)data_off;
	m->data_len = (uint16_t)length_bytes;
	m->pkt_len = length_bytes;
	return true;
}

// The DF bit of what leaves over IPv4. RFC 8656 §14: a client may ask for it, else it is the sender's; §15: of what came over a
// stream 0, but for that. §13.3 from IPv6: by size, but not for what came in fragments (RFC 7915 §5.1, §5.1.1), nor for what we
// have to cut up.
static bool dont_fragment(const struct dp_packet *p, bool to_v4, uint32_t ip_bytes, bool fragments)
{
	if (fragments || !to_v4)
		return false;
	if (p->from_stream)
		return p->asks_df;
	if (p->view.is_v4)
		return p->view.dont_fragment || p->asks_df;
	return !p->was_fragments && ip_bytes > DP_RELAY_V4_FROM_V6_DF_BYTES;
}

// How large a packet may leave in one piece. RFC 7915 §4.1: what may be cut up over IPv4 must not be larger than the least MTU over
// IPv6, where no router could.
static uint32_t whole_bytes_max(const struct dp_packet *p, bool to_v4, uint32_t mtu_bytes)
{
	if (!to_v4 && !p->view.dont_fragment && mtu_bytes > DP_RELAY_V6_FROM_V4_BYTES)
		return DP_RELAY_V6_FROM_V4_BYTES;
	return mtu_bytes;
}

static void count_relayed(struct dp_worker *w, const struct dp_packet *p)
{
	if (p->kind == DP_KIND_UP_CHANNEL)
		w->count[DP_COUNTER_UP_CHANNEL]++;
	else if (p->kind == DP_KIND_UP_SEND)
		w->count[DP_COUNTER_UP_SEND]++;
	else if (p->channel_be != 0)
		w->count[DP_COUNTER_DOWN_CHANNEL]++;
	else
		w->count[DP_COUNTER_DOWN_DATA]++;
	w->count[DP_COUNTER_HAIRPIN] += p->is_hairpin;
}

static inline void account(struct dp_worker *w, const struct dp_packet *p)
{
	dp_relay_account(w, p->flow, p);
	if (p->is_hairpin)
		dp_relay_account(w, p->up_flow, p);
	count_relayed(w, p);
}

void dp_relay_sent(struct dp_worker *w, const struct dp_packet *p)
{
	account(w, p);
}

static uint16_t checksum_of(const struct dp_packet *p, uint32_t received, uint64_t sent)
{
	uint32_t sum = (uint16_t)~p->view.udp_checksum_be;
	uint16_t checksum;

	// RFC 1624 eqn. 3.
	sum += (uint16_t)~checksum_fold(received);
	sum += checksum_fold(checksum_fold64(sent));
	checksum = (uint16_t)~checksum_fold(sum);
	return checksum != 0 ? checksum : 0xffff;
}

static void relay_one(struct dp_worker *w, struct dp_packet *p)
{
	bool to_v4 = ip_address_is_v4(&p->destination.address);
	uint64_t next_hop = dp_next_hop(w, p->neighbour_idx);
	uint32_t prefix_bytes = dp_relay_prefix_bytes(p);
	uint32_t pad_bytes = pad_bytes_of(p);
	uint32_t udp_bytes = UDP_BYTES + prefix_bytes + p->data_bytes + pad_bytes;
	uint32_t ip_bytes = (to_v4 ? IPV4_BYTES : IPV6_BYTES) + udp_bytes;
	uint32_t header_bytes = dp_header_bytes(next_hop, to_v4);
	uint32_t l2_bytes = dp_header_l2_bytes(next_hop);
	bool had_checksum = p->view.udp_checksum_be != 0;
	struct dp_header h;
	const struct dp_port *port;
	bool fragments;
	uint32_t received;
	uint8_t *frame;
	uint8_t *prefix;
	uint64_t sent;

	if (next_hop == 0) {
		dp_drop(w, p, DP_DROP_NO_NEXT_HOP);
		return;
	}
	if (ip_address_is_v4(&p->source.address) != to_v4) {
		dp_drop(w, p, DP_DROP_FAMILY_MISMATCH);
		return;
	}
	// RFC 8656 §13, §14: decremented, and discarded at 0.
	if (p->ttl <= 1) {
		dp_icmp_time_exceeded(w, p);
		return;
	}
	port = &w->shared->port[shm_neighbour_port(next_hop)];
	if (ip_bytes > UINT16_MAX) {
		dp_drop(w, p, DP_DROP_TOO_BIG);
		return;
	}
	if (ip_bytes > port->mtu_bytes && dp_icmp_must_tell(p, to_v4)) {
		dp_icmp_too_big(w, p, port->mtu_bytes);
		return;
	}
	fragments = ip_bytes > whole_bytes_max(p, to_v4, port->mtu_bytes);
	h.dont_fragment = dont_fragment(p, to_v4, ip_bytes, fragments);

	received = had_checksum ? sum_received(p) : 0;
	if (!set_extent(p->mbuf, (int32_t)p->data_offset - (int32_t)(header_bytes + prefix_bytes),
			header_bytes + prefix_bytes + p->data_bytes + pad_bytes)) {
		dp_drop(w, p, DP_DROP_NO_MBUF);
		return;
	}
	frame = rte_pktmbuf_mtod(p->mbuf, uint8_t *);
	prefix = frame + header_bytes;
	if (prefix_bytes > 0)
		dp_relay_prefix_write(w, p, prefix);
	if (pad_bytes > 0)
		memset(prefix + prefix_bytes + p->data_bytes, 0, pad_bytes);

	sent = sum_endpoint(&p->source) + sum_endpoint(&p->destination) + sum_length(udp_bytes);
	sent += sum_framing(prefix, prefix_bytes);
	h.source = dp_address_of(&p->source.address);
	h.destination = dp_address_of(&p->destination.address);
	h.ports = dp_ports(p->source.port_be, p->destination.port_be);
	h.l2_word = next_hop;
	h.source_mac = port->mac;
	h.flow_label = dp_relay_flow_label(dp_flow_idx(w, p->flow));
	h.ip_id = w->ip_id++;
	h.udp_bytes = udp_bytes;
	// Updated, not computed anew, so that what was corrupt stays so. Without a checksum none is
	// made up, but for IPv6, and for what came over a stream, which had one of its own.
	h.udp_checksum = had_checksum ? checksum_of(p, received, sent) : 0;
	h.ttl = p->ttl - 1u;
	h.traffic_class = p->view.traffic_class;
	h.is_v4 = to_v4;
	dp_header_write(frame, &h);
	if (!had_checksum && (!to_v4 || p->from_stream)) {
		uint8_t *udp = frame + header_bytes - UDP_BYTES;
		uint16_t checksum = udp_checksum(&p->source.address, &p->destination.address, udp,
						 (uint16_t)udp_bytes);

		memcpy(udp + 6, &checksum, sizeof(checksum));
	}

	if (!fragments) {
		dp_tx_push(w, shm_neighbour_port(next_hop), p->mbuf);
	} else if (!dp_tx_push_fragments(w, shm_neighbour_port(next_hop), p->mbuf, l2_bytes,
					 to_v4)) {
		w->count[DP_DROP_NO_MBUF]++;
		return;
	}
	account(w, p);
}

void dp_relay_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (likely(dp_relay_channel(w, in[i])))
			account(w, in[i]);
		else
			relay_one(w, in[i]);
	}
}
