// RTM_GETROUTE for one destination. Control plane's loop thread.
#include "controlplane/net/routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

static void on_route(void *arg, const struct nlmsghdr *m)
{
	const struct rtmsg *r = mnl_nlmsg_get_payload(m);
	struct route *out = arg;
	const struct nlattr *a;

	if (m->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(m) < sizeof(*r))
		return;
	switch (r->rtm_type) {
	case RTN_UNICAST:
		out->kind = ROUTE_UNICAST;
		break;
	case RTN_LOCAL:
		out->kind = ROUTE_LOCAL;
		break;
	default:
		return;
	}
	mnl_attr_for_each(a, m, sizeof(*r))
	{
		const uint8_t *payload = mnl_attr_get_payload(a);
		uint16_t bytes = mnl_attr_get_payload_len(a);

		switch (mnl_attr_get_type(a)) {
		case RTA_OIF:
			if (bytes >= sizeof(uint32_t))
				out->ifindex = mnl_attr_get_u32(a);
			break;
		case RTA_GATEWAY:
			netlink_get_address(payload, bytes, &out->next_hop);
			break;
		case RTA_VIA: // family, address: an IPv4 route through an IPv6 gateway
			if (bytes > 2)
				netlink_get_address(payload + 2, bytes - 2, &out->next_hop);
			break;
		default:
			break;
		}
	}
}

int route_lookup(struct netlink *n, const struct ip_address *destination, struct route *out)
{
	struct nlmsghdr *request;
	struct rtmsg *r;
	int ret;

	*out = (struct route){ .kind = ROUTE_NONE, .next_hop = *destination };
	request = netlink_request(n, RTM_GETROUTE, 0, sizeof(*r), (void **)&r);
	r->rtm_family = netlink_family(destination);
	r->rtm_dst_len = r->rtm_family == AF_INET ? 32 : 128;
	netlink_put_address(request, RTA_DST, destination);
	ret = netlink_ask(n, request, on_route, out);
	if (ret == -ENETUNREACH || ret == -EHOSTUNREACH || ret == -EACCES || ret == -EINVAL)
		return 0;
	return ret;
}
