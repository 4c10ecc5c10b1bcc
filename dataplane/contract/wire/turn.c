// Send and Data indications (RFC 8656 §11). Pure, any thread; writes only through out-parameters.
#include "dataplane/contract/wire/turn.h"

#define BIT64(n) (1ull << (n))

// Comprehension-required attributes that are known, all below 0x40. Those without a meaning in a Send
// indication are ignored there (RFC 8489 §6.3, "known but unexpected").
#define KNOWN_ATTRS                                                                                \
	(BIT64(STUN_ATTR_MAPPED_ADDRESS) | BIT64(STUN_ATTR_USERNAME) |                             \
	 BIT64(STUN_ATTR_MESSAGE_INTEGRITY) | BIT64(STUN_ATTR_ERROR_CODE) |                        \
	 BIT64(STUN_ATTR_UNKNOWN_ATTRIBUTES) | BIT64(TURN_ATTR_CHANNEL_NUMBER) |                   \
	 BIT64(TURN_ATTR_LIFETIME) | BIT64(TURN_ATTR_XOR_PEER_ADDRESS) | BIT64(TURN_ATTR_DATA) |   \
	 BIT64(STUN_ATTR_REALM) | BIT64(STUN_ATTR_NONCE) | BIT64(TURN_ATTR_XOR_RELAYED_ADDRESS) |  \
	 BIT64(TURN_ATTR_REQUESTED_ADDRESS_FAMILY) | BIT64(TURN_ATTR_EVEN_PORT) |                  \
	 BIT64(TURN_ATTR_REQUESTED_TRANSPORT) | BIT64(TURN_ATTR_DONT_FRAGMENT) |                   \
	 BIT64(STUN_ATTR_MESSAGE_INTEGRITY_SHA256) | BIT64(STUN_ATTR_PASSWORD_ALGORITHM) |         \
	 BIT64(STUN_ATTR_USERHASH) | BIT64(STUN_ATTR_XOR_MAPPED_ADDRESS) |                         \
	 BIT64(TURN_ATTR_RESERVATION_TOKEN))

static bool is_unknown(uint16_t type)
{
	return type < 0x8000 && (type >= 64 || (KNOWN_ATTRS >> type & 1) == 0);
}

enum turn_send_error turn_send_parse(const uint8_t *buf, size_t len_bytes, struct turn_send *out)
{
	struct stun_attr peer = { .value = NULL };
	struct stun_attr fingerprint = { .value = NULL };
	bool unknown = false;
	bool closed = false; // by integrity: only FINGERPRINT counts behind it
	struct stun_view m;
	size_t at = STUN_HEADER_BYTES;

	if (len_bytes < STUN_HEADER_BYTES || len_bytes > UINT16_MAX || len_bytes % 4 != 0 ||
	    bytes_get_be16(buf) != TURN_SEND_INDICATION ||
	    bytes_get_be16(buf + 2) != len_bytes - STUN_HEADER_BYTES ||
	    bytes_get_be32(buf + 4) != STUN_MAGIC_COOKIE)
		return TURN_SEND_MALFORMED;
	out->data = NULL;
	out->data_bytes = 0;
	out->dont_fragment = false;
	while (at < len_bytes) {
		struct stun_attr a = {
			.type = bytes_get_be16(buf + at),
			.length_bytes = bytes_get_be16(buf + at + 2),
			.value = buf + at + STUN_ATTR_HEADER_BYTES,
			.offset_bytes = (uint16_t)at,
		};

		at += STUN_ATTR_HEADER_BYTES + ((a.length_bytes + 3u) & ~3u);
		if (at > len_bytes)
			return TURN_SEND_MALFORMED;
		if (fingerprint.value != NULL)
			continue;
		if (a.type == STUN_ATTR_FINGERPRINT) {
			fingerprint = a;
		} else if (closed) {
			continue;
		} else if (a.type == TURN_ATTR_XOR_PEER_ADDRESS) {
			if (peer.value == NULL)
				peer = a;
		} else if (a.type == TURN_ATTR_DATA) {
			if (out->data == NULL) {
				out->data = a.value;
				out->data_bytes = a.length_bytes;
			}
		} else if (a.type == TURN_ATTR_DONT_FRAGMENT) {
			out->dont_fragment = true;
		} else if (a.type == STUN_ATTR_MESSAGE_INTEGRITY ||
			   a.type == STUN_ATTR_MESSAGE_INTEGRITY_SHA256) {
			closed = true;
		} else if (is_unknown(a.type)) {
			unknown = true;
		}
	}
	if (unknown)
		return TURN_SEND_UNKNOWN_ATTRIBUTE;
	m = (struct stun_view){
		.msg = buf,
		.length_bytes = (uint16_t)len_bytes,
		.type = TURN_SEND_INDICATION,
		.transaction_id = buf + 8,
	};
	if (fingerprint.value != NULL && !stun_fingerprint_ok(&m, &fingerprint))
		return TURN_SEND_FINGERPRINT;
	if (peer.value == NULL || stun_xor_address_get(&m, &peer, &out->peer) != 0)
		return TURN_SEND_NO_PEER;
	if (out->data == NULL)
		return TURN_SEND_NO_DATA;
	return TURN_SEND_OK;
}

uint16_t turn_data_prefix_write(uint8_t *prefix, const struct ip_endpoint *peer,
				uint16_t data_bytes, const uint8_t transaction_id[12])
{
	bool v4 = ip_address_is_v4(&peer->address);
	uint16_t prefix_bytes = v4 ? TURN_DATA_PREFIX_V4_BYTES : TURN_DATA_PREFIX_V6_BYTES;
	uint32_t padded_bytes = (data_bytes + 3u) & ~3u;
	const uint8_t *address = peer->address.bytes;
	uint8_t *attr = prefix + STUN_HEADER_BYTES;

	bytes_put_be16(prefix, TURN_DATA_INDICATION);
	bytes_put_be16(prefix + 2, (uint16_t)(prefix_bytes - STUN_HEADER_BYTES + padded_bytes));
	bytes_put_be32(prefix + 4, STUN_MAGIC_COOKIE);
	memcpy(prefix + 8, transaction_id, 12);
	bytes_put_be16(attr, TURN_ATTR_XOR_PEER_ADDRESS);
	bytes_put_be16(attr + 2, v4 ? 8 : 20);
	bytes_put_be16(attr + 4, v4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6);
	bytes_put_be16(attr + 6, bytes_get_be16(&peer->port_be) ^ (STUN_MAGIC_COOKIE >> 16));
	if (v4) {
		bytes_put_be32(attr + 8, bytes_get_be32(address + 12) ^ STUN_MAGIC_COOKIE);
	} else {
		bytes_put_be64(attr + 8, bytes_get_be64(address) ^ bytes_get_be64(prefix + 4));
		bytes_put_be64(attr + 16,
			       bytes_get_be64(address + 8) ^ bytes_get_be64(prefix + 12));
	}
	bytes_put_be16(prefix + prefix_bytes - 4, TURN_ATTR_DATA);
	bytes_put_be16(prefix + prefix_bytes - 2, data_bytes);
	return prefix_bytes;
}
