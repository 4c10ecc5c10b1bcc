// Text forms of addresses, endpoints and prefixes (RFC 4291 §2.2, RFC 5952), and prefix matching.
// Pure, any thread; writes only through its out-parameters.
#include "dataplane/contract/wire/address.h"

#include <errno.h>

#include "dataplane/contract/wire/bytes.h"

#define V6_GROUPS 8

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

// Reads 1..max_digits decimal digits without a leading zero; NULL when there are none, too many, or
// the value is above `max`. Returns where the number ends.
static const char *parse_decimal(const char *at, const char *end, uint32_t max_digits, uint32_t max,
				 uint32_t *out)
{
	const char *start = at;
	uint32_t value = 0;

	while (at < end && *at >= '0' && *at <= '9') {
		if ((uint32_t)(at - start) == max_digits)
			return NULL;
		value = value * 10 + (uint32_t)(*at++ - '0');
	}
	if (at == start || value > max || (*start == '0' && at - start > 1))
		return NULL;
	*out = value;
	return at;
}

static int parse_v4(const char *at, const char *end, uint8_t out[4])
{
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t value;

		if (i > 0 && (at == end || *at++ != '.'))
			return -EINVAL;
		at = parse_decimal(at, end, 3, 255, &value);
		if (at == NULL)
			return -EINVAL;
		out[i] = (uint8_t)value;
	}
	return at == end ? 0 : -EINVAL;
}

// Reads one group of 1..4 hex digits; returns where it ends, NULL when there is none.
static const char *parse_group(const char *at, const char *end, uint32_t *out)
{
	const char *start = at;
	uint32_t value = 0;

	for (; at < end && hex_digit(*at) >= 0; at++) {
		if (at - start == 4)
			return NULL;
		value = value << 4 | (uint32_t)hex_digit(*at);
	}
	*out = value;
	return at == start ? NULL : at;
}

static int parse_v6(const char *at, const char *end, uint8_t out[16])
{
	uint8_t bytes[16] = { 0 };
	uint32_t n = 0;                   // bytes written
	uint32_t gap = V6_GROUPS * 2 + 1; // where "::" stood; past the end: nowhere

	if (end - at >= 2 && at[0] == ':' && at[1] == ':') {
		gap = 0;
		at += 2;
	}
	while (at < end) {
		const char *stop;
		uint32_t group;

		// The last 4 bytes may be dotted.
		stop = parse_group(at, end, &group);
		if (n <= 12 && (stop == NULL || (stop < end && *stop == '.'))) {
			if (parse_v4(at, end, bytes + n) != 0)
				return -EINVAL;
			n += 4;
			break;
		}
		if (stop == NULL || n == 16)
			return -EINVAL;
		bytes_put_be16(bytes + n, (uint16_t)group);
		n += 2;
		at = stop;
		if (at == end)
			break;
		if (*at++ != ':' || at == end)
			return -EINVAL;
		if (*at == ':') {
			if (gap <= 16)
				return -EINVAL;
			gap = n;
			at++;
		}
	}
	if (gap > 16 ? n != 16 : n > 14)
		return -EINVAL;
	memset(out, 0, 16);
	if (gap > 16)
		gap = n;
	memcpy(out, bytes, gap);
	memcpy(out + 16 - (n - gap), bytes + gap, n - gap);
	return 0;
}

static int parse_address(const char *at, const char *end, struct ip_address *out)
{
	uint8_t v4[4];

	if (memchr(at, ':', (size_t)(end - at)) != NULL)
		return parse_v6(at, end, out->bytes);
	if (parse_v4(at, end, v4) != 0)
		return -EINVAL;
	*out = ip_address_from_v4(v4);
	return 0;
}

static const char *text_end(const char *text)
{
	while (*text != '\0')
		text++;
	return text;
}

int ip_address_parse(const char *text, struct ip_address *out)
{
	return parse_address(text, text_end(text), out);
}

int ip_endpoint_parse(const char *text, struct ip_endpoint *out)
{
	const char *end = text_end(text);
	const char *address = text;
	const char *address_end;
	struct ip_endpoint e;
	uint32_t port;

	if (*text == '[') {
		address = text + 1;
		address_end = memchr(address, ']', (size_t)(end - address));
		if (address_end == NULL || parse_v6(address, address_end, e.address.bytes) != 0)
			return -EINVAL;
		text = address_end + 1;
	} else {
		uint8_t v4[4];

		address_end = memchr(address, ':', (size_t)(end - address));
		if (address_end == NULL || parse_v4(address, address_end, v4) != 0)
			return -EINVAL;
		e.address = ip_address_from_v4(v4);
		text = address_end;
	}
	if (text == end || *text != ':' || parse_decimal(text + 1, end, 5, 65535, &port) != end)
		return -EINVAL;
	bytes_put_be16(&e.port_be, (uint16_t)port);
	*out = e;
	return 0;
}

