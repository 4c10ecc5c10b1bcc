// What the XDP filter costs per frame, by kind of frame, by BPF_PROG_TEST_RUN: a small program restores the frame and calls
// the filter, or an empty program in its place; the difference is the filter's. Every run must move the counter that it
// should. Needs root; works in namespaces of its own.
//   xdp [--quick] [--json FILE]
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_xdp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/micro/measure.h"
#include "bench/micro/restore_frame.h"
#include "bpf/filter.h"
#include "dataplane/contract/wire/stun.h"
#include "tests/bpf/frames.h"

#define RUN_DIR   "/mnt/xdp"
#define REPEAT    100000 // runs in one system call
#define KINDS_MAX 16
#define RELAYED   "198.18.0.2:50000"
#define KERNELS   "198.18.0.2:53"

// A program behind a restoring one.
struct chain {
	int fd; // the restoring program
	int frame_fd;
};

struct kind {
	const char *name;
	struct frame frame;
	enum xdp_counter counter; // that every run moves
	uint64_t rate_per_sec;
	const struct chain *chain;
};

static struct xdp_filter *filter;
static struct chain with_filter;
static struct chain with_empty;

static int configure(uint64_t rate_per_sec)
{
	struct xdp_filter_config_listener listeners[2] = { { .accept = XDP_ACCEPT_TURN },
							   { .accept = XDP_ACCEPT_TURN } };
	struct xdp_filter_config_relay relays[2] = { { .port_min = 49152, .port_max = 65535 },
						     { .port_min = 49152, .port_max = 65535 } };
	struct xdp_filter_config config = { .listeners = listeners,
					    .n_listeners = 2,
					    .relays = relays,
					    .n_relays = 2,
					    .answer_binding = true,
					    .rate_per_sec = rate_per_sec };

	ip_endpoint_parse(RELAY_V4, &listeners[0].endpoint);
	ip_endpoint_parse(RELAY_V6, &listeners[1].endpoint);
	relays[0].address = listeners[0].endpoint.address;
	relays[1].address = listeners[1].endpoint.address;
	return xdp_filter_configure(filter, &config, NULL);
}

// Puts the kind's frame and settings in place; cheap enough to be done before each call of many runs.
static int kind_prepare(const struct kind *k)
{
	static struct restore_frame f;
	static uint64_t rate_per_sec = UINT64_MAX;
	uint32_t zero = 0;

	f.n_bytes = k->frame.n_bytes;
	memcpy(f.bytes, k->frame.bytes, k->frame.n_bytes);
	if (bpf_map_update_elem(k->chain->frame_fd, &zero, &f, BPF_ANY) < 0)
		return -errno;
	if (rate_per_sec == k->rate_per_sec)
		return 0;
	rate_per_sec = k->rate_per_sec;
	return configure(rate_per_sec);
}

// Nanoseconds per run by the kernel's own clock around the runs; exits on failure.
static double kind_run(const struct kind *k)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = k->frame.bytes,
		    .data_size_in = k->frame.n_bytes, .repeat = REPEAT);

	if (kind_prepare(k) < 0 || bpf_prog_test_run_opts(k->chain->fd, &opts) < 0) {
		fprintf(stderr, "xdp: %s: %s\n", k->name, strerror(errno));
		exit(1);
	}
	return opts.duration;
}

// Each run must have gone the way that is measured.
static int kind_check(const struct kind *k)
{
	uint64_t before[XDP_COUNTER_COUNT], after[XDP_COUNTER_COUNT];

	// What a bucket holds at first is used up.
	if (k->counter == XDP_COUNTER_DROPPED_OVER_RATE)
		kind_run(k);
	xdp_filter_counters_read(filter, before);
	kind_run(k);
	xdp_filter_counters_read(filter, after);
	if (after[k->counter] - before[k->counter] == REPEAT)
		return 0;
	fprintf(stderr, "xdp: %s: %s moved by %lu instead of %u\n", k->name,
		xdp_counter_name(k->counter),
		(unsigned long)(after[k->counter] - before[k->counter]), REPEAT);
	return -EPROTO;
}

static struct frame binding(const char *destination, bool with_fingerprint)
{
	struct message m;
	struct frame f;

	message_binding(&m);
	if (with_fingerprint)
		message_fingerprint(&m);
	frame_build(&f, &(struct frame_spec){ .destination = destination,
					      .payload = m.bytes,
					      .payload_bytes = m.n_bytes });
	return f;
}

static struct frame channel(const char *destination, uint16_t announced_bytes)
{
	const uint8_t data[204] = { 0x40, 0, (uint8_t)(announced_bytes >> 8),
				    (uint8_t)announced_bytes };
	struct frame f;

	frame_build(&f, &(struct frame_spec){ .destination = destination,
					      .payload = data,
					      .payload_bytes = sizeof(data) });
	return f;
}

static int chain_open(const char *directory, int program_fd, struct chain *out)
{
	struct bpf_object *object;
	char path[4096 + 32];
	uint32_t zero = 0;
	int next_fd;

	snprintf(path, sizeof(path), "%s/restore_frame.bpf.o", directory);
	object = bpf_object__open_file(path, NULL);
	if (object == NULL || bpf_object__load(object) < 0)
		return -errno;
	out->fd = bpf_program__fd(bpf_object__find_program_by_name(object, "restore_frame"));
	out->frame_fd = bpf_object__find_map_fd_by_name(object, "frame");
	next_fd = bpf_object__find_map_fd_by_name(object, "next");
	return bpf_map_update_elem(next_fd, &zero, &program_fd, BPF_ANY) < 0 ? -errno : 0;
}

