// From the configuration to struct shm_settings, and its publication. Control plane's loop thread;
// writes the inactive slot of shm_tables.settings, then active_settings and settings_version.
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/table_writer_private.h"

// The DPDK port on whose kernel interface the address stands; the first port where the kernel does
// not know it.
static uint8_t port_of_address(const struct config *config, const struct ifaddrs *interfaces,
			       const struct ip_address *a)
{
	for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
		struct ip_address own;

		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			own = ip_address_from_v4(
				(const uint8_t *)&(
					(const struct sockaddr_in *)(const void *)i->ifa_addr)
					->sin_addr);
		else if (i->ifa_addr->sa_family == AF_INET6)
			own = ip_address_from_v6(
				(const uint8_t *)&(
					(const struct sockaddr_in6 *)(const void *)i->ifa_addr)
					->sin6_addr);
		else
			continue;
		if (!ip_address_equal(&own, a))
			continue;
		for (uint32_t p = 0; p < config->n_ports; p++) {
			if (strcmp(config->ports[p].settings.interface, i->ifa_name) == 0)
				return (uint8_t)p;
		}
	}
	return 0;
}

// Index of the address in out->local: where it was, else in a slot that was out of use already and
// that no live allocation names (bits of `named`), else behind the last.
static int local_add(struct shm_settings *out, const struct shm_settings *old, uint64_t named,
		     const struct ip_address *a)
{
	uint32_t n_old = old == NULL ? 0 : old->n_locals;
	uint32_t i;

	for (i = 0; i < out->n_locals; i++) {
		if (memcmp(out->local[i].address, a->bytes, 16) == 0)
			return (int)i;
	}
	for (i = 0; i < n_old; i++) {
		if (old->local[i].flags == 0 && out->local[i].flags == 0 && !(named >> i & 1))
			break;
	}
	if (i >= n_old) {
		if (out->n_locals == SHM_LOCALS_MAX)
			return -ENOSPC;
		i = out->n_locals++;
	}
	memset(&out->local[i], 0, sizeof(out->local[i]));
	memcpy(out->local[i].address, a->bytes, 16);
	return (int)i;
}

static int secret_set(struct shm_settings *out, const struct shm_settings *old,
		      const struct config *config)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint8_t text[256];
	int length;

	if (config->nonce_secret == NULL) {
		if (old != NULL) {
			memcpy(out->challenge_secret, old->challenge_secret, 16);
			return 0;
		}
		return RAND_bytes(out->challenge_secret, 16) == 1 ? 0 : -EIO;
	}
	length = snprintf((char *)text, sizeof(text), "turnpike nonce:%s", config->nonce_secret);
	if (length < 0)
		return -EINVAL;
	if ((size_t)length >= sizeof(text))
		length = sizeof(text) - 1;
	if (EVP_Digest(text, (size_t)length, digest, NULL, EVP_sha256(), NULL) != 1)
		return -EIO;
	memcpy(out->challenge_secret, digest, 16);
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(digest, sizeof(digest));
	return 0;
}

static void rule_add(struct shm_settings *out, const struct config_peer_rule *r)
{
	struct shm_peer_rule *to = &out->peer_rule[out->n_peer_rules++];

	memcpy(to->address, r->prefix.address.bytes, 16);
	to->length_bits = r->prefix.length_bits;
	to->action = r->action;
	to->realm_idx = r->realm_idx;
}

