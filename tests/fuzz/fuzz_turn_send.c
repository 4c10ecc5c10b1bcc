// Send indications: the packet path's one-pass parser against the general parser, and the Data indication
// that answers.
#include "dataplane/contract/wire/turn.h"
#include "tests/fuzz/fuzz.h"

static bool in_rfcs(uint16_t type)
{
	static const uint16_t known[] = {
		STUN_ATTR_MAPPED_ADDRESS,
		STUN_ATTR_USERNAME,
		STUN_ATTR_MESSAGE_INTEGRITY,
		STUN_ATTR_ERROR_CODE,
		STUN_ATTR_UNKNOWN_ATTRIBUTES,
		TURN_ATTR_CHANNEL_NUMBER,
		TURN_ATTR_LIFETIME,
		TURN_ATTR_XOR_PEER_ADDRESS,
		TURN_ATTR_DATA,
		STUN_ATTR_REALM,
		STUN_ATTR_NONCE,
		TURN_ATTR_XOR_RELAYED_ADDRESS,
		TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
		TURN_ATTR_EVEN_PORT,
		TURN_ATTR_REQUESTED_TRANSPORT,
		TURN_ATTR_DONT_FRAGMENT,
		STUN_ATTR_MESSAGE_INTEGRITY_SHA256,
		STUN_ATTR_PASSWORD_ALGORITHM,
		STUN_ATTR_USERHASH,
		STUN_ATTR_XOR_MAPPED_ADDRESS,
		TURN_ATTR_RESERVATION_TOKEN,
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i] == type)
			return true;
	}
	return false;
}

// The verdict by the general parser's means. Behind MESSAGE-INTEGRITY that one still sees
// MESSAGE-INTEGRITY-SHA256, which is known, so both ignore the same.
static enum turn_send_error expected(const uint8_t *data, size_t n, struct turn_send *out)
{
	struct stun_view m;
	struct stun_attr a;
	uint16_t unknown;

	if (stun_parse(data, n, &m) != STUN_OK || m.type != TURN_SEND_INDICATION)
		return TURN_SEND_MALFORMED;
	if (stun_unknown_attrs(&m, in_rfcs, &unknown, 1) != 0)
		return TURN_SEND_UNKNOWN_ATTRIBUTE;
	if (stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a) && !stun_fingerprint_ok(&m, &a))
		return TURN_SEND_FINGERPRINT;
	if (!stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &a) ||
	    stun_xor_address_get(&m, &a, &out->peer) != 0)
		return TURN_SEND_NO_PEER;
	if (!stun_attr_find(&m, TURN_ATTR_DATA, &a))
		return TURN_SEND_NO_DATA;
	out->data = a.value;
	out->data_bytes = a.length_bytes;
	out->dont_fragment = stun_attr_find(&m, TURN_ATTR_DONT_FRAGMENT, &a);
	return TURN_SEND_OK;
}

static void check_data_indication(const struct turn_send *s)
{
	static const uint8_t id[12] = { 1, 2, 3 };
	static uint8_t buf[TURN_DATA_PREFIX_V6_BYTES + UINT16_MAX + 3];
	struct stun_view m;
	struct stun_attr a;
	struct ip_endpoint peer;
	uint16_t prefix_bytes = turn_data_prefix_write(buf, &s->peer, s->data_bytes, id);
	size_t n = prefix_bytes + ((s->data_bytes + 3u) & ~3u);

	if (n > UINT16_MAX)
		return;
	memcpy(buf + prefix_bytes, s->data, s->data_bytes);
	FUZZ_ASSERT(stun_parse(buf, n, &m) == STUN_OK);
	FUZZ_ASSERT(m.type == TURN_DATA_INDICATION);
	FUZZ_ASSERT(stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &a));
	FUZZ_ASSERT(stun_xor_address_get(&m, &a, &peer) == 0);
	FUZZ_ASSERT(ip_endpoint_equal(&peer, &s->peer));
	FUZZ_ASSERT(stun_attr_find(&m, TURN_ATTR_DATA, &a));
	FUZZ_ASSERT(a.length_bytes == s->data_bytes && a.value == buf + prefix_bytes);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct turn_send want = { .data = NULL };
	struct turn_send got;
	enum turn_send_error error = turn_send_parse(data, n, &got);

	FUZZ_ASSERT(error == expected(data, n, &want));
	if (error != TURN_SEND_OK)
		return;
	FUZZ_ASSERT(got.data >= data && got.data + got.data_bytes <= data + n);
	FUZZ_ASSERT(got.data == want.data && got.data_bytes == want.data_bytes);
	FUZZ_ASSERT(got.dont_fragment == want.dont_fragment);
	FUZZ_ASSERT(ip_endpoint_equal(&got.peer, &want.peer));
	check_data_indication(&got);
}
