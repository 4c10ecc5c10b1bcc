// config show: the configuration in force, without any secret. Control plane's loop thread.
#include <arpa/inet.h>
#include <string.h>

#include "controlplane/ops/ctl_verbs.h"

static const char *realm_name(const struct config *c, uint8_t realm_idx)
{
	return realm_idx == 0 ? c->realm : c->realms[realm_idx - 1].name;
}

static json_t *listener(const struct config *c, const struct ip_endpoint *e, const char *transport,
			uint8_t realm_idx)
{
	return json_pack("{s:o, s:i, s:s, s:s}", "address", ctl_address(&e->address), "port",
			 (int)ntohs(e->port_be), "transport", transport, "realm",
			 realm_name(c, realm_idx));
}

static json_t *listeners(const struct config *c)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_listeners; i++)
		json_array_append_new(array, listener(c, &c->listeners[i].endpoint, "udp",
						      c->listeners[i].realm_idx));
	for (uint32_t i = 0; i < c->n_stream_listeners; i++) {
		const struct config_stream_listener *l = &c->stream_listeners[i];
		json_t *o = listener(c, &l->endpoint,
				     !l->takes_tls    ? "tcp"
				     : l->takes_plain ? "auto"
						      : "tls",
				     l->realm_idx);

		json_object_set_new(o, "proxy_protocol", json_boolean(l->has_proxy_header));
		json_array_append_new(array, o);
	}
	return array;
}

static json_t *rules(const struct config *c, uint8_t realm_idx, uint8_t action)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_peer_rules; i++) {
		const struct ip_prefix *p = &c->peer_rules[i].prefix;
		char text[IP_ENDPOINT_TEXT_MAX];
		int bits = p->length_bits;

		if (c->peer_rules[i].action != action || c->peer_rules[i].realm_idx != realm_idx)
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

static json_t *peers(const struct config *c, uint8_t realm_idx)
{
	return json_pack("{s:o, s:o}", "allow", rules(c, realm_idx, SHM_PEER_ALLOW), "deny",
			 rules(c, realm_idx, SHM_PEER_DENY));
}

static json_t *realms(const struct config *c)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_realms; i++) {
		const struct config_realm *r = &c->realms[i];

		json_array_append_new(array,
				      json_pack("{s:s, s:I, s:I, s:{s:I, s:I}, s:o}", "name",
						r->name, "n_users", (json_int_t)r->n_users,
						"n_rest_secrets", (json_int_t)r->n_rest_secrets,
						"quota", "total", (json_int_t)r->quota_total,
						"per_user", (json_int_t)r->quota_per_user, "peers",
						peers(c, (uint8_t)(i + 1))));
	}
	return array;
}

static json_t *tls(const struct config_tls *t)
{
	return json_pack("{s:s?, s:s?, s:s, s:b}", "certificate", t->certificate, "key", t->key,
			 "min_version", t->min_version > 0x0303 ? "1.3" : "1.2", "dtls",
			 t->takes_dtls);
}

static json_t *streams(const struct config_streams *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "max_connections",
			 (json_int_t)s->max_connections, "per_source_max",
			 (json_int_t)s->per_source_max, "handshakes_per_second",
			 (json_int_t)s->handshakes_per_s, "handshakes_per_source_per_second",
			 (json_int_t)s->handshakes_per_source_per_s, "handshake_timeout_seconds",
			 (json_int_t)s->handshake_timeout_s, "allocation_timeout_seconds",
			 (json_int_t)s->allocation_timeout_s, "stalled_seconds",
			 (json_int_t)s->stalled_s, "buffer_kb", (json_int_t)(s->buffer_bytes >> 10),
			 "buffer_ms", (json_int_t)s->buffer_ms, "buffer_total_mb",
			 (json_int_t)(s->buffer_total_bytes >> 20));
}

static json_t *tcp_relay(const struct config_tcp_relay *t)
{
	return json_pack("{s:b, s:I, s:I}", "enabled", t->is_enabled, "max_connections",
			 (json_int_t)t->max_connections, "max_connections_per_allocation",
			 (json_int_t)t->max_per_allocation);
}

static json_t *oauth(const struct config_oauth *a)
{
	json_t *kids = json_array();

	for (uint32_t i = 0; i < a->n_keys; i++)
		json_array_append_new(kids, ctl_text(a->keys[i].kid, strlen(a->keys[i].kid)));
	return json_pack("{s:s, s:o}", "server_name", a->server_name, "kids", kids);
}

static json_t *redis(const struct config_redis *r)
{
	return json_pack("{s:s?, s:s?, s:i, s:I, s:s?, s:I, s:b, s:I}", "path", r->path, "host",
			 r->host, "port", (int)r->port, "database", (json_int_t)r->database, "user",
			 r->user, "cache_seconds", (json_int_t)r->cache_s, "statistics",
			 r->publishes_statistics, "statistics_seconds",
			 (json_int_t)r->statistics_s);
}

