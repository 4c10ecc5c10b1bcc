// stats for people, once or with rates.
#include <stdio.h>

#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

// Counters of one group; those that never moved are left out but in `group` dataplane.
static void add_group(struct table *t, const json_t *now, const json_t *before, double seconds,
		      const char *group, bool with_zeros)
{
	const json_t *counters = at(now, group), *v;
	const char *name;

	// jansson iterates over non-const objects only; nothing is changed.
	json_object_foreach((json_t *)counters, name, v)
	{
		double n = json_number_value(v);
		double rate = seconds > 0 ? (n - at_number(at(before, group), name)) / seconds : 0;
		char u[UNIT_BYTES];

		if (n == 0 && !with_zeros)
			continue;
		table_cell(t, "%s", group);
		table_cell(t, "%s", name);
		table_cell(t, "%.0f", n);
		if (t->n_columns == 4)
			table_cell(t, "%s/s", unit_count(rate, u));
	}
}

void show_stats_rates(const json_t *r, const json_t *before)
{
	static const char *const heads[] = { "<WHERE", "<COUNTER", ">TOTAL", ">RATE", NULL };
	static const char *const heads_once[] = { "<WHERE", "<COUNTER", ">TOTAL", NULL };
	double seconds = before ? (at_number(r, "at_ns") - at_number(before, "at_ns")) / 1e9 : 0;
	char p50[UNIT_BYTES], p99[UNIT_BYTES], p999[UNIT_BYTES], flows[UNIT_BYTES];
	struct table t;

	print_line("%.0f allocations, %s flow entries; latency p50 %s, p99 %s, p99.9 %s",
		   at_number(r, "allocations"), unit_count(at_number(r, "flows"), flows),
		   unit_latency(at_number(r, "latency.p50_ns"), p50),
		   unit_latency(at_number(r, "latency.p99_ns"), p99),
		   unit_latency(at_number(r, "latency.p999_ns"), p999));
	table_init(&t, before ? heads : heads_once);
	add_group(&t, r, before, seconds, "dataplane", true);
	add_group(&t, r, before, seconds, "turn", false);
	add_group(&t, r, before, seconds, "sfu", false);
	add_group(&t, r, before, seconds, "streams", false);
	add_group(&t, r, before, seconds, "punt", false);
	add_group(&t, r, before, seconds, "store", false);
	add_group(&t, r, before, seconds, "routes", false);
	table_print(&t);
}

void show_stats(const json_t *r)
{
	show_stats_rates(r, NULL);
}
