// Reads what concerns TCP relaying (RFC 6062). Main thread.
#include "controlplane/config/reader.h"

// Each takes two descriptors, the client's side counted.
#define MAX_CONNECTIONS      4096
#define MAX_CONNECTIONS_MOST 65535 // what CONNECTION-IDs have room for
#define PER_ALLOCATION       32

int config_read_tcp_relay(struct config_reader *r)
{
	static const struct file_tcp_relay none;
	const struct file_tcp_relay *f = r->file->tcp_relay ? r->file->tcp_relay : &none;
	struct config_tcp_relay *c = &r->config->tcp_relay;
	int ret;

	c->is_enabled = f->enabled ? *f->enabled : true;
	config_at(r, "tcp_relay.max_connections");
	ret = config_number(r, f->max_connections, MAX_CONNECTIONS, 1, MAX_CONNECTIONS_MOST,
			    &c->max_connections);
	if (ret < 0)
		return ret;
	config_at(r, "tcp_relay.max_connections_per_allocation");
	ret = config_number(r, f->max_connections_per_allocation,
			    c->max_connections < PER_ALLOCATION ? c->max_connections
								: PER_ALLOCATION,
			    1, MAX_CONNECTIONS_MOST, &c->max_per_allocation);
	if (ret < 0)
		return ret;
	if (c->max_per_allocation > c->max_connections)
		return config_fail(r,
				   "%u for one allocation are more than tcp_relay.max_connections "
				   "(%u) allows for all; lower it or raise that",
				   c->max_per_allocation, c->max_connections);
	return 0;
}
