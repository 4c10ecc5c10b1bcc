// turnpikectl, the operators' command: reads the command line, asks the control plane, prints the
// answer.
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/ctl/command.h"
#include "controlplane/ctl/connection.h"
#include "controlplane/ctl/show.h"
#include "controlplane/ops/ctl_request.h"
#include "dataplane/contract/shm/layout.h"

enum option_bit {
	TAKES_USER = 1 << 0,
	TAKES_PEER = 1 << 1,
	TAKES_CLIENT = 1 << 2,
	TAKES_LISTENER = 1 << 3,
	TAKES_RELAYED = 1 << 4,
	TAKES_CHANNEL = 1 << 5,
	TAKES_LIMIT = 1 << 6,
	TAKES_WATCH = 1 << 7,
	TAKES_ALL = 1 << 8,
	TAKES_INTERFACE = 1 << 9,
	TAKES_TOKEN = 1 << 10, // what only tokens have
	TAKES_ROOM = 1 << 11,
	TAKES_REALM = 1 << 12,
	TAKES_CONFIG = 1 << 13,
	TAKES_LIFETIME = 1 << 14,
	TAKES_PROBE = 1 << 16, // what only the probe has
};

static int run_version(const struct command *c);

struct verb {
	const char *name;
	const char *operand; // its name, NULL when it takes none
	unsigned takes;      // enum option_bit
	show_fn show;
	int (*local)(const struct command *c); // instead of asking the control plane
	const char *help;
	const char *options; // those of its own, NULL for none
};

