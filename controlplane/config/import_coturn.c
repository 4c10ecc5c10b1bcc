// From coturn's options to our keys: one row for each option, in coturn's own spelling. Any thread.
#include "controlplane/config/import_coturn.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 256
#define TEXT_MAX   512

struct values {
	unsigned n;
	char *value[VALUES_MAX];
};

struct import {
	struct values listening_ip, relay_ip, users, secrets, allowed, denied;
	char *realm;
	unsigned port, min_port, max_port, lifetime, user_quota, total_quota;
	bool no_software;
	struct import_report *report;
	unsigned line;
	int failed; // -errno of the first failure
};

static void leave(struct import *im, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void leave(struct import *im, const char *option, const char *format, ...)
{
	struct import_leftover *l;
	va_list args;

	if (im->report->n_leftovers == IMPORT_LEFTOVERS_MAX) {
		im->failed = -E2BIG;
		return;
	}
	l = &im->report->leftover[im->report->n_leftovers++];
	l->line = im->line;
	snprintf(l->option, sizeof(l->option), "%s", option);
	va_start(args, format);
	vsnprintf(l->why, sizeof(l->why), format, args);
	va_end(args);
}

static void add(struct import *im, struct values *v, const char *value)
{
	if (v->n == VALUES_MAX) {
		im->failed = -E2BIG;
		return;
	}
	v->value[v->n] = strdup(value);
	if (v->value[v->n] == NULL)
		im->failed = -ENOMEM;
	else
		v->n++;
}

// ---- options with an equivalent

static unsigned number(struct import *im, const char *option, const char *value, unsigned max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || end == value || *end || n > max) {
		leave(im, option, "\"%.40s\" is no number up to %u", value, max);
		return 0;
	}
	im->report->n_taken++;
	return (unsigned)n;
}

// "user=NAME:PASSWORD", the password or the key as 0x and hex digits.
static void take_user(struct import *im, const char *value)
{
	const char *colon = strchr(value, ':');

	if (colon == NULL || colon == value || colon[1] == '\0') {
		leave(im, "user", "not NAME:PASSWORD");
		return;
	}
	add(im, &im->users, value);
	im->report->n_taken++;
}

// The largest blocks that together are first..last, both inclusive, in network order; at most 2 * 128 of them.
static void add_range(struct import *im, struct values *v, int family, const uint8_t *first,
		      const uint8_t *last)
{
	unsigned n_bytes = family == AF_INET ? 4 : 16, n_bits = n_bytes * 8;
	uint8_t at[16], end[16];
	char address[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 8];

	memcpy(at, first, n_bytes);
	while (memcmp(at, last, n_bytes) <= 0) {
		unsigned host_bits = 0;
		bool is_over = true;

		// One bit more as long as it is 0 in the start, and the block's end is within the range.
		memcpy(end, at, n_bytes);
		while (host_bits < n_bits) {
			unsigned byte = n_bytes - 1 - host_bits / 8;
			uint8_t bit = (uint8_t)(1u << (host_bits % 8));

			if (at[byte] & bit)
				break;
			end[byte] |= bit;
			if (memcmp(end, last, n_bytes) > 0) {
				end[byte] &= (uint8_t)~bit;
				break;
			}
			host_bits++;
		}
		inet_ntop(family, at, address, sizeof(address));
		snprintf(text, sizeof(text), "%s/%u", address, n_bits - host_bits);
		add(im, v, text);
		// The address behind the block.
		memcpy(at, end, n_bytes);
		for (unsigned i = n_bytes; i-- > 0 && is_over;)
			is_over = ++at[i] == 0;
		if (is_over)
			return;
	}
}

