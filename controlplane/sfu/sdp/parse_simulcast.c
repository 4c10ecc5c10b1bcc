// Restriction identifiers and simulcast (RFC 8851, 8853). Pure, any thread.
#include "controlplane/sfu/sdp/parser.h"

#include <errno.h>

// RFC 8851 §10: letters, digits, '-' and '_'.
static bool is_rid(struct sdp_text text)
{
	if (text.n == 0 || text.n > SDP_RID_BYTES_MAX)
		return false;
	for (uint32_t i = 0; i < text.n; i++) {
		char c = text.at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		      c == '-' || c == '_'))
			return false;
	}
	return true;
}

// pt=<fmt>,<fmt>…
static int parse_rid_pts(struct sdp_parser *p, struct sdp_rid *r, struct sdp_text list)
{
	while (list.n > 0) {
		struct sdp_text word = sdp_text_cut(&list, ',');
		uint64_t pt;

		if (!sdp_text_number(word, 0, 127, &pt))
			return SDP_REFUSE(p, "\"%.*s\" is not a payload type (0 to 127)",
					  SDP_TEXT_ARGS(word));
		if (r->n_pts == SDP_RID_PTS_MAX)
			return SDP_REFUSE(p, "the rid lists more than %d payload types",
					  SDP_RID_PTS_MAX);
		r->pts[r->n_pts++] = (uint8_t)pt;
	}
	return r->n_pts > 0 ? 0 : SDP_REFUSE(p, "pt= lists nothing");
}

// a=rid:<id> <send|recv> [pt=…;<restriction>;…]
int sdp_parse_rid(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_media *m = p->media;
	struct sdp_rid r = { .id = sdp_text_cut(&value, ' '), .line = p->line };
	struct sdp_text direction = sdp_text_cut(&value, ' ');

	if (!is_rid(r.id))
		return SDP_REFUSE(p, "the rid is not 1 to %d letters, digits, - and _",
				  SDP_RID_BYTES_MAX);
	r.is_send = sdp_text_is(direction, "send");
	if (!r.is_send && !sdp_text_is(direction, "recv"))
		return SDP_REFUSE(p, "the rid is neither send nor recv");
	while (value.n > 0) {
		struct sdp_text restriction = sdp_text_cut(&value, ';');
		struct sdp_text name = sdp_text_cut(&restriction, '=');

		if (sdp_text_is(name, "pt")) {
			int ret = parse_rid_pts(p, &r, restriction);

			if (ret < 0)
				return ret;
		}
	}
	for (uint32_t i = 0; i < m->n_rids; i++)
		if (sdp_text_equal(m->rids[i].id, r.id))
			return SDP_REFUSE(p, "a second rid \"%.*s\" (the first is line %u)",
					  SDP_TEXT_ARGS(r.id), m->rids[i].line);
	if (m->n_rids == SDP_RIDS_MAX)
		return SDP_REFUSE(p, "more than %d rids", SDP_RIDS_MAX);
	m->rids[m->n_rids++] = r;
	return 0;
}

// "q;~h;f,g": streams in the order of preference, each with alternatives; '~' is initially paused.
static int parse_streams(struct sdp_parser *p, struct sdp_text list,
			 struct sdp_simulcast_stream streams[SDP_SIMULCAST_MAX], uint8_t *n)
{
	while (list.n > 0) {
		struct sdp_text alternatives = sdp_text_cut(&list, ';');
		struct sdp_simulcast_stream *s = &streams[*n];

		if (*n == SDP_SIMULCAST_MAX)
			return SDP_REFUSE(p, "more than %d simulcast streams", SDP_SIMULCAST_MAX);
		do {
			struct sdp_text rid = sdp_text_cut(&alternatives, ',');
			bool is_paused = rid.n > 0 && rid.at[0] == '~';

			if (is_paused) {
				rid.at++;
				rid.n--;
			}
			if (!is_rid(rid))
				return SDP_REFUSE(p, "simulcast names something that is not a rid");
			if (s->n_alternatives == SDP_ALTERNATIVES_MAX)
				return SDP_REFUSE(p, "more than %d alternatives of one stream",
						  SDP_ALTERNATIVES_MAX);
			s->alternatives[s->n_alternatives++] =
				(struct sdp_alternative){ rid, is_paused };
		} while (alternatives.n > 0);
		(*n)++;
	}
	return 0;
}

// a=simulcast:<send|recv> <streams> [<recv|send> <streams>]
int sdp_parse_simulcast(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_simulcast *s = &p->media->simulcast;

	s->line = p->line;
	for (uint32_t i = 0; i < 2 && (i == 0 || value.n > 0); i++) {
		struct sdp_text direction = sdp_text_cut(&value, ' ');
		struct sdp_text list = sdp_text_cut(&value, ' ');
		bool is_send = sdp_text_is(direction, "send");
		int ret;

		if (!is_send && !sdp_text_is(direction, "recv"))
			return SDP_REFUSE(p, "simulcast is neither send nor recv");
		if ((is_send ? s->n_send : s->n_recv) > 0)
			return SDP_REFUSE(p, "simulcast has the same direction twice");
		if (list.n == 0)
			return SDP_REFUSE(p, "simulcast lists no stream");
		ret = is_send ? parse_streams(p, list, s->send, &s->n_send)
			      : parse_streams(p, list, s->recv, &s->n_recv);
		if (ret < 0)
			return ret;
	}
	return value.n == 0 ? 0 : SDP_REFUSE(p, "something follows the simulcast streams");
}
