// The address classifier: the IANA IPv4 and IPv6 special-purpose address registries (as of 2025-10)
// with the multicast and reserved blocks of the address space registries. Pure, any thread.
#include "dataplane/contract/wire/address.h"
#include "dataplane/contract/wire/bytes.h"

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

struct v4_block {
	uint32_t prefix; // host order
	uint8_t length_bits;
	uint8_t class;
};

// The narrower block stands before the one around it.
static const struct v4_block v4_blocks[] = {
	{ V4(0, 0, 0, 0), 8, IP_CLASS_UNSPECIFIED },     // RFC 791 §3.2 "this network"
	{ V4(10, 0, 0, 0), 8, IP_CLASS_PRIVATE },        // RFC 1918
	{ V4(100, 64, 0, 0), 10, IP_CLASS_SHARED },      // RFC 6598
	{ V4(127, 0, 0, 0), 8, IP_CLASS_LOOPBACK },      // RFC 1122 §3.2.1.3
	{ V4(169, 254, 0, 0), 16, IP_CLASS_LINK_LOCAL }, // RFC 3927
	{ V4(172, 16, 0, 0), 12, IP_CLASS_PRIVATE },     // RFC 1918
	{ V4(192, 0, 0, 0), 24,
	  IP_CLASS_PROTOCOL }, // RFC 6890 §2.1, with DS-Lite, PCP and TURN anycast
	{ V4(192, 0, 2, 0), 24, IP_CLASS_DOCUMENTATION }, // RFC 5737 TEST-NET-1
	{ V4(192, 31, 196, 0), 24, IP_CLASS_PROTOCOL },   // RFC 7535 AS112-v4
	{ V4(192, 52, 193, 0), 24, IP_CLASS_PROTOCOL },   // RFC 7450 AMT
	{ V4(192, 88, 99, 0), 24, IP_CLASS_PROTOCOL },    // RFC 7526 6to4 relay anycast, deprecated
	{ V4(192, 168, 0, 0), 16, IP_CLASS_PRIVATE },     // RFC 1918
	{ V4(192, 175, 48, 0), 24, IP_CLASS_PROTOCOL },   // RFC 7534 AS112
	{ V4(198, 18, 0, 0), 15, IP_CLASS_BENCHMARKING }, // RFC 2544
	{ V4(198, 51, 100, 0), 24, IP_CLASS_DOCUMENTATION }, // RFC 5737 TEST-NET-2
	{ V4(203, 0, 113, 0), 24, IP_CLASS_DOCUMENTATION },  // RFC 5737 TEST-NET-3
	{ V4(224, 0, 0, 0), 4, IP_CLASS_MULTICAST },         // RFC 5771
	{ V4(255, 255, 255, 255), 32, IP_CLASS_BROADCAST },  // RFC 919
	{ V4(240, 0, 0, 0), 4, IP_CLASS_RESERVED },          // RFC 1112 §4
};

struct v6_block {
	uint64_t
		high; // the first 8 bytes, host order; no block is longer than /64 but ::/128 and ::1/128
	uint8_t length_bits;
	uint8_t class;
};

// The narrower block stands before the one around it. What matches none is global inside 2000::/3 and
// reserved outside.
static const struct v6_block v6_blocks[] = {
	{ 0x0064ff9b00010000, 48, IP_CLASS_PROTOCOL },     // RFC 8215 local-use translation
	{ 0x0100000000000000, 64, IP_CLASS_RESERVED },     // RFC 6666 discard-only
	{ 0x0100000000000001, 64, IP_CLASS_RESERVED },     // RFC 9780 dummy prefix
	{ 0x2001000200000000, 48, IP_CLASS_BENCHMARKING }, // RFC 5180
	{ 0x2001000000000000, 23,
	  IP_CLASS_PROTOCOL }, // RFC 2928: Teredo, anycast, AMT, AS112, ORCHID, DRIP
	{ 0x20010db800000000, 32, IP_CLASS_DOCUMENTATION }, // RFC 3849
	{ 0x2002000000000000, 16, IP_CLASS_PROTOCOL },      // RFC 3056 6to4
	{ 0x2620004f80000000, 48, IP_CLASS_PROTOCOL },      // RFC 7534 AS112
	{ 0x3fff000000000000, 20, IP_CLASS_DOCUMENTATION }, // RFC 9637
	{ 0x5f00000000000000, 16, IP_CLASS_PROTOCOL },      // RFC 9602 SRv6 SIDs
	{ 0xfc00000000000000, 7, IP_CLASS_PRIVATE },        // RFC 4193
	{ 0xfe80000000000000, 10, IP_CLASS_LINK_LOCAL },    // RFC 4291
	{ 0xfec0000000000000, 10, IP_CLASS_PRIVATE },       // RFC 3879 site-local, deprecated
	{ 0xff00000000000000, 8, IP_CLASS_MULTICAST },      // RFC 4291
};

#define N_V4_BLOCKS (sizeof(v4_blocks) / sizeof(v4_blocks[0]))
#define N_V6_BLOCKS (sizeof(v6_blocks) / sizeof(v6_blocks[0]))

#define NAT64_WELL_KNOWN_HIGH 0x0064ff9b00000000ull // 64:ff9b::/96, RFC 6052
#define NAT64_LOCAL_USE_HIGH  0x0064ff9b0001ull     // the first 48 bits of 64:ff9b:1::/48

static enum ip_class classify_v4(const uint8_t v4[4])
{
	uint32_t address = bytes_get_be32(v4);

