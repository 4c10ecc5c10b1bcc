// The binary header that a proxy puts in front of a connection (PROXY protocol version 2): who really connected. Pure, any
// thread.
#ifndef TP_TURN_STREAM_PROXY_HEADER_H
#define TP_TURN_STREAM_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

// Longer ones are refused; proxies' own limits are lower.
#define TURN_PROXY_HEADER_BYTES_MAX 4096

enum turn_proxy_result {
	TURN_PROXY_MORE = 0, // so far nothing is wrong
	TURN_PROXY_OK,
	TURN_PROXY_VERSION_1, // the text form, whose length nothing tells in advance
	TURN_PROXY_NO_HEADER, // something else
	TURN_PROXY_VERSION,
	TURN_PROXY_COMMAND,
	TURN_PROXY_FAMILY, // neither TCP over IPv4 or IPv6, nor unspecified
	TURN_PROXY_LENGTH, // too short for its addresses, or longer than TURN_PROXY_HEADER_BYTES_MAX
	TURN_PROXY_ADDITION, // a TLV runs past the end
	TURN_PROXY_RESULT_COUNT
};

struct turn_proxy_header {
	size_t length_bytes; // of the header; the client's bytes follow
	bool has_addresses; // false: the proxy's own connection (LOCAL, unspecified), such as a health check
	struct ip_endpoint client;
	struct ip_endpoint server; // that the client connected to
};

// Fills `out` only with TURN_PROXY_OK.
enum turn_proxy_result turn_proxy_header_parse(const uint8_t *bytes, size_t n_bytes,
					       struct turn_proxy_header *out);
// One sentence for a log, with the remedy where there is one.
const char *turn_proxy_result_text(enum turn_proxy_result r);

#endif
