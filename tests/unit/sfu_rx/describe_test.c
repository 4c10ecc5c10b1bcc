// Descriptions of a publisher's packets: key frames, frame boundaries and layers of each codec, header extensions by the ids
// that were agreed upon.
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/sfu/reception.h"
#include "tests/unit/wire/guarded.h"

#define KEY         DP_SFU_MEDIA_F_KEYFRAME
#define START       DP_SFU_MEDIA_F_FRAME_START
#define END         DP_SFU_MEDIA_F_MARKER
#define SWITCH_UP   DP_SFU_MEDIA_F_SWITCH_UP
#define DISCARDABLE DP_SFU_MEDIA_F_DISCARDABLE

static struct dp_sfu_stream stream;

// One packet of the stream, in the order in which they come.
struct step {
	const char *name;
	uint8_t payload[16];
	uint16_t payload_bytes;
	uint32_t timestamp;
	bool marker;
	uint8_t flags, spatial, temporal, descriptor_bytes;
};

static void describe_all(uint8_t codec, const struct step *steps, size_t n)
{
	stream = (struct dp_sfu_stream){ .codec = codec, .kind = SHM_SFU_VIDEO };
	for (size_t i = 0; i < n; i++) {
		const struct step *s = &steps[i];
		struct rtp_view rtp = { .timestamp = s->timestamp,
					.marker = s->marker,
					.header_bytes = 12,
					.payload = guarded_copy(s->payload, s->payload_bytes),
					.payload_bytes = s->payload_bytes };
		struct dp_sfu_media m = { .codec = 0xff };

		dp_sfu_describe_payload(&stream, NULL, &rtp, &m);
		cr_assert_eq(m.codec, codec, "%s", s->name);
		cr_assert_eq(m.flags, s->flags, "%s: 0x%02x, not 0x%02x", s->name, m.flags,
			     s->flags);
		cr_assert_eq(m.spatial, s->spatial, "%s", s->name);
		cr_assert_eq(m.temporal, s->temporal, "%s", s->name);
		cr_assert_eq(m.descriptor_bytes, s->descriptor_bytes, "%s", s->name);
	}
}

Test(sfu_describe, rfc7741_vp8)
{
	static const struct step steps[] = {
		{ "key frame",
		  { 0x90, 0xe0, 0x11, 0x22, 0x00, 0x10, 0, 0, 0x9d, 1, 0x2a },
		  11,
		  1000,
		  false,
		  KEY | START,
		  0,
		  0,
		  5 },
		{ "its second packet",
		  { 0x80, 0xe0, 0x11, 0x22, 0x00, 7 },
		  6,
		  1000,
		  true,
		  END,
		  0,
		  0,
		  5 },
		{ "layer 2, Y",
		  { 0x90, 0xe0, 0x12, 0x22, 0xa0, 0x11 },
		  6,
		  4000,
		  true,
		  START | END | SWITCH_UP,
		  0,
		  2,
		  5 },
		{ "layer 1, not a reference",
		  { 0xb0, 0xe0, 0x13, 0x22, 0x40, 0x11 },
		  6,
		  7000,
		  true,
		  START | END | DISCARDABLE,
		  0,
		  1,
		  5 },
		{ "a cut descriptor", { 0x90, 0xe0 }, 2, 9000, false, 0, 0, 0, 0 },
	};

	describe_all(SHM_SFU_VP8, steps, RTE_DIM(steps));
}

Test(sfu_describe, rfc9628_vp9)
{
	static const struct step steps[] = {
		{ "key picture", { 0x88, 0x05, 0xff }, 3, 1000, false, KEY | START, 0, 0, 2 },
		{ "its second packet", { 0x80, 0x05, 0xff }, 3, 1000, false, 0, 0, 0, 2 },
		{ "its upper layer",
		  { 0xa8, 0x05, 0x03, 0x07, 0xff },
		  5,
		  1000,
		  true,
		  KEY | START | END,
		  1,
		  0,
		  4 },
		{ "temporal layer 2, U",
		  { 0xe8, 0x06, 0x50, 0x07, 0xff },
		  5,
		  4000,
		  true,
		  START | END | SWITCH_UP,
		  0,
		  2,
		  4 },
		{ "upper layer of an inter picture",
		  { 0xe8, 0x07, 0x23, 0x07, 0xff },
		  5,
		  7000,
		  true,
		  START | END,
		  1,
		  1,
		  4 },
		{ "a cut descriptor", { 0x88 }, 1, 9000, false, 0, 0, 0, 0 },
	};

	describe_all(SHM_SFU_VP9, steps, RTE_DIM(steps));
}

