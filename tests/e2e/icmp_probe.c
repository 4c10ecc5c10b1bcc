// What the network says of relayed datagrams, heard at both ends. One thread.
//
//   icmp_probe client --server ADDRESS:PORT --peer ADDRESS:PORT --user NAME --password WORD [--family 4|6] [--bytes SIZE]
//              [--indications]
//       allocates, permits, binds a channel (or not), sends, and tells of the first ICMP attribute that comes (RFC 8656 §11.5)
//   icmp_probe hold … the same arguments
//       allocates, permits, binds, prints the relayed address and then how large what comes from the peer is, line by line
//   icmp_probe push --peer ADDRESS:PORT --from ADDRESS:PORT --bytes SIZE
//       sends datagrams that must not be fragmented, until the kernel has learned an MTU below 1500 for the path, and prints it
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "dataplane/contract/wire/turn.h"
#include "tests/e2e/turn_client.h"

#define CHANNEL       0x4001
#define SENDS         40 // a quarter of a second apart: kernels say no more than one error a second
#define SEND_EVERY_MS 250
#define HOLD_MS       20000

struct probe {
	struct turn_client client;
	bool has_error;
	uint8_t type;
	uint16_t code;
	uint32_t error_data;
	struct ip_endpoint about;
	bool has_data; // beside the error, which must not be
	size_t data_bytes;
};

// A Data indication with ICMP. Everything else is the client's.
static bool take_error(struct probe *p, const uint8_t *datagram, size_t n)
{
	struct stun_attr peer;
	struct stun_attr icmp;
	struct stun_attr data;
	struct stun_view m;

	if (n < STUN_HEADER_BYTES || stun_parse(datagram, (uint16_t)n, &m) != STUN_OK ||
	    m.type != TURN_DATA_INDICATION || !stun_attr_find(&m, TURN_ATTR_ICMP, &icmp) ||
	    icmp.length_bytes != 8 || !stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &peer) ||
	    stun_xor_address_get(&m, &peer, &p->about) < 0)
		return false;
	p->has_error = true;
	// RFC 8656 §18.13: 7 bits of type, 9 of code.
	p->type = bytes_get_be16(icmp.value + 2) >> 9;
	p->code = bytes_get_be16(icmp.value + 2) & 0x1ff;
	p->error_data = bytes_get_be32(icmp.value + 4);
	p->has_data = stun_attr_find(&m, TURN_ATTR_DATA, &data);
	return true;
}

