// What the kernel is asked and told about a client's TCP connection. Control plane's loop thread.
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "controlplane/net/sockaddr.h"
#include "controlplane/turn/stream/connection_private.h"

// What the kernel holds unsent cannot be dropped for age any more; enough for a gigabit while the loop is away.
#define NOTSENT_LOWAT_BYTES (64 << 10)
#define KEEPALIVE_IDLE_S    60
#define USER_TIMEOUT_MORE_S 10
#define KEEPALIVE_EACH_S    15
#define KEEPALIVE_PROBES    4

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

void turn_socket_prepare(int fd, uint32_t stalled_s)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES);
	// Behind our own judgement: the kernel gives up without a word to the client.
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ((int)stalled_s + USER_TIMEOUT_MORE_S) * 1000);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EACH_S);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

void turn_socket_let_wait(int fd)
{
	set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
}

bool turn_socket_endpoints(int fd, struct ip_endpoint *client, struct ip_endpoint *server)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &n) < 0 || !net_sockaddr_get(&ss, client))
		return false;
	n = sizeof(ss);
	return getsockname(fd, (struct sockaddr *)&ss, &n) == 0 && net_sockaddr_get(&ss, server);
}

uint8_t turn_socket_dscp(int fd, bool is_v4)
{
	_Alignas(struct cmsghdr) uint8_t control[256];
	int level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
	struct msghdr msg = { .msg_control = control };
	socklen_t n = sizeof(control);
	int traffic_class = 0;

	set(fd, level, is_v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
	if (getsockopt(fd, level, is_v4 ? IP_PKTOPTIONS : IPV6_2292PKTOPTIONS, control, &n) < 0)
		return 0;
	msg.msg_controllen = n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		if (is_v4 && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			traffic_class = *CMSG_DATA(c);
		else if (!is_v4 && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			memcpy(&traffic_class, CMSG_DATA(c), sizeof(traffic_class));
	}
	set(fd, level, is_v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 0);
	traffic_class &= 0xfc;
	if (traffic_class != 0)
		set(fd, level, is_v4 ? IP_TOS : IPV6_TCLASS, traffic_class);
	return (uint8_t)(traffic_class >> 2);
}

bool turn_socket_progress(int fd, uint64_t *n_acked_bytes, bool *is_silent)
{
	struct tcp_info info = { 0 };
	socklen_t n = sizeof(info);
	int n_left = 0;

	if (ioctl(fd, SIOCOUTQ, &n_left) == 0 && n_left == 0)
		return true;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
		return true;
	*n_acked_bytes = info.tcpi_bytes_acked;
	// A host that is there answers the probes of a window that its program keeps closed.
	*is_silent = info.tcpi_retransmits > 0 && info.tcpi_probes == 0;
	return false;
}
