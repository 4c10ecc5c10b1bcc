// The two sockets. Control plane's loop thread.
#include "controlplane/net/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

// The kernel answers at once; this only bounds the loop's stall should it not.
#define ANSWER_TIMEOUT_US 200000
#define BUFFER_BYTES      32768
// An answer is waited for through so many signals and overruns.
#define ANSWER_TRIES 8

struct netlink {
	struct mnl_socket *ask;
	struct mnl_socket *events;
	struct netlink_events handler;
	uint32_t sequence;
	uint8_t request[1024];
	uint8_t buffer[BUFFER_BYTES];
};

static const int groups[] = { RTNLGRP_LINK,       RTNLGRP_NEIGH,       RTNLGRP_IPV4_ROUTE,
			      RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };

int netlink_open(const struct netlink_events *events, struct netlink **out)
{
	const struct timeval timeout = { .tv_usec = ANSWER_TIMEOUT_US };
	struct netlink *n = calloc(1, sizeof(*n));
	int receive_bytes = 1 << 20;
	int ret;

	if (n == NULL)
		return -ENOMEM;
	n->handler = *events;
	n->sequence = (uint32_t)time(NULL);
	n->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	n->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (n->ask == NULL || n->events == NULL ||
	    mnl_socket_bind(n->ask, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(n->events, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(n->ask), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) < 0)
		goto fail;
	setsockopt(mnl_socket_get_fd(n->events), SOL_SOCKET, SO_RCVBUF, &receive_bytes,
		   sizeof(receive_bytes));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(n->events, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0)
			goto fail;
	}
	*out = n;
	return 0;
fail:
	ret = -errno;
	netlink_close(n);
	return ret;
}

void netlink_close(struct netlink *n)
{
	if (n == NULL)
		return;
	if (n->ask != NULL)
		mnl_socket_close(n->ask);
	if (n->events != NULL)
		mnl_socket_close(n->events);
	free(n);
}

int netlink_event_fd(const struct netlink *n)
{
	return mnl_socket_get_fd(n->events);
}

void netlink_read_events(struct netlink *n)
{
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(n->events, n->buffer, sizeof(n->buffer));
		const struct nlmsghdr *m = (const struct nlmsghdr *)(const void *)n->buffer;
		int left = (int)got;

		if (got < 0 && errno == ENOBUFS) {
			n->handler.on_overrun(n->handler.arg);
			continue;
		}
		if (got <= 0)
			return;
		for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			if (m->nlmsg_type >= NLMSG_MIN_TYPE)
				n->handler.on_event(n->handler.arg, m);
		}
	}
}

struct nlmsghdr *netlink_request(struct netlink *n, uint16_t type, uint16_t flags,
				 size_t header_bytes, void **header)
{
	struct nlmsghdr *request;

	memset(n->request, 0, sizeof(n->request));
	request = mnl_nlmsg_put_header(n->request);
	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	request->nlmsg_seq = ++n->sequence;
	*header = mnl_nlmsg_put_extra_header(request, header_bytes);
	return request;
}

static int send_request(struct netlink *n, const struct nlmsghdr *request)
{
	return mnl_socket_sendto(n->ask, request, request->nlmsg_len) < 0 ? -errno : 0;
}

int netlink_tell(struct netlink *n, struct nlmsghdr *request)
{
	int ret = send_request(n, request);

	// The kernel has handled it when the call returns, and may have answered with an error.
	// Unread, such answers would fill the socket.
	while (recv(mnl_socket_get_fd(n->ask), n->buffer, sizeof(n->buffer), MSG_DONTWAIT) > 0)
		;
	return ret;
}

int netlink_ask(struct netlink *n, struct nlmsghdr *request,
		void (*fn)(void *arg, const struct nlmsghdr *message), void *arg)
{
	bool is_dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	uint32_t sequence = request->nlmsg_seq;
	int ret = send_request(n, request);
	uint32_t n_tries = 0;

	if (ret < 0)
		return ret;
	for (;;) {
		ssize_t got = mnl_socket_recvfrom(n->ask, n->buffer, sizeof(n->buffer));
		const struct nlmsghdr *m = (const struct nlmsghdr *)(const void *)n->buffer;
		int left = (int)got;

		if (got < 0 && (errno == EINTR || errno == ENOBUFS) && ++n_tries < ANSWER_TRIES)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		for (; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left)) {
			// Errors of what was only told, and late answers, have other numbers.
			if (m->nlmsg_seq != sequence)
				continue;
			if (m->nlmsg_type == NLMSG_DONE)
				return 0;
			if (m->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);

				return mnl_nlmsg_get_payload_len(m) < sizeof(*e) ? -EIO : e->error;
			}
			if (fn != NULL)
				fn(arg, m);
			if (!is_dump && !(request->nlmsg_flags & NLM_F_ACK))
				return 0;
		}
	}
}

uint8_t netlink_family(const struct ip_address *a)
{
	return ip_address_is_v4(a) ? AF_INET : AF_INET6;
}

void netlink_put_address(struct nlmsghdr *request, uint16_t type, const struct ip_address *a)
{
	if (ip_address_is_v4(a))
		mnl_attr_put(request, type, 4, ip_address_v4_bytes(a));
	else
		mnl_attr_put(request, type, 16, a->bytes);
}

bool netlink_get_address(const void *payload, uint16_t payload_bytes, struct ip_address *out)
{
	if (payload_bytes == 4)
		*out = ip_address_from_v4(payload);
	else if (payload_bytes == 16)
		*out = ip_address_from_v6(payload);
	else
		return false;
	return true;
}
