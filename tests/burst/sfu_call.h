// One publisher of a VP8 track and one watcher, which the tests of media and of feedback have in common.
#ifndef TP_TESTS_SFU_CALL_H
#define TP_TESTS_SFU_CALL_H

#include "tests/burst/sfu_session.h"

#define PUBLISHER 3
#define WATCHER   4
#define TRACK     5
#define SSRC      0x1111u
#define RTX_SSRC  0x2222u

#define VP8_KEY_BYTES   10
#define VP8_DELTA_BYTES 8
extern const uint8_t vp8_key[VP8_KEY_BYTES];
extern const uint8_t vp8_delta[VP8_DELTA_BYTES];

extern uint8_t plain[2048]; // what was received last
extern bool is_rtcp;

// The publisher sends under that SSRC, 0: to be learnt.
void publish(uint32_t ssrc);
void publish_profile(uint32_t ssrc, uint32_t profile);
void watch(void);
struct session_packet packet(uint32_t ssrc, uint16_t sequence, bool key);
// From the publisher under SSRC.
void media_send(uint16_t sequence, bool key);
// The next RTCP packet of a type and count toward the publisher within so long; its view is into `plain`.
bool expect_rtcp(uint8_t type, uint8_t count, struct rtcp_view *out, uint32_t within_ms);

#endif
