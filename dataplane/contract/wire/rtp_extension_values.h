// The values of the RTP header extensions that the SFU reads or stamps. Each reader takes the value of one element, refuses
// another length with false, and leaves *out untouched then. Pure, any thread.
#ifndef TP_WIRE_RTP_EXTENSION_VALUES_H
#define TP_WIRE_RTP_EXTENSION_VALUES_H

#include "dataplane/contract/wire/rtp_extension.h"

// RFC 6464 §3: one byte, V and the level in -dBov (0 loudest, 127 silence).
struct rtp_audio_level {
	uint8_t minus_dbov;
	bool voice;
};

static inline bool rtp_audio_level_read(const struct rtp_extension *e, struct rtp_audio_level *out)
{
	if (e->value_bytes != 1)
		return false;
	out->voice = e->value[0] & 0x80;
	out->minus_dbov = e->value[0] & 0x7f;
	return true;
}

#define RTP_ABS_SEND_TIME_BYTES 3

// http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time: 24 bits, seconds as 6.18 fixed point; wraps every 64 s.
static inline bool rtp_abs_send_time_read(const struct rtp_extension *e, uint32_t *out)
{
	if (e->value_bytes != RTP_ABS_SEND_TIME_BYTES)
		return false;
	*out = (uint32_t)e->value[0] << 16 | bytes_get_be16(e->value + 1);
	return true;
}

static inline void rtp_abs_send_time_write(uint8_t value[RTP_ABS_SEND_TIME_BYTES], uint32_t time)
{
	value[0] = (uint8_t)(time >> 16);
	bytes_put_be16(value + 1, (uint16_t)time);
}

// Any clock in nanoseconds as 6.18 seconds.
static inline uint32_t rtp_abs_send_time_from_ns(uint64_t now_ns)
{
	uint64_t sixty_four_s_ns = UINT64_C(64000000000);

	return (uint32_t)(((now_ns % sixty_four_s_ns) << 18) / UINT64_C(1000000000)) & 0xffffff;
}

#define RTP_TWCC_SEQUENCE_BYTES 2

// draft-holmer-rmcat-transport-wide-cc-extensions-01 §2: 16-bit sequence number. The second version of the extension has 2
// more bytes (a feedback request), which are not read.
static inline bool rtp_twcc_sequence_read(const struct rtp_extension *e, uint16_t *out)
{
	if (e->value_bytes != RTP_TWCC_SEQUENCE_BYTES && e->value_bytes != 4)
		return false;
	*out = bytes_get_be16(e->value);
	return true;
}

// RFC 9143 §15.1 (mid: characters of a token) and RFC 8852 §3 (rid and repaired rid: letters and digits; '-' and '_' are let
// pass because RFC 8851 §10 has them in `a=rid`). The value is 1..255 characters without terminator; *out points into the
// packet. Anything else is refused.
bool rtp_mid_read(const struct rtp_extension *e, const char **out, uint8_t *out_chars);
bool rtp_rid_read(const struct rtp_extension *e, const char **out, uint8_t *out_chars);

#endif
