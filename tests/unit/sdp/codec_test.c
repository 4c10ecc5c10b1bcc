// Codecs that are kept: RFC 4588 (RTX), 6184 (H264), and feedback with its extension.
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(rfc4588, .init = sdp_rig_start);
TestSuite(rfc6184, .init = sdp_rig_start);
TestSuite(codecs, .init = sdp_rig_start);

Test(rfc4588, rtx_goes_with_the_payload_type_of_its_apt)
{
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].codecs[0].rtx->pt, 97);
	cr_assert_not_null(strstr(sdp_rig_answer, "SAVPF 96 97\r\n"));
	cr_assert_not_null(strstr(sdp_rig_answer, "a=fmtp:97 apt=96\r\n"));
}

Test(rfc4588, rtx_without_apt_is_refused)
{
	sdp_rig_edit("a=fmtp:97 apt=96\r\n", "");
	sdp_rig_expect_refused("a=rtpmap:97", "rtx without apt");
	sdp_rig_start();
	sdp_rig_edit("a=fmtp:97 apt=96", "a=fmtp:97 apt=x");
	sdp_rig_expect_refused("a=fmtp:97", "apt is not");
}

Test(rfc4588, apt_of_a_payload_type_that_is_not_there_is_refused)
{
	sdp_rig_edit("apt=96", "apt=98");
	sdp_rig_expect_refused("a=fmtp:97", "apt names payload type 98");
}

Test(rfc4588, rtx_goes_when_its_codec_goes)
{
	sdp_rig_edit("SAVPF 96 97", "SAVPF 96 97 100");
	sdp_rig_edit("a=rtpmap:97", "a=rtpmap:100 VP9/90000\r\na=rtpmap:97");
	sdp_rig_edit("apt=96", "apt=100");
	sdp_rig_accept();
	cr_assert_not_null(strstr(sdp_rig_answer, "SAVPF 96 100 97\r\n"));
	sdp_rig_policy.codecs[2].profile = 2; // VP9 of profile 0 is not configured
	sdp_rig_accept();
	cr_assert_not_null(strstr(sdp_rig_answer, "SAVPF 96\r\n"));
	cr_assert_null(strstr(sdp_rig_answer, "rtx"));
}

Test(rfc4588, rtx_can_be_switched_off)
{
	sdp_rig_policy.has_rtx = false;
	sdp_rig_accept();
	cr_assert_null(sdp_rig_kept.media[1].codecs[0].rtx);
	cr_assert_null(strstr(sdp_rig_answer, "rtx"));
}

static struct sdp_format h264(const char *fmtp)
{
	const struct sdp_codec c = {
		.name = { "h264", 4 },
		.fmtp = { fmtp, (uint32_t)strlen(fmtp) },
		.clock_rate = 90000,
		.channels = 1,
		.fmtp_line = 1,
	};
	struct sdp_format f;

	cr_assert_eq(sdp_codec_format(&c, SDP_KIND_VIDEO, &f, &sdp_rig_error), 0);
	cr_assert_eq(f.kind, SDP_CODEC_H264);
	return f;
}

