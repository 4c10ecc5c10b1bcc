// Finds out whether a frame is ours, by headers and maps alone: the one decision that the XDP
// filter and the ingress guard share, so that what the filter would take is exactly what the guard
// keeps from the kernel. Reads the frame, writes only tp_fragments.
//
// Accepts Ethernet with at most one VLAN tag, IPv4 with options, IPv6 with up to four hop-by-hop,
// destination, routing or fragment headers, and UDP behind it, or an ICMP error about UDP that left
// from a relayed port (RFC 8656 §11.5). Refuses to guess: what it cannot locate goes to the kernel,
// unless it is UDP to an address of ours.
#ifndef TP_BPF_CLASSIFY_BPF_H
#define TP_BPF_CLASSIFY_BPF_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>

#include "bpf/maps.bpf.h"

#define IP4_MORE_FRAGMENTS  0x2000
#define IP4_FRAGMENT_OFFSET 0x1fff
#define IP6_MORE_FRAGMENTS  0x0001
#define IP6_FRAGMENT_OFFSET 0xfff8
#define IP6_HEADERS_MAX     4

// RFC 792, RFC 4443. The kernel's own header for it wants a libc.
#define ICMP4_UNREACHABLE   3
#define ICMP4_TIME_EXCEEDED 11
#define ICMP6_UNREACHABLE   1
#define ICMP6_TIME_EXCEEDED 3 // packet too big is 2

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

struct vlan_header {
	__be16 tci;
	__be16 ethertype;
};

// Any IPv6 extension header's beginning; for a fragment header the rest counts too.
struct ip6_extension {
	__u8 next_header;
	__u8 length_8bytes; // without the first 8
	__be16 fragment_offset;
	__be32 identification;
};

enum place {
	PLACE_ELSEWHERE = 0, // the kernel's; `counter` says why
	PLACE_LISTENER,      // `accept` says what it wants
	PLACE_RELAY,
	PLACE_ICMP,      // an error about a datagram that left from a relayed port
	PLACE_FRAGMENT,  // of a datagram of ours, or that may be ours
	PLACE_MALFORMED, // UDP to our address whose port cannot be found
};

// What is known of a frame. Pointers hold until the frame is changed.
struct packet {
	void *l3;
	struct udphdr *udp;
	__u32 source[4];
	__u32 destination[4];
	__u32 l4_bytes; // announced by the IP header; only for PLACE_LISTENER and PLACE_RELAY
	__u32 accept;
	__u32 counter;
	__u8 is_v4;
	__u8 has_vlan;
	__u8 has_extras; // IPv4 options or IPv6 extension headers
};

static __always_inline int place_elsewhere(struct packet *p, __u32 counter)
{
	p->counter = counter;
	return PLACE_ELSEWHERE;
}

// A fragment without ports. It is ours unless its first fragment was seen going to a port of the
// kernel's; one that overtakes its first fragment goes to the worker, whose reassembly drops it.
static __always_inline int place_later_fragment(struct packet *p, __u32 identification)
{
	struct xdp_filter_fragment_key key = {};

	__builtin_memcpy(key.source, p->source, sizeof(key.source));
	__builtin_memcpy(key.destination, p->destination, sizeof(key.destination));
	key.identification = identification;
	if (bpf_map_lookup_elem(&tp_fragments, &key))
		return place_elsewhere(p, XDP_COUNTER_PASSED_OTHER_PORT);
	return PLACE_FRAGMENT;
}

static __always_inline int place_by_port(struct packet *p, const struct xdp_filter_local *local,
					 bool is_fragment, __u32 identification)
{
	__u16 port = bpf_ntohs(p->udp->dest);
	struct xdp_filter_listener *listener;
	struct xdp_filter_listener_key key = {};

	if ((local->flags & XDP_LOCAL_F_RELAY) && port >= local->relay_port_min &&
	    port <= local->relay_port_max)
		return is_fragment ? PLACE_FRAGMENT : PLACE_RELAY;

	if (local->flags & XDP_LOCAL_F_LISTENER) {
		__builtin_memcpy(key.address, p->destination, sizeof(key.address));
		key.port_be = p->udp->dest;
		listener = bpf_map_lookup_elem(&tp_listeners, &key);
		if (listener) {
			p->accept = listener->accept;
			return is_fragment ? PLACE_FRAGMENT : PLACE_LISTENER;
		}
	}

	if (is_fragment) {
		struct xdp_filter_fragment_key fragment = {};
		__u8 seen = 1;

		__builtin_memcpy(fragment.source, p->source, sizeof(fragment.source));
		__builtin_memcpy(fragment.destination, p->destination,
				 sizeof(fragment.destination));
		fragment.identification = identification;
		bpf_map_update_elem(&tp_fragments, &fragment, &seen, BPF_ANY);
	}
	return place_elsewhere(p, XDP_COUNTER_PASSED_OTHER_PORT);
}

