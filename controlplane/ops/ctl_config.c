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

static json_t *limits(const struct config *c)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "punt_per_source_per_second",
		(json_int_t)c->punt_per_source_per_sec, "punt_burst",
		(json_int_t)c->punt_burst_pkts, "filter_stun_per_source_per_second",
		(json_int_t)c->filter_stun_per_source_per_sec, "filter_stun_burst",
		(json_int_t)c->filter_stun_burst_pkts, "permissions_per_allocation",
		(json_int_t)c->permissions_per_allocation, "channels_per_allocation",
		(json_int_t)c->channels_per_allocation, "new_peers_per_second_per_allocation",
		(json_int_t)c->new_peers_per_s_per_allocation, "bytes_per_second_per_allocation",
		(json_int_t)c->bytes_per_s_per_allocation, "bytes_per_second_per_user",
		(json_int_t)c->bytes_per_s_per_user);
}

static json_t *alternates(const struct config *c)
{
	json_t *servers = json_array();

	for (uint32_t i = 0; i < c->n_alternates; i++) {
		const struct config_alternate *a = &c->alternates[i];

		json_array_append_new(
			servers, json_pack("{s:o, s:i, s:i, s:I, s:s?}", "address",
					   ctl_address(&a->address), "port", (int)ntohs(a->port_be),
					   "tls_port", (int)ntohs(a->tls_port_be), "weight",
					   (json_int_t)a->weight, "domain", a->domain));
	}
	return json_pack("{s:s, s:I, s:o}", "mode", c->alternates_balance ? "balance" : "draining",
			 "own_weight", (json_int_t)c->alternates_own_weight, "servers", servers);
}

// Named and ordered as in the file.
json_t *ctl_config_show(struct ctl_call *call)
{
	const struct config *c = call->engine->config;
	json_t *o = json_object();

	json_object_set_new(o, "file", json_string(call->engine->config_path));
	json_object_set_new(o, "instance", json_string(c->instance));
	json_object_set_new(o, "realm", json_string(c->realm));
	json_object_set_new(o, "software_attribute", json_boolean(c->software_attribute));
	json_object_set_new(o, "rfc5766_channels", json_boolean(c->rfc5766_channels));
	json_object_set_new(o, "listeners", endpoints(c));
	json_object_set_new(o, "relay", relays(c));
	json_object_set_new(o, "users", users(c));
	json_object_set_new(o, "n_users", json_integer(c->n_users));
	json_object_set_new(o, "n_rest_secrets", json_integer(c->n_rest_secrets));
	json_object_set_new(o, "has_nonce_secret", json_boolean(c->nonce_secret));
	json_object_set_new(o, "lifetime_max_seconds", json_integer(c->lifetime_max_s));
	json_object_set_new(o, "mobility", json_boolean(c->mobility));
	json_object_set_new(o, "alternate_servers", alternates(c));
	json_object_set_new(o, "quota",
			    json_pack("{s:I, s:I}", "total", (json_int_t)c->quota_total, "per_user",
				      (json_int_t)c->quota_per_user));
	json_object_set_new(o, "peers",
			    json_pack("{s:o, s:o}", "allow", rules(c, SHM_PEER_ALLOW), "deny",
				      rules(c, SHM_PEER_DENY)));
	json_object_set_new(o, "ports", ports(c));
	json_object_set_new(o, "workers", workers(c));
	json_object_set_new(o, "memory_mb", json_integer(c->memory_mb));
	json_object_set_new(o, "tables",
			    json_pack("{s:I, s:I}", "max_allocations",
				      (json_int_t)c->max_allocations, "max_flows",
				      (json_int_t)c->max_flows));
	json_object_set_new(o, "limits", limits(c));
	json_object_set_new(o, "filter", json_pack("{s:b}", "answer_stun", c->filter_answers_stun));
	return o;
}
