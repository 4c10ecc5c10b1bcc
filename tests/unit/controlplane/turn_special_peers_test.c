// No relay to where it must not go (RFC 8656 §21.1.5): every special-purpose block, in every embedding, for every request that
// names a peer, refused without any rule of the operator's.
#include <stdio.h>

#include "controlplane/turn/tcp_relay/tcp_relay.h"
#include "dataplane/contract/wire/turn.h"
#include "tests/unit/controlplane/turn_rig.h"
#include "tests/vectors/special_blocks.h"

static struct rig r;
static struct rig_client four;
static struct rig_client six;
static uint32_t n_asked;
static uint16_t method;
static uint16_t channel;

static void open_rig(void)
{
	rig_open(&r, rig_config());
	four = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	six = rig_client("203.0.113.5:40001", "lab", RIG_PASSWORD);
}

static void allocate_udp(void)
{
	cr_assert_eq(rig_allocate(&r, &four).code, 0);
	cr_assert_eq(rig_allocate_family(&r, &six, STUN_FAMILY_IPV6).code, 0);
}

static void close_rig(void)
{
	rig_close(&r);
}

TestSuite(turn_special_peers, .init = open_rig, .fini = close_rig);

// XOR-PEER-ADDRESS as a client can write it: an IPv4-mapped address too goes out in the IPv6 form.
static void add_peer(struct rig_request *q, const uint8_t *address, int n_bytes)
{
	static const uint8_t cookie[4] = { 0x21, 0x12, 0xa4, 0x42 };
	uint8_t value[20] = { 0, n_bytes == 4 ? STUN_FAMILY_IPV4 : STUN_FAMILY_IPV6, 0x21 ^ 0x12,
			      0x12 ^ 0x34 };

	for (int i = 0; i < n_bytes; i++)
		value[4 + i] = address[i] ^ (i < 4 ? cookie[i] : q->transaction_id[i - 4]);
	stun_build_attr(&q->b, TURN_ATTR_XOR_PEER_ADDRESS, value, (uint16_t)(4 + n_bytes));
}

static void expect_refused(const uint8_t *address, int n_bytes, const char *name)
{
	struct rig_client *c = n_bytes == 4 ? &four : &six;
	struct rig_answer answer;
	struct rig_request q;

	rig_begin(&q, c, method);
	if (method == TURN_CHANNEL_BIND_REQUEST)
		rig_add_u32(&q, TURN_ATTR_CHANNEL_NUMBER, (uint32_t)channel << 16);
	add_peer(&q, address, n_bytes);
	answer = rig_send(&r, c, &q);
	// A mapped address is the IPv4 address in the wrong family, wherever it leads.
	if (n_bytes == 16 && memcmp(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		cr_expect(answer.code == 403 || answer.code == 443 || answer.code == 400, "%s: %u",
			  name, answer.code);
	else
		cr_expect_eq(answer.code, 403, "%s: %u", name, answer.code);
	n_asked++;
}

static void expect_nothing_opened(void)
{
	cr_assert_gt(n_asked, 300);
	cr_assert_eq(turn_server_n_permissions(r.engine.turn), 0);
	cr_assert_eq(turn_server_n_channels(r.engine.turn), 0);
}

Test(turn_special_peers, rfc8656_21_1_5_create_permission_is_refused)
{
	allocate_udp();
	method = TURN_CREATE_PERMISSION_REQUEST;
	special_each(expect_refused);
	expect_nothing_opened();
}

Test(turn_special_peers, rfc8656_21_1_5_channel_bind_is_refused)
{
	allocate_udp();
	method = TURN_CHANNEL_BIND_REQUEST;
	channel = 0x4001;
	special_each(expect_refused);
	expect_nothing_opened();
}

// ---- Connect, of allocations whose relayed transport address speaks TCP

static uint32_t n_connects;

static int listens(void *arg, uint32_t allocation_idx, const struct ip_endpoint *relayed)
{
	return 0;
}

static void forgets(void *arg, uint32_t allocation_idx)
{
}

static int connects(void *arg, uint32_t connection, const struct ip_endpoint *relayed,
		    const struct ip_endpoint *peer)
{
	n_connects++;
	return 0;
}

static int joins(void *arg, uint32_t connection, uint32_t stream_idx, uint32_t stream_serial)
{
	return 0;
}

static void closes(void *arg, uint32_t connection)
{
}

static void sends(void *arg, uint32_t stream_idx, uint32_t stream_serial, const uint8_t *message,
		  size_t n_bytes)
{
}

static void allocate_tcp(struct rig_client *c, uint32_t stream_idx, uint8_t family)
{
	struct rig_request q;

	c->transport = SHM_TRANSPORT_TCP;
	c->stream_idx = stream_idx;
	c->stream_serial = 1;
	rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, (uint32_t)TURN_TRANSPORT_TCP << 24);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)family << 24);
	cr_assert_eq(rig_send(&r, c, &q).code, 0);
}

Test(turn_special_peers, rfc6062_5_2_connect_is_refused)
{
	static const struct turn_tcp_io io = { .listen = listens,
					       .unlisten = forgets,
					       .connect = connects,
					       .join = joins,
					       .close = closes,
					       .send = sends };
	static const struct turn_tcp_limits limits = { .connections = 16, .per_allocation = 8 };
	struct turn_tcp_relay *relay;

	cr_assert_eq(turn_tcp_relay_new(r.engine.turn, &io, &limits, &relay), 0);
	allocate_tcp(&four, 1, STUN_FAMILY_IPV4);
	allocate_tcp(&six, 2, STUN_FAMILY_IPV6);
	method = TURN_CONNECT_REQUEST;
	special_each(expect_refused);
	expect_nothing_opened();
	cr_assert_eq(n_connects, 0);
	turn_tcp_relay_free(relay);
}
