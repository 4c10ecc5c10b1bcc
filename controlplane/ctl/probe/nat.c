// Mapping and filtering behaviour of the NAT or firewall between us and the server (RFC 5780 §4.3, §4.4), when the server
// has a second address. See probe.h.
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/ctl/probe/probe.h"
#include "controlplane/net/sockaddr.h"
#include "dataplane/contract/wire/nat_discovery.h"

#define TRIES        4
#define TRY_FIRST_MS 300

enum behaviour { ENDPOINT_INDEPENDENT = 0, ADDRESS_DEPENDENT, PORT_DEPENDENT };

static const char *const behaviour_name[] = { "endpoint-independent", "address-dependent",
					      "address and port-dependent" };

struct binding {
	struct ip_endpoint mapped;
	struct ip_endpoint other;
	struct ip_endpoint from;
	bool has_other;
};

static int open_socket(const struct ip_endpoint *server)
{
	struct sockaddr_storage any = { .ss_family = ip_address_is_v4(&server->address)
							     ? AF_INET
							     : AF_INET6 };
	socklen_t n =
		any.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(any.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&any, n) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

// Takes an answer to that transaction; true when it is one.
static bool take(int fd, const uint8_t id[12], struct binding *out, uint16_t *code)
{
	uint8_t buffer[PROBE_MESSAGE_MAX];
	struct sockaddr_storage from;
	socklen_t from_bytes = sizeof(from);
	ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &from_bytes);
	struct stun_view m;
	struct stun_attr a;

	if (n < 0 || stun_parse(buffer, (size_t)n, &m) != STUN_OK ||
	    memcmp(m.transaction_id, id, 12) != 0)
		return false;
	net_sockaddr_get(&from, &out->from);
	*code = probe_error_code(&m);
	if (m.type != STUN_BINDING_SUCCESS)
		return *code != 0;
	if (!stun_attr_find(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a) ||
	    stun_xor_address_get(&m, &a, &out->mapped) < 0)
		return false;
	out->has_other = stun_attr_find(&m, STUN_ATTR_OTHER_ADDRESS, &a) &&
			 stun_address_get(&a, &out->other) == 0;
	return true;
}

// One Binding with that CHANGE-REQUEST (0: none). 0, the error code, or -ETIMEDOUT.
static int bind_to(int fd, const struct ip_endpoint *to, uint32_t change, struct binding *out)
{
	struct sockaddr_storage address;
	socklen_t address_bytes = net_sockaddr_set(to, &address);
	uint8_t message[PROBE_BINDING_MAX], id[12];
	size_t n = probe_binding_build(change, id, message);

	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t until_ns = probe_now_ns() + (TRY_FIRST_MS * 1000000ull << (i < 2 ? i : 2));

		if (sendto(fd, message, n, 0, (struct sockaddr *)&address, address_bytes) < 0)
			continue;
		for (;;) {
			uint64_t now_ns = probe_now_ns();
			struct pollfd pfd = { .fd = fd, .events = POLLIN };
			uint16_t code;

			if (now_ns >= until_ns ||
			    poll(&pfd, 1, (int)((until_ns - now_ns) / 1000000) + 1) <= 0)
				break;
			if (take(fd, id, out, &code))
				return code;
		}
	}
	return -ETIMEDOUT;
}

// Where our packets to the server leave from.
static void own_address(const struct ip_endpoint *server, int fd, struct ip_endpoint *out)
{
	struct sockaddr_storage address;
	socklen_t n = net_sockaddr_set(server, &address);
	int routed = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ip_endpoint bound = { .port_be = 0 };

	memset(out, 0, sizeof(*out));
	if (routed >= 0 && connect(routed, (struct sockaddr *)&address, n) == 0) {
		n = sizeof(address);
		if (getsockname(routed, (struct sockaddr *)&address, &n) == 0)
			net_sockaddr_get(&address, out);
	}
	if (routed >= 0)
		close(routed);
	n = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &n) == 0)
		net_sockaddr_get(&address, &bound);
	out->port_be = bound.port_be;
}

