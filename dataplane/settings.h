// The settings block of the control plane in a worker's own form. Loading copies and checks;
// afterwards nothing here points into shared memory.
#ifndef TP_DP_SETTINGS_H
#define TP_DP_SETTINGS_H

#include "dataplane/contract/shm/tables.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/peer_policy.h"
#include "dataplane/local_ranges.h"

#define DP_LOCAL_NONE  0xff
#define DP_LOCAL_SLOTS 256 // a power of two, four times SHM_LOCALS_MAX

struct dp_local {
	struct ip_address address;
	uint16_t relay_port_min; // host order; min > max: no relayed ports here
	uint16_t relay_port_max;
	uint8_t is_v4;
	uint8_t port_idx;
	uint8_t n_listeners;
	uint16_t listener_port_be[SHM_LISTENERS_MAX];
	uint8_t listener_realm[SHM_LISTENERS_MAX]; // settings.realm
};

struct dp_settings {
	uint32_t version;
	uint32_t n_workers;
	uint32_t n_ports;
	uint32_t n_locals;
	uint32_t idle; // enum shm_idle
	uint16_t channel_max;
	bool has_dtls; // TURN over it
	uint32_t punt_per_sec;
	uint32_t punt_burst_pkts;
	struct shm_realm realm[SHM_REALMS_MAX];
	uint32_t n_realms;
	uint8_t challenge_secret[16];
	uint32_t challenge_features; // CHALLENGE_F_*
	uint32_t oauth_name_bytes;
	char oauth_name[64];
	uint8_t local_slot[DP_LOCAL_SLOTS];              // local_idx by address, open addressing
	struct ip_address local_address[SHM_LOCALS_MAX]; // those of `local`, side by side
	struct dp_local local[SHM_LOCALS_MAX];
	struct dp_local_ranges local_ranges; // the same over IPv4, as the fast path asks
	uint32_t n_listeners;
	struct shm_listener listener[SHM_LISTENERS_MAX];
	struct peer_rule peer_rule[SHM_PEER_RULES_MAX];
	struct peer_local peer_local[SHM_LOCALS_MAX];
	struct peer_policy policy; // over the two arrays above; valid where the struct stands
};

// Whether other settings than those of `version` are in force.
static inline bool dp_settings_changed(const struct shm_tables *t, uint32_t version)
{
	return __atomic_load_n(&t->settings_version, __ATOMIC_ACQUIRE) != version;
}

// Copies the active block into `raw`. 0; -EAGAIN when it changed meanwhile (again later); -EINVAL
// with `*why` naming the field.
int dp_settings_read(const struct shm_tables *t, struct shm_settings *raw, uint32_t *version,
		     const char **why);
// Builds the local form from a checked copy.
void dp_settings_build(struct dp_settings *s, const struct shm_settings *raw, uint32_t version);

static inline uint32_t dp_local_hash(const struct ip_address *a)
{
	uint64_t low;
	uint64_t high;

	memcpy(&high, a->bytes, 8);
	memcpy(&low, a->bytes + 8, 8);
	return (uint32_t)(((low ^ high * 31) * 0x9e3779b97f4a7c15ull) >> 56);
}

// Index of one of our own addresses, DP_LOCAL_NONE for others.
static inline uint8_t dp_local_find(const struct dp_settings *s, const struct ip_address *a)
{
	uint32_t slot = dp_local_hash(a);

	for (;; slot = (slot + 1) % DP_LOCAL_SLOTS) {
		uint8_t idx = s->local_slot[slot];

		// At most a quarter of the slots is taken, so a free one ends the search.
		if (idx == DP_LOCAL_NONE || ip_address_equal(&s->local_address[idx], a))
			return idx;
	}
}

static inline bool dp_local_listens(const struct dp_local *l, uint16_t port_be)
{
	for (uint32_t i = 0; i < l->n_listeners; i++) {
		if (l->listener_port_be[i] == port_be)
			return true;
	}
	return false;
}

// The realm that the listener on that port challenges with.
static inline uint8_t dp_local_realm(const struct dp_local *l, uint16_t port_be)
{
	for (uint32_t i = 0; i < l->n_listeners; i++) {
		if (l->listener_port_be[i] == port_be)
			return l->listener_realm[i];
	}
	return 0;
}

static inline bool dp_local_relays(const struct dp_local *l, uint16_t port_be)
{
	uint16_t port = __builtin_bswap16(port_be);

	return port >= l->relay_port_min && port <= l->relay_port_max;
}

#endif