static json_t *sfu(const struct config_sfu *s)
{
	json_t *codecs = json_array();

	for (uint32_t i = 0; i < s->n_codecs; i++)
		json_array_append_new(codecs, json_string(ctl_codec_name(s->codecs[i])));
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:i}", "max_sessions",
		(json_int_t)s->max_sessions, "max_tracks", (json_int_t)s->max_tracks,
		"max_subscriptions", (json_int_t)s->max_subscriptions, "max_publishers_per_room",
		(json_int_t)s->max_publishers_per_room, "max_watchers_per_room",
		(json_int_t)s->max_watchers_per_room, "codecs", codecs, "wait_for_publisher",
		s->wait_for_publisher, "last_n", (json_int_t)s->last_n, "retransmit_ms",
		(json_int_t)s->retransmit_ms, "session_timeout_seconds",
		(json_int_t)s->session_timeout_s, "start_kbps", (json_int_t)s->start_kbps,
		"max_kbps", (json_int_t)s->max_kbps, "node_id", (int)s->node_id);
}

static json_t *texts(char *const *text, uint32_t n)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(array, ctl_text(text[i], strlen(text[i])));
	return array;
}

static json_t *http(const struct config_http *h)
{
	json_t *listen = json_array();

	for (uint32_t i = 0; i < h->n_listeners; i++) {
		const struct config_http_listener *l = &h->listeners[i];

		json_array_append_new(listen,
				      json_pack("{s:o, s:i, s:b}", "address",
						ctl_address(&l->endpoint.address), "port",
						(int)ntohs(l->endpoint.port_be), "tls", l->is_tls));
	}
	return json_pack("{s:o, s:s?, s:s?, s:b, s:I, s:o, s:o, s:s?}", "listen", listen,
			 "certificate", h->certificate, "key", h->key, "require_tokens",
			 h->requires_tokens, "n_token_secrets", (json_int_t)h->n_token_secrets,
			 "allow_origins", texts(h->allow_origins, h->n_allow_origins), "turn_urls",
			 texts(h->turn_urls, h->n_turn_urls), "redirect", h->redirect);
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
		"{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "punt_per_source_per_second",
		(json_int_t)c->punt_per_source_per_sec, "punt_burst",
		(json_int_t)c->punt_burst_pkts, "filter_stun_per_source_per_second",
		(json_int_t)c->filter_stun_per_source_per_sec, "filter_stun_burst",
		(json_int_t)c->filter_stun_burst_pkts, "permissions_per_allocation",
		(json_int_t)c->permissions_per_allocation, "channels_per_allocation",
		(json_int_t)c->channels_per_allocation, "new_peers_per_second_per_allocation",
		(json_int_t)c->new_peers_per_s_per_allocation, "bytes_per_second_per_allocation",
		(json_int_t)c->bytes_per_s_per_allocation, "bytes_per_second_per_user",
		(json_int_t)c->bytes_per_s_per_user, "filter_answer_credit_bytes",
		(json_int_t)c->filter_answer_credit_bytes);
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
	json_object_set_new(o, "listeners", listeners(c));
	if (c->n_stream_listeners > 0) {
		json_object_set_new(o, "tls", tls(&c->tls));
		json_object_set_new(o, "streams", streams(&c->streams));
		json_object_set_new(o, "tcp_relay", tcp_relay(&c->tcp_relay));
	}
	json_object_set_new(o, "relay", relays(c));
	json_object_set_new(o, "users", users(c));
	json_object_set_new(o, "n_users", json_integer(c->n_users));
	json_object_set_new(o, "n_rest_secrets", json_integer(c->n_rest_secrets));
	json_object_set_new(o, "realms", realms(c));
	if (c->oauth.server_name)
		json_object_set_new(o, "oauth", oauth(&c->oauth));
	if (c->redis.is_enabled)
		json_object_set_new(o, "redis", redis(&c->redis));
	json_object_set_new(o, "has_nonce_secret", json_boolean(c->nonce_secret));
	json_object_set_new(o, "lifetime_max_seconds", json_integer(c->lifetime_max_s));
	json_object_set_new(o, "mobility", json_boolean(c->mobility));
	json_object_set_new(o, "alternate_servers", alternates(c));
	json_object_set_new(o, "quota",
			    json_pack("{s:I, s:I}", "total", (json_int_t)c->quota_total, "per_user",
				      (json_int_t)c->quota_per_user));
	json_object_set_new(o, "peers", peers(c, SHM_REALM_ANY));
	json_object_set_new(o, "ports", ports(c));
	json_object_set_new(o, "workers", workers(c));
	json_object_set_new(o, "memory_mb", json_integer(c->memory_mb));
	json_object_set_new(o, "tables",
			    json_pack("{s:I, s:I}", "max_allocations",
				      (json_int_t)c->max_allocations, "max_flows",
				      (json_int_t)c->max_flows));
	json_object_set_new(o, "limits", limits(c));
	json_object_set_new(o, "filter", json_pack("{s:b}", "answer_stun", c->filter_answers_stun));
	if (c->sfu.is_enabled)
		json_object_set_new(o, "sfu", sfu(&c->sfu));
	if (c->http.n_listeners > 0)
		json_object_set_new(o, "http", http(&c->http));
	return o;
}
