// Who owns a transport, its keys, and its client's addresses. A transport belongs to the worker that the first authenticated check
// reached, until the control plane withdraws it; its state in shared memory outlives the process, so that the next one goes on
// without a word from the client. Worker thread; writes its own struct and the state of what it owns.
#include <openssl/crypto.h>
#include <stdlib.h>

#include "dataplane/log.h"
#include "dataplane/sfu/reception.h"

// RFC 5764 §4.4: 2^31 packets under one key; the control plane gets this many to shake hands anew.
#define KEY_LIMIT_PKTS       (UINT64_C(1) << 31)
#define KEY_LIMIT_EARLY_PKTS (UINT64_C(1) << 24)

// Serial (low half) and owner of a record are claimed in one step. With serial 0 and an owner, the record is being begun.
typedef uint64_t __attribute__((may_alias)) claim_word;
static_assert(offsetof(struct shm_sfu_transport_state, serial) == 0 &&
		      offsetof(struct shm_sfu_transport_state, owner) == 4,
	      "one word");

static uint64_t claim_make(uint32_t serial, uint32_t worker_idx)
{
	return (uint64_t)(worker_idx + 1) << 32 | serial;
}

static uint64_t claim_load(const struct shm_sfu_transport_state *st)
{
	return __atomic_load_n((const claim_word *)(const void *)st, __ATOMIC_ACQUIRE);
}

static bool claim_swap(struct shm_sfu_transport_state *st, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n((claim_word *)(void *)st, &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static uint32_t serial_of(const struct dp_worker *w, uint32_t transport_idx)
{
	const struct shm_sfu_view *v = &w->shared->sfu->table;

	if (transport_idx == 0 || transport_idx >= v->n_transports)
		return 0;
	return __atomic_load_n(&v->transport[transport_idx].serial, __ATOMIC_ACQUIRE);
}

int dp_sfu_owner(const struct dp_worker *w, uint32_t transport_idx)
{
	uint32_t serial = serial_of(w, transport_idx);
	uint64_t claim;
	uint32_t owner;

	if (serial == 0)
		return -1;
	claim = claim_load(dp_sfu_state(w, transport_idx));
	owner = (uint32_t)(claim >> 32);
	if ((uint32_t)claim != serial || owner == 0 || owner > w->shared->n_workers)
		return -1;
	return (int)owner - 1;
}

// ---- keys

static void contexts_destroy(struct dp_sfu_transport *t)
{
	dp_srtp_context_destroy(t->rx);
	dp_srtp_context_destroy(t->tx);
	t->rx = NULL;
	t->tx = NULL;
}

// A whole copy of the record's SRTP fields: they are looked at again behind the copy.
static bool keys_copy(const struct shm_srtp_keys *k, uint32_t serial, struct shm_srtp_keys *out)
{
	if (__atomic_load_n(&k->srtp_serial, __ATOMIC_ACQUIRE) != serial)
		return false;
	memcpy(out, k, sizeof(*out));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return out->srtp_serial == serial &&
	       __atomic_load_n(&k->srtp_serial, __ATOMIC_RELAXED) == serial &&
	       __atomic_load_n(&k->srtp_generation, __ATOMIC_RELAXED) == out->srtp_generation;
}

static int contexts_create(struct dp_worker *w, const struct shm_srtp_keys *k,
			   struct dp_srtp_context **rx, struct dp_srtp_context **tx)
{
	struct dp_srtp *srtp = w->sfu_rx->srtp;
	int ret = dp_srtp_context_create(srtp, k->profile, k->rx_key, k->rx_salt, rx);

	if (ret < 0)
		return ret;
	ret = dp_srtp_context_create(srtp, k->profile, k->tx_key, k->tx_salt, tx);
	if (ret < 0)
		dp_srtp_context_destroy(*rx);
	return ret;
}

// Indices and windows belong to one generation of keys.
static void state_rekey(struct dp_worker *w, uint32_t transport_idx, uint32_t generation)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, transport_idx);

	if (st->srtp_generation == generation)
		return;
	memset(&st->srtcp_rx, 0, sizeof(st->srtcp_rx));
	st->srtcp_tx_index = 0;
	dp_sfu_streams_rekey(w, transport_idx);
	__atomic_store_n(&st->srtp_generation, generation, __ATOMIC_RELEASE);
}

