// Splits a range of addresses into prefixes. Any thread; no state.
#include "controlplane/turn/store/peer_range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS 128 // IPv4 stands mapped in it

static void set_bits_behind(uint8_t address[16], unsigned length_bits, bool value)
{
	for (unsigned i = length_bits; i < ADDRESS_BITS; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		if (value)
			address[i / 8] |= bit;
		else
			address[i / 8] &= (uint8_t)~bit;
	}
}

// The shortest prefix that starts with `first` and does not go beyond `last`.
static unsigned longest_block(const uint8_t first[16], const uint8_t last[16], unsigned least_bits)
{
	unsigned length_bits = ADDRESS_BITS;

	while (length_bits > least_bits) {
		uint8_t end[16];

		if (first[(length_bits - 1) / 8] & 0x80 >> (length_bits - 1) % 8)
			break;
		memcpy(end, first, 16);
		set_bits_behind(end, length_bits - 1, true);
		if (memcmp(end, last, 16) > 0)
			break;
		length_bits--;
	}
	return length_bits;
}

static int split(struct ip_address first, struct ip_address last, struct ip_prefix *out,
		 uint32_t *out_n)
{
	unsigned least_bits = ip_address_is_v4(&first) ? 96 : 0;
	uint32_t n = 0;

	if (ip_address_is_v4(&first) != ip_address_is_v4(&last) ||
	    memcmp(first.bytes, last.bytes, 16) > 0)
		return -EINVAL;
	while (n < PEER_RANGE_PREFIXES_MAX) {
		unsigned length_bits = longest_block(first.bytes, last.bytes, least_bits);
		unsigned i = 16;

		out[n].address = first;
		out[n++].length_bits = (uint8_t)length_bits;
		set_bits_behind(first.bytes, length_bits, true);
		if (memcmp(first.bytes, last.bytes, 16) >= 0) {
			*out_n = n;
			return 0;
		}
		while (i-- > 0 && ++first.bytes[i] == 0)
			;
	}
	return -EINVAL;
}

int peer_range_parse(const char *text, struct ip_prefix out[PEER_RANGE_PREFIXES_MAX],
		     uint32_t *out_n)
{
	char copy[2 * IP_ENDPOINT_TEXT_MAX];
	struct ip_address first, last;
	char *separator, *end;
	unsigned long bits;
	bool is_prefix;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	separator = strpbrk(copy, "-/");
	is_prefix = separator != NULL && *separator == '/';
	if (separator != NULL)
		*separator++ = '\0';
	if (ip_address_parse(copy, &first) < 0)
		return -EINVAL;
	last = first;
	if (is_prefix) {
		bits = strtoul(separator, &end, 10);
		if (end == separator || *end != '\0' ||
		    bits > (ip_address_is_v4(&first) ? 32u : 128u))
			return -EINVAL;
		bits += ip_address_is_v4(&first) ? 96 : 0;
		set_bits_behind(first.bytes, (unsigned)bits, false);
		set_bits_behind(last.bytes, (unsigned)bits, true);
	} else if (separator != NULL && ip_address_parse(separator, &last) < 0) {
		return -EINVAL;
	}
	return split(first, last, out, out_n);
}