// Text under construction: characters past the capacity are dropped, one place is kept for the NUL.
struct text_out {
	char *at;
	char *last;
};

static void put_char(struct text_out *t, char c)
{
	if (t->at < t->last)
		*t->at++ = c;
}

static void put_decimal(struct text_out *t, uint32_t value)
{
	char digits[10];
	uint32_t n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (n > 0)
		put_char(t, digits[--n]);
}

static void put_hex(struct text_out *t, uint32_t value)
{
	bool begun = false;

	for (int shift = 12; shift >= 0; shift -= 4) {
		uint32_t digit = value >> shift & 15;

		begun = begun || digit != 0 || shift == 0;
		if (begun)
			put_char(t, "0123456789abcdef"[digit]);
	}
}

// RFC 5952 §4: lower case, no leading zeros, the first longest run of at least two zero groups as "::".
static void put_v6(struct text_out *t, const uint8_t bytes[16])
{
	uint32_t best = V6_GROUPS;
	uint32_t best_groups = 1;

	for (uint32_t i = 0; i < V6_GROUPS; i++) {
		uint32_t n = 0;

		while (i + n < V6_GROUPS && bytes_get_be16(bytes + 2 * (i + n)) == 0)
			n++;
		if (n > best_groups) {
			best = i;
			best_groups = n;
		}
	}
	for (uint32_t i = 0; i < V6_GROUPS; i++) {
		if (i == best) {
			put_char(t, ':');
			put_char(t, ':');
			i += best_groups - 1;
			continue;
		}
		if (i > 0 && i != best + best_groups)
			put_char(t, ':');
		put_hex(t, bytes_get_be16(bytes + 2 * i));
	}
}

static void put_address(struct text_out *t, const struct ip_address *a)
{
	if (!ip_address_is_v4(a)) {
		put_v6(t, a->bytes);
		return;
	}
	for (uint32_t i = 0; i < 4; i++) {
		if (i > 0)
			put_char(t, '.');
		put_decimal(t, ip_address_v4_bytes(a)[i]);
	}
}

const char *ip_address_format(const struct ip_address *a, char *out, size_t out_bytes)
{
	struct text_out t = { .at = out, .last = out + out_bytes - 1 };

	if (out_bytes == 0)
		return out;
	put_address(&t, a);
	*t.at = '\0';
	return out;
}

const char *ip_endpoint_format(const struct ip_endpoint *e, char *out, size_t out_bytes)
{
	struct text_out t = { .at = out, .last = out + out_bytes - 1 };
	bool v4 = ip_address_is_v4(&e->address);

	if (out_bytes == 0)
		return out;
	if (!v4)
		put_char(&t, '[');
	put_address(&t, &e->address);
	if (!v4)
		put_char(&t, ']');
	put_char(&t, ':');
	put_decimal(&t, bytes_get_be16(&e->port_be));
	*t.at = '\0';
	return out;
}

// Whether the first `length_bits` bits of a and b are the same.
static bool bits_equal(const uint8_t a[16], const uint8_t b[16], uint32_t length_bits)
{
	uint32_t whole = length_bits / 8;
	uint32_t rest = length_bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)(a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

int ip_prefix_parse(const char *text, struct ip_prefix *out)
{
	const char *end = text_end(text);
	const char *slash = memchr(text, '/', (size_t)(end - text));
	bool is_v6 = memchr(text, ':', (size_t)(end - text)) != NULL;
	uint32_t max_bits = is_v6 ? 128 : 32;
	uint32_t bits = max_bits;
	struct ip_prefix p;

	if (parse_address(text, slash != NULL ? slash : end, &p.address) != 0)
		return -EINVAL;
	if (slash != NULL && parse_decimal(slash + 1, end, 3, max_bits, &bits) != end)
		return -EINVAL;
	p.length_bits = (uint8_t)(bits + 128 - max_bits);
	for (uint32_t i = p.length_bits; i < 128; i++) {
		if (p.address.bytes[i / 8] & 0x80 >> i % 8)
			return -EINVAL;
	}
	*out = p;
	return 0;
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_address *a)
{
	if (p->length_bits > 128 || (p->length_bits < 96 && ip_address_is_v4(a)))
		return false;
	return bits_equal(p->address.bytes, a->bytes, p->length_bits);
}
