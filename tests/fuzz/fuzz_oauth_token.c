// Access tokens (RFC 7635 §6.2): what is taken out of one lies inside of it, sealed or decrypted, and nothing opens that was
// not sealed.
#include "controlplane/turn/oauth_token.h"

#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	static const uint8_t key[32] = "a key that sealed nothing of it";
	struct turn_oauth_sealed s;
	struct turn_oauth_token t;

	if (turn_oauth_token_split(data, n, &s) == 0) {
		FUZZ_ASSERT(n <= TURN_OAUTH_TOKEN_BYTES_MAX);
		FUZZ_ASSERT(s.nonce == data + 2 && s.block == s.nonce + TURN_OAUTH_NONCE_BYTES);
		FUZZ_ASSERT(s.tag == s.block + s.block_bytes);
		FUZZ_ASSERT(s.tag + TURN_OAUTH_TAG_BYTES == data + n);
	}
	if (turn_oauth_block_parse(data, n, &t) == 0) {
		FUZZ_ASSERT(t.mac_key_bytes >= 1 && t.mac_key_bytes <= TURN_OAUTH_MAC_KEY_MAX);
		FUZZ_ASSERT(n == 14u + t.mac_key_bytes);
		FUZZ_ASSERT(memcmp(t.mac_key, data + 2, t.mac_key_bytes) == 0);
		uint64_t end_ns = turn_oauth_token_expiry_ns(&t, 1795000000ull * 1000000000ull);
		FUZZ_ASSERT(end_ns == 0 || end_ns > 1795000000ull * 1000000000ull);
	}
	FUZZ_ASSERT(turn_oauth_token_open(key, n % 2 ? 16 : 32, "turn.example.org", data, n, &t) <
		    0);
}
