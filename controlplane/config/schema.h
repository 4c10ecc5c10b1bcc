// The configuration file as it is written: the tree that libcyaml fills, before anything is checked
// or defaulted. One schema serves libcyaml and the check in document.c, so they cannot disagree.
// Main thread.
#ifndef TP_CONFIG_SCHEMA_H
#define TP_CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stdint.h>

// Pointers are NULL where the file says nothing.
struct file_listener {
	char *address;
	uint32_t *port;
	char *transport;
	bool *proxy_protocol;
	char *realm;
};

struct file_tls {
	char *certificate;
	char *key;
	char *min_version;
	bool *dtls;
};

struct file_tcp_relay {
	bool *enabled;
	uint32_t *max_connections;
	uint32_t *max_connections_per_allocation;
};

struct file_streams {
	uint32_t *max_connections;
	uint32_t *per_source_max;
	uint32_t *handshakes_per_second;
	uint32_t *handshakes_per_source_per_second;
	uint32_t *handshake_timeout_seconds;
	uint32_t *allocation_timeout_seconds;
	uint32_t *stalled_seconds;
	uint32_t *buffer_kb;
	uint32_t *buffer_ms;
	uint32_t *buffer_total_mb;
};

struct file_relay {
	char **addresses;
	uint32_t n_addresses;
	uint32_t *min_port;
	uint32_t *max_port;
};

struct file_user {
	char *name;
	char *password;
	char *key;        // 32 hexadecimal digits
	char *key_sha256; // 64
};

struct file_quota {
	uint32_t *total;
	uint32_t *per_user;
};

struct file_peers {
	char **allow;
	uint32_t n_allow;
	char **deny;
	uint32_t n_deny;
};

struct file_realm {
	char *name;
	struct file_user *users;
	uint32_t n_users;
	char **rest_secrets;
	uint32_t n_rest_secrets;
	struct file_quota *quota;
	struct file_peers *peers;
};

struct file_redis {
	char *url;
	char *user;
	char *password_file;
	uint32_t *database;
	uint32_t *cache_seconds;
	bool *statistics;
	uint32_t *statistics_seconds;
};

struct file_port {
	char *device;
	char *interface;
	uint32_t *queues;
	uint32_t *mtu;
	char *kernel_path;
	char *gateway_mac;
	uint32_t *vlan;
};

struct file_workers {
	uint32_t *count;
	uint32_t *cpus;
	uint32_t n_cpus;
	char *idle;
};

struct file_tables {
	uint32_t *max_allocations;
	uint32_t *max_flows;
};

struct file_alternate {
	char *address;
	uint32_t *port;
	uint32_t *tls_port;
	uint32_t *weight;
	char *domain;
};

struct file_alternates {
	char *mode;
	uint32_t *own_weight;
	struct file_alternate *servers;
	uint32_t n_servers;
};

struct file_limits {
	uint32_t *permissions_per_allocation;
	uint32_t *channels_per_allocation;
	uint32_t *new_peers_per_second_per_allocation;
	uint32_t *bytes_per_second_per_allocation;
	uint32_t *bytes_per_second_per_user;
	uint32_t *punt_per_source_per_second;
	uint32_t *punt_burst;
	uint32_t *filter_stun_per_source_per_second;
	uint32_t *filter_stun_burst;
	uint32_t *filter_answer_credit_bytes;
};

struct file_filter {
	bool *answer_stun;
};

struct file_sfu {
	uint32_t *max_sessions;
	uint32_t *max_tracks;
	uint32_t *max_subscriptions;
	uint32_t *max_publishers_per_room;
	uint32_t *max_watchers_per_room;
	uint32_t *last_n;
	uint32_t *node_id;
	uint32_t *retransmit_ms;
	uint32_t *session_timeout_seconds;
	uint32_t *start_kbps;
	uint32_t *max_kbps;
	bool *wait_for_publisher;
	char **codecs;
	uint32_t n_codecs;
};

struct file_http_listener {
	char *address;
	uint32_t *port;
	bool *tls;
};

struct file_http {
	struct file_http_listener *listen;
	uint32_t n_listen;
	char *certificate;
	char *key;
	bool *require_tokens;
	char **token_secrets;
	uint32_t n_token_secrets;
	char **allow_origins;
	uint32_t n_allow_origins;
	char **turn_urls;
	uint32_t n_turn_urls;
	char *redirect;
};

struct file_nat_discovery {
	char *address;
	uint32_t *port;
	char *alternate_address;
	uint32_t *alternate_port;
};

struct file_oauth_key {
	char *kid;
	char *key; // base64
	char *algorithm;
	uint32_t *not_before;
	uint32_t *lifetime;
};

struct file_oauth {
	char *server_name;
	struct file_oauth_key *keys;
	uint32_t n_keys;
};

struct file_config {
	char *instance;
	char *realm;
	bool *software_attribute;
	bool *rfc5766_channels;
	struct file_listener *listeners;
	uint32_t n_listeners;
	struct file_tls *tls;
	struct file_streams *streams;
	struct file_tcp_relay *tcp_relay;
	struct file_relay *relay;
	struct file_user *users;
	uint32_t n_users;
	char **rest_secrets;
	uint32_t n_rest_secrets;
	char *nonce_secret;
	char **password_algorithms;
	uint32_t n_password_algorithms;
	struct file_oauth *oauth;
	uint32_t *lifetime_max_seconds;
	struct file_quota *quota;
	struct file_peers *peers;
	struct file_port *ports;
	uint32_t n_ports;
	struct file_workers *workers;
	uint32_t *memory_mb;
	struct file_tables *tables;
	bool *mobility;
	struct file_alternates *alternate_servers;
	struct file_limits *limits;
	struct file_filter *filter;
	struct file_nat_discovery *nat_discovery;
	uint32_t n_nat_discovery;
	struct file_sfu *sfu;
	struct file_http *http;
	struct file_realm *realms;
	uint32_t n_realms;
	struct file_redis *redis;
};

extern const cyaml_schema_value_t config_schema;

#endif