static void pump(void *context)
{
	struct probe *p = context;
	struct pollfd wait = { .fd = p->client.fd, .events = POLLIN };
	uint8_t in[TURN_CLIENT_DATAGRAM_MAX];
	const uint8_t *data;
	size_t data_bytes;
	ssize_t n;

	if (poll(&wait, 1, 1) <= 0)
		return;
	n = recv(p->client.fd, in, sizeof(in), MSG_DONTWAIT);
	if (n < 0 || take_error(p, in, (size_t)n))
		return;
	if (turn_client_receive(&p->client, in, (size_t)n, &data, &data_bytes))
		p->data_bytes = data_bytes;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int set_up(struct probe *p, const struct ip_endpoint *server, bool binds)
{
	const char *step = "socket";
	int ret = turn_client_open(&p->client, server);

	if (ret == 0) {
		step = "Allocate";
		ret = turn_client_allocate(&p->client, pump, p);
	}
	if (ret == 0) {
		step = "CreatePermission";
		ret = turn_client_permit(&p->client, pump, p);
	}
	if (ret == 0 && binds) {
		step = "ChannelBind";
		ret = turn_client_bind(&p->client, CHANNEL, pump, p);
	}
	if (ret != 0)
		fprintf(stderr, "%s: %d\n", step, ret);
	return ret;
}

static int run_client(struct probe *p, size_t size_bytes)
{
	static uint8_t data[TURN_CLIENT_DATAGRAM_MAX];
	uint8_t out[TURN_CLIENT_DATAGRAM_MAX];
	char about[IP_ENDPOINT_TEXT_MAX];

	for (uint32_t i = 0; i < SENDS && !p->has_error; i++) {
		size_t n = turn_client_wrap(&p->client, data, size_bytes, out);
		uint64_t until_ms = now_ms() + SEND_EVERY_MS;

		if (send(p->client.fd, out, n, 0) < 0)
			fprintf(stderr, "send: %m\n");
		while (now_ms() < until_ms && !p->has_error)
			pump(p);
	}
	if (!p->has_error) {
		fprintf(stderr, "no ICMP attribute came\n");
		return 1;
	}
	ip_endpoint_format(&p->about, about, sizeof(about));
	printf("{\"type\": %u, \"code\": %u, \"error_data\": %u, \"peer\": \"%s\", \"has_data\": "
	       "%s}\n",
	       p->type, p->code, p->error_data, about, p->has_data ? "true" : "false");
	turn_client_refresh(&p->client, 0, pump, p);
	return 0;
}

static int run_hold(struct probe *p)
{
	uint64_t until_ms = now_ms() + HOLD_MS;
	char relayed[IP_ENDPOINT_TEXT_MAX];

	ip_endpoint_format(&p->client.relayed, relayed, sizeof(relayed));
	printf("{\"relayed\": \"%s\"}\n", relayed);
	fflush(stdout);
	while (now_ms() < until_ms) {
		p->data_bytes = 0;
		pump(p);
		if (p->data_bytes == 0)
			continue;
		printf("{\"bytes\": %zu}\n", p->data_bytes);
		fflush(stdout);
	}
	return 0;
}

static int run_push(const struct ip_endpoint *from, const struct ip_endpoint *to, size_t size_bytes)
{
	bool is_v4 = ip_address_is_v4(&to->address);
	int always = is_v4 ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;
	static uint8_t data[2048];
	struct sockaddr_storage a;
	socklen_t a_bytes = net_sockaddr_set(from, &a);
	int fd = socket(a.ss_family, SOCK_DGRAM, 0);
	int mtu = 0;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, a_bytes) < 0)
		goto fail;
	if (setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6,
		       is_v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &always, sizeof(always)) < 0)
		goto fail;
	a_bytes = net_sockaddr_set(to, &a);
	if (connect(fd, (struct sockaddr *)&a, a_bytes) < 0)
		goto fail;
	for (uint32_t i = 0; i < SENDS; i++) {
		socklen_t mtu_bytes = sizeof(mtu);

		if (send(fd, data, size_bytes, 0) < 0 && errno != EMSGSIZE)
			fprintf(stderr, "send: %m\n");
		usleep(SEND_EVERY_MS * 1000);
		if (getsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_MTU : IPV6_MTU,
			       &mtu, &mtu_bytes) < 0)
			goto fail;
		if (mtu >= 1500)
			continue;
		// What is as large as was said arrives. The first call may be told of the error before.
		if (send(fd, data, (size_t)mtu - (is_v4 ? 28 : 48), 0) < 0 &&
		    send(fd, data, (size_t)mtu - (is_v4 ? 28 : 48), 0) < 0)
			goto fail;
		printf("{\"mtu\": %d}\n", mtu);
		close(fd);
		return 0;
	}
	fprintf(stderr, "the path's MTU is still %d\n", mtu);
	return 1;
fail:
	perror("push");
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 's' },
		{ "peer", required_argument, NULL, 'p' },
		{ "from", required_argument, NULL, 'f' },
		{ "user", required_argument, NULL, 'u' },
		{ "password", required_argument, NULL, 'w' },
		{ "family", required_argument, NULL, '6' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "indications", no_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	static struct probe p;
	struct ip_endpoint server = { 0 };
	struct ip_endpoint from = { 0 };
	size_t size_bytes = 100;
	bool binds = true;
	int option;

	p.client.fd = -1;
	p.client.relayed_family = STUN_FAMILY_IPV4;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int ret = 0;

		if (option == 's')
			ret = ip_endpoint_parse(optarg, &server);
		else if (option == 'p')
			ret = ip_endpoint_parse(optarg, &p.client.peer);
		else if (option == 'f')
			ret = ip_endpoint_parse(optarg, &from);
		else if (option == 'u')
			p.client.user = optarg;
		else if (option == 'w')
			p.client.password = optarg;
		else if (option == '6')
			p.client.relayed_family =
				atoi(optarg) == 6 ? STUN_FAMILY_IPV6 : STUN_FAMILY_IPV4;
		else if (option == 'b')
			size_bytes = (size_t)atoi(optarg);
		else if (option == 'i')
			binds = false;
		else
			return 2;
		if (ret < 0) {
			fprintf(stderr, "not an address and port: %s\n", optarg);
			return 2;
		}
	}
	if (optind >= argc || size_bytes > 1500)
		return 2;
	if (strcmp(argv[optind], "push") == 0)
		return run_push(&from, &p.client.peer, size_bytes);
	if (set_up(&p, &server, binds) != 0)
		return 1;
	return strcmp(argv[optind], "hold") == 0 ? run_hold(&p) : run_client(&p, size_bytes);
}
