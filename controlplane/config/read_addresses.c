// Reads listeners, relayed addresses and the rules about peers. Main thread.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"

#define PORT_DEFAULT       3478 // RFC 8656 §4
#define RELAY_PORT_MIN     49152
#define RELAY_PORT_MAX     65535
#define RELAY_PORT_ALLOWED 1024 // RFC 8656 §7.2: never from the well-known ports

// An address of this host that packets can be sent to and from.
static int read_own_address(struct config_reader *r, const char *text, struct ip_address *out)
{
	char quoted[CONFIG_QUOTE_BYTES];

	if (ip_address_parse(text, out) < 0)
		return config_fail(r,
				   "%s is no IP address; write it as in 203.0.113.5 or "
				   "2001:db8::5, without port or brackets",
				   config_quote(text, quoted));
	switch (ip_address_classify(out)) {
	case IP_CLASS_UNSPECIFIED:
		return config_fail(r,
				   "%s stands for every address; name each address that the "
				   "ports carry",
				   config_quote(text, quoted));
	case IP_CLASS_LOOPBACK:
	case IP_CLASS_MULTICAST:
	case IP_CLASS_BROADCAST:
		return config_fail(r,
				   "%s is no address that packets from the network reach; use "
				   "a unicast address of the ports",
				   config_quote(text, quoted));
	default:
		return 0;
	}
}

int config_read_listeners(struct config_reader *r)
{
	const struct file_config *f = r->file;
	struct config *c = r->config;
	int ret;

	config_at(r, "listeners");
	if (f->n_listeners == 0)
		return config_fail(r, "the list is empty; add '- address: IP'");
	if (f->n_listeners > SHM_LISTENERS_MAX)
		return config_fail(r, "%u listeners; at most %d are possible", f->n_listeners,
				   SHM_LISTENERS_MAX);
	c->listeners = calloc(f->n_listeners, sizeof(*c->listeners));
	if (!c->listeners)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_listeners; i++) {
		struct config_listener *l = &c->listeners[c->n_listeners];
		struct ip_endpoint *e = &l->endpoint;
		uint32_t port;

		if (config_is_stream_listener(&f->listeners[i]))
			continue;
		l->file_idx = i;
		config_at(r, "listeners[%u].address", i);
		ret = read_own_address(r, f->listeners[i].address, &e->address);
		if (ret < 0)
			return ret;
		config_at(r, "listeners[%u].port", i);
		ret = config_number(r, f->listeners[i].port, PORT_DEFAULT, 1, 65535, &port);
		if (ret < 0)
			return ret;
		e->port_be = htons((uint16_t)port);
		config_at(r, "listeners[%u].realm", i);
		ret = config_realm_find(r, f->listeners[i].realm, &l->realm_idx);
		if (ret < 0)
			return ret;
		for (uint32_t j = 0; j < c->n_listeners; j++)
			if (ip_endpoint_equal(&c->listeners[j].endpoint, e)) {
				char text[IP_ENDPOINT_TEXT_MAX];

				config_at(r, "listeners[%u]", i);
				return config_fail(r,
						   "%s is listed twice (also listeners[%u]); "
						   "remove one or change its port",
						   ip_endpoint_format(e, text, sizeof(text)),
						   c->listeners[j].file_idx);
			}
		c->n_listeners++;
	}
	config_at(r, "listeners");
	if (c->n_listeners == 0)
		return config_fail(r,
				   "none of them takes UDP, which most clients come over and the "
				   "workers need; add '- address: IP' without transport");
	return 0;
}

static int relay_keeps_off_listeners(struct config_reader *r, uint32_t relay_idx)
{
	const struct config *c = r->config;

	for (uint32_t i = 0; i < c->n_listeners; i++) {
		const struct ip_endpoint *l = &c->listeners[i].endpoint;
		uint16_t port = ntohs(l->port_be);

		if (!ip_address_equal(&l->address, &c->relays[relay_idx].address) ||
		    port < c->relay_port_min || port > c->relay_port_max)
			continue;
		return config_fail(r,
				   "the relayed ports %u-%u cover listeners[%u] (port %u) on "
				   "the same address; move the range or the listener",
				   c->relay_port_min, c->relay_port_max, c->listeners[i].file_idx,
				   port);
	}
	return 0;
}

static int read_relay_ports(struct config_reader *r)
{
	const struct file_relay *f = r->file->relay;
	uint32_t min, max;
	int ret;

	config_at(r, "relay.min_port");
	ret = config_number(r, f->min_port, RELAY_PORT_MIN, RELAY_PORT_ALLOWED, 65535, &min);
	if (ret < 0)
		return ret;
	config_at(r, "relay.max_port");
	ret = config_number(r, f->max_port, RELAY_PORT_MAX, RELAY_PORT_ALLOWED, 65535, &max);
	if (ret < 0)
		return ret;
	config_at(r, f->min_port ? "relay.min_port" : "relay.max_port");
	if (min > max)
		return config_fail(r, "the range %u-%u is empty; min_port must not exceed max_port",
				   min, max);
	r->config->relay_port_min = (uint16_t)min;
	r->config->relay_port_max = (uint16_t)max;
	return 0;
}

