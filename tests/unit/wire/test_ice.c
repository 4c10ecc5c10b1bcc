// ICE-lite on the wire: checks as clients send them, what is refused and how, our credentials.
#include <criterion/criterion.h>
#include <errno.h>

#include "dataplane/contract/wire/ice.h"
#include "tests/unit/wire/guarded.h"
#include "tests/unit/wire/integrity.h"
#include "tests/vectors/stun_vectors.h"

static const uint8_t id[12] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

static void hmac_sha1(void *context, const uint8_t *message, size_t n, uint8_t tag[20])
{
	HMAC(EVP_sha1(), context, (int)strlen(context), message, n, tag, NULL);
}

struct attr {
	uint16_t type;
	uint16_t n;
	const void *value;
};

#define USER(text)                                                                                 \
	{                                                                                          \
		STUN_ATTR_USERNAME, sizeof(text) - 1, text                                         \
	}
#define PRIORITY                                                                                   \
	{                                                                                          \
		ICE_ATTR_PRIORITY, 4, "\x6e\x00\x01\xff"                                           \
	}
#define NOMINATE                                                                                   \
	{                                                                                          \
		ICE_ATTR_USE_CANDIDATE, 0, ""                                                      \
	}
#define CONTROLS                                                                                   \
	{                                                                                          \
		ICE_ATTR_CONTROLLING, 8, "\1\2\3\4\5\6\7\10"                                       \
	}
#define CONTROLLED                                                                                 \
	{                                                                                          \
		ICE_ATTR_CONTROLLED, 8, "\1\2\3\4\5\6\7\10"                                        \
	}
#define INTEGRITY                                                                                  \
	{                                                                                          \
		STUN_ATTR_MESSAGE_INTEGRITY, 20, "12345678901234567890"                            \
	}

static uint8_t message[2048];

// A message of the attributes given, with a FINGERPRINT unless asked otherwise.
static struct stun_view request(uint16_t type, const struct attr *attrs, size_t n_attrs,
				bool with_fingerprint)
{
	struct stun_builder b;
	struct stun_view m;
	size_t n;

	stun_build_begin(&b, message, sizeof(message), type, id);
	for (size_t i = 0; i < n_attrs; i++)
		stun_build_attr(&b, attrs[i].type, attrs[i].value, attrs[i].n);
	if (with_fingerprint)
		stun_build_fingerprint(&b);
	n = stun_build_end(&b);
	cr_assert_eq(stun_parse(guarded_copy(message, n), n, &m), STUN_OK);
	return m;
}

#define REQUEST(...)                                                                               \
	request(STUN_BINDING_REQUEST, (const struct attr[]){ __VA_ARGS__ },                        \
		sizeof((const struct attr[]){ __VA_ARGS__ }) / sizeof(struct attr), true)
#define VERDICT_OF(expected, ...)                                                                  \
	do {                                                                                       \
		struct stun_view m_ = REQUEST(__VA_ARGS__);                                        \
		struct ice_check c_;                                                               \
		cr_assert_eq(ice_check_parse(&m_, &c_), expected);                                 \
	} while (0)

Test(ice_check, rfc5769_2_1_published_request)
{
	struct stun_view m;
	struct ice_check c;
	uint8_t seen[512];
	uint8_t tag[20];
	const uint8_t *bytes = guarded_copy(rfc5769_2_1_request, sizeof(rfc5769_2_1_request));

	cr_assert_eq(stun_parse(bytes, sizeof(rfc5769_2_1_request), &m), STUN_OK);
	// It comes from a controlled agent, which a lite one refuses (RFC 8445 §6.1.1).
	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_ROLE_CONFLICT);
	cr_assert_eq(c.local_ufrag_bytes, 4);
	cr_assert_eq(memcmp(c.local_ufrag, "evtj", 4), 0);
	cr_assert_eq(c.remote_ufrag_bytes, 4);
	cr_assert_eq(memcmp(c.remote_ufrag, "h6vY", 4), 0);
	cr_assert_eq(c.priority, 0x6e0001ff);
	cr_assert_eq(c.tie_breaker, 0x932ff9b151263b36);
	cr_assert_not(c.use_candidate);
	// What the header says to be covered gives the published tag.
	ice_check_header(&m, &c, seen);
	memcpy(seen + 20, m.msg + 20, c.integrity.offset_bytes - 20u);
	hmac_sha1((void *)RFC5769_PASSWORD, seen, c.integrity.offset_bytes, tag);
	cr_assert_eq(memcmp(tag, c.integrity.value, 20), 0);
}

