// Codecs by name, clock rate and format parameters. Pure, any thread.
#include "controlplane/sfu/sdp/codec.h"

#include <errno.h>

static const struct {
	const char *name;
	uint32_t clock_rate;
	uint8_t channels;
	enum sdp_kind kind;
} codecs[SDP_CODEC_COUNT] = {
	[SDP_CODEC_UNKNOWN] = { "unknown", 0, 0, SDP_KIND_OTHER },
	[SDP_CODEC_OPUS] = { "opus", 48000, 2, SDP_KIND_AUDIO },
	[SDP_CODEC_VP8] = { "VP8", 90000, 1, SDP_KIND_VIDEO },
	[SDP_CODEC_VP9] = { "VP9", 90000, 1, SDP_KIND_VIDEO },
	[SDP_CODEC_H264] = { "H264", 90000, 1, SDP_KIND_VIDEO },
	[SDP_CODEC_AV1] = { "AV1", 90000, 1, SDP_KIND_VIDEO },
	[SDP_CODEC_RTX] = { "rtx", 90000, 1, SDP_KIND_VIDEO },
};

const char *sdp_codec_name(enum sdp_codec_kind kind)
{
	return codecs[kind < SDP_CODEC_COUNT ? kind : SDP_CODEC_UNKNOWN].name;
}

struct sdp_text sdp_fmtp_value(struct sdp_text fmtp, const char *name)
{
	while (fmtp.n > 0) {
		struct sdp_text value = sdp_text_cut(&fmtp, ';');

		while (value.n > 0 && value.at[0] == ' ') {
			value.at++;
			value.n--;
		}
		if (sdp_text_is_nocase(sdp_text_cut(&value, '='), name))
			return value;
	}
	return (struct sdp_text){ 0 };
}

static int small_number(const struct sdp_codec *c, const char *name, uint64_t max, uint8_t *out,
			struct sdp_error *error)
{
	struct sdp_text value = sdp_fmtp_value(c->fmtp, name);
	uint64_t number = 0;

	if (value.n > 0 && !sdp_text_number(value, 0, max, &number))
		return sdp_refuse(error, c->fmtp_line, "%s is not from 0 to %u", name,
				  (unsigned int)max);
	*out = (uint8_t)number;
	return 0;
}

// RFC 6184 §8.1, table 5.
static enum sdp_h264_profile h264_profile(uint8_t idc, uint8_t iop)
{
	switch (idc) {
	case 0x42:
		return iop & 0x40 ? SDP_H264_CONSTRAINED_BASELINE : SDP_H264_BASELINE;
	case 0x4d:
		return iop & 0x80 ? SDP_H264_CONSTRAINED_BASELINE : SDP_H264_MAIN;
	case 0x58:
		if ((iop & 0xc0) == 0xc0)
			return SDP_H264_CONSTRAINED_BASELINE;
		return (iop & 0xc0) == 0x80 ? SDP_H264_BASELINE : SDP_H264_OTHER;
	case 0x64:
		if (iop == 0x0c)
			return SDP_H264_CONSTRAINED_HIGH;
		return iop == 0 ? SDP_H264_HIGH : SDP_H264_OTHER;
	default:
		return SDP_H264_OTHER;
	}
}

static int h264_format(const struct sdp_codec *c, struct sdp_format *out, struct sdp_error *error)
{
	struct sdp_text id = sdp_fmtp_value(c->fmtp, "profile-level-id");
	uint32_t bits = 0x42000a; // RFC 6184 §8.1: without it, Baseline level 1

	if (id.n > 0) {
		bits = 0;
		for (uint32_t i = 0; i < id.n; i++) {
			int digit = sdp_hex_digit(id.at[i]);

			if (id.n != 6 || digit < 0)
				return sdp_refuse(error, c->fmtp_line,
						  "profile-level-id is not six hexadecimal digits");
			bits = bits << 4 | (uint32_t)digit;
		}
	}
	out->profile = (uint8_t)h264_profile((uint8_t)(bits >> 16), (uint8_t)(bits >> 8));
	return small_number(c, "packetization-mode", 2, &out->packetization_mode, error);
}

// RFC 4588 §8.6: apt is required, and names a payload type of the same section.
static int rtx_format(const struct sdp_codec *c, struct sdp_format *out, struct sdp_error *error)
{
	struct sdp_text value = sdp_fmtp_value(c->fmtp, "apt");
	uint64_t apt;

	if (value.n == 0)
		return sdp_refuse(error, c->fmtp_line != 0 ? c->fmtp_line : c->line,
				  "payload type %u is rtx without apt", c->pt);
	if (!sdp_text_number(value, 0, 127, &apt))
		return sdp_refuse(error, c->fmtp_line, "apt is not a payload type (0 to 127)");
	out->apt = (uint8_t)apt;
	return 0;
}

int sdp_codec_format(const struct sdp_codec *c, enum sdp_kind kind, struct sdp_format *out,
		     struct sdp_error *error)
{
	*out = (struct sdp_format){ .apt = SDP_PT_NONE };
	for (uint32_t i = SDP_CODEC_UNKNOWN + 1; i < SDP_CODEC_COUNT; i++)
		if (codecs[i].kind == kind && sdp_text_is_nocase(c->name, codecs[i].name) &&
		    c->clock_rate == codecs[i].clock_rate && c->channels == codecs[i].channels)
			out->kind = (enum sdp_codec_kind)i;
	switch (out->kind) {
	case SDP_CODEC_VP9:
		return small_number(c, "profile-id", 3, &out->profile, error);
	case SDP_CODEC_AV1:
		return small_number(c, "profile", 2, &out->profile, error);
	case SDP_CODEC_H264:
		return h264_format(c, out, error);
	case SDP_CODEC_RTX:
		return rtx_format(c, out, error);
	default:
		return 0;
	}
}