// How many of the addresses before it differ from each other and from all relayed ones: the locals
// of the tables.
static uint32_t n_locals(const struct config *c)
{
	uint32_t n = c->n_relays;

	for (uint32_t i = 0; i < c->n_listeners; i++) {
		const struct ip_address *a = &c->listeners[i].endpoint.address;
		bool is_new = true;

		for (uint32_t j = 0; j < i && is_new; j++)
			is_new = !ip_address_equal(a, &c->listeners[j].endpoint.address);
		for (uint32_t j = 0; j < c->n_relays && is_new; j++)
			is_new = !ip_address_equal(a, &c->relays[j].address);
		n += is_new;
	}
	return n;
}

int config_read_relay(struct config_reader *r)
{
	const struct file_relay *f = r->file->relay;
	struct config *c = r->config;
	int ret;

	ret = read_relay_ports(r);
	if (ret < 0)
		return ret;
	config_at(r, "relay.addresses");
	if (f->n_addresses == 0)
		return config_fail(r, "the list is empty; add '- IP'");
	if (f->n_addresses > SHM_LOCALS_MAX)
		return config_fail(r, "%u addresses; at most %d are possible", f->n_addresses,
				   SHM_LOCALS_MAX);
	c->relays = calloc(f->n_addresses, sizeof(*c->relays));
	if (!c->relays)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_addresses; i++) {
		char quoted[CONFIG_QUOTE_BYTES];

		config_at(r, "relay.addresses[%u]", i);
		ret = read_own_address(r, f->addresses[i], &c->relays[i].address);
		if (ret < 0)
			return ret;
		for (uint32_t j = 0; j < i; j++)
			if (ip_address_equal(&c->relays[i].address, &c->relays[j].address))
				return config_fail(r,
						   "%s is listed twice (also "
						   "relay.addresses[%u]); remove one",
						   config_quote(f->addresses[i], quoted), j);
		ret = relay_keeps_off_listeners(r, i);
		if (ret < 0)
			return ret;
		c->n_relays = i + 1;
	}
	config_at(r, "relay.addresses");
	if (n_locals(c) > SHM_LOCALS_MAX)
		return config_fail(r,
				   "listeners and relay use %u addresses; at most %d are "
				   "possible",
				   n_locals(c), SHM_LOCALS_MAX);
	return 0;
}

// `key` is the list's, as in "peers.allow".
static int read_rules(struct config_reader *r, const char *key, char **texts, uint32_t n,
		      uint8_t action, uint8_t realm_idx)
{
	struct config *c = r->config;

	for (uint32_t i = 0; i < n; i++) {
		struct config_peer_rule *rule = &c->peer_rules[c->n_peer_rules];
		char quoted[CONFIG_QUOTE_BYTES];

		config_at(r, "%s[%u]", key, i);
		if (ip_prefix_parse(texts[i], &rule->prefix) < 0)
			return config_fail(r,
					   "%s is no prefix; write it as in 10.0.0.0/8 or "
					   "fd00::/8, with no bit set behind the length",
					   config_quote(texts[i], quoted));
		rule->action = action;
		rule->realm_idx = realm_idx;
		for (uint32_t j = 0; j < c->n_peer_rules; j++) {
			const struct config_peer_rule *other = &c->peer_rules[j];

			if (other->realm_idx != rule->realm_idx ||
			    other->prefix.length_bits != rule->prefix.length_bits ||
			    !ip_address_equal(&other->prefix.address, &rule->prefix.address))
				continue;
			if (other->action == rule->action)
				return config_fail(r, "%s is listed twice; remove one",
						   config_quote(texts[i], quoted));
			return config_fail(r, "%s is both allowed and denied; remove one",
					   config_quote(texts[i], quoted));
		}
		c->n_peer_rules++;
	}
	return 0;
}

int config_read_peers(struct config_reader *r)
{
	static const struct file_peers none;
	const struct file_peers *f = r->file->peers ? r->file->peers : &none;
	uint64_t n = (uint64_t)f->n_allow + f->n_deny;
	int ret;

	for (uint32_t i = 0; i < r->file->n_realms; i++) {
		if (r->file->realms[i].peers)
			n += (uint64_t)r->file->realms[i].peers->n_allow +
			     r->file->realms[i].peers->n_deny;
	}
	config_at(r, "peers");
	if (n > SHM_PEER_RULES_MAX)
		return config_fail(r, "%lu rules; at most %d are possible, so join prefixes",
				   (unsigned long)n, SHM_PEER_RULES_MAX);
	if (n == 0)
		return 0;
	r->config->peer_rules = calloc(n, sizeof(*r->config->peer_rules));
	if (!r->config->peer_rules)
		return -ENOMEM;
	ret = read_rules(r, "peers.allow", f->allow, f->n_allow, SHM_PEER_ALLOW, SHM_REALM_ANY);
	if (ret == 0)
		ret = read_rules(r, "peers.deny", f->deny, f->n_deny, SHM_PEER_DENY, SHM_REALM_ANY);
	for (uint32_t i = 0; ret == 0 && i < r->file->n_realms; i++) {
		char key[48];

		f = r->file->realms[i].peers;
		if (!f)
			continue;
		snprintf(key, sizeof(key), "realms[%u].peers.allow", i);
		ret = read_rules(r, key, f->allow, f->n_allow, SHM_PEER_ALLOW, (uint8_t)(i + 1));
		if (ret < 0)
			break;
		snprintf(key, sizeof(key), "realms[%u].peers.deny", i);
		ret = read_rules(r, key, f->deny, f->n_deny, SHM_PEER_DENY, (uint8_t)(i + 1));
	}
	return ret;
}
