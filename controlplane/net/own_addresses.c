// A listener is claimed by a UDP socket bound to it, as any server would hold it; a relay address
// by a locked file of its name where only root may write, since its ports are too many to bind. The
// workers take the packets before the kernel has them; what slips past them while no filter is
// attached is thrown away at the socket. Control plane's thread.
#include "controlplane/net/own_addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"

// An IPv6 address that was just added is tentative while the kernel looks for duplicates, for a
// second or two.
#define TENTATIVE_TRIES 30
#define TENTATIVE_NS    100000000

struct own_addresses {
	int fd[SHM_LISTENERS_MAX + SHM_LOCALS_MAX];
	uint32_t n_fds;
};

static void refuse_all(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { .len = 1, .filter = &drop };

	// Without it the receive buffer fills once and costs its few kilobytes.
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

// A bound socket, or -errno.
static int bind_udp(const struct ip_endpoint *e)
{
	struct sockaddr_storage address;
	socklen_t address_bytes = net_sockaddr_set(e, &address);
	int on = 1;
	int fd, ret;

	fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	refuse_all(fd);
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, address_bytes) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int bind_udp_patiently(const struct ip_endpoint *e)
{
	const struct timespec pause = { .tv_nsec = TENTATIVE_NS };
	int fd = bind_udp(e);

	for (int i = 0;
	     i < TENTATIVE_TRIES && fd == -EADDRNOTAVAIL && !ip_address_is_v4(&e->address); i++) {
		nanosleep(&pause, NULL);
		fd = bind_udp(e);
	}
	return fd;
}

// The file whose lock is the claim: no instance can have that directory's name, and addresses are
// per network namespace.
static int claim_path(const struct ip_address *a, char *out, size_t out_bytes)
{
	const char *base = getenv("TURNPIKE_RUN_DIR");
	char text[IP_ENDPOINT_TEXT_MAX];
	struct stat netns;
	int n;

	if (base == NULL)
		base = "/run/turnpike";
	n = snprintf(out, out_bytes, "%s/.relay", base);
	if (n < 0 || (size_t)n >= out_bytes)
		return -ENAMETOOLONG;
	if ((mkdir(base, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(out, 0700) < 0 && errno != EEXIST) || stat("/proc/self/ns/net", &netns) < 0)
		return -errno;
	n = snprintf(out, out_bytes, "%s/.relay/%llu-%s", base, (unsigned long long)netns.st_ino,
		     ip_address_format(a, text, sizeof(text)));
	return n < 0 || (size_t)n >= out_bytes ? -ENAMETOOLONG : 0;
}

// The file stays when we go, empty: to remove it would race with the next one who locks it.
static int lock_name(const struct ip_address *a)
{
	char path[256];
	int fd, ret;

	ret = claim_path(a, path, sizeof(path));
	if (ret < 0)
		return ret;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		ret = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int explain_failure(int ret, const char *what, const struct ip_endpoint *e, char *error,
			   size_t error_bytes)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	switch (ret) {
	case -EADDRNOTAVAIL:
		snprintf(error, error_bytes,
			 "%s %s is on no interface of this host; add it (ip address add) or "
			 "correct the "
			 "configuration",
			 what, ip_address_format(&e->address, text, sizeof(text)));
		break;
	case -EADDRINUSE:
		if (e->port_be != 0)
			snprintf(error, error_bytes,
				 "%s %s is in use by another process (see: ss -ulpn); stop it, or "
				 "configure another",
				 what, ip_endpoint_format(e, text, sizeof(text)));
		else
			snprintf(error, error_bytes,
				 "%s %s is in use by another Turnpike of this host (see: "
				 "turnpikectl --instance NAME config show); stop it, or configure "
				 "another",
				 what, ip_address_format(&e->address, text, sizeof(text)));
		break;
	default:
		snprintf(error, error_bytes, "%s %s cannot be claimed: %s; run as root", what,
			 ip_address_format(&e->address, text, sizeof(text)), strerror(-ret));
	}
	return ret;
}

int own_addresses_claim(const struct config *config, struct own_addresses **out, char *error,
			size_t error_bytes)
{
	struct own_addresses *o = calloc(1, sizeof(*o));
	bool has_kernel = config->n_ports > 0;
	int fd;

	if (o == NULL) {
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	*out = o;
	for (uint32_t i = 0; i < config->n_ports; i++)
		has_kernel &= config->ports[i].settings.kernel_path == SHM_KERNEL_PATH_BESIDE;
	if (!has_kernel)
		return 0;
	for (uint32_t i = 0; i < config->n_listeners && i < SHM_LISTENERS_MAX; i++) {
		const struct ip_endpoint *e = &config->listeners[i].endpoint;

		fd = bind_udp_patiently(e);
		if (fd < 0) {
			explain_failure(fd, "listener", e, error, error_bytes);
			goto fail;
		}
		o->fd[o->n_fds++] = fd;
	}
	for (uint32_t i = 0; i < config->n_relays && i < SHM_LOCALS_MAX; i++) {
		struct ip_endpoint e = { .address = config->relays[i].address };

		// Any port will do, to see whether the address is there.
		fd = bind_udp_patiently(&e);
		if (fd >= 0) {
			close(fd);
			fd = lock_name(&e.address);
		}
		if (fd < 0) {
			explain_failure(fd, "relay address", &e, error, error_bytes);
			goto fail;
		}
		o->fd[o->n_fds++] = fd;
	}
	return 0;
fail:
	own_addresses_release(o);
	*out = NULL;
	return fd;
}

void own_addresses_release(struct own_addresses *o)
{
	if (o == NULL)
		return;
	for (uint32_t i = 0; i < o->n_fds; i++)
		close(o->fd[i]);
	free(o);
}
