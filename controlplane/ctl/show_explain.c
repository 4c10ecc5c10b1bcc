// explain for people: the steps as they were walked, then the verdict.
#include <string.h>

#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

static const char *arrow(const char *direction)
{
	if (strcmp(direction, "up") == 0)
		return "client -> peer";
	if (strcmp(direction, "down") == 0)
		return "peer -> client";
	return "both ways";
}

void show_explain(const json_t *r)
{
	static const char *const heads[] = { "<", "<STEP", "<DIRECTION", "<FINDING", NULL };
	struct table t;
	const json_t *s;
	size_t i;

	table_init(&t, heads);
	json_array_foreach(at(r, "steps"), i, s)
	{
		table_cell(&t, "%s", at_true(s, "ok") ? "ok" : "DROP");
		table_cell(&t, "%s", at_text(s, "step"));
		table_cell(&t, "%s", arrow(at_text(s, "direction")));
		table_cell(&t, "%s", at_text(s, "text"));
	}
	table_print(&t);
	print_line("%s", "");
	if (strcmp(at_text(r, "verdict"), "dropped") != 0) {
		print_line("%s: %s", at_text(r, "verdict"), at_text(r, "text"));
		return;
	}
	print_line("dropped: %s (%s)", at_text(r, "reason"), arrow(at_text(r, "direction")));
	print_line("  why      %s", at_text(r, "text"));
	print_line("  remedy   %s", at_text(r, "remedy"));
	if (json_is_string(at(r, "counter")))
		print_line("  counter  %s", at_text(r, "counter"));
	if (json_is_string(at(r, "up.reason")) && json_is_string(at(r, "down.reason")) &&
	    strcmp(at_text(r, "up.reason"), at_text(r, "down.reason")) != 0)
		print_line("  peer -> client is dropped too: %s, %s; %s", at_text(r, "down.reason"),
			   at_text(r, "down.text"), at_text(r, "down.remedy"));
}