// Table 5.
Test(rfc6184, profiles_are_told_by_idc_and_iop_together)
{
	static const struct {
		const char *fmtp;
		enum sdp_h264_profile profile;
	} cases[] = {
		{ "profile-level-id=42e01f", SDP_H264_CONSTRAINED_BASELINE },
		{ "profile-level-id=42C02A", SDP_H264_CONSTRAINED_BASELINE },
		{ "profile-level-id=4d801f", SDP_H264_CONSTRAINED_BASELINE },
		{ "profile-level-id=58f01f", SDP_H264_CONSTRAINED_BASELINE },
		{ "profile-level-id=42001f", SDP_H264_BASELINE },
		{ "profile-level-id=58a01f", SDP_H264_BASELINE },
		{ "profile-level-id=4d001f", SDP_H264_MAIN },
		{ "profile-level-id=64001f", SDP_H264_HIGH },
		{ "profile-level-id=640c1f", SDP_H264_CONSTRAINED_HIGH },
		{ "profile-level-id=f4001f", SDP_H264_OTHER },
		{ "packetization-mode=1", SDP_H264_BASELINE }, // §8.1: without it, 42000a
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(h264(cases[i].fmtp).profile, cases[i].profile, "%s", cases[i].fmtp);
	cr_assert_eq(h264("packetization-mode=1; profile-level-id=42e01f").profile,
		     SDP_H264_CONSTRAINED_BASELINE);
	cr_assert_eq(h264("packetization-mode=1").packetization_mode, 1);
	cr_assert_eq(h264("profile-level-id=42e01f").packetization_mode, 0);
}

Test(rfc6184, profile_and_packetization_mode_must_both_be_configured)
{
	sdp_rig_edit("VP8/90000", "H264/90000\r\na=fmtp:96 profile-level-id=42e01f;"
				  "packetization-mode=1");
	sdp_rig_policy.codecs[0] =
		(struct sdp_policy_codec){ SDP_CODEC_H264, SDP_H264_CONSTRAINED_BASELINE, 0 };
	sdp_rig_policy.codecs[1] = (struct sdp_policy_codec){ SDP_CODEC_OPUS, SDP_ANY, SDP_ANY };
	sdp_rig_policy.n_codecs = 2;
	sdp_rig_expect_refused("m=video", "no codec that is configured");
	sdp_rig_policy.codecs[0].packetization_mode = 1;
	sdp_rig_accept();
	sdp_rig_policy.codecs[0].profile = SDP_H264_MAIN;
	sdp_rig_expect_refused("m=video", "no codec that is configured");
}

Test(rfc6184, a_malformed_profile_level_id_is_refused)
{
	sdp_rig_edit("VP8/90000", "H264/90000\r\na=fmtp:96 profile-level-id=42e0");
	sdp_rig_expect_refused("a=fmtp:96", "six hexadecimal digits");
}

Test(codecs, a_codec_counts_only_with_its_clock_rate_and_channels)
{
	sdp_rig_edit("opus/48000/2", "opus/48000");
	sdp_rig_expect_refused("m=audio", "no codec that is configured");
	sdp_rig_start();
	sdp_rig_edit("VP8/90000", "VP8/45000");
	sdp_rig_expect_refused("m=video", "no codec that is configured");
}

Test(codecs, names_are_told_without_case)
{
	sdp_rig_edit("opus/48000/2", "OPUS/48000/2");
	sdp_rig_edit("VP8/90000", "vp8/90000");
	sdp_rig_accept();
}

Test(codecs, transport_wide_feedback_needs_extmap_and_rtcp_fb_in_the_section)
{
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].codecs[0].feedback, SDP_FB_NACK | SDP_FB_TWCC);
	cr_assert_eq(sdp_kept_extension_id(&sdp_rig_kept.media[1], SDP_EXT_TWCC), 3);

	sdp_rig_edit("a=rtcp-fb:96 transport-cc\r\n", "");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].codecs[0].feedback, SDP_FB_NACK | SDP_FB_REMB);
	cr_assert_eq(sdp_kept_extension_id(&sdp_rig_kept.media[1], SDP_EXT_TWCC), 0);

	sdp_rig_start();
	sdp_rig_edit("a=extmap:3 http", "a=extmap:3 urn:http");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].codecs[0].feedback, SDP_FB_NACK | SDP_FB_REMB);
}

Test(codecs, feedback_for_all_is_for_each)
{
	sdp_rig_edit("a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir\r\n");
	sdp_rig_accept();
	cr_assert_eq(sdp_rig_kept.media[1].codecs[0].feedback,
		     SDP_FB_PLI | SDP_FB_FIR | SDP_FB_TWCC);
}
