// Loads the real BPF objects into the kernel and runs frames through them with BPF_PROG_TEST_RUN;
// every run is held against the counters, so that a verdict without its counter fails. One per test
// process, in a mount namespace of its own: nothing stays behind.
#ifndef TP_TESTS_BPF_HARNESS_H
#define TP_TESTS_BPF_HARNESS_H

#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>

#include "bpf/filter.h"
#include "tests/bpf/frames.h"

#define HARNESS_RUN_DIR "/mnt/turnpike-test"

struct harness {
	struct xdp_filter *filter;
	struct bpf_object *filter_object;
	struct bpf_object *guard_object;
	int filter_fd;
	int guard_fd;
	int xsks_fd;
	int xsk;
	uint64_t counted[XDP_COUNTER_COUNT]; // as the test expects them by now
};

extern struct harness harness;

// The lab's listeners and ranges: TURN on 198.18.0.2:3478 and [fd00:18::2]:3478, relayed ports
// 49152-65535 on 198.18.0.2, 198.18.0.3 and fd00:18::2; Binding answered; no rate limit.
struct xdp_filter_config harness_config(void);
void harness_configure(const struct xdp_filter_config *config);

// Criterion fixtures.
void harness_open(void);
void harness_close(void);
// A private mount namespace with an empty file system on /mnt.
void harness_isolate(void);

// An AF_XDP socket in the filter's xsks_map, queue 0, or none.
void harness_attach_worker(bool attached);

// Runs a frame; `out` (may be the same) is what came out. Returns the verdict.
uint32_t harness_run(const struct frame *in, struct frame *out);
// The same, and asserts verdict and that exactly this counter moved, by one.
void harness_expect(const struct frame *in, struct frame *out, uint32_t verdict,
		    enum xdp_counter counter);
// Steered: XDP_REDIRECT, and the frame untouched.
void harness_expect_steered(const struct frame *in, enum xdp_counter counter);
void harness_expect_passed(const struct frame *in, enum xdp_counter counter);
void harness_expect_dropped(const struct frame *in, enum xdp_counter counter);
// The tc guard: true if it shot the frame.
bool harness_guard_shoots(const struct frame *in);
uint64_t harness_counters_total(void); // without the guard's

#endif