static int settings_build(const struct table_writer *w, const struct config *config,
			  const struct shm_settings *old, uint64_t named, struct shm_settings *out,
			  char *error, size_t error_bytes)
{
	struct ifaddrs *interfaces = NULL;
	const char *why = "";
	int ret;

	memset(out, 0, sizeof(*out));
	if (config->n_ports > SHM_PORTS_MAX || config->n_listeners > SHM_LISTENERS_MAX ||
	    config->n_peer_rules + w->n_shared_rules > SHM_PEER_RULES_MAX ||
	    config->n_workers > SHM_WORKERS_MAX || config->n_realms >= SHM_REALMS_MAX ||
	    strlen(config->realm) >= sizeof(out->realm[0].name)) {
		snprintf(error, error_bytes,
			 "the configuration has more than %d ports, %d listeners, %d peer rules or "
			 "%d "
			 "workers, or a realm of more than %zu bytes; take some away",
			 SHM_PORTS_MAX, SHM_LISTENERS_MAX, SHM_PEER_RULES_MAX, SHM_WORKERS_MAX,
			 sizeof(out->realm[0].name) - 1);
		return -ENOSPC;
	}
	out->n_workers =
		config->n_workers < w->n_workers_max ? config->n_workers : w->n_workers_max;
	out->idle = config->idle;
	out->flags = config->rfc5766_channels ? SHM_SETTINGS_F_RFC5766_CHANNELS : 0;
	if (config->offers_sha256)
		out->flags |= SHM_SETTINGS_F_SHA256;
	if (config->offers_userhash)
		out->flags |= SHM_SETTINGS_F_USERHASH;
	if (config->oauth.server_name != NULL) {
		out->oauth_name_bytes =
			(uint32_t)strnlen(config->oauth.server_name, sizeof(out->oauth_name) - 1);
		memcpy(out->oauth_name, config->oauth.server_name, out->oauth_name_bytes);
	}
	out->flags |= config->tls.takes_dtls ? SHM_SETTINGS_F_DTLS : 0;
	out->n_ports = config->n_ports;
	out->n_listeners = config->n_listeners;
	out->punt_per_source_per_sec = config->punt_per_source_per_sec;
	out->punt_burst_pkts = config->punt_burst_pkts;
	out->memory_mb = config->memory_mb;
	for (uint32_t i = 0; i <= config->n_realms; i++) {
		const char *name = i == 0 ? config->realm : config->realms[i - 1].name;
		struct shm_realm *r = &out->realm[out->n_realms++];

		r->name_bytes = (uint32_t)strnlen(name, sizeof(r->name) - 1);
		memcpy(r->name, name, r->name_bytes);
	}
	memcpy(out->worker_cpu, config->worker_cpu, sizeof(out->worker_cpu));
	ret = secret_set(out, old, config);
	if (ret < 0) {
		snprintf(error, error_bytes, "no random numbers from OpenSSL: %s", strerror(-ret));
		return ret;
	}
	for (uint32_t i = 0; i < config->n_ports; i++)
		out->port[i] = config->ports[i].settings;
	if (old != NULL) {
		out->n_locals = old->n_locals;
		for (uint32_t i = 0; i < old->n_locals; i++)
			memcpy(out->local[i].address, old->local[i].address, 16);
	}

	if (config->n_ports > 1 && getifaddrs(&interfaces) < 0)
		interfaces = NULL;
	for (uint32_t i = 0; i < config->n_listeners; i++) {
		const struct ip_endpoint *e = &config->listeners[i].endpoint;

		ret = local_add(out, old, named, &e->address);
		if (ret < 0)
			goto too_many;
		out->local[ret].flags |= SHM_LOCAL_F_LISTENER;
		if (config->sfu.is_enabled)
			out->local[ret].flags |= SHM_LOCAL_F_SFU;
		out->local[ret].port_idx = port_of_address(config, interfaces, &e->address);
		out->listener[i].local_idx = (uint8_t)ret;
		out->listener[i].port_be = e->port_be;
		out->listener[i].realm_idx = config->listeners[i].realm_idx;
		out->listener[i].other_idx = config->listeners[i].has_other
						     ? config->listeners[i].other_idx
						     : SHM_LISTENER_NONE;
	}
	for (uint32_t i = 0; i < config->n_relays; i++) {
		const struct ip_address *a = &config->relays[i].address;

		ret = local_add(out, old, named, a);
		if (ret < 0)
			goto too_many;
		out->local[ret].flags |= SHM_LOCAL_F_RELAY;
		out->local[ret].port_idx = port_of_address(config, interfaces, a);
		out->local[ret].relay_port_min = config->relay_port_min;
		out->local[ret].relay_port_max = config->relay_port_max;
	}
	for (uint32_t i = 0; i < config->n_peer_rules; i++)
		rule_add(out, &config->peer_rules[i]);
	for (uint32_t i = 0; i < w->n_shared_rules; i++)
		rule_add(out, &w->shared_rule[i]);
	if (interfaces != NULL)
		freeifaddrs(interfaces);
	ret = shm_settings_check(out, &why);
	if (ret < 0)
		snprintf(error, error_bytes,
			 "the configuration does not fit the dataplane: %s is out of range", why);
	return ret;
too_many:
	if (interfaces != NULL)
		freeifaddrs(interfaces);
	snprintf(error, error_bytes,
		 "more than %d listener and relay addresses, with those that live sessions still "
		 "use; take some away, or start without the old segments",
		 SHM_LOCALS_MAX);
	return -ENOSPC;
}

static int settings_apply(struct table_writer *w, const struct config *config,
			  const struct shm_settings *old, uint64_t named, char *error,
			  size_t error_bytes)
{
	struct shm_settings next;
	uint32_t slot;
	int ret;

	ret = settings_build(w, config, old, named, &next, error, error_bytes);
	if (ret < 0)
		return ret;
	w->settings = next;
	if (old != NULL && memcmp(&next, old, sizeof(next)) == 0)
		return 0;
	slot = 1 - (w->tables->active_settings & 1);
	w->tables->settings[slot] = next;
	__atomic_store_n(&w->tables->active_settings, slot, __ATOMIC_RELEASE);
	__atomic_add_fetch(&w->tables->settings_version, 1, __ATOMIC_RELEASE);
	return 0;
}

