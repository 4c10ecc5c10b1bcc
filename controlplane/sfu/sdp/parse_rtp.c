// Attributes of RTP sections: payload types, header extensions, sources. Pure, any thread.
#include "controlplane/sfu/sdp/parser.h"

#include <errno.h>

// "<pt> rest": takes the number off. The codec is NULL where the m= line does not list it, and where it is refused.
static int take_payload_type(struct sdp_parser *p, struct sdp_text *value, struct sdp_codec **codec)
{
	struct sdp_text word = sdp_text_cut(value, ' ');
	uint64_t pt;

	*codec = NULL;
	if (!sdp_text_number(word, 0, 127, &pt))
		return SDP_REFUSE(p, "\"%.*s\" is not a payload type (0 to 127)",
				  SDP_TEXT_ARGS(word));
	if (value->n == 0)
		return SDP_REFUSE(p, "nothing follows the payload type");
	for (uint32_t i = 0; i < p->media->n_codecs; i++)
		if (p->media->codecs[i].pt == pt)
			*codec = &p->media->codecs[i];
	return 0;
}

// a=rtpmap:<pt> <name>/<clock rate>[/<channels>]
int sdp_parse_rtpmap(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_codec *codec;
	struct sdp_text name;
	uint64_t rate;
	uint64_t channels = 1;
	int ret = take_payload_type(p, &value, &codec);

	if (ret < 0)
		return ret;
	name = sdp_text_cut(&value, '/');
	if (!sdp_text_is_token(name))
		return SDP_REFUSE(p, "rtpmap has no encoding name");
	if (!sdp_text_number(sdp_text_cut(&value, '/'), 1, UINT32_MAX, &rate))
		return SDP_REFUSE(p, "rtpmap has no clock rate");
	if (value.n > 0 && !sdp_text_number(value, 1, UINT8_MAX, &channels))
		return SDP_REFUSE(p, "rtpmap has no such number of channels");
	if (codec == NULL)
		return 0;
	if (codec->name.n > 0)
		return SDP_REFUSE(p, "a second rtpmap for payload type %u (the first is line %u)",
				  codec->pt, codec->line);
	codec->name = name;
	codec->clock_rate = (uint32_t)rate;
	codec->channels = (uint8_t)channels;
	codec->line = p->line;
	return 0;
}

int sdp_parse_fmtp(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_codec *codec;
	int ret = take_payload_type(p, &value, &codec);

	if (ret < 0 || codec == NULL)
		return ret;
	if (codec->fmtp_line != 0)
		return SDP_REFUSE(p, "a second fmtp for payload type %u (the first is line %u)",
				  codec->pt, codec->fmtp_line);
	codec->fmtp = value;
	codec->fmtp_line = p->line;
	return 0;
}

int sdp_parse_rtcp_fb(struct sdp_parser *p, struct sdp_text value)
{
	static const struct {
		const char *text;
		uint8_t bit;
	} known[] = {
		{ "nack", SDP_FB_NACK },         { "nack pli", SDP_FB_PLI },
		{ "ccm fir", SDP_FB_FIR },       { "goog-remb", SDP_FB_REMB },
		{ "transport-cc", SDP_FB_TWCC },
	};
	struct sdp_codec *codec;
	uint8_t bit = 0;
	int ret;

	if (value.n >= 2 && value.at[0] == '*' && value.at[1] == ' ') {
		sdp_text_cut(&value, ' ');
		if (value.n == 0)
			return SDP_REFUSE(p, "nothing follows rtcp-fb:*");
		for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (sdp_text_is(value, known[i].text))
				p->fb_for_all |= known[i].bit;
		return 0;
	}
	ret = take_payload_type(p, &value, &codec);
	if (ret < 0 || codec == NULL)
		return ret;
	for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (sdp_text_is(value, known[i].text))
			bit = known[i].bit;
	codec->feedback |= bit;
	return 0;
}

