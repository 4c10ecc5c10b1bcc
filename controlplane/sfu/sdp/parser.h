// Between the files of the SDP parser: where it stands, and the readers of single attributes. Pure, any thread.
#ifndef TP_SFU_SDP_PARSER_H
#define TP_SFU_SDP_PARSER_H

#include "controlplane/sfu/sdp/session.h"

struct sdp_parser {
	struct sdp_session *session;
	struct sdp_media *media;         // NULL at session level
	struct sdp_transport *transport; // of this level: where ICE and DTLS attributes go
	struct sdp_error *error;
	uint32_t line;
	uint64_t seen;      // attributes of this level that may stand only once
	uint8_t fb_for_all; // a=rtcp-fb:* of this section
};

#define SDP_REFUSE(p, ...) sdp_refuse((p)->error, (p)->line, __VA_ARGS__)

// Reads the value of an attribute into the session or the section; 0 or -EINVAL.
typedef int (*sdp_attribute_fn)(struct sdp_parser *p, struct sdp_text value);

// "name" or "name:value" behind a=; unknown names, and known ones at a level where they mean nothing,
// are left out.
int sdp_parse_attribute(struct sdp_parser *p, struct sdp_text line);

int sdp_parse_rtpmap(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_fmtp(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_rtcp_fb(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_extmap(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_ssrc(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_ssrc_group(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_rid(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_simulcast(struct sdp_parser *p, struct sdp_text value);

int sdp_parse_ice_ufrag(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_ice_pwd(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_ice_options(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_fingerprint(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_setup(struct sdp_parser *p, struct sdp_text value);
int sdp_parse_candidate(struct sdp_parser *p, struct sdp_text value);

// The value of a=candidate (RFC 8839 §5.1), for descriptions and for trickled fragments.
int sdp_candidate_read(struct sdp_text value, uint32_t line, struct sdp_candidate *out,
		       struct sdp_error *error);

// The next line without its end; false at the end of the text. Refuses (through *ret) control characters.
bool sdp_line_next(struct sdp_text *rest, struct sdp_text *line, uint32_t *line_number,
		   struct sdp_error *error, int *ret);

#endif
