// Connectivity checks, answered by the worker as a lite agent (RFC 8445 §7.3), so that consent goes on (RFC 7675) whatever the
// control plane does. A check that is authentic proves the client's address; one that nominates moves its media there. Worker
// thread; writes the packet's buffer and the state of transports that it owns.
#include "dataplane/contract/wire/ice.h"

#include <openssl/crypto.h>

#include "dataplane/sfu/ice_hmac.h"
#include "dataplane/sfu/reception.h"

// What a check is verified with and its answer signed.
struct credentials {
	uint32_t version; // counts ICE restarts
	uint8_t is_old;   // those from before the restart that is under way
	uint8_t pwd_bytes;
	char pwd[SHM_ICE_PWD_MAX];
};

static bool text_equal(const char *a, uint32_t a_bytes, uint32_t a_max, const uint8_t *b,
		       uint32_t b_bytes)
{
	return a_bytes != 0 && a_bytes <= a_max && a_bytes == b_bytes && memcmp(a, b, b_bytes) == 0;
}

// The password that goes with a username fragment of ours; false if it is not this transport's. What was read is looked at again
// behind it.
static bool credentials_get(const struct dp_worker *w, uint32_t transport_idx,
			    const struct ice_check *check, struct credentials *out)
{
	const struct dp_sfu_shared *sfu = w->shared->sfu;
	const struct shm_sfu_transport *e = shm_sfu_transport_get(&sfu->table, transport_idx);
	const struct shm_srtp_keys *k;
	struct shm_srtp_keys copy;
	bool is_ours = true;
	uint32_t serial;

	if (e == NULL)
		return false;
	k = shm_srtp_record((void *)(uintptr_t)sfu->keys_base, transport_idx);
	serial = __atomic_load_n(&k->ice_serial, __ATOMIC_ACQUIRE);
	if (serial == 0 || serial != __atomic_load_n(&e->serial, __ATOMIC_ACQUIRE))
		return false;
	memcpy(&copy, k, offsetof(struct shm_srtp_keys, srtp_serial));
	if (text_equal(e->ufrag, e->ufrag_bytes, sizeof(e->ufrag), check->local_ufrag,
		       check->local_ufrag_bytes)) {
		out->is_old = 0;
		out->pwd_bytes = copy.ice_pwd_bytes;
		memcpy(out->pwd, copy.ice_pwd, sizeof(out->pwd));
	} else if (text_equal(copy.old_ufrag, copy.old_ufrag_bytes, sizeof(copy.old_ufrag),
			      check->local_ufrag, check->local_ufrag_bytes)) {
		out->is_old = 1;
		out->pwd_bytes = copy.old_ice_pwd_bytes;
		memcpy(out->pwd, copy.old_ice_pwd, sizeof(out->pwd));
	} else {
		is_ours = false;
	}
	out->version = copy.ice_version;
	OPENSSL_cleanse(&copy, sizeof(copy));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return is_ours && out->pwd_bytes > 0 && out->pwd_bytes <= SHM_ICE_PWD_MAX &&
	       __atomic_load_n(&k->ice_serial, __ATOMIC_RELAXED) == serial &&
	       __atomic_load_n(&k->ice_version, __ATOMIC_RELAXED) == out->version;
}

static void sign(void *context, const uint8_t *message, size_t n, uint8_t tag[ICE_INTEGRITY_BYTES])
{
	const struct credentials *c = context;

	dp_sfu_hmac_sha1(c->pwd, c->pwd_bytes, message, n, NULL, 0, tag);
}

static bool is_authentic(const struct stun_view *m, const struct ice_check *check,
			 const struct credentials *c)
{
	uint8_t header[STUN_HEADER_BYTES];
	uint8_t tag[DP_SFU_HMAC_BYTES];

	ice_check_header(m, check, header);
	dp_sfu_hmac_sha1(c->pwd, c->pwd_bytes, header, sizeof(header), m->msg + STUN_HEADER_BYTES,
			 check->integrity.offset_bytes - STUN_HEADER_BYTES, tag);
	return CRYPTO_memcmp(tag, check->integrity.value, sizeof(tag)) == 0;
}

// For who has proved nothing: never more bytes than came, and a limited number of them.
static void refuse(struct dp_worker *w, struct dp_packet *p, uint16_t code)
{
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	uint32_t header_bytes = dp_source_header_bytes(p->view.is_v4);
	size_t out_bytes = ice_refusal_build(&p->stun, code, out, sizeof(out));
	struct dp_source *s = dp_source_get(&w->sources, &p->view.source.address, w->now_ns,
					    w->settings.punt_per_sec, w->settings.punt_burst_pkts);

	if (out_bytes == 0 || !dp_source_may_answer(s, p->view.payload_bytes + header_bytes,
						    (uint32_t)out_bytes + header_bytes)) {
		dp_drop(w, p, DP_DROP_CHALLENGE_RATE);
		return;
	}
	w->count[DP_COUNTER_SFU_CHECK_REFUSED]++;
	dp_answer(w, p, out, (uint32_t)out_bytes);
}

static void error_answer(struct dp_worker *w, struct dp_packet *p, const struct ice_check *check,
			 uint16_t code, struct credentials *c)
{
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	size_t out_bytes = ice_error_build(&p->stun, check, code, sign, c, out, sizeof(out));

	if (out_bytes == 0) {
		dp_drop(w, p, DP_DROP_BAD_STUN);
		return;
	}
	w->count[DP_COUNTER_SFU_CHECK_REFUSED]++;
	dp_answer(w, p, out, (uint32_t)out_bytes);
}

