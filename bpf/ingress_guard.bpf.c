// tc ingress guard: keeps our UDP traffic from the kernel while no XDP filter is attached (between
// the death of a dataplane's filter and its successor), because the kernel would answer it with
// ICMP port unreachable and end the clients' sockets. With the filter attached it sees none of our
// packets. Softirq context; writes counters and tp_fragments.
#include "bpf/classify.bpf.h"

#include <linux/pkt_cls.h>

#define GUARD_HEADER_BYTES 192

SEC("tc")
int turnpike_guard(struct __sk_buff *skb)
{
	struct packet p = {};
	__u32 pull_bytes = skb->len < GUARD_HEADER_BYTES ? skb->len : GUARD_HEADER_BYTES;

	// Headers may lie outside the linear part; failing leaves what is linear, which suffices or
	// is passed.
	bpf_skb_pull_data(skb, pull_bytes);
	switch (classify((void *)(long)skb->data, (void *)(long)skb->data_end, skb->vlan_present,
			 &p)) {
	case PLACE_LISTENER:
	case PLACE_RELAY:
	case PLACE_ICMP:
	case PLACE_FRAGMENT:
	case PLACE_MALFORMED:
		counter_add(XDP_COUNTER_GUARD_DROPPED);
		return TC_ACT_SHOT;
	default:
		return TC_ACT_UNSPEC; // on to the operator's own filters
	}
}

char license_text[] SEC("license") = "Dual BSD/GPL";
