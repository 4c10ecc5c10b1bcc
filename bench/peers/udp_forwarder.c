// The best that a program over kernel sockets can do as a relay, without being one: takes datagrams in batches and sends
// each back where it came from, or to one fixed address. One thread.
//
//   udp_forwarder --listen ADDRESS:PORT [--connect ADDRESS:PORT]
//
// With --connect the socket is connected, which saves the kernel a route lookup per datagram: the best case.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/contract/wire/address.h"

#define BATCH          64
#define DATAGRAM_BYTES 2048
#define SOCKET_BYTES   (8 << 20)

static volatile sig_atomic_t is_stopped;

static void on_signal(int number)
{
	is_stopped = 1;
}

static socklen_t sockaddr_fill(const struct ip_endpoint *e, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (ip_address_is_v4(&e->address)) {
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

static int socket_open(const struct ip_endpoint *listen, const struct ip_endpoint *to)
{
	struct sockaddr_storage address;
	socklen_t n = sockaddr_fill(listen, &address);
	int bytes = SOCKET_BYTES;
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	// As much as the kernel grants.
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&address, n) < 0)
		goto fail_close;
	if (to != NULL) {
		n = sockaddr_fill(to, &address);
		if (connect(fd, (struct sockaddr *)&address, n) < 0)
			goto fail_close;
	}
	return fd;
fail_close:
	close(fd);
	return -errno;
}

static void forward(int fd, bool is_connected)
{
	static uint8_t data[BATCH][DATAGRAM_BYTES];
	static struct sockaddr_storage from[BATCH];
	static struct iovec iov[BATCH];
	static struct mmsghdr msg[BATCH];

	while (!is_stopped) {
		int n;
		int at = 0;

		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ data[i], DATAGRAM_BYTES };
			msg[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
			if (!is_connected) {
				msg[i].msg_hdr.msg_name = &from[i];
				msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
			}
		}
		n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			iov[i].iov_len = msg[i].msg_len;
		while (at < n) {
			int sent = sendmmsg(fd, msg + at, (unsigned)(n - at), 0);

			at += sent > 0 ? sent : 1; // what the kernel refuses is lost
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "connect", required_argument, NULL, 'c' },
		{ 0 },
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct ip_endpoint listen = { 0 };
	struct ip_endpoint to = { 0 };
	int opt;
	int fd;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		struct ip_endpoint *e = opt == 'l' ? &listen : &to;

		if (opt == '?' || ip_endpoint_parse(optarg, e) < 0) {
			fprintf(stderr, "usage: udp_forwarder --listen ADDRESS:PORT [--connect "
					"ADDRESS:PORT]\n");
			return 2;
		}
	}
	if (listen.port_be == 0) {
		fprintf(stderr, "udp_forwarder: --listen ADDRESS:PORT is missing\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	fd = socket_open(&listen, to.port_be == 0 ? NULL : &to);
	if (fd < 0) {
		fprintf(stderr, "udp_forwarder: cannot open the socket: %s\n", strerror(-fd));
		return 1;
	}
	forward(fd, to.port_be != 0);
	close(fd);
	return 0;
}
