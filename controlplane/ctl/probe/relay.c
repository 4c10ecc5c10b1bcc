// Numbered packets through the relay and back: from one allocation to another and, where the server's policy keeps them
// apart, between an allocation and a plain socket of ours. See probe.h.
#include <errno.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/ctl/probe/probe.h"
#include "controlplane/net/sockaddr.h"
#include "dataplane/contract/wire/turn.h"

#define CHANNEL          0x4001
#define INTERVAL_NS      10000000ull // 100 packets per second, as of a call
#define PATIENCE_NS      2000000000ull
#define PAYLOAD_BYTES    160
#define LOSS_PERCENT_MAX 2

// The far end, which echoes: an allocation, or a socket (fd >= 0).
struct far_end {
	struct probe_allocation *allocation;
	int fd;
};

struct traffic {
	uint8_t tag[8]; // of this run
	uint32_t n_sent, n_back;
	uint64_t *sent_ns, *rtt_ns;
	bool *is_back;
};

static int bind_channel(struct probe_allocation *a, const struct ip_endpoint *peer)
{
	struct probe_request r = { .type = TURN_CHANNEL_BIND_REQUEST,
				   .channel = CHANNEL,
				   .has_peer = true,
				   .peer = *peer };
	uint8_t buffer[PROBE_MESSAGE_MAX];
	struct stun_view answer;

	return probe_request(&a->link, &a->credentials, &r, buffer, sizeof(buffer), &answer);
}

static int send_data(struct probe_link *l, const uint8_t *data, size_t n)
{
	uint8_t message[PROBE_MESSAGE_MAX];
	size_t padded = (n + 3) & ~(size_t)3;

	bytes_put_be16(message, CHANNEL);
	bytes_put_be16(message + 2, (uint16_t)n);
	memcpy(message + TURN_CHANNEL_HEADER_BYTES, data, n);
	memset(message + TURN_CHANNEL_HEADER_BYTES + n, 0, padded - n);
	if (l->transport == PROBE_UDP || l->transport == PROBE_DTLS)
		padded = n;
	return probe_link_send(l, message, TURN_CHANNEL_HEADER_BYTES + padded);
}

// Application data that came for us, at most PROBE_MESSAGE_MAX bytes; its length, 0 for nothing, -errno.
static ssize_t receive_data(struct probe_link *l, uint8_t *out)
{
	uint8_t message[PROBE_MESSAGE_MAX];
	ssize_t n = probe_link_receive(l, message, sizeof(message), 0);
	struct stun_view m;
	struct stun_attr a;

	if (n <= 0)
		return n;
	if ((message[0] & 0xc0) == 0x40) {
		size_t length = bytes_get_be16(message + 2);

		if (n < TURN_CHANNEL_HEADER_BYTES || length > (size_t)n - TURN_CHANNEL_HEADER_BYTES)
			return 0;
		memcpy(out, message + TURN_CHANNEL_HEADER_BYTES, length);
		return (ssize_t)length;
	}
	if (stun_parse(message, (size_t)n, &m) != STUN_OK || m.type != TURN_DATA_INDICATION ||
	    !stun_attr_find(&m, TURN_ATTR_DATA, &a))
		return 0;
	memcpy(out, a.value, a.length_bytes);
	return a.length_bytes;
}

static void send_next(struct traffic *t, struct probe_link *l)
{
	uint8_t data[PAYLOAD_BYTES];

	memset(data, 0x5a, sizeof(data));
	memcpy(data, t->tag, sizeof(t->tag));
	bytes_put_be32(data + 8, t->n_sent);
	t->sent_ns[t->n_sent] = probe_now_ns();
	t->n_sent++;
	(void)send_data(l, data, sizeof(data));
}

