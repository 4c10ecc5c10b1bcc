// Sends made-up packets straight onto an interface, for floods and for bad input: sources that do not exist, packets that
// no stack would send. Only for networks that the test made. One thread.
//
//   packet_gun --interface NAME --target-mac MAC --target ADDRESS:PORT --kind allocate|mutated
//              --count N --rate PACKETS_PER_SECOND [--seed N]
//
// allocate: unauthenticated Allocate requests, each from another random IPv4 source.
// mutated:  valid requests, indications, channel data and plain UDP to listener and relayed ports, then broken: bytes
//           flipped, cut short, lengths forged, random tails, IP options, fragments, wrong checksums.
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/contract/wire/turn.h"

#define BATCH     32
#define FRAME_MAX 1514

struct gun {
	uint8_t target_mac[6];
	uint8_t own_mac[6];
	struct ip_endpoint target;
	bool is_mutating;
	uint64_t random;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

// xorshift64*: reproducible from the seed.
static uint64_t next_random(struct gun *g)
{
	g->random ^= g->random >> 12;
	g->random ^= g->random << 25;
	g->random ^= g->random >> 27;
	return g->random * 0x2545f4914f6cdd1dULL;
}

static uint32_t below(struct gun *g, uint32_t n)
{
	return (uint32_t)((next_random(g) >> 32) % n);
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; p += 2, n -= 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	if (n)
		sum += (uint32_t)(p[0] << 8);
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

// The UDP payload: what a client might say.
static size_t payload_write(struct gun *g, uint8_t *out, size_t capacity_bytes)
{
	static const uint16_t types[] = { TURN_ALLOCATE_REQUEST,     STUN_BINDING_REQUEST,
					  TURN_REFRESH_REQUEST,      TURN_CREATE_PERMISSION_REQUEST,
					  TURN_CHANNEL_BIND_REQUEST, TURN_SEND_INDICATION };
	static const uint8_t transport[4] = { TURN_TRANSPORT_UDP };
	struct stun_builder b;
	struct ip_endpoint peer = { .port_be = (uint16_t)next_random(g) };
	uint8_t id[12], junk[256], address[4];
	uint16_t type = g->is_mutating ? types[below(g, 6)] : TURN_ALLOCATE_REQUEST;
	uint32_t n_junk = below(g, sizeof(junk));

	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)next_random(g);
	for (uint32_t i = 0; i < n_junk; i++)
		junk[i] = (uint8_t)next_random(g);
	if (g->is_mutating && below(g, 3) == 0) {
		bytes_put_be16(out, (uint16_t)(0x3ff0 + below(g, 0x1030)));
		bytes_put_be16(out + 2, (uint16_t)n_junk);
		memcpy(out + 4, junk, n_junk);
		return n_junk + 4;
	}
	stun_build_begin(&b, out, capacity_bytes, type, id);
	if (type == TURN_ALLOCATE_REQUEST)
		stun_build_attr(&b, TURN_ATTR_REQUESTED_TRANSPORT, transport, 4);
	if (g->is_mutating) {
		memcpy(address, &g->random, 4);
		peer.address = ip_address_from_v4(address);
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
		if (below(g, 2))
			stun_build_attr(&b, TURN_ATTR_DATA, junk, (uint16_t)n_junk);
		if (below(g, 2))
			stun_build_attr(&b, STUN_ATTR_USERNAME, "lab", 3);
		if (below(g, 2))
			stun_build_attr(&b, STUN_ATTR_NONCE, junk, (uint16_t)(n_junk & 0x7f));
		if (below(g, 2))
			stun_build_attr(&b, STUN_ATTR_REALM, "lab.turnpike", 12);
		if (below(g, 2))
			stun_build_attr(&b, (uint16_t)next_random(g), junk,
					(uint16_t)(n_junk & 0x1f));
		if (below(g, 2))
			stun_build_attr(&b, STUN_ATTR_MESSAGE_INTEGRITY, junk, 20);
		if (below(g, 2))
			stun_build_fingerprint(&b);
	}
	return stun_build_end(&b);
}

static size_t frame_write(struct gun *g, uint8_t *f)
{
	bool is_v4 = ip_address_is_v4(&g->target.address);
	size_t ip_bytes = is_v4 ? 20 : 40, udp_bytes;
	uint8_t *ip = f + 14, *udp = ip + ip_bytes;
	uint64_t source = next_random(g);
	uint32_t sum;

	memset(f, 0, 14 + ip_bytes + 8);
	memcpy(f, g->target_mac, 6);
	memcpy(f + 6, g->own_mac, 6);
	udp_bytes = 8 + payload_write(g, udp + 8, FRAME_MAX - 14 - ip_bytes - 8);
	bytes_put_be16(udp, (uint16_t)(1024 + below(g, 64000)));
	bytes_put_be16(udp + 2, (uint16_t)(g->target.port_be << 8 | g->target.port_be >> 8));
	if (g->is_mutating && below(g, 4) == 0)
		bytes_put_be16(udp + 2, (uint16_t)(49152 + below(g, 16384)));
	bytes_put_be16(udp + 4, (uint16_t)udp_bytes);
	if (is_v4) {
		bytes_put_be16(f + 12, ETHERTYPE_IP);
		ip[0] = 0x45;
		bytes_put_be16(ip + 2, (uint16_t)(20 + udp_bytes));
		ip[8] = 64;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, &source, 4);
		ip[12] = (uint8_t)(1 + ip[12] % 126); // 1..126: unicast, no loopback
		if (ip[12] == 10)
			ip[12] = 11;
		memcpy(ip + 16, ip_address_v4_bytes(&g->target.address), 4);
		bytes_put_be16(ip + 10, fold(sum16(ip, 20, 0)));
		sum = sum16(ip + 12, 8, 0);
	} else {
		bytes_put_be16(f + 12, ETHERTYPE_IPV6);
		ip[0] = 0x60;
		bytes_put_be16(ip + 4, (uint16_t)udp_bytes);
		ip[6] = IPPROTO_UDP;
		ip[7] = 64;
		ip[8] = 0x20;
		ip[9] = 0x01;
		memcpy(ip + 16, &source, 8);
		memcpy(ip + 24, g->target.address.bytes, 16);
		sum = sum16(ip + 8, 32, 0);
	}
	sum += IPPROTO_UDP + (uint32_t)udp_bytes;
	bytes_put_be16(udp + 6, fold(sum16(udp, udp_bytes, sum)));
	return 14 + ip_bytes + udp_bytes;
}

