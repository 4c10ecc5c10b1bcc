// Reading STUN messages (RFC 8489 §5, §14). Pure, any thread; writes only through out-parameters.
#include "dataplane/contract/wire/stun.h"

#include <errno.h>

enum stun_error stun_parse(const uint8_t *buf, size_t len_bytes, struct stun_view *out)
{
	size_t message_bytes;
	uint64_t present = 0;
	size_t at;

	if (len_bytes < STUN_HEADER_BYTES)
		return STUN_ERROR_SHORT;
	if (buf[0] & 0xc0 || bytes_get_be32(buf + 4) != STUN_MAGIC_COOKIE)
		return STUN_ERROR_NOT_STUN;
	message_bytes = STUN_HEADER_BYTES + (size_t)bytes_get_be16(buf + 2);
	if (message_bytes % 4 != 0 || message_bytes > UINT16_MAX)
		return STUN_ERROR_LENGTH;
	if (message_bytes > len_bytes)
		return STUN_ERROR_SHORT;
	if (message_bytes < len_bytes)
		return STUN_ERROR_LENGTH;
	// Length and offsets are multiples of 4, so an attribute's header is always whole.
	for (at = STUN_HEADER_BYTES; at < message_bytes;) {
		size_t value_bytes = bytes_get_be16(buf + at + 2);

		present |= 1ull << (buf[at + 1] & 63);
		at += STUN_ATTR_HEADER_BYTES + ((value_bytes + 3) & ~(size_t)3);
	}
	if (at != message_bytes)
		return STUN_ERROR_ATTRIBUTE;
	out->msg = buf;
	out->length_bytes = (uint16_t)message_bytes;
	out->type = bytes_get_be16(buf);
	out->transaction_id = buf + 8;
	out->absent = ~present;
	return STUN_OK;
}

bool stun_attr_next(const struct stun_view *m, uint16_t *offset, struct stun_attr *out)
{
	uint32_t at = *offset != 0 ? *offset : STUN_HEADER_BYTES;
	uint32_t next;

	if (at + STUN_ATTR_HEADER_BYTES > m->length_bytes)
		return false;
	out->type = bytes_get_be16(m->msg + at);
	out->length_bytes = bytes_get_be16(m->msg + at + 2);
	out->value = m->msg + at + STUN_ATTR_HEADER_BYTES;
	out->offset_bytes = (uint16_t)at;
	next = at + STUN_ATTR_HEADER_BYTES + ((out->length_bytes + 3u) & ~3u);
	if (next > m->length_bytes)
		return false;
	*offset = (uint16_t)next;
	return true;
}

// Iterates like stun_attr_next over the attributes that count. `*closed_by` starts at 0 and holds the
// attribute that closed the message to most others.
static bool next_that_counts(const struct stun_view *m, uint16_t *offset, uint16_t *closed_by,
			     struct stun_attr *out)
{
	while (stun_attr_next(m, offset, out)) {
		bool counts;

		switch (*closed_by) {
		case STUN_ATTR_MESSAGE_INTEGRITY:
			counts = out->type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256 ||
				 out->type == STUN_ATTR_FINGERPRINT;
			break;
		case STUN_ATTR_MESSAGE_INTEGRITY_SHA256:
			counts = out->type == STUN_ATTR_FINGERPRINT;
			break;
		case STUN_ATTR_FINGERPRINT:
			return false;
		default:
			counts = true;
			break;
		}
		if (!counts)
			continue;
		if (out->type == STUN_ATTR_MESSAGE_INTEGRITY ||
		    out->type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256 ||
		    out->type == STUN_ATTR_FINGERPRINT)
			*closed_by = out->type;
		return true;
	}
	return false;
}

bool stun_attr_find(const struct stun_view *m, uint16_t type, struct stun_attr *out)
{
	uint16_t closed_by = 0;
	uint16_t offset = 0;
	struct stun_attr a;

	// A request is asked for a dozen attributes that it does not have.
	if (m->absent & 1ull << (type & 63))
		return false;
	while (next_that_counts(m, &offset, &closed_by, &a)) {
		if (a.type == type) {
			*out = a;
			return true;
		}
	}
	return false;
}

uint32_t stun_unknown_attrs(const struct stun_view *m, bool (*known)(uint16_t type), uint16_t *out,
			    uint32_t max)
{
	uint16_t closed_by = 0;
	uint16_t offset = 0;
	struct stun_attr a;
	uint32_t n = 0;

	while (n < max && next_that_counts(m, &offset, &closed_by, &a)) {
		uint32_t i;

		if (a.type >= 0x8000 || known(a.type))
			continue;
		for (i = 0; i < n && out[i] != a.type; i++)
			;
		if (i == n)
			out[n++] = a.type;
	}
	return n;
}

int stun_xor_address_get(const struct stun_view *m, const struct stun_attr *a,
			 struct ip_endpoint *out)
{
	const uint8_t *v = a->value;
	uint8_t address[16];

	if (a->length_bytes < 4)
		return -EINVAL;
	if (v[1] == STUN_FAMILY_IPV4 && a->length_bytes == 8) {
		bytes_put_be32(address, bytes_get_be32(v + 4) ^ STUN_MAGIC_COOKIE);
		out->address = ip_address_from_v4(address);
	} else if (v[1] == STUN_FAMILY_IPV6 && a->length_bytes == 20) {
		// The mask is the cookie and the transaction id, which stand together in the header.
		bytes_put_be64(address, bytes_get_be64(v + 4) ^ bytes_get_be64(m->msg + 4));
		bytes_put_be64(address + 8, bytes_get_be64(v + 12) ^ bytes_get_be64(m->msg + 12));
		out->address = ip_address_from_v6(address);
	} else {
		return -EINVAL;
	}
	bytes_put_be16(&out->port_be, bytes_get_be16(v + 2) ^ (STUN_MAGIC_COOKIE >> 16));
	return 0;
}

int stun_address_get(const struct stun_attr *a, struct ip_endpoint *out)
{
	const uint8_t *v = a->value;

	if (a->length_bytes < 4)
		return -EINVAL;
	if (v[1] == STUN_FAMILY_IPV4 && a->length_bytes == 8)
		out->address = ip_address_from_v4(v + 4);
	else if (v[1] == STUN_FAMILY_IPV6 && a->length_bytes == 20)
		out->address = ip_address_from_v6(v + 4);
	else
		return -EINVAL;
	memcpy(&out->port_be, v + 2, sizeof(out->port_be));
	return 0;
}

bool stun_fingerprint_ok(const struct stun_view *m, const struct stun_attr *fingerprint)
{
	uint32_t at = fingerprint->offset_bytes;

	if (fingerprint->type != STUN_ATTR_FINGERPRINT || fingerprint->length_bytes != 4 ||
	    at + STUN_ATTR_HEADER_BYTES + 4 != m->length_bytes)
		return false;
	return bytes_get_be32(fingerprint->value) ==
	       (stun_crc32(m->msg, at) ^ STUN_FINGERPRINT_XOR);
}
