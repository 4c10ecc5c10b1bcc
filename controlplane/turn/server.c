// The TURN server: life, authentication and dispatch. Control plane's loop thread.
#include "controlplane/turn/server.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/state.h"
#include "dataplane/contract/wire/challenge.h"

// Timer entries per call of turn_server_expire: a million expiries in one second must not stop the
// loop for long.
#define EXPIRE_BATCH 2000

// ---- next hops without a kernel: none at all

static uint16_t no_client_hop(void *arg, const struct ip_address *client, uint64_t l2_word)
{
	return 0;
}

static uint16_t no_peer_hop(void *arg, const struct ip_address *peer)
{
	return 0;
}

// ---- life

// Ids name the host, so that a front router or an operator of several can tell them apart: folded
// from the first relay address.
static uint16_t node_id_of(const struct config *config)
{
	static const uint8_t key[16] = "turnpike node id";
	uint8_t hash[16];

	if (config->n_relays == 0)
		return 0;
	siphash128(key, config->relays[0].address.bytes, 16, hash);
	return bytes_get_be16(hash);
}

int turn_server_new(const struct config *config, struct table_writer *tables,
		    const struct turn_next_hops *hops, uint64_t now_ns, struct turn_server **out)
{
	struct turn_server *s = calloc(1, sizeof(*s));
	int ret = -ENOMEM;

	if (s == NULL)
		return -ENOMEM;
	s->config = config;
	s->tables = tables;
	s->hops = hops != NULL
			  ? *hops
			  : (struct turn_next_hops){ .client = no_client_hop, .peer = no_peer_hop };
	s->allocations = calloc((size_t)tables->n_allocations_max + 1, sizeof(*s->allocations));
	s->flows = calloc(tables->n_entries, sizeof(*s->flows));
	if (s->allocations == NULL || s->flows == NULL)
		goto fail;
	for (uint32_t i = 0; i < tables->settings.n_locals; i++) {
		const struct shm_local *l = &tables->settings.local[i];

		if (!(l->flags & SHM_LOCAL_F_RELAY))
			continue;
		s->ports[i] = malloc(sizeof(*s->ports[i]));
		if (s->ports[i] == NULL)
			goto fail;
		turn_ports_init(s->ports[i], l->relay_port_min, l->relay_port_max);
	}
	ret = turn_quota_init(&s->quota);
	if (ret < 0)
		goto fail;
	ret = turn_auth_new(config, &s->auth);
	if (ret < 0)
		goto fail;
	ret = turn_limits_init(&s->limits, tables->n_allocations_max);
	if (ret < 0)
		goto fail;
	turn_mobility_set_secret(&s->mobility, tables->settings.challenge_secret);
	turn_timers_init(&s->timers, now_ns);
	s->node_id = node_id_of(config);
	turn_policy_set(s);
	ret = turn_adopt(s, now_ns);
	if (ret < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	turn_server_free(s);
	return ret;
}

void turn_server_free(struct turn_server *s)
{
	if (s == NULL)
		return;
	turn_auth_free(s->auth);
	while (s->moves != NULL) {
		struct turn_move *move = s->moves;

		s->moves = move->next;
		free(move);
	}
	turn_waiting_fini(&s->waiting);
	if (s->quota.bucket != NULL)
		turn_quota_fini(&s->quota);
	for (uint32_t i = 0; i < SHM_LOCALS_MAX; i++)
		free(s->ports[i]);
	turn_limits_fini(&s->limits);
	turn_mobility_wipe(&s->mobility);
	free(s->allocations);
	free(s->flows);
	free(s);
}

void turn_allocation_recheck(struct turn_server *s, uint32_t idx)
{
	turn_limits_apply(s, idx);
	turn_peers_recheck(s, idx);
	turn_tcp_relay_recheck(s->tcp_relay, idx);
}

void turn_server_reload(struct turn_server *s, const struct config *config, struct turn_auth *auth)
{
	turn_auth_free(s->auth);
	s->auth = auth;
	s->config = config;
	turn_server_attach_store(s, s->backend);
	turn_policy_set(s);
	turn_mobility_set_secret(&s->mobility, s->tables->settings.challenge_secret);
	turn_walk_start(s, &s->recheck);
	// Small relays are done at once.
	turn_walk_slice(s, &s->recheck, turn_allocation_recheck);
}

void turn_server_renew_next_hops(struct turn_server *s)
{
	turn_walk_start(s, &s->renewal);
}

// ---- a request

static bool attribute_is_known(uint16_t type)
{
	switch (type) {
	case STUN_ATTR_MAPPED_ADDRESS:
	case STUN_ATTR_USERNAME:
	case STUN_ATTR_MESSAGE_INTEGRITY:
	case STUN_ATTR_ACCESS_TOKEN:
	case STUN_ATTR_MESSAGE_INTEGRITY_SHA256:
	case STUN_ATTR_PASSWORD_ALGORITHM:
	case STUN_ATTR_USERHASH:
	case STUN_ATTR_ERROR_CODE:
	case STUN_ATTR_UNKNOWN_ATTRIBUTES:
	case TURN_ATTR_CHANNEL_NUMBER:
	case TURN_ATTR_LIFETIME:
	case TURN_ATTR_XOR_PEER_ADDRESS:
	case TURN_ATTR_DATA:
	case STUN_ATTR_REALM:
	case STUN_ATTR_NONCE:
	case TURN_ATTR_XOR_RELAYED_ADDRESS:
	case TURN_ATTR_REQUESTED_ADDRESS_FAMILY:
	case TURN_ATTR_REQUESTED_TRANSPORT:
	case STUN_ATTR_XOR_MAPPED_ADDRESS:
		return true;
	case TURN_ATTR_EVEN_PORT:
	case TURN_ATTR_RESERVATION_TOKEN:
	case TURN_ATTR_CONNECTION_ID:
		return true;
	// Unsupported so far; Allocate says so at its place in the order of checks.
	case TURN_ATTR_DONT_FRAGMENT:
		return true;
	default:
		return false;
	}
}

static bool method_is_known(uint16_t type)
{
	switch (type) {
	case TURN_ALLOCATE_REQUEST:
	case TURN_REFRESH_REQUEST:
	case TURN_CREATE_PERMISSION_REQUEST:
	case TURN_CHANNEL_BIND_REQUEST:
	case TURN_CONNECT_REQUEST:
	case TURN_CONNECTION_BIND_REQUEST:
		return true;
	default:
		return false;
	}
}

static size_t dispatch(struct turn_call *c)
{
	uint16_t unknown[16];
	uint32_t n_unknown;

	if (!method_is_known(c->msg.type)) // RFC 8489 §6.3.1
		return turn_answer_error(c, 400);
	n_unknown = stun_unknown_attrs(&c->msg, attribute_is_known, unknown,
				       sizeof(unknown) / sizeof(unknown[0]));
	if (n_unknown > 0)
		return turn_answer_unknown(c, unknown, n_unknown);
	if (c->msg.type == TURN_ALLOCATE_REQUEST)
		return turn_allocate(c);
	if (c->msg.type == TURN_CONNECTION_BIND_REQUEST)
		return turn_tcp_relay_bind(c->server->tcp_relay, c);
	if (c->allocation_idx == 0)
		return turn_answer_error(c, c->has_ticket ? turn_mobility_check(c) : 437);
	if (!turn_is_owner(c))
		return turn_answer_error(c, 441);
	if (c->identity.has_token)
		turn_identity_keep(c, turn_record(c->server, c->allocation_idx));
	turn_mobility_heard(c);
	// The way back follows the client where the kernel does not know better.
	if (!c->is_moving)
		turn_allocation_seen(c->server, c->allocation_idx, c->in->l2_word);
	switch (c->msg.type) {
	case TURN_REFRESH_REQUEST:
		return turn_refresh(c);
	case TURN_CREATE_PERMISSION_REQUEST:
		return turn_create_permission(c);
	case TURN_CONNECT_REQUEST:
		return turn_tcp_relay_connect(c->server->tcp_relay, c);
	default:
		return turn_channel_bind(c);
	}
}

size_t turn_server_handle(struct turn_server *s, const struct turn_request *in, uint8_t *out,
			  size_t out_bytes)
{
	struct turn_call c = { .server = s, .in = in, .out = out, .out_bytes = out_bytes };
	struct stun_attr fingerprint;
	size_t answer_bytes;

	s->counter[TURN_COUNTER_REQUESTS]++;
	if (stun_parse(in->bytes, in->len_bytes, &c.msg) != STUN_OK ||
	    !stun_is_request(c.msg.type) ||
	    (in->transport == SHM_TRANSPORT_UDP && in->local_idx >= s->tables->settings.n_locals)) {
		s->counter[TURN_COUNTER_MALFORMED]++;
		return 0;
	}
	c.has_fingerprint = stun_attr_find(&c.msg, STUN_ATTR_FINGERPRINT, &fingerprint);
	if (c.has_fingerprint && !stun_fingerprint_ok(&c.msg, &fingerprint)) {
		s->counter[TURN_COUNTER_MALFORMED]++;
		return 0;
	}
	if (turn_authenticate(&c, &answer_bytes))
		answer_bytes = dispatch(&c);
	OPENSSL_cleanse(&c.identity, sizeof(c.identity));
	return answer_bytes;
}

// ---- expiry

bool turn_server_expire(struct turn_server *s, uint64_t now_ns)
{
	struct table_writer *w = s->tables;
	struct turn_reservation reservation;
	bool has_more = false;
	uint32_t entry;

	while (turn_reservation_expire(&s->reservations, now_ns, &reservation))
		turn_ports_release(s->ports[reservation.relay_idx], reservation.port);
	turn_tcp_relay_expire(s->tcp_relay, now_ns);
	has_more |= turn_walk_slice(s, &s->recheck, turn_allocation_recheck);
	has_more |= turn_walk_slice(s, &s->renewal, turn_allocation_renew_next_hops);
	for (uint32_t n = 0; n < EXPIRE_BATCH; n++) {
		const struct shm_flow *f;
		uint64_t own_ns;
		uint32_t idx;

		entry = turn_timers_pop(&s->timers, s->flows, now_ns);
		if (entry == 0)
			return has_more;
		f = table_writer_flow(w, entry);
		own_ns = table_writer_flow_own_expiry(w, entry);
		idx = f->allocation_idx;
		if (own_ns > now_ns)
			turn_timers_add(&s->timers, s->flows, entry, own_ns);
		else if (f->key.kind == SHM_FLOW_ALLOCATION) {
			if (!turn_allocation_expire(s, idx, now_ns))
				turn_timers_add(&s->timers, s->flows, entry,
						now_ns + TURN_NS_PER_S);
		} else if (f->key.kind == SHM_FLOW_PERMISSION)
			turn_permission_remove(s, idx, entry);
		else
			turn_channel_remove(s, idx, entry);
	}
	return true;
}

// ---- what operators read

uint32_t turn_server_n_allocations(const struct turn_server *s)
{
	return s->n_allocations;
}

uint32_t turn_server_n_permissions(const struct turn_server *s)
{
	return s->n_permissions;
}

uint32_t turn_server_n_channels(const struct turn_server *s)
{
	return s->n_channels;
}

uint64_t turn_server_counter(const struct turn_server *s, enum turn_counter c)
{
	return s->counter[c];
}

const struct turn_adoption *turn_server_adoption(const struct turn_server *s)
{
	return &s->adoption;
}

uint32_t turn_server_user_allocations(const struct turn_server *s, const char *name,
				      size_t name_bytes)
{
	uint32_t n = 0;

	for (uint8_t i = 0; i < SHM_REALMS_MAX; i++) {
		const struct turn_user *u = turn_quota_find(&s->quota, i, name, name_bytes);

		n += u == NULL ? 0 : u->n_allocations;
	}
	return n;
}

uint32_t turn_server_free_ports(const struct turn_server *s, uint8_t local_idx)
{
	if (local_idx >= SHM_LOCALS_MAX || s->ports[local_idx] == NULL)
		return 0;
	return s->ports[local_idx]->n_free;
}

const char *turn_counter_name(enum turn_counter c)
{
	static const char *const names[TURN_COUNTER_COUNT] = {
		[TURN_COUNTER_REQUESTS] = "requests",
		[TURN_COUNTER_MALFORMED] = "malformed",
		[TURN_COUNTER_SUCCESS] = "success",
		[TURN_COUNTER_ERROR_300] = "error_300_try_alternate",
		[TURN_COUNTER_ERROR_405] = "error_405_mobility_forbidden",
		[TURN_COUNTER_LIMIT_PERMISSIONS] = "limited_permissions",
		[TURN_COUNTER_LIMIT_CHANNELS] = "limited_channels",
		[TURN_COUNTER_LIMIT_NEW_PEERS] = "limited_new_peers",
		[TURN_COUNTER_ERROR_400] = "error_400_bad_request",
		[TURN_COUNTER_ERROR_401] = "error_401_unauthenticated",
		[TURN_COUNTER_ERROR_403] = "error_403_forbidden",
		[TURN_COUNTER_ERROR_420] = "error_420_unknown_attribute",
		[TURN_COUNTER_ERROR_437] = "error_437_allocation_mismatch",
		[TURN_COUNTER_ERROR_438] = "error_438_stale_nonce",
		[TURN_COUNTER_ERROR_440] = "error_440_family_not_supported",
		[TURN_COUNTER_ERROR_441] = "error_441_wrong_credentials",
		[TURN_COUNTER_ERROR_442] = "error_442_unsupported_transport",
		[TURN_COUNTER_ERROR_443] = "error_443_peer_family_mismatch",
		[TURN_COUNTER_ERROR_446] = "error_446_connection_exists",
		[TURN_COUNTER_ERROR_447] = "error_447_connection_failed",
		[TURN_COUNTER_ERROR_486] = "error_486_quota_reached",
		[TURN_COUNTER_ERROR_508] = "error_508_insufficient_capacity",
		[TURN_COUNTER_WAITED] = "waited_for_user_store",
		[TURN_COUNTER_ALLOCATED] = "allocations_created",
		[TURN_COUNTER_ENDED_EXPIRED] = "allocations_expired",
		[TURN_COUNTER_ENDED_DELETED] = "allocations_deleted",
		[TURN_COUNTER_ENDED_KILLED] = "allocations_killed",
		[TURN_COUNTER_ENDED_CONNECTION] = "allocations_disconnected",
		[TURN_COUNTER_MOVED] = "allocations_moved",
		[TURN_COUNTER_KEY_MD5] = "clients_by_md5_key",
		[TURN_COUNTER_KEY_SHA256] = "clients_by_sha256_key",
		[TURN_COUNTER_KEY_TOKEN] = "clients_by_access_token",
		[TURN_COUNTER_INTEGRITY_SHA1] = "clients_by_sha1_integrity",
		[TURN_COUNTER_INTEGRITY_SHA256] = "clients_by_sha256_integrity",
	};

	return c < TURN_COUNTER_COUNT ? names[c] : "unknown";
}
