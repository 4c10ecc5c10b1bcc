// Reading interfaces over rtnetlink. Control plane's loop thread.
#include "controlplane/net/links.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct loading {
	struct links *links;
	const struct config *config;
	bool wants_vlans; // second pass: VLAN interfaces on the ports found in the first
};

static void link_add(struct links *l, uint32_t ifindex, const char *name, uint8_t port_idx,
		     uint16_t vlan_id)
{
	struct link_entry *e;

	if (l->n_entries == LINKS_MAX || links_find(l, ifindex) != NULL)
		return;
	e = &l->entry[l->n_entries++];
	e->ifindex = ifindex;
	e->port_idx = port_idx;
	e->vlan_id = vlan_id;
	strncpy(e->name, name, sizeof(e->name) - 1);
	e->name[sizeof(e->name) - 1] = '\0';
}

// The VLAN id in IFLA_LINKINFO, 0 when the interface is no VLAN.
static uint16_t vlan_id_of(const struct nlattr *linkinfo)
{
	const struct nlattr *a, *data;
	uint16_t vlan_id = 0;
	bool is_vlan = false;

	mnl_attr_for_each_nested(a, linkinfo)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			is_vlan = strncmp(mnl_attr_get_str(a), "vlan", 5) == 0;
		if (mnl_attr_get_type(a) != IFLA_INFO_DATA || !is_vlan)
			continue;
		mnl_attr_for_each_nested(data, a)
		{
			if (mnl_attr_get_type(data) == IFLA_VLAN_ID &&
			    mnl_attr_get_payload_len(data) >= sizeof(uint16_t))
				vlan_id = mnl_attr_get_u16(data);
		}
	}
	return vlan_id;
}

static void on_link(void *arg, const struct nlmsghdr *m)
{
	struct loading *loading = arg;
	const struct config *config = loading->config;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(m);
	const struct link_entry *parent;
	const struct nlattr *a;
	const char *name = "";
	uint32_t parent_ifindex = 0;
	uint16_t vlan_id = 0;

	if (m->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(m) < sizeof(*info))
		return;
	mnl_attr_for_each(a, m, sizeof(*info))
	{
		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			name = mnl_attr_get_str(a);
		else if (mnl_attr_get_type(a) == IFLA_LINK)
			parent_ifindex = mnl_attr_get_u32(a);
		else if (mnl_attr_get_type(a) == IFLA_LINKINFO)
			vlan_id = vlan_id_of(a);
	}
	if (!loading->wants_vlans) {
		for (uint32_t i = 0; i < config->n_ports; i++) {
			if (strcmp(config->ports[i].settings.interface, name) == 0)
				link_add(loading->links, (uint32_t)info->ifi_index, name,
					 (uint8_t)i, config->ports[i].vlan_id);
		}
		return;
	}
	parent = links_find(loading->links, parent_ifindex);
	if (vlan_id != 0 && parent != NULL)
		link_add(loading->links, (uint32_t)info->ifi_index, name, parent->port_idx,
			 vlan_id);
}

int links_load(struct links *l, struct netlink *n, const struct config *config)
{
	struct loading loading = { .links = l, .config = config };
	int ret = 0;

	memset(l, 0, sizeof(*l));
	for (int pass = 0; pass < 2 && ret == 0; pass++) {
		struct ifinfomsg *info;
		struct nlmsghdr *request =
			netlink_request(n, RTM_GETLINK, NLM_F_DUMP, sizeof(*info), (void **)&info);

		info->ifi_family = AF_UNSPEC;
		loading.wants_vlans = pass == 1;
		ret = netlink_ask(n, request, on_link, &loading);
	}
	return ret;
}

const struct link_entry *links_find(const struct links *l, uint32_t ifindex)
{
	for (uint32_t i = 0; i < l->n_entries; i++) {
		if (l->entry[i].ifindex == ifindex)
			return &l->entry[i];
	}
	return NULL;
}