// Whether a UDP header at `udp`, enclosed in an error to `local`, is of a relayed port.
static __always_inline bool left_from_relay(const struct xdp_filter_local *local,
					    const struct udphdr *udp, void *data_end)
{
	__u16 port;

	if (!(local->flags & XDP_LOCAL_F_RELAY) || (void *)(udp + 1) > data_end)
		return false;
	port = bpf_ntohs(udp->source);
	return port >= local->relay_port_min && port <= local->relay_port_max;
}

// Unreachable or time exceeded about a datagram that our own address sent; all other ICMP is the
// kernel's.
static __always_inline int place_icmp4(struct packet *p, const struct iphdr *ip,
				       const struct xdp_filter_local *local, void *data_end)
{
	__u32 header_bytes = ip->ihl * 4;
	struct icmp_header *icmp = p->l3 + header_bytes;
	struct iphdr *enclosed = (void *)(icmp + 1);

	if (header_bytes < sizeof(*ip) ||
	    (bpf_ntohs(ip->frag_off) & (IP4_MORE_FRAGMENTS | IP4_FRAGMENT_OFFSET)) ||
	    (void *)(enclosed + 1) > data_end ||
	    (icmp->type != ICMP4_UNREACHABLE && icmp->type != ICMP4_TIME_EXCEEDED) ||
	    enclosed->version != 4 || enclosed->ihl < 5 || enclosed->protocol != IPPROTO_UDP ||
	    (bpf_ntohs(enclosed->frag_off) & IP4_FRAGMENT_OFFSET) || enclosed->saddr != ip->daddr)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
	if (!left_from_relay(local, (void *)enclosed + enclosed->ihl * 4, data_end))
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
	return PLACE_ICMP;
}

// The same for unreachable, too big and time exceeded of ICMPv6.
static __always_inline int place_icmp6(struct packet *p, struct icmp_header *icmp,
				       const struct xdp_filter_local *local, void *data_end)
{
	struct ipv6hdr *enclosed = (void *)(icmp + 1);
	void *at = enclosed + 1;
	__u32 differs = 0;
	__u8 next;

	if (at > data_end || icmp->type < ICMP6_UNREACHABLE || icmp->type > ICMP6_TIME_EXCEEDED ||
	    enclosed->version != 6)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
#pragma unroll
	for (int i = 0; i < 4; i++)
		differs |= enclosed->saddr.in6_u.u6_addr32[i] ^ p->destination[i];
	next = enclosed->nexthdr;
	for (int i = 0; i < IP6_HEADERS_MAX; i++) {
		struct ip6_extension *extension = at;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		if ((void *)(extension + 1) > data_end)
			return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
		if (next != IPPROTO_FRAGMENT)
			at += 8 + extension->length_8bytes * 8;
		else if (bpf_ntohs(extension->fragment_offset) & IP6_FRAGMENT_OFFSET)
			return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
		else
			at += sizeof(*extension);
		next = extension->next_header;
	}
	if (differs || next != IPPROTO_UDP || !left_from_relay(local, at, data_end))
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
	return PLACE_ICMP;
}

