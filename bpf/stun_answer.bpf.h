// Answers a STUN Binding request in place (RFC 8489 §6.3.1, §14.2): checks its attributes, then
// sends the frame back where it came from with XOR-MAPPED-ADDRESS, SOFTWARE where configured, what
// NAT behaviour discovery adds (RFC 5780 §6.1; which attributes fit is decided as in
// contract/wire/nat_discovery.h), and FINGERPRINT where the request had one. All checksums are computed anew, because those of a
// request that came over veth may be partial.
//
// The answer is longer than the request. Native veth has no tailroom, so the frame grows at its
// head and every header is written again.
#ifndef TP_BPF_STUN_ANSWER_BPF_H
#define TP_BPF_STUN_ANSWER_BPF_H

#include "bpf/classify.bpf.h"
#include "bpf/stun_fingerprint.bpf.h"
#include "dataplane/contract/wire/stun_numbers.h"

#define ATTRS_MAX         8 // a request with more is answered by the worker
#define ATTRS_BYTES_MAX   (FINGERPRINT_WORDS_MAX * 4 - STUN_HEADER_BYTES) // and so is a longer one
#define IP4_DONT_FRAGMENT 0x4000
#define ANSWER_HOP_LIMIT  64

// As NAT_DISCOVERY_TENTHS_MAX: an answer may have so many tenths of its request's bytes.
#define ANSWER_TENTHS_MAX   19
#define DISCOVERY_ATTRS_MAX 3 // OTHER-ADDRESS, RESPONSE-ORIGIN, MAPPED-ADDRESS

struct stun_header {
	__be16 type;
	__be16 length;
	__be32 cookie;
	__u32 transaction_id[3];
};

struct stun_attribute {
	__be16 type;
	__be16 length;
};

// What an answer takes over from its request, copied before the frame changes.
struct binding {
	struct ethhdr eth;
	__u32 source[4];
	__u32 destination[4];
	__u32 other[4]; // RFC 5780
	__u32 transaction_id[3];
	__u32 attrs_bytes;
	__be16 source_port;
	__be16 destination_port;
	__be16 other_port; // 0: none
	__be16 vlan_tci;
	__u8 is_v4;
	__u8 has_vlan;
	__u8 has_fingerprint;
};

