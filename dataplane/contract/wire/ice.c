// Reading connectivity checks (RFC 8445 §7.3) as a lite agent. Pure, any thread; writes only through
// out-parameters.
#include "dataplane/contract/wire/ice.h"

// What we understand, be it only to ignore it in a check: the attributes of STUN itself and those of ICE.
static bool is_understood(uint16_t type)
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
	case ICE_ATTR_PRIORITY:
	case ICE_ATTR_USE_CANDIDATE:
		return true;
	default:
		return false;
	}
}

// What a walk over the attributes in front of MESSAGE-INTEGRITY found; of each type the first counts.
struct found {
	struct stun_attr username;
	bool has_username;
	bool has_priority;
	bool is_controlled;
	bool is_malformed;
};

static void take_attr(const struct stun_attr *a, struct found *f, struct ice_check *out)
{
	switch (a->type) {
	case STUN_ATTR_USERNAME:
		if (!f->has_username)
			f->username = *a;
		f->has_username = true;
		break;
	case ICE_ATTR_PRIORITY:
		if (a->length_bytes != 4)
			f->is_malformed = true;
		else if (!f->has_priority)
			out->priority = bytes_get_be32(a->value);
		f->has_priority = true;
		break;
	case ICE_ATTR_USE_CANDIDATE:
		if (a->length_bytes != 0)
			f->is_malformed = true;
		out->use_candidate = true;
		break;
	case ICE_ATTR_CONTROLLED:
	case ICE_ATTR_CONTROLLING:
		if (a->length_bytes != 8) {
			f->is_malformed = true;
			break;
		}
		if (!f->is_controlled && !out->is_controlling)
			out->tie_breaker = bytes_get_be64(a->value);
		if (a->type == ICE_ATTR_CONTROLLED)
			f->is_controlled = true;
		else
			out->is_controlling = true;
		break;
	case ICE_ATTR_DTLS_IN_STUN:
	case ICE_ATTR_DTLS_IN_STUN_ACK:
		out->has_dtls = true;
		break;
	default:
		break;
	}
}

// USERNAME is "ours:theirs" (RFC 8445 §7.2.2). Ours decides; ice-chars are no colons.
static bool take_username(const struct stun_attr *username, struct ice_check *out)
{
	const uint8_t *colon = NULL;

	if (username->length_bytes > 0)
		colon = memchr(username->value, ':', username->length_bytes);
	if (colon == NULL || colon == username->value)
		return false;
	out->local_ufrag = username->value;
	out->local_ufrag_bytes = (uint16_t)(colon - username->value);
	out->remote_ufrag = colon + 1;
	out->remote_ufrag_bytes = (uint16_t)(username->length_bytes - out->local_ufrag_bytes - 1);
	return true;
}

enum ice_check_verdict ice_check_parse(const struct stun_view *m, struct ice_check *out)
{
	struct found f = { .has_username = false };
	struct stun_attr a;
	uint16_t offset = 0;
	bool has_integrity;

	*out = (struct ice_check){ .local_ufrag = NULL };
	// RFC 8445 §11: indications keep bindings alive and get no answer. We send no requests, so nobody has a
	// response for us.
	if (m->type != STUN_BINDING_REQUEST)
		return ICE_CHECK_DISCARD;
	if (stun_attr_find(m, STUN_ATTR_FINGERPRINT, &a) && !stun_fingerprint_ok(m, &a))
		return ICE_CHECK_DISCARD;
	has_integrity = stun_attr_find(m, STUN_ATTR_MESSAGE_INTEGRITY, &out->integrity);
	while (stun_attr_next(m, &offset, &a)) {
		if (a.type == STUN_ATTR_MESSAGE_INTEGRITY ||
		    a.type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256 || a.type == STUN_ATTR_FINGERPRINT)
			break;
		take_attr(&a, &f, out);
	}
	// RFC 8489 §9.1.3. RFC 8445 knows MESSAGE-INTEGRITY alone, so a request under SHA-256 only has none.
	if (!has_integrity && !f.has_username)
		return ICE_CHECK_NOT_ICE;
	if (!has_integrity || !f.has_username || f.is_malformed ||
	    out->integrity.length_bytes != ICE_INTEGRITY_BYTES)
		return ICE_CHECK_MALFORMED;
	if (!take_username(&f.username, out))
		return ICE_CHECK_UNKNOWN_USER;
	out->n_unknown =
		(uint8_t)stun_unknown_attrs(m, is_understood, out->unknown, ICE_UNKNOWN_ATTRS_MAX);
	if (out->n_unknown > 0)
		return ICE_CHECK_UNKNOWN_ATTRS;
	// RFC 8445 §6.1.1: the full agent controls, so one that says otherwise is told to switch, whatever the
	// tie-breakers.
	if (f.is_controlled)
		return ICE_CHECK_ROLE_CONFLICT;
	return ICE_CHECK_VALID;
}

void ice_check_header(const struct stun_view *m, const struct ice_check *check,
		      uint8_t out[STUN_HEADER_BYTES])
{
	memcpy(out, m->msg, STUN_HEADER_BYTES);
	bytes_put_be16(out + 2, (uint16_t)(check->integrity.offset_bytes + STUN_ATTR_HEADER_BYTES +
					   ICE_INTEGRITY_BYTES - STUN_HEADER_BYTES));
}