Test(ice_check, rfc8445_7_1_1_nominating_check)
{
	struct stun_view m = REQUEST(USER("ours:the:irs"), PRIORITY, NOMINATE, CONTROLS, INTEGRITY);
	struct ice_check c;

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_VALID);
	cr_assert_eq(c.local_ufrag_bytes, 4);
	cr_assert_eq(memcmp(c.local_ufrag, "ours", 4), 0);
	cr_assert_eq(c.remote_ufrag_bytes, 7);
	cr_assert(c.use_candidate);
	cr_assert(c.is_controlling);
	cr_assert_eq(c.tie_breaker, 0x0102030405060708);
	cr_assert_not(c.has_dtls);
}

Test(ice_check, rfc8445_7_3_1_1_role)
{
	VERDICT_OF(ICE_CHECK_ROLE_CONFLICT, USER("a:b"), PRIORITY, CONTROLLED, INTEGRITY);
	VERDICT_OF(ICE_CHECK_ROLE_CONFLICT, USER("a:b"), PRIORITY, CONTROLS, CONTROLLED, INTEGRITY);
	// Neither: an older peer; the conflict cannot be seen.
	VERDICT_OF(ICE_CHECK_VALID, USER("a:b"), PRIORITY, INTEGRITY);
	// Behind MESSAGE-INTEGRITY nothing counts.
	VERDICT_OF(ICE_CHECK_VALID, USER("a:b"), PRIORITY, INTEGRITY, CONTROLLED);
}

Test(ice_check, rfc7675_5_1_consent_without_priority)
{
	struct stun_view m = REQUEST(USER("a:b"), CONTROLS, INTEGRITY);
	struct ice_check c;

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_VALID);
	cr_assert_eq(c.priority, 0);
}

Test(ice_check, rfc8489_9_1_3_credentials)
{
	VERDICT_OF(ICE_CHECK_NOT_ICE, PRIORITY);
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), PRIORITY);
	VERDICT_OF(ICE_CHECK_MALFORMED, PRIORITY, INTEGRITY);
	// A USERNAME that the tag does not cover is none.
	VERDICT_OF(ICE_CHECK_MALFORMED, PRIORITY, INTEGRITY, USER("a:b"));
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), PRIORITY,
		   { STUN_ATTR_MESSAGE_INTEGRITY, 16, "1234567890123456" });
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), PRIORITY,
		   { STUN_ATTR_MESSAGE_INTEGRITY_SHA256, 32, "12345678901234567890123456789012" });
	VERDICT_OF(ICE_CHECK_UNKNOWN_USER, USER("nocolon"), PRIORITY, INTEGRITY);
	VERDICT_OF(ICE_CHECK_UNKNOWN_USER, USER(":theirs"), PRIORITY, INTEGRITY);
	VERDICT_OF(ICE_CHECK_UNKNOWN_USER, USER(""), PRIORITY, INTEGRITY);
	VERDICT_OF(ICE_CHECK_VALID, USER("ours:"), PRIORITY, INTEGRITY);
}

Test(ice_check, first_of_its_type_counts)
{
	struct stun_view m = REQUEST(USER("first:x"), USER("other:x"), PRIORITY,
				     { ICE_ATTR_PRIORITY, 4, "\xff\xff\xff\xff" }, INTEGRITY);
	struct ice_check c;

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_VALID);
	cr_assert_eq(memcmp(c.local_ufrag, "first", 5), 0);
	cr_assert_eq(c.priority, 0x6e0001ff);
}

