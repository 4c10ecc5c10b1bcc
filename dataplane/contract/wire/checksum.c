// One's-complement checksums (RFC 1071, RFC 1624) over memory as it lies. Pure, any thread.
#include "dataplane/contract/wire/ip_udp.h"

// Four 64-bit lanes: gcc and clang lower them to what the target has. Each lane takes 32-bit words, so
// 2^32 of them cannot overflow it.
typedef uint64_t checksum_lanes __attribute__((vector_size(32)));

// Down to at most 17 bits, so that callers may add many results without an overflow.
static uint32_t fold64(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

uint32_t checksum_add(uint32_t sum, const void *buf, size_t len_bytes)
{
	const uint8_t *p = buf;
	uint64_t total = sum;

	if (len_bytes >= 64) {
		checksum_lanes low = { 0 };
		checksum_lanes high = { 0 };

		for (; len_bytes >= sizeof(checksum_lanes); len_bytes -= sizeof(checksum_lanes)) {
			checksum_lanes v;

			memcpy(&v, p, sizeof(v));
			low += v & 0xffffffff;
			high += v >> 32;
			p += sizeof(v);
		}
		low += high;
		// Each lane is below 2^48 for any buffer under 4 GiB, so this does not overflow.
		total += low[0] + low[1] + low[2] + low[3];
	}
	for (; len_bytes >= 4; len_bytes -= 4) {
		uint32_t v;

		memcpy(&v, p, sizeof(v));
		total += v;
		p += sizeof(v);
	}
	if (len_bytes >= 2) {
		uint16_t v;

		memcpy(&v, p, sizeof(v));
		total += v;
		p += sizeof(v);
		len_bytes -= 2;
	}
	if (len_bytes == 1) {
		uint16_t v = 0;

		memcpy(&v, p, 1);
		total += v;
	}
	return fold64(total);
}

uint16_t checksum_update(uint16_t field, uint32_t old_sum, uint32_t new_sum)
{
	uint32_t sum = (uint16_t)~field;

	sum += (uint16_t)~checksum_fold(old_sum);
	sum += checksum_fold(new_sum);
	return (uint16_t)~checksum_fold(sum);
}

uint16_t udp_checksum(const struct ip_address *src, const struct ip_address *dst,
		      const uint8_t *udp, uint16_t udp_bytes)
{
	// The pseudo headers of both families sum the same words: addresses, protocol, length. The mapped
	// prefix of IPv4 (0xffff) is zero in this arithmetic.
	uint32_t sum = __builtin_bswap16(17) + (uint32_t)__builtin_bswap16(udp_bytes);
	uint16_t checksum;

	sum = checksum_add(sum, src->bytes, sizeof(src->bytes));
	sum = checksum_add(sum, dst->bytes, sizeof(dst->bytes));
	sum = checksum_add(sum, udp, udp_bytes < 6 ? udp_bytes : 6);
	if (udp_bytes > 8)
		sum = checksum_add(sum, udp + 8, udp_bytes - 8u);
	checksum = (uint16_t)~checksum_fold(sum);
	return checksum != 0 ? checksum : 0xffff;
}

uint16_t ipv4_header_checksum(const uint8_t *ip, size_t header_bytes)
{
	return (uint16_t)~checksum_fold(checksum_add(0, ip, header_bytes));
}
