// Stands before the program that is measured: gives each run of BPF_PROG_TEST_RUN the same frame, because the kernel hands
// the next run what the last one left, and an answered request is no request any more. Then calls on to `next`.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bench/micro/restore_frame.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} next SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct restore_frame);
} frame SEC(".maps");

SEC("xdp")
int restore_frame(struct xdp_md *ctx)
{
	__s64 now_bytes = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	const struct restore_frame *f;
	__u32 zero = 0;
	__u32 n_bytes;

	f = bpf_map_lookup_elem(&frame, &zero);
	if (!f)
		return XDP_ABORTED;
	n_bytes = f->n_bytes;
	barrier_var(now_bytes); // pointers must be subtracted in 64 bits
	barrier_var(n_bytes);
	if (n_bytes < 1)
		return XDP_ABORTED;
	if (n_bytes > sizeof(f->bytes))
		return XDP_ABORTED;
	if (bpf_xdp_adjust_head(ctx, (int)now_bytes - (int)n_bytes) ||
	    bpf_xdp_store_bytes(ctx, 0, (void *)f->bytes, n_bytes))
		return XDP_ABORTED;
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
