// First look at a packet: is it ours, and what kind of work is it? Worker thread; writes the packet
// and the lists.
#include "dataplane/contract/wire/demux.h"
#include "dataplane/contract/wire/turn.h"
#include "dataplane/icmp.h"
#include "dataplane/worker.h"

// {client, listener} of a packet, for the kinds that begin there.
static void client_key(struct dp_packet *p, enum shm_flow_kind kind, uint16_t channel_be)
{
	memcpy(p->key.address, p->view.source.address.bytes, 16);
	p->key.port_be = p->view.source.port_be;
	p->key.local_port_be = p->view.destination.port_be;
	p->key.local_idx = p->local_idx;
	p->key.kind = kind;
	p->key.channel_be = channel_be;
}

static void classify_channel(struct dp_worker *w, struct dp_packet *p)
{
	uint16_t channel;

	if (!turn_channel_data_parse_upto(p->frame + p->view.payload_offset, p->view.payload_bytes,
					  w->settings.channel_max, &channel, &p->data_bytes)) {
		dp_drop(w, p, DP_DROP_BAD_CHANNEL_DATA);
		return;
	}
	p->data_offset = p->view.payload_offset + TURN_CHANNEL_HEADER_BYTES;
	p->kind = DP_KIND_UP_CHANNEL;
	client_key(p, SHM_FLOW_CHANNEL, __builtin_bswap16(channel));
	dp_list_add(w, DP_STAGE_LOOKUP, p);
}

static void classify_send(struct dp_worker *w, struct dp_packet *p)
{
	struct turn_send send;

	switch (turn_send_parse(p->frame + p->view.payload_offset, p->view.payload_bytes, &send)) {
	case TURN_SEND_OK:
		break;
	case TURN_SEND_MALFORMED:
		dp_drop(w, p, DP_DROP_BAD_STUN);
		return;
	case TURN_SEND_FINGERPRINT:
		dp_drop(w, p, DP_DROP_BAD_FINGERPRINT);
		return;
	default:
		dp_drop(w, p, DP_DROP_BAD_SEND);
		return;
	}
	if (send.peer.port_be == 0) {
		dp_drop(w, p, DP_DROP_BAD_SEND);
		return;
	}
	p->peer = send.peer;
	p->data_offset = (uint16_t)(send.data - p->frame);
	p->data_bytes = send.data_bytes;
	p->asks_df = send.dont_fragment;
	p->kind = DP_KIND_UP_SEND;
	client_key(p, SHM_FLOW_ALLOCATION, 0);
	dp_list_add(w, DP_STAGE_LOOKUP, p);
}

static void classify_stun(struct dp_worker *w, struct dp_packet *p)
{
	const uint8_t *payload = p->frame + p->view.payload_offset;
	struct stun_attr fingerprint;

	if (p->view.payload_bytes >= STUN_HEADER_BYTES &&
	    bytes_get_be16(payload) == TURN_SEND_INDICATION) {
		classify_send(w, p);
		return;
	}
	if (stun_parse(payload, p->view.payload_bytes, &p->stun) != STUN_OK) {
		dp_drop(w, p, DP_DROP_BAD_STUN);
		return;
	}
	if (stun_attr_find(&p->stun, STUN_ATTR_FINGERPRINT, &fingerprint) &&
	    !stun_fingerprint_ok(&p->stun, &fingerprint)) {
		dp_drop(w, p, DP_DROP_BAD_FINGERPRINT);
		return;
	}
	if (!stun_is_request(p->stun.type)) {
		dp_drop(w, p, DP_DROP_UNEXPECTED_STUN);
		return;
	}
	if (p->stun.type == STUN_BINDING_REQUEST) {
		struct stun_attr username;

		// A check of ICE names the transport that it is for; a plain STUN client names nothing.
		if (w->shared->sfu != NULL &&
		    stun_attr_find(&p->stun, STUN_ATTR_USERNAME, &username)) {
			p->kind = DP_KIND_CHECK;
			dp_list_add(w, DP_STAGE_ICE, p);
			return;
		}
		p->kind = DP_KIND_BINDING;
		dp_list_add(w, DP_STAGE_BINDING, p);
		return;
	}
	p->kind = DP_KIND_REQUEST;
	dp_list_add(w, DP_STAGE_REQUEST, p);
}