static const struct verb verbs[] = {
	{ "status", NULL, 0, show_status, NULL, "both processes, tables, ports", NULL },
	{ "allocations", NULL, TAKES_USER | TAKES_PEER | TAKES_CLIENT | TAKES_LIMIT,
	  show_allocations, NULL, "live allocations",
	  "[--user NAME] [--client IP[:PORT]] [--peer IP[:PORT]] [--limit N]" },
	{ "allocation show", "ID", 0, show_allocation, NULL,
	  "one allocation with its permissions and channels", NULL },
	{ "allocation kill", "ID", 0, show_killed, NULL, "end an allocation now", NULL },
	{ "explain", NULL,
	  TAKES_CLIENT | TAKES_PEER | TAKES_CHANNEL | TAKES_LISTENER | TAKES_RELAYED, show_explain,
	  NULL, "what would happen to a packet, and why",
	  "--client IP:PORT [--peer IP[:PORT]] [--channel N] [--listener IP:PORT]\n"
	  "                       --relayed IP:PORT [--peer IP[:PORT]]" },
	{ "workers", NULL, 0, show_workers, NULL, "load, packets and latency of each worker",
	  NULL },
	{ "drops", NULL, TAKES_ALL, show_drops, NULL, "dropped packets by reason",
	  "[--all: reasons at zero too]" },
	{ "stats", NULL, TAKES_WATCH, show_stats, NULL, "all counters",
	  "[--watch: with rates, each second]" },
	{ "filter", NULL, 0, show_filter, NULL, "mode and counters of the XDP filter", NULL },
	{ "rooms", NULL, TAKES_LIMIT, show_rooms, NULL, "rooms of the SFU", "[--limit N]" },
	{ "sessions", NULL, TAKES_ROOM | TAKES_LIMIT, show_sessions, NULL,
	  "publishers and watchers of the SFU", "[--room NAME] [--limit N]" },
	{ "session kill", "ID", 0, show_session_killed, NULL, "end a session now", NULL },
	{ "why", "ID", 0, show_why, NULL,
	  "why a session has media or has none, and what was decided for it", NULL },
	{ "config show", NULL, 0, show_config, NULL, "the configuration in force, without secrets",
	  NULL },
	{ "config check", "FILE", 0, NULL, run_config_check,
	  "check a configuration file; needs no control plane", NULL },
	{ "import coturn", "FILE", TAKES_INTERFACE, NULL, run_import_coturn,
	  "turn a turnserver.conf into our YAML; needs no control plane", "[--interface NAME]" },
	{ "reload", NULL, 0, show_reload, NULL, "read users, secrets, quotas and peer rules again",
	  NULL },
	{ "drain on", NULL, 0, show_drain, NULL,
	  "send new clients to the alternate servers; live sessions go on", NULL },
	{ "drain off", NULL, 0, show_drain, NULL, "take new clients again", NULL },
	{ "segment remove", NULL, 0, NULL, run_segment_remove,
	  "remove the tables of a stopped instance, with its sessions", NULL },
	{ "user list", NULL, TAKES_REALM | TAKES_LIMIT, show_users, NULL,
	  "users of the file, and all that have allocations", "[--realm R] [--limit N]" },
	{ "user show", "NAME", TAKES_REALM, show_user, NULL, "one user, with its allocations",
	  "[--realm R]" },
	{ "user kill", "NAME", TAKES_REALM, show_user_killed, NULL,
	  "end all allocations of a user now", "[--realm R]" },
	{ "user add", "NAME", TAKES_REALM | TAKES_CONFIG, NULL, run_user_add,
	  "add a user to Redis, or change its password, which is read from standard input",
	  "[--realm R] [--config FILE]" },
	{ "user remove", "NAME", TAKES_REALM | TAKES_CONFIG, NULL, run_user_remove,
	  "remove a user from Redis", "[--realm R] [--config FILE]" },
	{ "user key", "NAME", TAKES_REALM | TAKES_CONFIG, NULL, run_user_key,
	  "the key of a password from standard input, for the file",
	  "[--realm R] [--config FILE]" },
	{ "credential new", NULL, TAKES_USER | TAKES_REALM | TAKES_LIFETIME | TAKES_CONFIG, NULL,
	  run_credential_new,
	  "a time-limited TURN credential, by the first of rest_secrets; needs no control plane",
	  "[--user ID] [--lifetime 1d] [--realm R] [--config FILE]" },
	{ "token new", NULL, TAKES_TOKEN | TAKES_ROOM | TAKES_WATCH | TAKES_LIFETIME | TAKES_CONFIG,
	  NULL, run_token_new, "sign a token for the SFU's rooms; needs no control plane",
	  "--room NAME [--publish] [--watch] [--participant NAME]\n"
	  "                       [--lifetime 1h] [--config FILE]" },
	{ "probe stun", "URL", TAKES_PROBE, NULL, run_probe_stun,
	  "what a STUN server does for clients, seen from here; needs no control plane",
	  "[--ca FILE]" },
	{ "probe turn", "URL", TAKES_USER | TAKES_PROBE, NULL, run_probe_turn,
	  "the same of a TURN server, and relaying through it",
	  "[--user NAME --password PASSWORD | --secret SECRET [--user NAME]]\n"
	  "                       [--count PACKETS] [--ca FILE]" },
	{ "probe turns", "URL", TAKES_USER | TAKES_PROBE, NULL, run_probe_turns,
	  "the same over TLS, or DTLS with ?transport=udp", "as probe turn" },
	{ "version", NULL, 0, NULL, run_version, "versions of this command and of both processes",
	  NULL },
	{ NULL, NULL, 0, NULL, NULL, NULL, NULL },
};