// Breaks a frame in one to four ways. Ethernet addresses stay, so that it arrives.
static size_t frame_mutate(struct gun *g, uint8_t *f, size_t n)
{
	for (uint32_t k = below(g, 4) + 1; k > 0; k--) {
		switch (below(g, 9)) {
		case 0: // flip anywhere
			f[12 + below(g, (uint32_t)n - 12)] ^= (uint8_t)(1u << below(g, 8));
			break;
		case 1: // another byte in the headers
			f[12 + below(g, 40)] = (uint8_t)next_random(g);
			break;
		case 2: // cut short
			n = 14 + below(g, (uint32_t)n - 13);
			break;
		case 3: // forged IP length
			bytes_put_be16(f + 16, (uint16_t)next_random(g));
			break;
		case 4: // forged UDP length
			if (n > 42)
				bytes_put_be16(f + 38, (uint16_t)next_random(g));
			break;
		case 5: // forged STUN length
			if (n > 46)
				bytes_put_be16(f + 44, (uint16_t)below(g, 2048));
			break;
		case 6: // trailing bytes
			for (uint32_t i = below(g, 64); i > 0 && n < FRAME_MAX; i--)
				f[n++] = (uint8_t)next_random(g);
			break;
		case 7: // a fragment
			bytes_put_be16(f + 20, (uint16_t)next_random(g));
			break;
		case 8: // IP options that are not there
			f[14] = (uint8_t)(0x40 | below(g, 16));
			break;
		}
		if (n < 56)
			break;
	}
	return n;
}