static void no_answer(struct probe *p, const char *check, const struct ip_endpoint *from)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	probe_failed(
		&p->report, check, NULL,
		"the server names that address as its other one: let UDP to and from it through "
		"the server's firewall, and see that it is routed",
		"no answer from %s", ip_endpoint_format(from, text, sizeof(text)));
}

// RFC 5780 §4.3. True when the other address answers.
static bool mapping(struct probe *p, int fd, const struct binding *first)
{
	struct ip_endpoint local,
		to = { .address = first->other.address, .port_be = p->server.port_be };
	char mapped_text[IP_ENDPOINT_TEXT_MAX], local_text[IP_ENDPOINT_TEXT_MAX];
	enum behaviour found = ENDPOINT_INDEPENDENT;
	struct binding second, third;
	bool has_nat;

	own_address(&p->server, fd, &local);
	if (bind_to(fd, &to, 0, &second) != 0) {
		no_answer(p, "nat mapping", &to);
		return false;
	}
	if (!ip_endpoint_equal(&second.mapped, &first->mapped)) {
		if (bind_to(fd, &first->other, 0, &third) != 0) {
			no_answer(p, "nat mapping", &first->other);
			return false;
		}
		found = ip_endpoint_equal(&third.mapped, &second.mapped) ? ADDRESS_DEPENDENT
									 : PORT_DEPENDENT;
	}
	has_nat = !ip_endpoint_equal(&first->mapped, &local);
	ip_endpoint_format(&first->mapped, mapped_text, sizeof(mapped_text));
	ip_endpoint_format(&local, local_text, sizeof(local_text));
	probe_ok(&p->report, "nat mapping",
		 json_pack("{s:b, s:s, s:s, s:s}", "nat", has_nat, "mapping", behaviour_name[found],
			   "local", local_text, "mapped", mapped_text),
		 has_nat ? "behind a NAT (%s is seen as %s) with %s mapping%s"
			 : "no NAT (%s is seen as %s): %s mapping%s",
		 local_text, mapped_text, behaviour_name[found],
		 found == ENDPOINT_INDEPENDENT
			 ? ""
			 : "; peers behind such NATs need TURN to reach each other");
	return true;
}

// RFC 5780 §4.4, from a socket that the server's other address never heard of.
static void filtering(struct probe *p)
{
	enum behaviour found = PORT_DEPENDENT;
	int fd = open_socket(&p->server), ret = -EIO;
	struct binding got;

	if (fd >= 0)
		ret = bind_to(fd, &p->server, 0, &got);
	if (ret == 0) {
		ret = bind_to(fd, &p->server, CHANGE_REQUEST_ADDRESS | CHANGE_REQUEST_PORT, &got);
		found = ENDPOINT_INDEPENDENT;
		if (ret == -ETIMEDOUT) {
			ret = bind_to(fd, &p->server, CHANGE_REQUEST_PORT, &got);
			found = ret == 0 ? ADDRESS_DEPENDENT : PORT_DEPENDENT;
		}
	} else {
		ret = -EIO;
	}
	if (fd >= 0)
		close(fd);
	if (ret > 0)
		probe_failed(
			&p->report, "nat filtering", NULL,
			"the server names an other address but does not answer from it: see its "
			"configuration",
			"CHANGE-REQUEST is refused with error %d", ret);
	else if (ret < 0 && ret != -ETIMEDOUT)
		probe_failed(&p->report, "nat filtering", NULL, "try again",
			     "no answer to a second socket of ours");
	else
		probe_ok(&p->report, "nat filtering",
			 json_pack("{s:s}", "filtering", behaviour_name[found]), "%s filtering",
			 behaviour_name[found]);
}

void probe_nat(struct probe *p)
{
	int fd = open_socket(&p->server);
	struct binding first;

	if (fd < 0)
		return;
	if (bind_to(fd, &p->server, 0, &first) != 0)
		probe_failed(&p->report, "nat mapping", NULL, "try again",
			     "no answer to STUN Binding");
	else if (!first.has_other)
		probe_note(&p->report, "nat", NULL,
			   "the server has no second address (OTHER-ADDRESS), so the behaviour of "
			   "NATs "
			   "cannot be found out");
	else if (mapping(p, fd, &first))
		filtering(p);
	close(fd);
}