int fail(int code, const char *format, ...)
{
	va_list args;

	fputs("turnpikectl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

static void print_verb(FILE *out, const struct verb *v)
{
	fprintf(out, "  %s%s%-*s %s\n", v->name, v->operand ? " " : "",
		(int)(20 - strlen(v->name) - (v->operand ? 1 : 0)), v->operand ? v->operand : "",
		v->help);
	if (v->options)
		fprintf(out, "                       %s\n", v->options);
}

// What the words could have meant: the verbs that begin with the first, all of them if none does.
static void print_similar(FILE *out, const char *word)
{
	size_t n = strlen(word);
	bool found = false;

	for (const struct verb *v = verbs; v->name; v++) {
		if (strncmp(v->name, word, n) != 0 || v->name[n] != ' ')
			continue;
		print_verb(out, v);
		found = true;
	}
	if (!found)
		fputs("see: turnpikectl --help\n", out);
}

static void print_usage(FILE *out)
{
	fputs("usage: turnpikectl [--instance NAME | --socket PATH] [--json] VERB ...\n\nverbs:\n",
	      out);
	for (const struct verb *v = verbs; v->name; v++)
		print_verb(out, v);
	fputs("\noptions of every verb:\n"
	      "  -i, --instance NAME  the instance to ask (default: default)\n"
	      "  -s, --socket PATH    its control socket, in place of --instance\n"
	      "  -j, --json           print the result as JSON\n"
	      "  -h, --help           this text, or that of the verb\n\n"
	      "exit codes: 0 done, 1 refused or not found, 2 wrong usage, wrong configuration or "
	      "no control plane\n"
	      "see turnpikectl(1)\n",
	      out);
}

static void print_json(const json_t *v, size_t flags)
{
	json_dumpf(v, stdout, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	putchar('\n');
	fflush(stdout);
}

static void set_text(json_t *args, const char *name, const char *value)
{
	if (value)
		json_object_set_new(args, name, json_stringn(value, strlen(value)));
}

// Decimal or 0x…; -1 for anything else.
static long long read_number(const char *text, long long max)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 0);
	return errno || end == text || *end || n < 0 || n > max ? -1 : n;
}

// The arguments of the request; NULL after a message.
static json_t *make_args(const struct command *c)
{
	json_t *args = json_object();

	set_text(args, "id", c->operand);
	set_text(args, "user", c->user);
	set_text(args, "peer", c->peer);
	set_text(args, "client", c->client);
	set_text(args, "listener", c->listener);
	set_text(args, "relayed", c->relayed);
	set_text(args, "room", c->room);
	set_text(args, "realm", c->realm);
	if (c->channel) {
		long long n = read_number(c->channel, 0xffff);

		if (n < 0) {
			fail(0, "--channel %s is no channel number; write it as 0x4000 or 16384",
			     c->channel);
			goto fail_args;
		}
		json_object_set_new(args, "channel", json_integer(n));
	}
	if (c->limit) {
		long long n = read_number(c->limit, 1000000);

		if (n < 0) {
			fail(0, "--limit %s is no number", c->limit);
			goto fail_args;
		}
		json_object_set_new(args, "limit", json_integer(n));
	}
	return args;

fail_args:
	json_decref(args);
	return NULL;
}

// Prints what the control plane refused. Returns the exit code.
static int refused(const struct command *c, const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *remedy = json_string_value(json_object_get(error, "remedy"));

	if (c->is_json)
		print_json(answer, JSON_INDENT(2));
	return fail(EXIT_VERB_FAILED, "%s; %s", message ? message : "refused",
		    remedy ? remedy : "see the log of the control plane");
}

static int connect_to(const struct command *c)
{
	char path[CTL_PATH_BYTES], error[512];
	int fd;

	if (!c->socket && ctl_path(c->instance, "ctl.sock", path) < 0) {
		fail(0, "the instance's name is too long: %s", c->instance);
		return -ENAMETOOLONG;
	}
	fd = ctl_connect(c->socket ? c->socket : path, c->instance, error, sizeof(error));
	if (fd < 0)
		fail(0, "%s", error);
	return fd;
}

static int ask(const struct command *c, const struct verb *v)
{
	json_t *args = make_args(c), *answer = NULL;
	char error[512];
	int fd = -1, code = EXIT_WRONG_USE;

	if (!args)
		return EXIT_WRONG_USE;
	fd = connect_to(c);
	if (fd < 0)
		goto out;
	if (ctl_request(fd, v->name, args, &answer, error, sizeof(error)) < 0) {
		fail(0, "%s", error);
		goto out;
	}
	if (!json_is_true(json_object_get(answer, "ok"))) {
		code = refused(c, answer);
		goto out;
	}
	code = 0;
	if (c->is_json)
		print_json(json_object_get(answer, "result"), JSON_INDENT(2));
	else if (c->with_all && v->show == show_drops)
		show_drops_all(json_object_get(answer, "result"));
	else
		v->show(json_object_get(answer, "result"));
out:
	if (fd >= 0)
		close(fd);
	json_decref(args);
	json_decref(answer);
	return code;
}

// stats --watch: until interrupted, or the reader of a pipe leaves.
static int watch(const struct command *c)
{
	bool is_terminal = isatty(STDOUT_FILENO);
	json_t *args = json_object(), *before = NULL, *answer = NULL;
	char error[512];
	int fd = connect_to(c), code = EXIT_WRONG_USE;

	while (fd >= 0) {
		const json_t *result;

		if (ctl_request(fd, "stats", args, &answer, error, sizeof(error)) < 0) {
			fail(0, "%s", error);
			break;
		}
		if (!json_is_true(json_object_get(answer, "ok"))) {
			code = refused(c, answer);
			break;
		}
		result = json_object_get(answer, "result");
		if (c->is_json) {
			print_json(result, JSON_COMPACT);
		} else {
			if (is_terminal)
				fputs("\033[H\033[J", stdout);
			show_stats_rates(result, before ? json_object_get(before, "result") : NULL);
			fputs(is_terminal ? "\nCtrl-C ends this\n" : "\n", stdout);
		}
		if (fflush(stdout) != 0) {
			code = 0;
			break;
		}
		json_decref(before);
		before = answer;
		answer = NULL;
		nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	}
	if (fd >= 0)
		close(fd);
	json_decref(args);
	json_decref(before);
	json_decref(answer);
	return code;
}

// Works without a control plane, and then says no more than its own.
static int run_version(const struct command *c)
{
	json_t *all = json_pack("{s:s, s:i, s:i, s:n, s:n}", "turnpikectl", TURNPIKE_VERSION,
				"protocol", CTL_PROTOCOL_VERSION, "layout", (int)SHM_LAYOUT_VERSION,
				"controlplane", "dataplane");
	json_t *args = json_object(), *answer = NULL;
	char path[CTL_PATH_BYTES], error[512];
	int fd = -ENOENT;

	if (c->socket || ctl_path(c->instance, "ctl.sock", path) == 0)
		fd = ctl_connect(c->socket ? c->socket : path, c->instance, error, sizeof(error));
	if (fd >= 0 && ctl_request(fd, "version", args, &answer, error, sizeof(error)) == 0)
		json_object_update_existing(all, json_object_get(answer, "result"));
	if (fd >= 0)
		close(fd);
	if (c->is_json) {
		print_json(all, JSON_INDENT(2));
	} else {
		printf("turnpikectl  %s\n", TURNPIKE_VERSION);
		if (answer)
			show_version(all);
	}
	json_decref(answer);
	json_decref(args);
	json_decref(all);
	return 0;
}

// Finds the verb of one or two words; *n_words says how many it has.
static const struct verb *find_verb(char **words, int n, int *n_words)
{
	for (const struct verb *v = verbs; v->name; v++) {
		size_t first = strcspn(v->name, " ");
		bool has_two = v->name[first] == ' ';

		if (n < 1 + has_two || strlen(words[0]) != first ||
		    strncmp(words[0], v->name, first) != 0)
			continue;
		if (has_two && strcmp(words[1], v->name + first + 1) != 0)
			continue;
		*n_words = 1 + has_two;
		return v;
	}
	return NULL;
}

static const struct option long_options[] = {
	{ "instance", required_argument, NULL, 'i' },
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "user", required_argument, NULL, 'u' },
	{ "peer", required_argument, NULL, 'p' },
	{ "client", required_argument, NULL, 'c' },
	{ "listener", required_argument, NULL, 'l' },
	{ "relayed", required_argument, NULL, 'r' },
	{ "channel", required_argument, NULL, 'n' },
	{ "limit", required_argument, NULL, 'm' },
	{ "interface", required_argument, NULL, 'I' },
	{ "watch", no_argument, NULL, 'w' },
	{ "all", no_argument, NULL, 'a' },
	{ "room", required_argument, NULL, 'R' },
	{ "participant", required_argument, NULL, 'P' },
	{ "lifetime", required_argument, NULL, 'L' },
	{ "config", required_argument, NULL, 'C' },
	{ "realm", required_argument, NULL, 'M' },
	{ "publish", no_argument, NULL, 'O' },
	{ "password", required_argument, NULL, 'W' },
	{ "secret", required_argument, NULL, 'S' },
	{ "ca", required_argument, NULL, 'A' },
	{ "count", required_argument, NULL, 'N' },
	{ NULL, 0, NULL, 0 },
};

