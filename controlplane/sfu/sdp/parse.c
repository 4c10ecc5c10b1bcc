// The lines of a session description (RFC 8866 §5): their order, and the m= line. Pure, any thread.
#include "controlplane/sfu/sdp/parser.h"

#include <errno.h>
#include <string.h>

bool sdp_line_next(struct sdp_text *rest, struct sdp_text *line, uint32_t *line_number,
		   struct sdp_error *error, int *ret)
{
	*ret = 0;
	if (rest->n == 0)
		return false;
	*line = sdp_text_cut(rest, '\n');
	(*line_number)++;
	if (line->n > 0 && line->at[line->n - 1] == '\r')
		line->n--;
	for (uint32_t i = 0; i < line->n; i++) {
		uint8_t c = (uint8_t)line->at[i];

		if (c < 0x20 && c != '\t') {
			*ret = sdp_refuse(error, *line_number, "holds the control character 0x%02x",
					  c);
			return false;
		}
	}
	return true;
}

const struct sdp_codec *sdp_media_codec(const struct sdp_media *m, uint8_t pt)
{
	for (uint32_t i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].pt == pt)
			return &m->codecs[i];
	return NULL;
}

static enum sdp_kind kind_of(struct sdp_text text)
{
	static const char *const names[SDP_KIND_OTHER] = { "audio", "video", "application" };

	for (uint32_t i = 0; i < SDP_KIND_OTHER; i++)
		if (sdp_text_is(text, names[i]))
			return (enum sdp_kind)i;
	return SDP_KIND_OTHER;
}

static enum sdp_proto proto_of(struct sdp_text text)
{
	// RFC 8829 §5.1.2: what an answerer must take for SRTP keyed by DTLS.
	static const char *const rtp[] = { "UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF",
					   "UDP/TLS/RTP/SAVP",  "TCP/DTLS/RTP/SAVP",
					   "RTP/SAVPF",         "RTP/SAVP",
					   "RTP/AVPF",          "RTP/AVP" };
	static const char *const sctp[] = { "UDP/DTLS/SCTP", "TCP/DTLS/SCTP" };

	for (uint32_t i = 0; i < sizeof(rtp) / sizeof(rtp[0]); i++)
		if (sdp_text_is(text, rtp[i]))
			return SDP_PROTO_RTP;
	for (uint32_t i = 0; i < sizeof(sctp) / sizeof(sctp[0]); i++)
		if (sdp_text_is(text, sctp[i]))
			return SDP_PROTO_SCTP;
	return SDP_PROTO_OTHER;
}

static int parse_payload_types(struct sdp_parser *p, struct sdp_media *m)
{
	struct sdp_text rest = m->formats;

	while (rest.n > 0) {
		struct sdp_text word = sdp_text_cut(&rest, ' ');
		uint64_t pt;

		if (!sdp_text_number(word, 0, 127, &pt))
			return SDP_REFUSE(p, "\"%.*s\" is not a payload type (0 to 127)",
					  SDP_TEXT_ARGS(word));
		if (sdp_media_codec(m, (uint8_t)pt) != NULL)
			return SDP_REFUSE(p, "lists payload type %u twice", (unsigned int)pt);
		if (m->n_codecs == SDP_CODECS_MAX)
			return SDP_REFUSE(p, "lists more than %d payload types", SDP_CODECS_MAX);
		m->codecs[m->n_codecs++] =
			(struct sdp_codec){ .pt = (uint8_t)pt, .line = p->line, .channels = 1 };
	}
	return 0;
}

// m=<media> <port>[/<number of ports>] <proto> <fmt> …
static int parse_media(struct sdp_parser *p, struct sdp_text rest)
{
	struct sdp_media *m = &p->session->media[p->session->n_media];
	struct sdp_text port;
	uint64_t number;

	if (p->session->n_media == SDP_MEDIA_MAX)
		return SDP_REFUSE(p, "more than %d media sections", SDP_MEDIA_MAX);
	memset(m, 0, sizeof(*m));
	m->line = p->line;
	m->kind_text = sdp_text_cut(&rest, ' ');
	port = sdp_text_cut(&rest, ' ');
	m->proto_text = sdp_text_cut(&rest, ' ');
	m->formats = rest;
	m->kind = kind_of(m->kind_text);
	m->proto = proto_of(m->proto_text);
	m->direction = p->session->direction;
	m->max_message_size_bytes = 65536; // RFC 8841 §6.1: the default
	if (!sdp_text_is_token(m->kind_text))
		return SDP_REFUSE(p, "m= has no media type");
	number = 0;
	if (!sdp_text_number(sdp_text_cut(&port, '/'), 0, UINT16_MAX, &number) || port.n > 0)
		return SDP_REFUSE(p, "m= has no port from 0 to 65535");
	m->port = (uint16_t)number;
	if (m->proto_text.n == 0 || m->formats.n == 0)
		return SDP_REFUSE(p, "m= has no protocol or no format");
	p->media = m;
	p->transport = &m->transport;
	p->session->n_media++;
	p->seen = 0;
	p->fb_for_all = 0;
	return m->proto == SDP_PROTO_RTP ? parse_payload_types(p, m) : 0;
}

static uint32_t n_words(struct sdp_text rest)
{
	uint32_t n = 0;

	while (rest.n > 0) {
		if (sdp_text_cut(&rest, ' ').n == 0)
			return 0;
		n++;
	}
	return n;
}

