// The verbs probe stun, probe turn and probe turns: reads the URL, finds the server, runs the checks. Needs no control
// plane. See probe.h.
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "controlplane/ctl/command.h"
#include "controlplane/ctl/probe/probe.h"
#include "controlplane/net/sockaddr.h"

#define PACKETS     100
#define PACKETS_MAX 100000

// The first address of the host; others are told. False after a line in the report.
static bool resolve(struct probe *p)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
	char text[IP_ENDPOINT_TEXT_MAX], all[400] = "";
	int ret = getaddrinfo(p->url.host, NULL, &hints, &list);
	bool found = false;
	size_t n = 0;

	for (const struct addrinfo *i = list; ret == 0 && i; i = i->ai_next) {
		struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
		struct ip_endpoint e;

		if (i->ai_family != AF_INET && i->ai_family != AF_INET6)
			continue;
		memcpy(&address, i->ai_addr, i->ai_addrlen);
		net_sockaddr_get(&address, &e);
		if (n < sizeof(all))
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", n ? ", " : "",
					      ip_address_format(&e.address, text, sizeof(text)));
		if (found)
			continue;
		found = true;
		p->server.address = e.address;
		p->server.port_be = htons(p->url.port);
	}
	if (list)
		freeaddrinfo(list);
	if (!found)
		probe_failed(&p->report, "name", NULL, "check the name and the DNS",
			     "%s has no address: %s", p->url.host, gai_strerror(ret));
	else if (!p->url.is_numeric)
		probe_ok(&p->report, "name", json_pack("{s:s}", "addresses", all),
			 "%s is %s; the first is probed", p->url.host, all);
	return found;
}

// What the URL does not ask for but clients may try.
static void reach_others(struct probe *p)
{
	if (p->url.has_transport)
		return;
	if (p->url.is_secure)
		probe_reach(p, PROBE_DTLS, false);
	else
		probe_reach(p, PROBE_TCP, false);
}

static void run_checks(struct probe *p)
{
	bool is_there;

	if (!resolve(p))
		return;
	is_there = probe_reach(p, p->url.transport, true);
	reach_others(p);
	if (!is_there)
		return;
	if (p->url.transport == PROBE_UDP)
		probe_nat(p);
	if (p->url.is_turn)
		probe_turn(p);
}

static int read_count(const char *text, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n == 0 || n > PACKETS_MAX)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int run(const struct command *c, bool wants_turn, bool wants_secure)
{
	struct probe *p = calloc(1, sizeof(*p));
	const char *why;
	int code;

	if (!p)
		return fail(EXIT_VERB_FAILED, "out of memory");
	p->user = c->user;
	p->password = c->password;
	p->secret = c->secret;
	p->ca = c->ca;
	p->n_packets = PACKETS;
	code = EXIT_WRONG_USE;
	if (probe_url_parse(c->operand, &p->url, &why) < 0) {
		fail(code, "%s: %s", c->operand, why);
		goto out;
	}
	if (p->url.is_turn != wants_turn || (wants_turn && p->url.is_secure != wants_secure)) {
		fail(code, "%s is no URL for this verb; use: turnpikectl probe %s %s", c->operand,
		     !p->url.is_turn    ? "stun"
		     : p->url.is_secure ? "turns"
					: "turn",
		     c->operand);
		goto out;
	}
	if (p->password && (!p->user || p->secret)) {
		fail(code, "give --user with --password, or --secret alone");
		goto out;
	}
	if (p->user && !p->password && !p->secret) {
		fail(code, "--user wants --password, or --secret");
		goto out;
	}
	if (c->count && read_count(c->count, &p->n_packets) < 0) {
		fail(code, "--count %s is no number of 1 to %d", c->count, PACKETS_MAX);
		goto out;
	}
	if (probe_report_init(&p->report, c->is_json) < 0)
		goto out;
	run_checks(p);
	code = probe_report_end(&p->report, c->operand);
	SSL_CTX_free(p->tls);
	SSL_CTX_free(p->dtls);
out:
	free(p);
	return code;
}

int run_probe_stun(const struct command *c)
{
	return run(c, false, false);
}

int run_probe_turn(const struct command *c)
{
	return run(c, true, false);
}

int run_probe_turns(const struct command *c)
{
	return run(c, true, true);
}