void dp_sfu_keys_refresh(struct dp_worker *w, uint32_t transport_idx)
{
	const struct shm_srtp_keys *k =
		shm_srtp_record((void *)(uintptr_t)w->shared->sfu->keys_base, transport_idx);
	struct dp_sfu_transport *t = &w->sfu_rx->transport[transport_idx];
	struct dp_sfu_client *c = w->sfu_rx->client[transport_idx];
	uint32_t generation = __atomic_load_n(&k->srtp_generation, __ATOMIC_RELAXED);
	struct dp_srtp_context *rx;
	struct dp_srtp_context *tx;
	struct shm_srtp_keys copy;
	int ret;

	if (c == NULL || (t->rx != NULL && t->srtp_generation == generation) ||
	    c->failed_generation == generation)
		return;
	if (!keys_copy(k, t->serial, &copy) || copy.srtp_generation == 0) {
		OPENSSL_cleanse(&copy, sizeof(copy));
		return;
	}
	ret = contexts_create(w, &copy, &rx, &tx);
	generation = copy.srtp_generation;
	if (ret == 0) {
		state_rekey(w, transport_idx, generation);
		contexts_destroy(t);
		// Of what was sent under these keys before this process only an upper bound is known.
		t->n_tx_pkts =
			t->srtp_generation == 0 ? dp_sfu_state(w, transport_idx)->tx_pkts : 0;
		t->rx = rx;
		t->tx = tx;
		t->profile = copy.profile;
		t->srtp_generation = generation;
		c->is_limit_told = 0;
	} else {
		c->failed_generation = generation;
		dp_log(DP_LOG_ERROR,
		       "no SRTP context for transport %u with profile %u: %s; its media is lost",
		       transport_idx, copy.profile, strerror(-ret));
	}
	OPENSSL_cleanse(&copy, sizeof(copy));
}

void dp_sfu_keys_suspect(struct dp_worker *w, uint32_t transport_idx)
{
	struct dp_sfu_reception *rx = w->sfu_rx;

	if (rx->n_suspect < DP_BURST)
		rx->suspect[rx->n_suspect++] = transport_idx;
}

// ---- ownership

static void release(struct dp_worker *w, uint32_t transport_idx)
{
	struct dp_sfu_reception *rx = w->sfu_rx;
	struct dp_sfu_client *c = rx->client[transport_idx];

	contexts_destroy(&rx->transport[transport_idx]);
	rx->transport[transport_idx] = (struct dp_sfu_transport){ .serial = 0 };
	rx->path[transport_idx].header_bytes = 0;
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n_remotes; i++)
		dp_sfu_remote_remove(rx->remotes, &c->remote[i].key, transport_idx);
	dp_sfu_streams_free(w, c);
	rx->owned[c->owned_at] = rx->owned[--rx->n_owned];
	rx->client[rx->owned[c->owned_at]]->owned_at = c->owned_at;
	rx->client[transport_idx] = NULL;
	free(c);
}

// The record says that the transport is this worker's: makes what goes with it. NULL without memory.
static struct dp_sfu_client *take(struct dp_worker *w, uint32_t transport_idx, uint32_t serial)
{
	struct dp_sfu_reception *rx = w->sfu_rx;
	const struct shm_sfu_transport_state *st = dp_sfu_state(w, transport_idx);
	struct dp_sfu_client *c;