// A copy of a secret argument, whose own bytes go out of the process list. It lives as long as the process.
static const char *take_secret(char *argument)
{
	char *copy = strdup(argument);

	memset(argument, '*', strlen(argument));
	return copy ? copy : "";
}

// Which verbs' options were given, as enum option_bit; -1 to print the usage and fail, -2 for help,
// -3 for the version.
static int read_options(int argc, char **argv, struct command *c)
{
	bool wants_help = false;
	int given = 0, o;

	while ((o = getopt_long(argc, argv, "i:s:jhVwa", long_options, NULL)) >= 0) {
		switch (o) {
		case 'i':
			c->instance = optarg;
			break;
		case 's':
			c->socket = optarg;
			break;
		case 'j':
			c->is_json = true;
			break;
		case 'h':
			wants_help = true;
			break;
		case 'V':
			return -3;
		case 'u':
			c->user = optarg;
			given |= TAKES_USER;
			break;
		case 'p':
			c->peer = optarg;
			given |= TAKES_PEER;
			break;
		case 'c':
			c->client = optarg;
			given |= TAKES_CLIENT;
			break;
		case 'l':
			c->listener = optarg;
			given |= TAKES_LISTENER;
			break;
		case 'r':
			c->relayed = optarg;
			given |= TAKES_RELAYED;
			break;
		case 'n':
			c->channel = optarg;
			given |= TAKES_CHANNEL;
			break;
		case 'm':
			c->limit = optarg;
			given |= TAKES_LIMIT;
			break;
		case 'I':
			c->interface = optarg;
			given |= TAKES_INTERFACE;
			break;
		case 'w':
			c->is_watching = true;
			given |= TAKES_WATCH;
			break;
		case 'R':
			c->room = optarg;
			given |= TAKES_ROOM;
			break;
		case 'P':
			c->participant = optarg;
			given |= TAKES_TOKEN;
			break;
		case 'L':
			c->lifetime = optarg;
			given |= TAKES_LIFETIME;
			break;
		case 'C':
			c->config = optarg;
			given |= TAKES_CONFIG;
			break;
		case 'M':
			c->realm = optarg;
			given |= TAKES_REALM;
			break;
		case 'O':
			c->may_publish = true;
			given |= TAKES_TOKEN;
			break;
		case 'W':
			c->password = take_secret(optarg);
			given |= TAKES_PROBE;
			break;
		case 'S':
			c->secret = take_secret(optarg);
			given |= TAKES_PROBE;
			break;
		case 'A':
			c->ca = optarg;
			given |= TAKES_PROBE;
			break;
		case 'N':
			c->count = optarg;
			given |= TAKES_PROBE;
			break;
		case 'a':
			c->with_all = true;
			given |= TAKES_ALL;
			break;
		default:
			return -1;
		}
	}
	return wants_help ? -2 : given;
}

