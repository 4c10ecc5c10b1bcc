// config show: the configuration in force, without any secret. Control plane's loop thread.
#include <arpa/inet.h>
#include <string.h>

#include "controlplane/ops/ctl_verbs.h"

static json_t *endpoints(const struct config *c)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_listeners; i++)
		json_array_append_new(array, ctl_endpoint(&c->listeners[i].endpoint));
	return array;
}

static json_t *relays(const struct config *c)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_relays; i++)
		json_array_append_new(array, ctl_address(&c->relays[i].address));
	return json_pack("{s:o, s:i, s:i}", "addresses", array, "min_port", c->relay_port_min,
			 "max_port", c->relay_port_max);
}

// Names only, and not all of a large base.
#define USERS_SHOWN_MAX 1000
static json_t *users(const struct config *c)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_users && i < USERS_SHOWN_MAX; i++)
		json_array_append_new(array, ctl_text(c->users[i].name, strlen(c->users[i].name)));
	return array;
}

static json_t *rules(const struct config *c, uint8_t action)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_peer_rules; i++) {
		const struct ip_prefix *p = &c->peer_rules[i].prefix;
		char text[IP_ENDPOINT_TEXT_MAX];
		int bits = p->length_bits;

		if (c->peer_rules[i].action != action)
			continue;
		if (ip_address_is_v4(&p->address) && bits >= 96)
			bits -= 96;
		json_array_append_new(
			array,
			json_sprintf("%s/%d", ip_address_format(&p->address, text, sizeof(text)),
				     bits));
	}
	return array;
}

static json_t *ports(const struct config *c)
{
	static const char *const paths[SHM_KERNEL_PATH_COUNT] = { "none", "beside", "tap" };
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_ports; i++) {
		const struct config_port *p = &c->ports[i];

		json_array_append_new(
			array,
			json_pack("{s:s, s:s, s:i, s:i, s:s, s:o, s:i}", "device",
				  p->settings.device, "interface", p->settings.interface, "queues",
				  (int)p->settings.n_queues, "mtu", (int)p->settings.mtu_bytes,
				  "kernel_path", paths[p->settings.kernel_path], "gateway_mac",
				  p->has_gateway_mac ? ctl_mac(p->gateway_mac) : json_null(),
				  "vlan", (int)p->vlan_id));
	}
	return array;
}

static json_t *workers(const struct config *c)
{
	json_t *cpus = json_array();

	for (uint32_t i = 0; i < c->n_workers; i++)
		json_array_append_new(cpus, c->worker_cpu[i] == UINT32_MAX
						    ? json_null()
						    : json_integer(c->worker_cpu[i]));
	return json_pack("{s:I, s:o, s:s}", "count", (json_int_t)c->n_workers, "cpus", cpus, "idle",
			 c->idle == SHM_IDLE_POLL ? "poll" : "adaptive");
}

json_t *ctl_config_show(struct ctl_call *call)
{
	const struct engine *e = call->engine;
	const struct config *c = e->config;
	json_t *o = json_pack(
		"{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:I, s:I, s:b, s:I, s:{s:I, s:I}, "
		"s:{s:o, "
		"s:o}, "
		"s:o, s:o, s:I, s:{s:I, s:I}, s:{s:I, s:I, s:I, s:I}, s:{s:b}}",
		"file", e->config_path, "instance", c->instance, "realm", c->realm,
		"software_attribute", c->software_attribute, "rfc5766_channels",
		c->rfc5766_channels, "listeners", endpoints(c), "relay", relays(c), "users",
		users(c), "n_users", (json_int_t)c->n_users, "n_rest_secrets",
		(json_int_t)c->n_rest_secrets, "has_nonce_secret", c->nonce_secret != NULL,
		"lifetime_max_seconds", (json_int_t)c->lifetime_max_s, "quota", "total",
		(json_int_t)c->quota_total, "per_user", (json_int_t)c->quota_per_user, "peers",
		"allow", rules(c, SHM_PEER_ALLOW), "deny", rules(c, SHM_PEER_DENY), "ports",
		ports(c), "workers", workers(c), "memory_mb", (json_int_t)c->memory_mb, "tables",
		"max_allocations", (json_int_t)c->max_allocations, "max_flows",
		(json_int_t)c->max_flows, "limits", "punt_per_source_per_second",
		(json_int_t)c->punt_per_source_per_sec, "punt_burst",
		(json_int_t)c->punt_burst_pkts, "filter_stun_per_source_per_second",
		(json_int_t)c->filter_stun_per_source_per_sec, "filter_stun_burst",
		(json_int_t)c->filter_stun_burst_pkts, "filter", "answer_stun",
		c->filter_answers_stun);

	return o;
}
