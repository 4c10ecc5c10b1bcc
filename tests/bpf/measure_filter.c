// What the filter costs per frame, by kind: the kernel's own run-time statistics over real frames
// on a veth pair, less the cost of an empty program measured in the same run. A benchmark, not a
// test; needs root.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "bpf/filter.h"
#include "dataplane/contract/wire/stun.h"
#include "tests/bpf/frames.h"

#define RUN_DIR  "/mnt/measure"
#define N_FRAMES 200000
#define N_ROUNDS 5
#define BURST    64

static int sender = -1; // a packet socket on the filter's peer

// Nanoseconds per run of the program on m0, over real frames sent through m1; negative on failure.
static double run(int fd, const struct frame *f, int ifindex)
{
	struct bpf_prog_info before = {}, after = {};
	struct iovec bytes = { .iov_base = (void *)(uintptr_t)f->bytes, .iov_len = f->n_bytes };
	struct mmsghdr burst[BURST] = {};
	uint32_t info_bytes = sizeof(before);

	for (int i = 0; i < BURST; i++)
		burst[i].msg_hdr = (struct msghdr){ .msg_iov = &bytes, .msg_iovlen = 1 };
	if (bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL) < 0 ||
	    bpf_obj_get_info_by_fd(fd, &before, &info_bytes) < 0)
		return -1;
	for (int i = 0; i < N_FRAMES / BURST; i++)
		sendmmsg(sender, burst, BURST, 0);
	usleep(20000); // the last ones may still be in the ring
	if (bpf_obj_get_info_by_fd(fd, &after, &info_bytes) < 0 || after.run_cnt == before.run_cnt)
		return -1;
	return (double)(after.run_time_ns - before.run_time_ns) /
	       (double)(after.run_cnt - before.run_cnt);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct xdp_filter *filter;

// Median of interleaved differences to the empty program. Fails unless the frames went the way that
// is measured.
static void report(const char *what, int fd, int empty_fd, const struct frame *f, int ifindex,
		   enum xdp_counter counter)
{
	uint64_t before[XDP_COUNTER_COUNT] = {}, after[XDP_COUNTER_COUNT] = {};
	double ns[N_ROUNDS];

	xdp_filter_counters_read(filter, before);

	for (int i = 0; i < N_ROUNDS; i++) {
		double empty = run(empty_fd, f, ifindex);

		ns[i] = run(fd, f, ifindex) - empty;
		if (empty < 0) {
			printf("%-40s failed: %s\n", what, strerror(errno));
			return;
		}
	}
	xdp_filter_counters_read(filter, after);
	if (after[counter] - before[counter] < N_FRAMES) {
		printf("%-40s failed: %s did not move\n", what, xdp_counter_name(counter));
		return;
	}
	qsort(ns, N_ROUNDS, sizeof(ns[0]), by_value);
	printf("%-40s %6.0f ns\n", what, ns[N_ROUNDS / 2]);
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

static struct frame channel(const char *destination)
{
	static const uint8_t channel_data[204] = { 0x40, 0, 0, 200 };
	struct frame f;

	frame_build(&f, &(struct frame_spec){ .destination = destination,
					      .payload = channel_data,
					      .payload_bytes = sizeof(channel_data) });
	return f;
}

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

int main(void)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = RUN_DIR "/bpf");
	struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct xdp_filter_error err;
	struct bpf_object *object;
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	char path[4096];
	int ifindex, fd, empty_fd;
	struct frame f;

	if (geteuid() != 0) {
		puts("skipped: needs root");
		return 77;
	}
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0) {
		perror("namespaces");
		return 1;
	}
	if (xdp_filter_mount(RUN_DIR, &err) < 0 || xdp_filter_open(RUN_DIR, &filter, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (system("ip link add m0 type veth peer name m1 && ip link set m0 up && ip link set m1 "
		   "up") != 0 ||
	    xdp_filter_object_path("stun_filter.bpf.o", path, sizeof(path), &err) < 0)
		return 1;
	ifindex = (int)if_nametoindex("m0");
	object = bpf_object__open_file(path, &opts);
	if (!object || bpf_object__load(object) < 0)
		return 1;
	fd = bpf_program__fd(bpf_object__find_program_by_name(object, XDP_FILTER_PROGRAM_NAME));
	empty_fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "empty", "GPL", drop, 2, NULL);
	if (empty_fd < 0 || bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) {
		perror("statistics");
		return 1;
	}
	// The answers of XDP_TX end in the empty program on the peer.
	to.sll_ifindex = (int)if_nametoindex("m1");
	sender = socket(AF_PACKET, SOCK_RAW, 0);
	if (sender < 0 || bind(sender, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    bpf_xdp_attach(to.sll_ifindex, empty_fd, XDP_FLAGS_DRV_MODE, NULL) < 0) {
		perror("veth");
		return 1;
	}

	configure(0);
	f = binding(RELAY_V4, false);
	report("Binding answered, IPv4", fd, empty_fd, &f, ifindex, XDP_COUNTER_ANSWERED_BINDING);
	f = binding(RELAY_V4, true);
	report("Binding answered, IPv4, FINGERPRINT", fd, empty_fd, &f, ifindex,
	       XDP_COUNTER_ANSWERED_BINDING);
	f = binding(RELAY_V6, false);
	report("Binding answered, IPv6", fd, empty_fd, &f, ifindex, XDP_COUNTER_ANSWERED_BINDING);
	f = binding(RELAY_V6, true);
	report("Binding answered, IPv6, FINGERPRINT", fd, empty_fd, &f, ifindex,
	       XDP_COUNTER_ANSWERED_BINDING);
	configure(100000000);
	f = binding(RELAY_V4, false);
	report("Binding answered, IPv4, rate limit", fd, empty_fd, &f, ifindex,
	       XDP_COUNTER_ANSWERED_BINDING);
	f = channel(RELAY_V4);
	report("ChannelData to a listener, no worker", fd, empty_fd, &f, ifindex,
	       XDP_COUNTER_DROPPED_NO_WORKER);
	f = channel("198.18.0.2:50000");
	report("relayed port, no worker", fd, empty_fd, &f, ifindex, XDP_COUNTER_DROPPED_NO_WORKER);
	configure(1);
	f = binding(RELAY_V4, false);
	report("Binding over rate, dropped", fd, empty_fd, &f, ifindex,
	       XDP_COUNTER_DROPPED_OVER_RATE);
	xdp_filter_close(filter);
	bpf_object__close(object);
	return 0;
}