int table_writer_settings_create(struct table_writer *w, const struct config *config, char *error,
				 size_t error_bytes)
{
	return settings_apply(w, config, NULL, 0, error, error_bytes);
}

// The local addresses that live allocations name, one bit each. A predecessor may have died between
// publishing settings without one of them and ending its allocations.
static uint64_t locals_named(const struct table_writer *w)
{
	uint64_t named = 0;

	static_assert(SHM_LOCALS_MAX <= 64, "one bit per local address");
	for (uint32_t i = 1; i <= w->n_allocations_max; i++) {
		const struct shm_allocation *a = &w->keys->allocation[i];

		if (__atomic_load_n(&a->state, __ATOMIC_ACQUIRE) != SHM_ALLOCATION_LIVE)
			continue;
		named |= 1ull << (a->relay_idx & 63);
		if (a->server_idx != SHM_LOCAL_STREAM)
			named |= 1ull << (a->server_idx & 63);
		if (a->relay2_port_be != 0)
			named |= 1ull << (a->relay2_idx & 63);
	}
	return named;
}

static bool rule_is(const struct shm_peer_rule *a, const struct config_peer_rule *b)
{
	return memcmp(a->address, b->prefix.address.bytes, 16) == 0 &&
	       a->length_bits == b->prefix.length_bits && a->action == b->action &&
	       a->realm_idx == b->realm_idx;
}

// What a predecessor had from the shared store stays in force until that answers, so that a restart
// neither opens nor closes anything. Rules that stand in the configuration no more go with them then.
static void shared_rules_keep(struct table_writer *w, const struct config *config,
			      const struct shm_settings *old)
{
	uint32_t room = SHM_PEER_RULES_MAX - config->n_peer_rules;

	w->n_shared_rules = 0;
	for (uint32_t i = 0; config->redis.is_enabled && i < old->n_peer_rules; i++) {
		const struct shm_peer_rule *from = &old->peer_rule[i];
		struct config_peer_rule *to = &w->shared_rule[w->n_shared_rules];
		bool is_new = from->realm_idx <= config->n_realms;

		for (uint32_t j = 0; is_new && j < config->n_peer_rules; j++)
			is_new = !rule_is(from, &config->peer_rules[j]);
		if (!is_new || w->n_shared_rules == room)
			continue;
		memset(to, 0, sizeof(*to));
		memcpy(to->prefix.address.bytes, from->address, 16);
		to->prefix.length_bits = from->length_bits;
		to->action = from->action;
		to->realm_idx = from->realm_idx;
		w->n_shared_rules++;
	}
}

int table_writer_settings_adopt(struct table_writer *w, const struct config *config, char *error,
				size_t error_bytes)
{
	struct shm_settings old = w->tables->settings[w->tables->active_settings & 1];
	const char *why = "";
	int ret;

	if (shm_settings_check(&old, &why) < 0) {
		snprintf(error, error_bytes,
			 "the settings in the segment \"tables\" of instance %s are damaged (%s); "
			 "stop both processes, run \"turnpikectl --instance %s segment remove\" "
			 "(ends its sessions) and start again",
			 config->instance, why, config->instance);
		return -EPROTO;
	}
	shared_rules_keep(w, config, &old);
	ret = settings_apply(w, config, &old, locals_named(w), error, error_bytes);
	// A predecessor may have died between the slot and its version.
	if (ret == 0)
		__atomic_add_fetch(&w->tables->settings_version, 1, __ATOMIC_RELEASE);
	return ret;
}

// Addresses do not change while we run, so that no slot is looked for.
int table_writer_publish_settings(struct table_writer *w, const struct config *config, char *error,
				  size_t error_bytes)
{
	struct shm_settings old = w->settings;

	return settings_apply(w, config, &old, UINT64_MAX, error, error_bytes);
}

int table_writer_publish_rules(struct table_writer *w, const struct config *config,
			       const struct config_peer_rule *rules, uint32_t n, char *error,
			       size_t error_bytes)
{
	struct config_peer_rule before[SHM_PEER_RULES_MAX];
	uint32_t n_before = w->n_shared_rules;
	int ret;

	if (n > SHM_PEER_RULES_MAX || config->n_peer_rules + n > SHM_PEER_RULES_MAX) {
		snprintf(error, error_bytes,
			 "%u rules beside the %u of the configuration; %d fit, so join prefixes", n,
			 config->n_peer_rules, SHM_PEER_RULES_MAX);
		return -ENOSPC;
	}
	memcpy(before, w->shared_rule, sizeof(before));
	if (n > 0)
		memcpy(w->shared_rule, rules, n * sizeof(*rules));
	w->n_shared_rules = n;
	ret = table_writer_publish_settings(w, config, error, error_bytes);
	if (ret < 0) {
		memcpy(w->shared_rule, before, sizeof(before));
		w->n_shared_rules = n_before;
	}
	return ret;
}