Test(ice_check, malformed_values)
{
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), { ICE_ATTR_PRIORITY, 3, "abc" }, INTEGRITY);
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), { ICE_ATTR_PRIORITY, 5, "abcde" }, INTEGRITY);
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), { ICE_ATTR_USE_CANDIDATE, 1, "a" }, INTEGRITY);
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), { ICE_ATTR_CONTROLLING, 4, "abcd" },
		   INTEGRITY);
	VERDICT_OF(ICE_CHECK_MALFORMED, USER("a:b"), { ICE_ATTR_CONTROLLED, 0, "" }, INTEGRITY);
}

Test(ice_check, rfc8489_6_3_1_unknown_attributes)
{
	struct stun_view m = REQUEST(USER("a:b"), { 0x0003, 4, "abcd" }, { 0x7fff, 0, "" },
				     { 0x0003, 0, "" }, { 0xC001, 4, "abcd" }, INTEGRITY);
	struct ice_check c;

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_UNKNOWN_ATTRS);
	cr_assert_eq(c.n_unknown, 2);
	cr_assert_eq(c.unknown[0], 0x0003);
	cr_assert_eq(c.unknown[1], 0x7fff);
	// Those of STUN itself are no strangers, and what clients add besides is theirs.
	VERDICT_OF(ICE_CHECK_VALID, USER("a:b"), { STUN_ATTR_REALM, 1, "r" },
		   { STUN_ATTR_SOFTWARE, 3, "abc" }, { 0xC057, 4, "abcd" }, INTEGRITY);
}

Test(ice_check, dtls_in_stun_is_seen)
{
	struct ice_check c;
	struct stun_view m = REQUEST(USER("a:b"), PRIORITY,
				     { ICE_ATTR_DTLS_IN_STUN, 5, "\x16\xfe\xfd\0\0" }, INTEGRITY);

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_VALID);
	cr_assert(c.has_dtls);
	m = REQUEST(USER("a:b"), PRIORITY, { ICE_ATTR_DTLS_IN_STUN_ACK, 0, "" }, INTEGRITY);
	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_VALID);
	cr_assert(c.has_dtls);
}

Test(ice_check, rfc8445_11_no_answer_to_what_is_no_request)
{
	const struct attr attrs[] = { USER("a:b"), PRIORITY, INTEGRITY };
	const uint16_t types[] = { STUN_BINDING_INDICATION, STUN_BINDING_SUCCESS,
				   STUN_BINDING_ERROR, TURN_ALLOCATE_REQUEST };
	struct ice_check c;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct stun_view m = request(types[i], attrs, 3, true);

		cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_DISCARD);
	}
}

Test(ice_check, rfc8445_7_1_fingerprint)
{
	const struct attr good[] = { USER("a:b"), PRIORITY, INTEGRITY };
	const struct attr bad[] = {
		USER("a:b"), PRIORITY, INTEGRITY, { STUN_ATTR_FINGERPRINT, 4, "abcd" }
	};
	struct stun_view m = request(STUN_BINDING_REQUEST, bad, 4, false);
	struct ice_check c;

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_DISCARD);
	m = request(STUN_BINDING_REQUEST, good, 3, false);
	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_VALID);
}

static struct ip_endpoint endpoint(const char *text)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(text, &e), 0);
	return e;
}

