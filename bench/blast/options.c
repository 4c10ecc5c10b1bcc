// Reading the generator's command line. Cold; main thread.
#include "bench/blast/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage_text[] =
	"usage: blast pcap --out FILE [traffic]           write a pcap file\n"
	"       blast run --port DEVICE [traffic] [load]  send, receive and check\n"
	"       blast cycles --port DEVICE --user NAME --password WORD [load]\n"
	"                                                 authenticated Allocate to Refresh 0\n"
	"       blast binding --port DEVICE [load]        STUN Binding requests\n"
	"traffic: --flows N (1000)            --family v4|v6|v4v6|v6v4 (v4; client, then peer)\n"
	"         --size 64|…|imix|av (200)   --direction up|down|both (both)\n"
	"         --order round|uniform|zipf (uniform)     --seed N (1)\n"
	"         --indications               Send and Data instead of ChannelData\n"
	"         --hairpin                   flow i sends to the relayed address of flow i ^ 1\n"
	"         --frames N (65536)          frames of a pcap file\n"
	"         --mac MAC --gateway-mac MAC of the generator and of the relay\n"
	"port:    --port DEVICE               net_memif0,role=client,…, net_af_xdp0,iface=…, "
	"0000:01:00.0\n"
	"         --cpu N (1)  --memory-mb N (512)  --wait SECONDS for its link (10)\n"
	"load:    --rate PPS|max|search (max) --seconds S (5)  --warmup S (0.5)\n"
	"         --loss-tolerance SHARE (0)  --resolution SHARE (0.02)  --retries N (1)\n"
	"         --user NAME --password WORD allocate through the control plane; without them the "
	"flows\n"
	"                                     must be in its tables (bench/preload)\n"
	"         --window N (64)             transactions under way at once\n"
	"         --echo                      the other end sends everything back as it is\n"
	"         --reflect                   the other end answers to the sender what it got\n"
	"         --json FILE                 result (standard output)   --quiet\n"
	"         --hold                      stay until killed, so that the other end ends "
	"first\n";

enum {
	OPT_OUT = 256,
	OPT_FLOWS,
	OPT_FAMILY,
	OPT_SIZE,
	OPT_DIRECTION,
	OPT_ORDER,
	OPT_SEED,
	OPT_INDICATIONS,
	OPT_HAIRPIN,
	OPT_FRAMES,
	OPT_MAC,
	OPT_GATEWAY_MAC,
	OPT_PORT,
	OPT_CPU,
	OPT_MEMORY,
	OPT_WAIT,
	OPT_RATE,
	OPT_SECONDS,
	OPT_WARMUP,
	OPT_LOSS,
	OPT_RESOLUTION,
	OPT_RETRIES,
	OPT_USER,
	OPT_PASSWORD,
	OPT_WINDOW,
	OPT_ECHO,
	OPT_REFLECT,
	OPT_JSON,
	OPT_QUIET,
	OPT_HOLD,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "out", required_argument, NULL, OPT_OUT },
	{ "flows", required_argument, NULL, OPT_FLOWS },
	{ "family", required_argument, NULL, OPT_FAMILY },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "direction", required_argument, NULL, OPT_DIRECTION },
	{ "order", required_argument, NULL, OPT_ORDER },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "indications", no_argument, NULL, OPT_INDICATIONS },
	{ "hairpin", no_argument, NULL, OPT_HAIRPIN },
	{ "frames", required_argument, NULL, OPT_FRAMES },
	{ "mac", required_argument, NULL, OPT_MAC },
	{ "gateway-mac", required_argument, NULL, OPT_GATEWAY_MAC },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "memory-mb", required_argument, NULL, OPT_MEMORY },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "warmup", required_argument, NULL, OPT_WARMUP },
	{ "loss-tolerance", required_argument, NULL, OPT_LOSS },
	{ "resolution", required_argument, NULL, OPT_RESOLUTION },
	{ "retries", required_argument, NULL, OPT_RETRIES },
	{ "user", required_argument, NULL, OPT_USER },
	{ "password", required_argument, NULL, OPT_PASSWORD },
	{ "window", required_argument, NULL, OPT_WINDOW },
	{ "echo", no_argument, NULL, OPT_ECHO },
	{ "reflect", no_argument, NULL, OPT_REFLECT },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "hold", no_argument, NULL, OPT_HOLD },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int number(const char *text, double low, double high, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *text == '\0' || *end != '\0' || !(*out >= low && *out <= high) ? -EINVAL : 0;
}

static int count(const char *text, uint32_t low, uint32_t high, uint32_t *out)
{
	double v;

	if (number(text, low, high, &v) < 0 || v != (double)(uint32_t)v)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static int mac_parse(const char *text, uint8_t out[6])
{
	int n = 0;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &out[0], &out[1], &out[2],
		   &out[3], &out[4], &out[5], &n) != 6 ||
	    text[n] != '\0')
		return -EINVAL;
	return 0;
}

static int rate_parse(const char *text, struct blast_options *out)
{
	out->is_search = strcmp(text, "search") == 0;
	out->rate = 0;
	if (out->is_search || strcmp(text, "max") == 0)
		return 0;
	return number(text, 1, 1e9, &out->rate);
}

