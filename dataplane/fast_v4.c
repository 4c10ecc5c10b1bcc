// The fast path's third pass over IPv4: is the flow alive, may the datagram go where it wants to, and its
// new headers, eight at once. Worker thread; writes the packets' buffers, the tx queue and the usage of
// their flows.
#include "dataplane/fast_headers.h"
#include "dataplane/policy_cache.h"
#include "dataplane/relay.h"

// Words as they lie in memory.
#define COOKIE_BE      __builtin_bswap32(STUN_MAGIC_COOKIE)
#define COOKIE_PORT_BE __builtin_bswap16(STUN_MAGIC_COOKIE >> 16)
#define PEER_ATTR_BE   __builtin_bswap32(TURN_ATTR_XOR_PEER_ADDRESS << 16 | 8)
#define FAMILY_V4_BE   __builtin_bswap16(STUN_FAMILY_IPV4)
#define DATA_ATTR_BE   __builtin_bswap16(TURN_ATTR_DATA)

// A Data or Send indication to or from an IPv4 peer, from its first byte to the data: words of 32 bits.
enum { IND_TYPE = 0, IND_COOKIE = 1, IND_PEER = 5, IND_FAMILY = 6, IND_ADDRESS = 7, IND_DATA = 8 };

ALWAYS_INLINE uint32_t pad_bytes_of(uint32_t data_bytes)
{
	return -data_bytes & 3;
}

ALWAYS_INLINE const uint8_t *message_of(const struct fast_packet *p)
{
	return p->ip + IPV4_BYTES + UDP_BYTES;
}

ALWAYS_INLINE uint32_t indication_word(const struct fast_packet *p, uint32_t i)
{
	return load32(message_of(p) + 4 * i);
}

// ---- departures

