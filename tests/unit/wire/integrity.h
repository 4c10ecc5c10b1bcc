// MESSAGE-INTEGRITY as a caller of the contract computes it (RFC 8489 §14.5, §14.6): HMAC by OpenSSL over
// the message up to the attribute, with the header's length set to end behind it.
#ifndef TP_TESTS_INTEGRITY_H
#define TP_TESTS_INTEGRITY_H

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "dataplane/contract/wire/stun.h"

static inline bool integrity_ok(const struct stun_view *m, const struct stun_attr *a,
				const void *key, size_t key_bytes)
{
	bool sha256 = a->type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256;
	uint8_t copy[2048];
	uint8_t tag[EVP_MAX_MD_SIZE];

	cr_assert_leq(a->offset_bytes, sizeof(copy));
	memcpy(copy, m->msg, a->offset_bytes);
	bytes_put_be16(copy + 2, (uint16_t)(a->offset_bytes + STUN_ATTR_HEADER_BYTES +
					    a->length_bytes - STUN_HEADER_BYTES));
	HMAC(sha256 ? EVP_sha256() : EVP_sha1(), key, (int)key_bytes, copy, a->offset_bytes, tag,
	     NULL);
	return memcmp(tag, a->value, a->length_bytes) == 0;
}

#endif
