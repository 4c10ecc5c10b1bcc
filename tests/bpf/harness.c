// See harness.h.
#include "tests/bpf/harness.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

struct harness harness = { .xsk = -1 };

static struct xdp_filter_config_listener listeners[2];
static struct xdp_filter_config_relay relays[3];

void harness_isolate(void)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0, "these tests need CAP_SYS_ADMIN: unshare: %m");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0, "private mounts: %m");
	cr_assert_eq(mount("tmpfs", "/mnt", "tmpfs", 0, NULL), 0, "tmpfs on /mnt: %m");
}

struct xdp_filter_config harness_config(void)
{
	static const char *const relayed[] = { "198.18.0.2", "198.18.0.3", "fd00:18::2" };

	ip_endpoint_parse(RELAY_V4, &listeners[0].endpoint);
	ip_endpoint_parse(RELAY_V6, &listeners[1].endpoint);
	listeners[0].accept = listeners[1].accept = XDP_ACCEPT_TURN;
	for (int i = 0; i < 3; i++) {
		ip_address_parse(relayed[i], &relays[i].address);
		relays[i].port_min = 49152;
		relays[i].port_max = 65535;
	}
	return (struct xdp_filter_config){
		.listeners = listeners,
		.n_listeners = 2,
		.relays = relays,
		.n_relays = 3,
		.answer_binding = true,
	};
}

void harness_configure(const struct xdp_filter_config *config)
{
	struct xdp_filter_error err;

	cr_assert_eq(xdp_filter_configure(harness.filter, config, &err), 0, "%s", err.text);
}

static struct bpf_object *load(const char *name)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .pin_root_path = HARNESS_RUN_DIR "/bpf");
	struct xdp_filter_error err;
	struct bpf_object *object;
	char path[4096];

	cr_assert_eq(xdp_filter_object_path(name, path, sizeof(path), &err), 0, "%s", err.text);
	object = bpf_object__open_file(path, &opts);
	cr_assert_not_null(object, "open %s: %m", path);
	cr_assert_eq(bpf_object__load(object), 0, "the kernel refuses %s: %m", path);
	return object;
}

void harness_open(void)
{
	struct xdp_filter_config config = harness_config();
	struct xdp_filter_error err;

	harness_isolate();
	cr_assert_eq(xdp_filter_mount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_open(HARNESS_RUN_DIR, &harness.filter, &err), 0, "%s", err.text);
	harness.filter_object = load("stun_filter.bpf.o");
	harness.guard_object = load("ingress_guard.bpf.o");
	harness.filter_fd = bpf_program__fd(
		bpf_object__find_program_by_name(harness.filter_object, XDP_FILTER_PROGRAM_NAME));
	harness.guard_fd = bpf_program__fd(
		bpf_object__find_program_by_name(harness.guard_object, XDP_GUARD_PROGRAM_NAME));
	harness.xsks_fd = bpf_object__find_map_fd_by_name(harness.filter_object, "xsks_map");
	cr_assert_geq(harness.xsks_fd, 0);
	harness_configure(&config);
	harness_attach_worker(true);
	memset(harness.counted, 0, sizeof(harness.counted));
}

void harness_close(void)
{
	harness_attach_worker(false);
	bpf_object__close(harness.filter_object);
	bpf_object__close(harness.guard_object);
	xdp_filter_close(harness.filter);
}

void harness_attach_worker(bool attached)
{
	uint32_t queue = 0;

	if (harness.xsk >= 0) {
		bpf_map_delete_elem(harness.xsks_fd, &queue);
		close(harness.xsk);
		harness.xsk = -1;
	}
	if (!attached)
		return;
	harness.xsk = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	cr_assert_geq(harness.xsk, 0, "AF_XDP socket: %m");
	cr_assert_eq(bpf_map_update_elem(harness.xsks_fd, &queue, &harness.xsk, 0), 0,
		     "xsks_map: %m");
}

uint32_t harness_run(const struct frame *in, struct frame *out)
{
	struct frame scratch;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->n_bytes,
		    .data_out = scratch.bytes, .data_size_out = sizeof(scratch.bytes), .repeat = 1);

	cr_assert_eq(bpf_prog_test_run_opts(harness.filter_fd, &opts), 0,
		     "test run of %u bytes: %m", in->n_bytes);
	scratch.n_bytes = opts.data_size_out;
	if (out)
		*out = scratch;
	return opts.retval;
}

static const char *verdict_name(uint32_t verdict)
{
	static const char *const names[] = { "ABORTED", "DROP", "PASS", "TX", "REDIRECT" };

	return verdict < 5 ? names[verdict] : "?";
}

// Asserts that the counters stand exactly where the test expects them.
static void expect_counters(void)
{
	uint64_t now[XDP_COUNTER_COUNT];

	cr_assert_eq(xdp_filter_counters_read(harness.filter, now), 0);
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++)
		cr_assert_eq(now[i], harness.counted[i], "counter %s is %lu, expected %lu",
			     xdp_counter_name(i), now[i], harness.counted[i]);
}

void harness_expect(const struct frame *in, struct frame *out, uint32_t verdict,
		    enum xdp_counter counter)
{
	uint64_t now[XDP_COUNTER_COUNT];
	uint32_t got = harness_run(in, out);

	cr_assert_eq(xdp_filter_counters_read(harness.filter, now), 0);
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++) {
		if (i != counter && now[i] != harness.counted[i])
			cr_assert_fail("%s, and %s moved instead of %s", verdict_name(got),
				       xdp_counter_name(i), xdp_counter_name(counter));
	}
	cr_assert_eq(got, verdict, "verdict %s, expected %s (%s)", verdict_name(got),
		     verdict_name(verdict), xdp_counter_name(counter));
	harness.counted[counter]++;
	expect_counters();
}

static void expect_untouched(const struct frame *in, uint32_t verdict, enum xdp_counter counter)
{
	struct frame out;

	harness_expect(in, &out, verdict, counter);
	cr_assert_eq(out.n_bytes, in->n_bytes, "the frame's length changed");
	cr_assert_arr_eq(out.bytes, in->bytes, in->n_bytes, "the frame's bytes changed");
}

void harness_expect_steered(const struct frame *in, enum xdp_counter counter)
{
	expect_untouched(in, XDP_REDIRECT, counter);
}

void harness_expect_passed(const struct frame *in, enum xdp_counter counter)
{
	expect_untouched(in, XDP_PASS, counter);
}

void harness_expect_dropped(const struct frame *in, enum xdp_counter counter)
{
	harness_expect(in, NULL, XDP_DROP, counter);
}

bool harness_guard_shoots(const struct frame *in)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->n_bytes,
		    .repeat = 1);

	cr_assert_eq(bpf_prog_test_run_opts(harness.guard_fd, &opts), 0, "guard test run: %m");
	cr_assert(opts.retval == TC_ACT_SHOT || opts.retval == (uint32_t)TC_ACT_UNSPEC);
	if (opts.retval == TC_ACT_SHOT)
		harness.counted[XDP_COUNTER_GUARD_DROPPED]++;
	expect_counters();
	return opts.retval == TC_ACT_SHOT;
}

uint64_t harness_counters_total(void)
{
	uint64_t now[XDP_COUNTER_COUNT], total = 0;

	cr_assert_eq(xdp_filter_counters_read(harness.filter, now), 0);
	for (uint32_t i = 0; i < XDP_COUNTER_FILTER_COUNT; i++)
		total += now[i];
	return total;
}
