// The check of settings that come from shared memory or from a configuration. Pure, any thread.
#include "dataplane/contract/shm/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define SETTINGS_CPUS_MAX      1024u
#define SETTINGS_MEMORY_MB_MAX (1u << 20)
#define SETTINGS_MTU_MIN       68 // RFC 791 §3.2: every link carries this

// A text with its NUL inside the field.
static bool text_ends(const char *text, size_t field_bytes)
{
	return memchr(text, 0, field_bytes) != NULL;
}

// That many bytes, then its end: no shorter and no longer text.
static bool text_is_long(const char *text, size_t field_bytes, uint32_t text_bytes)
{
	return text_bytes < field_bytes && memchr(text, 0, field_bytes) == text + text_bytes;
}

static const char *check_counts(const struct shm_settings *s)
{
	if (s->n_workers == 0 || s->n_workers > SHM_WORKERS_MAX)
		return "n_workers";
	if (s->idle >= SHM_IDLE_COUNT)
		return "idle";
	if (s->n_ports == 0 || s->n_ports > SHM_PORTS_MAX)
		return "n_ports";
	if (s->n_locals > SHM_LOCALS_MAX)
		return "n_locals";
	if (s->n_listeners > SHM_LISTENERS_MAX)
		return "n_listeners";
	if (s->n_peer_rules > SHM_PEER_RULES_MAX)
		return "n_peer_rules";
	if (s->punt_per_source_per_sec != 0 && s->punt_burst_pkts == 0)
		return "punt_burst_pkts";
	if (s->flags & ~(uint32_t)SHM_SETTINGS_F_ALL)
		return "flags";
	if (s->n_realms == 0 || s->n_realms > SHM_REALMS_MAX)
		return "n_realms";
	if (s->memory_mb > SETTINGS_MEMORY_MB_MAX)
		return "memory_mb";
	if (!text_is_long(s->oauth_name, sizeof(s->oauth_name), s->oauth_name_bytes))
		return "oauth_name";
	for (uint32_t i = 0; i < s->n_workers; i++)
		if (s->worker_cpu[i] != UINT32_MAX && s->worker_cpu[i] >= SETTINGS_CPUS_MAX)
			return "worker_cpu";
	return NULL;
}

static const char *check_port(const struct shm_port_settings *p)
{
	if (p->device[0] == 0 || !text_ends(p->device, sizeof(p->device)))
		return "port.device";
	if (!text_ends(p->interface, sizeof(p->interface)))
		return "port.interface";
	if (p->n_queues == 0 || p->n_queues > SHM_WORKERS_MAX)
		return "port.n_queues";
	if (p->mtu_bytes < SETTINGS_MTU_MIN)
		return "port.mtu_bytes";
	if (p->kernel_path >= SHM_KERNEL_PATH_COUNT)
		return "port.kernel_path";
	return NULL;
}

static const char *check_local(const struct shm_settings *s, const struct shm_local *l)
{
	static const uint8_t unspecified[16];

	if (memcmp(l->address, unspecified, sizeof(unspecified)) == 0)
		return "local.address";
	if (l->port_idx >= s->n_ports)
		return "local.port_idx";
	if (l->flags & ~(SHM_LOCAL_F_LISTENER | SHM_LOCAL_F_RELAY | SHM_LOCAL_F_SFU))
		return "local.flags";
	if ((l->flags & SHM_LOCAL_F_RELAY) && l->relay_port_min == 0)
		return "local.relay_port_min";
	if ((l->flags & SHM_LOCAL_F_RELAY) && l->relay_port_max < l->relay_port_min)
		return "local.relay_port_max";
	return NULL;
}

static const char *check_listener(const struct shm_settings *s, const struct shm_listener *l)
{
	if (l->local_idx >= s->n_locals || !(s->local[l->local_idx].flags & SHM_LOCAL_F_LISTENER))
		return "listener.local_idx";
	if (l->port_be == 0)
		return "listener.port_be";
	if (l->realm_idx >= s->n_realms)
		return "listener.realm_idx";
	if (l->other_idx != SHM_LISTENER_NONE && l->other_idx >= s->n_listeners)
		return "listener.other_idx";
	return NULL;
}

static const char *check_peer_rule(const struct shm_settings *s, const struct shm_peer_rule *r)
{
	if (r->length_bits > 128)
		return "peer_rule.length_bits";
	if (r->action != SHM_PEER_ALLOW && r->action != SHM_PEER_DENY)
		return "peer_rule.action";
	if (r->realm_idx != SHM_REALM_ANY && r->realm_idx >= s->n_realms)
		return "peer_rule.realm_idx";
	return NULL;
}

int shm_settings_check(const struct shm_settings *copy, const char **why)
{
	const char *bad = check_counts(copy);

	// The counts come first: they bound the walks below.
	for (uint32_t i = 0; !bad && i < copy->n_realms; i++)
		if (!text_is_long(copy->realm[i].name, sizeof(copy->realm[i].name),
				  copy->realm[i].name_bytes))
			bad = "realm";
	for (uint32_t i = 0; !bad && i < copy->n_ports; i++)
		bad = check_port(&copy->port[i]);
	for (uint32_t i = 0; !bad && i < copy->n_locals; i++)
		bad = check_local(copy, &copy->local[i]);
	for (uint32_t i = 0; !bad && i < copy->n_listeners; i++)
		bad = check_listener(copy, &copy->listener[i]);
	for (uint32_t i = 0; !bad && i < copy->n_peer_rules; i++)
		bad = check_peer_rule(copy, &copy->peer_rule[i]);
	if (!bad)
		return 0;
	if (why)
		*why = bad;
	return -EINVAL;
}
