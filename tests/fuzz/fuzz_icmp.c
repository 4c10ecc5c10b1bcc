// Ethernet frames with ICMP errors: what is read lies inside the frame; an error of our own about an accepted frame reads
// back as what was written.
#include "dataplane/contract/wire/icmp.h"
#include "tests/fuzz/fuzz.h"

#define FRAME_BYTES 14

// About a datagram that came in: the error goes back to who sent it, and encloses what was sent.
static void check_reply(const struct ip_udp_view *v, const uint8_t *data, size_t n)
{
	uint32_t prefix_bytes = v->is_v4 ? ICMP_PREFIX_V4_BYTES : ICMP_PREFIX_V6_BYTES;
	uint32_t packet_bytes = (uint32_t)(v->payload_offset + v->payload_bytes - v->l3_offset);
	uint32_t enclosed_bytes = icmp_enclosed_bytes(v->is_v4, packet_bytes);
	uint32_t whole_bytes = prefix_bytes + enclosed_bytes;
	struct icmp_reply r = {
		.source = v->destination.address,
		.destination = v->source.address,
		.mtu_bytes = data[n - 1] * 257u,
		.type = v->is_v4 ? ICMP4_UNREACHABLE : ICMP6_PACKET_TOO_BIG,
		.code = v->is_v4 ? ICMP4_FRAGMENTATION_NEEDED : 0,
	};
	uint8_t *frame = malloc(FRAME_BYTES + whole_bytes);
	struct ip_udp_view read;
	struct icmp_error e;
	enum icmp_verdict verdict;

	FUZZ_ASSERT(frame != NULL);
	FUZZ_ASSERT(whole_bytes <= (v->is_v4 ? 576u : 1280u));
	memset(frame, 0, FRAME_BYTES);
	bytes_put_be16(frame + 12, v->is_v4 ? 0x0800 : 0x86dd);
	memcpy(frame + FRAME_BYTES + prefix_bytes, data + v->l3_offset, enclosed_bytes);
	FUZZ_ASSERT(icmp_reply_write(frame + FRAME_BYTES, &r, enclosed_bytes) == whole_bytes);
	FUZZ_ASSERT(ip_udp_parse(frame, FRAME_BYTES + whole_bytes, &read) == IP_UDP_OTHER_PROTOCOL);
	verdict = icmp_error_parse(frame, &read, &e);
	// Headers longer than an error has room for.
	if (verdict == ICMP_NOT_UDP && packet_bytes > enclosed_bytes) {
		free(frame);
		return;
	}
	FUZZ_ASSERT(verdict == ICMP_OK);
	FUZZ_ASSERT(e.type == r.type && e.code == r.code && e.mtu_bytes == r.mtu_bytes);
	FUZZ_ASSERT(ip_endpoint_equal(&e.source, &v->source));
	FUZZ_ASSERT(ip_endpoint_equal(&e.destination, &v->destination));
	free(frame);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	enum icmp_verdict verdict;
	struct ip_udp_view v;
	struct icmp_error e;

	switch (ip_udp_parse(data, n, &v)) {
	case IP_UDP_OK:
		check_reply(&v, data, n);
		return;
	case IP_UDP_OTHER_PROTOCOL:
		break;
	default:
		return;
	}
	verdict = icmp_error_parse(data, &v, &e);
	FUZZ_ASSERT(verdict < ICMP_VERDICT_COUNT);
	if (verdict != ICMP_OK && verdict != ICMP_BAD_CHECKSUM)
		return;
	FUZZ_ASSERT(e.is_v4 == v.is_v4);
	FUZZ_ASSERT(e.is_v4 ? e.type == 3 || e.type == 11 : e.type >= 1 && e.type <= 3);
	FUZZ_ASSERT(ip_address_is_v4(&e.source.address) == v.is_v4);
	FUZZ_ASSERT(ip_address_is_v4(&e.destination.address) == v.is_v4);
	FUZZ_ASSERT(e.mtu_bytes == 0 || (e.is_v4 ? e.type == 3 && e.code == 4 : e.type == 2));
}