static void came_back(struct traffic *t, const uint8_t *data, ssize_t n)
{
	uint32_t i;

	if (n != PAYLOAD_BYTES || memcmp(data, t->tag, sizeof(t->tag)) != 0)
		return;
	i = bytes_get_be32(data + 8);
	if (i >= t->n_sent || t->is_back[i])
		return;
	t->is_back[i] = true;
	t->rtt_ns[t->n_back++] = probe_now_ns() - t->sent_ns[i];
}

// Moves what is there; 0 or -errno.
static int pump(struct traffic *t, struct probe_allocation *near, const struct far_end *far)
{
	uint8_t data[PROBE_MESSAGE_MAX];
	ssize_t n;

	if (far->fd >= 0) {
		struct sockaddr_storage from;
		socklen_t from_bytes = sizeof(from);

		while ((n = recvfrom(far->fd, data, sizeof(data), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_bytes)) > 0) {
			sendto(far->fd, data, (size_t)n, 0, (struct sockaddr *)&from, from_bytes);
			from_bytes = sizeof(from);
		}
	} else {
		while ((n = receive_data(&far->allocation->link, data)) > 0)
			(void)send_data(&far->allocation->link, data, (size_t)n);
		if (n < 0)
			return (int)n;
	}
	while ((n = receive_data(&near->link, data)) > 0)
		came_back(t, data, n);
	return (int)n;
}

static int run(struct traffic *t, uint32_t n_packets, struct probe_allocation *near,
	       const struct far_end *far)
{
	uint64_t next_ns = probe_now_ns(), end_ns = 0;
	struct pollfd fds[2] = {
		{ .fd = near->link.fd, .events = POLLIN },
		{ .fd = far->fd >= 0 ? far->fd : far->allocation->link.fd, .events = POLLIN },
	};

	while (t->n_back < n_packets) {
		uint64_t now_ns = probe_now_ns();
		int ret;

		if (t->n_sent < n_packets && now_ns >= next_ns) {
			send_next(t, &near->link);
			next_ns += INTERVAL_NS;
			end_ns = now_ns + PATIENCE_NS;
		}
		if (end_ns != 0 && now_ns > end_ns)
			break;
		ret = pump(t, near, far);
		if (ret < 0)
			return ret;
		poll(fds, 2, t->n_sent < n_packets ? 1 : 20);
	}
	return 0;
}

static void tell(struct probe *p, struct traffic *t, const char *way)
{
	uint32_t lost = t->n_sent - t->n_back;
	json_t *values = probe_percentiles(t->rtt_ns, t->n_back);

	if (!values)
		values = json_object();
	json_object_set_new(values, "sent", json_integer(t->n_sent));
	json_object_set_new(values, "lost", json_integer(lost));
	json_object_set_new(values, "way", json_string(way));
	if (t->n_back == 0)
		probe_failed(
			&p->report, "relay", values,
			"let UDP to the relayed ports through the server's firewall, and see that "
			"its relayed address is the one that peers reach (behind 1:1 NAT: its "
			"external address)",
			"none of %u packets came back, %s", t->n_sent, way);
	else if (lost * 100 > t->n_sent * LOSS_PERCENT_MAX)
		probe_failed(
			&p->report, "relay", values,
			"compare with 'reach' above: loss there too is of the path, else of the "
			"relay (its CPU, its socket buffers)",
			"%u of %u packets lost, %s", lost, t->n_sent, way);
	else
		probe_ok(
			&p->report, "relay", values,
			"%u packets there and back, %u lost, %.2f ms (p50; p90 %.2f, p99 %.2f, max "
			"%.2f), %s",
			t->n_sent, lost, json_number_value(json_object_get(values, "p50_ms")),
			json_number_value(json_object_get(values, "p90_ms")),
			json_number_value(json_object_get(values, "p99_ms")),
			json_number_value(json_object_get(values, "max_ms")), way);
}

