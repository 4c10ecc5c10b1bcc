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
	char *certificate, *key;
	char *redis; // URL
	bool redis_statistics;
	unsigned tls_port, proxy_port, max_bps;
	bool no_tls, no_dtls, no_tcp;
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
		      "add \"%.60s\" under realms, with its users, and name it at a listener",
		      value);
		return;
	}
	im->realm = strdup(value);
	if (im->realm == NULL)
		im->failed = -ENOMEM;
	im->report->n_taken++;
}

static void take_text(struct import *im, const char *option, char **to, const char *value)
{
	if (*to != NULL) {
		leave(im, option, "given twice; the first one stands");
		return;
	}
	*to = strdup(value);
	if (*to == NULL)
		im->failed = -ENOMEM;
	im->report->n_taken++;
}

// "ip=127.0.0.1 dbname=0 user=u password=p port=6379 connect_timeout=30", or "host=…".
static void take_redis(struct import *im, const char *option, const char *value)
{
	char text[TEXT_MAX], url[TEXT_MAX];
	const char *host = "127.0.0.1", *port = "6379", *database = "0", *user = NULL;
	bool has_password = false;
	char *word, *rest = NULL;

	snprintf(text, sizeof(text), "%s", value);
	for (word = strtok_r(text, " \t", &rest); word != NULL;
	     word = strtok_r(NULL, " \t", &rest)) {
		char *equals = strchr(word, '=');

		if (equals == NULL)
			continue;
		*equals = '\0';
		if (strcmp(word, "ip") == 0 || strcmp(word, "host") == 0)
			host = equals + 1;
		else if (strcmp(word, "port") == 0)
			port = equals + 1;
		else if (strcmp(word, "dbname") == 0)
			database = equals + 1;
		else if (strcmp(word, "user") == 0)
			user = equals + 1;
		else if (strcmp(word, "password") == 0)
			has_password = true;
	}
	snprintf(url, sizeof(url),
		 strchr(host, ':') ? "redis://[%.255s]:%.16s/%.16s" : "redis://%.255s:%.16s/%.16s",
		 host, port, database);
	if (im->redis != NULL && strcmp(im->redis, url) != 0)
		leave(im, option, "users and statistics have one Redis in common, redis: url");
	else if (im->redis == NULL)
		take_text(im, option, &im->redis, url);
	else
		im->report->n_taken++;
	if (has_password)
		leave(im, option,
		      "put its password into a file and name that as redis: password_file");
	if (user != NULL)
		leave(im, option, "name its user \"%.60s\" as redis: user", user);
	explicit_bzero(text, sizeof(text));
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
	{ "cipher-list",
	  "the ciphers are OpenSSL's of TLS 1.2 and 1.3: tls: min_version narrows them" },
	{ "dh-file", "key exchange is by elliptic curves alone" },
	{ "pkey-pwd", "the key must stand in its file without a passphrase" },
	{ "CA-file", "clients prove themselves by TURN credentials, not by certificates" },
	{ "no-udp", "UDP is always taken: leave its port out of the firewall" },
	{ "no-udp-relay", "UDP is always relayed" },
	{ "no-tcp-relay", "TCP relaying (RFC 6062) is off unless tcp_relay opens it" },
	{ "aux-server", "add it under listeners" },
	{ "alt-listening-port", "nat_discovery: names the second address and port (RFC 5780)" },
	{ "alt-tls-listening-port", "add it under listeners with transport: tls" },
	{ "secret-key-file", "users of a database are not read" },
	{ "userdb", "users stand in the file: list them with turnadmin -l" },
	{ "psql-userdb", "users stand in the file: list them with turnadmin -l" },
	{ "mysql-userdb", "users stand in the file: list them with turnadmin -l" },
	{ "mongo-userdb", "users stand in the file: list them with turnadmin -l" },
	{ "no-auth", "Turnpike relays for nobody without credentials" },
	{ "allow-loopback-peers", "Turnpike never relays to loopback" },
	{ "alternate-server", "name the servers under alternate_servers" },
	{ "max-bps", "set limits: bytes_per_second_per_allocation" },
	{ "bps-capacity", "there is no limit of bytes per second of all clients together" },
	{ "oauth", "set oauth: server_name, and its keys there or in Redis" },
	{ "server-name", "oauth: server_name" },
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
	} else if (strcmp(option, "tls-listening-port") == 0) {
		im->tls_port = number(im, option, value, 65535);
	} else if (strcmp(option, "tcp-proxy-port") == 0) {
		im->proxy_port = number(im, option, value, 65535);
	} else if (strcmp(option, "max-bps") == 0) {
		im->max_bps = number(im, option, value, UINT32_MAX);
	} else if (strcmp(option, "cert") == 0) {
		take_text(im, option, &im->certificate, value);
	} else if (strcmp(option, "pkey") == 0) {
		take_text(im, option, &im->key, value);
	} else if (strcmp(option, "redis-userdb") == 0) {
		take_redis(im, option, value);
	} else if (strcmp(option, "redis-statsdb") == 0) {
		take_redis(im, option, value);
		im->redis_statistics = true;
	} else if (strcmp(option, "no-tls") == 0 || strcmp(option, "no-dtls") == 0 ||
		   strcmp(option, "no-tcp") == 0) {
		*(strcmp(option, "no-tls") == 0    ? &im->no_tls
		  : strcmp(option, "no-dtls") == 0 ? &im->no_dtls
						   : &im->no_tcp) = true;
		im->report->n_taken++;
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

static bool has_tls(const struct import *im)
{
	return im->certificate != NULL && im->key != NULL && !im->no_tls;
}

static void put_listener(FILE *out, const char *address, unsigned port, const char *rest)
{
	fputs("  - address: ", out);
	put_text(out, address, strlen(address));
	fprintf(out, "\n    port: %u\n%s", port, rest);
}

// coturn takes UDP and TCP on one port, and TLS on another once it has a certificate.
static void put_listeners(FILE *out, const struct import *im, const char *address)
{
	unsigned port = im->port != 0 ? im->port : 3478;

	put_listener(out, address, port, "");
	if (!im->no_tcp)
		put_listener(out, address, port, "    transport: tcp\n");
	if (has_tls(im))
		put_listener(out, address, im->tls_port != 0 ? im->tls_port : 5349,
			     "    transport: tls\n");
	if (im->proxy_port != 0)
		put_listener(out, address, im->proxy_port,
			     "    transport: tcp\n    proxy_protocol: true\n");
}

static void write_yaml(const struct import *im, const char *interface, FILE *out)
{
	const struct values *relays = im->relay_ip.n > 0 ? &im->relay_ip : &im->listening_ip;

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
	for (unsigned i = 0; i < im->listening_ip.n; i++)
		put_listeners(out, im, im->listening_ip.value[i]);
	if (im->listening_ip.n == 0)
		put_listeners(out, im, "203.0.113.10");
	if (has_tls(im)) {
		fputs("tls:\n  certificate: ", out);
		put_text(out, im->certificate, strlen(im->certificate));
		fputs("\n  key: ", out);
		put_text(out, im->key, strlen(im->key));
		fprintf(out, "\n  dtls: %s\n", im->no_dtls ? "false" : "true");
	}
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
	if (im->redis != NULL) {
		fputs("redis:\n  url: ", out);
		put_text(out, im->redis, strlen(im->redis));
		fprintf(out, "\n%s", im->redis_statistics ? "  statistics: true\n" : "");
	}
	if (im->max_bps != 0)
		fprintf(out, "limits:\n  bytes_per_second_per_allocation: %u\n", im->max_bps);
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
	} else if (im->users.n == 0 && im->secrets.n == 0 && im->redis == NULL) {
		ret = -EINVAL;
		snprintf(error, error_bytes,
			 "the file has neither user=, static-auth-secret= nor redis-userdb=, and "
			 "Turnpike relays for nobody without credentials");
	} else {
		write_yaml(im, interface != NULL ? interface : "eth0", out);
	}
	if (line != NULL)
		explicit_bzero(line, room);
	free(line);
	free(im->realm);
	free(im->certificate);
	free(im->key);
	free(im->redis);
	values_free(&im->listening_ip);
	values_free(&im->relay_ip);
	values_free(&im->users);
	values_free(&im->secrets);
	values_free(&im->allowed);
	values_free(&im->denied);
	free(im);
	return ret;
}
