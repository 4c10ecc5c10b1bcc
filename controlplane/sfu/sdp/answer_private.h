// Between the files that write answers. Pure, any thread.
#ifndef TP_SFU_SDP_ANSWER_PRIVATE_H
#define TP_SFU_SDP_ANSWER_PRIVATE_H

#include "controlplane/sfu/sdp/answer.h"

// Text that grows within bounds. What does not fit is left out, and is_full says so.
struct sdp_writer {
	char *out;
	size_t capacity_bytes;
	size_t n_bytes;
	bool is_full;
};

// Appends one line, CRLF included.
void sdp_write_line(struct sdp_writer *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// Closes the text with NUL: its length, or -ENOSPC.
int sdp_write_end(struct sdp_writer *w);

// a=group:BUNDLE of the sections that are taken.
void sdp_write_bundle(struct sdp_writer *w, const struct sdp_negotiated *n);
// The section that carries the transport (the first taken), or NULL.
const struct sdp_kept_media *sdp_tagged_media(const struct sdp_negotiated *n);
// m=, with the port and c= of the first candidate (RFC 8839 §4.2.1.2) or, if rejected, with port 0.
void sdp_write_media(struct sdp_writer *w, const struct sdp_kept_media *m,
		     const struct sdp_answer_params *params);
// ice-ufrag, ice-pwd.
void sdp_write_credentials(struct sdp_writer *w, const struct sdp_answer_params *params);
// Every candidate, and that there are no more.
void sdp_write_candidates(struct sdp_writer *w, const struct sdp_answer_params *params);

#endif
