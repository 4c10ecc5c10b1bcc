// One representation and one classifier of IP addresses for all of Turnpike. Pure, any thread.
//
// Every address is 16 bytes in network order; IPv4 is held IPv4-mapped (::ffff:a.b.c.d), so keys and
// comparisons need no family.
#ifndef TP_WIRE_ADDRESS_H
#define TP_WIRE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ip_address {
	uint8_t bytes[16];
};

// A transport address. The port is in network order.
struct ip_endpoint {
	struct ip_address address;
	uint16_t port_be;
};

#define IP_ENDPOINT_TEXT_MAX 56 // "[v6]:port" and NUL

// ::ffff:0:0/96, the form in which IPv4 is held.
static inline bool ip_address_is_v4(const struct ip_address *a)
{
	uint64_t high;
	uint32_t mark;

	memcpy(&high, a->bytes, sizeof(high));
	memcpy(&mark, a->bytes + 8, sizeof(mark));
	return high == 0 && mark == __builtin_bswap32(0xffff);
}

static inline struct ip_address ip_address_from_v4(const uint8_t v4[4])
{
	struct ip_address a;
	uint64_t half[2] = { 0, 0 };
	uint32_t word;

	// Two whole words: what is stored in pieces cannot be loaded again at once.
	memcpy(&word, v4, sizeof(word));
	half[1] = (uint64_t)word << 32 | __builtin_bswap32(0xffff);
	memcpy(a.bytes, half, sizeof(half));
	return a;
}

static inline struct ip_address ip_address_from_v6(const uint8_t v6[16])
{
	struct ip_address a;

	memcpy(a.bytes, v6, 16);
	return a;
}

// The 4 bytes of an IPv4 address; only if ip_address_is_v4.
static inline const uint8_t *ip_address_v4_bytes(const struct ip_address *a)
{
	return a->bytes + 12;
}

static inline bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool ip_endpoint_equal(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	return a->port_be == b->port_be && ip_address_equal(&a->address, &b->address);
}

// Parses "1.2.3.4" or "fd00::1" (no brackets, no zone). 0 or -EINVAL.
int ip_address_parse(const char *text, struct ip_address *out);
// Parses "1.2.3.4:5" or "[fd00::1]:5". 0 or -EINVAL.
int ip_endpoint_parse(const char *text, struct ip_endpoint *out);
// Writes text (RFC 5952) with NUL into out[out_bytes], cut off where it does not fit
// (IP_ENDPOINT_TEXT_MAX always suffices); returns out.
const char *ip_address_format(const struct ip_address *a, char *out, size_t out_bytes);
const char *ip_endpoint_format(const struct ip_endpoint *e, char *out, size_t out_bytes);

// A CIDR prefix; for IPv4 the length counts from bit 96 of the mapped form (i.e. 96 + v4 length).
struct ip_prefix {
	struct ip_address address;
	uint8_t length_bits;
};

// Parses "198.18.0.0/15", "fd00::/8" or a bare address. 0 or -EINVAL (host bits set are refused).
int ip_prefix_parse(const char *text, struct ip_prefix *out);
// The families stay apart: an IPv6 prefix shorter than /96 ("::/0") contains no IPv4 address.
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_address *a);

// What an address is, by the IANA IPv4 and IPv6 special-purpose registries and the multicast blocks.
// Everything but IP_CLASS_GLOBAL is denied as a peer unless an operator opens it. Blocks that the
// registries call globally reachable but that no media peer lives in (anycast services such as AS112,
// AMT, PCP and TURN anycast; ORCHIDs; 6to4; Teredo) are IP_CLASS_PROTOCOL all the same: the nearest
// instance of such a service may well be inside the operator's own network.
enum ip_class {
	IP_CLASS_GLOBAL = 0,
	IP_CLASS_UNSPECIFIED, // 0.0.0.0/8, ::
	IP_CLASS_LOOPBACK,
	IP_CLASS_PRIVATE, // RFC 1918, RFC 4193
	IP_CLASS_SHARED,  // 100.64/10
	IP_CLASS_LINK_LOCAL,
	IP_CLASS_MULTICAST,
	IP_CLASS_BROADCAST,
	IP_CLASS_DOCUMENTATION,
	IP_CLASS_BENCHMARKING, // 198.18/15, 2001:2::/48
	IP_CLASS_PROTOCOL,     // 192.0.0/24, 2001::/23 and other protocol assignments
	IP_CLASS_RESERVED,     // 240/4 and IPv6 outside 2000::/3
	IP_CLASS_COUNT
};

// Classifies the address and every IPv4 address embedded in it (see ip_address_embedded). An embedded
// address that is not global gives its class; else the outer address gives its own. So an embedding
// cannot launder an address. The one embedding that can be global is NAT64's 64:ff9b::/96.
enum ip_class ip_address_classify(const struct ip_address *a);

#define IP_ADDRESS_EMBEDDED_MAX 2

// The IPv4 addresses embedded in an IPv6 address, for checking allow and deny lists and own addresses
// against each: IPv4-compatible (::/96), IPv4-translated (::ffff:0:0:0/96, IPv4-mapped once more),
// 6to4, Teredo (server, then client), NAT64 64:ff9b::/96, and 64:ff9b:1::/48 in the layouts of RFC 6052
// §2.2. Returns how many were written (0..2); 0 for an IPv4 address, which is held mapped and embeds none.
uint32_t ip_address_embedded(const struct ip_address *a,
			     struct ip_address out[IP_ADDRESS_EMBEDDED_MAX]);

// Static lower-case name: "global", "loopback", … Never NULL.
const char *ip_class_name(enum ip_class c);

#endif
