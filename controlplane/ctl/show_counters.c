// workers, drops and filter for people.
#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

void show_workers(const json_t *r)
{
	static const char *const heads[] = { "<WORKER", ">CPU",   "<ONLINE", ">BUSY",   ">SLEEPS",
					     ">RX",     ">TX",    ">DROPS",  ">PUNTED", ">P50",
					     ">P99",    ">P99.9", ">BEAT",   NULL };
	const json_t *w;
	struct table t;
	size_t i;

	if (json_array_size(at(r, "workers")) == 0) {
		print_line("no dataplane has started yet");
		return;
	}
	table_init(&t, heads);
	json_array_foreach(at(r, "workers"), i, w)
	{
		char u[UNIT_BYTES];

		table_cell(&t, "%.0f", at_number(w, "index"));
		table_cell(&t, "%.0f", at_number(w, "cpu"));
		table_cell(&t, "%s", at_true(w, "online") ? "yes" : "no");
		table_cell(&t, "%.1f %%", 100 * at_number(w, "busy_share"));
		table_cell(&t, "%s", unit_count(at_number(w, "sleeps"), u));
		table_cell(&t, "%s", unit_count(at_number(w, "rx_pkts"), u));
		table_cell(&t, "%s", unit_count(at_number(w, "tx_pkts"), u));
		table_cell(&t, "%s", unit_count(at_number(w, "drops"), u));
		table_cell(&t, "%s", unit_count(at_number(w, "punted"), u));
		table_cell(&t, "%s", unit_latency(at_number(w, "latency.p50_ns"), u));
		table_cell(&t, "%s", unit_latency(at_number(w, "latency.p99_ns"), u));
		table_cell(&t, "%s", unit_latency(at_number(w, "latency.p999_ns"), u));
		table_cell(&t, "%.0f ms", at_number(w, "heartbeat_age_ms"));
	}
	table_print(&t);
}

static void drops(const json_t *r, bool with_zeros)
{
	static const char *const heads[] = { ">PKTS", "<REASON", "<MEANING", NULL };
	const json_t *d;
	struct table t;
	size_t i;

	if (at_number(r, "total") == 0 && !with_zeros) {
		print_line("no packet was dropped");
		return;
	}
	table_init(&t, heads);
	json_array_foreach(at(r, "drops"), i, d)
	{
		if (at_number(d, "pkts") == 0 && !with_zeros)
			continue;
		table_cell(&t, "%.0f", at_number(d, "pkts"));
		table_cell(&t, "%s", at_text(d, "reason"));
		table_cell(&t, "%s", at_text(d, "text"));
	}
	table_print(&t);
}

void show_drops(const json_t *r)
{
	drops(r, false);
}

void show_drops_all(const json_t *r)
{
	drops(r, true);
}

void show_filter(const json_t *r)
{
	static const char *const interface_heads[] = { "<INTERFACE", "<MODE", "<PROGRAM", "<GUARD",
						       NULL };
	static const char *const counter_heads[] = { ">PKTS", "<COUNTER", "<MEANING", NULL };
	const json_t *v;
	struct table t;
	size_t i;

	table_init(&t, interface_heads);
	json_array_foreach(at(r, "interfaces"), i, v)
	{
		table_cell(&t, "%s", at_text(v, "interface"));
		table_cell(&t, "%s", at_text(v, "mode"));
		table_cell(&t, "%s",
			   at_true(v, "instances")      ? "ours"
			   : at_true(v, "ours")         ? "of another instance"
			   : at_number(v, "program_id") ? "foreign"
							: "none");
		table_cell(&t, "%s", at_true(v, "guard") ? "attached" : "absent");
	}
	table_print(&t);
	if (at_number(r, "settings.rate_per_sec") > 0)
		print_line("Binding requests are %s; each /%.0f and /%.0f (IPv6) may send %.0f "
			   "requests per second",
			   at_true(r, "settings.answers_binding") ? "answered here"
								  : "left to the workers",
			   at_number(r, "settings.rate_prefix_v4"),
			   at_number(r, "settings.rate_prefix_v6"),
			   at_number(r, "settings.rate_per_sec"));
	else
		print_line("Binding requests are %s; their rate is not limited",
			   at_true(r, "settings.answers_binding") ? "answered here"
								  : "left to the workers");
	print_line("%s", "");
	table_init(&t, counter_heads);
	json_array_foreach(at(r, "counters"), i, v)
	{
		table_cell(&t, "%.0f", at_number(v, "pkts"));
		table_cell(&t, "%s", at_text(v, "counter"));
		table_cell(&t, "%s", at_text(v, "text"));
	}
	table_print(&t);
}
