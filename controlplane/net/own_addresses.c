// Tries the addresses by binding sockets to them for a moment. Control plane's thread, at start.
#include "controlplane/net/own_addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// An IPv6 address that was just added is tentative while the kernel looks for duplicates, for a second or two.
#define TENTATIVE_TRIES 30
#define TENTATIVE_NS    100000000

// 0 or -errno of bind.
static int try_bind(const struct ip_endpoint *e)
{
	struct sockaddr_storage address = { 0 };
	socklen_t address_bytes;
	int fd, ret = 0;

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
	if (bind(fd, (struct sockaddr *)&address, address_bytes) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static int check(const struct ip_endpoint *e, const char *what, char *error, size_t error_bytes)
{
	const struct timespec pause = { .tv_nsec = TENTATIVE_NS };
	char text[IP_ENDPOINT_TEXT_MAX];
	int ret = try_bind(e);

	for (int i = 0;
	     i < TENTATIVE_TRIES && ret == -EADDRNOTAVAIL && !ip_address_is_v4(&e->address); i++) {
		nanosleep(&pause, NULL);
		ret = try_bind(e);
	}
	if (ret == -EADDRNOTAVAIL) {
		snprintf(error, error_bytes,
			 "%s %s is on no interface of this host; add it (ip address add) or "
			 "correct the "
			 "configuration",
			 what, ip_address_format(&e->address, text, sizeof(text)));
		return ret;
	}
	if (ret == -EADDRINUSE) {
		snprintf(error, error_bytes,
			 "%s %s: another process listens there (ss -ulpn shows it); stop it or "
			 "choose "
			 "another port",
			 what, ip_endpoint_format(e, text, sizeof(text)));
		return ret;
	}
	// No permission to bind or no such family says nothing about the address.
	return 0;
}

int own_addresses_check(const struct config *config, char *error, size_t error_bytes)
{
	bool has_kernel = config->n_ports > 0;
	int ret = 0;

	for (uint32_t i = 0; i < config->n_ports; i++)
		has_kernel &= config->ports[i].settings.kernel_path == SHM_KERNEL_PATH_BESIDE;
	if (!has_kernel)
		return 0;
	for (uint32_t i = 0; i < config->n_listeners && ret == 0; i++)
		ret = check(&config->listeners[i].endpoint, "listener", error, error_bytes);
	for (uint32_t i = 0; i < config->n_relays && ret == 0; i++) {
		struct ip_endpoint e = { .address = config->relays[i].address };

		ret = check(&e, "relay address", error, error_bytes);
	}
	return ret;
}