static __always_inline __u16 checksum_finish(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

// Walks the attributes behind a checked header. ANSWERED_BINDING: go on; anything else is the
// frame's verdict. Attributes that must be understood, and requests longer than usual, are the
// worker's.
static __always_inline __u32 binding_attributes(struct xdp_md *ctx, const struct stun_header *stun,
						__u32 stun_offset, struct binding *b)
{
	void *data_end = (void *)(long)ctx->data_end;
	__u32 attrs_bytes = bpf_ntohs(stun->length);
	__u32 offset = 0;

	if (attrs_bytes > ATTRS_BYTES_MAX)
		return XDP_COUNTER_STEERED_LISTENER;
	for (int i = 0; i < ATTRS_MAX && offset < attrs_bytes; i++) {
		const struct stun_attribute *a;
		__u32 length_bytes;

		if (offset > ATTRS_BYTES_MAX)
			return XDP_COUNTER_DROPPED_MALFORMED_STUN;
		a = (const void *)(stun + 1) + offset;
		if ((void *)(a + 1) > data_end)
			return XDP_COUNTER_DROPPED_MALFORMED_STUN;
		length_bytes = bpf_ntohs(a->length);
		if (offset + sizeof(*a) + length_bytes > attrs_bytes)
			return XDP_COUNTER_DROPPED_MALFORMED_STUN;
		if (a->type == bpf_htons(STUN_ATTR_FINGERPRINT)) {
			const __u32 *value = (const void *)(a + 1);

			if (length_bytes != 4 || offset + FINGERPRINT_BYTES != attrs_bytes ||
			    (void *)(value + 1) > data_end)
				return XDP_COUNTER_DROPPED_MALFORMED_STUN; // it must be last
			if (*value !=
			    stun_fingerprint(ctx, stun_offset, (STUN_HEADER_BYTES + offset) / 4))
				return XDP_COUNTER_DROPPED_FINGERPRINT;
			b->has_fingerprint = 1;
		} else if (bpf_ntohs(a->type) < 0x8000) {
			return XDP_COUNTER_STEERED_LISTENER; // comprehension required
		}
		offset += sizeof(*a) + ((length_bytes + 3) & ~3u);
	}
	return offset < attrs_bytes ? XDP_COUNTER_STEERED_LISTENER : XDP_COUNTER_ANSWERED_BINDING;
}

// Reads the request's headers, which classification has seen, at their fixed places.
static __always_inline __u32 binding_read(struct xdp_md *ctx, struct binding *b)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	const struct stun_header *stun;
	const struct udphdr *udp;
	__u32 *l3 = (void *)(eth + 1);
	__u32 stun_offset = sizeof(*eth) + sizeof(*udp);

	if ((void *)(eth + 1) > data_end)
		return XDP_COUNTER_DROPPED_MALFORMED_UDP;
	b->eth = *eth;
	if ((eth->h_dest[0] | eth->h_source[0]) & 1)
		return XDP_COUNTER_STEERED_LISTENER; // multicast on the link
	if (b->has_vlan) {
		struct vlan_header *vlan = (void *)(eth + 1);

		if ((void *)(vlan + 1) > data_end)
			return XDP_COUNTER_DROPPED_MALFORMED_UDP;
		b->vlan_tci = vlan->tci;
		l3 = (void *)(vlan + 1);
		stun_offset += sizeof(*vlan);
	}
	if (b->is_v4) {
		if ((void *)(l3 + 5) > data_end)
			return XDP_COUNTER_DROPPED_MALFORMED_UDP;
		if (checksum_finish((__u64)l3[0] + l3[1] + l3[2] + l3[3] + l3[4]))
			return XDP_COUNTER_DROPPED_MALFORMED_UDP;
		b->source[3] = l3[3];
		b->destination[3] = l3[4];
		udp = (void *)(l3 + 5);
		stun_offset += sizeof(struct iphdr);
	} else {
		if ((void *)(l3 + 10) > data_end)
			return XDP_COUNTER_DROPPED_MALFORMED_UDP;
		__builtin_memcpy(b->source, l3 + 2, sizeof(b->source));
		__builtin_memcpy(b->destination, l3 + 6, sizeof(b->destination));
		udp = (void *)(l3 + 10);
		stun_offset += sizeof(struct ipv6hdr);
	}
	stun = (const void *)(udp + 1);
	if ((void *)(stun + 1) > data_end)
		return XDP_COUNTER_DROPPED_MALFORMED_UDP;
	b->source_port = udp->source;
	b->destination_port = udp->dest;
	b->attrs_bytes = bpf_ntohs(stun->length);
	__builtin_memcpy(b->transaction_id, stun->transaction_id, sizeof(b->transaction_id));
	return binding_attributes(ctx, stun, stun_offset, b);
}

// Appends one word at *at and to the sum. False at the frame's end, which the growth rules out.
static __always_inline bool answer_put(__u32 **at, void *data_end, __u64 *sum, __u32 word)
{
	if ((void *)(*at + 1) > data_end)
		return false;
	**at = word;
	*at += 1;
	*sum += word;
	return true;
}

// Ethernet and VLAN headers; returns where the IP header goes, NULL at the frame's end.
static __always_inline __u32 *answer_link(void *data, void *data_end, const struct binding *b)
{
	struct ethhdr *eth = data;
	struct vlan_header *vlan = (void *)(eth + 1);

	if ((void *)(eth + 1) > data_end)
		return NULL;
	__builtin_memcpy(eth->h_dest, b->eth.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, b->eth.h_dest, ETH_ALEN);
	eth->h_proto = b->eth.h_proto;
	if (!b->has_vlan)
		return (void *)(eth + 1);
	if ((void *)(vlan + 1) > data_end)
		return NULL;
	vlan->tci = b->vlan_tci;
	vlan->ethertype = bpf_htons(b->is_v4 ? ETH_P_IP : ETH_P_IPV6);
	return (void *)(vlan + 1);
}

