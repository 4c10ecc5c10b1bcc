// See url.h.
#include "controlplane/ctl/probe/url.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataplane/contract/wire/address.h"

#define PORT        3478
#define SECURE_PORT 5349

const char *probe_transport_name(enum probe_transport t)
{
	static const char *const name[PROBE_TRANSPORT_COUNT] = { "UDP", "TCP", "TLS", "DTLS" };

	return t < PROBE_TRANSPORT_COUNT ? name[t] : "?";
}

static int wrong(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

static int read_scheme(const char *text, size_t n, struct probe_url *out, const char **why)
{
	static const struct {
		const char *name;
		bool is_turn, is_secure;
	} scheme[] = {
		{ "stun", false, false },
		{ "stuns", false, true },
		{ "turn", true, false },
		{ "turns", true, true },
	};

	for (size_t i = 0; i < sizeof(scheme) / sizeof(scheme[0]); i++) {
		if (strlen(scheme[i].name) != n || strncasecmp(text, scheme[i].name, n) != 0)
			continue;
		out->is_turn = scheme[i].is_turn;
		out->is_secure = scheme[i].is_secure;
		return 0;
	}
	return wrong(why, "the scheme is none of stun:, stuns:, turn: and turns:");
}

// RFC 3986's reg-name, without percent-encoding, which no DNS name needs.
static bool is_name(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i]))
			return false;
	return n > 0;
}

static int read_host(const char **at, struct probe_url *out, const char **why)
{
	struct ip_address address;
	bool has_brackets = **at == '[';
	size_t n;

	if (has_brackets) {
		(*at)++;
		n = strcspn(*at, "]");
		if ((*at)[n] != ']')
			return wrong(why, "the bracket of the IPv6 address is not closed");
	} else {
		n = strcspn(*at, ":?");
	}
	if (n == 0)
		return wrong(why, "there is no host");
	if (n >= sizeof(out->host))
		return wrong(why, "the host is longer than 255 characters");
	memcpy(out->host, *at, n);
	out->host[n] = '\0';
	*at += n + has_brackets;
	out->is_numeric = ip_address_parse(out->host, &address) == 0;
	if (has_brackets && (!out->is_numeric || ip_address_is_v4(&address)))
		return wrong(why, "in brackets must stand an IPv6 address");
	if (!has_brackets && !is_name(out->host, n))
		return wrong(why, "the host is neither a name nor an IP address");
	return 0;
}

static int read_port(const char **at, struct probe_url *out, const char **why)
{
	unsigned long port = 0;
	size_t n = 0;

	out->port = out->is_secure ? SECURE_PORT : PORT;
	if (**at != ':')
		return 0;
	for ((*at)++; isdigit((unsigned char)(*at)[n]) && n < 6; n++)
		port = port * 10 + (unsigned long)((*at)[n] - '0');
	*at += n;
	if (n == 0 || port == 0 || port > 65535)
		return wrong(why, "the port is no number of 1 to 65535; an IPv6 address stands in "
				  "brackets");
	out->port = (uint16_t)port;
	return 0;
}

static int read_transport(const char *text, struct probe_url *out, const char **why)
{
	out->transport = out->is_secure ? PROBE_TLS : PROBE_UDP;
	if (!*text)
		return 0;
	if (strncmp(text, "?transport=", 11) != 0)
		return wrong(why, "behind host and port may only stand ?transport=udp or "
				  "?transport=tcp");
	if (!out->is_turn)
		return wrong(why, "stun: and stuns: take no ?transport= (RFC 7064)");
	out->has_transport = true;
	if (strcasecmp(text + 11, "udp") == 0)
		out->transport = out->is_secure ? PROBE_DTLS : PROBE_UDP;
	else if (strcasecmp(text + 11, "tcp") == 0)
		out->transport = out->is_secure ? PROBE_TLS : PROBE_TCP;
	else
		return wrong(why, "the transport is neither udp nor tcp");
	return 0;
}

int probe_url_parse(const char *text, struct probe_url *out, const char **why)
{
	size_t n = strcspn(text, ":");
	const char *at = text + n;
	int ret;

	memset(out, 0, sizeof(*out));
	if (*at != ':')
		return wrong(why, "there is no scheme; write it as in turn:turn.example.org");
	ret = read_scheme(text, n, out, why);
	if (ret < 0)
		return ret;
	at++;
	if (strncmp(at, "//", 2) == 0)
		return wrong(why, "these URLs have no '//'; write turn:host, not turn://host");
	if (strchr(at, '@'))
		return wrong(why, "these URLs name no user; give --user and --password");
	ret = read_host(&at, out, why);
	if (ret == 0)
		ret = read_port(&at, out, why);
	if (ret == 0)
		ret = read_transport(at, out, why);
	return ret;
}
