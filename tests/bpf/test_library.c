// The filter's library: mounting, opening, configuring, finding objects, and attaching to a veth in
// a network namespace of the test's own.
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/bpf/harness.h"

TestSuite(library, .init = harness_isolate);

static struct xdp_filter_error err;

static struct xdp_filter *open_filter(void)
{
	struct xdp_filter *f = NULL;

	cr_assert_eq(xdp_filter_mount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_open(HARNESS_RUN_DIR, &f, &err), 0, "%s", err.text);
	return f;
}

Test(library, mount_is_idempotent_and_unmount_too)
{
	cr_assert_eq(xdp_filter_mount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_mount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_unmount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_unmount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
}

Test(library, opening_without_bpffs_says_so)
{
	struct xdp_filter *f;

	cr_assert_eq(xdp_filter_open(HARNESS_RUN_DIR, &f, &err), -EOPNOTSUPP);
	cr_assert(strstr(err.text, "bpffs"), "%s", err.text);
	cr_assert_eq(xdp_filter_open_readonly(HARNESS_RUN_DIR, &f, &err), -ENOENT);
	cr_assert(strstr(err.text, "tp_settings"), "%s", err.text);
}

Test(library, maps_outlive_the_handle_and_keep_their_contents)
{
	struct xdp_filter_config config = harness_config();
	struct xdp_filter_settings settings;
	struct xdp_filter *f = open_filter();
	struct xdp_filter_port port;
	struct ip_endpoint endpoint;

	config.rate_per_sec = 1000;
	config.software = "Turnpike";
	cr_assert_eq(xdp_filter_configure(f, &config, &err), 0, "%s", err.text);
	xdp_filter_close(f);

	cr_assert_eq(xdp_filter_open_readonly(HARNESS_RUN_DIR, &f, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_settings_read(f, &settings), 0);
	cr_assert_eq(settings.version, XDP_FILTER_MAPS_VERSION);
	cr_assert_eq(settings.rate_per_sec, 1000);
	cr_assert_eq(settings.rate_burst, 1000);
	cr_assert_eq(settings.rate_prefix_v4, 32);
	cr_assert_eq(settings.rate_prefix_v6, 64);
	cr_assert_eq(settings.software_length, 8);
	ip_endpoint_parse(RELAY_V4, &endpoint);
	cr_assert_eq(xdp_filter_lookup(f, &endpoint, &port), 0);
	cr_assert_eq(port.accept, XDP_ACCEPT_TURN);
	cr_assert(port.is_answered && !port.is_relayed);
	ip_endpoint_parse(RELAYED_V6, &endpoint);
	cr_assert_eq(xdp_filter_lookup(f, &endpoint, &port), 0);
	cr_assert(port.is_relayed && !port.accept && !port.is_answered);
	ip_endpoint_parse("198.18.0.2:53", &endpoint);
	cr_assert_eq(xdp_filter_lookup(f, &endpoint, &port), 0);
	cr_assert(!port.is_relayed && !port.accept);
	ip_endpoint_parse("198.18.0.4:3478", &endpoint);
	cr_assert_eq(xdp_filter_lookup(f, &endpoint, &port), -ENOENT);
	cr_assert_eq(xdp_filter_configure(f, &config, &err), -EPERM, "read-only, yet written");
	xdp_filter_close(f);
}

Test(library, configuring_anew_removes_what_is_gone)
{
	struct xdp_filter_config config = harness_config();
	struct xdp_filter_config_relay relay = { .port_min = 2000, .port_max = 3000 };
	struct xdp_filter_config_listener listener = { .accept = XDP_ACCEPT_STUN };
	struct xdp_filter *f = open_filter();
	struct xdp_filter_port port;
	struct ip_endpoint endpoint;

	cr_assert_eq(xdp_filter_configure(f, &config, &err), 0, "%s", err.text);
	ip_address_parse("198.18.0.3", &relay.address);
	ip_endpoint_parse("198.18.0.3:3479", &listener.endpoint);
	config = (struct xdp_filter_config){
		.listeners = &listener, .n_listeners = 1, .relays = &relay, .n_relays = 1
	};
	cr_assert_eq(xdp_filter_configure(f, &config, &err), 0, "%s", err.text);
	ip_endpoint_parse(RELAY_V4, &endpoint);
	cr_assert_eq(xdp_filter_lookup(f, &endpoint, &port), -ENOENT);
	ip_endpoint_parse("198.18.0.3:50000", &endpoint);
	cr_assert_eq(xdp_filter_lookup(f, &endpoint, &port), 0);
	cr_assert_not(port.is_relayed);
	cr_assert_eq(xdp_filter_lookup(f, &listener.endpoint, &port), 0);
	cr_assert_eq(port.accept, XDP_ACCEPT_STUN);
	cr_assert_not(port.is_answered);
	xdp_filter_close(f);
}

static void expect_refused(struct xdp_filter *f, const struct xdp_filter_config *config,
			   const char *word)
{
	cr_assert_eq(xdp_filter_configure(f, config, &err), -EINVAL, "not refused: %s", word);
	cr_assert(strstr(err.text, word), "\"%s\" does not say \"%s\"", err.text, word);
}

Test(library, impossible_configurations_are_refused_with_a_reason)
{
	struct xdp_filter_config_listener listener = { .accept = XDP_ACCEPT_TURN };
	struct xdp_filter_config_relay relay[2] = { { .port_min = 1024, .port_max = 65535 } };
	struct xdp_filter_config config = { .listeners = &listener, .relays = relay };
	struct xdp_filter *f = open_filter();

	ip_endpoint_parse(RELAY_V4, &listener.endpoint);
	relay[0].address = listener.endpoint.address;
	relay[1] = relay[0];
	config.n_listeners = config.n_relays = 1;
	expect_refused(f, &config, "relay range");
	config.n_relays = 2;
	expect_refused(f, &config, "twice");
	config.n_relays = 1;
	relay[0].port_max = 1000;
	expect_refused(f, &config, "empty");
	config.n_relays = 0;
	listener.endpoint.port_be = 0;
	expect_refused(f, &config, "no port");
	config.n_listeners = 0;
	config.software = "a text that is longer than 32 bytes";
	expect_refused(f, &config, "SOFTWARE");
	config.software = NULL;
	config.rate_prefix_v4 = 33;
	expect_refused(f, &config, "/32");
	config.rate_prefix_v4 = 0;
	config.rate_per_sec = UINT64_MAX;
	expect_refused(f, &config, "rate limit");
	xdp_filter_close(f);
}

Test(library, pins_of_another_layout_are_refused)
{
	struct xdp_filter *f;
	int fd;

	cr_assert_eq(xdp_filter_mount(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "tp_settings", 4, 16, 1, NULL);
	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_obj_pin(fd, HARNESS_RUN_DIR "/bpf/tp_settings"), 0);
	cr_assert_eq(xdp_filter_open(HARNESS_RUN_DIR, &f, &err), -ESTALE, "%s", err.text);
	cr_assert(strstr(err.text, "another version"), "%s", err.text);
}

Test(library, settings_of_another_version_are_refused)
{
	struct xdp_filter_settings settings = { .version = XDP_FILTER_MAPS_VERSION + 1 };
	struct xdp_filter *f = open_filter();
	uint32_t zero = 0;
	int fd = bpf_obj_get(HARNESS_RUN_DIR "/bpf/tp_settings");

	cr_assert_geq(fd, 0);
	cr_assert_eq(bpf_map_update_elem(fd, &zero, &settings, BPF_ANY), 0);
	xdp_filter_close(f);
	cr_assert_eq(xdp_filter_open(HARNESS_RUN_DIR, &f, &err), -ESTALE);
	cr_assert_eq(xdp_filter_open_readonly(HARNESS_RUN_DIR, &f, &err), -ESTALE);
}

Test(library, default_pin_root_becomes_the_instances)
{
	struct xdp_filter *f = open_filter();
	struct statfs fs;

	cr_assert_eq(xdp_filter_bind_default_root(HARNESS_RUN_DIR, &err), 0, "%s", err.text);
	cr_assert_eq(statfs("/sys/fs/bpf", &fs), 0);
	cr_assert_eq(fs.f_type, 0xcafe4a11);
	cr_assert_eq(access("/sys/fs/bpf/tp_counters", F_OK), 0);
	xdp_filter_close(f);
}

Test(library, objects_are_found_where_told_or_beside_the_build)
{
	char path[4096];

	cr_assert_eq(xdp_filter_object_path("stun_filter.bpf.o", path, sizeof(path), &err), 0, "%s",
		     err.text);
	cr_assert_eq(xdp_filter_object_path("no_such.bpf.o", path, sizeof(path), &err), -ENOENT);
	cr_assert(strstr(err.text, "TURNPIKE_BPF_DIR"), "%s", err.text);
	setenv("TURNPIKE_BPF_DIR", "/mnt", 1);
	cr_assert_eq(xdp_filter_object_path("stun_filter.bpf.o", path, sizeof(path), &err),
		     -ENOENT);
	cr_assert(strstr(err.text, "/mnt"), "%s", err.text);
}

Test(library, every_counter_has_a_name_and_a_sentence)
{
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++) {
		cr_assert_gt(strlen(xdp_counter_name(i)), 3);
		cr_assert_gt(strlen(xdp_counter_text(i)), 10);
		for (uint32_t k = 0; k < i; k++)
			cr_assert_str_neq(xdp_counter_name(i), xdp_counter_name(k));
	}
	cr_assert_str_eq(xdp_counter_name(XDP_COUNTER_COUNT), "unknown");
}

static int veth(void)
{
	cr_assert_eq(unshare(CLONE_NEWNET), 0, "%m");
	cr_assert_eq(system("ip link add tpt0 type veth peer name tpt1"), 0);
	return (int)if_nametoindex("tpt0");
}

Test(library, filter_attaches_natively_and_only_ours_is_detached)
{
	struct xdp_filter *f = open_filter();
	struct xdp_filter_attachment at;
	int ifindex = veth();

	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert(at.mode == XDP_FILTER_MODE_NONE && at.program_id == 0);
	cr_assert_eq(xdp_filter_detach(HARNESS_RUN_DIR, ifindex, &err), 0);
	cr_assert_eq(xdp_filter_attach(HARNESS_RUN_DIR, ifindex, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert_eq(at.mode, XDP_FILTER_MODE_NATIVE);
	cr_assert_str_eq(xdp_filter_mode_name(at.mode), "native");
	cr_assert(at.is_ours && at.is_instances && !at.guard_attached);
	cr_assert_eq(xdp_filter_attach(HARNESS_RUN_DIR, ifindex, &err), -EEXIST);

	// Another instance sees ours, and leaves it alone.
	cr_assert_eq(xdp_filter_query("/mnt/other", ifindex, &at), 0);
	cr_assert(at.is_ours && !at.is_instances);
	cr_assert_eq(xdp_filter_detach("/mnt/other", ifindex, &err), -EEXIST);
	cr_assert(strstr(err.text, "another Turnpike instance"), "%s", err.text);

	cr_assert_eq(xdp_filter_detach(HARNESS_RUN_DIR, ifindex, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert_eq(at.mode, XDP_FILTER_MODE_NONE);
	xdp_filter_close(f);
}

Test(library, foreign_program_stays)
{
	struct xdp_filter *f = open_filter();
	struct xdp_filter_attachment at;
	char path[4096], command[4200];
	int ifindex = veth();

	cr_assert_eq(xdp_filter_object_path("xdp_pass.bpf.o", path, sizeof(path), &err), 0);
	snprintf(command, sizeof(command), "ip link set dev tpt0 xdp obj %s sec xdp", path);
	cr_assert_eq(system(command), 0);
	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert(at.program_id != 0 && !at.is_ours);
	cr_assert_eq(xdp_filter_detach(HARNESS_RUN_DIR, ifindex, &err), -EEXIST);
	cr_assert_eq(xdp_filter_detach(NULL, ifindex, &err), -EEXIST);
	cr_assert(strstr(err.text, "turnpike_pass"), "%s", err.text);
	cr_assert_eq(xdp_filter_attach(HARNESS_RUN_DIR, ifindex, &err), -EEXIST);
	xdp_filter_close(f);
}

// An mtu that native XDP on veth refuses for its peer's sake.
Test(library, filter_falls_back_to_generic_mode)
{
	struct xdp_filter *f = open_filter();
	struct xdp_filter_attachment at;
	int ifindex = veth();

	cr_assert_eq(system("ip link set tpt0 mtu 9000 && ip link set tpt1 mtu 9000"), 0);
	cr_assert_eq(xdp_filter_attach(HARNESS_RUN_DIR, ifindex, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert_eq(at.mode, XDP_FILTER_MODE_GENERIC);
	cr_assert_eq(xdp_filter_detach(HARNESS_RUN_DIR, ifindex, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert_eq(at.mode, XDP_FILTER_MODE_NONE);
	xdp_filter_close(f);
}

Test(library, guard_attaches_replaces_and_goes)
{
	struct xdp_filter *f = open_filter();
	struct xdp_filter_attachment at;
	int ifindex = veth();

	cr_assert_eq(xdp_guard_detach(ifindex, &err), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(xdp_guard_attach(HARNESS_RUN_DIR, ifindex, &err), 0, "%s", err.text);
		cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
		cr_assert(at.guard_attached);
	}
	cr_assert_eq(system("test $(tc filter show dev tpt0 ingress | grep -c turnpike_guard) = 1"),
		     0, "replaced, not added");
	cr_assert_eq(xdp_guard_detach(ifindex, &err), 0, "%s", err.text);
	cr_assert_eq(xdp_filter_query(HARNESS_RUN_DIR, ifindex, &at), 0);
	cr_assert_not(at.guard_attached);
	xdp_filter_close(f);
}

Test(library, names_no_interface_has_are_errors)
{
	struct xdp_filter *f = open_filter();

	veth();
	cr_assert_lt(xdp_filter_attach(HARNESS_RUN_DIR, 12345, &err), 0);
	cr_assert_gt(strlen(err.text), 5);
	cr_assert_lt(xdp_guard_attach(HARNESS_RUN_DIR, 12345, &err), 0);
	cr_assert_gt(strlen(err.text), 5);
	xdp_filter_close(f);
}
