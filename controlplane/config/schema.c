// The schema of the configuration file. Limits of length and number that need a remedy of their own
// stand in the read_*.c files; here only what protects memory.
#include "controlplane/config/schema.h"

#define TEXT_BYTES_MAX 4096
#define USERS_MAX      1000000
#define LIST_MAX       4096

#define OPTIONAL_TEXT(key, type, member)                                                           \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0,     \
			       TEXT_BYTES_MAX)
#define NEEDED_TEXT(key, type, member)                                                             \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, 0, TEXT_BYTES_MAX)
#define OPTIONAL_NUMBER(key, type, member)                                                         \
	CYAML_FIELD_UINT_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member)
#define OPTIONAL_LIST(key, type, member, count_member, entry, max)                                 \
	CYAML_FIELD_SEQUENCE_COUNT(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member,    \
				   count_member, entry, 0, max)
#define OPTIONAL_BLOCK(key, type, member, fields)                                                  \
	CYAML_FIELD_MAPPING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, fields)

static const cyaml_schema_value_t text_entry = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0,
								    TEXT_BYTES_MAX) };
static const cyaml_schema_value_t number_entry = { CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t) };

static const cyaml_schema_field_t listener_fields[] = {
	NEEDED_TEXT("address", struct file_listener, address),
	OPTIONAL_NUMBER("port", struct file_listener, port),
	OPTIONAL_TEXT("transport", struct file_listener, transport),
	CYAML_FIELD_BOOL_PTR("proxy_protocol", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_listener, proxy_protocol),
	OPTIONAL_TEXT("realm", struct file_listener, realm),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t listener_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_listener, listener_fields) };

