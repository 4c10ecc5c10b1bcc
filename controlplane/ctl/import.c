// import coturn FILE: a turnserver.conf as our YAML on standard output; what has no equivalent on standard error.
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/import_coturn.h"
#include "controlplane/ctl/command.h"

static void print_as_json(const char *yaml, const struct import_report *report)
{
	json_t *leftovers = json_array();
	json_t *all;

	for (unsigned i = 0; i < report->n_leftovers; i++) {
		const struct import_leftover *l = &report->leftover[i];

		json_array_append_new(leftovers, json_pack("{s:i, s:s, s:s}", "line", (int)l->line,
							   "option", l->option, "why", l->why));
	}
	all = json_pack("{s:s, s:i, s:o}", "yaml", yaml, "taken", (int)report->n_taken, "leftovers",
			leftovers);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int run_import_coturn(const struct command *c)
{
	struct import_report *report = calloc(1, sizeof(*report));
	FILE *in = fopen(c->operand, "r"), *out;
	char error[256], *yaml = NULL;
	size_t yaml_bytes = 0;
	int code = EXIT_WRONG_USE;

	out = open_memstream(&yaml, &yaml_bytes);
	if (report == NULL || out == NULL) {
		fail(0, "out of memory");
		goto done;
	}
	if (in == NULL) {
		fail(0, "cannot read %s: %s", c->operand, strerror(errno));
		goto done;
	}
	if (import_coturn(in, c->interface, out, report, error, sizeof(error)) < 0) {
		fail(0, "%s: %s", c->operand, error);
		goto done;
	}
	fflush(out);
	code = 0;
	if (c->is_json) {
		print_as_json(yaml, report);
		goto done;
	}
	fputs(yaml, stdout);
	for (unsigned i = 0; i < report->n_leftovers; i++)
		fprintf(stderr, "%s:%u: %s: %s\n", c->operand, report->leftover[i].line,
			report->leftover[i].option, report->leftover[i].why);
	fprintf(stderr,
		"%s: %u lines taken over, %u without equivalent; next: turnpikectl config check "
		"FILE\n",
		c->operand, report->n_taken, report->n_leftovers);
done:
	if (in != NULL)
		fclose(in);
	if (out != NULL)
		fclose(out);
	if (yaml != NULL)
		explicit_bzero(yaml, yaml_bytes);
	free(yaml);
	free(report);
	return code;
}
