// Batches of datagrams over kernel sockets. One thread.
#include "bench/peers/socket_flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_BYTES (4 << 20)
#define DATAGRAM_MAX 2048
#define EVENTS_MAX   256

uint64_t socket_flows_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in sockaddr_of(const struct ip_address *a, uint16_t port_be)
{
	struct sockaddr_in s = { .sin_family = AF_INET, .sin_port = port_be };

	memcpy(&s.sin_addr, ip_address_v4_bytes(a), 4);
	return s;
}

static int socket_bind(struct socket_flows *s, const struct ip_address *a, uint64_t tag,
		       struct ip_endpoint *out)
{
	struct sockaddr_in local = sockaddr_of(a, 0);
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };
	socklen_t n = sizeof(local);
	int bytes = SOCKET_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&local, &n) < 0 ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	out->address = *a;
	out->port_be = local.sin_port;
	return fd;
}

int socket_flows_open(struct socket_flows *s, const struct ip_address *client,
		      const struct ip_address *peer)
{
	struct sockaddr_in listener = sockaddr_of(&s->listener.address, s->listener.port_be);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	s->flow = aligned_alloc(64, s->n * sizeof(*s->flow));
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->flow == NULL || s->epoll_fd < 0)
		return -ENOMEM;
	memset(s->flow, 0, s->n * sizeof(*s->flow));
	for (uint32_t i = 0; i < s->n; i++) {
		struct socket_flow *f = &s->flow[i];

		f->client_fd = socket_bind(s, client, (uint64_t)i << 1, &f->client);
		f->peer_fd = socket_bind(s, peer, (uint64_t)i << 1 | 1, &f->peer);
		f->channel = (uint16_t)(TURN_CHANNEL_MIN + (i & 0xfff));
		if (f->client_fd < 0 || f->peer_fd < 0 ||
		    connect(f->client_fd, (struct sockaddr *)&listener, sizeof(listener)) < 0) {
			fprintf(stderr, "socket_load: cannot open the sockets of flow %u: %s\n", i,
				strerror(errno));
			return -EIO;
		}
	}
	return 0;
}

void socket_flows_close(struct socket_flows *s)
{
	for (uint32_t i = 0; s->flow != NULL && i < s->n; i++) {
		close(s->flow[i].client_fd);
		close(s->flow[i].peer_fd);
	}
	close(s->epoll_fd);
	free(s->flow);
}

int socket_flows_connect_peer(struct socket_flows *s, uint32_t i, const struct ip_endpoint *relayed)
{
	struct sockaddr_in to = sockaddr_of(&relayed->address, relayed->port_be);

	return connect(s->flow[i].peer_fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

uint32_t socket_flows_send(struct socket_flows *s, uint32_t i, bool is_down, uint32_t n,
			   uint64_t now_ns)
{
	static uint8_t data[SOCKET_BATCH][4 + FRAME_PAYLOAD_MAX];
	static struct iovec iov[SOCKET_BATCH];
	static struct mmsghdr msg[SOCKET_BATCH];
	struct socket_flow *f = &s->flow[i];
	struct frame_path *p = is_down ? &f->down : &f->up;
	uint32_t skip = is_down ? 4 : 0; // a peer's datagram has no channel header
	int sent;

	if (n > SOCKET_BATCH)
		n = SOCKET_BATCH;
	for (uint32_t k = 0; k < n; k++) {
		struct frame_stamp stamp = {
			.flow = i | (uint32_t)is_down << 31,
			.seq = p->next_seq + k,
			.tsc_check = now_ns,
		};

		if (data[k][4 + FRAME_STAMP_BYTES] == 0)
			memcpy(data[k] + 4, frame_pattern, FRAME_PAYLOAD_MAX);
		bytes_put_be16(data[k], f->channel);
		bytes_put_be16(data[k] + 2, s->payload_bytes);
		memcpy(data[k] + 4, &stamp, sizeof(stamp));
		iov[k] = (struct iovec){ data[k] + skip, 4u - skip + s->payload_bytes };
		msg[k].msg_hdr = (struct msghdr){ .msg_iov = &iov[k], .msg_iovlen = 1 };
	}
	sent = sendmmsg(is_down ? f->peer_fd : f->client_fd, msg, n, 0);
	if (sent <= 0)
		return 0;
	p->next_seq += (uint32_t)sent;
	s->tally.sent += (uint32_t)sent;
	return (uint32_t)sent;
}

static void datagram_judge(struct socket_flows *s, uint32_t i, bool at_peer, const uint8_t *data,
			   uint32_t n, uint64_t now_ns)
{
	struct socket_flow *f = &s->flow[i];
	struct frame_stamp stamp;

	if (!at_peer) {
		if (n >= STUN_HEADER_BYTES && data[0] <= 3) {
			s->tally.not_ours++;
			turn_client_input(s->turn, data, n, now_ns);
			return;
		}
		if (n < 4 || bytes_get_be16(data) != f->channel ||
		    bytes_get_be16(data + 2) > n - 4) {
			s->tally.misdirected++;
			return;
		}
		n = bytes_get_be16(data + 2);
		data += 4;
	}
	if (n != s->payload_bytes ||
	    memcmp(data + FRAME_STAMP_BYTES, frame_pattern + FRAME_STAMP_BYTES,
		   n - FRAME_STAMP_BYTES) != 0) {
		s->tally.corrupted++;
		return;
	}
	memcpy(&stamp, data, sizeof(stamp));
	if (stamp.flow != (i | (uint32_t)!at_peer << 31)) {
		s->tally.misdirected++;
		return;
	}
	tally_arrival(&s->tally, at_peer ? &f->up : &f->down, stamp.seq);
	histogram_add(&s->tally.latency, now_ns - stamp.tsc_check);
}

uint32_t socket_flows_receive(struct socket_flows *s, int wait_ms)
{
	static uint8_t data[SOCKET_BATCH][DATAGRAM_MAX];
	static struct iovec iov[SOCKET_BATCH];
	static struct mmsghdr msg[SOCKET_BATCH];
	struct epoll_event events[EVENTS_MAX];
	int n_events = epoll_wait(s->epoll_fd, events, EVENTS_MAX, wait_ms);
	uint64_t now_ns = socket_flows_now_ns();
	uint32_t n_total = 0;

	for (int e = 0; e < n_events; e++) {
		uint32_t i = (uint32_t)(events[e].data.u64 >> 1);
		bool at_peer = events[e].data.u64 & 1;
		int n;

		for (int k = 0; k < SOCKET_BATCH; k++) {
			iov[k] = (struct iovec){ data[k], DATAGRAM_MAX };
			msg[k].msg_hdr = (struct msghdr){ .msg_iov = &iov[k], .msg_iovlen = 1 };
		}
		n = recvmmsg(at_peer ? s->flow[i].peer_fd : s->flow[i].client_fd, msg, SOCKET_BATCH,
			     MSG_DONTWAIT, NULL);
		for (int k = 0; k < n; k++)
			datagram_judge(s, i, at_peer, data[k], msg[k].msg_len, now_ns);
		n_total += n > 0 ? (uint32_t)n : 0;
	}
	return n_total;
}
