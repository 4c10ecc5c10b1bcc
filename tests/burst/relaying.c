// Sending and expecting what TURN relays.
#include "tests/burst/relaying.h"

#include <criterion/criterion.h>

uint8_t data[2048];
uint8_t data_first = 3;
uint8_t message[4096];
struct frame out;

void data_fill(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		data[i] = (uint8_t)(i * 7 + data_first);
}

// From a client, with ChannelData around `n` bytes.
void send_channel(const char *client, uint16_t channel, uint16_t n)
{
	struct dress d = { .from = client, .to = client[0] == '[' ? LISTEN_V6 : LISTEN_V4 };

	data_fill(n);
	send_datagram(&d, message, channel_data(message, channel, data, n, 0));
}

void send_from_peer(const char *peer, const char *relayed, uint16_t n)
{
	// With DF, or RFC 7915 §4.1 has larger ones cut up toward IPv6.
	struct dress d = { .from = peer, .to = relayed, .dont_fragment = 1 };

	data_fill(n);
	send_datagram(&d, data, n);
}

void expect_channel_data(const char *client, uint16_t channel, uint16_t n)
{
	uint32_t bytes = channel_data(message, channel, data, n, 0);

	expect_datagram(&out, client[0] == '[' ? LISTEN_V6 : LISTEN_V4, client, message, bytes);
}

void assert_data_indication(const uint8_t *bytes, size_t n_bytes, const char *peer, uint16_t n)
{
	struct ip_endpoint from = endpoint(peer);
	struct ip_endpoint told;
	struct stun_view m;
	struct stun_attr a;

	cr_assert_eq(stun_parse(bytes, n_bytes, &m), STUN_OK);
	cr_assert_eq(m.type, TURN_DATA_INDICATION);
	cr_assert(stun_attr_find(&m, TURN_ATTR_XOR_PEER_ADDRESS, &a));
	cr_assert_eq(stun_xor_address_get(&m, &a, &told), 0);
	cr_assert(ip_endpoint_equal(&told, &from));
	cr_assert(stun_attr_find(&m, TURN_ATTR_DATA, &a));
	cr_assert_eq(a.length_bytes, n);
	cr_assert_arr_eq(a.value, data, n);
	// CVE-2020-4067: padding carries nothing.
	for (uint32_t i = n; i % 4 != 0; i++)
		cr_assert_eq(a.value[i], 0);
}

// A Data indication to the client with these bytes from that peer (RFC 8656 §11.4).
void expect_data_indication(const char *client, const char *peer, uint16_t n)
{
	struct ip_endpoint to = endpoint(client);

	cr_assert(receive(&out), "nothing left");
	cr_assert(ip_endpoint_equal(&out.view.destination, &to));
	assert_data_indication(out.bytes + out.view.payload_offset, out.view.payload_bytes, peer,
			       n);
	expect_nothing_sent();
}
