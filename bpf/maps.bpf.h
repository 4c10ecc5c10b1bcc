// The pinned maps, as both BPF objects declare them, and the counter they move. User space never
// includes this: it opens the pins. libbpf pins by name below the object's pin root and reuses a
// pin that is there, which is how the control plane, the CLI and both programs meet.
#ifndef TP_BPF_MAPS_BPF_H
#define TP_BPF_MAPS_BPF_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/filter_maps.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_filter_settings);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tp_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XDP_FILTER_LOCALS_MAX);
	__type(key, struct xdp_filter_address);
	__type(value, struct xdp_filter_local);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tp_locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XDP_FILTER_LISTENERS_MAX);
	__type(key, struct xdp_filter_listener_key);
	__type(value, struct xdp_filter_listener);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tp_listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, XDP_FILTER_FRAGMENTS_MAX);
	__type(key, struct xdp_filter_fragment_key);
	__type(value, __u8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tp_fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDP_COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tp_counters SEC(".maps");

static __always_inline void counter_add(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&tp_counters, &counter);

	if (value)
		*value += 1;
}

#endif
