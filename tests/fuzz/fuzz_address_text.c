// Addresses as text: the same language as libc's inet_pton, and what was read is written so that it
// reads back.
#include <arpa/inet.h>

#include "dataplane/contract/wire/address.h"
#include "tests/fuzz/fuzz.h"

static void check_address(const char *text)
{
	char formatted[IP_ENDPOINT_TEXT_MAX];
	struct ip_address a;
	struct ip_address again;
	struct ip_address embedded[IP_ADDRESS_EMBEDDED_MAX];
	struct ip_address libc = { .bytes = { [10] = 0xff, [11] = 0xff } };
	bool ours = ip_address_parse(text, &a) == 0;
	bool theirs = inet_pton(AF_INET, text, libc.bytes + 12) == 1 ||
		      inet_pton(AF_INET6, text, libc.bytes) == 1;

	FUZZ_ASSERT(ours == theirs);
	if (!ours)
		return;
	FUZZ_ASSERT(ip_address_equal(&a, &libc));
	ip_address_format(&a, formatted, sizeof(formatted));
	FUZZ_ASSERT(ip_address_parse(formatted, &again) == 0 && ip_address_equal(&a, &again));
	FUZZ_ASSERT(ip_address_embedded(&a, embedded) <= IP_ADDRESS_EMBEDDED_MAX);
	// An embedding never launders what it embeds.
	if (ip_address_classify(&a) == IP_CLASS_GLOBAL) {
		uint32_t n = ip_address_embedded(&a, embedded);

		for (uint32_t i = 0; i < n; i++)
			FUZZ_ASSERT(ip_address_classify(&embedded[i]) == IP_CLASS_GLOBAL);
	}
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1);
	char formatted[IP_ENDPOINT_TEXT_MAX];
	struct ip_endpoint e;
	struct ip_endpoint again;
	struct ip_prefix p;

	FUZZ_ASSERT(text != NULL);
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	check_address(text);
	if (ip_endpoint_parse(text, &e) == 0) {
		ip_endpoint_format(&e, formatted, sizeof(formatted));
		FUZZ_ASSERT(ip_endpoint_parse(formatted, &again) == 0);
		FUZZ_ASSERT(ip_endpoint_equal(&e, &again));
	}
	if (ip_prefix_parse(text, &p) == 0) {
		FUZZ_ASSERT(p.length_bits <= 128);
		FUZZ_ASSERT(ip_prefix_contains(&p, &p.address) ||
			    (p.length_bits < 96 && ip_address_is_v4(&p.address)));
	}
	free(text);
}