static void exchange(struct probe *p, struct probe_allocation *near, const struct far_end *far,
		     const char *way)
{
	uint32_t n = p->n_packets;
	struct traffic t = { .n_sent = 0 };
	char why[160];
	int ret = -ENOMEM;

	t.sent_ns = calloc(n, sizeof(*t.sent_ns));
	t.rtt_ns = calloc(n, sizeof(*t.rtt_ns));
	t.is_back = calloc(n, sizeof(*t.is_back));
	RAND_bytes(t.tag, sizeof(t.tag));
	if (t.sent_ns && t.rtt_ns && t.is_back)
		ret = run(&t, n, near, far);
	if (ret < 0)
		probe_failed(&p->report, "relay", NULL, probe_remedy(ret), "%s",
			     probe_cause(ret, why, sizeof(why)));
	else
		tell(p, &t, way);
	free(t.sent_ns);
	free(t.rtt_ns);
	free(t.is_back);
}

// A plain socket as the peer: it is known to the relay by the address that the server sees of it, and opens its own NAT by
// sending first.
static int with_socket(struct probe *p, struct probe_allocation *a)
{
	bool v4 = ip_address_is_v4(&a->relayed.address);
	struct sockaddr_storage address, any = { .ss_family = v4 ? AF_INET : AF_INET6 };
	struct far_end far = { .fd = socket(any.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	uint8_t message[PROBE_BINDING_MAX], id[12], buffer[PROBE_MESSAGE_MAX];
	socklen_t n = v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	struct probe_link binding = { .transport = PROBE_UDP, .fd = far.fd, .server = p->server };
	struct ip_endpoint mapped;
	struct stun_view answer;
	struct stun_attr attr;
	int ret;

	if (far.fd < 0)
		return -errno;
	// Connected only while it asks the server who it is.
	ret = -EAFNOSUPPORT;
	if (v4 != ip_address_is_v4(&p->server.address))
		goto out;
	n = net_sockaddr_set(&p->server, &address);
	if (connect(far.fd, (struct sockaddr *)&address, n) < 0) {
		ret = -errno;
		goto out;
	}
	ret = probe_transact(&binding, message, probe_binding_build(0, id, message), buffer,
			     sizeof(buffer), &answer, NULL);
	if (ret < 0)
		goto out;
	ret = -EBADMSG;
	if (!stun_attr_find(&answer, STUN_ATTR_XOR_MAPPED_ADDRESS, &attr) ||
	    stun_xor_address_get(&answer, &attr, &mapped) < 0)
		goto out;
	any.ss_family = AF_UNSPEC;
	connect(far.fd, (struct sockaddr *)&any, sizeof(any));
	ret = bind_channel(a, &mapped);
	if (ret != 0)
		goto out;
	n = net_sockaddr_set(&a->relayed, &address);
	sendto(far.fd, "hello", 5, 0, (struct sockaddr *)&address, n);
	exchange(p, a, &far, "between the relay and a socket of ours");
out:
	close(far.fd);
	return ret;
}

void probe_relay(struct probe *p, struct probe_allocation *a, const char *user,
		 const char *password)
{
	static struct probe_allocation b;
	struct far_end far = { .allocation = &b, .fd = -1 };
	char why[160] = "";
	int ret = probe_allocate(p, user, password, &b, why, sizeof(why));

	if (ret == 0) {
		ret = bind_channel(a, &b.relayed);
		if (ret == 0)
			ret = bind_channel(&b, &a->relayed);
		if (ret == 0)
			exchange(p, a, &far, "between two allocations of ours");
		probe_allocation_end(&b);
	}
	if (ret == 0)
		return;
	if (ret == 403 || ret == 486)
		ret = with_socket(p, a);
	if (ret != 0)
		probe_failed(&p->report, "relay", json_pack("{s:i}", "code", ret),
			     ret == 403
				     ? "allow the relay's own addresses or ours as peers, if they "
				       "are to be reached"
				     : probe_remedy(ret),
			     "no peer to relay to: %s", probe_cause(ret, why, sizeof(why)));
}
