// Drives the filter's library from the veth test's script: set-up, attach, detach, counters, and a
// UDP probe that tells silence from ICMP port unreachable. Plain process, one verb per run.
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bpf/filter.h"

static struct xdp_filter_error err;

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, err.text);
	return 1;
}

// TURN on port 3478 of both addresses, relayed ports from 49152 on.
static int setup(const char *run_dir)
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
					    .software = "Turnpike" };
	struct xdp_filter *f;

	ip_endpoint_parse("198.18.0.2:3478", &listeners[0].endpoint);
	ip_endpoint_parse("[fd00:18::2]:3478", &listeners[1].endpoint);
	relays[0].address = listeners[0].endpoint.address;
	relays[1].address = listeners[1].endpoint.address;
	if (xdp_filter_mount(run_dir, &err) < 0 || xdp_filter_open(run_dir, &f, &err) < 0)
		return fail("open");
	if (xdp_filter_configure(f, &config, &err) < 0)
		return fail("configure");
	xdp_filter_close(f);
	return 0;
}

static int print_counter(const char *run_dir, const char *name)
{
	uint64_t now[XDP_COUNTER_COUNT];
	struct xdp_filter *f;

	if (xdp_filter_open_readonly(run_dir, &f, &err) < 0)
		return fail("open");
	if (xdp_filter_counters_read(f, now) < 0)
		return fail("counters");
	xdp_filter_close(f);
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++) {
		if (strcmp(name, "all") == 0 && now[i])
			printf("%-28s %llu\n", xdp_counter_name(i), (unsigned long long)now[i]);
		if (strcmp(name, xdp_counter_name(i)) == 0)
			printf("%llu\n", (unsigned long long)now[i]);
	}
	return 0;
}

// Prints "refused", "silent" or "answered".
static int probe(const char *target)
{
	struct timeval timeout = { .tv_usec = 300000 };
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct ip_endpoint endpoint;
	char answer[64];
	int fd, ret = 0;

	if (ip_endpoint_parse(target, &endpoint) < 0)
		return 2;
	memcpy(&to.sin6_addr, endpoint.address.bytes, 16);
	to.sin6_port = endpoint.port_be;
	fd = socket(AF_INET6, SOCK_DGRAM, 0); // takes IPv4-mapped addresses too
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return 2;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	for (int i = 0; i < 3 && ret == 0; i++) {
		if (send(fd, "\x40\0\0\0", 4, 0) < 0)
			ret = -errno;
		else if (recv(fd, answer, sizeof(answer), 0) < 0 && errno != EAGAIN)
			ret = -errno;
		else if (errno != EAGAIN)
			ret = 1;
	}
	close(fd);
	puts(ret == 0               ? "silent"
	     : ret == -ECONNREFUSED ? "refused"
	     : ret > 0              ? "answered"
				    : "error");
	return 0;
}

static int describe(const char *run_dir, int ifindex)
{
	struct xdp_filter_attachment at;

	if (xdp_filter_query(run_dir, ifindex, &at) < 0)
		return 1;
	printf("%s %s\n", xdp_filter_mode_name(at.mode), at.guard_attached ? "guarded" : "open");
	return 0;
}

int main(int argc, char *argv[])
{
	const char *verb = argc > 1 ? argv[1] : "";
	const char *run_dir = argc > 2 ? argv[2] : "";
	int ifindex = argc > 3 ? (int)if_nametoindex(argv[3]) : 0;

	if (strcmp(verb, "setup") == 0)
		return setup(run_dir);
	if (strcmp(verb, "probe") == 0)
		return probe(run_dir);
	if (strcmp(verb, "counter") == 0 && argc > 3)
		return print_counter(run_dir, argv[3]);
	if (strcmp(verb, "query") == 0)
		return describe(run_dir, ifindex);
	if (strcmp(verb, "attach") == 0)
		return xdp_filter_attach(run_dir, ifindex, &err) < 0 ? fail(verb) : 0;
	if (strcmp(verb, "detach") == 0)
		return xdp_filter_detach(run_dir, ifindex, &err) < 0 ? fail(verb) : 0;
	if (strcmp(verb, "guard") == 0)
		return xdp_guard_attach(run_dir, ifindex, &err) < 0 ? fail(verb) : 0;
	if (strcmp(verb, "unguard") == 0)
		return xdp_guard_detach(ifindex, &err) < 0 ? fail(verb) : 0;
	fprintf(stderr, "usage: %s setup|counter|query|attach|detach|guard|unguard|probe …\n",
		argv[0]);
	return 2;
}
