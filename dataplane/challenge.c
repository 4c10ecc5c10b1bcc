// Requests that prove nothing are answered here and now (RFC 8489 §9.2.4): without integrity 401,
// with integrity but without the rest of the credentials 400, with a stale nonce 438. Only a client
// that received a nonce of ours at its address reaches the control plane, so a spoofed flood costs
// it nothing. Worker thread; writes the packet's buffer.
#include "dataplane/contract/wire/challenge.h"

#include "dataplane/worker.h"

#define ANSWER_BYTES_MAX 512
#define CODE_PUNT        0

static bool has(const struct stun_view *m, uint16_t type)
{
	struct stun_attr a;

	return stun_attr_find(m, type, &a);
}

// The error to answer with; CODE_PUNT: the control plane's to decide.
static uint16_t judge(const struct dp_worker *w, const struct dp_packet *p)
{
	const struct stun_view *m = &p->stun;
	struct stun_attr nonce;

	if (!has(m, STUN_ATTR_MESSAGE_INTEGRITY) && !has(m, STUN_ATTR_MESSAGE_INTEGRITY_SHA256))
		return 401;
	if (!stun_attr_find(m, STUN_ATTR_NONCE, &nonce) || !has(m, STUN_ATTR_REALM) ||
	    (!has(m, STUN_ATTR_USERNAME) && !has(m, STUN_ATTR_USERHASH)))
		return 400;
	if (challenge_nonce_check(w->settings.challenge_secret, w->now_ns + w->wall_off_ns,
				  &p->view.source, w->settings.challenge_features, nonce.value,
				  nonce.length_bytes) != CHALLENGE_NONCE_VALID)
		return 438;
	return CODE_PUNT;
}

static size_t bad_request_build(const struct stun_view *m, uint8_t out[ANSWER_BYTES_MAX])
{
	struct stun_builder b;

	stun_build_begin(&b, out, ANSWER_BYTES_MAX, m->type | STUN_CLASS_ERROR, m->transaction_id);
	stun_build_error_code(&b, 400, "");
	if (has(m, STUN_ATTR_FINGERPRINT))
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}

static size_t challenge_answer(const struct dp_worker *w, const struct dp_packet *p, uint16_t code,
			       uint8_t out[ANSWER_BYTES_MAX])
{
	const struct dp_settings *s = &w->settings;
	const struct shm_realm *realm =
		&s->realm[dp_local_realm(&s->local[p->local_idx], p->view.destination.port_be)];
	struct challenge_offer offer = {
		.realm = realm->name,
		.realm_bytes = realm->name_bytes,
		.features = s->challenge_features,
		.oauth_name = s->oauth_name,
		.oauth_name_bytes = s->oauth_name_bytes,
	};

	return challenge_build(&p->stun, code, s->challenge_secret, w->now_ns + w->wall_off_ns,
			       &p->view.source, &offer,
			       challenge_limit_bytes(p->view.payload_bytes, p->view.is_v4), out,
			       ANSWER_BYTES_MAX);
}

static void answer(struct dp_worker *w, struct dp_packet *p, uint16_t code)
{
	uint32_t header_bytes = dp_source_header_bytes(p->view.is_v4);
	uint8_t out[ANSWER_BYTES_MAX];
	struct dp_source *s;
	size_t out_bytes;

	out_bytes =
		code == 400 ? bad_request_build(&p->stun, out) : challenge_answer(w, p, code, out);
	if (out_bytes == 0) {
		dp_drop(w, p, DP_DROP_CHALLENGE_SIZE);
		return;
	}
	s = dp_source_get(&w->sources, &p->view.source.address, w->now_ns, w->settings.punt_per_sec,
			  w->settings.punt_burst_pkts);
	if (!dp_source_may_answer(s, p->view.payload_bytes + header_bytes,
				  (uint32_t)out_bytes + header_bytes)) {
		dp_drop(w, p, DP_DROP_CHALLENGE_RATE);
		return;
	}
	w->count[DP_COUNTER_CHALLENGE]++;
	dp_answer(w, p, out, (uint32_t)out_bytes);
}

void dp_challenge_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint16_t code = judge(w, in[i]);

		if (code == CODE_PUNT)
			dp_list_add(w, DP_STAGE_PUNT, in[i]);
		else
			answer(w, in[i], code);
	}
}