static int load_option_set(int opt, const char *arg, struct blast_options *out)
{
	switch (opt) {
	case OPT_PORT:
		out->port.device = arg;
		return 0;
	case OPT_CPU:
		return count(arg, 0, 1023, &out->port.cpu);
	case OPT_MEMORY:
		return count(arg, 64, 65536, &out->port.memory_mb);
	case OPT_WAIT:
		return count(arg, 0, 600, &out->wait_seconds);
	case OPT_RATE:
		return rate_parse(arg, out);
	case OPT_SECONDS:
		return number(arg, 0.01, 86400, &out->seconds);
	case OPT_WARMUP:
		return number(arg, 0, 3600, &out->warmup_seconds);
	case OPT_LOSS:
		return number(arg, 0, 1, &out->loss_tolerance);
	case OPT_RESOLUTION:
		return number(arg, 0.001, 0.5, &out->resolution);
	case OPT_RETRIES:
		return count(arg, 0, 10, &out->n_retries);
	case OPT_USER:
		out->user = arg;
		return 0;
	case OPT_PASSWORD:
		out->password = arg;
		return 0;
	case OPT_WINDOW:
		return count(arg, 1, 1u << 20, &out->window);
	case OPT_ECHO:
		out->use.is_echo = true;
		return 0;
	case OPT_REFLECT:
		out->use.is_reflected = true;
		return 0;
	case OPT_JSON:
		out->json_path = arg;
		return 0;
	case OPT_QUIET:
		out->is_quiet = true;
		return 0;
	case OPT_HOLD:
		out->is_held = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int option_set(int opt, const char *arg, struct blast_options *out)
{
	switch (opt) {
	case OPT_OUT:
		out->out_path = arg;
		return 0;
	case OPT_FLOWS:
		return count(arg, 1, FLOW_PLAN_FLOWS_MAX, &out->plan.n_flows);
	case OPT_FAMILY:
		return flow_plan_family_parse(arg, &out->plan);
	case OPT_SIZE:
		out->mix.size = arg;
		return 0;
	case OPT_DIRECTION:
		return mix_direction_parse(arg, &out->mix.direction);
	case OPT_ORDER:
		return mix_order_parse(arg, &out->mix.order);
	case OPT_SEED: {
		uint32_t seed = 0;
		int ret = count(arg, 0, UINT32_MAX, &seed);

		out->mix.seed = seed;
		return ret;
	}
	case OPT_INDICATIONS:
		out->use.use_indications = true;
		return 0;
	case OPT_HAIRPIN:
		out->plan.is_hairpin = true;
		return 0;
	case OPT_FRAMES:
		return count(arg, 1, 1u << 26, &out->n_frames);
	case OPT_MAC:
		return mac_parse(arg, out->macs.source);
	case OPT_GATEWAY_MAC:
		return mac_parse(arg, out->macs.destination);
	default:
		return load_option_set(opt, arg, out);
	}
}

static int options_check(const struct blast_options *o)
{
	const char *why = NULL;

	if (o->verb == BLAST_PCAP && o->out_path == NULL)
		why = "pcap needs --out FILE";
	else if (o->verb != BLAST_PCAP && o->port.device == NULL)
		why = "--port DEVICE is missing";
	else if ((o->user == NULL) != (o->password == NULL))
		why = "--user and --password go together";
	else if (o->verb == BLAST_CYCLES && o->user == NULL)
		why = "cycles needs --user and --password";
	else if (o->plan.is_hairpin && (o->plan.n_flows & 1))
		why = "--hairpin needs an even number of --flows";
	else if (o->plan.is_hairpin && o->mix.direction != MIX_UP_ONLY)
		why = "--hairpin has no peers: add --direction up";
	else if (o->verb != BLAST_RUN && o->is_search)
		why = "only run takes --rate search";
	if (why == NULL)
		return 0;
	fprintf(stderr, "blast: %s (blast --help)\n", why);
	return -EINVAL;
}

int blast_options_parse(int argc, char **argv, struct blast_options *out)
{
	static const char *const verbs[] = { "pcap", "run", "cycles", "binding" };
	int opt;

	*out = (struct blast_options){
		.verb = BLAST_VERB_COUNT,
		.plan.n_flows = 1000,
		.use.ttl = 64,
		.mix = { .order = MIX_UNIFORM, .direction = MIX_BOTH, .size = "200", .seed = 1 },
		.port.cpu = 1,
		.n_frames = 65536,
		.seconds = 5,
		.warmup_seconds = 0.5,
		.n_retries = 1,
		.window = 64,
		.wait_seconds = 10,
	};
	memcpy(out->macs.source, flow_plan_outside_mac, 6);
	memcpy(out->macs.destination, flow_plan_relay_mac, 6);
	for (uint32_t i = 0; argc > 1 && i < BLAST_VERB_COUNT; i++) {
		if (strcmp(argv[1], verbs[i]) == 0)
			out->verb = (enum blast_verb)i;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage_text, stdout);
		exit(0);
	}
	if (out->verb == BLAST_VERB_COUNT) {
		fputs(usage_text, stderr);
		return -EINVAL;
	}
	while ((opt = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			fputs(usage_text, stdout);
			exit(0);
		}
		if (opt == '?')
			return -EINVAL; // getopt said why
		if (option_set(opt, optarg, out) < 0) {
			fprintf(stderr, "blast: %s: not a value it takes (blast --help)\n", optarg);
			return -EINVAL;
		}
	}
	if (optind < argc - 1) {
		fprintf(stderr, "blast: %s: no such argument (blast --help)\n", argv[optind + 1]);
		return -EINVAL;
	}
	out->mix.n_flows = out->plan.n_flows;
	if (out->verb == BLAST_PCAP)
		out->mix.n_items = out->n_frames;
	return options_check(out);
}
