// Reads alternate_servers: where new clients are sent (300, Try Alternate). Main thread.
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"

#define ALTERNATES_MAX   64
#define WEIGHT_MOST      100
#define PLAIN_PORT       3478 // RFC 8656 §4
#define TLS_PORT         5349
#define DOMAIN_BYTES_MAX 253 // RFC 1035 §2.3.4

static int read_server(struct config_reader *r, const struct file_alternate *f, uint32_t i,
		       struct config_alternate *out)
{
	char quoted[CONFIG_QUOTE_BYTES];
	uint32_t port;
	int ret;

	config_at(r, "alternate_servers.servers[%u].address", i);
	if (ip_address_parse(f->address, &out->address) < 0)
		return config_fail(r,
				   "%s is no IP address; write it as in 203.0.113.5 or 2001:db8::5",
				   config_quote(f->address, quoted));
	for (uint32_t j = 0; j < r->config->n_listeners; j++)
		if (ip_address_equal(&r->config->listeners[j].endpoint.address, &out->address))
			return config_fail(r,
					   "%s is listeners[%u] of this host; name other hosts "
					   "only",
					   config_quote(f->address, quoted),
					   r->config->listeners[j].file_idx);
	config_at(r, "alternate_servers.servers[%u].port", i);
	ret = config_number(r, f->port, PLAIN_PORT, 1, 65535, &port);
	if (ret < 0)
		return ret;
	out->port_be = htons((uint16_t)port);
	config_at(r, "alternate_servers.servers[%u].tls_port", i);
	ret = config_number(r, f->tls_port, TLS_PORT, 1, 65535, &port);
	if (ret < 0)
		return ret;
	out->tls_port_be = htons((uint16_t)port);
	config_at(r, "alternate_servers.servers[%u].weight", i);
	ret = config_number(r, f->weight, 1, 1, WEIGHT_MOST, &out->weight);
	if (ret < 0)
		return ret;
	config_at(r, "alternate_servers.servers[%u].domain", i);
	if (!f->domain)
		return 0;
	if (!*f->domain || strlen(f->domain) > DOMAIN_BYTES_MAX || !config_is_printable(f->domain))
		return config_fail(r, "%s is no domain name; write it as in turn2.example.org",
				   config_quote(f->domain, quoted));
	out->domain = strdup(f->domain);
	return out->domain ? 0 : -ENOMEM;
}

int config_read_alternates(struct config_reader *r)
{
	const struct file_alternates *f = r->file->alternate_servers;
	struct config *c = r->config;
	char quoted[CONFIG_QUOTE_BYTES];
	int ret;

	if (!f)
		return 0;
	config_at(r, "alternate_servers.mode");
	c->alternates_balance = f->mode && strcmp(f->mode, "balance") == 0;
	if (f->mode && !c->alternates_balance && strcmp(f->mode, "draining") != 0)
		return config_fail(r,
				   "%s is neither draining (only then clients are sent away) nor "
				   "balance (always, by weight)",
				   config_quote(f->mode, quoted));
	config_at(r, "alternate_servers.own_weight");
	ret = config_number(r, f->own_weight, 1, 0, WEIGHT_MOST, &c->alternates_own_weight);
	if (ret < 0)
		return ret;
	config_at(r, "alternate_servers.servers");
	if (f->n_servers == 0 || f->n_servers > ALTERNATES_MAX)
		return config_fail(r, "%u servers; name 1 to %u", f->n_servers, ALTERNATES_MAX);
	c->alternates = calloc(f->n_servers, sizeof(*c->alternates));
	if (!c->alternates)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_servers; i++) {
		c->n_alternates++;
		ret = read_server(r, &f->servers[i], i, &c->alternates[i]);
		if (ret < 0)
			return ret;
	}
	return 0;
}
