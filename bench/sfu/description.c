// Offers and answers of the load generator (RFC 8866, 8829). Pure.
#include "bench/sfu/description.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const load_rids[LOAD_LAYERS_MAX] = { "q", "h", "f" };

#define URI_TWCC "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

struct text {
	char *at;
	size_t left;
	bool overflow;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->at, t->left, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= t->left) {
		t->overflow = true;
		return;
	}
	t->at += n;
	t->left -= (size_t)n;
}

static void put_transport(struct text *t, const struct load_offer *o, const char *mid)
{
	put(t, "c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n",
	    o->ufrag, o->pwd);
	put(t, "a=ice-options:trickle\r\na=fingerprint:sha-256 ");
	for (uint32_t i = 0; i < 32; i++)
		put(t, "%s%02X", i ? ":" : "", o->fingerprint[i]);
	put(t, "\r\na=setup:actpass\r\na=mid:%s\r\n", mid);
}

static void put_direction(struct text *t, const struct load_offer *o)
{
	put(t, "a=%s\r\n", o->is_publisher ? "sendonly" : "recvonly");
	if (o->is_publisher)
		put(t, "a=msid:- load\r\n");
	put(t, "a=rtcp-mux\r\na=rtcp-rsize\r\n");
}

static void put_audio(struct text *t, const struct load_offer *o)
{
	put(t, "m=audio 9 UDP/TLS/RTP/SAVPF %d\r\n", LOAD_PT_OPUS);
	put_transport(t, o, LOAD_MID_AUDIO);
	put(t, "a=extmap:%d urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n", LOAD_EXT_AUDIO_LEVEL);
	if (!o->has_no_estimate)
		put(t, "a=extmap:%d " URI_TWCC "\r\n", LOAD_EXT_TWCC);
	put(t, "a=extmap:%d urn:ietf:params:rtp-hdrext:sdes:mid\r\n", LOAD_EXT_MID);
	put_direction(t, o);
	put(t, "a=rtpmap:%d opus/48000/2\r\n", LOAD_PT_OPUS);
	if (!o->has_no_estimate)
		put(t, "a=rtcp-fb:%d transport-cc\r\n", LOAD_PT_OPUS);
	put(t, "a=fmtp:%d minptime=10;useinbandfec=1\r\n", LOAD_PT_OPUS);
	if (o->is_publisher)
		put(t, "a=ssrc:%u cname:load\r\n", o->audio_ssrc);
}

static void put_video(struct text *t, const struct load_offer *o)
{
	// What tells of the path comes first.
	static const char *const feedback[] = { "goog-remb", "transport-cc", "ccm fir", "nack",
						"nack pli" };

	put(t, "m=video 9 UDP/TLS/RTP/SAVPF %d %d\r\n", LOAD_PT_VP8, LOAD_PT_RTX);
	put_transport(t, o, LOAD_MID_VIDEO);
	put(t,
	    "a=extmap:%d http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
	    "a=extmap:%d urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
	    "a=extmap:%d urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
	    "a=extmap:%d urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n",
	    LOAD_EXT_ABS_SEND_TIME, LOAD_EXT_MID, LOAD_EXT_RID, LOAD_EXT_REPAIRED_RID);
	if (!o->has_no_estimate)
		put(t, "a=extmap:%d " URI_TWCC "\r\n", LOAD_EXT_TWCC);
	put_direction(t, o);
	put(t, "a=rtpmap:%d VP8/90000\r\n", LOAD_PT_VP8);
	for (uint32_t i = o->has_no_estimate ? 2 : 0; i < sizeof(feedback) / sizeof(feedback[0]);
	     i++)
		put(t, "a=rtcp-fb:%d %s\r\n", LOAD_PT_VP8, feedback[i]);
	put(t, "a=rtpmap:%d rtx/90000\r\na=fmtp:%d apt=%d\r\n", LOAD_PT_RTX, LOAD_PT_RTX,
	    LOAD_PT_VP8);
	if (!o->is_publisher)
		return;
	if (o->n_layers > 1) {
		for (uint32_t i = 0; i < o->n_layers; i++)
			put(t, "a=rid:%s send\r\n", load_rids[i]);
		put(t, "a=simulcast:send ");
		for (uint32_t i = 0; i < o->n_layers; i++)
			put(t, "%s%s", i ? ";" : "", load_rids[i]);
		put(t, "\r\n");
	} else {
		put(t, "a=ssrc-group:FID %u %u\r\na=ssrc:%u cname:load\r\na=ssrc:%u cname:load\r\n",
		    o->video_ssrc, o->rtx_ssrc, o->video_ssrc, o->rtx_ssrc);
	}
}