// a=extmap:<id>[/<direction>] <URI> [<attributes>] (RFC 8285 §7)
int sdp_parse_extmap(struct sdp_parser *p, struct sdp_text value)
{
	static const char *const directions[SDP_DIRECTION_COUNT] = { "sendrecv", "sendonly",
								     "recvonly", "inactive" };
	struct sdp_media *m = p->media;
	struct sdp_text direction = sdp_text_cut(&value, ' ');
	struct sdp_text id_text = sdp_text_cut(&direction, '/');
	struct sdp_extmap e = { .line = p->line };
	uint64_t id;

	e.uri = sdp_text_cut(&value, ' ');
	if (!sdp_text_number(id_text, 1, 4351, &id) || (id > 255 && id < 4096))
		return SDP_REFUSE(p, "\"%.*s\" is not an extension's id (1 to 255)",
				  SDP_TEXT_ARGS(id_text));
	if (e.uri.n == 0)
		return SDP_REFUSE(p, "extmap has no URI");
	while (direction.n > 0 && !sdp_text_is(direction, directions[e.direction]))
		if (++e.direction == SDP_DIRECTION_COUNT)
			return SDP_REFUSE(p, "extmap has the unknown direction \"%.*s\"",
					  SDP_TEXT_ARGS(direction));
	if (id > 255) // those that ask for an id in the answer: none of ours
		return 0;
	for (uint32_t i = 0; i < m->n_extmaps; i++)
		if (m->extmaps[i].id == id)
			return SDP_REFUSE(p, "a second extmap with id %u (the first is line %u)",
					  (unsigned int)id, m->extmaps[i].line);
	if (m->n_extmaps == SDP_EXTMAPS_MAX)
		return SDP_REFUSE(p, "more than %d header extensions", SDP_EXTMAPS_MAX);
	e.id = (uint8_t)id;
	m->extmaps[m->n_extmaps++] = e;
	return 0;
}

// a=ssrc:<ssrc> <attribute>[:<value>] (RFC 5576 §4.1)
int sdp_parse_ssrc(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_media *m = p->media;
	struct sdp_text word = sdp_text_cut(&value, ' ');
	uint64_t ssrc;

	if (!sdp_text_number(word, 0, UINT32_MAX, &ssrc))
		return SDP_REFUSE(p, "\"%.*s\" is not an SSRC", SDP_TEXT_ARGS(word));
	if (!sdp_text_is_token(sdp_text_cut(&value, ':')))
		return SDP_REFUSE(p, "the SSRC has no attribute");
	for (uint32_t i = 0; i < m->n_ssrcs; i++)
		if (m->ssrcs[i] == ssrc)
			return 0;
	if (m->n_ssrcs == SDP_SSRCS_MAX)
		return SDP_REFUSE(p, "more than %d SSRCs", SDP_SSRCS_MAX);
	m->ssrcs[m->n_ssrcs++] = (uint32_t)ssrc;
	return 0;
}

int sdp_parse_ssrc_group(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_media *m = p->media;
	struct sdp_ssrc_group g = { .semantics = sdp_text_cut(&value, ' ') };

	if (!sdp_text_is_token(g.semantics))
		return SDP_REFUSE(p, "ssrc-group has no semantics");
	while (value.n > 0) {
		struct sdp_text word = sdp_text_cut(&value, ' ');
		uint64_t ssrc;

		if (!sdp_text_number(word, 0, UINT32_MAX, &ssrc))
			return SDP_REFUSE(p, "\"%.*s\" is not an SSRC", SDP_TEXT_ARGS(word));
		if (g.n_ssrcs == SDP_GROUP_SSRCS_MAX)
			return SDP_REFUSE(p, "ssrc-group has more than %d SSRCs",
					  SDP_GROUP_SSRCS_MAX);
		g.ssrcs[g.n_ssrcs++] = (uint32_t)ssrc;
	}
	if (sdp_text_is(g.semantics, "FID") && g.n_ssrcs != 2)
		return SDP_REFUSE(p, "an FID group has not two SSRCs");
	if (m->n_ssrc_groups == SDP_SSRC_GROUPS_MAX)
		return SDP_REFUSE(p, "more than %d SSRC groups", SDP_SSRC_GROUPS_MAX);
	m->ssrc_groups[m->n_ssrc_groups++] = g;
	return 0;
}
