// The dependency descriptor toward watchers (AV1 RTP payload format 1.0, appendix A): numbers over a switch, decode targets under a cut.
#include <criterion/criterion.h>

#include "tests/burst/sfu_tx/client.h"

#define VIDEO 2
#define KEY   (DP_SFU_MEDIA_F_KEYFRAME | DP_SFU_MEDIA_F_FRAME_START)
#define START DP_SFU_MEDIA_F_FRAME_START
#define END   DP_SFU_MEDIA_F_MARKER

static struct client_packet got;

static void start(void)
{
	rig_init(&(struct rig_options){ .n_transports = 64,
					.n_tracks = 16,
					.n_subscriptions = 64,
					.retransmit_ms = 1000,
					.media_mbufs = 2048 });
	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_AV1, 1);
	rig_transport(2, DP_SRTP_AEAD_AES_128_GCM);
	client_open(2, 1);
	rig_subscription(2, 2, VIDEO);
}

TestSuite(sfu_dependency, .init = start, .fini = rig_fini);

Test(sfu_dependency, dependency_descriptor_is_renumbered_on_a_switch)
{
	uint8_t first[] = { 0xc0, 0x01, 0x00 };
	uint8_t second[] = { 0xc0, 0x50, 0x00 };
	struct rig_packet p = { .track_idx = VIDEO,
				.sequence = 1,
				.flags = KEY | END,
				.payload = (const uint8_t *)"\x0a"
							    "bits",
				.payload_bytes = 5,
				.dependency = first,
				.dependency_bytes = 3 };
	const uint8_t *value;
	uint8_t n;

	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_AV1, 2);
	rig_list(VIDEO, (uint32_t[]){ 2 }, 1);
	rig.subscription[2].payload_type[SHM_SFU_AV1] = 100;
	rig.subscription[2].target = 0xff00;
	rig_forward(&p);
	rig.subscription[2].target = 0xff01;
	rig.w->now_ns += 33000000;
	p.layer = 1;
	p.sequence = 77;
	p.dependency = second;
	rig_forward(&p);
	client_read(0, &got);
	value = client_extension(&got, 12, &n);
	cr_assert_eq(n, 3);
	cr_assert_eq(bytes_get_be16(value + 1), 0x100);
	client_read(1, &got);
	value = client_extension(&got, 12, &n);
	cr_assert_eq(bytes_get_be16(value + 1), 0x101);
}

// AV1 RTP payload format 1.0 appendix A.8.2: with the structure, and when the cut changes.
Test(sfu_dependency, decode_targets_of_a_watcher_whose_layers_are_cut)
{
	// L1T2: target 0 has both temporal layers, target 1 the lower one.
	struct av1_dd_structure structure = {
		.n_templates = 3,
		.n_decode_targets = 2,
		.n_spatial_layers = 1,
		.templates = { { .dtis = AV1_DTI_SWITCH | AV1_DTI_SWITCH << 2 },
			       { .dtis = AV1_DTI_SWITCH | AV1_DTI_SWITCH << 2,
				 .n_fdiffs = 1,
				 .fdiffs = { 2 } },
			       { .dtis = AV1_DTI_DISCARDABLE,
				 .temporal_id = 1,
				 .n_fdiffs = 1,
				 .fdiffs = { 1 } } },
	};
	struct av1_dd dd = { .frame_start = true,
			     .frame_end = true,
			     .frame_number = 20,
			     .has_structure = true,
			     .active_decode_targets = 3,
			     .dtis = structure.templates[0].dtis };
	uint8_t descriptor[AV1_DD_BYTES_MAX];
	struct rig_packet p = { .track_idx = VIDEO,
				.sequence = 1,
				.flags = KEY | END,
				.payload = (const uint8_t *)"\x0a"
							    "bits",
				.payload_bytes = 5,
				.dependency = descriptor };
	struct av1_dd_structure attached;
	const uint8_t *value;
	uint8_t n;

	rig_track(VIDEO, SHM_SFU_VIDEO, SHM_SFU_AV1, 1);
	rig_list(VIDEO, (uint32_t[]){ 2 }, 1);
	rig.subscription[2].payload_type[SHM_SFU_AV1] = 100;
	rig.subscription[2].target = 0x00ff; // the lower temporal layer
	p.dependency_bytes = (uint8_t)av1_dd_build(descriptor, sizeof(descriptor), &dd, &structure);
	rig_forward(&p);
	client_read(0, &got);
	value = client_extension(&got, 12, &n);
	cr_assert_eq(av1_dd_parse(value, n, NULL, &attached, &dd), 0);
	cr_assert(dd.has_structure);
	cr_assert(dd.has_active_decode_targets);
	cr_assert_eq(dd.active_decode_targets, 2);
	cr_assert_eq(dd.frame_number, 20);
	// All layers again: told with the next frame, without a structure.
	rig.subscription[2].target = 0xffff;
	descriptor[0] = 0xc0 | 1;
	bytes_put_be16(descriptor + 1, 22);
	p.dependency_bytes = 3;
	p.sequence = 2;
	p.flags = START | END;
	rig_forward(&p);
	client_read(1, &got);
	value = client_extension(&got, 12, &n);
	cr_assert_eq(av1_dd_parse(value, n, &structure, &attached, &dd), 0);
	cr_assert_not(dd.has_structure);
	cr_assert(dd.has_active_decode_targets);
	cr_assert_eq(dd.active_decode_targets, 3);
	cr_assert_eq(dd.frame_number, 22);
	p.sequence = 3;
	rig_forward(&p);
	client_read(2, &got);
	cr_assert_not_null(client_extension(&got, 12, &n));
	cr_assert_eq(n, 3, "once");
}
