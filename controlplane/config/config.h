// The configuration file as the rest of the control plane sees it: checked, with defaults filled
// in, addresses parsed. Loaded at start and by `turnpikectl config check`. Main thread.
#ifndef TP_CONFIG_H
#define TP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/shm/settings.h"
#include "dataplane/contract/wire/address.h"

struct config_user {
	char *name;
	uint8_t key[16];        // MD5(name:realm:password), RFC 8489 §9.2.2
	uint8_t key_sha256[32]; // SHA-256 of the same
	bool has_sha256;        // false where the file gives no password but the MD5
};

// Who may allocate in a realm, and how much.
struct config_realm {
	char *name;
	struct config_user *users;
	uint32_t n_users;
	char **rest_secrets; // time-limited REST credentials; several for rotation
	uint32_t n_rest_secrets;
	uint32_t quota_total; // as the default realm's
	uint32_t quota_per_user;
};

struct config_listener {
	struct ip_endpoint endpoint; // transport is UDP
	uint8_t realm_idx;           // 0 = the default realm, else realms[realm_idx - 1]
	uint32_t file_idx;           // its place in `listeners` of the file
	bool has_other;              // for NAT behaviour discovery (RFC 5780):
	uint8_t other_idx;           // the listener with other address and other port
};

// A listener for clients over TCP or TLS.
struct config_stream_listener {
	struct ip_endpoint endpoint; // the unspecified address listens on all
	bool takes_plain;            // TURN in the clear
	bool takes_tls;              // with both, the first byte tells
	bool has_proxy_header;       // PROXY protocol v2 comes first
	uint8_t realm_idx;           // 0 = the default realm, else realms[realm_idx - 1]
	uint32_t file_idx;           // its place in `listeners` of the file
};

// The section `tls`: certificates of TURN over TLS and DTLS.
struct config_tls {
	char *certificate; // PEM files; NULL = one of our own
	char *key;
	uint16_t min_version; // as on the wire: 0x0303 is 1.2
	bool takes_dtls;      // on the UDP listeners, always 1.2
};

// The section `tcp_relay` (RFC 6062).
struct config_tcp_relay {
	bool is_enabled;
	uint32_t max_connections; // with peers
	uint32_t max_per_allocation;
};

// The section `streams`: clients over TCP and TLS.
struct config_streams {
	uint32_t max_connections;
	uint32_t per_source_max;   // of an IPv4 address or a /64
	uint32_t handshakes_per_s; // of TLS; 0 = no limit
	uint32_t handshakes_per_source_per_s;
	uint32_t handshake_timeout_s;
	uint32_t allocation_timeout_s; // how long a connection may be without an allocation
	uint32_t stalled_s;            // a client that reads nothing for so long is cut off
	uint32_t buffer_bytes;         // of one client, waiting to be sent
	uint32_t buffer_ms;            // and how long that may wait
	uint64_t buffer_total_bytes;
};

struct config_relay {
	struct ip_address address;
};

struct config_port {
	struct shm_port_settings settings;
	// Next hop for every destination on ports without a kernel interface beside them; all zero
	// = ask the kernel.
	uint8_t gateway_mac[6];
	bool has_gateway_mac;
	uint16_t vlan_id;
	uint32_t line; // in the file, for messages about the host
};

struct config_peer_rule {
	struct ip_prefix prefix;
	uint8_t action;    // SHM_PEER_*
	uint8_t realm_idx; // as a listener's, or SHM_REALM_ANY
};

#define CONFIG_SFU_CODECS_MAX 4

// The section `sfu`; without it is_enabled is false and all else 0.
struct config_sfu {
	bool is_enabled;
	bool wait_for_publisher; // watchers may join a room that nobody publishes in
	uint8_t node_id;         // in our ufrags
	uint8_t n_codecs;
	uint8_t codecs[CONFIG_SFU_CODECS_MAX]; // of video, best first: enum shm_sfu_codec
	uint32_t max_sessions;
	uint32_t max_tracks;
	uint32_t max_subscriptions;
	uint32_t max_publishers_per_room;
	uint32_t max_watchers_per_room;
	uint32_t last_n; // videos that a room shows, by who spoke last; 0 = all
	uint32_t retransmit_ms;
	uint32_t session_timeout_s;
	uint32_t start_kbps; // assumed of a watcher's path before anything is measured
	uint32_t max_kbps;   // to one watcher
};

// The section `redis`: the shared store of users, by coturn's schema; without it is_enabled is false.
struct config_redis {
	bool is_enabled;
	char *path; // of a unix socket, or NULL: host and port
	char *host;
	uint16_t port; // host order
	uint32_t database;
	char *user; // of an ACL; NULL: the password alone
	char *password;
	uint32_t cache_s; // how long an answer is believed
	bool publishes_statistics;
	uint32_t statistics_s; // between two reports of an allocation's traffic
};