// Of the packets of a key frame that may each begin one, only the first is marked.
Test(sfu_describe, rfc6184_h264)
{
	static const struct step steps[] = {
		{ "a slice before all", { 0x41, 1 }, 2, 1000, true, START | END, 0, 0, 0 },
		{ "SPS and PPS",
		  { 0x78, 0, 2, 0x67, 1, 0, 1, 0x68 },
		  8,
		  4000,
		  false,
		  KEY | START,
		  0,
		  0,
		  0 },
		{ "IDR, first fragment", { 0x7c, 0x85, 1 }, 3, 4000, false, 0, 0, 0, 0 },
		{ "IDR, last fragment", { 0x7c, 0x45, 1 }, 3, 4000, true, END, 0, 0, 0 },
		{ "slice, first fragment", { 0x7c, 0x81, 1 }, 3, 7000, false, START, 0, 0, 0 },
		{ "slice, last fragment", { 0x7c, 0x41, 1 }, 3, 7000, true, END, 0, 0, 0 },
		{ "SEI, then the IDR of one frame", { 0x06, 1 }, 2, 10000, false, START, 0, 0, 0 },
		{ "that IDR", { 0x65, 1 }, 2, 10000, true, KEY | START | END, 0, 0, 0 },
		{ "interleaved mode", { 0x79, 0, 0, 0, 1, 0x67 }, 6, 13000, false, START, 0, 0, 0 },
	};

	describe_all(SHM_SFU_H264, steps, RTE_DIM(steps));
}

// AV1 RTP payload format 1.0 §4.4: without a dependency descriptor the aggregation header tells sequences.
Test(sfu_describe, av1_aggregation_header)
{
	static const struct step steps[] = {
		{ "new sequence", { 0x18, 1 }, 2, 1000, false, KEY | START, 0, 0, 0 },
		{ "the rest of it", { 0x90, 1 }, 2, 1000, true, END, 0, 0, 0 },
		{ "next frame", { 0x10, 1 }, 2, 4000, true, START | END, 0, 0, 0 },
	};

	describe_all(SHM_SFU_AV1, steps, RTE_DIM(steps));
}

Test(sfu_describe, padding_alone_says_nothing_of_frames)
{
	static const struct step steps[] = {
		{ "padding", { 0 }, 0, 1000, false, 0, 0, 0, 0 },
		{ "the first slice", { 0x41, 1 }, 2, 1000, true, START | END, 0, 0, 0 },
	};

	describe_all(SHM_SFU_H264, steps, RTE_DIM(steps));
}

static struct dp_sfu_media describe_av1(const uint8_t *descriptor, size_t n, uint32_t timestamp)
{
	static uint8_t packet[AV1_DD_BYTES_MAX + 16];
	static const uint8_t payload[] = { 0x10, 1 };
	struct rtp_view rtp = { .timestamp = timestamp,
				.header_bytes = 12,
				.payload = payload,
				.payload_bytes = sizeof(payload) };
	struct dp_sfu_media m = { 0 };

	memcpy(packet + 14, descriptor, n);
	m.extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] = 14;
	m.extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] = (uint8_t)n;
	dp_sfu_describe_payload(&stream, packet, &rtp, &m);
	return m;
}