// The IP header; adds the pseudo header's addresses to the sum and returns where the UDP header
// goes.
static __always_inline struct udphdr *answer_ip(__u32 *l3, void *data_end, const struct binding *b,
						__u32 udp_bytes, __u64 *sum)
{
	if (b->is_v4) {
		struct iphdr *ip = (void *)l3;

		if ((void *)(ip + 1) > data_end)
			return NULL;
		// Identification 0 is fine for an atomic datagram (RFC 6864 §4.1).
		l3[0] = bpf_htonl(0x45000000 | (sizeof(*ip) + udp_bytes));
		l3[1] = bpf_htonl(IP4_DONT_FRAGMENT);
		l3[2] = bpf_htonl(ANSWER_HOP_LIMIT << 24 | IPPROTO_UDP << 16);
		l3[3] = b->destination[3];
		l3[4] = b->source[3];
		*sum = (__u64)l3[3] + l3[4];
		ip->check = checksum_finish(*sum + l3[0] + l3[1] + l3[2]);
		return (void *)(ip + 1);
	}
	if ((void *)(l3 + 10) > data_end)
		return NULL;
	l3[0] = bpf_htonl(0x60000000);
	l3[1] = bpf_htonl(udp_bytes << 16 | IPPROTO_UDP << 8 | ANSWER_HOP_LIMIT);
	*sum = 0;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		l3[2 + i] = b->destination[i];
		l3[6 + i] = b->source[i];
		*sum += (__u64)b->destination[i] + b->source[i];
	}
	return (void *)(l3 + 10);
}

static __always_inline bool answer_mapped_address(__u32 **at, void *data_end, __u64 *sum,
						  const struct binding *b)
{
	__u32 port = bpf_ntohs(b->source_port) ^ (STUN_MAGIC_COOKIE >> 16);
	const __u32 *source = b->source;
	const __u32 *id = b->transaction_id;
	__be32 cookie = bpf_htonl(STUN_MAGIC_COOKIE);

	if (b->is_v4)
		return answer_put(at, data_end, sum,
				  bpf_htonl(STUN_ATTR_XOR_MAPPED_ADDRESS << 16 | 8)) &&
		       answer_put(at, data_end, sum, bpf_htonl(STUN_FAMILY_IPV4 << 16 | port)) &&
		       answer_put(at, data_end, sum, source[3] ^ cookie);
	return answer_put(at, data_end, sum, bpf_htonl(STUN_ATTR_XOR_MAPPED_ADDRESS << 16 | 20)) &&
	       answer_put(at, data_end, sum, bpf_htonl(STUN_FAMILY_IPV6 << 16 | port)) &&
	       answer_put(at, data_end, sum, source[0] ^ cookie) &&
	       answer_put(at, data_end, sum, source[1] ^ id[0]) &&
	       answer_put(at, data_end, sum, source[2] ^ id[1]) &&
	       answer_put(at, data_end, sum, source[3] ^ id[2]);
}

// The other address of the listener, where it has one.
static __always_inline void binding_other(struct binding *b)
{
	struct xdp_filter_listener_key key = {};
	const struct xdp_filter_listener *listener;

	__builtin_memcpy(key.address, b->destination, sizeof(key.address));
	if (b->is_v4)
		key.address[2] = bpf_htonl(0xffff);
	key.port_be = b->destination_port;
	listener = bpf_map_lookup_elem(&tp_listeners, &key);
	if (!listener)
		return;
	b->other_port = listener->other_port_be;
	__builtin_memcpy(b->other, listener->other_address, sizeof(b->other));
}

