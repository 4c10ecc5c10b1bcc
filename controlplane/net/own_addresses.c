// A listener is claimed by a UDP socket bound to it, as any server would hold it; a relay address by an abstract unix socket of its
// name, since its ports are too many to bind. The workers take the packets before the kernel has them; what slips past them while no
// filter is attached is thrown away at the socket. Control plane's thread.
#include "controlplane/net/own_addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// An IPv6 address that was just added is tentative while the kernel looks for duplicates, for a second or two.
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
	struct sockaddr_storage address = { 0 };
	socklen_t address_bytes;
	int on = 1;
	int fd, ret;

	if (ip_address_is_v4(&e->address)) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)&address;

		v4->sin_family = AF_INET;
		v4->sin_port = e->port_be;
		memcpy(&v4->sin_addr, ip_address_v4_bytes(&e->address), 4);
		address_bytes = sizeof(*v4);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = e->port_be;
		memcpy(&v6->sin6_addr, e->address.bytes, 16);
		address_bytes = sizeof(*v6);
	}
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

// Abstract names are per network namespace, as addresses are.
static int bind_name(const struct ip_address *a)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char text[IP_ENDPOINT_TEXT_MAX];
	int fd, n, ret;

	n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "turnpike/relay/%s",
		     ip_address_format(a, text, sizeof(text)));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&name,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0) {
		ret = -errno;
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
			ip_endpoint_format(e, text, sizeof(text));
		else
			ip_address_format(&e->address, text, sizeof(text));
		snprintf(error, error_bytes,
			 "%s %s is in use by another process (see: ss -%s); stop it, or configure "
			 "another",
			 what, text, e->port_be != 0 ? "ulpn" : "xlp");
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
			fd = bind_name(&e.address);
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
