// Reads which listeners serve NAT behaviour discovery (RFC 5780): for each entry two addresses with two ports, whose four
// combinations are listeners. Main thread.
#include <arpa/inet.h>
#include <errno.h>

#include "controlplane/config/reader.h"

#define PORT_DEFAULT           3478
#define ALTERNATE_PORT_DEFAULT 3479

static int read_address(struct config_reader *r, const char *text, struct ip_address *out)
{
	char quoted[CONFIG_QUOTE_BYTES];

	if (ip_address_parse(text, out) < 0)
		return config_fail(r, "%s is no IP address; name that of a listener",
				   config_quote(text, quoted));
	return 0;
}

// The listener there, or NULL with the fault filled. The key must be set.
static struct config_listener *find_listener(struct config_reader *r, uint32_t entry,
					     const struct ip_address *address, uint16_t port)
{
	struct ip_endpoint wanted = { .address = *address, .port_be = htons(port) };
	char text[IP_ENDPOINT_TEXT_MAX];

	for (uint32_t i = 0; i < r->config->n_listeners; i++) {
		struct config_listener *l = &r->config->listeners[i];

		if (!ip_endpoint_equal(&l->endpoint, &wanted))
			continue;
		if (!l->has_other)
			return l;
		config_at(r, "nat_discovery[%u]", entry);
		config_fail(r, "%s is part of another entry already; give each listener to one",
			    ip_endpoint_format(&wanted, text, sizeof(text)));
		return NULL;
	}
	config_at(r, "nat_discovery[%u]", entry);
	config_fail(
		r,
		"no listener for UDP at %s, but both addresses are needed with both ports; add it "
		"to listeners",
		ip_endpoint_format(&wanted, text, sizeof(text)));
	return NULL;
}

static int read_entry(struct config_reader *r, uint32_t i)
{
	const struct file_nat_discovery *f = &r->file->nat_discovery[i];
	struct config_listener *l[4];
	struct ip_address address[2];
	uint32_t port[2];
	int ret;

	config_at(r, "nat_discovery[%u].address", i);
	ret = read_address(r, f->address, &address[0]);
	if (ret < 0)
		return ret;
	config_at(r, "nat_discovery[%u].port", i);
	ret = config_number(r, f->port, PORT_DEFAULT, 1, 65535, &port[0]);
	if (ret < 0)
		return ret;
	config_at(r, "nat_discovery[%u].alternate_port", i);
	ret = config_number(r, f->alternate_port, ALTERNATE_PORT_DEFAULT, 1, 65535, &port[1]);
	if (ret < 0)
		return ret;
	if (port[0] == port[1])
		return config_fail(r,
				   "the same as port; use another one, as clients must see both");
	config_at(r, "nat_discovery[%u].alternate_address", i);
	ret = read_address(r, f->alternate_address, &address[1]);
	if (ret < 0)
		return ret;
	if (ip_address_equal(&address[0], &address[1]))
		return config_fail(r, "the same as address; use a second address of this host");
	if (ip_address_is_v4(&address[0]) != ip_address_is_v4(&address[1]))
		return config_fail(r, "of another family than address; use two of one family, and "
				      "another entry for the other");
	for (uint32_t k = 0; k < 4; k++) {
		l[k] = find_listener(r, i, &address[k & 1], (uint16_t)port[k >> 1]);
		if (!l[k])
			return -EINVAL;
	}
	for (uint32_t k = 0; k < 4; k++) {
		l[k]->has_other = true;
		l[k]->other_idx = (uint8_t)(l[3 - k] - r->config->listeners);
	}
	return 0;
}

int config_read_nat_discovery(struct config_reader *r)
{
	for (uint32_t i = 0; i < r->file->n_nat_discovery; i++) {
		int ret = read_entry(r, i);

		if (ret < 0)
			return ret;
	}
	return 0;
}
