// RTM_*NEIGH messages. Control plane's loop thread.
#include "controlplane/net/neighbours.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#define USABLE (NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)

bool neighbour_parse(const struct nlmsghdr *m, struct neighbour_event *out)
{
	static const uint8_t no_mac[6];
	const struct ndmsg *nd = mnl_nlmsg_get_payload(m);
	const struct nlattr *a;
	bool has_address = false, has_mac = false;

	if ((m->nlmsg_type != RTM_NEWNEIGH && m->nlmsg_type != RTM_DELNEIGH) ||
	    mnl_nlmsg_get_payload_len(m) < sizeof(*nd) ||
	    (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6))
		return false;
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)nd->ndm_ifindex;
	mnl_attr_for_each(a, m, sizeof(*nd))
	{
		uint16_t bytes = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == NDA_DST) {
			has_address =
				netlink_get_address(mnl_attr_get_payload(a), bytes, &out->address);
		} else if (mnl_attr_get_type(a) == NDA_LLADDR && bytes == 6) {
			memcpy(out->mac, mnl_attr_get_payload(a), 6);
			has_mac = memcmp(out->mac, no_mac, 6) != 0;
		}
	}
	if (!has_address)
		return false;
	if (m->nlmsg_type == RTM_DELNEIGH)
		out->kind = NEIGHBOUR_OTHER;
	else if (nd->ndm_state & USABLE)
		out->kind = has_mac ? NEIGHBOUR_RESOLVED : NEIGHBOUR_OTHER;
	else
		out->kind = nd->ndm_state & NUD_FAILED ? NEIGHBOUR_FAILED : NEIGHBOUR_OTHER;
	return true;
}

struct getting {
	struct neighbour_event *out;
	bool is_found;
};

static void on_neighbour(void *arg, const struct nlmsghdr *m)
{
	struct getting *g = arg;

	g->is_found = neighbour_parse(m, g->out);
}

int neighbour_get(struct netlink *n, const struct ip_address *a, uint32_t ifindex,
		  struct neighbour_event *out)
{
	struct getting g = { .out = out };
	struct nlmsghdr *request;
	struct ndmsg *nd;
	int ret;

	request = netlink_request(n, RTM_GETNEIGH, 0, sizeof(*nd), (void **)&nd);
	nd->ndm_family = netlink_family(a);
	nd->ndm_ifindex = (int)ifindex;
	netlink_put_address(request, NDA_DST, a);
	ret = netlink_ask(n, request, on_neighbour, &g);
	if (ret < 0)
		return ret;
	return g.is_found ? 0 : -ENOENT;
}

void neighbour_touch(struct netlink *n, const struct ip_address *a, uint32_t ifindex)
{
	struct nlmsghdr *request;
	struct ndmsg *nd;

	request = netlink_request(n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(*nd),
				  (void **)&nd);
	nd->ndm_family = netlink_family(a);
	nd->ndm_ifindex = (int)ifindex;
	nd->ndm_state = NUD_NONE;
	nd->ndm_flags = NTF_USE;
	netlink_put_address(request, NDA_DST, a);
	netlink_tell(n, request);
}

int neighbour_dump(struct netlink *n, void (*fn)(void *arg, const struct nlmsghdr *m), void *arg)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int ret = 0;

	for (size_t i = 0; i < sizeof(families) && ret == 0; i++) {
		struct ndmsg *nd;
		struct nlmsghdr *request =
			netlink_request(n, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*nd), (void **)&nd);

		nd->ndm_family = families[i];
		ret = netlink_ask(n, request, fn, arg);
	}
	return ret;
}
