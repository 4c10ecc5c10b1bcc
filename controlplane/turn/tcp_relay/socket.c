// Sockets on relayed transport addresses: binding and options. Control plane's loop thread.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "controlplane/turn/tcp_relay/sockets_private.h"

// A peer that does not answer for two minutes is gone.
#define KEEP_IDLE_S     60
#define KEEP_INTERVAL_S 15
#define KEEP_PROBES     4

int turn_tcp_socket_bound(const struct ip_endpoint *relayed)
{
	struct sockaddr_storage ss;
	socklen_t n = net_sockaddr_set(relayed, &ss);
	const int on = 1;
	int fd, ret;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	// One port listens and connects to many peers at once; another user's process may not join in.
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    (ss.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, (struct sockaddr *)&ss, n) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

void turn_tcp_socket_prepare(int fd)
{
	const int on = 1, idle_s = KEEP_IDLE_S, interval_s = KEEP_INTERVAL_S, probes = KEEP_PROBES;

	// None of them decides whether the relay works.
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}
