// The blocks of the IANA IPv4 and IPv6 special-purpose address registries that are not globally reachable (as of 2025-10), with
// multicast and what RFCs withdrew, by their first and last address; and the ways in which an IPv4 address hides in an IPv6
// one. Written down from the registries, not from the classifier.
#ifndef TP_TESTS_SPECIAL_BLOCKS_H
#define TP_TESTS_SPECIAL_BLOCKS_H

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

struct special_block {
	const char *first;
	const char *last;
};

static const struct special_block special_v4[] = {
	{ "0.0.0.0", "0.255.255.255" },       // RFC 791: this network
	{ "10.0.0.0", "10.255.255.255" },     // RFC 1918
	{ "100.64.0.0", "100.127.255.255" },  // RFC 6598: shared address space
	{ "127.0.0.0", "127.255.255.255" },   // RFC 1122: loopback
	{ "169.254.0.0", "169.254.255.255" }, // RFC 3927: link local
	{ "172.16.0.0", "172.31.255.255" },   // RFC 1918
	{ "192.0.0.0", "192.0.0.8" },    // RFC 6890: IETF protocol assignments, without 9 and 10
	{ "192.0.0.11", "192.0.0.255" }, // RFC 6890
	{ "192.0.2.0", "192.0.2.255" },  // RFC 5737: TEST-NET-1
	{ "192.168.0.0", "192.168.255.255" },     // RFC 1918
	{ "198.18.0.0", "198.19.255.255" },       // RFC 2544: benchmarking
	{ "198.51.100.0", "198.51.100.255" },     // RFC 5737: TEST-NET-2
	{ "203.0.113.0", "203.0.113.255" },       // RFC 5737: TEST-NET-3
	{ "224.0.0.0", "239.255.255.255" },       // RFC 5771: multicast
	{ "240.0.0.0", "255.255.255.254" },       // RFC 1112: reserved
	{ "255.255.255.255", "255.255.255.255" }, // RFC 8190: limited broadcast
};

static const struct special_block special_v6[] = {
	{ "::", "::" },                                             // RFC 4291: unspecified
	{ "::1", "::1" },                                           // RFC 4291: loopback
	{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff" },    // RFC 8215: local NAT64
	{ "100::", "100::ffff:ffff:ffff:ffff" },                    // RFC 6666: discard only
	{ "100:0:0:1::", "100::1:ffff:ffff:ffff:ffff" },            // RFC 9780: dummy prefix
	{ "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff" },        // RFC 5180: benchmarking
	{ "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff" },   // RFC 4843: ORCHID
	{ "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" }, // RFC 3849: documentation
	{ "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff" },     // RFC 9637: documentation
	{ "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },    // RFC 9602: SRv6 SIDs
	{ "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },    // RFC 4193: unique local
	{ "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },    // RFC 4291: link local
	{ "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },    // RFC 3879: site local
	{ "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },    // RFC 4291: multicast
};

enum embedding {
	EMBEDDING_MAPPED = 0,    // RFC 4291 §2.5.5.2: ::ffff:a.b.c.d
	EMBEDDING_COMPATIBLE,    // RFC 4291 §2.5.5.1: ::a.b.c.d
	EMBEDDING_TRANSLATED,    // RFC 2765: ::ffff:0:a.b.c.d
	EMBEDDING_NAT64,         // RFC 6052: 64:ff9b::a.b.c.d
	EMBEDDING_NAT64_LOCAL,   // RFC 8215: 64:ff9b:1::a.b.c.d
	EMBEDDING_6TO4,          // RFC 3056: 2002:a.b:c.d::
	EMBEDDING_TEREDO_SERVER, // RFC 4380: 2001:0:a.b:c.d::
	EMBEDDING_TEREDO_CLIENT, // RFC 4380: the client's, inverted, at the end
	EMBEDDING_COUNT
};
static const char *const embedding_name[EMBEDDING_COUNT] = {
	"mapped",      "compatible", "translated",    "NAT64",
	"local NAT64", "6to4",       "Teredo server", "Teredo client",
};

// IPv4 address a, hidden.
static inline void embed(enum embedding how, const uint8_t a[4], uint8_t in[16])
{
	static const uint8_t nat64[4] = { 0x00, 0x64, 0xff, 0x9b };
	static const uint8_t server[4] = { 8, 8, 8, 8 }; // of a Teredo client, globally reachable

	memset(in, 0, 16);
	switch (how) {
	case EMBEDDING_MAPPED:
		in[10] = in[11] = 0xff;
		memcpy(in + 12, a, 4);
		break;
	case EMBEDDING_COMPATIBLE:
		memcpy(in + 12, a, 4);
		break;
	case EMBEDDING_TRANSLATED:
		in[8] = in[9] = 0xff;
		memcpy(in + 12, a, 4);
		break;
	case EMBEDDING_NAT64:
	case EMBEDDING_NAT64_LOCAL:
		memcpy(in, nat64, 4);
		in[5] = how == EMBEDDING_NAT64_LOCAL;
		memcpy(in + 12, a, 4);
		break;
	case EMBEDDING_6TO4:
		in[0] = 0x20;
		in[1] = 0x02;
		memcpy(in + 2, a, 4);
		break;
	case EMBEDDING_TEREDO_SERVER:
	case EMBEDDING_TEREDO_CLIENT:
		in[0] = 0x20;
		in[1] = 0x01;
		memcpy(in + 4, how == EMBEDDING_TEREDO_SERVER ? a : server, 4);
		for (int i = 0; i < 4; i++)
			in[12 + i] = (uint8_t) ~(how == EMBEDDING_TEREDO_CLIENT ? a : server)[i];
		break;
	default:
		break;
	}
}

// Calls fn for each of them in turn: IPv4 (4 bytes), IPv6 and every hidden IPv4 (16). `name` is for messages.
static inline void special_each(void (*fn)(const uint8_t *address, int n_bytes, const char *name))
{
	uint8_t v4[4];
	uint8_t v6[16];

	for (size_t i = 0; i < sizeof(special_v4) / sizeof(special_v4[0]); i++) {
		for (int last = 0; last < 2; last++) {
			const char *text = last ? special_v4[i].last : special_v4[i].first;

			inet_pton(AF_INET, text, v4);
			fn(v4, 4, text);
			for (int e = 0; e < EMBEDDING_COUNT; e++) {
				char name[64];

				embed((enum embedding)e, v4, v6);
				snprintf(name, sizeof(name), "%s, %s", text, embedding_name[e]);
				fn(v6, 16, name);
			}
		}
	}
	for (size_t i = 0; i < sizeof(special_v6) / sizeof(special_v6[0]); i++) {
		for (int last = 0; last < 2; last++) {
			const char *text = last ? special_v6[i].last : special_v6[i].first;

			inet_pton(AF_INET6, text, v6);
			fn(v6, 16, text);
		}
	}
}

#endif
