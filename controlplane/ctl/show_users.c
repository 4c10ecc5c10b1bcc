// Users for people.
#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

void show_users(const json_t *r)
{
	static const char *const heads[] = { "<USER",  "<REALM",   "<FROM", ">ALLOCATIONS",
					     ">QUOTA", ">UP PKTS", ">UP",   ">DOWN PKTS",
					     ">DOWN",  NULL };
	size_t i, n = json_array_size(at(r, "users"));
	char text[UNIT_BYTES];
	const json_t *u;
	struct table t;

	if (n == 0) {
		print_line("no user stands in the file, and none has an allocation");
		return;
	}
	table_init(&t, heads);
	json_array_foreach(at(r, "users"), i, u)
	{
		table_cell(&t, "%.60s", at_text(u, "name"));
		table_cell(&t, "%s", at_text(u, "realm"));
		table_cell(&t, "%s", at_text(u, "source"));
		table_cell(&t, "%.0f", at_number(u, "allocations"));
		if (at_number(u, "quota") > 0)
			table_cell(&t, "%.0f", at_number(u, "quota"));
		else
			table_cell(&t, "none");
		table_cell(&t, "%s", unit_count(at_number(u, "up_pkts"), text));
		table_cell(&t, "%s", unit_bytes(at_number(u, "up_bytes"), text));
		table_cell(&t, "%s", unit_count(at_number(u, "down_pkts"), text));
		table_cell(&t, "%s", unit_bytes(at_number(u, "down_bytes"), text));
	}
	table_print(&t);
	if (json_is_number(at(r, "matching")) && (double)n < at_number(r, "matching"))
		print_line("%zu of %.0f shown; raise --limit", n, at_number(r, "matching"));
}

void show_user(const json_t *r)
{
	const json_t *id;
	size_t i;

	show_users(r);
	json_array_foreach(at(r, "ids"), i, id)
	{
		print_line("%s%s", i == 0 ? "allocations: " : "             ",
			   json_string_value(id));
	}
}

void show_user_killed(const json_t *r)
{
	print_line("ended %.0f allocations of user %s", at_number(r, "killed"), at_text(r, "user"));
}
