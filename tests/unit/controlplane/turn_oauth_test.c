// Third-party authorization (RFC 7635): tokens, what they grant and for how long.
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/oauth_token.h"
#include "controlplane/turn/server.h"
#include "controlplane/turn/tcp_relay/tcp_relay.h"
#include "tests/unit/controlplane/turn_rig.h"
#include "tests/unit/wire/guarded.h"

#define SERVER_NAME "turn.example.org"

static struct rig r;
static uint32_t connection_id; // of the last Connect
static const uint8_t mac_key[32] = "a key that the client has too..";
static uint8_t keys[2][32] = { "the key of north, 256 bits long", "the key of union" };

static void setup(void)
{
	static const char *const kids[] = { "north", "union" };
	struct config *c = rig_config();

	c->oauth.server_name = strdup(SERVER_NAME);
	c->oauth.keys = calloc(2, sizeof(*c->oauth.keys));
	c->oauth.n_keys = 2;
	for (int i = 0; i < 2; i++) {
		c->oauth.keys[i].kid = strdup(kids[i]);
		c->oauth.keys[i].key_bytes = i == 0 ? 32 : 16;
		memcpy(c->oauth.keys[i].key, keys[i], 32);
	}
	rig_open(&r, c);
}

static void teardown(void)
{
	rig_close(&r);
}

TestSuite(turn_oauth, .init = setup, .fini = teardown);

struct grant {
	const uint8_t *key;
	int key_bytes;
	const char *server_name;
	uint16_t mac_key_bytes;
	int64_t age_s;
	uint32_t lifetime_s;
	int signs_bytes; // of the key; 0 = all
};

static const struct grant good = { keys[0], 32, SERVER_NAME, 20, 0, 1200, 0 };

// Seals as an authorization server does. Returns the token's length.
static size_t seal(const struct grant *g, const void *block, int block_bytes, uint8_t out[256])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, m = 0;

	bytes_put_be16(out, 12);
	memset(out + 2, 7, 12);
	EVP_EncryptInit_ex(ctx, g->key_bytes == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), NULL,
			   g->key, out + 2);
	EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)g->server_name,
			  (int)strlen(g->server_name));
	EVP_EncryptUpdate(ctx, out + 14, &n, block, block_bytes);
	EVP_EncryptFinal_ex(ctx, out + 14 + n, &m);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, out + 14 + n);
	EVP_CIPHER_CTX_free(ctx);
	return 14 + (size_t)n + 16;
}

static int block_of(const struct grant *g, uint8_t block[64])
{
	bytes_put_be16(block, g->mac_key_bytes);
	memcpy(block + 2, mac_key, g->mac_key_bytes);
	bytes_put_be64(block + 2 + g->mac_key_bytes,
		       (uint64_t)((int64_t)(r.wall_ns / RIG_S) - g->age_s) << 16);
	bytes_put_be32(block + 10 + g->mac_key_bytes, g->lifetime_s);
	return 14 + g->mac_key_bytes;
}

static struct rig_answer send_by(struct rig_client *c, uint16_t type, const char *kid,
				 const struct grant *g, const uint8_t *token, size_t token_bytes)
{
	struct rig_request q;
	struct stun_attr a;
	size_t covered;
	uint8_t *tag;

	if (c->nonce[0] == '\0') {
		struct rig_answer answer;

		rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
		stun_build_attr(&q.b, STUN_ATTR_SOFTWARE, "a client that says who it is", 28);
		answer = rig_send_bytes(&r, c, q.bytes, stun_build_end(&q.b));
		cr_assert_eq(answer.code, 401);
		cr_assert(rig_get(&answer, STUN_ATTR_THIRD_PARTY_AUTHORIZATION, &a));
		cr_assert_arr_eq(a.value, SERVER_NAME, strlen(SERVER_NAME));
		cr_assert(rig_get(&answer, STUN_ATTR_NONCE, &a));
		memcpy(c->nonce, a.value, a.length_bytes);
	}
	rig_begin(&q, c, type);
	if (type == TURN_ALLOCATE_REQUEST)
		rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT,
			    c->transport == SHM_TRANSPORT_TCP ? 6u << 24 : 17u << 24);
	if (type == TURN_CONNECTION_BIND_REQUEST)
		rig_add_u32(&q, TURN_ATTR_CONNECTION_ID, connection_id);
	if (type == TURN_REFRESH_REQUEST)
		rig_add_u32(&q, TURN_ATTR_LIFETIME, 3000);
	if (type == TURN_CREATE_PERMISSION_REQUEST || type == TURN_CONNECT_REQUEST)
		rig_add_peer(&q, "9.9.9.9:1");
	if (token != NULL)
		stun_build_attr(&q.b, STUN_ATTR_ACCESS_TOKEN, token, (uint16_t)token_bytes);
	stun_build_attr(&q.b, STUN_ATTR_USERNAME, kid, (uint16_t)strlen(kid));
	stun_build_attr(&q.b, STUN_ATTR_REALM, RIG_REALM, sizeof(RIG_REALM) - 1);
	stun_build_attr(&q.b, STUN_ATTR_NONCE, c->nonce, (uint16_t)strlen(c->nonce));
	tag = stun_build_integrity(&q.b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
	HMAC(EVP_sha1(), mac_key, g->signs_bytes != 0 ? g->signs_bytes : g->mac_key_bytes,
	     q.b.w.base, covered, tag, NULL);
	return rig_send_bytes(&r, c, q.bytes, stun_build_end(&q.b));
}