int load_offer_write(const struct load_offer *o, char *out, size_t room)
{
	struct text t = { .at = out, .left = room };

	put(&t, "v=0\r\no=- 7458351039385418129 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
	put(&t, "a=group:BUNDLE%s%s\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n",
	    o->has_audio ? " " LOAD_MID_AUDIO : "", o->has_video ? " " LOAD_MID_VIDEO : "");
	if (o->has_audio)
		put_audio(&t, o);
	if (o->has_video)
		put_video(&t, o);
	return t.overflow ? -ENOSPC : (int)(t.at - out);
}

static bool read_fingerprint(const char *value, uint8_t out[32])
{
	if (strncasecmp(value, "sha-256 ", 8) != 0)
		return false;
	value += 8;
	for (uint32_t i = 0; i < 32; i++, value += 3) {
		char *end;
		char pair[3] = { value[0], value[0] ? value[1] : '\0', '\0' };

		out[i] = (uint8_t)strtoul(pair, &end, 16);
		if (end != pair + 2 || (i < 31 && value[2] != ':'))
			return false;
	}
	return true;
}

// candidate:F 1 udp PRIORITY ADDRESS PORT typ host …
static void read_candidate(const char *value, struct load_answer *out)
{
	struct sockaddr_in6 *to = &out->candidates[out->n_candidates];
	char address[64];
	char transport[8];
	unsigned int component;
	unsigned int port;

	if (out->n_candidates == LOAD_CANDIDATES_MAX ||
	    sscanf(value, "%*s %u %7s %*u %63s %u", &component, transport, address, &port) != 4 ||
	    component != 1 || strcasecmp(transport, "udp") != 0 || port == 0 || port > 65535)
		return;
	memset(to, 0, sizeof(*to));
	to->sin6_family = AF_INET6;
	to->sin6_port = htons((uint16_t)port);
	if (inet_pton(AF_INET6, address, &to->sin6_addr) != 1) {
		to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
		if (inet_pton(AF_INET, address, &to->sin6_addr.s6_addr[12]) != 1)
			return;
	}
	for (uint32_t i = 0; i < out->n_candidates; i++)
		if (memcmp(to, &out->candidates[i], sizeof(*to)) == 0)
			return;
	out->n_candidates++;
}

static void read_simulcast(const char *value, struct load_answer *out)
{
	uint32_t n = 1;

	if (strncmp(value, "recv ", 5) != 0)
		return;
	for (const char *p = value; *p; p++)
		n += *p == ';';
	out->n_layers = (uint8_t)(n > LOAD_LAYERS_MAX ? LOAD_LAYERS_MAX : n);
}

static void read_line(const char *line, bool is_video, bool *has_fingerprint,
		      struct load_answer *out)
{
	bool *extensions = is_video ? out->video_extensions : out->audio_extensions;
	int id;

	if (strncmp(line, "a=ice-ufrag:", 12) == 0)
		snprintf(out->ufrag, sizeof(out->ufrag), "%.256s", line + 12);
	else if (strncmp(line, "a=ice-pwd:", 10) == 0)
		snprintf(out->pwd, sizeof(out->pwd), "%.256s", line + 10);
	else if (strncmp(line, "a=fingerprint:", 14) == 0)
		*has_fingerprint |= read_fingerprint(line + 14, out->fingerprint);
	else if (strncmp(line, "a=setup:", 8) == 0)
		out->is_passive = strcmp(line + 8, "passive") == 0;
	else if (strncmp(line, "a=candidate:", 12) == 0)
		read_candidate(line + 12, out);
	else if (strcmp(line, "a=ice-lite") == 0)
		out->is_lite = true;
	else if (strcmp(line, "a=rtcp-rsize") == 0)
		out->has_rtcp_rsize = true;
	else if (strncmp(line, "a=simulcast:", 12) == 0)
		read_simulcast(line + 12, out);
	else if (strncmp(line, "a=rtpmap:97 rtx", 15) == 0)
		out->has_rtx = true;
	else if (sscanf(line, "a=extmap:%d", &id) == 1 && id > 0 && id < 16)
		extensions[id] = true;
}

int load_answer_read(const char *text, struct load_answer *out, const char **reason)
{
	bool has_fingerprint = false;
	bool is_video = false;

	memset(out, 0, sizeof(*out));
	out->n_layers = 1;
	while (*text) {
		char line[1024];
		size_t n = strcspn(text, "\r\n");

		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		text += n;
		text += strspn(text, "\r\n");
		if (strncmp(line, "m=", 2) == 0) {
			is_video = strncmp(line, "m=video", 7) == 0;
			if (strncmp(strchr(line, ' ') ? strchr(line, ' ') : "", " 0 ", 3) == 0) {
				*reason = "a media section is refused";
				return -EINVAL;
			}
		}
		read_line(line, is_video, &has_fingerprint, out);
	}
	*reason = !out->ufrag[0] || !out->pwd[0] ? "no ICE credentials"
		  : !has_fingerprint             ? "no SHA-256 fingerprint"
		  : !out->is_passive             ? "setup is not passive"
		  : out->n_candidates == 0       ? "no UDP candidate"
						 : NULL;
	return *reason ? -EINVAL : 0;
}