// Datagrams that are about to leave.
struct departures {
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

// Besides, of indications.
struct framings {
	uint32_t sent_bytes[LANES]; // length as sent
	uint32_t sum[LANES];        // as received around the data; as sent, but for the first word
	lanes word[LANES];          // as sent, behind the first
};

// Gives eight at once their new headers and queues them: dp_channel_send, side by side.
ALWAYS_INLINE void depart(struct dp_worker *w, struct departures *out,
			  const struct framings *framing, enum fast_way way)
{
	const int32_t shift = way_shift[way];
	const bool is_indication = way == WAY_SEND || way == WAY_DATA;
	struct fast_headers h;
	lanes r[LANES]; // words 0..7 from the IP header on, as received
	lanes s[LANES]; // as sent

	for (uint32_t k = out->n; k < LANES; k++)
		out->ip[k] = out->ip[0];
	for (uint32_t k = 0; k < LANES; k++)
		r[k] = lanes_load(out->ip[k]);
	lanes_transpose(r);
	h.source = lanes_load(out->source);
	h.destination = lanes_load(out->destination);
	h.ports_be = lanes_load(out->ports_be);
	h.channel_be = lanes_load(out->channel_be);
	h.udp_bytes = is_indication ? lanes_load(framing->sent_bytes)
				    : lanes_load(out->udp_bytes) - (uint32_t)shift;
	h.framing_sum = is_indication ? lanes_load(framing->sum) : lanes_of(0);
	dp_fast_headers_make(s, r, &h, w->ip_id, way);

	for (uint32_t k = 0; k < out->n; k++) {
		uint64_t next_hop = out->next_hop[k];
		const struct dp_port *port = &w->shared->port[shm_neighbour_port(next_hop)];
		uint8_t *frame = out->ip[k] + shift - ETHERNET_BYTES;
		struct rte_mbuf *m = out->mbuf[k];

		dp_fast_headers_write(frame, next_hop, port->mac, s[k], way);
		if (way == WAY_DATA) {
			uint32_t data_bytes = out->udp_bytes[k] - UDP_BYTES;

			lanes_store(frame + ETHERNET_BYTES + sizeof(lanes), framing->word[k]);
			memset(out->ip[k] + IPV4_BYTES + UDP_BYTES + data_bytes, 0,
			       pad_bytes_of(data_bytes));
		}
		m->data_off = (uint16_t)(m->data_off + shift);
		m->pkt_len = (is_indication ? framing->sent_bytes[k]
					    : out->udp_bytes[k] - (uint32_t)shift) +
			     IPV4_BYTES + ETHERNET_BYTES;
		m->data_len = (uint16_t)m->pkt_len;
		dp_tx_push(w, shm_neighbour_port(next_hop), m);
	}
	w->ip_id = (uint16_t)(w->ip_id + out->n);
	out->n = 0;
}

// ---- decisions

// Looked up once more, under the key of a permission (RFC 8656 §11.3).
static __attribute__((noinline)) void ask_permission(struct fast_burst *b,
						     const struct fast_packet *p)
{
	struct fast_packet *q = &b->packet[FAST_DATA_V4][b->n[FAST_DATA_V4]++];

	*q = *p;
	q->key[2] = dp_fast_key_end((uint32_t)p->key[2] & 0xffff0000,
				    (uint32_t)(p->key[2] >> 32) & 0xff, SHM_FLOW_PERMISSION, 0);
}

// From one relayed address of ours to another: looked up once more, as what comes from a peer.
// dataplane/hairpin.c says why not.
static __attribute__((noinline)) void turn_around(const struct dp_worker *w, struct fast_burst *b,
						  const struct fast_packet *p, uint32_t entry_idx,
						  uint32_t source, struct dp_address to,
						  uint32_t ports_be)
{
	struct ip_address address;
	struct fast_packet *q;
	const struct dp_local *l;
	uint8_t local_idx;

	memcpy(address.bytes, &to, sizeof(to));
	local_idx = dp_local_find(&w->settings, &address);
	if (local_idx == DP_LOCAL_NONE)
		return;
	l = &w->settings.local[local_idx];
	if (p->ip[8] <= 2 || dp_local_listens(l, (uint16_t)(ports_be >> 16)) ||
	    !dp_local_relays(l, (uint16_t)(ports_be >> 16)) ||
	    (source == dp_address_v4(to) && ports_be >> 16 == (ports_be & 0xffff)))
		return;
	q = &b->packet[FAST_HAIRPIN_V4][b->n[FAST_HAIRPIN_V4]++];
	*q = *p;
	dp_fast_key_v4(q->key, source);
	q->key[2] = dp_fast_key_end(ports_be, local_idx, SHM_FLOW_PEER, 0);
	q->up_entry_idx = entry_idx;
}

// Words as they lie, to 16 bits.
ALWAYS_INLINE uint32_t fold(uint64_t sum)
{
	return checksum_fold(checksum_fold64(sum));
}

// What stands around the data of a Send indication.
static uint32_t send_framing_sum(const struct fast_packet *p, uint32_t data_bytes)
{
	const uint8_t *tail = message_of(p) + TURN_DATA_PREFIX_V4_BYTES + data_bytes;
	uint32_t pad_bytes = pad_bytes_of(data_bytes);
	uint64_t sum = 0;

	for (uint32_t i = 0; i <= IND_DATA; i++)
		sum += indication_word(p, i);
	if (pad_bytes > 0) {
		uint16_t pad = checksum_fold(checksum_add(0, tail, pad_bytes));

		// Behind data of odd length its bytes lie at the other offsets of the sum.
		sum += data_bytes & 1 ? __builtin_bswap16(pad) : pad;
	}
	return fold(sum);
}

// The framing of a Data indication behind its first word.
static uint32_t data_framing(struct dp_worker *w, const struct fast_packet *p, lanes *framing)
{
	uint64_t random[2];
	uint32_t word[LANES];
	uint64_t sum = 0;

	random[0] = dp_random(w);
	random[1] = dp_random(w);
	word[IND_COOKIE - 1] = COOKIE_BE;
	memcpy(&word[IND_COOKIE], random, 12);
	word[IND_PEER - 1] = PEER_ATTR_BE;
	word[IND_FAMILY - 1] =
		FAMILY_V4_BE | ((load32(p->ip + IPV4_BYTES) & 0xffff) ^ COOKIE_PORT_BE) << 16;
	word[IND_ADDRESS - 1] = load32(p->ip + 12) ^ COOKIE_BE;
	word[IND_DATA - 1] = DATA_ATTR_BE | dp_be16(p->udp_bytes - UDP_BYTES) << 16;
	for (uint32_t i = 0; i < LANES; i++)
		sum += word[i];
	*framing = lanes_load(word);
	return fold(sum);
}

void dp_fast_asked_v4(struct dp_worker *w, struct fast_burst *b)
{
	const struct shm_flow *entries = w->shared->flows.entries;

	for (uint32_t i = 0; i < b->n[FAST_ASKED_V4]; i++) {
		const struct fast_packet *p = &b->packet[FAST_ASKED_V4][i];
		uint32_t message_bytes = p->udp_bytes - UDP_BYTES;
		uint32_t entry_idx = p->entry_idx;
		const struct shm_flow *f = &entries[entry_idx];
		struct fast_packet *q;
		uint32_t data_bytes;
		uint32_t local_idx;

		if (message_bytes < TURN_DATA_PREFIX_V4_BYTES)
			continue;
		// The form that clients use: XOR-PEER-ADDRESS of an IPv4 peer, DATA, and nothing else.
		data_bytes = dp_be16(indication_word(p, IND_DATA) >> 16);
		if (message_bytes != TURN_DATA_PREFIX_V4_BYTES + ((data_bytes + 3) & ~3u) ||
		    indication_word(p, IND_TYPE) >> 16 !=
			    dp_be16(message_bytes - STUN_HEADER_BYTES) ||
		    indication_word(p, IND_COOKIE) != COOKIE_BE ||
		    indication_word(p, IND_PEER) != PEER_ATTR_BE ||
		    (indication_word(p, IND_FAMILY) & 0xffff) != FAMILY_V4_BE ||
		    indication_word(p, IND_FAMILY) >> 16 == COOKIE_PORT_BE ||
		    (indication_word(p, IND_DATA) & 0xffff) != DATA_ATTR_BE)
			continue;
		if (unlikely(!dp_fast_key_is(f, p))) {
			entry_idx = dp_fast_entry_search(w, p);
			if (entry_idx == 0)
				continue;
			f = &entries[entry_idx];
		}
		local_idx = dp_fast_source_of(f);
		if (!dp_flow_is_live(w, f) || local_idx >= w->settings.n_locals ||
		    w->settings.local_ranges.v4[local_idx] == 0)
			continue;
		q = &b->packet[FAST_SEND_V4][b->n[FAST_SEND_V4]++];
		*q = *p;
		dp_fast_key_v4(q->key, indication_word(p, IND_ADDRESS) ^ COOKIE_BE);
		q->key[2] = dp_fast_key_end(dp_ports(0, f->from_port_be), local_idx,
					    SHM_FLOW_PERMISSION, 0);
		q->up_entry_idx = entry_idx;
	}
}

// Decides for each packet of a kind from the `first` on; returns how many are on their way.
ALWAYS_INLINE uint32_t forward_v4(struct dp_worker *w, struct fast_burst *b, enum fast_kind kind,
				  uint32_t first, struct rte_mbuf **mbuf, enum fast_way way)
{
	const struct fast_packet *list = b->packet[kind];
	const uint32_t n = b->n[kind];
	const struct dp_shared *shared = w->shared;
	const struct shm_flow *entries = shared->flows.entries;
	const struct shm_neighbour *neighbour = shared->tables->neighbour;
	const struct dp_policy_salt salt = dp_policy_salt(w);
	const uint32_t *local_v4 = w->settings.local_ranges.v4;
	const uint64_t *verdict = w->verdict;
	const uint64_t now_ns = w->now_ns;
	const uint32_t n_locals = w->settings.n_locals;
	const uint32_t n_ports = shared->n_ports;
	const bool is_up = way == WAY_UP || way == WAY_SEND;
	const bool is_indication = way == WAY_SEND || way == WAY_DATA;
	const bool has_channel = way == WAY_DOWN || way == WAY_HAIRPIN;
	const int32_t shift = way_shift[way];
	struct departures out;
	struct framings framing;
	uint32_t n_sent = 0;

	out.n = 0;
	for (uint32_t i = first; i < n; i++) {
		const struct fast_packet *p = &list[i];
		uint32_t entry_idx = p->entry_idx;
		const struct shm_flow *f = &entries[entry_idx];
		uint32_t sent_bytes = p->udp_bytes - (uint32_t)shift;
		uint32_t data_bytes = p->udp_bytes - UDP_BYTES;
		struct dp_address to;
		uint32_t neighbour_idx;
		uint32_t channel_be;
		uint32_t local_idx;
		uint32_t ports_be;
		uint64_t next_hop;
		uint32_t k = out.n;

		if (unlikely(!dp_fast_key_is(f, p))) {
			entry_idx = dp_fast_entry_search(w, p);
			if (entry_idx == 0) {
				if (way == WAY_DOWN)
					ask_permission(b, p);
				continue;
			}
			f = &entries[entry_idx];
		}
		// Each field once: what was checked is what is used.
		local_idx = dp_fast_source_of(f);
		channel_be = has_channel ? __atomic_load_n(&f->channel_be, __ATOMIC_RELAXED) : 0;
		if (__atomic_load_n(&f->expires_at_ns, __ATOMIC_RELAXED) <= now_ns ||
		    local_idx >= n_locals)
			continue;
		if (way == WAY_SEND) {
			// The permission names neither.
			to = (struct dp_address){ 0, p->key[1] };
			out.source[k] = local_v4[(p->key[2] >> 32) & 0xff];
			ports_be = dp_ports(
				(uint16_t)(p->key[2] >> 16),
				(uint16_t)(indication_word(p, IND_FAMILY) >> 16 ^ COOKIE_PORT_BE));
			neighbour_idx = __atomic_load_n(&f->peer_neighbour_idx, __ATOMIC_RELAXED);
			data_bytes = dp_be16(indication_word(p, IND_DATA) >> 16);
			sent_bytes = UDP_BYTES + data_bytes;
		} else {
			to = dp_address_of(f->to_address);
			out.source[k] = local_v4[local_idx];
			ports_be = dp_ports(f->from_port_be, f->to_port_be);
			neighbour_idx = __atomic_load_n(&f->neighbour_idx, __ATOMIC_RELAXED);
		}
		if (unlikely(!dp_address_is_v4(to) || out.source[k] == 0)) {
			if ((way == WAY_UP || way == WAY_DOWN) &&
			    dp_fast_forward_v4_to_v6(w, p, is_up)) {
				mbuf[p->burst_idx] = NULL;
				n_sent++;
			}
			continue;
		}
		if (is_up) {
			uint64_t allowed = dp_policy_allowed(&salt, to);

			if (verdict[entry_idx] != allowed) {
				if (way == WAY_UP &&
				    verdict[entry_idx] ==
					    allowed + PEER_ALLOWED_HAIRPIN - PEER_ALLOWED)
					turn_around(w, b, p, entry_idx, out.source[k], to,
						    ports_be);
				continue;
			}
		} else if (has_channel && channel_be == 0) {
			continue;
		}
		if (way == WAY_UP || way == WAY_HAIRPIN)
			data_bytes -= TURN_CHANNEL_HEADER_BYTES;
		if (way == WAY_DATA)
			sent_bytes += pad_bytes_of(data_bytes);
		next_hop = __atomic_load_n(&neighbour[neighbour_idx].word, __ATOMIC_RELAXED);
		if (neighbour_idx == 0 || next_hop == 0 || shm_neighbour_vlan(next_hop) != 0 ||
		    shm_neighbour_port(next_hop) >= n_ports ||
		    sent_bytes + IPV4_BYTES >
			    shared->port[shm_neighbour_port(next_hop)].mtu_bytes ||
		    (shift < 0 && p->mbuf->data_off < -shift))
			continue;
		if (way == WAY_DATA) {
			uint32_t end = (uint32_t)(p->ip - (uint8_t *)p->mbuf->buf_addr) +
				       IPV4_BYTES + p->udp_bytes + pad_bytes_of(data_bytes);

			if (end > p->mbuf->buf_len)
				continue;
			framing.sum[k] = data_framing(w, p, &framing.word[k]);
		}
		if (way == WAY_SEND)
			framing.sum[k] = send_framing_sum(p, data_bytes);

		out.mbuf[k] = p->mbuf;
		out.ip[k] = p->ip;
		out.next_hop[k] = next_hop;
		out.destination[k] = dp_address_v4(to);
		out.ports_be[k] = ports_be;
		out.channel_be[k] = channel_be;
		out.udp_bytes[k] = p->udp_bytes;
		if (is_indication)
			framing.sent_bytes[k] = sent_bytes;
		mbuf[p->burst_idx] = NULL;
		n_sent++;
		// RFC 8656 §11: a Send indication is charged to its allocation, a hairpin to both ends.
		dp_relay_count_usage(w, way == WAY_SEND ? p->up_entry_idx : entry_idx, data_bytes);
		if (way == WAY_HAIRPIN)
			dp_relay_count_usage(w, p->up_entry_idx, data_bytes);
		if (++out.n == LANES)
			depart(w, &out, &framing, way);
	}
	if (out.n > 0)
		depart(w, &out, &framing, way);
	return n_sent;
}

uint32_t dp_fast_one_by_one_v4(struct dp_worker *w, struct fast_burst *b, enum fast_kind kind,
			       uint32_t first, struct rte_mbuf **mbuf)
{
	return kind == FAST_UP_V4 ? forward_v4(w, b, FAST_UP_V4, first, mbuf, WAY_UP)
				  : forward_v4(w, b, FAST_DOWN_V4, first, mbuf, WAY_DOWN);
}

uint32_t dp_fast_hairpin_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf)
{
	return forward_v4(w, b, FAST_HAIRPIN_V4, 0, mbuf, WAY_HAIRPIN);
}

uint32_t dp_fast_send_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf)
{
	return forward_v4(w, b, FAST_SEND_V4, 0, mbuf, WAY_SEND);
}

uint32_t dp_fast_data_v4(struct dp_worker *w, struct fast_burst *b, struct rte_mbuf **mbuf)
{
	return forward_v4(w, b, FAST_DATA_V4, 0, mbuf, WAY_DATA);
}
