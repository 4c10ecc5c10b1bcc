// SRTP and SRTCP: whatever arrives is refused by all engines alike, and what one protects all restore.
// The first byte chooses the profile, the second the rollover counter; the rest is the packet.
#include "dataplane/contract/wire/rtp.h"
#include "dataplane/srtp/srtp.h"
#include "tests/fuzz/fuzz.h"

#define ENGINES (DP_SRTP_ENGINE_COUNT - 1)

static struct dp_srtp *instances[ENGINES]; // so that nothing counts as lost
static struct dp_srtp_context *contexts[ENGINES][DP_SRTP_PROFILE_COUNT];

static void contexts_make(void)
{
	static const uint8_t master[46] = { 1, 2, 3, 5, 8 };

	for (uint32_t e = 0; e < ENGINES; e++) {
		// A CPU without ipsec-mb's instructions compares the others.
		if (dp_srtp_open((enum dp_srtp_engine)(e + 1), DP_SRTP_ISA_AUTO, &instances[e]) < 0)
			continue;
		for (uint32_t p = DP_SRTP_PROFILE_NONE + 1; p < DP_SRTP_PROFILE_COUNT; p++)
			dp_srtp_context_create(instances[e], p, master, master + 32,
					       &contexts[e][p]);
	}
}

// A copy with nothing readable behind it.
static uint8_t *copy_of(const uint8_t *data, size_t n, size_t room)
{
	uint8_t *copy = malloc(room);

	FUZZ_ASSERT(copy != NULL);
	memcpy(copy, data, n);
	return copy;
}

static uint8_t unprotect(struct dp_srtp_context *context, const uint8_t *data, size_t n,
			 uint64_t index, const uint8_t *expected, size_t n_expected)
{
	uint8_t *packet = copy_of(data, n, n);
	uint8_t *plain = malloc(n);
	struct dp_srtp_unprotect u = {
		.context = context,
		.packet = packet,
		.plain = plain,
		.index = index,
		.packet_bytes = (uint16_t)n,
	};

	FUZZ_ASSERT(plain != NULL);
	FUZZ_ASSERT(dp_srtp_unprotect_burst(&u, 1) == (u.status == DP_SRTP_OK));
	FUZZ_ASSERT(memcmp(packet, data, n) == 0);
	if (expected != NULL && u.status == DP_SRTP_OK)
		FUZZ_ASSERT(u.plain_bytes == n_expected &&
			    memcmp(plain, expected, n_expected) == 0);
	free(packet);
	free(plain);
	return u.status;
}

static void rtp(uint32_t profile, uint64_t roc, const uint8_t *data, size_t n)
{
	uint64_t index = roc << 16 | bytes_get_be16(data + 2);
	uint8_t first = DP_SRTP_STATUS_COUNT;
	uint8_t *reference = NULL;
	size_t n_reference = 0;
	struct rtp_view v;

	for (uint32_t e = 0; e < ENGINES; e++) {
		uint8_t status;

		if (contexts[e][profile] == NULL)
			continue;
		status = unprotect(contexts[e][profile], data, n, index, NULL, 0);
		FUZZ_ASSERT(first == DP_SRTP_STATUS_COUNT || status == first);
		first = status;
	}
	if (rtp_parse(data, n, &v) != 0)
		return;
	for (uint32_t e = 0; e < ENGINES; e++) {
		size_t room = n + DP_SRTP_RTP_GROWTH_MAX;
		uint8_t *packet;
		struct dp_srtp_protect p;

		if (contexts[e][profile] == NULL)
			continue;
		packet = copy_of(data, v.header_bytes, room);
		p = (struct dp_srtp_protect){
			.context = contexts[e][profile],
			.packet = packet,
			.payload = data + v.header_bytes,
			.index = index,
			.room_bytes = (uint32_t)room,
			.header_bytes = v.header_bytes,
			.payload_bytes = (uint16_t)(n - v.header_bytes),
		};
		FUZZ_ASSERT(dp_srtp_protect_burst(&p, 1) == 1);
		if (reference == NULL) {
			n_reference = p.protected_bytes;
			reference = packet;
		} else {
			FUZZ_ASSERT(p.protected_bytes == n_reference);
			FUZZ_ASSERT(memcmp(packet, reference, n_reference) == 0);
			free(packet);
		}
	}
	for (uint32_t e = 0; e < ENGINES && reference != NULL; e++) {
		if (contexts[e][profile] == NULL)
			continue;
		FUZZ_ASSERT(unprotect(contexts[e][profile], reference, n_reference, index, data,
				      n) == DP_SRTP_OK);
		FUZZ_ASSERT(unprotect(contexts[e][profile], reference, n_reference, index ^ 0x10000,
				      NULL, 0) == DP_SRTP_FORGED);
	}
	free(reference);
}

static void rtcp(uint32_t profile, const uint8_t *data, size_t n)
{
	for (uint32_t e = 0; e < ENGINES; e++) {
		struct dp_srtp_context *context = contexts[e][profile];
		size_t room = n + DP_SRTP_RTCP_GROWTH_MAX;
		uint8_t *packet;
		uint32_t n_out;

		if (context == NULL)
			continue;
		packet = copy_of(data, n, n);
		FUZZ_ASSERT(dp_srtcp_unprotect(context, packet, (uint32_t)n, packet, (uint32_t)n,
					       &n_out) != DP_SRTP_OK);
		FUZZ_ASSERT(n_out == 0);
		free(packet);
		packet = copy_of(data, n, room);
		if (dp_srtcp_protect(context, data, (uint32_t)n, data[1], data[1] & 1, packet,
				     (uint32_t)room, &n_out) == DP_SRTP_OK) {
			FUZZ_ASSERT(dp_srtcp_unprotect(context, packet, n_out, packet, n_out,
						       &n_out) == DP_SRTP_OK);
			FUZZ_ASSERT(n_out == n && memcmp(packet, data, n) == 0);
		}
		free(packet);
	}
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	static bool is_made;
	uint32_t profile;
	uint64_t roc;

	if (!is_made)
		contexts_make();
	is_made = true;
	if (n < 2 + 4 || n > 4096)
		return;
	profile = 1 + data[0] % (DP_SRTP_PROFILE_COUNT - 1);
	roc = data[1];
	if (rtp_is_rtcp(data + 2, n - 2))
		rtcp(profile, data + 2, n - 2);
	else
		rtp(profile, roc, data + 2, n - 2);
}