Test(ice_answer, rfc8445_7_3_success_for_both_families)
{
	const char *const sources[] = { "192.0.2.1:32853", "[2001:db8::77]:5000" };
	char password[] = "a password of ours";

	for (size_t i = 0; i < 2; i++) {
		struct stun_view m = REQUEST(USER("a:b"), PRIORITY, CONTROLS, INTEGRITY);
		struct ip_endpoint source = endpoint(sources[i]);
		uint8_t out[ICE_ANSWER_BYTES_MAX];
		struct ip_endpoint mapped;
		struct stun_view answer;
		struct stun_attr a;
		size_t n = ice_success_build(&m, &source, hmac_sha1, password, out, sizeof(out));

		cr_assert_eq(stun_parse(out, n, &answer), STUN_OK);
		cr_assert_eq(answer.type, STUN_BINDING_SUCCESS);
		cr_assert_eq(memcmp(answer.transaction_id, id, 12), 0);
		cr_assert(stun_attr_find(&answer, STUN_ATTR_XOR_MAPPED_ADDRESS, &a));
		cr_assert_eq(stun_xor_address_get(&answer, &a, &mapped), 0);
		cr_assert(ip_endpoint_equal(&mapped, &source));
		cr_assert(stun_attr_find(&answer, STUN_ATTR_MESSAGE_INTEGRITY, &a));
		cr_assert(integrity_ok(&answer, &a, password, strlen(password)));
		cr_assert(stun_attr_find(&answer, STUN_ATTR_FINGERPRINT, &a));
		cr_assert(stun_fingerprint_ok(&answer, &a));
		for (size_t short_bytes = 0; short_bytes < n; short_bytes++)
			cr_assert_eq(ice_success_build(&m, &source, hmac_sha1, password, out,
						       short_bytes),
				     0);
	}
}

static uint32_t error_code(const struct stun_view *m)
{
	struct stun_attr a;

	cr_assert(stun_attr_find(m, STUN_ATTR_ERROR_CODE, &a));
	return a.value[2] * 100u + a.value[3];
}

Test(ice_answer, rfc8489_9_1_3_refusals_carry_no_integrity_and_do_not_amplify)
{
	struct stun_view m = REQUEST(USER("a:b"), PRIORITY);
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	struct stun_view answer;
	struct stun_attr a;
	size_t n = ice_refusal_build(&m, 400, out, sizeof(out));

	cr_assert_gt(n, 0);
	cr_assert_leq(n, m.length_bytes);
	cr_assert_eq(stun_parse(out, n, &answer), STUN_OK);
	cr_assert_eq(answer.type, STUN_BINDING_ERROR);
	cr_assert_eq(error_code(&answer), 400);
	cr_assert_not(stun_attr_find(&answer, STUN_ATTR_MESSAGE_INTEGRITY, &a));
	cr_assert(stun_attr_find(&answer, STUN_ATTR_FINGERPRINT, &a));
	cr_assert(stun_fingerprint_ok(&answer, &a));
	m = REQUEST(USER("a"));
	cr_assert_eq(ice_refusal_build(&m, 401, out, sizeof(out)), m.length_bytes);
	m = request(STUN_BINDING_REQUEST, (const struct attr[]){ USER("a") }, 1, false);
	cr_assert_eq(ice_refusal_build(&m, 401, out, sizeof(out)), 0);
}