	release(w, transport_idx);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->transport_idx = transport_idx;
	c->serial = serial;
	c->owned_at = rx->n_owned;
	rx->owned[rx->n_owned++] = transport_idx;
	rx->client[transport_idx] = c;
	rx->transport[transport_idx].serial = serial;
	if (st->phase != SHM_SFU_WAITS && st->remote_port_be != 0) {
		const struct shm_srtp_keys *k = shm_srtp_record(
			(void *)(uintptr_t)w->shared->sfu->keys_base, transport_idx);
		struct ip_endpoint remote = { .port_be = st->remote_port_be };
		struct dp_sfu_remote_key key;

		memcpy(remote.address.bytes, st->remote_address, sizeof(remote.address.bytes));
		key = dp_sfu_remote_key(&remote, st->local_idx, st->local_port_be);
		dp_sfu_remote_prove(w, c, &key);
		c->ice_version = __atomic_load_n(&k->ice_version, __ATOMIC_RELAXED) + 1;
	}
	dp_sfu_keys_refresh(w, transport_idx);
	dp_sfu_streams_sync(w, c);
	return c;
}

struct dp_sfu_client *dp_sfu_client_get(struct dp_worker *w, uint32_t transport_idx)
{
	uint32_t serial = serial_of(w, transport_idx);
	struct dp_sfu_client *c;

	if (serial == 0)
		return NULL;
	c = w->sfu_rx->client[transport_idx];
	if (c != NULL && c->serial == serial)
		return c;
	if (claim_load(dp_sfu_state(w, transport_idx)) != claim_make(serial, w->worker_idx))
		return NULL;
	return take(w, transport_idx, serial);
}

struct dp_sfu_client *dp_sfu_client_claim(struct dp_worker *w, uint32_t transport_idx)
{
	uint64_t ours = claim_make(0, w->worker_idx);
	uint32_t serial = serial_of(w, transport_idx);
	struct shm_sfu_transport_state *st;
	struct dp_sfu_client *c;
	uint64_t claim;

	if (serial == 0)
		return NULL;
	st = dp_sfu_state(w, transport_idx);
	claim = claim_load(st);
	if ((uint32_t)claim == serial) {
		uint32_t owner = (uint32_t)(claim >> 32);

		if (owner == w->worker_idx + 1)
			return dp_sfu_client_get(w, transport_idx);
		// Of a worker that a predecessor had and this process has not.
		if (owner != 0 && owner <= w->shared->n_workers)
			return NULL;
		if (!claim_swap(st, claim, ours | serial))
			return NULL;
		c = take(w, transport_idx, serial);
		dp_sfu_event(w, transport_idx, SHM_SFU_EVENT_NEW_OWNER);
		return c;
	}
	// A serial of 0 with an owner: another worker is at it.
	if ((uint32_t)claim == 0 && claim != 0)
		return NULL;
	if (!claim_swap(st, claim, ours))
		return NULL;
	memset((uint8_t *)st + sizeof(uint64_t), 0, sizeof(*st) - sizeof(uint64_t));
	__atomic_store_n(&st->serial, serial, __ATOMIC_RELEASE);
	return take(w, transport_idx, serial);
}

struct dp_sfu_transport *dp_sfu_transport_get(struct dp_worker *w, uint32_t transport_idx)
{
	uint32_t serial = serial_of(w, transport_idx);
	struct dp_sfu_transport *t;

	if (serial == 0)
		return NULL;
	t = &w->sfu_rx->transport[transport_idx];
	// It stands for that serial as long as the client does, whose own lines are left alone so.
	if (likely(t->serial == serial && t->rx != NULL))
		return t;
	if (dp_sfu_client_get(w, transport_idx) == NULL)
		return NULL;
	if (t->rx == NULL)
		dp_sfu_keys_refresh(w, transport_idx);
	return t;
}

