// See report.h.
#include "controlplane/ctl/probe/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/ctl/command.h"
#include "controlplane/ctl/table.h"

#define TEXT_BYTES 512

int probe_report_init(struct probe_report *r, bool is_json)
{
	*r = (struct probe_report){ .checks = json_array(), .is_json = is_json };
	return r->checks ? 0 : -ENOMEM;
}

static void add(struct probe_report *r, const char *status, const char *check, json_t *values,
		const char *remedy, const char *text)
{
	json_t *all;

	if (!r->is_json) {
		print_line("%-7s %-14s %s", status, check, text);
		if (remedy)
			print_line("%-22s remedy: %s", "", remedy);
		fflush(stdout);
	}
	all = json_pack("{s:s, s:s, s:s}", "check", check, "status", status, "text", text);
	if (all && remedy)
		json_object_set_new(all, "remedy", json_string(remedy));
	if (all && values)
		json_object_update(all, values);
	json_decref(values);
	json_array_append_new(r->checks, all);
}

void probe_ok(struct probe_report *r, const char *check, json_t *values, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add(r, "ok", check, values, NULL, text);
}

void probe_note(struct probe_report *r, const char *check, json_t *values, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add(r, "note", check, values, NULL, text);
}

void probe_failed(struct probe_report *r, const char *check, json_t *values, const char *remedy,
		  const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->n_failed++;
	add(r, "failed", check, values, remedy, text);
}

int probe_report_end(struct probe_report *r, const char *url)
{
	bool works = r->n_failed == 0;

	if (r->is_json) {
		json_t *all =
			json_pack("{s:s, s:b, s:o}", "url", url, "ok", works, "checks", r->checks);

		json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
		json_decref(all);
	} else {
		putchar('\n');
		if (works)
			print_line("%s works", url);
		else
			print_line("%s: %u of the checks failed", url, r->n_failed);
		json_decref(r->checks);
	}
	r->checks = NULL;
	return works ? 0 : EXIT_VERB_FAILED;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double ms_at(const uint64_t *sorted, uint32_t n, uint32_t percent)
{
	return (double)sorted[(uint64_t)(n - 1) * percent / 100] / 1e6;
}

json_t *probe_percentiles(uint64_t *ns, uint32_t n)
{
	if (n == 0)
		return NULL;
	qsort(ns, n, sizeof(*ns), by_size);
	return json_pack("{s:f, s:f, s:f, s:f}", "p50_ms", ms_at(ns, n, 50), "p90_ms",
			 ms_at(ns, n, 90), "p99_ms", ms_at(ns, n, 99), "max_ms",
			 (double)ns[n - 1] / 1e6);
}