// "1.2.3.4", "1.2.3.4-1.2.3.9", "1.2.3.0/24".
static void take_peers(struct import *im, const char *option, struct values *v, const char *value)
{
	uint8_t first[16], last[16];
	char text[TEXT_MAX];
	char *dash, *slash;
	int family;

	snprintf(text, sizeof(text), "%s", value);
	dash = strchr(text, '-');
	slash = strchr(text, '/');
	if (dash != NULL)
		*dash = '\0';
	else if (slash != NULL)
		*slash = '\0';
	family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(family, text, first) != 1 ||
	    (dash != NULL && inet_pton(family, dash + 1, last) != 1)) {
		leave(im, option, "\"%.60s\" is no address or range", value);
		return;
	}
	im->report->n_taken++;
	if (dash == NULL)
		add(im, v, value);
	else if (memcmp(first, last, family == AF_INET ? 4 : 16) > 0)
		leave(im, option, "\"%.60s\" ends before it begins", value);
	else
		add_range(im, v, family, first, last);
}

static void take_realm(struct import *im, const char *value)
{
	if (im->realm != NULL) {
		leave(im, "realm",
		      "one realm for each instance: start another instance for \"%.60s\"", value);
		return;
	}
	im->realm = strdup(value);
	if (im->realm == NULL)
		im->failed = -ENOMEM;
	im->report->n_taken++;
}

// ---- options without

// What we do anyway, or what makes no difference here.
static const char *const needless[] = {
	"fingerprint",
	"lt-cred-mech",
	"use-auth-secret",
	"no-loopback-peers",
	"no-multicast-peers",
	"stale-nonce",
	"no-tlsv1",
	"no-tlsv1_1",
	"no-cli",
	"verbose",
	"no-stdout-log",
	"syslog",
	"simple-log",
	"new-log-timestamp",
	"log-file",
	"pidfile",
	"proc-user",
	"proc-group",
	"mobility",
	"mobility-off",
	"secure-stun-off",
	"no-tls",
	"no-dtls",
	"no-tcp",
	"no-tcp-relay",
	"keep-address-family-off",
	"check-origin-consistency",
	"relay-threads",
	"no-rfc5780",
	"response-origin-only-with-rfc5780",
};

static const struct {
	const char *option;
	const char *why;
} unsupported[] = {
	{ "external-ip", "Turnpike answers with the addresses that its port carries: give the host "
			 "the public address" },
	{ "tls-listening-port", "there is no TLS listener yet" },
	{ "cert", "there is no TLS listener yet" },
	{ "pkey", "there is no TLS listener yet" },
	{ "cipher-list", "there is no TLS listener yet" },
	{ "dh-file", "there is no TLS listener yet" },
	{ "tcp-proxy-port", "there is no TCP listener yet" },
	{ "redis-userdb",
	  "there is no Redis user store yet: users and rest_secrets stand in the file" },
	{ "redis-statsdb", "figures are read with turnpikectl stats --json" },
	{ "userdb", "users stand in the file: list them with turnadmin -l" },
	{ "psql-userdb", "users stand in the file: list them with turnadmin -l" },
	{ "mysql-userdb", "users stand in the file: list them with turnadmin -l" },
	{ "mongo-userdb", "users stand in the file: list them with turnadmin -l" },
	{ "no-auth", "Turnpike relays for nobody without credentials" },
	{ "allow-loopback-peers", "Turnpike never relays to loopback" },
	{ "alternate-server", "name the servers under alternate_servers" },
	{ "max-bps", "set limits: bytes_per_second_per_allocation" },
	{ "bps-capacity", "there is no limit of bytes per second of all clients together" },
	{ "oauth", "there is no OAuth (RFC 7635) yet" },
	{ "prometheus", "figures are read with turnpikectl stats --json" },
	{ "web-admin", "Turnpike has no web page for administration: turnpikectl does it" },
	{ "listening-device", "ports: names the interface" },
	{ "relay-device", "ports: names the interface" },
};

