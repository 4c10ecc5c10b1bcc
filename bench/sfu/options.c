// The command line of sfu_load.
#include "bench/sfu/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: sfu_load --whip URL --whep URL [--token T | --whip-token T --whep-token T]\n"
	"  URLs may contain {room} (load-0, …) and {publisher} (p0, …): "
	"https://host/whip/{room}/{publisher}\n"
	"  --rooms N         rooms                                 (1)\n"
	"  --publishers N    publishers in each room               (1)\n"
	"  --watchers N      watchers of each publisher            (1)\n"
	"  --warmup S        seconds before counting begins        (2)\n"
	"  --seconds S       seconds that are counted              (10)\n"
	"  --layers N        simulcast encodings of VP8, 1 to 3    (1)\n"
	"  --temporal N      temporal layers of each, 1 to 3       (1)\n"
	"  --bitrate BPS     of the highest encoding               (1500000)\n"
	"  --packet-bytes N  of video RTP packets, 136 to 1368     (1200)\n"
	"  --fps N           frames per second                     (30)\n"
	"  --burst-ms N      a frame's packets go within so long   (evenly spaced)\n"
	"  --key-bytes N     of a key frame, with --burst-ms       (as others)\n"
	"  --key-every N     frames from key frame to key frame    (when asked for)\n"
	"  --no-estimate     watchers offer neither transport-cc nor goog-remb\n"
	"  --no-audio --no-video --no-nack --no-twcc\n"
	"  --profiles TEXT   offered in DTLS, by preference        "
	"(SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80)\n"
	"  --max-loss SHARE  lost after repair, above is failure   (0.001)\n"
	"  --server-pid PID  tells the CPU time of that process, too\n"
	"  --json FILE       results; - is stdout\n"
	"Exit code: 0 when all joined and every packet was right, 1 when not, 2 for wrong usage.\n";

enum {
	OPT_WHIP = 1,
	OPT_WHEP,
	OPT_TOKEN,
	OPT_WHIP_TOKEN,
	OPT_WHEP_TOKEN,
	OPT_ROOMS,
	OPT_PUBLISHERS,
	OPT_WATCHERS,
	OPT_WARMUP,
	OPT_SECONDS,
	OPT_LAYERS,
	OPT_TEMPORAL,
	OPT_BITRATE,
	OPT_PACKET_BYTES,
	OPT_FPS,
	OPT_BURST_MS,
	OPT_KEY_BYTES,
	OPT_KEY_EVERY,
	OPT_NO_ESTIMATE,
	OPT_NO_AUDIO,
	OPT_NO_VIDEO,
	OPT_NO_NACK,
	OPT_NO_TWCC,
	OPT_PROFILES,
	OPT_MAX_LOSS,
	OPT_SERVER_PID,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "whip", required_argument, NULL, OPT_WHIP },
	{ "whep", required_argument, NULL, OPT_WHEP },
	{ "token", required_argument, NULL, OPT_TOKEN },
	{ "whip-token", required_argument, NULL, OPT_WHIP_TOKEN },
	{ "whep-token", required_argument, NULL, OPT_WHEP_TOKEN },
	{ "rooms", required_argument, NULL, OPT_ROOMS },
	{ "publishers", required_argument, NULL, OPT_PUBLISHERS },
	{ "watchers", required_argument, NULL, OPT_WATCHERS },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "layers", required_argument, NULL, OPT_LAYERS },
	{ "temporal", required_argument, NULL, OPT_TEMPORAL },
	{ "bitrate", required_argument, NULL, OPT_BITRATE },
	{ "packet-bytes", required_argument, NULL, OPT_PACKET_BYTES },
	{ "fps", required_argument, NULL, OPT_FPS },
	{ "burst-ms", required_argument, NULL, OPT_BURST_MS },
	{ "key-bytes", required_argument, NULL, OPT_KEY_BYTES },
	{ "key-every", required_argument, NULL, OPT_KEY_EVERY },
	{ "no-estimate", no_argument, NULL, OPT_NO_ESTIMATE },
	{ "no-audio", no_argument, NULL, OPT_NO_AUDIO },
	{ "no-video", no_argument, NULL, OPT_NO_VIDEO },
	{ "no-nack", no_argument, NULL, OPT_NO_NACK },
	{ "no-twcc", no_argument, NULL, OPT_NO_TWCC },
	{ "profiles", required_argument, NULL, OPT_PROFILES },
	{ "max-loss", required_argument, NULL, OPT_MAX_LOSS },
	{ "server-pid", required_argument, NULL, OPT_SERVER_PID },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno == 0 && end != text && *end == '\0' && text[0] != '-' && *out >= min &&
	    *out <= max)
		return true;
	fprintf(stderr, "sfu_load: \"%s\" is no number from %lu to %lu\n", text, min, max);
	return false;
}