// RFC 7983: DTLS and SRTP share the listener with STUN and TURN.
static void classify_media(struct dp_worker *w, struct dp_packet *p, uint8_t first)
{
	if (wire_demux(first) == WIRE_KIND_DTLS) {
		p->kind = DP_KIND_DTLS;
		dp_list_add(w, DP_STAGE_DTLS, p);
	} else {
		p->kind = DP_KIND_SRTP;
		dp_list_add(w, DP_STAGE_SRTP, p);
	}
}

// RFC 8656 §12.5, §11.2: what a client sends is ChannelData or STUN; what the SFU's clients send besides, DTLS and
// SRTP.
static void classify_client(struct dp_worker *w, struct dp_packet *p)
{
	uint8_t first;

	if (p->view.payload_bytes == 0) {
		dp_drop(w, p, DP_DROP_UNKNOWN_FIRST_BYTE);
		return;
	}
	first = p->frame[p->view.payload_offset];
	switch (wire_demux(first)) {
	case WIRE_KIND_CHANNEL:
		classify_channel(w, p);
		return;
	case WIRE_KIND_STUN:
		classify_stun(w, p);
		return;
	case WIRE_KIND_DTLS:
	case WIRE_KIND_RTP:
		if (w->shared->sfu != NULL) {
			classify_media(w, p, first);
			return;
		}
		if (w->settings.has_dtls && wire_demux(first) == WIRE_KIND_DTLS) {
			p->kind = DP_KIND_DTLS;
			dp_list_add(w, DP_STAGE_PUNT, p);
			return;
		}
		dp_drop(w, p, DP_DROP_UNKNOWN_FIRST_BYTE);
		return;
	default:
		// The numbers of RFC 5766, where the operator lets them in.
		if (first > TURN_CHANNEL_MAX >> 8 && first <= w->settings.channel_max >> 8)
			classify_channel(w, p);
		else
			dp_drop(w, p, DP_DROP_UNKNOWN_FIRST_BYTE);
	}
}

// What a peer sends is data, whatever it looks like (RFC 8656 §11.3, §12.6).
static void classify_peer(struct dp_worker *w, struct dp_packet *p)
{
	p->kind = DP_KIND_DOWN;
	p->peer = p->view.source;
	p->data_offset = p->view.payload_offset;
	p->data_bytes = p->view.payload_bytes;
	client_key(p, SHM_FLOW_PEER, 0);
	dp_list_add(w, DP_STAGE_LOOKUP_DOWN, p);
}

// No host sends from there: "this" network, loopback, multicast, class E and broadcast; a group as
// the sender on the link. Answers would go to many, or to ourselves.
static bool source_is_impossible(const struct dp_packet *p)
{
	const uint8_t *a = p->view.source.address.bytes;
	uint64_t high;
	uint64_t low;

	if (p->view.source.port_be == 0 || (p->frame[6] & 1))
		return true;
	if (p->view.is_v4)
		return a[12] == 0 || a[12] == 127 || a[12] >= 224;
	memcpy(&high, a, sizeof(high));
	memcpy(&low, a + 8, sizeof(low));
	return a[0] == 0xff || (high == 0 && __builtin_bswap64(low) <= 1);
}

static void classify_ours(struct dp_worker *w, struct dp_packet *p)
{
	const struct dp_local *l = &w->settings.local[p->local_idx];
	bool listens = dp_local_listens(l, p->view.destination.port_be);

	if (!listens && !dp_local_relays(l, p->view.destination.port_be)) {
		dp_pass_or_drop(w, p, DP_DROP_NOT_OURS);
		return;
	}
	// Our own address cannot be at the far end of a wire; believed, it would pass for a hairpin
	// peer.
	if (source_is_impossible(p) ||
	    (!p->is_inside &&
	     dp_local_find(&w->settings, &p->view.source.address) != DP_LOCAL_NONE)) {
		dp_drop(w, p, DP_DROP_BAD_SOURCE);
		return;
	}
	// RFC 8200 §8.1: a UDP checksum of zero is for IPv4 only.
	if (!p->view.is_v4 && p->view.udp_checksum_be == 0) {
		dp_drop(w, p, DP_DROP_BAD_HEADER);
		return;
	}
	p->ttl = p->view.ttl;
	p->is_hairpin = 0;
	p->from_stream = 0;
	p->asks_df = 0;
	if (listens && !p->is_inside)
		classify_client(w, p);
	else
		classify_peer(w, p);
}

