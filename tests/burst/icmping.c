// Expecting ICMP errors and the indications that stand for them.
#include "tests/burst/icmping.h"

#include <criterion/criterion.h>

#include "dataplane/contract/wire/icmp.h"

uint8_t sent[FRAME_BYTES_MAX];
uint32_t sent_bytes;
const uint8_t *error_frame;
uint32_t error_bytes;
uint32_t error_port_idx;

static uint8_t left[FRAME_BYTES_MAX];

void expect_error(const char *from, const char *to, uint8_t type, uint8_t code, uint32_t mtu_bytes)
{
	struct ip_endpoint source = endpoint(from);
	struct ip_endpoint destination = endpoint(to);
	struct rte_mbuf *m = NULL;
	struct ip_udp_view of_sent;
	struct ip_udp_view v;
	struct icmp_error e;
	uint32_t enclosed_bytes;

	for (error_port_idx = 0; error_port_idx < 2; error_port_idx++) {
		m = take_raw(error_port_idx);
		if (m != NULL)
			break;
	}
	cr_assert_not_null(m, "nothing left");
	cr_assert_eq(m->nb_segs, 1);
	error_bytes = m->pkt_len;
	memcpy(left, rte_pktmbuf_mtod(m, void *), error_bytes);
	error_frame = left;
	rte_pktmbuf_free(m);
	expect_nothing_sent();

	cr_assert_eq(ip_udp_parse(left, error_bytes, &v), IP_UDP_OTHER_PROTOCOL);
	cr_assert(ip_address_equal(&v.source.address, &source.address), "not from %s", from);
	cr_assert(ip_address_equal(&v.destination.address, &destination.address), "not to %s", to);
	cr_assert_eq(icmp_error_parse(left, &v, &e), ICMP_OK);
	cr_assert_eq(e.type, type, "type %u", e.type);
	cr_assert_eq(e.code, code, "code %u", e.code);
	cr_assert_eq(e.mtu_bytes, mtu_bytes, "MTU %u", e.mtu_bytes);
	cr_assert(ip_endpoint_equal(&e.source, &destination));
	cr_assert(ip_endpoint_equal(&e.destination, &source));

	cr_assert_eq(ip_udp_parse(sent, sent_bytes, &of_sent), IP_UDP_OK);
	enclosed_bytes = error_bytes - v.l4_offset - ICMP_HEADER_BYTES;
	cr_assert_eq(enclosed_bytes,
		     icmp_enclosed_bytes(v.is_v4,
					 (uint32_t)(of_sent.payload_offset + of_sent.payload_bytes -
						    of_sent.l3_offset)));
	cr_assert_arr_eq(left + v.l4_offset + ICMP_HEADER_BYTES, sent + of_sent.l3_offset,
			 enclosed_bytes);
}

void check_indication(const uint8_t *bytes, uint32_t n, const char *peer, uint8_t type,
		      uint8_t code, uint32_t error_data)
{
	struct ip_endpoint want = endpoint(peer);
	struct ip_endpoint told;
	uint16_t type_and_code;
	struct stun_view m;
	struct stun_attr a;

	cr_assert_eq(stun_parse(bytes, (uint16_t)n, &m), STUN_OK);
	cr_assert_eq(m.type, TURN_DATA_INDICATION);
	cr_assert(stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &a));
	cr_assert_eq(stun_xor_address_get(&m, &a, &told), 0);
	cr_assert(ip_endpoint_equal(&told, &want), "not of %s", peer);
	cr_assert(stun_attr_find(&m, TURN_ATTR_ICMP, &a));
	cr_assert_eq(a.length_bytes, 8);
	cr_assert_eq(bytes_get_be16(a.value), 0);
	type_and_code = bytes_get_be16(a.value + 2);
	cr_assert_eq(type_and_code >> 9, type, "type %u", type_and_code >> 9);
	cr_assert_eq(type_and_code & 0x1ff, code, "code %u", type_and_code & 0x1ff);
	cr_assert_eq(bytes_get_be32(a.value + 4), error_data, "error data %u",
		     bytes_get_be32(a.value + 4));
	cr_assert_not(stun_attr_find(&m, TURN_ATTR_DATA, &a), "DATA beside ICMP");
	cr_assert_eq(n, 20u + (ip_address_is_v4(&want.address) ? 12u : 24u) + 12u);
}

void expect_indication(const char *from, const char *client, const char *peer, uint8_t type,
		       uint8_t code, uint32_t error_data)
{
	struct ip_endpoint source = endpoint(from);
	struct ip_endpoint destination = endpoint(client);
	static struct frame f;

	cr_assert(receive(&f), "nothing left");
	cr_assert(ip_endpoint_equal(&f.view.source, &source), "not from %s", from);
	cr_assert(ip_endpoint_equal(&f.view.destination, &destination), "not to %s", client);
	check_indication(f.bytes + f.view.payload_offset, f.view.payload_bytes, peer, type, code,
			 error_data);
	cr_assert_eq(f.length_bytes, f.view.payload_offset + f.view.payload_bytes);
	expect_nothing_sent();
}
