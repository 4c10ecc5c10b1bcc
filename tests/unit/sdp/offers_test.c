// RFC 8829: what Chromium 156 and Firefox 153 ESR really offer (tests/vectors/sdp), and what is kept of it.
#include "tests/unit/sdp/sdp_rig.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct sdp_kept_media *media(uint32_t i)
{
	cr_assert_lt(i, sdp_rig_kept.n_media);
	return &sdp_rig_kept.media[i];
}

// "VP8+ VP9" of a section: + for RTX.
static const char *codecs(uint32_t i)
{
	static char text[256];
	const struct sdp_kept_media *m = media(i);

	text[0] = '\0';
	for (uint32_t j = 0; j < m->n_codecs; j++) {
		strcat(text, j > 0 ? " " : "");
		strcat(text, sdp_codec_name(m->codecs[j].format.kind));
		strcat(text, m->codecs[j].rtx != NULL ? "+" : "");
	}
	return text;
}

static const struct {
	const char *name;
	const char *video; // codecs of the second section; NULL where there is none
	uint8_t n_layers;
	bool has_data;
} published[] = {
	{ "chromium_publish", "VP8+ H264+ H264+ H264+ H264+ H264+ H264+ AV1+ VP9+", 1, false },
	{ "chromium_publish_gathered", "VP8+ H264+ H264+ H264+ H264+ H264+ H264+ AV1+ VP9+", 1,
	  false },
	{ "chromium_publish_simulcast", "VP8+", 3, false },
	{ "chromium_publish_h264", "H264+ H264+ H264+ H264+ H264+ H264+", 1, false },
	{ "chromium_publish_vp9_svc", "VP9+", 1, false },
	{ "chromium_publish_av1", "AV1+", 1, false },
	{ "chromium_publish_data", "VP8+ H264+ H264+ H264+ H264+ H264+ H264+ AV1+ VP9+", 1, true },
	{ "firefox_publish", "VP8+ VP9+ AV1+", 1, false },
	{ "firefox_publish_gathered", "VP8+ VP9+ AV1+", 1, false },
	{ "firefox_publish_simulcast", "VP8+", 3, false },
	{ "firefox_publish_vp9_svc", "VP9+", 1, false },
	{ "firefox_publish_av1", "AV1+", 1, false },
	{ "firefox_publish_data", "VP8+ VP9+ AV1+", 1, true },
};

Test(rfc8829_offers, publishers)
{
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
		const char *name = published[i].name;

		sdp_rig_load(name, SDP_ROLE_PUBLISHER);
		sdp_rig_accept();
		cr_assert_eq(sdp_rig_kept.n_media, published[i].has_data ? 3 : 2, "%s", name);
		cr_assert_str_eq(codecs(0), "opus", "%s", name);
		cr_assert_str_eq(codecs(1), published[i].video, "%s: %s", name, codecs(1));
		cr_assert_eq(media(1)->n_layers, published[i].n_layers, "%s", name);
		cr_assert_eq(media(1)->is_simulcast, published[i].n_layers > 1, "%s", name);
		for (uint32_t j = 0; j < 2; j++) {
			cr_assert_eq(media(j)->direction, SDP_RECVONLY, "%s", name);
			cr_assert_neq(sdp_kept_extension_id(media(j), SDP_EXT_MID), 0, "%s", name);
			cr_assert_neq(sdp_kept_extension_id(media(j), SDP_EXT_TWCC), 0, "%s", name);
		}
		cr_assert_neq(sdp_kept_extension_id(media(0), SDP_EXT_AUDIO_LEVEL), 0, "%s", name);
		cr_assert(sdp_rig_kept.is_mixed, "%s", name);
		cr_assert(sdp_rig_kept.transport->has_trickle, "%s", name);
		if (published[i].has_data)
			cr_assert_eq(media(2)->use, SDP_USE_DATA, "%s", name);
	}
}

