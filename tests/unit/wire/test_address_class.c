// The address classifier: every block of the IANA special-purpose registries, its first and last address
// and the ones beside it, plain and in every embedding (issue classes CVE-2018-4058, CVE-2020-26262).
#include <criterion/criterion.h>

#include "dataplane/contract/wire/address.h"
#include "dataplane/contract/wire/bytes.h"

struct block {
	const char *prefix;
	enum ip_class class;
};

// https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast.
static const struct block v4_registry[] = {
	{ "0.0.0.0/8", IP_CLASS_UNSPECIFIED },         { "10.0.0.0/8", IP_CLASS_PRIVATE },
	{ "100.64.0.0/10", IP_CLASS_SHARED },          { "127.0.0.0/8", IP_CLASS_LOOPBACK },
	{ "169.254.0.0/16", IP_CLASS_LINK_LOCAL },     { "172.16.0.0/12", IP_CLASS_PRIVATE },
	{ "192.0.0.0/24", IP_CLASS_PROTOCOL },         { "192.0.0.0/29", IP_CLASS_PROTOCOL },
	{ "192.0.0.8/32", IP_CLASS_PROTOCOL },         { "192.0.0.9/32", IP_CLASS_PROTOCOL },
	{ "192.0.0.10/32", IP_CLASS_PROTOCOL },        { "192.0.0.170/32", IP_CLASS_PROTOCOL },
	{ "192.0.0.171/32", IP_CLASS_PROTOCOL },       { "192.0.2.0/24", IP_CLASS_DOCUMENTATION },
	{ "192.31.196.0/24", IP_CLASS_PROTOCOL },      { "192.52.193.0/24", IP_CLASS_PROTOCOL },
	{ "192.88.99.0/24", IP_CLASS_PROTOCOL },       { "192.168.0.0/16", IP_CLASS_PRIVATE },
	{ "192.175.48.0/24", IP_CLASS_PROTOCOL },      { "198.18.0.0/15", IP_CLASS_BENCHMARKING },
	{ "198.51.100.0/24", IP_CLASS_DOCUMENTATION }, { "203.0.113.0/24", IP_CLASS_DOCUMENTATION },
	{ "224.0.0.0/4", IP_CLASS_MULTICAST },         { "240.0.0.0/5", IP_CLASS_RESERVED },
	{ "255.255.255.255/32", IP_CLASS_BROADCAST },
};

