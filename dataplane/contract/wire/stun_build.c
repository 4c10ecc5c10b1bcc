// Building STUN messages (RFC 8489 §5, §14) into a buffer of the caller's. Pure, any thread.
#include "dataplane/contract/wire/stun.h"

// What the 16-bit length field can tell.
#define STUN_MESSAGE_MAX_BYTES (STUN_HEADER_BYTES + 0xfffc)

// Appends an attribute's header and reserves its value, the padding behind it zeroed.
static uint8_t *append_attr(struct stun_builder *b, uint16_t type, uint16_t length_bytes)
{
	size_t padded_bytes = (length_bytes + 3u) & ~3u;
	uint8_t *at = bytes_grow(&b->w, STUN_ATTR_HEADER_BYTES + padded_bytes);

	if (at == NULL)
		return NULL;
	bytes_put_be16(at, type);
	bytes_put_be16(at + 2, length_bytes);
	at += STUN_ATTR_HEADER_BYTES;
	memset(at + length_bytes, 0, padded_bytes - length_bytes);
	return at;
}

static void put_length(struct stun_builder *b)
{
	bytes_put_be16(b->w.base + 2, (uint16_t)(b->w.len_bytes - STUN_HEADER_BYTES));
}

void stun_build_begin(struct stun_builder *b, void *buf, size_t capacity_bytes, uint16_t type,
		      const uint8_t transaction_id[12])
{
	uint8_t *at;

	if (capacity_bytes > STUN_MESSAGE_MAX_BYTES)
		capacity_bytes = STUN_MESSAGE_MAX_BYTES;
	b->w = bytes_writer_init(buf, capacity_bytes);
	at = bytes_grow(&b->w, STUN_HEADER_BYTES);
	if (at == NULL)
		return;
	bytes_put_be16(at, type);
	bytes_put_be16(at + 2, 0);
	bytes_put_be32(at + 4, STUN_MAGIC_COOKIE);
	memcpy(at + 8, transaction_id, 12);
}

void stun_build_attr(struct stun_builder *b, uint16_t type, const void *value,
		     uint16_t length_bytes)
{
	uint8_t *at = append_attr(b, type, length_bytes);

	if (at != NULL && length_bytes > 0)
		memcpy(at, value, length_bytes);
}

void stun_build_u32(struct stun_builder *b, uint16_t type, uint32_t value)
{
	uint8_t *at = append_attr(b, type, 4);

	if (at != NULL)
		bytes_put_be32(at, value);
}

void stun_build_xor_address(struct stun_builder *b, uint16_t type, const struct ip_endpoint *e)
{
	bool v4 = ip_address_is_v4(&e->address);
	uint8_t *at = append_attr(b, type, v4 ? 8 : 20);
	const uint8_t *mask = b->w.base + 4; // cookie and transaction id
	const uint8_t *address = e->address.bytes;

	if (at == NULL)
		return;
	at[0] = 0;
	at[1] = v4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6;
	bytes_put_be16(at + 2, bytes_get_be16(&e->port_be) ^ (STUN_MAGIC_COOKIE >> 16));
	if (v4) {
		bytes_put_be32(at + 4, bytes_get_be32(address + 12) ^ STUN_MAGIC_COOKIE);
	} else {
		bytes_put_be64(at + 4, bytes_get_be64(address) ^ bytes_get_be64(mask));
		bytes_put_be64(at + 12, bytes_get_be64(address + 8) ^ bytes_get_be64(mask + 8));
	}
}

void stun_build_address(struct stun_builder *b, uint16_t type, const struct ip_endpoint *e)
{
	bool v4 = ip_address_is_v4(&e->address);
	uint8_t *at = append_attr(b, type, v4 ? 8 : 20);

	if (at == NULL)
		return;
	at[0] = 0;
	at[1] = v4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6;
	memcpy(at + 2, &e->port_be, sizeof(e->port_be));
	if (v4)
		memcpy(at + 4, ip_address_v4_bytes(&e->address), 4);
	else
		memcpy(at + 4, e->address.bytes, 16);
}

void stun_build_error_code(struct stun_builder *b, uint16_t code, const char *reason)
{
	uint16_t reason_bytes = 0;
	uint8_t *at;

	// RFC 8489 §14.8: at most 763 bytes.
	while (reason != NULL && reason_bytes < 763 && reason[reason_bytes] != '\0')
		reason_bytes++;
	at = append_attr(b, STUN_ATTR_ERROR_CODE, (uint16_t)(4 + reason_bytes));
	if (at == NULL)
		return;
	bytes_put_be32(at, (uint32_t)(code / 100 & 7) << 8 | code % 100u);
	if (reason_bytes > 0)
		memcpy(at + 4, reason, reason_bytes);
}

uint8_t *stun_build_integrity(struct stun_builder *b, uint16_t type, uint16_t tag_bytes,
			      size_t *covered_bytes)
{
	size_t before_bytes = b->w.len_bytes;
	uint8_t *at = append_attr(b, type, tag_bytes);

	if (at == NULL)
		return NULL;
	memset(at, 0, tag_bytes);
	put_length(b);
	*covered_bytes = before_bytes;
	return at;
}

void stun_build_fingerprint(struct stun_builder *b)
{
	size_t before_bytes = b->w.len_bytes;
	uint8_t *at = append_attr(b, STUN_ATTR_FINGERPRINT, 4);

	if (at == NULL)
		return;
	put_length(b);
	bytes_put_be32(at, stun_crc32(b->w.base, before_bytes) ^ STUN_FINGERPRINT_XOR);
}

size_t stun_build_end(struct stun_builder *b)
{
	if (b->w.overflow)
		return 0;
	put_length(b);
	return b->w.len_bytes;
}