Test(ice_answer, rfc8445_7_3_1_1_role_conflict_and_unknown_attributes_are_authenticated)
{
	struct stun_view m = REQUEST(USER("a:b"), { 0x0003, 4, "abcd" }, { 0x0004, 0, "" },
				     { 0x0005, 0, "" }, INTEGRITY);
	char password[] = "pwd";
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	struct stun_view answer;
	struct ice_check c;
	struct stun_attr a;
	size_t n;

	cr_assert_eq(ice_check_parse(&m, &c), ICE_CHECK_UNKNOWN_ATTRS);
	n = ice_error_build(&m, &c, 420, hmac_sha1, password, out, sizeof(out));
	cr_assert_eq(stun_parse(out, n, &answer), STUN_OK);
	cr_assert_eq(error_code(&answer), 420);
	cr_assert(stun_attr_find(&answer, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
	cr_assert_eq(a.length_bytes, 6);
	cr_assert_eq(memcmp(a.value, "\0\3\0\4\0\5", 6), 0);
	cr_assert(stun_attr_find(&answer, STUN_ATTR_MESSAGE_INTEGRITY, &a));
	cr_assert(integrity_ok(&answer, &a, password, 3));
	n = ice_error_build(&m, &c, 487, hmac_sha1, password, out, sizeof(out));
	cr_assert_eq(stun_parse(out, n, &answer), STUN_OK);
	cr_assert_eq(error_code(&answer), 487);
	cr_assert_not(stun_attr_find(&answer, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
	cr_assert(stun_attr_find(&answer, STUN_ATTR_MESSAGE_INTEGRITY, &a));
	cr_assert(integrity_ok(&answer, &a, password, 3));
}

Test(ice_answer, the_largest_fits_what_the_header_says)
{
	struct stun_view m = REQUEST(USER("a:b"), INTEGRITY);
	struct ice_check c = { .n_unknown = ICE_UNKNOWN_ATTRS_MAX };
	uint8_t out[ICE_ANSWER_BYTES_MAX];

	cr_assert_gt(ice_error_build(&m, &c, 420, hmac_sha1, (void *)"k", out, sizeof(out)), 0);
}

Test(ice_ufrag, rfc8839_5_4_names_transport_and_node)
{
	static const struct {
		uint32_t transport_idx;
		uint16_t node_id;
	} cases[] = {
		{ 0, 0 }, { 1, 1 }, { ICE_TRANSPORT_MAX - 1, UINT16_MAX }, { 0x54321, 0xabc }
	};
	uint8_t random[ICE_UFRAG_RANDOM_BYTES];
	char text[ICE_UFRAG_CHARS + 1];
	uint32_t transport_idx;
	uint16_t node_id;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(random, (int)(0xc0 + i), sizeof(random));
		cr_assert_eq(ice_ufrag_make(cases[i].transport_idx, cases[i].node_id, random, text),
			     0);
		cr_assert_eq(strlen(text), ICE_UFRAG_CHARS);
		cr_assert(ice_ufrag_parse(guarded_copy(text, ICE_UFRAG_CHARS), ICE_UFRAG_CHARS,
					  &transport_idx, &node_id));
		cr_assert_eq(transport_idx, cases[i].transport_idx);
		cr_assert_eq(node_id, cases[i].node_id);
	}
	cr_assert_eq(ice_ufrag_make(ICE_TRANSPORT_MAX, 0, random, text), -EINVAL);
}

Test(ice_ufrag, rfc8839_5_4_foreign_forms_are_refused)
{
	uint32_t transport_idx;
	uint16_t node_id;

	cr_assert_not(ice_ufrag_parse("", 0, &transport_idx, &node_id));
	cr_assert_not(ice_ufrag_parse("AAAAAAAAAAAAAAA", 15, &transport_idx, &node_id));
	cr_assert_not(ice_ufrag_parse("AAAAAAAAAAAAAAAAA", 17, &transport_idx, &node_id));
	cr_assert(ice_ufrag_parse("AAAAAAAAAAAAAAA/", 16, &transport_idx, &node_id));
	cr_assert_not(ice_ufrag_parse("AAAAAAAAAAAAAAA=", 16, &transport_idx, &node_id));
	cr_assert_not(ice_ufrag_parse("AA-AAAAAAAAAAAAA", 16, &transport_idx, &node_id));
	cr_assert_not(ice_ufrag_parse("AAAA\xffzAAAAAAAAAA", 16, &transport_idx, &node_id));
}

// RFC 8445 §5.3: every random bit reaches the text.
Test(ice_ufrag, rfc8445_5_3_randomness_is_kept)
{
	uint8_t random[ICE_PWD_RANDOM_BYTES] = { 0 };
	char first[ICE_PWD_CHARS + 1];
	char pwd[ICE_PWD_CHARS + 1];
	char ufrag_first[ICE_UFRAG_CHARS + 1];
	char ufrag[ICE_UFRAG_CHARS + 1];
	uint32_t n_ufrag_bits = 0;

	ice_pwd_make(random, first);
	cr_assert_eq(strlen(first), ICE_PWD_CHARS);
	ice_ufrag_make(7, 7, random, ufrag_first);
	for (uint32_t bit = 0; bit < ICE_PWD_RANDOM_BYTES * 8; bit++) {
		random[bit / 8] = (uint8_t)(1u << bit % 8);
		ice_pwd_make(random, pwd);
		cr_assert_str_neq(pwd, first);
		ice_ufrag_make(7, 7, random, ufrag);
		n_ufrag_bits += strcmp(ufrag, ufrag_first) != 0;
		random[bit / 8] = 0;
	}
	cr_assert_geq(n_ufrag_bits, 24);
}
