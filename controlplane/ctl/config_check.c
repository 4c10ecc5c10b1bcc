// config check FILE: reads a configuration as a start would, also that of another host.
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/config/config.h"
#include "controlplane/ctl/command.h"

// Secrets in a file that everybody may read.
static bool is_readable_by_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & 0004);
}

__attribute__((format(printf, 2, 3))) static void warn(json_t *warnings, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	json_array_append_new(warnings, json_stringn_nocheck(line, strlen(line)));
}

// A start would end at a file that it cannot read.
static void check_file(json_t *warnings, const char *config, const char *key, const char *path)
{
	if (path && access(path, R_OK) < 0)
		warn(warnings, "on this host: %s: %s: '%s' cannot be read (%s)", config, key, path,
		     strerror(errno));
}

int run_config_check(const struct command *c)
{
	char error[512], host[512] = "";
	struct config *config = NULL;
	json_t *warnings;

	if (config_parse(c->operand, &config, error, sizeof(error)) < 0) {
		if (c->is_json) {
			json_t *all = json_pack("{s:b}", "ok", 0);

			json_object_set_new(all, "error", json_string(error));
			json_dumpf(all, stdout, JSON_INDENT(2));
			putchar('\n');
			json_decref(all);
		}
		fprintf(stderr, "%s\n", error);
		return EXIT_WRONG_USE;
	}
	warnings = json_array();
	if (config_resolve_host(config, c->operand, host, sizeof(host)) < 0)
		warn(warnings, "on this host: %s", host);
	check_file(warnings, c->operand, "tls.certificate", config->tls.certificate);
	check_file(warnings, c->operand, "tls.key", config->tls.key);
	check_file(warnings, c->operand, "http.certificate", config->http.certificate);
	check_file(warnings, c->operand, "http.key", config->http.key);
	if (is_readable_by_others(c->operand))
		warn(warnings, "%s: everybody may read the secrets in it; remedy: chmod 0640 %s",
		     c->operand, c->operand);
	if (c->is_json) {
		json_t *all = json_pack("{s:b, s:s, s:O}", "ok", 1, "instance", config->instance,
					"warnings", warnings);

		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	} else {
		json_t *w;
		size_t i;

		json_array_foreach(warnings, i, w) printf("warning: %s\n", json_string_value(w));
		printf("%s: correct: instance %s, %u listener(s), %u relayed address(es), "
		       "%u user(s), %u port(s), %u worker(s)\n",
		       c->operand, config->instance,
		       config->n_listeners + config->n_stream_listeners, config->n_relays,
		       config->n_users, config->n_ports, config->n_workers);
	}
	json_decref(warnings);
	config_free(config);
	return 0;
}
