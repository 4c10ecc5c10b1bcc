// STUN Binding (RFC 8489 §12) for ports without the XDP filter. Worker thread; writes the packet's
// buffer.
#include "dataplane/worker.h"

#define ANSWER_BYTES_MAX  256
#define UNKNOWN_ATTRS_MAX 16

// Comprehension-required attributes that a Binding request may carry without an effect here (RFC
// 8489 §14).
static bool is_known(uint16_t type)
{
	switch (type) {
	case STUN_ATTR_MAPPED_ADDRESS:
	case STUN_ATTR_USERNAME:
	case STUN_ATTR_MESSAGE_INTEGRITY:
	case STUN_ATTR_ERROR_CODE:
	case STUN_ATTR_UNKNOWN_ATTRIBUTES:
	case STUN_ATTR_REALM:
	case STUN_ATTR_NONCE:
	case STUN_ATTR_MESSAGE_INTEGRITY_SHA256:
	case STUN_ATTR_PASSWORD_ALGORITHM:
	case STUN_ATTR_USERHASH:
	case STUN_ATTR_XOR_MAPPED_ADDRESS:
		return true;
	default:
		return false;
	}
}

// Success with XOR-MAPPED-ADDRESS, or 420 with the attributes that are not understood (RFC 8489
// §6.3.1).
static size_t binding_build(const struct dp_packet *p, uint8_t out[ANSWER_BYTES_MAX])
{
	uint16_t unknown[UNKNOWN_ATTRS_MAX];
	uint32_t n_unknown = stun_unknown_attrs(&p->stun, is_known, unknown, UNKNOWN_ATTRS_MAX);
	struct stun_attr fingerprint;
	struct stun_builder b;

	stun_build_begin(&b, out, ANSWER_BYTES_MAX,
			 n_unknown > 0 ? STUN_BINDING_ERROR : STUN_BINDING_SUCCESS,
			 p->stun.transaction_id);
	if (n_unknown > 0) {
		uint8_t list[2 * UNKNOWN_ATTRS_MAX];

		for (uint32_t i = 0; i < n_unknown; i++)
			bytes_put_be16(list + 2 * i, unknown[i]);
		stun_build_error_code(&b, 420, "");
		stun_build_attr(&b, STUN_ATTR_UNKNOWN_ATTRIBUTES, list, (uint16_t)(2 * n_unknown));
	} else {
		stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &p->view.source);
	}
	if (stun_attr_find(&p->stun, STUN_ATTR_FINGERPRINT, &fingerprint))
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}

void dp_binding_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct dp_packet *p = in[i];
		uint8_t answer[ANSWER_BYTES_MAX];
		size_t answer_bytes = binding_build(p, answer);
		struct dp_source *s =
			dp_source_get(&w->sources, &p->view.source.address, w->now_ns,
				      w->settings.punt_per_sec, w->settings.punt_burst_pkts);

		if (!dp_source_may_answer(s, p->view.payload_bytes, (uint32_t)answer_bytes)) {
			dp_drop(w, p, DP_DROP_CHALLENGE_RATE);
			continue;
		}
		w->count[DP_COUNTER_BINDING]++;
		dp_answer(w, p, answer, (uint32_t)answer_bytes);
	}
}