// https://www.iana.org/assignments/iana-ipv6-special-registry, and what RFC 4291 sets aside.
static const struct block v6_registry[] = {
	{ "::/128", IP_CLASS_UNSPECIFIED },
	{ "::1/128", IP_CLASS_LOOPBACK },
	{ "64:ff9b:1:808:8:800::/128", IP_CLASS_PROTOCOL },
	{ "100::/64", IP_CLASS_RESERVED },
	{ "100:0:0:1::/64", IP_CLASS_RESERVED },
	{ "2001:1::1/128", IP_CLASS_PROTOCOL },
	{ "2001:1::2/128", IP_CLASS_PROTOCOL },
	{ "2001:1::3/128", IP_CLASS_PROTOCOL },
	{ "2001:2::/48", IP_CLASS_BENCHMARKING },
	{ "2001:3::/32", IP_CLASS_PROTOCOL },
	{ "2001:4:112::/48", IP_CLASS_PROTOCOL },
	{ "2001:10::/28", IP_CLASS_PROTOCOL },
	{ "2001:20::/28", IP_CLASS_PROTOCOL },
	{ "2001:30::/28", IP_CLASS_PROTOCOL },
	{ "2001:100::/24", IP_CLASS_PROTOCOL },
	{ "2001:db8::/32", IP_CLASS_DOCUMENTATION },
	{ "2620:4f:8000::/48", IP_CLASS_PROTOCOL },
	{ "3fff::/20", IP_CLASS_DOCUMENTATION },
	{ "5f00::/16", IP_CLASS_PROTOCOL },
	{ "fc00::/7", IP_CLASS_PRIVATE },
	{ "fe80::/10", IP_CLASS_LINK_LOCAL },
	{ "fec0::/10", IP_CLASS_PRIVATE },
	{ "ff00::/8", IP_CLASS_MULTICAST },
	{ "200::/7", IP_CLASS_RESERVED },
	{ "4000::/4", IP_CLASS_RESERVED },
	{ "8000::/2", IP_CLASS_RESERVED },
	{ "fe00::/9", IP_CLASS_RESERVED },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const char *text(const struct ip_address *a)
{
	static char out[IP_ENDPOINT_TEXT_MAX];

	return ip_address_format(a, out, sizeof(out));
}

static struct ip_prefix prefix(const char *p)
{
	struct ip_prefix out;

	cr_assert_eq(ip_prefix_parse(p, &out), 0, "%s", p);
	return out;
}

static struct ip_address last_of(const struct ip_prefix *p)
{
	struct ip_address a = p->address;

	for (uint32_t i = p->length_bits; i < 128; i++)
		a.bytes[i / 8] |= 0x80 >> i % 8;
	return a;
}

// Moves to the next (by = 1) or previous (by = -1) address.
static struct ip_address beside(struct ip_address a, int by)
{
	for (int i = 15; i >= 0; i--) {
		a.bytes[i] = (uint8_t)(a.bytes[i] + by);
		if (a.bytes[i] != (by > 0 ? 0 : 0xff))
			break;
	}
	return a;
}

// What the registry itself says: the class of the longest block that contains the address.
static enum ip_class expected_class(const struct ip_address *a)
{
	bool v4 = ip_address_is_v4(a);
	const struct block *registry = v4 ? v4_registry : v6_registry;
	size_t n = v4 ? N(v4_registry) : N(v6_registry);
	enum ip_class class = IP_CLASS_GLOBAL;
	uint32_t longest = 0;

	for (size_t i = 0; i < n; i++) {
		struct ip_prefix p = prefix(registry[i].prefix);

		if (p.length_bits > longest && ip_prefix_contains(&p, a)) {
			longest = p.length_bits;
			class = registry[i].class;
		}
	}
	// 248.0.0.0/5 is the other half of 240.0.0.0/4.
	if (v4 && class == IP_CLASS_GLOBAL && a->bytes[12] >= 240)
		return IP_CLASS_RESERVED;
	return class;
}

static void check(const struct ip_address *a, enum ip_class class)
{
	enum ip_class got = ip_address_classify(a);

	cr_assert_eq(got, class, "%s is %s, expected %s", text(a), ip_class_name(got),
		     ip_class_name(class));
}

// RFC 6052 §2.2: where the four bytes lie behind a prefix of that length.
static struct ip_address nat64_local(const uint8_t v4[4], uint32_t length_bits)
{
	static const uint8_t head[6] = { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 };
	struct ip_address a = { .bytes = { 0 } };
	uint32_t at = length_bits / 8;

	memcpy(a.bytes, head, sizeof(head));
	for (uint32_t i = 0; i < 4; i++, at++) {
		if (at == 8)
			at++;
		a.bytes[at] = v4[i];
	}
	return a;
}

// An IPv4 address in every embedding must have its own class; where it is global, `outer` stands.
static void check_embeddings(const struct ip_address *plain)
{
	static const uint32_t nat64_lengths_bits[] = { 48, 56, 64, 96 };
	static const uint8_t global_v4[4] = { 8, 8, 4, 4 };
	const uint8_t *v4 = ip_address_v4_bytes(plain);
	enum ip_class inner = expected_class(plain);
	bool global = inner == IP_CLASS_GLOBAL;
	struct ip_address a;

	a = (struct ip_address){ .bytes = { 0 } }; // IPv4-compatible
	memcpy(a.bytes + 12, v4, 4);
	if (bytes_get_be32(v4) > 1) // :: and ::1 are themselves
		check(&a, global ? IP_CLASS_RESERVED : inner);

	a = (struct ip_address){ .bytes = { [8] = 0xff, [9] = 0xff } }; // IPv4-translated
	memcpy(a.bytes + 12, v4, 4);
	check(&a, global ? IP_CLASS_RESERVED : inner);

	a = (struct ip_address){ .bytes = { 0x20, 0x02, [15] = 1 } }; // 6to4
	memcpy(a.bytes + 2, v4, 4);
	check(&a, global ? IP_CLASS_PROTOCOL : inner);

	a = (struct ip_address){ .bytes = { 0x20, 0x01 } }; // Teredo server, with a global client
	memcpy(a.bytes + 4, v4, 4);
	bytes_put_be32(a.bytes + 12, ~bytes_get_be32(global_v4));
	check(&a, global ? IP_CLASS_PROTOCOL : inner);

	a = (struct ip_address){ .bytes = { 0x20, 0x01 } }; // Teredo client, with a global server
	memcpy(a.bytes + 4, global_v4, 4);
	bytes_put_be32(a.bytes + 12, ~bytes_get_be32(v4));
	check(&a, global ? IP_CLASS_PROTOCOL : inner);

	a = (struct ip_address){ .bytes = { 0x00, 0x64, 0xff, 0x9b } }; // NAT64, well-known
	memcpy(a.bytes + 12, v4, 4);
	check(&a, inner);

	for (size_t i = 0; i < N(nat64_lengths_bits); i++) {
		struct ip_address found[IP_ADDRESS_EMBEDDED_MAX];
		bool seen = false;
		uint32_t n;

		a = nat64_local(v4, nat64_lengths_bits[i]);
		cr_assert_neq(ip_address_classify(&a), IP_CLASS_GLOBAL, "%s", text(&a));
		n = ip_address_embedded(&a, found);
		for (uint32_t k = 0; k < n; k++)
			seen = seen || ip_address_equal(&found[k], plain);
		// Trailing zero bytes make a shorter layout fit too; without them the layout is certain.
		if (v4[3] != 0) {
			cr_assert(seen, "%s", text(&a));
			if (n == 1)
				check(&a, global ? IP_CLASS_PROTOCOL : inner);
		}
	}
}

Test(address_class, v4_registry_edges_in_every_embedding)
{
	for (size_t i = 0; i < N(v4_registry); i++) {
		struct ip_prefix p = prefix(v4_registry[i].prefix);
		struct ip_address last = last_of(&p);
		struct ip_address edges[4] = { beside(p.address, -1), p.address, last,
					       beside(last, 1) };

		check(&p.address, v4_registry[i].class);
		check(&last, v4_registry[i].class);
		for (size_t k = 0; k < 4; k++) {
			if (!ip_address_is_v4(&edges[k])) // beside 0.0.0.0 and 255.255.255.255
				continue;
			check(&edges[k], expected_class(&edges[k]));
			check_embeddings(&edges[k]);
		}
	}
}

Test(address_class, v6_registry_first_and_last)
{
	for (size_t i = 0; i < N(v6_registry); i++) {
		struct ip_prefix p = prefix(v6_registry[i].prefix);
		struct ip_address last = last_of(&p);

		check(&p.address, v6_registry[i].class);
		check(&last, v6_registry[i].class);
	}
}

Test(address_class, v6_one_before_and_one_after)
{
	static const struct {
		const char *address;
		enum ip_class class;
	} cases[] = {
		{ "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_RESERVED },
		{ "2000::", IP_CLASS_GLOBAL },
		{ "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_GLOBAL },
		{ "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_PROTOCOL },
		{ "2001:2:1::", IP_CLASS_PROTOCOL },
		{ "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_PROTOCOL },
		{ "2001:200::", IP_CLASS_GLOBAL },
		{ "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_GLOBAL },
		{ "2001:db9::", IP_CLASS_GLOBAL },
		{ "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_GLOBAL },
		{ "2003::", IP_CLASS_GLOBAL },
		{ "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_GLOBAL },
		{ "2620:4f:8001::", IP_CLASS_GLOBAL },
		{ "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_GLOBAL },
		{ "3fff:1000::", IP_CLASS_GLOBAL },
		{ "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_GLOBAL },
		{ "4000::", IP_CLASS_RESERVED },
		{ "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_RESERVED },
		{ "5f01::", IP_CLASS_RESERVED },
		{ "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_RESERVED },
		{ "fe00::", IP_CLASS_RESERVED },
		{ "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_RESERVED },
		{ "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_RESERVED },
		{ "64:ff9b:0:0:0:1::", IP_CLASS_RESERVED },
		{ "64:ff9b:2::", IP_CLASS_RESERVED },
		{ "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", IP_CLASS_RESERVED },
		{ "100:0:0:2::", IP_CLASS_RESERVED },
		{ "::fffe:ffff:ffff", IP_CLASS_RESERVED },
		{ "::1:0:0:0", IP_CLASS_RESERVED },
		{ "2606:4700::1111", IP_CLASS_GLOBAL },
		{ "8.8.8.8", IP_CLASS_GLOBAL },
		{ "64:ff9b::8.8.8.8", IP_CLASS_GLOBAL },
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct ip_address a;

		cr_assert_eq(ip_address_parse(cases[i].address, &a), 0);
		check(&a, cases[i].class);
	}
}

// Every /16 of IPv4 against the registry, and a walk through 192.0.0.0/16 by /24.
Test(address_class, v4_sweep)
{
	for (uint32_t high = 0; high < 65536; high++) {
		uint8_t v4[4] = { (uint8_t)(high >> 8), (uint8_t)high, 200, 1 };
		struct ip_address a = ip_address_from_v4(v4);

		if (high % 7 == 0 || v4[0] == 100 || v4[0] == 172 || v4[0] == 198)
			check(&a, expected_class(&a));
	}
	for (uint32_t third = 0; third < 256; third++) {
		uint8_t v4[4] = { 192, 0, (uint8_t)third, 77 };
		struct ip_address a = ip_address_from_v4(v4);

		check(&a, expected_class(&a));
	}
}

Test(address_class, embedded_addresses)
{
	static const struct {
		const char *outer;
		uint32_t n;
		const char *inner[2];
	} cases[] = {
		{ "10.0.0.1", 0, { NULL, NULL } },
		{ "2001:db8::1", 0, { NULL, NULL } },
		{ "::10.0.0.1", 1, { "10.0.0.1", NULL } },
		{ "::ffff:0:10.0.0.1", 1, { "10.0.0.1", NULL } },
		{ "2002:a00:1::5", 1, { "10.0.0.1", NULL } },
		{ "2001:0:a00:1:0:0:f5ff:fffd", 2, { "10.0.0.1", "10.0.0.2" } },
		{ "64:ff9b::10.0.0.1", 1, { "10.0.0.1", NULL } },
		{ "64:ff9b:1::10.0.0.1", 1, { "10.0.0.1", NULL } },
		{ "64:ff9b:1:a01:2:300::", 2, { "10.1.2.3", "1.2.3.0" } },
		{ "64:ff9b:1:ab0a:1:203::", 1, { "10.1.2.3", NULL } },
		{ "64:ff9b:1:abcd:a:102:300::", 2, { "10.1.2.3", "3.0.0.0" } },
	};

	for (size_t i = 0; i < N(cases); i++) {
		struct ip_address found[IP_ADDRESS_EMBEDDED_MAX];
		struct ip_address outer;
		uint32_t n;

		cr_assert_eq(ip_address_parse(cases[i].outer, &outer), 0);
		n = ip_address_embedded(&outer, found);
		cr_assert_eq(n, cases[i].n, "%s: %u", cases[i].outer, n);
		for (uint32_t k = 0; k < n; k++)
			cr_assert_str_eq(text(&found[k]), cases[i].inner[k], "%s", cases[i].outer);
	}
}

Test(address_class, every_class_has_its_name)
{
	for (int i = 0; i < IP_CLASS_COUNT; i++) {
		cr_assert_not_null(ip_class_name((enum ip_class)i));
		for (int k = 0; k < i; k++)
			cr_assert_str_neq(ip_class_name((enum ip_class)i),
					  ip_class_name((enum ip_class)k));
	}
	cr_assert_str_eq(ip_class_name((enum ip_class)99), "unknown");
}