static int fire(struct gun *g, int fd, uint64_t count, uint64_t rate_per_sec)
{
	static uint8_t frame[BATCH][FRAME_MAX + 64];
	struct mmsghdr message[BATCH];
	struct iovec part[BATCH];
	uint64_t start_ns = now_ns(), n_sent = 0;

	while (n_sent < count) {
		uint64_t due = (now_ns() - start_ns) * rate_per_sec / 1000000000ULL;
		uint32_t n = (uint32_t)(count - n_sent < BATCH ? count - n_sent : BATCH);
		int n_taken;

		if (due < n_sent + n) {
			usleep(200);
			continue;
		}
		memset(message, 0, sizeof(message));
		for (uint32_t i = 0; i < n; i++) {
			size_t bytes = frame_write(g, frame[i]);

			if (g->is_mutating && below(g, 8))
				bytes = frame_mutate(g, frame[i], bytes);
			part[i] = (struct iovec){ .iov_base = frame[i], .iov_len = bytes };
			message[i].msg_hdr.msg_iov = &part[i];
			message[i].msg_hdr.msg_iovlen = 1;
		}
		n_taken = sendmmsg(fd, message, n, 0);
		if (n_taken < 0) {
			if (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)
				continue;
			// A frame that the interface itself refuses (too long, too short) is skipped.
			if (errno != EMSGSIZE && errno != EINVAL)
				return -errno;
			n_taken = 1;
		}
		n_sent += (uint32_t)n_taken;
	}
	printf("{\"sent\":%lu,\"seconds\":%.2f}\n", n_sent, (double)(now_ns() - start_ns) / 1e9);
	return 0;
}

// Sends from the interface's own MAC address; the answers of the relay come back to it. 0 or more, or -errno.
static int socket_open(const char *interface, struct gun *g)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	socklen_t at_bytes = sizeof(at);
	int fd, ret;

	at.sll_ifindex = (int)if_nametoindex(interface);
	if (at.sll_ifindex == 0)
		return -errno;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	// Protocol 0: this socket receives nothing.
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &at_bytes) < 0)
		goto fail_close;
	memcpy(g->own_mac, at.sll_addr, 6);
	return fd;

fail_close:
	ret = -errno;
	close(fd);
	return ret;
}

static int usage(void)
{
	fprintf(stderr, "usage: packet_gun --interface NAME --target-mac MAC --target ADDRESS:PORT "
			"--kind allocate|mutated --count N --rate PACKETS_PER_SECOND [--seed N]\n");
	return 2;
}

static bool mac_parse(const char *text, uint8_t out[6])
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &out[0], &out[1], &out[2], &out[3],
		      &out[4], &out[5]) == 6;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "target-mac", required_argument, NULL, 'm' },
		{ "target", required_argument, NULL, 't' },
		{ "kind", required_argument, NULL, 'k' },
		{ "count", required_argument, NULL, 'c' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ 0 },
	};
	struct gun g = { .random = 0x9e3779b97f4a7c15ULL };
	const char *interface = NULL, *kind = NULL;
	uint64_t count = 0, rate_per_sec = 0;
	bool has_mac = false;
	int o, fd, ret;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'i':
			interface = optarg;
			break;
		case 'm':
			has_mac = mac_parse(optarg, g.target_mac);
			break;
		case 't':
			if (ip_endpoint_parse(optarg, &g.target) < 0)
				return usage();
			break;
		case 'k':
			kind = optarg;
			break;
		case 'c':
			count = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			rate_per_sec = strtoull(optarg, NULL, 10);
			break;
		case 's':
			g.random ^= strtoull(optarg, NULL, 10) * 0xff51afd7ed558ccdULL;
			break;
		default:
			return usage();
		}
	}
	if (!interface || !kind || !has_mac || count == 0 || rate_per_sec == 0 ||
	    g.target.port_be == 0)
		return usage();
	g.is_mutating = strcmp(kind, "mutated") == 0;
	if (!g.is_mutating && strcmp(kind, "allocate"))
		return usage();
	fd = socket_open(interface, &g);
	if (fd < 0) {
		fprintf(stderr, "packet_gun: cannot open %s: %s\n", interface, strerror(-fd));
		return 1;
	}
	ret = fire(&g, fd, count, rate_per_sec);
	close(fd);
	if (ret < 0) {
		fprintf(stderr, "packet_gun: sending failed: %s\n", strerror(-ret));
		return 1;
	}
	return 0;
}