// RFC 8656 §11.5: ICMP errors about what relayed ports sent. Everything else is the kernel's.
static void classify_other(struct dp_worker *w, struct dp_packet *p)
{
	struct icmp_error e;

	p->local_idx = dp_local_find(&w->settings, &p->view.destination.address);
	if (p->local_idx != DP_LOCAL_NONE && dp_icmp_is_relayed(w, p))
		dp_list_add(w, DP_STAGE_ICMP, p);
	else if (icmp_error_parse(p->frame, &p->view, &e) == ICMP_OK)
		dp_pass_or_drop(w, p, DP_DROP_ICMP_UNWANTED);
	else
		dp_pass_or_drop(w, p, DP_DROP_OTHER_PROTOCOL);
}

static void classify_one(struct dp_worker *w, struct dp_packet *p)
{
	p->frame = rte_pktmbuf_mtod(p->mbuf, uint8_t *);
	switch (ip_udp_parse(p->frame, p->mbuf->data_len, &p->view)) {
	case IP_UDP_OK:
		p->local_idx = dp_local_find(&w->settings, &p->view.destination.address);
		if (p->local_idx == DP_LOCAL_NONE)
			dp_pass_or_drop(w, p, DP_DROP_NOT_OURS);
		else
			classify_ours(w, p);
		return;
	case IP_UDP_FRAGMENT:
		p->local_idx = dp_local_find(&w->settings, &p->view.destination.address);
		if (p->local_idx == DP_LOCAL_NONE)
			dp_pass_or_drop(w, p, DP_DROP_NOT_OURS);
		else
			dp_list_add(w, DP_STAGE_REASSEMBLY, p);
		return;
	case IP_UDP_NOT_IP:
		dp_pass_or_drop(w, p, DP_DROP_NOT_IP);
		return;
	case IP_UDP_OTHER_PROTOCOL:
		classify_other(w, p);
		return;
	case IP_UDP_TRUNCATED:
		dp_drop(w, p, DP_DROP_TRUNCATED);
		return;
	default:
		dp_drop(w, p, DP_DROP_BAD_HEADER);
	}
}

void dp_classify_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i + DP_FRAMES_AHEAD < n)
			dp_prefetch_frame(in[i + DP_FRAMES_AHEAD]->mbuf);
		classify_one(w, in[i]);
	}
}

// RFC 8656 §12.5: whole messages, padded or not; those that are requests never come here.
static void classify_stream_one(struct dp_worker *w, struct dp_packet *p)
{
	const uint8_t *payload;
	uint32_t data_bytes;

	p->frame = rte_pktmbuf_mtod(p->mbuf, uint8_t *);
	if (ip_udp_parse(p->frame, p->mbuf->data_len, &p->view) != IP_UDP_OK ||
	    p->view.payload_bytes < TURN_CHANNEL_HEADER_BYTES) {
		dp_drop(w, p, DP_DROP_BAD_INJECT);
		return;
	}
	p->local_idx = SHM_LOCAL_STREAM;
	p->ttl = p->view.ttl;
	p->is_hairpin = 0;
	p->from_stream = 1;
	p->asks_df = 0;
	payload = p->frame + p->view.payload_offset;
	if (bytes_get_be16(payload) == TURN_SEND_INDICATION) {
		classify_send(w, p);
		return;
	}
	data_bytes = bytes_get_be16(payload + 2);
	if (p->view.payload_bytes != TURN_CHANNEL_HEADER_BYTES + data_bytes &&
	    p->view.payload_bytes != TURN_CHANNEL_HEADER_BYTES + ((data_bytes + 3) & ~3u)) {
		dp_drop(w, p, DP_DROP_BAD_CHANNEL_DATA);
		return;
	}
	classify_channel(w, p);
}

void dp_classify_stream_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		classify_stream_one(w, in[i]);
}
