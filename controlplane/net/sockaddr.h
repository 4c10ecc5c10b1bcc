// Our endpoints as socket calls want them, and back. Pure, any thread.
#ifndef TP_CONTROLPLANE_NET_SOCKADDR_H
#define TP_CONTROLPLANE_NET_SOCKADDR_H

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/contract/wire/address.h"

// Returns its size.
static inline socklen_t net_sockaddr_set(const struct ip_endpoint *e, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (ip_address_is_v4(&e->address)) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;

		v4->sin_family = AF_INET;
		v4->sin_port = e->port_be;
		memcpy(&v4->sin_addr, ip_address_v4_bytes(&e->address), 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = e->port_be;
	memcpy(&v6->sin6_addr, e->address.bytes, 16);
	return sizeof(*v6);
}

// False, and all zero, for what is neither IPv4 nor IPv6.
static inline bool net_sockaddr_get(const struct sockaddr_storage *ss, struct ip_endpoint *out)
{
	memset(out, 0, sizeof(*out));
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;

		out->address = ip_address_from_v4((const uint8_t *)&v4->sin_addr);
		out->port_be = v4->sin_port;
		return true;
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;

		out->address = ip_address_from_v6(v6->sin6_addr.s6_addr);
		out->port_be = v6->sin6_port;
		return true;
	}
	return false;
}

#endif
