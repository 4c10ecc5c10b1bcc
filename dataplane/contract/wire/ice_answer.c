// Answers to connectivity checks (RFC 8445 §7.3). Pure, any thread; writes only into the caller's buffer.
#include "dataplane/contract/wire/ice.h"

// MESSAGE-INTEGRITY and FINGERPRINT, in this order.
static size_t sign(struct stun_builder *b, ice_hmac_fn hmac, void *context)
{
	size_t covered_bytes;
	uint8_t *tag = stun_build_integrity(b, STUN_ATTR_MESSAGE_INTEGRITY, ICE_INTEGRITY_BYTES,
					    &covered_bytes);

	if (tag == NULL)
		return 0;
	hmac(context, b->w.base, covered_bytes, tag);
	stun_build_fingerprint(b);
	return stun_build_end(b);
}

size_t ice_success_build(const struct stun_view *request, const struct ip_endpoint *source,
			 ice_hmac_fn hmac, void *context, uint8_t *out, size_t out_bytes)
{
	struct stun_builder b;

	stun_build_begin(&b, out, out_bytes, STUN_BINDING_SUCCESS, request->transaction_id);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, source);
	return sign(&b, hmac, context);
}

size_t ice_refusal_build(const struct stun_view *request, uint16_t code, uint8_t *out,
			 size_t out_bytes)
{
	struct stun_builder b;
	size_t n;

	stun_build_begin(&b, out, out_bytes, STUN_BINDING_ERROR, request->transaction_id);
	stun_build_error_code(&b, code, NULL);
	stun_build_fingerprint(&b);
	n = stun_build_end(&b);
	return n <= request->length_bytes ? n : 0;
}

size_t ice_error_build(const struct stun_view *request, const struct ice_check *check,
		       uint16_t code, ice_hmac_fn hmac, void *context, uint8_t *out,
		       size_t out_bytes)
{
	uint8_t types[2 * ICE_UNKNOWN_ATTRS_MAX];
	struct stun_builder b;

	stun_build_begin(&b, out, out_bytes, STUN_BINDING_ERROR, request->transaction_id);
	stun_build_error_code(&b, code, NULL);
	if (code == 420) {
		for (uint32_t i = 0; i < check->n_unknown; i++)
			bytes_put_be16(types + 2 * i, check->unknown[i]);
		stun_build_attr(&b, STUN_ATTR_UNKNOWN_ATTRIBUTES, types,
				(uint16_t)(2 * check->n_unknown));
	}
	return sign(&b, hmac, context);
}
