// Nanoseconds per packet of every SRTP engine and profile, raw ipsec-mb beside them in the same rounds.
// srtp [--quick] [--json FILE]
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/micro/measure.h"
#include "bench/srtp/raw.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/srtp/srtp.h"

#define KEYS_MAX     1000
#define BENCHES_MAX  160
#define HEADER_BYTES 12
#define ROOM_BYTES   1536

static uint8_t plaintext[1400];
static uint8_t room[RAW_BURST][ROOM_BYTES] __attribute__((aligned(64)));
static uint8_t *destination[RAW_BURST];
static uint8_t back[RAW_BURST][ROOM_BYTES] __attribute__((aligned(64)));

struct engine_keys {
	struct dp_srtp *srtp;
	struct dp_srtp_context *context[KEYS_MAX];
};

struct subject {
	struct engine_keys *keys;
	struct raw *raw;
	struct dp_srtp_unprotect received[RAW_BURST];
	uint8_t packets[RAW_BURST][ROOM_BYTES];
	uint64_t index;
	uint32_t n_keys;
	uint32_t next;
	uint32_t payload_bytes;
};

static struct measure benches[BENCHES_MAX];
static uint32_t n_benches;

static struct dp_srtp_context *next_key(struct subject *s)
{
	struct dp_srtp_context *context = s->keys->context[s->next];

	s->next = s->next + 1 == s->n_keys ? 0 : s->next + 1;
	return context;
}

static void header_write(uint8_t *packet, uint64_t index)
{
	memset(packet, 0, HEADER_BYTES);
	packet[0] = 0x80;
	bytes_put_be16(packet + 2, (uint16_t)index);
	bytes_put_be32(packet + 8, 0x12345678);
}

static uint32_t bench_raw(void *arg)
{
	struct subject *s = arg;

	raw_burst(s->raw, plaintext, destination, s->payload_bytes);
	return RAW_BURST;
}

// As in a fan-out: one plaintext, one destination and key per subscriber.
static uint32_t bench_protect(void *arg)
{
	struct dp_srtp_protect p[RAW_BURST];
	struct subject *s = arg;

	for (uint32_t i = 0; i < RAW_BURST; i++) {
		s->index++;
		header_write(room[i], s->index);
		p[i] = (struct dp_srtp_protect){
			.context = next_key(s),
			.packet = room[i],
			.payload = plaintext,
			.index = s->index,
			.room_bytes = ROOM_BYTES,
			.header_bytes = HEADER_BYTES,
			.payload_bytes = (uint16_t)s->payload_bytes,
		};
	}
	if (dp_srtp_protect_burst(p, RAW_BURST) != RAW_BURST)
		abort(); // the bench's own packets
	return RAW_BURST;
}

static uint32_t bench_unprotect(void *arg)
{
	struct subject *s = arg;

	if (dp_srtp_unprotect_burst(s->received, RAW_BURST) != RAW_BURST)
		abort(); // the bench's own packets
	return RAW_BURST;
}

static struct subject *add(const char *who, const char *verb, uint32_t profile, uint32_t bytes,
			   uint32_t n_keys, uint32_t (*fn)(void *))
{
	struct subject *s = calloc(1, sizeof(*s));
	char *name;

	if (s == NULL || n_benches == BENCHES_MAX ||
	    asprintf(&name, "%s %s %s %u B %u key%s", who, verb,
		     dp_srtp_profile_info(profile)->name, bytes, n_keys, n_keys > 1 ? "s" : "") < 0)
		abort(); // nothing to measure with
	s->payload_bytes = bytes;
	s->n_keys = n_keys;
	benches[n_benches++] = (struct measure){ .name = name, .fn = fn, .arg = s };
	return s;
}