	for (uint32_t i = 0; i < N_V4_BLOCKS; i++) {
		const struct v4_block *b = &v4_blocks[i];

		if ((address ^ b->prefix) >> (32 - b->length_bits) == 0)
			return (enum ip_class)b->class;
	}
	return IP_CLASS_GLOBAL;
}

// The class of an IPv6 address by its own bits, whatever it embeds.
static enum ip_class classify_v6(const struct ip_address *a)
{
	uint64_t high = bytes_get_be64(a->bytes);
	uint64_t low = bytes_get_be64(a->bytes + 8);

	if (high == 0 && low == 0)
		return IP_CLASS_UNSPECIFIED;
	if (high == 0 && low == 1)
		return IP_CLASS_LOOPBACK;
	if (high == NAT64_WELL_KNOWN_HIGH && low >> 32 == 0)
		return IP_CLASS_GLOBAL;
	for (uint32_t i = 0; i < N_V6_BLOCKS; i++) {
		const struct v6_block *b = &v6_blocks[i];

		if ((high ^ b->high) >> (64 - b->length_bits) == 0)
			return (enum ip_class)b->class;
	}
	return high >> 61 == 1 ? IP_CLASS_GLOBAL : IP_CLASS_RESERVED;
}

// 64:ff9b:1::/48 is cut into longer prefixes by whoever runs the translator; RFC 6052 §2.2 then places
// the IPv4 address behind a /48, /56, /64 or /96. Where the bits behind a shorter form are not all zero,
// it is not that form.
static uint32_t embedded_nat64_local(const struct ip_address *a, struct ip_address *out)
{
	const uint8_t *b = a->bytes;
	uint32_t n = 0;

	if (b[8] == 0 && bytes_get_be32(b + 12) == 0) {
		uint8_t behind_48[4] = { b[6], b[7], b[9], b[10] };
		uint8_t behind_56[4] = { b[7], b[9], b[10], b[11] };

		if (b[11] == 0)
			out[n++] = ip_address_from_v4(behind_48);
		out[n++] = ip_address_from_v4(behind_56);
		return n;
	}
	if (b[8] == 0 && (bytes_get_be32(b + 12) & 0xffffff) == 0)
		out[n++] = ip_address_from_v4(b + 9); // behind /64
	out[n++] = ip_address_from_v4(b + 12);
	return n;
}

uint32_t ip_address_embedded(const struct ip_address *a,
			     struct ip_address out[IP_ADDRESS_EMBEDDED_MAX])
{
	const uint8_t *b = a->bytes;
	uint64_t high = bytes_get_be64(b);
	uint32_t mark = bytes_get_be32(b + 8);

	if (b[0] == 0x20 && b[1] == 0x02) { // 6to4
		out[0] = ip_address_from_v4(b + 2);
		return 1;
	}
	if (high >> 32 == 0x20010000) { // Teredo: server, and the client inverted
		uint8_t client[4];

		bytes_put_be32(client, ~bytes_get_be32(b + 12));
		out[0] = ip_address_from_v4(b + 4);
		out[1] = ip_address_from_v4(client);
		return 2;
	}
	if (high == NAT64_WELL_KNOWN_HIGH && mark == 0) {
		out[0] = ip_address_from_v4(b + 12);
		return 1;
	}
	if (high >> 16 == NAT64_LOCAL_USE_HIGH)
		return embedded_nat64_local(a, out);
	// IPv4-compatible, and IPv4-translated (RFC 2765: ::ffff:0:a.b.c.d).
	if (high == 0 && (mark == 0 || mark == 0xffff0000)) {
		out[0] = ip_address_from_v4(b + 12);
		return 1;
	}
	return 0;
}

enum ip_class ip_address_classify(const struct ip_address *a)
{
	struct ip_address embedded[IP_ADDRESS_EMBEDDED_MAX];
	enum ip_class own;
	uint32_t n;

	if (ip_address_is_v4(a))
		return classify_v4(ip_address_v4_bytes(a));
	own = classify_v6(a);
	// :: and ::1 are themselves, not IPv4-compatible forms of 0.0.0.0 and 0.0.0.1.
	if (own == IP_CLASS_UNSPECIFIED || own == IP_CLASS_LOOPBACK)
		return own;
	n = ip_address_embedded(a, embedded);
	for (uint32_t i = 0; i < n; i++) {
		enum ip_class inner = classify_v4(ip_address_v4_bytes(&embedded[i]));

		if (inner != IP_CLASS_GLOBAL)
			return inner;
	}
	return own;
}

const char *ip_class_name(enum ip_class c)
{
	static const char *const names[IP_CLASS_COUNT] = {
		[IP_CLASS_GLOBAL] = "global",
		[IP_CLASS_UNSPECIFIED] = "unspecified",
		[IP_CLASS_LOOPBACK] = "loopback",
		[IP_CLASS_PRIVATE] = "private",
		[IP_CLASS_SHARED] = "shared",
		[IP_CLASS_LINK_LOCAL] = "link-local",
		[IP_CLASS_MULTICAST] = "multicast",
		[IP_CLASS_BROADCAST] = "broadcast",
		[IP_CLASS_DOCUMENTATION] = "documentation",
		[IP_CLASS_BENCHMARKING] = "benchmarking",
		[IP_CLASS_PROTOCOL] = "protocol",
		[IP_CLASS_RESERVED] = "reserved",
	};

	return (unsigned int)c < IP_CLASS_COUNT ? names[c] : "unknown";
}