void dp_sfu_transports_adopt(struct dp_worker *w)
{
	const struct dp_sfu_shared *sfu = w->shared->sfu;

	for (uint32_t i = 1; i < sfu->table.n_transports; i++) {
		uint32_t serial = serial_of(w, i);
		uint64_t claim = claim_load(&sfu->state.transport[i]);
		uint32_t owner = (uint32_t)(claim >> 32);

		if (serial == 0 || (uint32_t)claim != serial || owner == 0)
			continue;
		if ((owner - 1) % w->shared->n_workers == w->worker_idx)
			dp_sfu_client_claim(w, i);
	}
}

static void look_after(struct dp_worker *w, struct dp_sfu_client *c)
{
	struct dp_sfu_transport *t = &w->sfu_rx->transport[c->transport_idx];

	dp_sfu_keys_refresh(w, c->transport_idx);
	dp_sfu_streams_sync(w, c);
	if (t->n_tx_pkts > KEY_LIMIT_PKTS - KEY_LIMIT_EARLY_PKTS && !c->is_limit_told) {
		c->is_limit_told = 1;
		dp_sfu_event(w, c->transport_idx, SHM_SFU_EVENT_KEY_LIMIT);
	}
}

void dp_sfu_transports_walk(struct dp_worker *w, uint32_t n)
{
	struct dp_sfu_reception *rx = w->sfu_rx;

	n = RTE_MIN(rx->n_owned, n);
	while (n-- > 0 && rx->n_owned > 0) {
		struct dp_sfu_client *c;

		if (rx->walk_at >= rx->n_owned)
			rx->walk_at = 0;
		c = rx->client[rx->owned[rx->walk_at]];
		if (c->serial != serial_of(w, c->transport_idx)) {
			release(w, c->transport_idx); // another one stands in its place now
			continue;
		}
		look_after(w, c);
		rx->walk_at++;
	}
}

void dp_sfu_transports_release(struct dp_worker *w)
{
	while (w->sfu_rx->n_owned > 0)
		release(w, w->sfu_rx->owned[w->sfu_rx->n_owned - 1]);
}

// ---- addresses

static bool key_equal(const struct dp_sfu_remote_key *a, const struct dp_sfu_remote_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2];
}

void dp_sfu_remote_prove(struct dp_worker *w, struct dp_sfu_client *c,
			 const struct dp_sfu_remote_key *key)
{
	struct dp_sfu_reception *rx = w->sfu_rx;
	uint32_t at = 0;

	for (uint32_t i = 0; i < c->n_remotes; i++) {
		if (key_equal(&c->remote[i].key, key)) {
			c->remote[i].seen_ns = w->now_ns;
			// Another client may have come from there in the meantime.
			dp_sfu_remote_put(rx->remotes, key, c->transport_idx);
			return;
		}
		if (c->remote[i].seen_ns < c->remote[at].seen_ns)
			at = i;
	}
	if (c->n_remotes < DP_SFU_REMOTES_MAX)
		at = c->n_remotes;
	else
		dp_sfu_remote_remove(rx->remotes, &c->remote[at].key, c->transport_idx);
	if (!dp_sfu_remote_put(rx->remotes, key, c->transport_idx)) {
		if (at < c->n_remotes)
			c->remote[at] = c->remote[--c->n_remotes];
		return;
	}
	c->remote[at].key = *key;
	c->remote[at].seen_ns = w->now_ns;
	if (at == c->n_remotes)
		c->n_remotes++;
}

uint32_t dp_sfu_remote_lookup(const struct dp_worker *w, const struct dp_sfu_remote_key *key,
			      uint32_t *owner)
{
	uint32_t idx = dp_sfu_remote_find(w->sfu_rx->remotes, key);

	*owner = w->worker_idx;
	for (uint32_t i = 0; idx == 0 && i < w->shared->n_workers; i++) {
		const struct dp_sfu_remote_table *t = w->shared->sfu->remotes[i];

		if (i == w->worker_idx || t == NULL)
			continue;
		*owner = i;
		idx = dp_sfu_remote_find(t, key);
	}
	return idx;
}