static void take(struct import *im, char *option, char *value)
{
	if (strcmp(option, "listening-port") == 0) {
		im->port = number(im, option, value, 65535);
	} else if (strcmp(option, "listening-ip") == 0) {
		add(im, &im->listening_ip, value);
		im->report->n_taken++;
	} else if (strcmp(option, "relay-ip") == 0) {
		add(im, &im->relay_ip, value);
		im->report->n_taken++;
	} else if (strcmp(option, "min-port") == 0) {
		im->min_port = number(im, option, value, 65535);
	} else if (strcmp(option, "max-port") == 0) {
		im->max_port = number(im, option, value, 65535);
	} else if (strcmp(option, "realm") == 0) {
		take_realm(im, value);
	} else if (strcmp(option, "user") == 0) {
		take_user(im, value);
	} else if (strcmp(option, "static-auth-secret") == 0) {
		add(im, &im->secrets, value);
		im->report->n_taken++;
	} else if (strcmp(option, "max-allocate-lifetime") == 0) {
		im->lifetime = number(im, option, value, 86400);
	} else if (strcmp(option, "user-quota") == 0) {
		im->user_quota = number(im, option, value, UINT32_MAX);
	} else if (strcmp(option, "total-quota") == 0) {
		im->total_quota = number(im, option, value, UINT32_MAX);
	} else if (strcmp(option, "allowed-peer-ip") == 0) {
		take_peers(im, option, &im->allowed, value);
	} else if (strcmp(option, "denied-peer-ip") == 0) {
		take_peers(im, option, &im->denied, value);
	} else if (strcmp(option, "no-software-attribute") == 0) {
		im->no_software = true;
		im->report->n_taken++;
	} else {
		for (size_t i = 0; i < sizeof(needless) / sizeof(needless[0]); i++) {
			if (strcmp(option, needless[i]) == 0) {
				im->report->n_taken++;
				return;
			}
		}
		for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
			if (strcmp(option, unsupported[i].option) == 0) {
				leave(im, option, "%s", unsupported[i].why);
				return;
			}
		}
		leave(im, option, "no equivalent is known");
	}
}

// ---- the file

// "option", "option=value", "option value"; quotes around a value, comments from # on at the beginning of a line.
static void read_line(struct import *im, char *line)
{
	char *option = line + strspn(line, " \t"), *value, *end;

	end = option + strlen(option);
	while (end > option && isspace((unsigned char)end[-1]))
		*--end = '\0';
	if (*option == '\0' || *option == '#')
		return;
	while (*option == '-')
		option++;
	value = option + strcspn(option, "= \t");
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, "= \t");
	end = value + strlen(value);
	if (end - value >= 2 && (*value == '"' || *value == '\'') && end[-1] == *value) {
		end[-1] = '\0';
		value++;
	}
	if (*option != '\0')
		take(im, option, value);
}

// A scalar in single quotes, which YAML takes as it stands but for the quote itself.
static void put_text(FILE *out, const char *text, size_t n)
{
	fputc('\'', out);
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\'')
			fputc('\'', out);
		fputc(text[i], out);
	}
	fputc('\'', out);
}

static void put_list(FILE *out, const char *indent, const char *key, const struct values *v)
{
	if (v->n == 0)
		return;
	fprintf(out, "%s%s:\n", indent, key);
	for (unsigned i = 0; i < v->n; i++) {
		fprintf(out, "%s  - ", indent);
		put_text(out, v->value[i], strlen(v->value[i]));
		fputc('\n', out);
	}
}

static void put_users(FILE *out, const struct values *users)
{
	if (users->n == 0)
		return;
	fputs("users:\n", out);
	for (unsigned i = 0; i < users->n; i++) {
		const char *user = users->value[i], *colon = strchr(user, ':');
		bool is_key = strncmp(colon + 1, "0x", 2) == 0;
		const char *secret = colon + (is_key ? 3 : 1);

		fputs("  - name: ", out);
		put_text(out, user, (size_t)(colon - user));
		fprintf(out, "\n    %s: ", is_key ? "key" : "password");
		put_text(out, secret, strlen(secret));
		fputc('\n', out);
	}
}

