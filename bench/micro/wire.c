// Micro benches of contract/wire: what a packet or a request costs before anything is looked up. wire [--quick] [--json FILE]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "bench/blast/datagram.h"
#include "bench/blast/flow_plan.h"
#include "bench/micro/measure.h"
#include "dataplane/contract/wire/challenge.h"
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/contract/wire/peer_policy.h"
#include "dataplane/contract/wire/turn.h"

#define UNROLLED 32 // per call, so that the call itself does not count

struct subject {
	uint8_t bytes[2048];
	uint32_t n_bytes;
	struct ip_endpoint peer;
	uint8_t secret[CHALLENGE_SECRET_BYTES];
	char nonce[CHALLENGE_NONCE_CHARS];
	EVP_MAC_CTX *mac;
};

static uint32_t bench_checksum(void *arg)
{
	struct subject *s = arg;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use(checksum_add(i, s->bytes, s->n_bytes));
	return UNROLLED;
}

static uint32_t bench_checksum_update(void *arg)
{
	struct subject *s = arg;
	uint16_t field = 0x1234;

	for (uint32_t i = 0; i < UNROLLED; i++)
		field = checksum_update(field, s->n_bytes + i, s->n_bytes * 3);
	measure_use(field);
	return UNROLLED;
}

static uint32_t bench_parse(void *arg)
{
	struct subject *s = arg;
	struct ip_udp_view view;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use((uint64_t)ip_udp_parse(s->bytes, s->n_bytes, &view) +
			    view.payload_offset);
	return UNROLLED;
}

static uint32_t bench_send_parse(void *arg)
{
	struct subject *s = arg;
	struct turn_send send;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use((uint64_t)turn_send_parse(s->bytes, s->n_bytes, &send) +
			    send.data_bytes);
	return UNROLLED;
}

static uint32_t bench_data_prefix(void *arg)
{
	static const uint8_t transaction_id[12];
	struct subject *s = arg;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use(turn_data_prefix_write(s->bytes, &s->peer, 200, transaction_id));
	return UNROLLED;
}

static uint32_t bench_stun_parse(void *arg)
{
	struct subject *s = arg;
	struct stun_view m;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use((uint64_t)stun_parse(s->bytes, s->n_bytes, &m) + m.type);
	return UNROLLED;
}

static uint32_t bench_stun_hmac(void *arg)
{
	struct subject *s = arg;

	for (uint32_t i = 0; i < UNROLLED; i++) {
		struct stun_attr a;
		struct stun_view m;
		uint8_t head[STUN_HEADER_BYTES];
		uint8_t tag[20];
		size_t n;

		if (stun_parse(s->bytes, s->n_bytes, &m) != STUN_OK ||
		    !stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a))
			abort(); // the bench's own message
		memcpy(head, m.msg, sizeof(head));
		bytes_put_be16(head + 2, (uint16_t)(a.offset_bytes + 24 - STUN_HEADER_BYTES));
		EVP_MAC_init(s->mac, NULL, 0, NULL);
		EVP_MAC_update(s->mac, head, sizeof(head));
		EVP_MAC_update(s->mac, m.msg + STUN_HEADER_BYTES,
			       a.offset_bytes - STUN_HEADER_BYTES);
		EVP_MAC_final(s->mac, tag, &n, sizeof(tag));
		measure_use((uint64_t)memcmp(tag, a.value, sizeof(tag)));
	}
	return UNROLLED;
}

static uint32_t bench_nonce_check(void *arg)
{
	struct subject *s = arg;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use(challenge_nonce_check(s->secret, 1000 * CHALLENGE_BUCKET_NS, &s->peer,
						  0, s->nonce, sizeof(s->nonce)));
	return UNROLLED;
}

static uint32_t bench_challenge(void *arg)
{
	struct subject *s = arg;
	struct stun_view m;
	const struct challenge_offer offer = { .realm = "bench.turnpike", .realm_bytes = 14 };
	uint8_t answer[256];

	for (uint32_t i = 0; i < UNROLLED; i++) {
		if (stun_parse(s->bytes, s->n_bytes, &m) != STUN_OK)
			abort(); // the bench's own message
		measure_use(challenge_build(&m, 401, s->secret, 1000 * CHALLENGE_BUCKET_NS,
					    &s->peer, &offer, CHALLENGE_UNLIMITED, answer,
					    sizeof(answer)));
	}
	return UNROLLED;
}

static uint32_t bench_peer_policy(void *arg)
{
	static const struct peer_rule rules[2] = {
		{ .prefix = { .address = { { [10] = 0xff, [11] = 0xff, 198, 18 } },
			      .length_bits = 111 },
		  .action = PEER_ACTION_ALLOW },
		{ .prefix = { .address = { { 0xfd, 0, 0, 0x18 } }, .length_bits = 32 },
		  .action = PEER_ACTION_ALLOW },
	};
	static const struct peer_local locals[2] = {
		{ .address = { { [10] = 0xff, [11] = 0xff, 198, 18, 0, 2 } } },
		{ .address = { { [10] = 0xff, [11] = 0xff, 198, 18, 1, 1 } }, .is_inside = true },
	};
	const struct peer_policy p = { rules, 2, locals, 2, 0 };
	struct subject *s = arg;

	for (uint32_t i = 0; i < UNROLLED; i++)
		measure_use(peer_policy_check(&p, &s->peer.address, NULL));
	return UNROLLED;
}