// What the section did not say itself holds from the session level.
static void finish_media(struct sdp_parser *p)
{
	struct sdp_media *m = p->media;
	const struct sdp_transport *above = &p->session->transport;

	if (m == NULL)
		return;
	for (uint32_t i = 0; i < m->n_codecs; i++)
		m->codecs[i].feedback |= p->fb_for_all;
	if (m->transport.ufrag.n == 0) {
		m->transport.ufrag = above->ufrag;
		m->transport.ufrag_line = above->ufrag_line;
	}
	if (m->transport.pwd.n == 0)
		m->transport.pwd = above->pwd;
	if (m->transport.setup == SDP_SETUP_NONE) {
		m->transport.setup = above->setup;
		m->transport.setup_line = above->setup_line;
	}
	if (m->transport.n_fingerprints == 0) {
		memcpy(m->transport.fingerprints, above->fingerprints, sizeof(above->fingerprints));
		m->transport.n_fingerprints = above->n_fingerprints;
		m->transport.fingerprint_line = above->fingerprint_line;
	}
	m->transport.has_trickle |= above->has_trickle;
	m->has_extmap_allow_mixed |= p->session->has_extmap_allow_mixed;
}

// RFC 8866 §5: v=, o=, s= in this order, then what belongs to the session, then t=, then media.
static int parse_line(struct sdp_parser *p, struct sdp_text line, uint64_t *seen_types)
{
	static const char first[] = "vos";
	struct sdp_text value = { line.at + 2, line.n - 2 };
	char type;
	uint64_t number;

	if (line.n < 2 || line.at[1] != '=')
		return SDP_REFUSE(p, "is not of the form <letter>=<value>");
	type = line.at[0];
	if (p->line <= 3 && type != first[p->line - 1])
		return SDP_REFUSE(p, "must be %c=, for it is line %u", first[p->line - 1], p->line);
	if (type < 'a' || type > 'z' ||
	    strchr(p->media != NULL ? "micbka" : "vosiuepcbtrzkam", type) == NULL)
		return SDP_REFUSE(p, "has the type \"%c\", which has no meaning here", type);
	if (strchr("vos", type) != NULL && p->line > 3)
		return SDP_REFUSE(p, "%c= stands twice", type);
	*seen_types |= 1ull << (type - 'a');
	switch (type) {
	case 'v':
		return sdp_text_is(value, "0") ? 0 : SDP_REFUSE(p, "the version is not 0");
	case 'o':
		return n_words(value) == 6 ? 0 : SDP_REFUSE(p, "o= has not six fields");
	case 't':
		return n_words(value) == 2 &&
				       sdp_text_number(sdp_text_cut(&value, ' '), 0, UINT64_MAX,
						       &number) &&
				       sdp_text_number(value, 0, UINT64_MAX, &number)
			       ? 0
			       : SDP_REFUSE(p, "t= has not two numbers");
	case 'c':
		return n_words(value) == 3 ? 0 : SDP_REFUSE(p, "c= has not three fields");
	case 'a':
		return sdp_parse_attribute(p, value);
	case 'm':
		if ((*seen_types & 1ull << ('t' - 'a')) == 0)
			return SDP_REFUSE(p, "the first m= stands before any t=");
		finish_media(p);
		return parse_media(p, value);
	default:
		return 0;
	}
}

// The members of the BUNDLE group and their sections find each other.
static int resolve_bundle(struct sdp_session *s, struct sdp_error *error)
{
	for (uint32_t i = 0; i < s->n_media; i++)
		for (uint32_t j = 0; j < i; j++)
			if (s->media[i].mid.n > 0 &&
			    sdp_text_equal(s->media[i].mid, s->media[j].mid))
				return sdp_refuse(
					error, s->media[i].line,
					"the section's mid \"%.*s\" is that of line %u too",
					SDP_TEXT_ARGS(s->media[i].mid), s->media[j].line);
	for (uint32_t i = 0; i < s->n_bundle; i++) {
		struct sdp_media *found = NULL;

		for (uint32_t j = 0; j < s->n_media; j++)
			if (sdp_text_equal(s->media[j].mid, s->bundle[i]))
				found = &s->media[j];
		if (found == NULL)
			return sdp_refuse(error, s->bundle_line,
					  "BUNDLE names \"%.*s\", but no section has that mid",
					  SDP_TEXT_ARGS(s->bundle[i]));
		if (found->is_bundled)
			return sdp_refuse(error, s->bundle_line, "BUNDLE names \"%.*s\" twice",
					  SDP_TEXT_ARGS(s->bundle[i]));
		found->is_bundled = true;
	}
	return 0;
}

int sdp_parse(const char *text, size_t n_bytes, struct sdp_session *out, struct sdp_error *error)
{
	struct sdp_parser p = { .session = out, .transport = &out->transport, .error = error };
	struct sdp_text rest = { text, (uint32_t)n_bytes };
	struct sdp_text line;
	uint64_t seen_types = 0;
	int ret;

	*error = (struct sdp_error){ 0 };
	if (n_bytes > SDP_TEXT_BYTES_MAX)
		return sdp_refuse(error, 0, "longer than %d bytes", SDP_TEXT_BYTES_MAX);
	// The sections are cleared one by one, as they come.
	memset(out, 0, offsetof(struct sdp_session, media));
	while (sdp_line_next(&rest, &line, &p.line, error, &ret)) {
		ret = parse_line(&p, line, &seen_types);
		if (ret < 0)
			return ret;
	}
	if (ret < 0)
		return ret;
	if (p.line < 4 || (seen_types & 1ull << ('t' - 'a')) == 0)
		return sdp_refuse(error, p.line, "the description ends before t=");
	finish_media(&p);
	return resolve_bundle(out, error);
}
