// What the probe found: one line per check for people, as it goes, or all of it as one JSON object. Main thread.
#ifndef TP_CTL_PROBE_REPORT_H
#define TP_CTL_PROBE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct probe_report {
	json_t *checks;
	bool is_json;
	uint32_t n_failed;
};

int probe_report_init(struct probe_report *r, bool is_json);
// Each takes over `values`, what JSON gets beside the text; NULL for none.
void probe_ok(struct probe_report *r, const char *check, json_t *values, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
// Not asked for, so that its absence is no failure; or something worth knowing.
void probe_note(struct probe_report *r, const char *check, json_t *values, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
// The text says the cause.
void probe_failed(struct probe_report *r, const char *check, json_t *values, const char *remedy,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));
// The verdict; frees. Returns the exit code.
int probe_report_end(struct probe_report *r, const char *url);

// Percentiles of durations in ns, sorted in place: {"p50_ms", "p90_ms", "p99_ms", "max_ms"}; 0 values give NULL.
json_t *probe_percentiles(uint64_t *ns, uint32_t n);

#endif
