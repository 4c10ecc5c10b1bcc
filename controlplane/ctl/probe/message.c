// See message.h.
#include "controlplane/ctl/probe/message.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define RETRANSMIT_FIRST_NS 250000000ull

// RFC 8489 §9.2: a nonce that begins so says in the next 4 characters (24 bits) what the server can do.
#define COOKIE            "obMatJos2"
#define COOKIE_BYTES      (sizeof(COOKIE) - 1)
#define COOKIE_ALGORITHMS 0x800000u

#define ALGORITHM_SHA256 2

static void key_derive(struct probe_credentials *c)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned n = 0;

	if (md && EVP_DigestInit_ex(md, c->is_sha256 ? EVP_sha256() : EVP_md5(), NULL) &&
	    EVP_DigestUpdate(md, c->user, strlen(c->user)) && EVP_DigestUpdate(md, ":", 1) &&
	    EVP_DigestUpdate(md, c->realm, strlen(c->realm)) && EVP_DigestUpdate(md, ":", 1) &&
	    EVP_DigestUpdate(md, c->password, strlen(c->password)))
		EVP_DigestFinal_ex(md, c->key, &n);
	EVP_MD_CTX_free(md);
	c->key_bytes = (uint16_t)n;
}

// The security features of a nonce with the cookie; 0 without.
static uint32_t nonce_features(const uint8_t *nonce, size_t n)
{
	uint8_t bits[3];

	if (n < COOKIE_BYTES + 4 || memcmp(nonce, COOKIE, COOKIE_BYTES) != 0 ||
	    EVP_DecodeBlock(bits, nonce + COOKIE_BYTES, 4) != 3)
		return 0;
	return (uint32_t)bits[0] << 16 | (uint32_t)bits[1] << 8 | bits[2];
}

static bool offers_sha256(const uint8_t *list, size_t n)
{
	for (size_t at = 0; at + 4 <= n;) {
		if (bytes_get_be16(list + at) == ALGORITHM_SHA256)
			return true;
		at += 4 + ((bytes_get_be16(list + at + 2) + 3u) & ~3u);
	}
	return false;
}

int probe_credentials_challenged(struct probe_credentials *c, const struct stun_view *answer)
{
	struct stun_attr a;

	if (!stun_attr_find(answer, STUN_ATTR_REALM, &a) || a.length_bytes >= sizeof(c->realm))
		return -EBADMSG;
	memcpy(c->realm, a.value, a.length_bytes);
	c->realm[a.length_bytes] = '\0';
	if (!stun_attr_find(answer, STUN_ATTR_NONCE, &a) || a.length_bytes == 0 ||
	    a.length_bytes > sizeof(c->nonce))
		return -EBADMSG;
	memcpy(c->nonce, a.value, a.length_bytes);
	c->nonce_bytes = a.length_bytes;
	c->algorithms_bytes = 0;
	c->is_sha256 = false;
	if ((nonce_features(c->nonce, c->nonce_bytes) & COOKIE_ALGORITHMS) != 0 &&
	    stun_attr_find(answer, STUN_ATTR_PASSWORD_ALGORITHMS, &a) &&
	    a.length_bytes <= sizeof(c->algorithms)) {
		memcpy(c->algorithms, a.value, a.length_bytes);
		c->algorithms_bytes = a.length_bytes;
		c->is_sha256 = offers_sha256(a.value, a.length_bytes);
	}
	key_derive(c);
	return 0;
}

void probe_credentials_wipe(struct probe_credentials *c)
{
	OPENSSL_cleanse(c->key, sizeof(c->key));
}

void probe_rest_password(const char *secret, const char *user, char out[29])
{
	uint8_t tag[20];

	HMAC(EVP_sha1(), secret, (int)strlen(secret), (const uint8_t *)user, strlen(user), tag,
	     NULL);
	EVP_EncodeBlock((uint8_t *)out, tag, sizeof(tag));
}

static void sign(struct stun_builder *b, const struct probe_credentials *c)
{
	uint8_t *tag;
	size_t covered_bytes;

	stun_build_attr(b, STUN_ATTR_USERNAME, c->user, (uint16_t)strlen(c->user));
	stun_build_attr(b, STUN_ATTR_REALM, c->realm, (uint16_t)strlen(c->realm));
	stun_build_attr(b, STUN_ATTR_NONCE, c->nonce, c->nonce_bytes);
	if (c->algorithms_bytes > 0) {
		// RFC 8489 §9.2.5: echoed, so that nobody in between can take the better one away.
		stun_build_attr(b, STUN_ATTR_PASSWORD_ALGORITHMS, c->algorithms,
				c->algorithms_bytes);
		stun_build_u32(b, STUN_ATTR_PASSWORD_ALGORITHM,
			       (uint32_t)(c->is_sha256 ? ALGORITHM_SHA256 : 1) << 16);
	}
	tag = stun_build_integrity(
		b, c->is_sha256 ? STUN_ATTR_MESSAGE_INTEGRITY_SHA256 : STUN_ATTR_MESSAGE_INTEGRITY,
		c->is_sha256 ? 32 : 20, &covered_bytes);
	if (tag)
		HMAC(c->is_sha256 ? EVP_sha256() : EVP_sha1(), c->key, c->key_bytes, b->w.base,
		     covered_bytes, tag, NULL);
}

