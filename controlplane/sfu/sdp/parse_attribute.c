// The attributes that are known, at which level each means something, and the plain ones. Pure, any thread.
#include "controlplane/sfu/sdp/parser.h"

#include <errno.h>

static int parse_group(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_session *s = p->session;

	if (!sdp_text_is(sdp_text_cut(&value, ' '), "BUNDLE"))
		return 0;
	if (s->bundle_line != 0)
		return SDP_REFUSE(p, "a second BUNDLE group (the first is line %u)",
				  s->bundle_line);
	s->bundle_line = p->line;
	while (value.n > 0) {
		struct sdp_text mid = sdp_text_cut(&value, ' ');

		if (!sdp_text_is_token(mid))
			return SDP_REFUSE(p, "BUNDLE names a mid that is not a token");
		if (s->n_bundle == SDP_MEDIA_MAX)
			return SDP_REFUSE(p, "BUNDLE names more than %d sections", SDP_MEDIA_MAX);
		s->bundle[s->n_bundle++] = mid;
	}
	return 0;
}

static int parse_mid(struct sdp_parser *p, struct sdp_text value)
{
	if (!sdp_text_is_token(value))
		return SDP_REFUSE(p, "the mid is not a token");
	if (value.n > SDP_MID_BYTES_MAX)
		return SDP_REFUSE(p, "the mid is longer than %d bytes", SDP_MID_BYTES_MAX);
	p->media->mid = value;
	return 0;
}

static int parse_msid(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_text rest = value;

	// RFC 8830 §2: an identifier, and perhaps one of the track.
	if (!sdp_text_is_token(sdp_text_cut(&rest, ' ')) ||
	    (rest.n > 0 && !sdp_text_is_token(rest)))
		return SDP_REFUSE(p, "msid has not one or two tokens");
	p->media->msid = value;
	return 0;
}

static int parse_sctp_port(struct sdp_parser *p, struct sdp_text value)
{
	uint64_t number;

	if (!sdp_text_number(value, 0, UINT16_MAX, &number))
		return SDP_REFUSE(p, "sctp-port is not from 0 to 65535");
	p->media->sctp_port = (uint16_t)number;
	return 0;
}

static int parse_max_message_size(struct sdp_parser *p, struct sdp_text value)
{
	if (!sdp_text_number(value, 0, INT64_MAX, &p->media->max_message_size_bytes))
		return SDP_REFUSE(p, "max-message-size is not a number");
	return 0;
}

static int set_direction(struct sdp_parser *p, struct sdp_text value, enum sdp_direction d)
{
	const uint64_t bit = 1ull << 63;

	if (value.n > 0)
		return SDP_REFUSE(p, "the direction has a value");
	if (p->seen & bit)
		return SDP_REFUSE(p, "a second direction");
	p->seen |= bit;
	if (p->media != NULL)
		p->media->direction = d;
	else
		p->session->direction = d;
	return 0;
}

static int parse_sendrecv(struct sdp_parser *p, struct sdp_text value)
{
	return set_direction(p, value, SDP_SENDRECV);
}

static int parse_sendonly(struct sdp_parser *p, struct sdp_text value)
{
	return set_direction(p, value, SDP_SENDONLY);
}

static int parse_recvonly(struct sdp_parser *p, struct sdp_text value)
{
	return set_direction(p, value, SDP_RECVONLY);
}

static int parse_inactive(struct sdp_parser *p, struct sdp_text value)
{
	return set_direction(p, value, SDP_INACTIVE);
}

static int set_flag(struct sdp_parser *p, struct sdp_text value, bool *flag)
{
	if (value.n > 0)
		return SDP_REFUSE(p, "the attribute has a value");
	*flag = true;
	return 0;
}

static int parse_rtcp_mux(struct sdp_parser *p, struct sdp_text value)
{
	return set_flag(p, value, &p->media->has_rtcp_mux);
}

static int parse_rtcp_mux_only(struct sdp_parser *p, struct sdp_text value)
{
	return set_flag(p, value, &p->media->has_rtcp_mux_only);
}

static int parse_rtcp_rsize(struct sdp_parser *p, struct sdp_text value)
{
	return set_flag(p, value, &p->media->has_rtcp_rsize);
}

static int parse_bundle_only(struct sdp_parser *p, struct sdp_text value)
{
	return set_flag(p, value, &p->media->is_bundle_only);
}

