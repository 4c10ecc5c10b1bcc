// Offers for the tests: real ones from tests/vectors/sdp, and edited copies of a small one. One thread.
#ifndef TP_TESTS_SDP_RIG_H
#define TP_TESTS_SDP_RIG_H

#include "controlplane/sfu/sdp/answer.h"

// One text, its model, what was kept, and the answer; the last call's.
extern char sdp_rig_text[SDP_TEXT_BYTES_MAX + 1];
extern char sdp_rig_answer[SDP_TEXT_BYTES_MAX];
extern struct sdp_session sdp_rig_offer;
extern struct sdp_negotiated sdp_rig_kept;
extern struct sdp_session sdp_rig_answered; // the answer, parsed
extern struct sdp_error sdp_rig_error;
extern struct sdp_policy sdp_rig_policy;

// Puts the small offer into sdp_rig_text: one audio (opus), one video section (VP8 with RTX), CRLF line ends;
// and the default policy of a publisher.
void sdp_rig_start(void);
// Replaces the first `from` by `to`; it must be there.
void sdp_rig_edit(const char *from, const char *to);
// Loads a file of tests/vectors/sdp, and the default policy of a publisher or watcher.
void sdp_rig_load(const char *name, enum sdp_role role);

int sdp_rig_parse(void);
// Parses and negotiates.
int sdp_rig_negotiate(void);
// All of it: sdp_rig_answer holds what follows, or the test fails with the reason.
void sdp_rig_accept(void);
// Is the text refused, at the line that starts with `line` (NULL: as a whole), with this in the reason?
void sdp_rig_expect_refused(const char *line, const char *reason);

#endif