// Where this program lies, the object of the restoring program lies too.
static int own_directory(char out[4096])
{
	ssize_t n = readlink("/proc/self/exe", out, 4095);

	if (n < 0)
		return -errno;
	out[n] = 0;
	*strrchr(out, '/') = 0;
	return 0;
}

static int filter_load(char *directory)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = RUN_DIR "/bpf");
	LIBBPF_OPTS(bpf_prog_load_opts, load_opts, .expected_attach_type = BPF_XDP);
	const struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct xdp_filter_error err;
	struct bpf_object *object;
	uint32_t queue = 0;
	char path[4096];
	int empty_fd, xsk, xsks_fd;

	if (xdp_filter_mount(RUN_DIR, &err) < 0 || xdp_filter_open(RUN_DIR, &filter, &err) < 0 ||
	    xdp_filter_object_path("stun_filter.bpf.o", path, sizeof(path), &err) < 0) {
		fprintf(stderr, "xdp: %s\n", err.text);
		return -EIO;
	}
	object = bpf_object__open_file(path, &opts);
	empty_fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", drop, 2, &load_opts);
	if (object == NULL || empty_fd < 0 || bpf_object__load(object) < 0)
		return -errno;
	// A worker's socket; the test run redirects nothing.
	xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	xsks_fd = bpf_object__find_map_fd_by_name(object, "xsks_map");
	if (xsk < 0 || bpf_map_update_elem(xsks_fd, &queue, &xsk, BPF_ANY) < 0)
		return -errno;
	if (chain_open(directory,
		       bpf_program__fd(
			       bpf_object__find_program_by_name(object, XDP_FILTER_PROGRAM_NAME)),
		       &with_filter) < 0 ||
	    chain_open(directory, empty_fd, &with_empty) < 0)
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	const struct kind kinds[] = {
		{ "Binding answered, IPv4", binding(RELAY_V4, false), XDP_COUNTER_ANSWERED_BINDING,
		  0, NULL },
		{ "Binding answered, IPv4, FINGERPRINT", binding(RELAY_V4, true),
		  XDP_COUNTER_ANSWERED_BINDING, 0, NULL },
		{ "Binding answered, IPv6", binding(RELAY_V6, false), XDP_COUNTER_ANSWERED_BINDING,
		  0, NULL },
		{ "Binding answered, IPv6, FINGERPRINT", binding(RELAY_V6, true),
		  XDP_COUNTER_ANSWERED_BINDING, 0, NULL },
		{ "the same, rate limit", binding(RELAY_V6, true), XDP_COUNTER_ANSWERED_BINDING,
		  100000000, NULL },
		{ "Binding over rate, dropped", binding(RELAY_V4, false),
		  XDP_COUNTER_DROPPED_OVER_RATE, 1, NULL },
		{ "ChannelData to a worker", channel(RELAY_V4, 200), XDP_COUNTER_STEERED_LISTENER,
		  0, NULL },
		{ "ChannelData too long, dropped", channel(RELAY_V4, 201),
		  XDP_COUNTER_DROPPED_MALFORMED_CHANNEL, 0, NULL },
		{ "relayed port to a worker", channel(RELAYED, 200), XDP_COUNTER_STEERED_RELAY, 0,
		  NULL },
		{ "another port, to the kernel", channel(KERNELS, 200),
		  XDP_COUNTER_PASSED_OTHER_PORT, 0, NULL },
		{ "another host, to the kernel", channel("198.18.9.9:3478", 200),
		  XDP_COUNTER_PASSED_NOT_LOCAL, 0, NULL },
	};
	static struct kind of_filter[KINDS_MAX], of_empty[KINDS_MAX];
	static struct measure m[KINDS_MAX];
	const uint32_t n = sizeof(kinds) / sizeof(kinds[0]);
	const char *json = NULL;
	uint32_t n_rounds = 15;
	char directory[4096];

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			n_rounds = 5;
		} else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
			json = argv[++i];
		} else {
			fprintf(stderr, "usage: xdp [--quick] [--json FILE]\n");
			return 2;
		}
	}
	if (geteuid() != 0) {
		puts("skipped: needs root");
		return 77;
	}
	if (own_directory(directory) < 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0) {
		perror("xdp: namespaces");
		return 1;
	}
	if (filter_load(directory) < 0) {
		perror("xdp: the programs do not load");
		return 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		of_filter[i] = of_empty[i] = kinds[i];
		of_filter[i].chain = &with_filter;
		of_empty[i].chain = &with_empty;
		m[i].name = kinds[i].name;
		if (kind_check(&of_filter[i]) < 0)
			return 1;
	}
	for (uint32_t round = 0; round < n_rounds; round++) {
		for (uint32_t i = 0; i < n; i++) {
			double empty_ns = kind_run(&of_empty[i]);

			m[i].ns[round] = kind_run(&of_filter[i]) - empty_ns;
		}
	}
	return measure_report(m, n, n_rounds, 0, json) < 0 ? 1 : 0;
}