static struct subject *subject_new(uint32_t n_bytes)
{
	struct subject *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);

	if (s == NULL)
		abort(); // nothing to measure with
	memset(s, 0x5a, sizeof(*s));
	s->n_bytes = n_bytes;
	s->mac = NULL;
	ip_endpoint_parse("198.18.128.7:30000", &s->peer);
	return s;
}

static struct subject *subject_frame(const char *family, uint16_t data_bytes)
{
	static const struct frame_macs macs;
	struct subject *s = subject_new(0);
	struct flow_plan plan = { .n_flows = 1 };
	struct flow_addresses a;
	uint8_t data[1400] = { 0x40, 0 };

	flow_plan_family_parse(family, &plan);
	flow_plan_addresses(&plan, 0, &a);
	s->n_bytes = datagram_write(s->bytes, &macs, &a.client, &a.listener, data, data_bytes);
	return s;
}

static struct subject *subject_send(uint16_t data_bytes)
{
	static const uint8_t transaction_id[12];
	struct subject *s = subject_new(0);
	uint16_t n = turn_data_prefix_write(s->bytes, &s->peer, data_bytes, transaction_id);

	bytes_put_be16(s->bytes, TURN_SEND_INDICATION);
	s->n_bytes = (uint32_t)n + data_bytes;
	return s;
}

static struct subject *subject_request(void)
{
	static const uint8_t transaction_id[12] = { 1, 2, 3 };
	OSSL_PARAM params[2] = { OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA1", 0),
				 OSSL_PARAM_construct_end() };
	struct subject *s = subject_new(0);
	struct stun_builder b;
	size_t covered;

	challenge_nonce_write(s->secret, 1000 * CHALLENGE_BUCKET_NS, &s->peer, 0, s->nonce);
	s->mac = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL));
	EVP_MAC_init(s->mac, s->secret, sizeof(s->secret), params);
	stun_build_begin(&b, s->bytes, sizeof(s->bytes), TURN_CHANNEL_BIND_REQUEST, transaction_id);
	stun_build_u32(&b, TURN_ATTR_CHANNEL_NUMBER, 0x40000000);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &s->peer);
	stun_build_attr(&b, STUN_ATTR_USERNAME, "bench", 5);
	stun_build_attr(&b, STUN_ATTR_REALM, "bench.turnpike", 14);
	stun_build_attr(&b, STUN_ATTR_NONCE, s->nonce, sizeof(s->nonce));
	stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
	s->n_bytes = (uint32_t)stun_build_end(&b);
	return s;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	struct subject *request = subject_request();
	struct measure m[] = {
		{ .name = "checksum, 64 bytes", .fn = bench_checksum, .arg = subject_new(64) },
		{ .name = "checksum, 200 bytes", .fn = bench_checksum, .arg = subject_new(200) },
		{ .name = "checksum, 1200 bytes", .fn = bench_checksum, .arg = subject_new(1200) },
		{ .name = "checksum update", .fn = bench_checksum_update, .arg = subject_new(77) },
		{ .name = "parse IPv4 and UDP",
		  .fn = bench_parse,
		  .arg = subject_frame("v4", 158) },
		{ .name = "parse IPv6 and UDP",
		  .fn = bench_parse,
		  .arg = subject_frame("v6", 158) },
		{ .name = "parse a Send indication",
		  .fn = bench_send_parse,
		  .arg = subject_send(160) },
		{ .name = "write a Data indication's prefix",
		  .fn = bench_data_prefix,
		  .arg = subject_new(0) },
		{ .name = "parse a ChannelBind request", .fn = bench_stun_parse, .arg = request },
		{ .name = "the same with MESSAGE-INTEGRITY",
		  .fn = bench_stun_hmac,
		  .arg = request },
		{ .name = "check a nonce", .fn = bench_nonce_check, .arg = request },
		{ .name = "answer 401 with a nonce", .fn = bench_challenge, .arg = request },
		{ .name = "judge a peer's address", .fn = bench_peer_policy, .arg = request },
	};
	uint32_t n = sizeof(m) / sizeof(m[0]);
	const char *json = NULL;
	uint32_t n_rounds = 15;
	uint32_t round_ms = 20;
	int has_counters;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'j') {
			json = optarg;
		} else if (opt == 'q') {
			n_rounds = 5;
			round_ms = 5;
		} else {
			return 2;
		}
	}
	has_counters = measure_run(m, n, n_rounds, round_ms);
	return measure_report(m, n, n_rounds, has_counters, json) < 0 ? 1 : 0;
}
