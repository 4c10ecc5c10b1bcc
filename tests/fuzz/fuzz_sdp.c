// SDP: whatever is parsed stays inside its bounds; what can be negotiated has an answer, which is a description
// that parses and keeps nothing that was not offered. The same input is read as a trickled fragment too.
#include "controlplane/sfu/sdp/answer.h"
#include "controlplane/sfu/sdp/fragment.h"
#include "tests/fuzz/fuzz.h"

static struct sdp_session offer;
static struct sdp_session again;
static struct sdp_negotiated negotiated;
static char answer[SDP_TEXT_BYTES_MAX * 4];

static void check_inside(const uint8_t *data, size_t n, struct sdp_text text)
{
	if (text.n == 0)
		return;
	FUZZ_ASSERT(text.at >= (const char *)data);
	FUZZ_ASSERT(text.at + text.n <= (const char *)data + n);
}

static void check_refusal(const struct sdp_error *error)
{
	size_t length = strnlen(error->reason, sizeof(error->reason));

	FUZZ_ASSERT(length > 0 && length < sizeof(error->reason));
	for (size_t i = 0; i < length; i++)
		FUZZ_ASSERT(error->reason[i] >= 0x20 && error->reason[i] <= 0x7e);
}

static void check_model(const uint8_t *data, size_t n, const struct sdp_session *s)
{
	FUZZ_ASSERT(s->n_media <= SDP_MEDIA_MAX && s->n_bundle <= SDP_MEDIA_MAX);
	for (uint32_t i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];

		FUZZ_ASSERT(m->n_codecs <= SDP_CODECS_MAX && m->n_extmaps <= SDP_EXTMAPS_MAX);
		FUZZ_ASSERT(m->n_rids <= SDP_RIDS_MAX && m->n_candidates <= SDP_CANDIDATES_MAX);
		check_inside(data, n, m->mid);
		check_inside(data, n, m->formats);
		check_inside(data, n, m->transport.ufrag);
		for (uint32_t j = 0; j < m->n_codecs; j++) {
			FUZZ_ASSERT(sdp_media_codec(m, m->codecs[j].pt) == &m->codecs[j]);
			check_inside(data, n, m->codecs[j].name);
			check_inside(data, n, m->codecs[j].fmtp);
		}
		for (uint32_t j = 0; j < m->n_rids; j++)
			check_inside(data, n, m->rids[j].id);
	}
}

// Section by section, the answer holds what was kept of the offer.
static void check_answer_section(const struct sdp_kept_media *kept, const struct sdp_media *m,
				 enum sdp_role role)
{
	FUZZ_ASSERT(sdp_text_equal(m->mid, kept->offered->mid));
	FUZZ_ASSERT(m->kind == kept->offered->kind && m->proto == kept->offered->proto);
	FUZZ_ASSERT(sdp_media_is_offered(m) == (kept->use != SDP_USE_REJECTED));
	if (kept->use != SDP_USE_RTP)
		return;
	FUZZ_ASSERT(m->is_bundled && m->has_rtcp_mux && m->n_codecs > 0);
	FUZZ_ASSERT(m->transport.setup != SDP_SETUP_ACTPASS);
	FUZZ_ASSERT(m->direction == SDP_INACTIVE ||
		    m->direction == (role == SDP_ROLE_WATCHER ? SDP_SENDONLY : SDP_RECVONLY));
	for (uint32_t i = 0; i < m->n_codecs; i++) {
		const struct sdp_codec *offered = sdp_media_codec(kept->offered, m->codecs[i].pt);

		FUZZ_ASSERT(offered != NULL);
		FUZZ_ASSERT(sdp_text_equal(offered->name, m->codecs[i].name));
		FUZZ_ASSERT(sdp_text_equal(offered->fmtp, m->codecs[i].fmtp));
		FUZZ_ASSERT((m->codecs[i].feedback & ~offered->feedback) == 0);
		FUZZ_ASSERT(m->codecs[i].pt < 64 || m->codecs[i].pt > 95);
	}
	FUZZ_ASSERT(m->n_extmaps == kept->n_extensions);
	for (uint32_t i = 0; i < m->n_extmaps; i++)
		FUZZ_ASSERT(m->extmaps[i].id == kept->extensions[i].id);
	FUZZ_ASSERT(m->simulcast.n_recv == (kept->is_simulcast ? kept->n_layers : 0));
	FUZZ_ASSERT(m->simulcast.n_recv <= m->n_rids);
}

static void check_role(enum sdp_role role)
{
	static const struct ip_endpoint candidates[2] = {
		{ .address = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } }, .port_be = 1 },
		{ .address = { { 0x20, 1, 0xd, 0xb8 } }, .port_be = 2 },
	};
	struct sdp_answer_params params = {
		.ufrag = "abcd",
		.pwd = "abcdefghijklmnopqrstuvwx",
		.candidates = candidates,
		.n_candidates = 2,
		.sctp_port = 5000,
		.cname = "c",
	};
	static struct sdp_fragment fragment;
	struct sdp_policy policy;
	struct sdp_error error;
	int n_bytes;

	for (uint32_t i = 0; i < SDP_MEDIA_MAX; i += 2)
		params.sources[i] = (struct sdp_answer_source){ 1, 2, "s", "t" };
	sdp_policy_default(&policy, role);
	policy.audio_max = 4;
	policy.video_max = 4;
	if (sdp_negotiate(&offer, &policy, &negotiated, &error) < 0) {
		check_refusal(&error);
		return;
	}
	n_bytes = sdp_answer_write(&negotiated, &params, answer, sizeof(answer));
	FUZZ_ASSERT(n_bytes > 0 && strlen(answer) == (size_t)n_bytes);
	// The bound is on what comes in; of the largest offers, the answer with its candidates is larger.
	if (n_bytes > SDP_TEXT_BYTES_MAX)
		return;
	FUZZ_ASSERT(sdp_parse(answer, (size_t)n_bytes, &again, &error) == 0);
	FUZZ_ASSERT(again.n_media == offer.n_media && again.has_ice_lite);
	for (uint32_t i = 0; i < again.n_media; i++)
		check_answer_section(&negotiated.media[i], &again.media[i], role);
	// Too small a buffer is said, never overrun.
	FUZZ_ASSERT(sdp_answer_write(&negotiated, &params, answer, (size_t)n_bytes / 2) < 0);

	n_bytes = sdp_answer_fragment_write(&negotiated, &params, answer, sizeof(answer));
	FUZZ_ASSERT(n_bytes > 0);
	if (n_bytes > SDP_FRAGMENT_BYTES_MAX)
		return;
	FUZZ_ASSERT(sdp_fragment_parse(answer, (size_t)n_bytes, &fragment, &error) == 0);
	FUZZ_ASSERT(fragment.n_candidates == 2 && fragment.has_end_of_candidates);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	static struct sdp_fragment fragment;
	struct sdp_error error;

	if (sdp_fragment_parse((const char *)data, n, &fragment, &error) < 0)
		check_refusal(&error);
	else
		check_inside(data, n, fragment.ufrag);
	if (sdp_parse((const char *)data, n, &offer, &error) < 0) {
		check_refusal(&error);
		return;
	}
	check_model(data, n, &offer);
	check_role(SDP_ROLE_PUBLISHER);
	check_role(SDP_ROLE_WATCHER);
}
