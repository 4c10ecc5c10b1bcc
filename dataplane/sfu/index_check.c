// The witness against indices used twice. Worker thread; writes only its own memory.
#include "dataplane/sfu/index_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/contract/wire/bytes.h"

struct seen {
	const void *key;
	uint64_t index;
	uint64_t digest;
	uint32_t ssrc;
	uint32_t is_set;
};

struct dp_sfu_index_check {
	uint64_t n_checked;
	uint32_t mask;
	struct seen seen[];
};

struct dp_sfu_index_check *dp_sfu_index_check_create(uint32_t n_log2)
{
	uint32_t n = UINT32_C(1) << n_log2;
	struct dp_sfu_index_check *c = calloc(1, sizeof(*c) + n * sizeof(c->seen[0]));

	if (c != NULL)
		c->mask = n - 1;
	return c;
}

void dp_sfu_index_check_destroy(struct dp_sfu_index_check *c)
{
	free(c);
}

// FNV-1a: an accident is to be found, no attacker.
static uint64_t digest_of(const uint8_t *p, uint32_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

void dp_sfu_index_check(struct dp_sfu_index_check *c, const void *key, const uint8_t *packet,
			uint32_t packet_bytes, uint64_t index)
{
	uint32_t ssrc = bytes_get_be32(packet + 8);
	uint64_t mixed = (ssrc + ((uint64_t)(uintptr_t)key << 8)) * UINT64_C(0x9e3779b97f4a7c15);
	struct seen *s = &c->seen[((mixed >> 32) + index) & c->mask];
	uint64_t digest = digest_of(packet, packet_bytes);

	c->n_checked++;
	if (s->is_set && s->key == key && s->ssrc == ssrc && s->index == index &&
	    s->digest != digest) {
		fprintf(stderr, "SRTP index %" PRIu64 " of SSRC %08" PRIx32 " used twice\n", index,
			ssrc);
		abort();
	}
	*s = (struct seen){
		.key = key, .index = index, .digest = digest, .ssrc = ssrc, .is_set = 1
	};
}

uint64_t dp_sfu_index_check_count(const struct dp_sfu_index_check *c)
{
	return c->n_checked;
}