static void write_yaml(const struct import *im, const char *interface, FILE *out)
{
	const struct values *relays = im->relay_ip.n > 0 ? &im->relay_ip : &im->listening_ip;

	const unsigned port = im->port != 0 ? im->port : 3478;

	fputs("realm: ", out);
	put_text(out, im->realm, strlen(im->realm));
	fputc('\n', out);
	if (im->no_software)
		fputs("software_attribute: false\n", out);
	if (im->listening_ip.n == 0)
		fputs("# turnserver.conf names no listening-ip: fill in the addresses of this "
		      "host.\n",
		      out);
	fputs("listeners:\n", out);
	for (unsigned i = 0; i < im->listening_ip.n; i++) {
		fputs("  - address: ", out);
		put_text(out, im->listening_ip.value[i], strlen(im->listening_ip.value[i]));
		fprintf(out, "\n    port: %u\n", port);
	}
	if (im->listening_ip.n == 0)
		fprintf(out, "  - address: 203.0.113.10\n    port: %u\n", port);
	fputs("relay:\n", out);
	if (relays->n > 0)
		put_list(out, "  ", "addresses", relays);
	else
		fputs("  addresses:\n    - 203.0.113.10\n", out);
	if (im->min_port != 0)
		fprintf(out, "  min_port: %u\n", im->min_port);
	if (im->max_port != 0)
		fprintf(out, "  max_port: %u\n", im->max_port);
	put_users(out, &im->users);
	put_list(out, "", "rest_secrets", &im->secrets);
	if (im->lifetime != 0)
		fprintf(out, "lifetime_max_seconds: %u\n", im->lifetime);
	if (im->user_quota != 0 || im->total_quota != 0)
		fprintf(out, "quota:\n  total: %u\n  per_user: %u\n", im->total_quota,
			im->user_quota);
	if (im->allowed.n > 0 || im->denied.n > 0)
		fputs("peers:\n", out);
	put_list(out, "  ", "allow", &im->allowed);
	put_list(out, "  ", "deny", &im->denied);
	fputs("# The interface that carries the addresses above.\nports:\n  - device: af_xdp\n"
	      "    interface: ",
	      out);
	put_text(out, interface, strlen(interface));
	fputc('\n', out);
}

static void values_free(struct values *v)
{
	for (unsigned i = 0; i < v->n; i++) {
		explicit_bzero(v->value[i], strlen(v->value[i]));
		free(v->value[i]);
	}
}

int import_coturn(FILE *in, const char *interface, FILE *out, struct import_report *report,
		  char *error, size_t error_bytes)
{
	struct import *im = calloc(1, sizeof(*im));
	char *line = NULL;
	size_t room = 0;
	int ret;

	memset(report, 0, sizeof(*report));
	if (im == NULL) {
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	im->report = report;
	while (im->failed == 0 && getline(&line, &room, in) >= 0) {
		im->line++;
		read_line(im, line);
	}
	ret = im->failed;
	if (ret < 0) {
		snprintf(error, error_bytes, "line %u: %s", im->line,
			 ret == -E2BIG ? "more values than Turnpike's file takes"
				       : "out of memory");
	} else if (im->realm == NULL) {
		ret = -EINVAL;
		snprintf(error, error_bytes, "the file sets no realm; add realm=NAME to it");
	} else if (im->users.n == 0 && im->secrets.n == 0) {
		ret = -EINVAL;
		snprintf(error, error_bytes,
			 "the file has neither user= nor static-auth-secret=, and Turnpike relays "
			 "for "
			 "nobody without credentials");
	} else {
		write_yaml(im, interface != NULL ? interface : "eth0", out);
	}
	if (line != NULL)
		explicit_bzero(line, room);
	free(line);
	free(im->realm);
	values_free(&im->listening_ip);
	values_free(&im->relay_ip);
	values_free(&im->users);
	values_free(&im->secrets);
	values_free(&im->allowed);
	values_free(&im->denied);
	free(im);
	return ret;
}