// A key shared with an authorization server.
struct config_oauth_key {
	char *kid;
	uint8_t key[32];
	uint8_t key_bytes;      // 16: AEAD_AES_128_GCM, 32: AEAD_AES_256_GCM
	uint64_t valid_from_s;  // wall clock; 0 = always
	uint64_t valid_until_s; // 0 = for ever
};

// The section `oauth` (RFC 7635); without it server_name is NULL.
struct config_oauth {
	char *server_name; // THIRD-PARTY-AUTHORIZATION, and what tokens are sealed for
	struct config_oauth_key *keys;
	uint32_t n_keys;
};

#define CONFIG_HTTP_LISTENERS_MAX 32

struct config_http_listener {
	struct ip_endpoint endpoint; // transport is TCP; the unspecified address listens on all
	bool is_tls;
};

// The section `http`; without it there are no listeners.
struct config_http {
	struct config_http_listener *listeners;
	uint32_t n_listeners;
	char *certificate; // PEM files; NULL = one of our own
	char *key;
	bool requires_tokens;
	char **token_secrets; // several for rotation; the first signs
	uint32_t n_token_secrets;
	char **allow_origins;
	uint32_t n_allow_origins;
	char **turn_urls; // for clients, with credentials by the first of rest_secrets
	uint32_t n_turn_urls;
	char *redirect; // origin that takes the joins instead, or NULL
};

// Another server that may take new clients.
struct config_alternate {
	struct ip_address address;
	uint16_t port_be;     // for UDP and TCP
	uint16_t tls_port_be; // for TLS and DTLS
	uint32_t weight;
	char *domain; // of its certificate, or NULL
};

struct config {
	char instance[SHM_INSTANCE_NAME_MAX];
	char *realm;
	bool software_attribute; // SOFTWARE in Allocate and Refresh answers
	bool rfc5766_channels;   // channel numbers up to 0x7FFF
	bool offers_sha256;      // PASSWORD-ALGORITHMS in challenges (RFC 8489 §9.2.1)
	bool offers_userhash;    // challenges say that USERHASH is understood
	bool refuses_md5;        // clients must use SHA-256

	struct config_listener *listeners;
	uint32_t n_listeners;
	struct config_stream_listener *stream_listeners;
	uint32_t n_stream_listeners;
	struct config_tls tls;
	struct config_streams streams;
	struct config_tcp_relay tcp_relay;
	struct config_relay *relays;
	uint32_t n_relays;
	uint16_t relay_port_min; // host order, inclusive
	uint16_t relay_port_max;

	struct config_user *users;
	uint32_t n_users;
	char **rest_secrets; // time-limited REST credentials; several for rotation
	uint32_t n_rest_secrets;
	char *nonce_secret;          // shared by a fleet; NULL = random
	struct config_realm *realms; // beside the default one, whose users and secrets stand above
	uint32_t n_realms;

	uint32_t lifetime_max_s; // 3600
	uint32_t quota_total;    // live allocations; 0 = as many as the tables hold
	uint32_t quota_per_user; // 0 = no limit

	bool mobility; // RFC 8016

	struct config_alternate *alternates;
	uint32_t n_alternates;
	bool alternates_balance; // by weight, not only while draining
	uint32_t alternates_own_weight;

	uint32_t permissions_per_allocation; // 0 = the most that there can be
	uint32_t channels_per_allocation;
	uint32_t new_peers_per_s_per_allocation; // 0 = no limit, as the others behind it
	uint32_t bytes_per_s_per_allocation;
	uint32_t bytes_per_s_per_user;

	struct config_peer_rule *peer_rules;
	uint32_t n_peer_rules;

	struct config_port *ports;
	uint32_t n_ports;
	uint32_t n_workers;
	uint32_t worker_cpu[SHM_WORKERS_MAX];
	uint8_t idle; // enum shm_idle
	uint32_t memory_mb;

	uint32_t max_allocations; // table sizes
	uint32_t max_flows;       // channels; a permission is counted with each

	uint32_t punt_per_source_per_sec;
	uint32_t punt_burst_pkts;
	uint32_t
		filter_stun_per_source_per_sec; // XDP: STUN requests per source prefix; 0 = no limit
	uint32_t filter_stun_burst_pkts;
	bool filter_answers_stun;
	uint32_t filter_answer_credit_bytes; // 0 = no limit

	struct config_sfu sfu;
	struct config_http http;
	struct config_redis redis;
	struct config_oauth oauth;
};

// Reads and checks the file alone, as `config check` does for another host. On failure returns
// -errno and writes one line "FILE:LINE: key: what is wrong; remedy" to error. On success the
// caller frees it with config_free.
int config_parse(const char *path, struct config **out, char *error, size_t error_bytes);
// What only this host can answer: interfaces and CPUs exist; adds the path of the XDP filter's
// object to af_xdp devices. 0, or -errno and one line as above.
int config_resolve_host(struct config *c, const char *path, char *error, size_t error_bytes);
// Both, for a start.
int config_load(const char *path, struct config **out, char *error, size_t error_bytes);
void config_free(struct config *c); // wipes secrets

#endif
