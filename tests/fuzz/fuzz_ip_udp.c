// Ethernet frames: an accepted datagram lies inside its frame, its checksums can be made right, and an
// incremental update agrees with a full sum.
#include "dataplane/contract/wire/ip_udp.h"
#include "tests/fuzz/fuzz.h"

static uint16_t verify(const struct ip_udp_view *v, const uint8_t *frame)
{
	uint16_t want = udp_checksum(&v->source.address, &v->destination.address,
				     frame + v->l4_offset, (uint16_t)(v->payload_bytes + 8));

	FUZZ_ASSERT(want != 0);
	return want;
}

static void check_checksums(const struct ip_udp_view *v, const uint8_t *data, size_t n)
{
	uint8_t *frame = malloc(n);
	uint8_t *port;
	uint16_t checksum;
	uint16_t full;
	uint32_t old_sum;

	FUZZ_ASSERT(frame != NULL);
	memcpy(frame, data, n);
	if (v->is_v4) {
		const uint8_t *ip = frame + v->l3_offset;

		FUZZ_ASSERT(ipv4_header_checksum(ip, (ip[0] & 15u) * 4u) == 0);
	}
	// Another source port: updated and computed anew are the same, but for the two zeros.
	checksum = verify(v, frame);
	port = frame + v->l4_offset;
	old_sum = checksum_add(0, port, 2);
	port[0] ^= 0x5a;
	port[1] ^= 0xa5;
	checksum = checksum_update(checksum, old_sum, checksum_add(0, port, 2));
	full = verify(v, frame);
	FUZZ_ASSERT(checksum == full || (checksum == 0 && full == 0xffff));
	free(frame);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	enum ip_udp_verdict verdict;
	struct ip_udp_view v;

	memset(&v, 0xee, sizeof(v));
	verdict = ip_udp_parse(data, n, &v);
	FUZZ_ASSERT(verdict < IP_UDP_VERDICT_COUNT);
	FUZZ_ASSERT(v.l3_offset == 0 || v.l3_offset == 14 || v.l3_offset == 18);
	FUZZ_ASSERT(v.l3_offset <= n);
	if (verdict != IP_UDP_OK && verdict != IP_UDP_FRAGMENT && verdict != IP_UDP_OTHER_PROTOCOL)
		return;
	FUZZ_ASSERT(v.l4_offset >= v.l3_offset + (v.is_v4 ? 20 : 40) && v.l4_offset <= n);
	FUZZ_ASSERT(ip_address_is_v4(&v.source.address) == v.is_v4);
	FUZZ_ASSERT(ip_address_is_v4(&v.destination.address) == v.is_v4);
	FUZZ_ASSERT(ip_address_classify(&v.source.address) < IP_CLASS_COUNT);
	if (verdict != IP_UDP_OK)
		return;
	FUZZ_ASSERT(v.payload_offset == v.l4_offset + 8);
	FUZZ_ASSERT((size_t)v.payload_offset + v.payload_bytes <= n);
	FUZZ_ASSERT(bytes_get_be16(data + v.l4_offset + 4) == v.payload_bytes + 8);
	check_checksums(&v, data, n);
}
