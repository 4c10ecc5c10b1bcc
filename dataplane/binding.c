// STUN Binding (RFC 8489 §12): for ports without the XDP filter, and what the filter leaves to the worker, the requests of
// NAT behaviour discovery (RFC 5780) among them. Worker thread; writes the packet's buffer.
#include "dataplane/contract/wire/nat_discovery.h"

#include "dataplane/worker.h"

#define ANSWER_BYTES_MAX  1900 // a padded one is to be longer than an MTU
#define UNKNOWN_ATTRS_MAX 16

// What a request with RESPONSE-PORT pays with, of its bytes.
#define RESPONSE_PORT_SHARE 8

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

// RFC 5780 §6.1: only a server with a second address knows these.
static bool is_known_to_discovery(uint16_t type)
{
	return is_known(type) || type == STUN_ATTR_CHANGE_REQUEST ||
	       type == STUN_ATTR_RESPONSE_PORT || type == STUN_ATTR_PADDING;
}

// The address of the listener that discovery uses beside the one the request came to. False where there is none.
static bool other_address(const struct dp_worker *w, const struct dp_packet *p,
			  struct ip_endpoint *out)
{
	const struct dp_settings *s = &w->settings;

	for (uint32_t i = 0; i < s->n_listeners; i++) {
		const struct shm_listener *l = &s->listener[i];
		const struct shm_listener *other;

		if (l->local_idx != p->local_idx || l->port_be != p->view.destination.port_be)
			continue;
		if (l->other_idx == SHM_LISTENER_NONE)
			return false;
		other = &s->listener[l->other_idx];
		out->address = s->local[other->local_idx].address;
		out->port_be = other->port_be;
		return s->local[other->local_idx].is_v4 == p->view.is_v4;
	}
	return false;
}

// 420 with what is not understood, or 400 (RFC 8489 §6.3.1).
static size_t error_build(const struct dp_packet *p, uint16_t code, const uint16_t *unknown,
			  uint32_t n_unknown, uint8_t out[ANSWER_BYTES_MAX])
{
	uint8_t list[2 * UNKNOWN_ATTRS_MAX];
	struct stun_attr fingerprint;
	struct stun_builder b;

	stun_build_begin(&b, out, ANSWER_BYTES_MAX, STUN_BINDING_ERROR, p->stun.transaction_id);
	stun_build_error_code(&b, code, "");
	for (uint32_t i = 0; i < n_unknown; i++)
		bytes_put_be16(list + 2 * i, unknown[i]);
	if (n_unknown > 0)
		stun_build_attr(&b, STUN_ATTR_UNKNOWN_ATTRIBUTES, list, (uint16_t)(2 * n_unknown));
	if (stun_attr_find(&p->stun, STUN_ATTR_FINGERPRINT, &fingerprint))
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}

static size_t success_build(const struct dp_packet *p, uint8_t out[ANSWER_BYTES_MAX])
{
	struct stun_attr fingerprint;
	struct stun_builder b;

	stun_build_begin(&b, out, ANSWER_BYTES_MAX, STUN_BINDING_SUCCESS, p->stun.transaction_id);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &p->view.source);
	if (stun_attr_find(&p->stun, STUN_ATTR_FINGERPRINT, &fingerprint))
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}

// An answer, whence and whither it goes, and the bytes that the request counts for it.
struct binding_answer {
	struct ip_endpoint from;
	struct ip_endpoint to;
	uint32_t earns_bytes;
	size_t n_bytes;
	uint8_t bytes[ANSWER_BYTES_MAX];
};

static void discovery_answer(const struct dp_packet *p, const struct ip_endpoint *other,
			     struct binding_answer *out)
{
	struct nat_discovery_addresses addresses = {
		.mapped = p->view.source,
		.origin = p->view.destination,
		.other = *other,
	};
	struct nat_discovery_request asked;
	uint16_t code = nat_discovery_parse(&p->stun, &asked);

	if (code != 0) {
		out->n_bytes = error_build(p, code, NULL, 0, out->bytes);
		return;
	}
	if (asked.changes_address)
		addresses.origin.address = other->address;
	if (asked.changes_port)
		addresses.origin.port_be = other->port_be;
	if (asked.response_port_be != 0) {
		// It goes to a port that did not ask, maybe another host's behind the same NAT, so such requests count
		// for little and few of many are answered.
		out->to.port_be = asked.response_port_be;
		out->earns_bytes /= RESPONSE_PORT_SHARE;
	}
	// A padded answer is never longer than its request, which therefore counts in full and not for 7/8.
	if (asked.is_padded)
		out->earns_bytes += (out->earns_bytes + 6) / 7;
	out->from = addresses.origin;
	out->n_bytes =
		nat_discovery_build(&p->stun, &asked, &addresses, out->bytes, sizeof(out->bytes));
}

static void binding_answer(const struct dp_worker *w, const struct dp_packet *p,
			   struct binding_answer *out)
{
	uint16_t unknown[UNKNOWN_ATTRS_MAX];
	struct ip_endpoint other;
	bool discovers = other_address(w, p, &other);
	uint32_t n_unknown = stun_unknown_attrs(
		&p->stun, discovers ? is_known_to_discovery : is_known, unknown, UNKNOWN_ATTRS_MAX);

	out->from = p->view.destination;
	out->to = p->view.source;
	out->earns_bytes = p->view.payload_bytes + dp_source_header_bytes(p->view.is_v4);
	if (n_unknown > 0)
		out->n_bytes = error_build(p, 420, unknown, n_unknown, out->bytes);
	else if (discovers)
		discovery_answer(p, &other, out);
	else
		out->n_bytes = success_build(p, out->bytes);
}

void dp_binding_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct dp_packet *p = in[i];
		struct binding_answer answer;
		struct dp_source *s =
			dp_source_get(&w->sources, &p->view.source.address, w->now_ns,
				      w->settings.punt_per_sec, w->settings.punt_burst_pkts);

		binding_answer(w, p, &answer);
		if (!dp_source_may_answer(s, answer.earns_bytes,
					  (uint32_t)answer.n_bytes +
						  dp_source_header_bytes(p->view.is_v4))) {
			dp_drop(w, p, DP_DROP_CHALLENGE_RATE);
			continue;
		}
		w->count[DP_COUNTER_BINDING]++;
		dp_answer_between(w, p, &answer.from, &answer.to, answer.bytes,
				  (uint32_t)answer.n_bytes);
	}
}