Test(rfc8829_offers, simulcast_of_both_browsers)
{
	static const char *const names[] = { "chromium_publish_simulcast",
					     "firefox_publish_simulcast" };

	for (uint32_t i = 0; i < 2; i++) {
		sdp_rig_load(names[i], SDP_ROLE_PUBLISHER);
		sdp_rig_accept();
		cr_assert_neq(sdp_kept_extension_id(media(1), SDP_EXT_RID), 0);
		cr_assert_neq(sdp_kept_extension_id(media(1), SDP_EXT_REPAIRED_RID), 0);
		cr_assert_neq(sdp_kept_extension_id(media(1), SDP_EXT_DEPENDENCY_DESCRIPTOR), 0);
		cr_assert_not_null(strstr(sdp_rig_answer, "a=simulcast:recv q;h;f\r\n"), "%s",
				   names[i]);
	}
}

Test(rfc8829_offers, sources_where_there_are_no_rids)
{
	sdp_rig_load("chromium_publish", SDP_ROLE_PUBLISHER);
	sdp_rig_accept();
	cr_assert_neq(media(0)->layers[0].ssrc, 0);
	cr_assert_neq(media(1)->layers[0].ssrc, 0);
	cr_assert_neq(media(1)->layers[0].rtx_ssrc, 0);
}

Test(rfc8829_offers, watchers)
{
	static const char *const names[] = { "chromium_watch", "firefox_watch" };

	for (uint32_t i = 0; i < 2; i++) {
		sdp_rig_load(names[i], SDP_ROLE_WATCHER);
		// What the publisher sends decides.
		sdp_rig_policy.codecs[1] =
			(struct sdp_policy_codec){ SDP_CODEC_VP8, SDP_ANY, SDP_ANY };
		sdp_rig_policy.n_codecs = 2;
		sdp_rig_accept();
		cr_assert_str_eq(codecs(0), "opus", "%s", names[i]);
		cr_assert_str_eq(codecs(1), "VP8+", "%s", names[i]);
		cr_assert_eq(media(1)->direction, SDP_SENDONLY);
		cr_assert_not_null(strstr(sdp_rig_answer, "a=ssrc-group:FID 21 22\r\n"));
	}
}

Test(rfc8829_offers, data_only)
{
	static const char *const names[] = { "chromium_data_only", "firefox_data_only" };

	for (uint32_t i = 0; i < 2; i++) {
		sdp_rig_load(names[i], SDP_ROLE_PUBLISHER);
		sdp_rig_accept();
		cr_assert_eq(sdp_rig_kept.n_media, 1);
		cr_assert_eq(media(0)->use, SDP_USE_DATA);
		cr_assert_eq(media(0)->max_message_size_bytes, 262144);
	}
}

Test(rfc8829_offers, candidates_are_read)
{
	sdp_rig_load("firefox_publish_gathered", SDP_ROLE_PUBLISHER);
	sdp_rig_accept();
	cr_assert_gt(sdp_rig_offer.media[0].n_candidates, 0);
	cr_assert(sdp_rig_offer.media[0].has_end_of_candidates);
	sdp_rig_load("chromium_publish_gathered", SDP_ROLE_PUBLISHER);
	sdp_rig_accept();
	cr_assert_gt(sdp_rig_offer.media[0].n_candidates, 0);
}

// Each line of each offer, removed or cut short, is taken or refused with a line of the text; never more.
Test(rfc8829_offers, every_line_may_be_missing_or_cut)
{
	static char whole[SDP_TEXT_BYTES_MAX + 1];

	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
		uint32_t n_lines = 0;

		sdp_rig_load(published[i].name, SDP_ROLE_PUBLISHER);
		strcpy(whole, sdp_rig_text);
		for (const char *c = whole; *c != '\0'; c++)
			n_lines += *c == '\n';
		for (char *line = whole; *line != '\0';) {
			char *end = strchr(line, '\n') + 1;
			size_t before = (size_t)(line - whole);

			for (size_t kept = 0; line + kept < end; kept += 1 + kept / 4) {
				memcpy(sdp_rig_text, whole, before + kept);
				strcpy(sdp_rig_text + before + kept, kept > 0 ? "\n" : "");
				strcat(sdp_rig_text, end);
				if (sdp_rig_negotiate() < 0) {
					cr_assert_leq(sdp_rig_error.line, n_lines);
					cr_assert_neq(sdp_rig_error.reason[0], '\0');
				}
			}
			line = end;
		}
	}
}