static bool is_current(const struct shm_sfu_transport_state *st, const struct dp_packet *p)
{
	return st->remote_port_be == p->view.source.port_be && st->local_idx == p->local_idx &&
	       st->local_port_be == p->view.destination.port_be &&
	       memcmp(st->remote_address, p->view.source.address.bytes, 16) == 0;
}

// RFC 8445 §7.3.2: local is where it arrived, remote where it came from.
static void move_to(struct shm_sfu_transport_state *st, const struct dp_packet *p)
{
	memcpy(st->remote_address, p->view.source.address.bytes, sizeof(st->remote_address));
	st->local_idx = p->local_idx;
	st->local_port_be = p->view.destination.port_be;
	st->is_fused = p->is_inside;
	__atomic_store_n(&st->remote_port_be, p->view.source.port_be, __ATOMIC_RELEASE);
}

static void note_check(struct dp_worker *w, struct dp_sfu_client *c, const struct dp_packet *p,
		       const struct ice_check *check, const struct credentials *credentials)
{
	struct shm_sfu_transport_state *st = dp_sfu_state(w, c->transport_idx);
	struct dp_sfu_remote_key key =
		dp_sfu_remote_key(&p->view.source, p->local_idx, p->view.destination.port_be);
	bool was_current = is_current(st, p);
	uint64_t l2_word = dp_answer_l2_word(p);

	dp_sfu_remote_prove(w, c, &key);
	st->last_check_ns = w->now_ns;
	if (st->phase == SHM_SFU_WAITS) {
		move_to(st, p);
		__atomic_store_n(&st->phase, SHM_SFU_CHECKED, __ATOMIC_RELEASE);
	}
	if (!credentials->is_old && c->ice_version != credentials->version + 1) {
		c->ice_version = credentials->version + 1;
		dp_sfu_event(w, c->transport_idx, SHM_SFU_EVENT_CHECKED);
	}
	// An old fragment keeps the pair in use alive; it does not choose another (RFC 8445 §9).
	if (check->use_candidate && !credentials->is_old &&
	    (!was_current || st->phase != SHM_SFU_NOMINATED)) {
		move_to(st, p);
		__atomic_store_n(&st->phase, SHM_SFU_NOMINATED, __ATOMIC_RELEASE);
		dp_sfu_event(w, c->transport_idx, SHM_SFU_EVENT_NOMINATED);
	}
	if (is_current(st, p) && (!was_current || st->l2_word != l2_word)) {
		__atomic_store_n(&st->l2_word, l2_word, __ATOMIC_RELAXED);
		w->sfu_rx->path[c->transport_idx].header_bytes = 0;
	}
}

static void answer(struct dp_worker *w, struct dp_packet *p, struct credentials *c)
{
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	size_t out_bytes = ice_success_build(&p->stun, &p->view.source, sign, c, out, sizeof(out));

	w->count[DP_COUNTER_SFU_CHECK]++;
	dp_answer(w, p, out, (uint32_t)out_bytes);
}

// Authentic: the owner's work from here on.
static void take_check(struct dp_worker *w, struct dp_packet *p, const struct ice_check *check,
		       enum ice_check_verdict verdict, uint32_t transport_idx,
		       struct credentials *credentials)
{
	struct dp_sfu_client *c;
	int owner;

	if (verdict == ICE_CHECK_UNKNOWN_ATTRS) {
		error_answer(w, p, check, 420, credentials);
		return;
	}
	if (verdict == ICE_CHECK_ROLE_CONFLICT) {
		error_answer(w, p, check, 487, credentials);
		return;
	}
	owner = dp_sfu_owner(w, transport_idx);
	if (owner >= 0 && owner != (int)w->worker_idx) {
		dp_sfu_exchange_pass(w, p, (uint32_t)owner);
		return;
	}
	c = dp_sfu_client_claim(w, transport_idx);
	if (c == NULL) {
		dp_drop(w, p, DP_DROP_SFU_NO_CLIENT);
		return;
	}
	note_check(w, c, p, check, credentials);
	// DTLS inside of a check is an offer (its attribute may be ignored): a client whose answer has none sends its own.
	answer(w, p, credentials);
}

static void ice_one(struct dp_worker *w, struct dp_packet *p)
{
	struct credentials credentials;
	enum ice_check_verdict verdict;
	struct ice_check check;
	uint32_t transport_idx;
	uint16_t node_id;

	verdict = ice_check_parse(&p->stun, &check);
	switch (verdict) {
	case ICE_CHECK_NOT_ICE:
		dp_list_add(w, DP_STAGE_BINDING, p);
		return;
	case ICE_CHECK_DISCARD:
		dp_drop(w, p, DP_DROP_BAD_FINGERPRINT);
		return;
	case ICE_CHECK_MALFORMED:
		refuse(w, p, 400);
		return;
	case ICE_CHECK_UNKNOWN_USER:
		refuse(w, p, 401);
		return;
	default:
		break;
	}
	if (!ice_ufrag_parse(check.local_ufrag, check.local_ufrag_bytes, &transport_idx,
			     &node_id) ||
	    !credentials_get(w, transport_idx, &check, &credentials)) {
		refuse(w, p, 401);
		return;
	}
	if (is_authentic(&p->stun, &check, &credentials))
		take_check(w, p, &check, verdict, transport_idx, &credentials);
	else
		refuse(w, p, 401);
	OPENSSL_cleanse(&credentials, sizeof(credentials));
}

void dp_sfu_ice_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ice_one(w, in[i]);
}
