// Connectivity checks: what is judged valid has all its parts inside of the message, and every answer parses.
#include "dataplane/contract/wire/ice.h"
#include "tests/fuzz/fuzz.h"

static void no_hmac(void *context, const uint8_t *message, size_t n, uint8_t tag[20])
{
	FUZZ_ASSERT(n >= STUN_HEADER_BYTES && n % 4 == 0);
	FUZZ_ASSERT(bytes_get_be16(message + 2) == n + 24 - STUN_HEADER_BYTES);
	memset(tag, 7, ICE_INTEGRITY_BYTES);
}

static void check_parts(const struct stun_view *m, const struct ice_check *c)
{
	const uint8_t *end = m->msg + m->length_bytes;
	uint8_t header[STUN_HEADER_BYTES];
	uint32_t transport_idx;
	uint16_t node_id;

	FUZZ_ASSERT(c->local_ufrag > m->msg && c->local_ufrag_bytes > 0);
	FUZZ_ASSERT(c->local_ufrag[c->local_ufrag_bytes] == ':');
	FUZZ_ASSERT(c->remote_ufrag == c->local_ufrag + c->local_ufrag_bytes + 1);
	FUZZ_ASSERT(c->remote_ufrag + c->remote_ufrag_bytes <= c->integrity.value);
	FUZZ_ASSERT(c->integrity.value + ICE_INTEGRITY_BYTES <= end);
	FUZZ_ASSERT(c->n_unknown <= ICE_UNKNOWN_ATTRS_MAX);
	ice_check_header(m, c, header);
	FUZZ_ASSERT(bytes_get_be16(header + 2) + STUN_HEADER_BYTES <= m->length_bytes);
	if (ice_ufrag_parse(c->local_ufrag, c->local_ufrag_bytes, &transport_idx, &node_id))
		FUZZ_ASSERT(transport_idx < ICE_TRANSPORT_MAX);
}

static void check_answers(const struct stun_view *m, const struct ice_check *c)
{
	const struct ip_endpoint source = { .port_be = 7 };
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	struct stun_view answer;
	size_t n = ice_success_build(m, &source, no_hmac, NULL, out, sizeof(out));

	FUZZ_ASSERT(stun_parse(out, n, &answer) == STUN_OK);
	n = ice_error_build(m, c, 420, no_hmac, NULL, out, sizeof(out));
	FUZZ_ASSERT(stun_parse(out, n, &answer) == STUN_OK);
	n = ice_refusal_build(m, 401, out, sizeof(out));
	FUZZ_ASSERT(n <= m->length_bytes);
	FUZZ_ASSERT(n == 0 || stun_parse(out, n, &answer) == STUN_OK);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct stun_view m;
	struct ice_check c;

	if (stun_parse(data, n, &m) != STUN_OK)
		return;
	switch (ice_check_parse(&m, &c)) {
	case ICE_CHECK_VALID:
		FUZZ_ASSERT(c.n_unknown == 0);
		check_parts(&m, &c);
		break;
	case ICE_CHECK_UNKNOWN_ATTRS:
		FUZZ_ASSERT(c.n_unknown > 0);
		check_parts(&m, &c);
		break;
	case ICE_CHECK_ROLE_CONFLICT:
		check_parts(&m, &c);
		break;
	default:
		break;
	}
	check_answers(&m, &c);
}