// AV1 RTP payload format 1.0, appendix A: L2T2 by hand, a decode target for each layer.
Test(sfu_describe, av1_dependency_descriptor)
{
	enum { NONE = 0, D = AV1_DTI_DISCARDABLE, S = AV1_DTI_SWITCH, R = AV1_DTI_REQUIRED };
#define DTIS(a, b, c, d) ((a) | (b) << 2 | (c) << 4 | (d) << 6)
	// Decode targets by rising layer: S0T0, S0T1, S1T0, S1T1.
	static const struct av1_dd_structure structure = {
		.n_templates = 5,
		.n_decode_targets = 4,
		.n_spatial_layers = 2,
		.templates = {
			{ .dtis = DTIS(S, S, S, S) },
			{ .dtis = DTIS(S, S, R, R), .n_fdiffs = 1, .fdiffs = { 4 } },
			{ .temporal_id = 1, .dtis = DTIS(NONE, D, NONE, R), .n_fdiffs = 1, .fdiffs = { 2 } },
			{ .spatial_id = 1, .dtis = DTIS(NONE, NONE, S, S), .n_fdiffs = 1, .fdiffs = { 1 } },
			{ .spatial_id = 1, .temporal_id = 1, .dtis = DTIS(NONE, NONE, NONE, D), .n_fdiffs = 1, .fdiffs = { 1 } },
		},
	};
	static const struct {
		const char *name;
		uint8_t template_id;
		uint32_t timestamp;
		uint8_t flags, spatial, temporal;
	} cases[] = {
		{ "upper layer of the key picture", 3, 1000, KEY | START | SWITCH_UP, 1, 0 },
		{ "lower layer, upper rate", 2, 4000, START, 0, 1 },
		{ "upper layer, upper rate", 4, 4000, START | DISCARDABLE, 1, 1 },
		{ "lower layer", 1, 7000, START | SWITCH_UP, 0, 0 },
		{ "upper layer of no key picture", 3, 7000, START | SWITCH_UP, 1, 0 },
	};
	struct av1_dd key = { .frame_start = true,
			      .frame_end = true,
			      .frame_number = 1,
			      .has_structure = true,
			      .active_decode_targets = 15,
			      .dtis = structure.templates[0].dtis };
	uint8_t descriptor[AV1_DD_BYTES_MAX];
	struct dp_sfu_media m;
	int n = av1_dd_build(descriptor, sizeof(descriptor), &key, &structure);

	cr_assert_gt(n, 3);
	stream = (struct dp_sfu_stream){ .codec = SHM_SFU_AV1, .kind = SHM_SFU_VIDEO };
	// Of a structure that never came nothing is known: the frame is one of the lowest layer.
	m = describe_av1((const uint8_t[]){ 0xc4, 0, 9 }, 3, 500);
	cr_assert(m.flags == START && m.spatial == 0 && m.temporal == 0);
	m = describe_av1(descriptor, (size_t)n, 1000);
	cr_assert_eq(m.flags, KEY | START | SWITCH_UP, "0x%02x", m.flags);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		const uint8_t bytes[] = { (uint8_t)(0xc0 | cases[i].template_id), 0,
					  (uint8_t)(i + 2) };

		m = describe_av1(bytes, sizeof(bytes), cases[i].timestamp);
		cr_assert_eq(m.flags, cases[i].flags, "%s: 0x%02x", cases[i].name, m.flags);
		cr_assert_eq(m.spatial, cases[i].spatial, "%s", cases[i].name);
		cr_assert_eq(m.temporal, cases[i].temporal, "%s", cases[i].name);
	}
	// The second packet of a frame begins none.
	m = describe_av1((const uint8_t[]){ 0x41, 0, 9 }, 3, 9000);
	cr_assert_not(m.flags & (START | KEY));
}

Test(sfu_describe, rfc8285_extensions_by_their_ids)
{
	// Ids 1: audio level 0x85 (voice, -5 dBov); 2: nothing agreed; 3: transport-wide number; 4: mid.
	static const uint8_t packet[] = { 0x90, 111,  0,    1,    0,   0, 0,    1,    0,    0,
					  0,    9,    0xbe, 0xde, 0,   3, 0x10, 0x85, 0x20, 7,
					  0x31, 0x12, 0x34, 0x40, 'a', 0, 0,    0,    0xff };
	struct dp_sfu_client *c = calloc(1, sizeof(*c));
	struct dp_sfu_media m = { .flags = 0xff };
	struct rtp_view rtp;

	c->extension_of[1] = SHM_SFU_EXT_AUDIO_LEVEL + 1;
	c->extension_of[3] = SHM_SFU_EXT_TWCC + 1;
	c->extension_of[4] = SHM_SFU_EXT_MID + 1;
	cr_assert_eq(rtp_parse(packet, sizeof(packet), &rtp), 0);
	cr_assert_eq(dp_sfu_describe_extensions(c, packet, &rtp, &m), 0x1234);
	cr_assert_eq(m.flags, DP_SFU_MEDIA_F_VOICE);
	cr_assert_eq(m.audio_minus_dbov, 5);
	cr_assert(m.extension_offset[SHM_SFU_EXT_MID] == 24 &&
		  m.extension_bytes[SHM_SFU_EXT_MID] == 1);
	cr_assert_eq(m.extension_offset[SHM_SFU_EXT_RID], 0);
	// Other ids for the same: nothing is told by habit.
	memset(c->extension_of, 0, sizeof(c->extension_of));
	cr_assert_eq(dp_sfu_describe_extensions(c, packet, &rtp, &m), -1);
	cr_assert(m.flags == 0 && m.audio_minus_dbov == 127);
	free(c);
}
