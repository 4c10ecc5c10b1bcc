// The XDP filter that stands before the NIC queues: drops what is malformed, over rate or unwanted,
// answers STUN Binding requests, steers what is ours to the AF_XDP socket of the queue, and passes
// everything else to the kernel untouched. Softirq context, one packet at a time; writes counters,
// rate buckets and tp_fragments.
//
// It needs no worker: while `xsks_map` is empty it answers Binding requests all the same and drops
// the rest of our traffic, rather than have the kernel answer it with ICMP port unreachable.
#include "bpf/classify.bpf.h"
#include "bpf/stun_answer.bpf.h"
#include "dataplane/contract/wire/stun_numbers.h"

#define STUN_CLASS_MASK    0x0110
#define STUN_CLASS_REQUEST 0x0000
#define STUN_RESPONSE_BIT  0x0100

#define NANO          1000000000ull
#define REFILL_NS_MAX (60 * NANO) // keeps elapsed time * rate within 64 bits

// A prefix that was silent for so long begins anew, as with the worker (DP_SOURCE_FORGOTTEN_NS).
#define CREDIT_FORGOTTEN_NS (10 * NANO)

// Filled by the AF_XDP driver with one socket per queue; not pinned, so that it empties with its
// owner.
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_FILTER_QUEUES_MAX);
	__uint(key_size, 4);
	__uint(value_size, 4);
} xsks_map SEC(".maps");

