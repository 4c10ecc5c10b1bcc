// Addresses of benchmark flows by index. Pure, any thread.
#include "bench/blast/flow_plan.h"

#include <errno.h>

#include "dataplane/contract/wire/bytes.h"

const uint8_t flow_plan_relay_mac[6] = { 0x02, 0x00, 0xc6, 0x12, 0x00, 0x02 };
const uint8_t flow_plan_outside_mac[6] = { 0x02, 0x00, 0xc6, 0x12, 0x00, 0x99 };

static struct ip_endpoint endpoint_v4(uint32_t address, uint32_t port)
{
	struct ip_endpoint e;
	uint8_t v4[4];

	bytes_put_be32(v4, address);
	e.address = ip_address_from_v4(v4);
	bytes_put_be16(&e.port_be, (uint16_t)port);
	return e;
}

// fd00:18:<third>:<fourth>::<low>
static struct ip_endpoint endpoint_v6(uint16_t third, uint16_t fourth, uint32_t low, uint32_t port)
{
	struct ip_endpoint e = { .address = { { 0xfd, 0x00, 0x00, 0x18 } } };

	bytes_put_be16(e.address.bytes + 4, third);
	bytes_put_be16(e.address.bytes + 6, fourth);
	bytes_put_be32(e.address.bytes + 12, low);
	bytes_put_be16(&e.port_be, (uint16_t)port);
	return e;
}

static struct ip_endpoint relayed_endpoint(const struct flow_plan *p, uint32_t i)
{
	uint32_t address_idx = i / FLOW_PLAN_RELAY_PORTS % FLOW_PLAN_RELAYS + 1;
	uint32_t port = FLOW_PLAN_RELAY_PORT_MIN + i % FLOW_PLAN_RELAY_PORTS;

	if (p->peer_is_v6)
		return endpoint_v6(0, 1, address_idx, port);
	return endpoint_v4(0xc6120100u + address_idx, port);
}

void flow_plan_addresses(const struct flow_plan *p, uint32_t i, struct flow_addresses *out)
{
	if (p->client_is_v6) {
		out->client = endpoint_v6(2, 0, i + 1, 20000);
		out->listener = endpoint_v6(0, 0, 2, FLOW_PLAN_LISTENER_PORT);
	} else {
		out->client = endpoint_v4(0xc6130000u | (i & 0xffff), 20000 + (i >> 16));
		out->listener = endpoint_v4(0xc6120002u, FLOW_PLAN_LISTENER_PORT);
	}
	out->relayed = relayed_endpoint(p, i);
	if (p->is_hairpin)
		out->peer = relayed_endpoint(p, i ^ 1);
	else if (p->peer_is_v6)
		out->peer = endpoint_v6(3, 0, i + 1, 30000);
	else
		out->peer = endpoint_v4(0xc6128000u | (i & 0x7fff), 30000 + (i >> 15));
	out->channel = (uint16_t)(0x4000 + (i & 0xfff));
}

int flow_plan_family_parse(const char *text, struct flow_plan *out)
{
	static const struct {
		const char *name;
		bool client_is_v6;
		bool peer_is_v6;
	} families[] = {
		{ "v4", false, false },
		{ "v6", true, true },
		{ "v4v6", false, true },
		{ "v6v4", true, false },
	};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		if (strcmp(text, families[i].name) == 0) {
			out->client_is_v6 = families[i].client_is_v6;
			out->peer_is_v6 = families[i].peer_is_v6;
			return 0;
		}
	}
	return -EINVAL;
}