static int parse_end_of_candidates(struct sdp_parser *p, struct sdp_text value)
{
	return p->media != NULL ? set_flag(p, value, &p->media->has_end_of_candidates) : 0;
}

static int parse_ice_lite(struct sdp_parser *p, struct sdp_text value)
{
	return set_flag(p, value, &p->session->has_ice_lite);
}

static int parse_allow_mixed(struct sdp_parser *p, struct sdp_text value)
{
	return set_flag(p, value,
			p->media != NULL ? &p->media->has_extmap_allow_mixed
					 : &p->session->has_extmap_allow_mixed);
}

enum {
	AT_SESSION = 1,
	AT_MEDIA = 2,
	AT_RTP = 4, // in sections of RTP only
	ONCE = 8
};

static const struct {
	const char *name;
	int flags;
	sdp_attribute_fn read;
} attributes[] = {
	{ "group", AT_SESSION, parse_group },
	{ "mid", AT_MEDIA | ONCE, parse_mid },
	{ "msid", AT_RTP, parse_msid },
	{ "sctp-port", AT_MEDIA | ONCE, parse_sctp_port },
	{ "max-message-size", AT_MEDIA | ONCE, parse_max_message_size },
	{ "sendrecv", AT_SESSION | AT_MEDIA, parse_sendrecv },
	{ "sendonly", AT_SESSION | AT_MEDIA, parse_sendonly },
	{ "recvonly", AT_SESSION | AT_MEDIA, parse_recvonly },
	{ "inactive", AT_SESSION | AT_MEDIA, parse_inactive },
	{ "rtcp-mux", AT_RTP | ONCE, parse_rtcp_mux },
	{ "rtcp-mux-only", AT_RTP | ONCE, parse_rtcp_mux_only },
	{ "rtcp-rsize", AT_RTP | ONCE, parse_rtcp_rsize },
	{ "bundle-only", AT_MEDIA | ONCE, parse_bundle_only },
	{ "end-of-candidates", AT_SESSION | AT_MEDIA | ONCE, parse_end_of_candidates },
	{ "ice-lite", AT_SESSION | ONCE, parse_ice_lite },
	{ "extmap-allow-mixed", AT_SESSION | AT_MEDIA | ONCE, parse_allow_mixed },
	{ "ice-ufrag", AT_SESSION | AT_MEDIA | ONCE, sdp_parse_ice_ufrag },
	{ "ice-pwd", AT_SESSION | AT_MEDIA | ONCE, sdp_parse_ice_pwd },
	{ "ice-options", AT_SESSION | AT_MEDIA | ONCE, sdp_parse_ice_options },
	{ "fingerprint", AT_SESSION | AT_MEDIA, sdp_parse_fingerprint },
	{ "setup", AT_SESSION | AT_MEDIA | ONCE, sdp_parse_setup },
	{ "candidate", AT_MEDIA, sdp_parse_candidate },
	{ "rtpmap", AT_RTP, sdp_parse_rtpmap },
	{ "fmtp", AT_RTP, sdp_parse_fmtp },
	{ "rtcp-fb", AT_RTP, sdp_parse_rtcp_fb },
	{ "extmap", AT_RTP, sdp_parse_extmap },
	{ "ssrc", AT_RTP, sdp_parse_ssrc },
	{ "ssrc-group", AT_RTP, sdp_parse_ssrc_group },
	{ "rid", AT_RTP, sdp_parse_rid },
	{ "simulcast", AT_RTP | ONCE, sdp_parse_simulcast },
};

int sdp_parse_attribute(struct sdp_parser *p, struct sdp_text line)
{
	struct sdp_text value = line;
	struct sdp_text name = sdp_text_cut(&value, ':');
	int levels = AT_SESSION;

	if (!sdp_text_is_token(name))
		return SDP_REFUSE(p, "the attribute's name is not a token");
	if (p->media != NULL)
		levels = p->media->proto == SDP_PROTO_RTP ? AT_MEDIA | AT_RTP : AT_MEDIA;
	for (uint32_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		if (!sdp_text_is(name, attributes[i].name))
			continue;
		if ((attributes[i].flags & levels) == 0)
			return 0;
		if (attributes[i].flags & ONCE) {
			if (p->seen & 1ull << i)
				return SDP_REFUSE(p, "a second a=%s", attributes[i].name);
			p->seen |= 1ull << i;
		}
		return attributes[i].read(p, value);
	}
	return 0;
}