int main(int argc, char **argv)
{
	struct command c = { .instance = "default" };
	const struct verb *v;
	int given, n_words = 0, n_left;

	signal(SIGPIPE, SIG_IGN);
	given = read_options(argc, argv, &c);
	v = given == -3 ? NULL : find_verb(argv + optind, argc - optind, &n_words);
	if (given == -2) {
		if (v)
			print_verb(stdout, v);
		else
			print_usage(stdout);
		return 0;
	}
	if (given == -3) {
		puts("turnpikectl " TURNPIKE_VERSION);
		return 0;
	}
	if (given == -1) {
		fputs("see: turnpikectl --help, or turnpikectl VERB --help\n", stderr);
		return EXIT_WRONG_USE;
	}
	if (optind == argc) {
		print_usage(stderr);
		return EXIT_WRONG_USE;
	}
	if (!v) {
		fail(0, "unknown verb '%s%s%s'", argv[optind], optind + 1 < argc ? " " : "",
		     optind + 1 < argc ? argv[optind + 1] : "");
		print_similar(stderr, argv[optind]);
		return EXIT_WRONG_USE;
	}
	if ((unsigned)given & ~v->takes) {
		fail(0, "'%s' does not take one of these options", v->name);
		print_verb(stderr, v);
		return EXIT_WRONG_USE;
	}
	n_left = argc - optind - n_words;
	if (n_left != (v->operand ? 1 : 0)) {
		fail(0, "usage: turnpikectl %s%s%s", v->name, v->operand ? " " : "",
		     v->operand ? v->operand : "");
		if (v->options)
			print_verb(stderr, v);
		return EXIT_WRONG_USE;
	}
	if (v->operand)
		c.operand = argv[optind + n_words];
	if (v->local)
		return v->local(&c);
	return c.is_watching ? watch(&c) : ask(&c, v);
}
