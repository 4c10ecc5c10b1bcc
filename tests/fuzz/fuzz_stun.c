// STUN messages: what the parser accepts is walked inside its bounds, and building it anew gives the same.
#include "dataplane/contract/wire/challenge.h"
#include "tests/fuzz/fuzz.h"

static bool knows_even(uint16_t type)
{
	return type % 2 == 0;
}

static void check_address(const struct stun_view *m, const struct stun_attr *a)
{
	struct stun_builder b;
	struct ip_endpoint e;
	struct ip_endpoint again;
	struct stun_attr built;
	struct stun_view view;
	uint8_t buf[64];

	if (stun_xor_address_get(m, a, &e) != 0)
		return;
	stun_build_begin(&b, buf, sizeof(buf), m->type, m->transaction_id);
	stun_build_xor_address(&b, a->type, &e);
	FUZZ_ASSERT(stun_parse(buf, stun_build_end(&b), &view) == STUN_OK);
	uint16_t offset = 0;
	FUZZ_ASSERT(stun_attr_next(&view, &offset, &built));
	FUZZ_ASSERT(stun_xor_address_get(&view, &built, &again) == 0);
	FUZZ_ASSERT(ip_endpoint_equal(&e, &again));
}

// The same attributes through the builder: the same message, but for padding, which becomes zero.
static void check_rebuild(const struct stun_view *m)
{
	static uint8_t buf[UINT16_MAX + 16];
	struct stun_builder b;
	struct stun_view again;
	struct stun_attr a;
	struct stun_attr c;
	uint16_t offset = 0;
	uint16_t offset_again = 0;
	size_t n;

	stun_build_begin(&b, buf, sizeof(buf), m->type, m->transaction_id);
	while (stun_attr_next(m, &offset, &a)) {
		FUZZ_ASSERT(a.value >= m->msg + STUN_HEADER_BYTES + STUN_ATTR_HEADER_BYTES);
		FUZZ_ASSERT(a.value + a.length_bytes <= m->msg + m->length_bytes);
		stun_build_attr(&b, a.type, a.value, a.length_bytes);
		check_address(m, &a);
	}
	n = stun_build_end(&b);
	FUZZ_ASSERT(n == m->length_bytes);
	FUZZ_ASSERT(stun_parse(buf, n, &again) == STUN_OK);
	FUZZ_ASSERT(memcmp(buf, m->msg, STUN_HEADER_BYTES) == 0);
	offset = 0;
	while (stun_attr_next(m, &offset, &a)) {
		FUZZ_ASSERT(stun_attr_next(&again, &offset_again, &c));
		FUZZ_ASSERT(a.type == c.type && a.length_bytes == c.length_bytes);
		FUZZ_ASSERT(memcmp(a.value, c.value, a.length_bytes) == 0);
		for (uint32_t i = a.length_bytes; i % 4 != 0; i++)
			FUZZ_ASSERT(c.value[i] == 0);
	}
	FUZZ_ASSERT(offset == offset_again);
	if (stun_attr_find(&again, STUN_ATTR_FINGERPRINT, &a))
		return;
	stun_build_fingerprint(&b);
	n = stun_build_end(&b);
	if (n == 0 || n > UINT16_MAX)
		return;
	FUZZ_ASSERT(stun_parse(buf, n, &again) == STUN_OK);
	FUZZ_ASSERT(stun_attr_find(&again, STUN_ATTR_FINGERPRINT, &a));
	FUZZ_ASSERT(stun_fingerprint_ok(&again, &a));
}

static void check_challenge(const struct stun_view *m)
{
	static const uint8_t secret[CHALLENGE_SECRET_BYTES] = { 1, 2, 3 };
	const uint64_t now_ns = 29000000ull * CHALLENGE_BUCKET_NS;
	const struct ip_endpoint client = { .port_be = 7 };
	// All that a challenge can carry, by a bit of the message.
	struct challenge_offer offer = {
		.realm = "realm",
		.realm_bytes = 5,
		.features = m->transaction_id[0] & 1 ? CHALLENGE_F_ALGORITHMS : 0,
		.oauth_name = "oauth.example.org",
		.oauth_name_bytes = m->transaction_id[0] & 2 ? 17 : 0,
	};
	struct stun_view answer;
	struct stun_attr a;
	uint8_t buf[128];
	size_t n;

	if (stun_attr_find(m, STUN_ATTR_NONCE, &a))
		challenge_nonce_check(secret, now_ns, &client, offer.features, a.value,
				      a.length_bytes);
	n = challenge_build(m, 401, secret, now_ns, &client, &offer, CHALLENGE_UNLIMITED, buf,
			    sizeof(buf));
	FUZZ_ASSERT(stun_parse(buf, n, &answer) == STUN_OK);
	FUZZ_ASSERT(stun_attr_find(&answer, STUN_ATTR_NONCE, &a));
	FUZZ_ASSERT(challenge_nonce_check(secret, now_ns, &client, offer.features, a.value,
					  a.length_bytes) == CHALLENGE_NONCE_VALID);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	uint16_t unknown[8];
	struct stun_view m;
	struct stun_attr a;
	uint32_t n_unknown;

	if (stun_parse(data, n, &m) != STUN_OK)
		return;
	FUZZ_ASSERT(m.msg == data && m.length_bytes == n);
	check_rebuild(&m);
	check_challenge(&m);
	n_unknown = stun_unknown_attrs(&m, knows_even, unknown, 8);
	FUZZ_ASSERT(n_unknown <= 8);
	for (uint32_t i = 0; i < n_unknown; i++) {
		FUZZ_ASSERT(unknown[i] < 0x8000 && !knows_even(unknown[i]));
		FUZZ_ASSERT(stun_attr_find(&m, unknown[i], &a));
	}
	if (stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a) && stun_fingerprint_ok(&m, &a))
		FUZZ_ASSERT(a.value + 4 == data + n);
}