// Token buckets of the sources' prefixes. CPUs that meet in one bucket may lose or gain a request;
// that is cheaper than a lock and harms nobody.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XDP_FILTER_SOURCES_MAX);
	__type(key, struct xdp_filter_address);
	__type(value, struct xdp_filter_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tp_rate SEC(".maps");

// The bucket of the source's prefix, refilled; a new one is full. NULL: neither limit is set, or the
// table gave no place.
static __always_inline struct xdp_filter_bucket *
source_bucket(const struct packet *p, const struct xdp_filter_settings *settings)
{
	struct xdp_filter_bucket fresh, *bucket;
	struct xdp_filter_address key = {};
	__u64 full_nano = settings->rate_burst * NANO;
	__u64 credit_nano = settings->answer_credit * NANO;
	__u64 elapsed_ns, now_ns;

	if (!settings->rate_per_sec && !settings->answer_credit)
		return NULL;
	if (p->is_v4) {
		key.address[2] = p->source[2];
		key.address[3] = p->source[3] & settings->rate_mask_v4;
	} else {
#pragma unroll
		for (int i = 0; i < 4; i++)
			key.address[i] = p->source[i] & settings->rate_mask_v6[i];
	}
	now_ns = bpf_ktime_get_coarse_ns();
	bucket = bpf_map_lookup_elem(&tp_rate, &key);
	if (!bucket) {
		fresh.filled_at_ns = now_ns;
		fresh.tokens_nano = full_nano;
		fresh.credit_nano = credit_nano;
		bpf_map_update_elem(&tp_rate, &key, &fresh, BPF_ANY);
		return bpf_map_lookup_elem(&tp_rate, &key);
	}
	elapsed_ns = now_ns - bucket->filled_at_ns;
	if (elapsed_ns) {
		if (elapsed_ns > CREDIT_FORGOTTEN_NS)
			bucket->credit_nano = credit_nano;
		if (elapsed_ns > REFILL_NS_MAX)
			elapsed_ns = REFILL_NS_MAX;
		bucket->tokens_nano += elapsed_ns * settings->rate_per_sec;
		bucket->filled_at_ns = now_ns;
	}
	if (bucket->tokens_nano > full_nano)
		bucket->tokens_nano = full_nano;
	if (bucket->credit_nano > credit_nano)
		bucket->credit_nano = credit_nano;
	return bucket;
}

// Takes a token; true if there was none.
static __always_inline bool source_over_rate(struct xdp_filter_bucket *bucket,
					     const struct xdp_filter_settings *settings)
{
	__u64 tokens_nano;

	if (!settings->rate_per_sec || !bucket)
		return false;
	tokens_nano = bucket->tokens_nano;
	if (tokens_nano < NANO)
		return true;
	bucket->tokens_nano = tokens_nano - NANO;
	return false;
}

// Pays for an answer with what its request brings, and then from the prefix's credit; true if that is not enough. So
// over any window that began with an empty credit, bytes out stay below bytes in. Bytes are those of IP packets.
static __always_inline bool source_cannot_pay(struct xdp_filter_bucket *bucket,
					      const struct xdp_filter_settings *settings,
					      __u32 in_bytes, __u32 out_bytes)
{
	__u64 credit_nano;

	if (!settings->answer_credit || !bucket)
		return false;
	credit_nano = bucket->credit_nano + (in_bytes - in_bytes / 8) * NANO;
	if (credit_nano < out_bytes * NANO) {
		bucket->credit_nano = credit_nano; // the next one has it easier
		return true;
	}
	bucket->credit_nano = credit_nano - out_bytes * NANO;
	return false;
}

// Sources to which nothing may be answered: a reflection to ourselves, or no host at all.
static __always_inline bool source_is_impossible(const struct packet *p)
{
	__u32 differs = 0;

	if (!p->udp->source)
		return true;
#pragma unroll
	for (int i = 0; i < 4; i++)
		differs |= p->source[i] ^ p->destination[i];
	if (!differs)
		return true;
	if (p->is_v4) {
		__u8 first = bpf_ntohl(p->source[3]) >> 24;

		return first == 0 || first == 127 || first >= 224;
	}
	if ((bpf_ntohl(p->source[0]) >> 24) == 0xff)
		return true;
	return !(p->source[0] | p->source[1] | p->source[2]) && bpf_ntohl(p->source[3]) <= 1;
}

static __always_inline __u32 filter_stun(struct xdp_md *ctx, struct packet *p, __u32 payload_bytes)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct stun_header *stun = (void *)(p->udp + 1);
	const struct xdp_filter_settings *settings;
	struct xdp_filter_bucket *bucket;
	__u32 attrs_bytes, ip_bytes, link_bytes, verdict, zero = 0;
	__s64 frame_bytes;
	__u16 type;

	if (payload_bytes < sizeof(*stun) || (void *)(stun + 1) > data_end)
		return XDP_COUNTER_DROPPED_MALFORMED_STUN;
	attrs_bytes = bpf_ntohs(stun->length);
	if (stun->cookie != bpf_htonl(STUN_MAGIC_COOKIE) || (attrs_bytes & 3) ||
	    attrs_bytes != payload_bytes - sizeof(*stun))
		return XDP_COUNTER_DROPPED_MALFORMED_STUN;

	type = bpf_ntohs(stun->type);
	if (type & STUN_RESPONSE_BIT)
		return (p->accept & XDP_ACCEPT_STUN_RESPONSE) ? XDP_COUNTER_STEERED_LISTENER
							      : XDP_COUNTER_DROPPED_UNWANTED;
	if (!(p->accept & XDP_ACCEPT_STUN))
		return XDP_COUNTER_DROPPED_UNWANTED;
	settings = bpf_map_lookup_elem(&tp_settings, &zero);
	if (!settings || (type & STUN_CLASS_MASK) != STUN_CLASS_REQUEST)
		return XDP_COUNTER_STEERED_LISTENER;
	bucket = source_bucket(p, settings);
	if (source_over_rate(bucket, settings))
		return XDP_COUNTER_DROPPED_OVER_RATE;
	if (type != STUN_BINDING_REQUEST || !(settings->flags & XDP_FILTER_F_ANSWER_BINDING) ||
	    p->has_extras)
		return XDP_COUNTER_STEERED_LISTENER;
	ip_bytes = (p->is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
		   sizeof(struct udphdr) + payload_bytes;
	link_bytes = sizeof(struct ethhdr) + (p->has_vlan ? sizeof(struct vlan_header) : 0);
	verdict = stun_answer(ctx, p->is_v4, p->has_vlan);
	frame_bytes = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	barrier_var(frame_bytes); // pointers must be subtracted in 64 bits
	// Only now is the answer's length known; one that is not paid for has cost nobody but us.
	if (verdict == XDP_COUNTER_ANSWERED_BINDING &&
	    source_cannot_pay(bucket, settings, ip_bytes, (__u32)frame_bytes - link_bytes))
		return XDP_COUNTER_DROPPED_UNPAID;
	return verdict;
}

static __always_inline __u32 filter_listener(struct xdp_md *ctx, struct packet *p,
					     __u32 payload_bytes)
{
	void *data_end = (void *)(long)ctx->data_end;
	__u8 *payload = (void *)(p->udp + 1);
	__u32 wanted;

	if (source_is_impossible(p))
		return XDP_COUNTER_DROPPED_SOURCE;
	if (!payload_bytes || (void *)(payload + 1) > data_end)
		return XDP_COUNTER_DROPPED_UNWANTED;
	if (payload[0] <= 3)
		return filter_stun(ctx, p, payload_bytes);
	if (payload[0] >= 64 && payload[0] <= 79) {
		if (!(p->accept & XDP_ACCEPT_CHANNEL))
			return XDP_COUNTER_DROPPED_UNWANTED;
		if ((void *)(payload + TURN_CHANNEL_HEADER_BYTES) > data_end ||
		    TURN_CHANNEL_HEADER_BYTES + ((__u32)payload[2] << 8 | payload[3]) >
			    payload_bytes)
			return XDP_COUNTER_DROPPED_MALFORMED_CHANNEL;
		return XDP_COUNTER_STEERED_LISTENER;
	}
	if (payload[0] >= 16 && payload[0] <= 19)
		wanted = XDP_ACCEPT_ZRTP;
	else if (payload[0] >= 20 && payload[0] <= 63)
		wanted = XDP_ACCEPT_DTLS;
	else if (payload[0] >= 128 && payload[0] <= 191)
		wanted = XDP_ACCEPT_RTP;
	else if (payload[0] >= 80)
		wanted = XDP_ACCEPT_QUIC;
	else
		wanted = 0;
	return (p->accept & wanted) ? XDP_COUNTER_STEERED_LISTENER : XDP_COUNTER_DROPPED_UNWANTED;
}

// The one counter that this frame moves; it decides what becomes of the frame.
static __always_inline __u32 filter_frame(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct packet p = {};
	__u32 udp_bytes;
	int place;

	place = classify((void *)(long)ctx->data, data_end, false, &p);
	if (place == PLACE_ELSEWHERE)
		return p.counter;
	if (place == PLACE_ICMP)
		return XDP_COUNTER_STEERED_ICMP;
	if (place == PLACE_FRAGMENT)
		return XDP_COUNTER_STEERED_FRAGMENT;
	if (place == PLACE_MALFORMED)
		return XDP_COUNTER_DROPPED_MALFORMED_UDP;

	udp_bytes = bpf_ntohs(p.udp->len);
	if (udp_bytes < sizeof(*p.udp) || udp_bytes > p.l4_bytes ||
	    p.l4_bytes > data_end - (void *)p.udp)
		return XDP_COUNTER_DROPPED_MALFORMED_UDP;
	if (!p.is_v4 && !p.udp->check) // RFC 8200 §8.1
		return XDP_COUNTER_DROPPED_MALFORMED_UDP;
	if (place == PLACE_RELAY)
		return XDP_COUNTER_STEERED_RELAY;
	return filter_listener(ctx, &p, udp_bytes - sizeof(*p.udp));
}

SEC("xdp")
int turnpike_filter(struct xdp_md *ctx)
{
	__u32 counter = filter_frame(ctx);
	__u32 queue = ctx->rx_queue_index;

	switch (counter) {
	case XDP_COUNTER_PASSED_NOT_IP:
	case XDP_COUNTER_PASSED_TRUNCATED:
	case XDP_COUNTER_PASSED_NOT_LOCAL:
	case XDP_COUNTER_PASSED_NOT_UDP:
	case XDP_COUNTER_PASSED_OTHER_PORT:
		counter_add(counter);
		return XDP_PASS;
	case XDP_COUNTER_ANSWERED_BINDING:
		counter_add(counter);
		return XDP_TX;
	case XDP_COUNTER_STEERED_LISTENER:
	case XDP_COUNTER_STEERED_RELAY:
	case XDP_COUNTER_STEERED_ICMP:
	case XDP_COUNTER_STEERED_FRAGMENT:
		if (!bpf_map_lookup_elem(&xsks_map, &queue)) {
			counter_add(XDP_COUNTER_DROPPED_NO_WORKER);
			return XDP_DROP;
		}
		counter_add(counter);
		return bpf_redirect_map(&xsks_map, queue, XDP_DROP);
	default:
		counter_add(counter);
		return XDP_DROP;
	}
}

char license_text[] SEC("license") = "Dual BSD/GPL";