static bool take_number(struct load_options *o, int option, const char *text)
{
	uint64_t v;
	bool ok;

	switch (option) {
	case OPT_ROOMS:
		ok = number(text, 1, 10000, &v);
		o->n_rooms = (uint32_t)v;
		return ok;
	case OPT_PUBLISHERS:
		ok = number(text, 1, 1000, &v);
		o->n_publishers = (uint32_t)v;
		return ok;
	case OPT_WATCHERS:
		ok = number(text, 0, 10000, &v);
		o->n_watchers = (uint32_t)v;
		return ok;
	case OPT_WARMUP:
		ok = number(text, 0, 3600, &v);
		o->warmup_s = (uint32_t)v;
		return ok;
	case OPT_SECONDS:
		ok = number(text, 1, 86400, &v);
		o->seconds = (uint32_t)v;
		return ok;
	case OPT_LAYERS:
		ok = number(text, 1, LOAD_LAYERS_MAX, &v);
		o->media.n_layers = (uint8_t)v;
		return ok;
	case OPT_TEMPORAL:
		ok = number(text, 1, 3, &v);
		o->media.n_temporal = (uint8_t)v;
		return ok;
	case OPT_SERVER_PID:
		ok = number(text, 1, INT32_MAX, &v);
		o->server_pid = (uint32_t)v;
		return ok;
	case OPT_BITRATE:
		ok = number(text, 10000, 1000000000, &v);
		o->media.video_bps = (uint32_t)v;
		return ok;
	case OPT_PACKET_BYTES:
		ok = number(text, 136, 1368, &v);
		o->media.packet_bytes = (uint16_t)v;
		return ok;
	case OPT_BURST_MS:
		ok = number(text, 1, 1000, &v);
		o->media.burst_us = (uint32_t)v * 1000;
		return ok;
	case OPT_KEY_BYTES:
		ok = number(text, 1400, 10000000, &v);
		o->media.key_bytes = (uint32_t)v;
		return ok;
	case OPT_KEY_EVERY:
		ok = number(text, 1, 100000, &v);
		o->media.key_every_frames = (uint32_t)v;
		return ok;
	default:
		ok = number(text, 1, 240, &v);
		o->media.frames_per_s = (uint32_t)v;
		return ok;
	}
}

static bool take(struct load_options *o, int option, char *text)
{
	char *end;

	switch (option) {
	case OPT_WHIP:
		o->whip = text;
		return true;
	case OPT_WHEP:
		o->whep = text;
		return true;
	case OPT_TOKEN:
		o->whip_token = text;
		o->whep_token = text;
		return true;
	case OPT_WHIP_TOKEN:
		o->whip_token = text;
		return true;
	case OPT_WHEP_TOKEN:
		o->whep_token = text;
		return true;
	case OPT_NO_AUDIO:
		o->media.has_audio = false;
		return true;
	case OPT_NO_VIDEO:
		o->media.has_video = false;
		return true;
	case OPT_NO_NACK:
		o->media.sends_nack = false;
		return true;
	case OPT_NO_ESTIMATE:
		o->media.has_estimate = false;
		return true;
	case OPT_NO_TWCC:
		o->media.sends_twcc = false;
		return true;
	case OPT_PROFILES:
		o->profiles = text;
		return true;
	case OPT_JSON:
		o->json = text;
		return true;
	case OPT_MAX_LOSS:
		o->loss_max = strtod(text, &end);
		return end != text && *end == '\0' && o->loss_max >= 0 && o->loss_max <= 1;
	default:
		return take_number(o, option, text);
	}
}

int load_options_read(int argc, char **argv, struct load_options *out)
{
	int option;

	*out = (struct load_options){
		.profiles = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80",
		.n_rooms = 1,
		.n_publishers = 1,
		.n_watchers = 1,
		.warmup_s = 2,
		.seconds = 10,
		.loss_max = 0.001,
		.media = { .has_audio = true,
			   .has_video = true,
			   .n_layers = 1,
			   .n_temporal = 1,
			   .packet_bytes = 1200,
			   .video_bps = 1500000,
			   .frames_per_s = 30,
			   .has_estimate = true,
			   .sends_nack = true,
			   .sends_twcc = true },
	};
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			fputs(usage, stdout);
			return 1;
		}
		if (option == '?' || !take(out, option, optarg))
			goto fail_usage;
	}
	if (optind < argc || !out->whip || (!out->whep && out->n_watchers) ||
	    (!out->media.has_audio && !out->media.has_video) ||
	    (out->media.key_bytes && !out->media.burst_us))
		goto fail_usage;
	return 0;

fail_usage:
	fputs(usage, stderr);
	return -EINVAL;
}

bool load_url_expand(const char *template_text, uint32_t room, uint32_t publisher,
		     char out[HTTP_URL_BYTES])
{
	size_t n = 0;

	while (*template_text) {
		int done;

		if (strncmp(template_text, "{room}", 6) == 0) {
			done = snprintf(out + n, HTTP_URL_BYTES - n, "load-%u", room);
			template_text += 6;
		} else if (strncmp(template_text, "{publisher}", 11) == 0) {
			done = snprintf(out + n, HTTP_URL_BYTES - n, "p%u", publisher);
			template_text += 11;
		} else {
			done = snprintf(out + n, HTTP_URL_BYTES - n, "%c", *template_text++);
		}
		n += (size_t)done;
		if (n >= HTTP_URL_BYTES)
			return false;
	}
	return true;
}
