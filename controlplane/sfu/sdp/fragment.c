// RFC 8840 fragments. Pure, any thread.
#include "controlplane/sfu/sdp/fragment.h"

#include "controlplane/sfu/sdp/parser.h"

#include <errno.h>
#include <string.h>

// Takes a credential by the description's own reader; a second one must say the same, for the transport is one.
static int take(struct sdp_parser *p, sdp_attribute_fn read, struct sdp_text value,
		struct sdp_text *kept)
{
	int ret = read(p, value);

	if (ret < 0)
		return ret;
	if (kept->n > 0 && !sdp_text_equal(*kept, value))
		return SDP_REFUSE(p,
				  "differs from what an earlier line says of the same transport");
	*kept = value;
	return 0;
}

static int parse_attribute(struct sdp_parser *p, struct sdp_text value, struct sdp_fragment *out)
{
	struct sdp_text name = sdp_text_cut(&value, ':');
	struct sdp_candidate c;
	int ret;

	if (!sdp_text_is_token(name))
		return SDP_REFUSE(p, "the attribute's name is not a token");
	if (sdp_text_is(name, "ice-ufrag"))
		return take(p, sdp_parse_ice_ufrag, value, &out->ufrag);
	if (sdp_text_is(name, "ice-pwd"))
		return take(p, sdp_parse_ice_pwd, value, &out->pwd);
	if (sdp_text_is(name, "end-of-candidates")) {
		out->has_end_of_candidates = true;
		return 0;
	}
	if (sdp_text_is(name, "mid")) {
		if (out->n_media == 0)
			return SDP_REFUSE(p, "a=mid stands before any m=");
		if (!sdp_text_is_token(value) || value.n > SDP_MID_BYTES_MAX)
			return SDP_REFUSE(p, "the mid is not a token of at most %d bytes",
					  SDP_MID_BYTES_MAX);
		if (out->n_media == 1)
			out->mid = value;
		return 0;
	}
	if (!sdp_text_is(name, "candidate"))
		return 0;
	// RFC 8840 §9: candidates belong to the section in front of them.
	if (out->n_media == 0)
		return SDP_REFUSE(p, "a=candidate stands before any m=");
	ret = sdp_candidate_read(value, p->line, &c, p->error);
	if (ret == 0 && out->n_candidates < SDP_FRAGMENT_CANDIDATES_MAX)
		out->candidates[out->n_candidates++] = c;
	return ret;
}

static bool is_media_line(struct sdp_text value)
{
	uint64_t port;

	return sdp_text_is_token(sdp_text_cut(&value, ' ')) &&
	       sdp_text_number(sdp_text_cut(&value, ' '), 0, UINT16_MAX, &port) &&
	       sdp_text_cut(&value, ' ').n > 0 && value.n > 0;
}

int sdp_fragment_parse(const char *text, size_t n_bytes, struct sdp_fragment *out,
		       struct sdp_error *error)
{
	struct sdp_transport credentials = { .n_fingerprints = 0 };
	struct sdp_parser p = { .transport = &credentials, .error = error };
	struct sdp_text rest = { text, (uint32_t)n_bytes };
	struct sdp_text line;
	int ret;

	*error = (struct sdp_error){ 0 };
	memset(out, 0, sizeof(*out));
	if (n_bytes > SDP_FRAGMENT_BYTES_MAX)
		return sdp_refuse(error, 0, "longer than %d bytes", SDP_FRAGMENT_BYTES_MAX);
	while (sdp_line_next(&rest, &line, &p.line, error, &ret)) {
		struct sdp_text value = { line.at + 2, line.n - 2 };

		if (line.n < 2 || line.at[1] != '=' || line.at[0] < 'a' || line.at[0] > 'z')
			return SDP_REFUSE(&p, "is not of the form <letter>=<value>");
		if (line.at[0] == 'm') {
			if (!is_media_line(value))
				return SDP_REFUSE(&p, "m= is not of the form <media> <port> "
						      "<protocol> <formats>");
			if (out->n_media == SDP_MEDIA_MAX)
				return SDP_REFUSE(&p, "more than %d media sections", SDP_MEDIA_MAX);
			out->n_media++;
		}
		ret = line.at[0] == 'a' ? parse_attribute(&p, value, out) : 0;
		if (ret < 0)
			return ret;
	}
	if (ret < 0)
		return ret;
	if ((out->ufrag.n == 0) != (out->pwd.n == 0))
		return sdp_refuse(error, 0, "ice-ufrag and ice-pwd go together");
	if (out->ufrag.n == 0 && out->n_candidates == 0 && !out->has_end_of_candidates)
		return sdp_refuse(error, 0, "the fragment says nothing about ICE");
	return 0;
}