// What comes in: packets of one publisher after the other, decrypted out of place.
static void received_make(struct subject *s)
{
	for (uint32_t i = 0; i < RAW_BURST; i++) {
		struct dp_srtp_protect p = {
			.context = next_key(s),
			.packet = s->packets[i],
			.payload = plaintext,
			.index = i,
			.room_bytes = ROOM_BYTES,
			.header_bytes = HEADER_BYTES,
			.payload_bytes = (uint16_t)s->payload_bytes,
		};

		header_write(s->packets[i], i);
		dp_srtp_protect_burst(&p, 1);
		s->received[i] = (struct dp_srtp_unprotect){
			.context = p.context,
			.packet = s->packets[i],
			.plain = back[i],
			.index = i,
			.packet_bytes = p.protected_bytes,
		};
	}
}

// NULL if this machine lacks the engine, or the engine the profile.
static struct engine_keys *engine_keys_new(enum dp_srtp_engine engine, uint32_t profile)
{
	struct engine_keys *keys = calloc(1, sizeof(*keys));
	uint8_t master[46];

	if (keys == NULL)
		abort(); // nothing to measure with
	if (dp_srtp_open(engine, DP_SRTP_ISA_AUTO, &keys->srtp) < 0)
		return NULL;
	for (uint32_t i = 0; i < KEYS_MAX; i++) {
		for (uint32_t k = 0; k < sizeof(master); k++)
			master[k] = (uint8_t)random();
		if (dp_srtp_context_create(keys->srtp, profile, master, master + 32,
					   &keys->context[i]) < 0)
			return NULL;
	}
	return keys;
}

static void benches_make(bool is_quick)
{
	static const uint32_t profiles[] = { DP_SRTP_AEAD_AES_128_GCM, DP_SRTP_AEAD_AES_256_GCM,
					     DP_SRTP_AES_CM_128_HMAC_SHA1_80 };
	static const uint32_t sizes[] = { 160, 200, 1200 };

	for (uint32_t p = 0; p < 3; p++) {
		struct engine_keys *keys[DP_SRTP_ENGINE_COUNT] = { 0 };

		for (uint32_t e = DP_SRTP_ENGINE_IPSEC_MB; e < DP_SRTP_ENGINE_COUNT; e++)
			keys[e] = engine_keys_new((enum dp_srtp_engine)e, profiles[p]);
		for (uint32_t i = 0; i < 6; i++) {
			uint32_t bytes = sizes[i % 3];
			uint32_t n_keys = i < 3 ? 1 : KEYS_MAX;

			if (keys[DP_SRTP_ENGINE_IPSEC_MB] != NULL)
				add("raw-ipsec-mb", "protect", profiles[p], bytes, n_keys,
				    bench_raw)
					->raw = raw_open(profiles[p], n_keys);
			for (uint32_t e = DP_SRTP_ENGINE_IPSEC_MB; e < DP_SRTP_ENGINE_COUNT; e++) {
				const char *name;
				struct subject *s;

				if (keys[e] == NULL ||
				    (is_quick && e == DP_SRTP_ENGINE_LIBSRTP && n_keys > 1))
					continue;
				name = dp_srtp_engine_for(keys[e]->srtp, profiles[p]);
				add(name, "protect", profiles[p], bytes, n_keys, bench_protect)
					->keys = keys[e];
				// libsrtp refuses by itself what it has seen, so it cannot repeat itself.
				if (e == DP_SRTP_ENGINE_LIBSRTP)
					continue;
				s = add(name, "unprotect", profiles[p], bytes, n_keys,
					bench_unprotect);
				s->keys = keys[e];
				received_make(s);
			}
		}
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	const char *json = NULL;
	bool is_quick = false;
	int has_counters;
	uint32_t n_rounds;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'j')
			json = optarg;
		else if (opt == 'q')
			is_quick = true;
		else
			return 2;
	}
	for (uint32_t i = 0; i < RAW_BURST; i++) {
		destination[i] = room[i];
		header_write(room[i], i);
	}
	benches_make(is_quick);
	n_rounds = is_quick ? 5 : 15;
	has_counters = measure_run(benches, n_benches, n_rounds, is_quick ? 4 : 20);
	return measure_report(benches, n_benches, n_rounds, has_counters, json) < 0 ? 1 : 0;
}
