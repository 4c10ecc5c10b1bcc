// Loses UDP packets at random, for tests of loss repair: a tc classifier on either side of a lab's wire. TCP, ARP and the rest
// pass, so that signalling works. One section for each rate: tc cannot set a number in a program.
//
//   tc qdisc add dev DEV clsact
//   tc filter add dev DEV ingress|egress bpf da obj loss.bpf.o sec lose_5
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline int lose(struct __sk_buff *skb, __u32 percent)
{
	__u8 protocol = 0;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		bpf_skb_load_bytes(skb, ETH_HLEN + 9, &protocol, 1);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		bpf_skb_load_bytes(skb, ETH_HLEN + 6, &protocol, 1);
	if (protocol != IPPROTO_UDP)
		return TC_ACT_OK;
	return bpf_get_prandom_u32() % 1000 < percent * 10 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("lose_5")
int lose_5_percent(struct __sk_buff *skb)
{
	return lose(skb, 5);
}

SEC("lose_20")
int lose_20_percent(struct __sk_buff *skb)
{
	return lose(skb, 20);
}

char license_text[] SEC("license") = "Dual BSD/GPL";