static struct rig_answer send_token(struct rig_client *c, uint16_t type, const char *kid,
				    const struct grant *g)
{
	uint8_t block[64], token[256];
	int n = block_of(g, block);

	return send_by(c, type, kid, g, token, seal(g, block, n, token));
}

static struct rig_client client_at(uint16_t port)
{
	struct rig_client c = rig_client("203.0.113.5:1", "north", "");

	bytes_put_be16(&c.endpoint.port_be, port);
	return c;
}

Test(turn_oauth, rfc7635_4_1_tokens_of_both_algorithms_open_an_allocation)
{
	static const struct grant small = { keys[1], 16, SERVER_NAME, 32, 0, 1200, 0 };
	struct rig_client c = client_at(1), d = client_at(2);

	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &good).code, 0);
	cr_assert_eq(send_token(&d, TURN_ALLOCATE_REQUEST, "union", &small).code, 0);
	cr_assert_eq(turn_server_counter(r.engine.turn, TURN_COUNTER_KEY_TOKEN), 2);
}

Test(turn_oauth, coturns_client_signs_with_16_bytes_of_the_key)
{
	struct rig_client c = client_at(1), d = client_at(2);
	struct grant g = good;

	g.signs_bytes = 16;
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &g).code, 0);
	cr_assert_eq(send_by(&c, TURN_CREATE_PERMISSION_REQUEST, "north", &g, NULL, 0).code, 0);
	g.signs_bytes = 15;
	cr_assert_eq(send_token(&d, TURN_ALLOCATE_REQUEST, "north", &g).code, 401);
}

Test(turn_oauth, rfc7635_4_1_bad_tokens_get_401)
{
	struct grant g = good;
	uint16_t port = 10;
	struct rig_client c = client_at(port++);

	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "nobody", &good).code, 401);
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "union", &good).code, 401, "wrong kid");
	g.server_name = "turn.example.net";
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &g).code, 401, "for another");
	g = good;
	g.key = keys[1];
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &g).code, 401, "wrong key");
	g = good;
	g.age_s = 1300;
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &g).code, 401, "expired");
	g.age_s = -1300;
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &g).code, 401, "not yet");
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_oauth, rfc7635_4_1_every_altered_byte_of_a_token_gets_401)
{
	struct rig_client c = client_at(1);
	uint8_t block[64], token[256];
	size_t n = seal(&good, block, block_of(&good, block), token);

	for (size_t i = 0; i < n; i++) {
		token[i] ^= 0x10;
		cr_assert_eq(send_by(&c, TURN_ALLOCATE_REQUEST, "north", &good, token, n).code, 401,
			     "byte %zu", i);
		token[i] ^= 0x10;
		cr_assert_eq(send_by(&c, TURN_ALLOCATE_REQUEST, "north", &good, token, i).code, 401,
			     "%zu bytes", i);
	}
	cr_assert_eq(send_by(&c, TURN_ALLOCATE_REQUEST, "north", &good, token, n).code, 0);
}

Test(turn_oauth, rfc7635_4_2_an_allocation_does_not_outlive_its_token)
{
	struct rig_client c = client_at(1);
	struct grant g = good;
	struct rig_answer a;

	g.lifetime_s = 100;
	a = send_token(&c, TURN_ALLOCATE_REQUEST, "north", &g);
	cr_assert_eq(a.code, 0);
	cr_assert_leq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 106);
	rig_advance(&r, 40);
	// Without a new token there is no more time than there was.
	a = send_by(&c, TURN_REFRESH_REQUEST, "north", &g, NULL, 0);
	cr_assert_eq(a.code, 0);
	cr_assert_leq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 66);
	// With one there is, sealed by another key too.
	struct grant next = { keys[1], 16, SERVER_NAME, 20, 0, 1000, 0 };
	a = send_token(&c, TURN_REFRESH_REQUEST, "union", &next);
	cr_assert_eq(a.code, 0);
	cr_assert_geq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 999);
	cr_assert_leq(rig_get_u32(&a, TURN_ATTR_LIFETIME), 1006);
	rig_advance(&r, 500);
	while (turn_server_expire(r.engine.turn, r.now_ns))
		;
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
	rig_advance(&r, 600);
	while (turn_server_expire(r.engine.turn, r.now_ns))
		;
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(turn_oauth, rfc7635_4_1_the_key_signs_what_follows_without_the_token)
{
	struct rig_client c = client_at(1), d;

	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &good).code, 0);
	cr_assert_eq(send_by(&c, TURN_CREATE_PERMISSION_REQUEST, "north", &good, NULL, 0).code, 0);
	// Its key opens nothing elsewhere.
	d = client_at(2);
	cr_assert_eq(send_by(&d, TURN_ALLOCATE_REQUEST, "north", &good, NULL, 0).code, 401);
	// Password users and token users do not share allocations.
	d = rig_client("203.0.113.5:1", "lab", RIG_PASSWORD);
	d.endpoint = c.endpoint;
	memcpy(d.nonce, c.nonce, sizeof(c.nonce));
	cr_assert_eq(rig_refresh(&r, &d, 0).code, 441);
}