static const cyaml_schema_field_t tls_fields[] = {
	OPTIONAL_TEXT("certificate", struct file_tls, certificate),
	OPTIONAL_TEXT("key", struct file_tls, key),
	OPTIONAL_TEXT("min_version", struct file_tls, min_version),
	CYAML_FIELD_BOOL_PTR("dtls", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_tls,
			     dtls),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tcp_relay_fields[] = {
	CYAML_FIELD_BOOL_PTR("enabled", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_tcp_relay, enabled),
	OPTIONAL_NUMBER("max_connections", struct file_tcp_relay, max_connections),
	OPTIONAL_NUMBER("max_connections_per_allocation", struct file_tcp_relay,
			max_connections_per_allocation),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t streams_fields[] = {
	OPTIONAL_NUMBER("max_connections", struct file_streams, max_connections),
	OPTIONAL_NUMBER("per_source_max", struct file_streams, per_source_max),
	OPTIONAL_NUMBER("handshakes_per_second", struct file_streams, handshakes_per_second),
	OPTIONAL_NUMBER("handshakes_per_source_per_second", struct file_streams,
			handshakes_per_source_per_second),
	OPTIONAL_NUMBER("handshake_timeout_seconds", struct file_streams,
			handshake_timeout_seconds),
	OPTIONAL_NUMBER("allocation_timeout_seconds", struct file_streams,
			allocation_timeout_seconds),
	OPTIONAL_NUMBER("stalled_seconds", struct file_streams, stalled_seconds),
	OPTIONAL_NUMBER("buffer_kb", struct file_streams, buffer_kb),
	OPTIONAL_NUMBER("buffer_ms", struct file_streams, buffer_ms),
	OPTIONAL_NUMBER("buffer_total_mb", struct file_streams, buffer_total_mb),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t relay_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("addresses", CYAML_FLAG_POINTER, struct file_relay, addresses,
				   n_addresses, &text_entry, 0, LIST_MAX),
	OPTIONAL_NUMBER("min_port", struct file_relay, min_port),
	OPTIONAL_NUMBER("max_port", struct file_relay, max_port),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t user_fields[] = {
	NEEDED_TEXT("name", struct file_user, name),
	OPTIONAL_TEXT("password", struct file_user, password),
	OPTIONAL_TEXT("key", struct file_user, key),
	OPTIONAL_TEXT("key_sha256", struct file_user, key_sha256),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t user_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_user, user_fields) };

static const cyaml_schema_field_t quota_fields[] = {
	OPTIONAL_NUMBER("total", struct file_quota, total),
	OPTIONAL_NUMBER("per_user", struct file_quota, per_user),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t peers_fields[] = {
	OPTIONAL_LIST("allow", struct file_peers, allow, n_allow, &text_entry, LIST_MAX),
	OPTIONAL_LIST("deny", struct file_peers, deny, n_deny, &text_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t realm_fields[] = {
	NEEDED_TEXT("name", struct file_realm, name),
	OPTIONAL_LIST("users", struct file_realm, users, n_users, &user_entry, USERS_MAX),
	OPTIONAL_LIST("rest_secrets", struct file_realm, rest_secrets, n_rest_secrets, &text_entry,
		      LIST_MAX),
	OPTIONAL_BLOCK("quota", struct file_realm, quota, quota_fields),
	OPTIONAL_BLOCK("peers", struct file_realm, peers, peers_fields),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t realm_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_realm, realm_fields) };

static const cyaml_schema_field_t redis_fields[] = {
	NEEDED_TEXT("url", struct file_redis, url),
	OPTIONAL_TEXT("user", struct file_redis, user),
	OPTIONAL_TEXT("password_file", struct file_redis, password_file),
	OPTIONAL_NUMBER("database", struct file_redis, database),
	OPTIONAL_NUMBER("cache_seconds", struct file_redis, cache_seconds),
	CYAML_FIELD_BOOL_PTR("statistics", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_redis, statistics),
	OPTIONAL_NUMBER("statistics_seconds", struct file_redis, statistics_seconds),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t port_fields[] = {
	NEEDED_TEXT("device", struct file_port, device),
	OPTIONAL_TEXT("interface", struct file_port, interface),
	OPTIONAL_NUMBER("queues", struct file_port, queues),
	OPTIONAL_NUMBER("mtu", struct file_port, mtu),
	OPTIONAL_TEXT("kernel_path", struct file_port, kernel_path),
	OPTIONAL_TEXT("gateway_mac", struct file_port, gateway_mac),
	OPTIONAL_NUMBER("vlan", struct file_port, vlan),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t port_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_port, port_fields) };

static const cyaml_schema_field_t workers_fields[] = {
	OPTIONAL_NUMBER("count", struct file_workers, count),
	OPTIONAL_LIST("cpus", struct file_workers, cpus, n_cpus, &number_entry, LIST_MAX),
	OPTIONAL_TEXT("idle", struct file_workers, idle),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t tables_fields[] = {
	OPTIONAL_NUMBER("max_allocations", struct file_tables, max_allocations),
	OPTIONAL_NUMBER("max_flows", struct file_tables, max_flows),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t alternate_fields[] = {
	NEEDED_TEXT("address", struct file_alternate, address),
	OPTIONAL_NUMBER("port", struct file_alternate, port),
	OPTIONAL_NUMBER("tls_port", struct file_alternate, tls_port),
	OPTIONAL_NUMBER("weight", struct file_alternate, weight),
	OPTIONAL_TEXT("domain", struct file_alternate, domain),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t alternate_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_alternate, alternate_fields) };

static const cyaml_schema_field_t alternates_fields[] = {
	OPTIONAL_TEXT("mode", struct file_alternates, mode),
	OPTIONAL_NUMBER("own_weight", struct file_alternates, own_weight),
	CYAML_FIELD_SEQUENCE_COUNT("servers", CYAML_FLAG_POINTER, struct file_alternates, servers,
				   n_servers, &alternate_entry, 0, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
	OPTIONAL_NUMBER("permissions_per_allocation", struct file_limits,
			permissions_per_allocation),
	OPTIONAL_NUMBER("channels_per_allocation", struct file_limits, channels_per_allocation),
	OPTIONAL_NUMBER("new_peers_per_second_per_allocation", struct file_limits,
			new_peers_per_second_per_allocation),
	OPTIONAL_NUMBER("bytes_per_second_per_allocation", struct file_limits,
			bytes_per_second_per_allocation),
	OPTIONAL_NUMBER("bytes_per_second_per_user", struct file_limits, bytes_per_second_per_user),
	OPTIONAL_NUMBER("punt_per_source_per_second", struct file_limits,
			punt_per_source_per_second),
	OPTIONAL_NUMBER("punt_burst", struct file_limits, punt_burst),
	OPTIONAL_NUMBER("filter_stun_per_source_per_second", struct file_limits,
			filter_stun_per_source_per_second),
	OPTIONAL_NUMBER("filter_stun_burst", struct file_limits, filter_stun_burst),
	OPTIONAL_NUMBER("filter_answer_credit_bytes", struct file_limits,
			filter_answer_credit_bytes),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t filter_fields[] = {
	CYAML_FIELD_BOOL_PTR("answer_stun", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_filter, answer_stun),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t nat_discovery_fields[] = {
	NEEDED_TEXT("address", struct file_nat_discovery, address),
	OPTIONAL_NUMBER("port", struct file_nat_discovery, port),
	NEEDED_TEXT("alternate_address", struct file_nat_discovery, alternate_address),
	OPTIONAL_NUMBER("alternate_port", struct file_nat_discovery, alternate_port),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t nat_discovery_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_nat_discovery, nat_discovery_fields) };

static const cyaml_schema_field_t sfu_fields[] = {
	OPTIONAL_NUMBER("max_sessions", struct file_sfu, max_sessions),
	OPTIONAL_NUMBER("max_tracks", struct file_sfu, max_tracks),
	OPTIONAL_NUMBER("max_subscriptions", struct file_sfu, max_subscriptions),
	OPTIONAL_NUMBER("max_publishers_per_room", struct file_sfu, max_publishers_per_room),
	OPTIONAL_NUMBER("max_watchers_per_room", struct file_sfu, max_watchers_per_room),
	OPTIONAL_NUMBER("last_n", struct file_sfu, last_n),
	OPTIONAL_NUMBER("node_id", struct file_sfu, node_id),
	OPTIONAL_NUMBER("retransmit_ms", struct file_sfu, retransmit_ms),
	OPTIONAL_NUMBER("session_timeout_seconds", struct file_sfu, session_timeout_seconds),
	OPTIONAL_NUMBER("start_kbps", struct file_sfu, start_kbps),
	OPTIONAL_NUMBER("max_kbps", struct file_sfu, max_kbps),
	CYAML_FIELD_BOOL_PTR("wait_for_publisher", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_sfu, wait_for_publisher),
	OPTIONAL_LIST("codecs", struct file_sfu, codecs, n_codecs, &text_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t http_listener_fields[] = {
	NEEDED_TEXT("address", struct file_http_listener, address),
	OPTIONAL_NUMBER("port", struct file_http_listener, port),
	CYAML_FIELD_BOOL_PTR("tls", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_http_listener, tls),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t http_listener_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_http_listener, http_listener_fields) };

static const cyaml_schema_field_t http_fields[] = {
	CYAML_FIELD_SEQUENCE_COUNT("listen", CYAML_FLAG_POINTER, struct file_http, listen, n_listen,
				   &http_listener_entry, 0, LIST_MAX),
	OPTIONAL_TEXT("certificate", struct file_http, certificate),
	OPTIONAL_TEXT("key", struct file_http, key),
	CYAML_FIELD_BOOL_PTR("require_tokens", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_http, require_tokens),
	OPTIONAL_LIST("token_secrets", struct file_http, token_secrets, n_token_secrets,
		      &text_entry, LIST_MAX),
	OPTIONAL_LIST("allow_origins", struct file_http, allow_origins, n_allow_origins,
		      &text_entry, LIST_MAX),
	OPTIONAL_LIST("turn_urls", struct file_http, turn_urls, n_turn_urls, &text_entry, LIST_MAX),
	OPTIONAL_TEXT("redirect", struct file_http, redirect),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t oauth_key_fields[] = {
	NEEDED_TEXT("kid", struct file_oauth_key, kid),
	NEEDED_TEXT("key", struct file_oauth_key, key),
	OPTIONAL_TEXT("algorithm", struct file_oauth_key, algorithm),
	OPTIONAL_NUMBER("not_before", struct file_oauth_key, not_before),
	OPTIONAL_NUMBER("lifetime", struct file_oauth_key, lifetime),
	CYAML_FIELD_END,
};
static const cyaml_schema_value_t oauth_key_entry = { CYAML_VALUE_MAPPING(
	CYAML_FLAG_DEFAULT, struct file_oauth_key, oauth_key_fields) };

static const cyaml_schema_field_t oauth_fields[] = {
	NEEDED_TEXT("server_name", struct file_oauth, server_name),
	OPTIONAL_LIST("keys", struct file_oauth, keys, n_keys, &oauth_key_entry, LIST_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t top_fields[] = {
	OPTIONAL_TEXT("instance", struct file_config, instance),
	NEEDED_TEXT("realm", struct file_config, realm),
	CYAML_FIELD_BOOL_PTR("software_attribute", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_config, software_attribute),
	CYAML_FIELD_BOOL_PTR("rfc5766_channels", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_config, rfc5766_channels),
	CYAML_FIELD_SEQUENCE_COUNT("listeners", CYAML_FLAG_POINTER, struct file_config, listeners,
				   n_listeners, &listener_entry, 0, LIST_MAX),
	OPTIONAL_BLOCK("tls", struct file_config, tls, tls_fields),
	OPTIONAL_BLOCK("streams", struct file_config, streams, streams_fields),
	OPTIONAL_BLOCK("tcp_relay", struct file_config, tcp_relay, tcp_relay_fields),
	CYAML_FIELD_MAPPING_PTR("relay", CYAML_FLAG_POINTER, struct file_config, relay,
				relay_fields),
	OPTIONAL_LIST("users", struct file_config, users, n_users, &user_entry, USERS_MAX),
	OPTIONAL_LIST("rest_secrets", struct file_config, rest_secrets, n_rest_secrets, &text_entry,
		      LIST_MAX),
	OPTIONAL_TEXT("nonce_secret", struct file_config, nonce_secret),
	OPTIONAL_LIST("password_algorithms", struct file_config, password_algorithms,
		      n_password_algorithms, &text_entry, LIST_MAX),
	OPTIONAL_BLOCK("oauth", struct file_config, oauth, oauth_fields),
	OPTIONAL_NUMBER("lifetime_max_seconds", struct file_config, lifetime_max_seconds),
	OPTIONAL_BLOCK("quota", struct file_config, quota, quota_fields),
	OPTIONAL_BLOCK("peers", struct file_config, peers, peers_fields),
	CYAML_FIELD_SEQUENCE_COUNT("ports", CYAML_FLAG_POINTER, struct file_config, ports, n_ports,
				   &port_entry, 0, LIST_MAX),
	OPTIONAL_BLOCK("workers", struct file_config, workers, workers_fields),
	OPTIONAL_NUMBER("memory_mb", struct file_config, memory_mb),
	OPTIONAL_BLOCK("tables", struct file_config, tables, tables_fields),
	CYAML_FIELD_BOOL_PTR("mobility", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
			     struct file_config, mobility),
	OPTIONAL_BLOCK("alternate_servers", struct file_config, alternate_servers,
		       alternates_fields),
	OPTIONAL_BLOCK("limits", struct file_config, limits, limits_fields),
	OPTIONAL_BLOCK("filter", struct file_config, filter, filter_fields),
	OPTIONAL_LIST("nat_discovery", struct file_config, nat_discovery, n_nat_discovery,
		      &nat_discovery_entry, LIST_MAX),
	OPTIONAL_BLOCK("sfu", struct file_config, sfu, sfu_fields),
	OPTIONAL_BLOCK("http", struct file_config, http, http_fields),
	OPTIONAL_LIST("realms", struct file_config, realms, n_realms, &realm_entry, LIST_MAX),
	OPTIONAL_BLOCK("redis", struct file_config, redis, redis_fields),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t config_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER,
								 struct file_config, top_fields) };