static __always_inline int classify_ip4(struct packet *p, void *data_end)
{
	struct iphdr *ip = p->l3;
	struct xdp_filter_local *local;
	__u16 fragment;
	__u32 header_bytes;

	if ((void *)(ip + 1) > data_end)
		return place_elsewhere(p, XDP_COUNTER_PASSED_TRUNCATED);
	if (ip->version != 4)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_IP);
	p->is_v4 = 1;
	p->destination[2] = bpf_htonl(0xffff);
	p->destination[3] = ip->daddr;
	local = bpf_map_lookup_elem(&tp_locals, p->destination);
	if (!local)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_LOCAL);
	if (ip->protocol == IPPROTO_ICMP)
		return place_icmp4(p, ip, local, data_end);
	if (ip->protocol != IPPROTO_UDP)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
	p->source[2] = bpf_htonl(0xffff);
	p->source[3] = ip->saddr;

	header_bytes = ip->ihl * 4;
	if (header_bytes < sizeof(*ip))
		return PLACE_MALFORMED;
	p->has_extras = header_bytes != sizeof(*ip);
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & IP4_FRAGMENT_OFFSET)
		return place_later_fragment(p, ip->id);

	p->udp = p->l3 + header_bytes;
	if ((void *)(p->udp + 1) > data_end)
		return PLACE_MALFORMED;
	p->l4_bytes =
		bpf_ntohs(ip->tot_len) - header_bytes; // wraps when too short: caught as too long
	return place_by_port(p, local, fragment & IP4_MORE_FRAGMENTS, ip->id);
}

static __always_inline int classify_ip6(struct packet *p, void *data_end)
{
	struct ipv6hdr *ip = p->l3;
	struct xdp_filter_local *local;
	void *at = ip + 1;
	__u32 identification = 0;
	__u32 extras_bytes = 0;
	bool is_fragment = false;
	__u8 next;

	if ((void *)(ip + 1) > data_end)
		return place_elsewhere(p, XDP_COUNTER_PASSED_TRUNCATED);
	if (ip->version != 6)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_IP);
	__builtin_memcpy(p->destination, &ip->daddr, sizeof(p->destination));
	local = bpf_map_lookup_elem(&tp_locals, p->destination);
	if (!local)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_LOCAL);
	__builtin_memcpy(p->source, &ip->saddr, sizeof(p->source));

	next = ip->nexthdr;
	for (int i = 0; i < IP6_HEADERS_MAX; i++) {
		struct ip6_extension *extension = at;
		__u32 length_bytes;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		if ((void *)(extension + 1) > data_end)
			return place_elsewhere(p, XDP_COUNTER_PASSED_TRUNCATED);
		length_bytes = 8 + extension->length_8bytes * 8;
		if (next == IPPROTO_FRAGMENT) {
			__u16 offset = bpf_ntohs(extension->fragment_offset);

			length_bytes = 8;
			identification = extension->identification;
			if (offset & IP6_FRAGMENT_OFFSET) {
				if (extension->next_header != IPPROTO_UDP)
					return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);
				return place_later_fragment(p, identification);
			}
			// An atomic fragment (RFC 6946) is reassembled by the worker like any
			// other.
			is_fragment = true;
		}
		next = extension->next_header;
		extras_bytes += length_bytes;
		at += length_bytes;
	}
	if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	    next == IPPROTO_FRAGMENT)
		return PLACE_MALFORMED; // no honest sender has five
	if (next == IPPROTO_ICMPV6 && !is_fragment)
		return place_icmp6(p, at, local, data_end);
	if (next != IPPROTO_UDP)
		return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_UDP);

	p->has_extras = extras_bytes != 0;
	p->udp = at;
	if ((void *)(p->udp + 1) > data_end)
		return PLACE_MALFORMED;
	p->l4_bytes = bpf_ntohs(ip->payload_len) - extras_bytes;
	return place_by_port(p, local, is_fragment, identification);
}

// `has_vlan`: a tag was taken off already (the guard sees frames untagged).
static __always_inline int classify(void *data, void *data_end, bool has_vlan, struct packet *p)
{
	struct ethhdr *eth = data;
	__be16 ethertype;

	p->l3 = eth + 1;
	if (p->l3 > data_end)
		return place_elsewhere(p, XDP_COUNTER_PASSED_TRUNCATED);
	ethertype = eth->h_proto;
	if (ethertype == bpf_htons(ETH_P_8021Q) && !has_vlan) {
		struct vlan_header *vlan = p->l3;

		if ((void *)(vlan + 1) > data_end)
			return place_elsewhere(p, XDP_COUNTER_PASSED_TRUNCATED);
		ethertype = vlan->ethertype;
		p->l3 = vlan + 1;
		p->has_vlan = 1;
	}
	if (ethertype == bpf_htons(ETH_P_IP))
		return classify_ip4(p, data_end);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return classify_ip6(p, data_end);
	return place_elsewhere(p, XDP_COUNTER_PASSED_NOT_IP);
}

#endif
