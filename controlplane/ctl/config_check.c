// config check FILE: reads a configuration as a start would, also that of another host.
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "controlplane/config/config.h"
#include "controlplane/ctl/command.h"

// Secrets in a file that everybody may read.
static bool is_readable_by_others(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & 0004);
}

int run_config_check(const struct command *c)
{
	char error[512], host[512] = "", mode[512] = "";
	struct config *config = NULL;
	json_t *warnings;

	if (config_parse(c->operand, &config, error, sizeof(error)) < 0) {
		if (c->is_json)
			printf("{\"ok\":false}\n");
		fprintf(stderr, "%s\n", error);
		return EXIT_WRONG_USE;
	}
	warnings = json_array();
	if (config_resolve_host(config, c->operand, host, sizeof(host)) < 0)
		json_array_append_new(warnings, json_string(host));
	if (is_readable_by_others(c->operand)) {
		snprintf(mode, sizeof(mode),
			 "%s: everybody may read the secrets in it; remedy: chmod 0640 %s",
			 c->operand, c->operand);
		json_array_append_new(warnings, json_string(mode));
	}
	if (c->is_json) {
		json_t *all = json_pack("{s:b, s:s, s:O}", "ok", 1, "instance", config->instance,
					"warnings", warnings);

		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(all);
	} else {
		if (*host)
			printf("warning: on this host: %s\n", host);
		if (*mode)
			printf("warning: %s\n", mode);
		printf("%s: correct: instance %s, %u listener(s), %u relayed address(es), "
		       "%u user(s), %u port(s), %u worker(s)\n",
		       c->operand, config->instance, config->n_listeners, config->n_relays,
		       config->n_users, config->n_ports, config->n_workers);
	}
	json_decref(warnings);
	config_free(config);
	return 0;
}
