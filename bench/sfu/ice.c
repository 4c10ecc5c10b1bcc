// Controlling ICE agent (RFC 8445 §7, RFC 7675). One thread.
#include "bench/sfu/ice.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define PRIORITY_PRFLX ((110u << 24) | (65535u << 8) | 255u)

static void random_text(char *out, uint32_t n_chars)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t bytes[64];

	RAND_bytes(bytes, (int)n_chars);
	for (uint32_t i = 0; i < n_chars; i++)
		out[i] = chars[bytes[i] & 63];
	out[n_chars] = '\0';
}

void load_ice_init(struct load_ice *ice)
{
	memset(ice, 0, sizeof(*ice));
	random_text(ice->ufrag, LOAD_UFRAG_CHARS);
	random_text(ice->pwd, LOAD_PWD_CHARS);
	RAND_bytes((uint8_t *)&ice->tie_breaker, sizeof(ice->tie_breaker));
}

static void integrity(struct stun_builder *b, const char *pwd)
{
	size_t covered_bytes;
	uint8_t *tag = stun_build_integrity(b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);

	if (tag)
		HMAC(EVP_sha1(), pwd, (int)strlen(pwd), b->w.base, covered_bytes, tag, NULL);
	stun_build_fingerprint(b);
}

size_t load_ice_check(struct load_ice *ice, uint8_t *out, size_t room)
{
	struct stun_builder b;
	char username[600];
	uint8_t tie_breaker[8];
	int n;

	RAND_bytes(ice->transaction, sizeof(ice->transaction));
	n = snprintf(username, sizeof(username), "%s:%s", ice->remote_ufrag, ice->ufrag);
	stun_build_begin(&b, out, room, STUN_BINDING_REQUEST, ice->transaction);
	stun_build_attr(&b, STUN_ATTR_USERNAME, username, (uint16_t)n);
	stun_build_u32(&b, ICE_ATTR_PRIORITY, PRIORITY_PRFLX);
	bytes_put_be64(tie_breaker, ice->tie_breaker);
	stun_build_attr(&b, ICE_ATTR_CONTROLLING, tie_breaker, sizeof(tie_breaker));
	stun_build_attr(&b, ICE_ATTR_USE_CANDIDATE, NULL, 0);
	integrity(&b, ice->remote_pwd);
	return stun_build_end(&b);
}

// MESSAGE-INTEGRITY over the header, with the length that ends behind it, and what stands before
// it.
static bool is_authentic(const struct stun_view *m, const char *pwd)
{
	uint8_t message[1500];
	uint8_t tag[20];
	struct stun_attr a;

	if (!stun_attr_find(m, STUN_ATTR_MESSAGE_INTEGRITY, &a) || a.length_bytes != 20 ||
	    a.offset_bytes > sizeof(message))
		return false;
	memcpy(message, m->msg, a.offset_bytes);
	bytes_put_be16(message + 2, (uint16_t)(a.offset_bytes + 24 - STUN_HEADER_BYTES));
	HMAC(EVP_sha1(), pwd, (int)strlen(pwd), message, a.offset_bytes, tag, NULL);
	return CRYPTO_memcmp(tag, a.value, 20) == 0;
}

static size_t success(const struct load_ice *ice, const struct stun_view *m,
		      const struct ip_endpoint *source, uint8_t *out)
{
	struct stun_builder b;

	stun_build_begin(&b, out, 256, STUN_BINDING_SUCCESS, m->transaction_id);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, source);
	integrity(&b, ice->pwd);
	return stun_build_end(&b);
}

enum load_ice_event load_ice_receive(struct load_ice *ice, const uint8_t *message, size_t n_bytes,
				     const struct ip_endpoint *source, uint8_t *answer,
				     size_t *answer_bytes)
{
	struct stun_view m;

	if (stun_parse(message, n_bytes, &m) != STUN_OK)
		return LOAD_ICE_NOTHING;
	if (m.type == STUN_BINDING_REQUEST) {
		if (!is_authentic(&m, ice->pwd))
			return LOAD_ICE_NOTHING;
		*answer_bytes = success(ice, &m, source, answer);
		return LOAD_ICE_REQUEST;
	}
	if (memcmp(m.transaction_id, ice->transaction, sizeof(ice->transaction)) != 0)
		return LOAD_ICE_NOTHING;
	if (m.type == STUN_BINDING_SUCCESS)
		return is_authentic(&m, ice->remote_pwd) ? LOAD_ICE_VALID : LOAD_ICE_NOTHING;
	return m.type == STUN_BINDING_ERROR ? LOAD_ICE_REFUSED : LOAD_ICE_NOTHING;
}