// How many of discovery's attributes, each of that length, go into the answer beside those of
// attrs_bytes.
static __always_inline __u32 discovery_attrs(const struct binding *b, __u32 attrs_bytes,
					     __u32 attr_bytes)
{
	__u32 headers_bytes = (b->is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
			      sizeof(struct udphdr) + STUN_HEADER_BYTES;
	__u32 max_bytes = (headers_bytes + b->attrs_bytes) * ANSWER_TENTHS_MAX / 10;
	__u32 n = 0;

#pragma unroll
	for (int i = 0; i < DISCOVERY_ATTRS_MAX; i++) {
		attrs_bytes += attr_bytes;
		// FINGERPRINT can be computed up to that length.
		if (headers_bytes + attrs_bytes <= max_bytes &&
		    STUN_HEADER_BYTES + attrs_bytes <= FINGERPRINT_WORDS_MAX * 4)
			n++;
	}
	return n;
}

// An address that is not hidden by XOR (RFC 8489 §14.1).
static __always_inline bool answer_address(__u32 **at, void *data_end, __u64 *sum, __u32 type,
					   const struct binding *b, const __u32 *address,
					   __be16 port_be)
{
	__u32 port = bpf_ntohs(port_be);

	if (b->is_v4)
		return answer_put(at, data_end, sum, bpf_htonl(type << 16 | 8)) &&
		       answer_put(at, data_end, sum, bpf_htonl(STUN_FAMILY_IPV4 << 16 | port)) &&
		       answer_put(at, data_end, sum, address[3]);
	return answer_put(at, data_end, sum, bpf_htonl(type << 16 | 20)) &&
	       answer_put(at, data_end, sum, bpf_htonl(STUN_FAMILY_IPV6 << 16 | port)) &&
	       answer_put(at, data_end, sum, address[0]) &&
	       answer_put(at, data_end, sum, address[1]) &&
	       answer_put(at, data_end, sum, address[2]) &&
	       answer_put(at, data_end, sum, address[3]);
}

static __always_inline bool answer_discovery(__u32 **at, void *data_end, __u64 *sum,
					     const struct binding *b, __u32 n_attrs)
{
	if (n_attrs > 0 &&
	    !answer_address(at, data_end, sum, STUN_ATTR_OTHER_ADDRESS, b, b->other, b->other_port))
		return false;
	if (n_attrs > 1 && !answer_address(at, data_end, sum, STUN_ATTR_RESPONSE_ORIGIN, b,
					   b->destination, b->destination_port))
		return false;
	return n_attrs < 3 || answer_address(at, data_end, sum, STUN_ATTR_MAPPED_ADDRESS, b,
					     b->source, b->source_port);
}

static __always_inline bool answer_software(__u32 **at, void *data_end, __u64 *sum,
					    const struct xdp_filter_settings *settings,
					    __u32 software_bytes)
{
	if (!answer_put(at, data_end, sum,
			bpf_htonl(STUN_ATTR_SOFTWARE << 16 | settings->software_length)))
		return false;
	for (__u32 i = 0; i < XDP_FILTER_SOFTWARE_MAX / 4 && i * 4 < software_bytes; i++) {
		if (!answer_put(at, data_end, sum, settings->software[i]))
			return false;
	}
	return true;
}

// A Binding request, by the headers at their shortest (no IP options, no extension headers), with
// UDP and STUN headers checked. Returns the counter to move; on ANSWERED_BINDING the frame is the
// answer. A function of its own, so that the verifier walks it once instead of once per path that
// leads here.
__attribute__((noinline)) __u32 stun_answer(struct xdp_md *ctx, __u32 is_v4, __u32 has_vlan)
{
	struct binding b = { .is_v4 = is_v4 != 0, .has_vlan = has_vlan != 0 };
	const struct xdp_filter_settings *settings;
	struct stun_header *stun;
	struct udphdr *udp;
	void *data_end;
	__u32 software_bytes, attrs_bytes, udp_bytes, frame_bytes, verdict, n_discovery = 0,
									    zero = 0;
	__s64 was_bytes;
	__u32 *at;
	__u64 sum;

	verdict = binding_read(ctx, &b);
	if (verdict != XDP_COUNTER_ANSWERED_BINDING)
		return verdict;
	settings = bpf_map_lookup_elem(&tp_settings, &zero);
	if (!settings)
		return XDP_COUNTER_STEERED_LISTENER;

	software_bytes = settings->software_bytes;
	if (software_bytes > XDP_FILTER_SOFTWARE_MAX)
		software_bytes = 0;
	attrs_bytes = STUN_ATTR_HEADER_BYTES + (b.is_v4 ? 8 : 20);
	if (software_bytes)
		attrs_bytes += STUN_ATTR_HEADER_BYTES + software_bytes;
	if (b.has_fingerprint)
		attrs_bytes += FINGERPRINT_BYTES;
	if (settings->flags & XDP_FILTER_F_NAT_DISCOVERY)
		binding_other(&b);
	if (b.other_port) {
		__u32 attr_bytes = STUN_ATTR_HEADER_BYTES + (b.is_v4 ? 8 : 20);

		n_discovery = discovery_attrs(&b, attrs_bytes, attr_bytes);
		attrs_bytes += n_discovery * attr_bytes;
	}
	udp_bytes = sizeof(*udp) + sizeof(*stun) + attrs_bytes;
	frame_bytes = sizeof(struct ethhdr) + (b.has_vlan ? sizeof(struct vlan_header) : 0) +
		      (b.is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + udp_bytes;
	was_bytes = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	barrier_var(was_bytes); // pointers must be subtracted in 64 bits
	if (bpf_xdp_adjust_head(ctx, (int)was_bytes - (int)frame_bytes))
		return XDP_COUNTER_DROPPED_NO_ROOM;

	data_end = (void *)(long)ctx->data_end;
	at = answer_link((void *)(long)ctx->data, data_end, &b);
	if (!at)
		return XDP_COUNTER_DROPPED_NO_ROOM;
	udp = answer_ip(at, data_end, &b, udp_bytes, &sum);
	if (!udp)
		return XDP_COUNTER_DROPPED_NO_ROOM;
	stun = (void *)(udp + 1);
	if ((void *)(stun + 1) > data_end)
		return XDP_COUNTER_DROPPED_NO_ROOM;
	udp->source = b.destination_port;
	udp->dest = b.source_port;
	udp->len = bpf_htons(udp_bytes);
	udp->check = 0;
	stun->type = bpf_htons(STUN_BINDING_SUCCESS);
	stun->length = bpf_htons(attrs_bytes);
	stun->cookie = bpf_htonl(STUN_MAGIC_COOKIE);
	__builtin_memcpy(stun->transaction_id, b.transaction_id, sizeof(b.transaction_id));
	// The rest of the pseudo header, the UDP header and the STUN header. One's-complement words
	// add in any grouping, as long as each 16-bit word keeps its place in memory.
	sum += bpf_htonl(IPPROTO_UDP << 16 | udp_bytes);
	sum += (__u64)udp->source + udp->dest + udp->len;
	sum += (__u64)stun->type + stun->length + stun->cookie;
	sum += (__u64)b.transaction_id[0] + b.transaction_id[1] + b.transaction_id[2];

	at = (void *)(stun + 1);
	if (!answer_mapped_address(&at, data_end, &sum, &b))
		return XDP_COUNTER_DROPPED_NO_ROOM;
	if (n_discovery && !answer_discovery(&at, data_end, &sum, &b, n_discovery))
		return XDP_COUNTER_DROPPED_NO_ROOM;
	if (software_bytes && !answer_software(&at, data_end, &sum, settings, software_bytes))
		return XDP_COUNTER_DROPPED_NO_ROOM;
	if (b.has_fingerprint) {
		__u32 stun_offset = frame_bytes - sizeof(*stun) - attrs_bytes;
		__u32 n_words = (sizeof(*stun) + attrs_bytes - FINGERPRINT_BYTES) / 4;

		if (!answer_put(&at, data_end, &sum, bpf_htonl(STUN_ATTR_FINGERPRINT << 16 | 4)) ||
		    !answer_put(&at, data_end, &sum, stun_fingerprint(ctx, stun_offset, n_words)))
			return XDP_COUNTER_DROPPED_NO_ROOM;
	}

	udp->check = checksum_finish(sum);
	if (!udp->check)
		udp->check = 0xffff;
	return XDP_COUNTER_ANSWERED_BINDING;
}

#endif