// ---- CVE-2026-43994: lengths in a token that lie

Test(turn_oauth, cve_2026_43994_no_length_in_a_token_is_believed)
{
	struct turn_oauth_token t;

	for (uint32_t said = 0; said <= 0xffff; said += said < 300 ? 1 : 97) {
		for (size_t n = 0; n <= 80; n++) {
			uint8_t bytes[80] = { 0 };
			int ret;

			if (n >= 2)
				bytes_put_be16(bytes, (uint16_t)said);
			ret = turn_oauth_block_parse(guarded_copy(bytes, n), n, &t);
			cr_assert_eq(ret == 0, said >= 1 && said <= 32 && n == said + 14);
		}
	}
	for (uint32_t said = 0; said <= 0xffff; said += said < 300 ? 1 : 97) {
		for (size_t n = 0; n <= 300; n += 7) {
			struct turn_oauth_sealed s;
			uint8_t bytes[301] = { 0 };
			int ret;

			if (n >= 2)
				bytes_put_be16(bytes, (uint16_t)said);
			ret = turn_oauth_token_split(guarded_copy(bytes, n), n, &s);
			cr_assert_eq(ret == 0, said == 12 && n >= 45 && n <= 256);
		}
	}
}

// Sealed by who may, and wrong all the same.
Test(turn_oauth, cve_2026_43994_a_sealed_block_with_lying_lengths_gets_401)
{
	struct rig_client c = client_at(1);
	uint8_t block[200], token[256];

	for (uint32_t said = 0; said < 300; said += 3) {
		size_t n;

		memset(block, 0x41, sizeof(block));
		bytes_put_be16(block, (uint16_t)said);
		n = seal(&good, block, 34, token);
		if (said == 20)
			continue;
		cr_assert_eq(send_by(&c, TURN_ALLOCATE_REQUEST, "north", &good, token, n).code,
			     401);
	}
}

// ---- TCP relaying

static uint32_t connecting;

static int io_listen(void *arg, uint32_t allocation_idx, const struct ip_endpoint *relayed)
{
	return 0;
}

static void io_unlisten(void *arg, uint32_t allocation_idx)
{
}

static int io_connect(void *arg, uint32_t connection, const struct ip_endpoint *relayed,
		      const struct ip_endpoint *peer)
{
	connecting = connection;
	return 0;
}

static int io_join(void *arg, uint32_t connection, uint32_t stream_idx, uint32_t stream_serial)
{
	return 0;
}

static void io_close(void *arg, uint32_t connection)
{
}

static void io_send(void *arg, uint32_t stream_idx, uint32_t stream_serial, const uint8_t *message,
		    size_t n_bytes)
{
	struct stun_attr a;
	struct stun_view v;

	cr_assert_eq(stun_parse(message, n_bytes, &v), STUN_OK);
	cr_assert(stun_attr_find(&v, TURN_ATTR_CONNECTION_ID, &a));
	connection_id = bytes_get_be32(a.value);
}

static struct rig_client stream_at(uint32_t stream_idx)
{
	struct rig_client c = client_at((uint16_t)stream_idx);

	c.transport = SHM_TRANSPORT_TCP;
	c.stream_idx = stream_idx;
	c.stream_serial = 1;
	return c;
}

// All clients of an authorization server have the same username.
Test(turn_oauth, rfc6062_5_4_the_key_of_the_token_tells_whose_connection_it_is)
{
	const struct turn_tcp_limits limits = { .connections = 4, .per_allocation = 4 };
	const struct turn_tcp_io io = { NULL,    io_listen, io_unlisten, io_connect,
					io_join, io_close,  io_send };
	struct rig_client c = stream_at(1), other = stream_at(2), data = stream_at(3);
	struct grant another_key = good;
	struct turn_tcp_relay *relay;

	another_key.mac_key_bytes = 32;
	cr_assert_eq(turn_tcp_relay_new(r.engine.turn, &io, &limits, &relay), 0);
	cr_assert_eq(send_token(&c, TURN_ALLOCATE_REQUEST, "north", &good).code, 0);
	cr_assert_eq(send_token(&c, TURN_CONNECT_REQUEST, "north", &good).length_bytes, 0);
	turn_tcp_relay_connected(relay, connecting, r.now_ns);
	cr_assert_eq(send_token(&other, TURN_CONNECTION_BIND_REQUEST, "north", &another_key).code,
		     441);
	cr_assert_eq(send_token(&data, TURN_CONNECTION_BIND_REQUEST, "north", &good).code, 0);
	turn_tcp_relay_free(relay);
}