size_t probe_request_build(const struct probe_request *r, const struct probe_credentials *c,
			   const uint8_t transaction_id[12], uint8_t *out, size_t out_bytes)
{
	struct stun_builder b;

	stun_build_begin(&b, out, out_bytes, r->type, transaction_id);
	if (r->type == TURN_ALLOCATE_REQUEST)
		stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT,
			       (uint32_t)TURN_TRANSPORT_UDP << 24);
	if (r->family != 0)
		stun_build_u32(&b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)r->family << 24);
	if (r->channel != 0)
		stun_build_u32(&b, TURN_ATTR_CHANNEL_NUMBER, (uint32_t)r->channel << 16);
	if (r->has_peer)
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &r->peer);
	if (r->has_lifetime)
		stun_build_u32(&b, TURN_ATTR_LIFETIME, r->lifetime_s);
	if (c && c->nonce_bytes > 0)
		sign(&b, c);
	return stun_build_end(&b);
}

size_t probe_binding_build(uint32_t change, uint8_t transaction_id[12],
			   uint8_t out[PROBE_BINDING_MAX])
{
	static const char software[] = "turnpikectl probe: finds out what this server does for its "
				       "clients, at the wish of an operator";
	struct stun_builder b;

	RAND_bytes(transaction_id, 12);
	stun_build_begin(&b, out, PROBE_BINDING_MAX, STUN_BINDING_REQUEST, transaction_id);
	if (change != 0)
		stun_build_u32(&b, STUN_ATTR_CHANGE_REQUEST, change);
	stun_build_attr(&b, STUN_ATTR_SOFTWARE, software, sizeof(software) - 1);
	return stun_build_end(&b);
}

bool probe_answer_verify(const struct probe_credentials *c, const struct stun_view *answer)
{
	uint8_t copy[PROBE_MESSAGE_MAX], tag[EVP_MAX_MD_SIZE];
	struct stun_attr a;
	bool is_sha256 = stun_attr_find(answer, STUN_ATTR_MESSAGE_INTEGRITY_SHA256, &a);

	if (!is_sha256 &&
	    (c->is_sha256 || !stun_attr_find(answer, STUN_ATTR_MESSAGE_INTEGRITY, &a)))
		return false;
	if (is_sha256 ? a.length_bytes < 16 || a.length_bytes > 32 || a.length_bytes % 4 != 0
		      : a.length_bytes != 20)
		return false;
	if (a.offset_bytes > sizeof(copy))
		return false;
	memcpy(copy, answer->msg, a.offset_bytes);
	bytes_put_be16(copy + 2, (uint16_t)(a.offset_bytes + STUN_ATTR_HEADER_BYTES +
					    a.length_bytes - STUN_HEADER_BYTES));
	HMAC(is_sha256 ? EVP_sha256() : EVP_sha1(), c->key, c->key_bytes, copy, a.offset_bytes, tag,
	     NULL);
	return CRYPTO_memcmp(tag, a.value, a.length_bytes) == 0;
}

uint16_t probe_error_code(const struct stun_view *answer)
{
	struct stun_attr a;

	if (!stun_attr_find(answer, STUN_ATTR_ERROR_CODE, &a) || a.length_bytes < 4)
		return 0;
	return (uint16_t)((a.value[2] & 7) * 100 + a.value[3]);
}

int probe_transact(struct probe_link *l, const uint8_t *message, size_t n, uint8_t *buffer,
		   size_t buffer_bytes, struct stun_view *answer, uint64_t *rtt_ns)
{
	bool is_stream = l->transport == PROBE_TCP || l->transport == PROBE_TLS;
	uint64_t began_ns = probe_now_ns(), end_ns = began_ns + PROBE_ANSWER_NS;
	uint64_t wait_ns = is_stream ? PROBE_ANSWER_NS : RETRANSMIT_FIRST_NS;

	for (; probe_now_ns() < end_ns; wait_ns *= 2) {
		uint64_t sent_ns = probe_now_ns(), until_ns = sent_ns + wait_ns;
		int ret = probe_link_send(l, message, n);

		if (ret < 0)
			return ret;
		if (until_ns > end_ns)
			until_ns = end_ns;
		for (;;) {
			ssize_t got = probe_link_receive(l, buffer, buffer_bytes, until_ns);

			if (got < 0)
				return (int)got;
			if (got == 0)
				break;
			if (stun_parse(buffer, (size_t)got, answer) != STUN_OK ||
			    !(answer->type & STUN_CLASS_SUCCESS) ||
			    memcmp(answer->transaction_id, message + 8, 12) != 0)
				continue;
			if (rtt_ns)
				*rtt_ns = probe_now_ns() - sent_ns;
			return 0;
		}
	}
	return -ETIMEDOUT;
}

int probe_request(struct probe_link *l, struct probe_credentials *c, const struct probe_request *r,
		  uint8_t *buffer, size_t buffer_bytes, struct stun_view *answer)
{
	int code = 0;

	for (uint32_t round = 0; round < 3; round++) {
		uint8_t message[PROBE_MESSAGE_MAX], transaction_id[12];
		bool was_challenged = c->nonce_bytes > 0;
		size_t n;
		int ret;

		if (RAND_bytes(transaction_id, sizeof(transaction_id)) != 1)
			return -EIO;
		n = probe_request_build(r, c, transaction_id, message, sizeof(message));
		if (n == 0)
			return -EMSGSIZE;
		ret = probe_transact(l, message, n, buffer, buffer_bytes, answer, NULL);
		if (ret < 0)
			return ret;
		if ((answer->type & STUN_CLASS_ERROR) == STUN_CLASS_SUCCESS)
			return !was_challenged || probe_answer_verify(c, answer)
				       ? 0
				       : PROBE_INTEGRITY_WRONG;
		code = probe_error_code(answer);
		if (code == 0)
			return -EBADMSG;
		if (code != 438 && (code != 401 || was_challenged))
			return code;
		if (probe_credentials_challenged(c, answer) < 0)
			return -EBADMSG;
	}
	return code;
}
