// PROXY protocol version 2, as HAProxy's proxy-protocol.txt §2.2 has it. Pure, any thread.
#include "controlplane/turn/stream/proxy_header.h"

#include <string.h>

#include "dataplane/contract/wire/bytes.h"

#define SIGNATURE_BYTES 12
#define FIXED_BYTES     16
#define V4_BYTES        12
#define V6_BYTES        36

enum {
	COMMAND_LOCAL = 0x0,
	COMMAND_PROXY = 0x1,
	FAMILY_UNSPECIFIED = 0x00,
	FAMILY_TCP_V4 = 0x11,
	FAMILY_TCP_V6 = 0x21,
};

// Type, length, value, one behind the other, and nothing left over.
static bool additions_fit(const uint8_t *bytes, size_t n_bytes)
{
	while (n_bytes > 0) {
		size_t whole_bytes;

		if (n_bytes < 3)
			return false;
		whole_bytes = 3 + (size_t)bytes_get_be16(bytes + 1);
		if (whole_bytes > n_bytes)
			return false;
		bytes += whole_bytes;
		n_bytes -= whole_bytes;
	}
	return true;
}

// What the bytes so far cannot be the start of the signature.
static enum turn_proxy_result no_signature(const uint8_t *bytes, size_t n_bytes)
{
	static const char v1[] = "PROXY ";
	size_t n = n_bytes < sizeof(v1) - 1 ? n_bytes : sizeof(v1) - 1;

	if (memcmp(bytes, v1, n) != 0)
		return TURN_PROXY_NO_HEADER;
	return n == sizeof(v1) - 1 ? TURN_PROXY_VERSION_1 : TURN_PROXY_MORE;
}

static void addresses_get(const uint8_t *at, bool is_v4, struct turn_proxy_header *out)
{
	uint16_t ports[2];

	if (is_v4) {
		out->client.address = ip_address_from_v4(at);
		out->server.address = ip_address_from_v4(at + 4);
		memcpy(ports, at + 8, 4);
	} else {
		out->client.address = ip_address_from_v6(at);
		out->server.address = ip_address_from_v6(at + 16);
		memcpy(ports, at + 32, 4);
	}
	out->client.port_be = ports[0];
	out->server.port_be = ports[1];
	out->has_addresses = true;
}

enum turn_proxy_result turn_proxy_header_parse(const uint8_t *bytes, size_t n_bytes,
					       struct turn_proxy_header *out)
{
	static const uint8_t signature[SIGNATURE_BYTES] = { '\r', '\n', '\r', '\n', 0,   '\r',
							    '\n', 'Q',  'U',  'I',  'T', '\n' };
	struct turn_proxy_header header;
	size_t rest_bytes, addresses_bytes;

	if (memcmp(bytes, signature, n_bytes < SIGNATURE_BYTES ? n_bytes : SIGNATURE_BYTES) != 0)
		return no_signature(bytes, n_bytes);
	if (n_bytes > 12 && bytes[12] >> 4 != 2)
		return TURN_PROXY_VERSION;
	if (n_bytes > 12 && (bytes[12] & 0xf) > COMMAND_PROXY)
		return TURN_PROXY_COMMAND;
	if (n_bytes < FIXED_BYTES)
		return TURN_PROXY_MORE;
	memset(&header, 0, sizeof(header));
	rest_bytes = bytes_get_be16(bytes + 14);
	header.length_bytes = FIXED_BYTES + rest_bytes;
	if (header.length_bytes > TURN_PROXY_HEADER_BYTES_MAX)
		return TURN_PROXY_LENGTH;
	// A LOCAL header's family and addresses mean nothing.
	if ((bytes[12] & 0xf) == COMMAND_LOCAL || bytes[13] == FAMILY_UNSPECIFIED) {
		if (n_bytes < header.length_bytes)
			return TURN_PROXY_MORE;
		*out = header;
		return TURN_PROXY_OK;
	}
	if (bytes[13] != FAMILY_TCP_V4 && bytes[13] != FAMILY_TCP_V6)
		return TURN_PROXY_FAMILY;
	addresses_bytes = bytes[13] == FAMILY_TCP_V4 ? V4_BYTES : V6_BYTES;
	if (rest_bytes < addresses_bytes)
		return TURN_PROXY_LENGTH;
	if (n_bytes < header.length_bytes)
		return TURN_PROXY_MORE;
	if (!additions_fit(bytes + FIXED_BYTES + addresses_bytes, rest_bytes - addresses_bytes))
		return TURN_PROXY_ADDITION;
	addresses_get(bytes + FIXED_BYTES, bytes[13] == FAMILY_TCP_V4, &header);
	*out = header;
	return TURN_PROXY_OK;
}

const char *turn_proxy_result_text(enum turn_proxy_result r)
{
	static const char *const text[TURN_PROXY_RESULT_COUNT] = {
		[TURN_PROXY_MORE] = "the header is not complete",
		[TURN_PROXY_OK] = "the header is good",
		[TURN_PROXY_VERSION_1] =
			"it sends version 1 of the PROXY protocol, in text; set it to version 2 "
			"(HAProxy: send-proxy-v2)",
		[TURN_PROXY_NO_HEADER] = "it sends no PROXY header; take proxy_protocol from the "
					 "listener or set the "
					 "proxy to send one (HAProxy: send-proxy-v2)",
		[TURN_PROXY_VERSION] = "its PROXY header is of a version other than 2",
		[TURN_PROXY_COMMAND] = "its PROXY header has an unknown command",
		[TURN_PROXY_FAMILY] = "its PROXY header is about something else than TCP over IPv4 "
				      "or IPv6",
		[TURN_PROXY_LENGTH] =
			"its PROXY header is too short for its addresses, or too long",
		[TURN_PROXY_ADDITION] = "an addition (TLV) of its PROXY header runs past the end",
	};

	return r < TURN_PROXY_RESULT_COUNT ? text[r] : "unknown";
}
