// allocations and one allocation for people.
#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

void show_allocations(const json_t *r)
{
	static const char *const heads[] = { "<ID",      "<USER",     "<CLIENT",  "<VIA",
					     "<RELAYED", ">AGE",      ">EXPIRES", ">PERMS",
					     ">CHANS",   ">UP PKTS",  ">UP",      ">DOWN PKTS",
					     ">DOWN",    "<NEXT HOP", NULL };
	const json_t *a;
	struct table t;
	size_t i, n = json_array_size(at(r, "allocations"));

	if (n == 0) {
		if (at_number(r, "live") == 0)
			print_line("no allocation is live");
		else
			print_line("none of the %.0f live allocations matches",
				   at_number(r, "live"));
		return;
	}
	table_init(&t, heads);
	json_array_foreach(at(r, "allocations"), i, a)
	{
		char u[UNIT_BYTES];

		table_cell(&t, "%s", at_text(a, "id"));
		table_cell(&t, "%.40s", at_text(a, "user"));
		table_cell(&t, "%s", at_text(a, "client"));
		table_cell(&t, "%s", at_text(a, "transport"));
		table_cell(&t, "%s%s%s", at_text(a, "relayed"),
			   json_is_string(at(a, "relayed2")) ? " " : "",
			   json_is_string(at(a, "relayed2")) ? at_text(a, "relayed2") : "");
		table_cell(&t, "%s", unit_duration(at_number(a, "age_s"), u));
		table_cell(&t, "%s", unit_duration(at_number(a, "expires_in_s"), u));
		table_cell(&t, "%.0f", at_number(a, "permissions"));
		table_cell(&t, "%.0f", at_number(a, "channels"));
		table_cell(&t, "%s", unit_count(at_number(a, "up.pkts"), u));
		table_cell(&t, "%s", unit_bytes(at_number(a, "up.bytes"), u));
		table_cell(&t, "%s", unit_count(at_number(a, "down.pkts"), u));
		table_cell(&t, "%s", unit_bytes(at_number(a, "down.bytes"), u));
		table_cell(&t, "%s", at_true(a, "next_hop_resolved") ? "resolved" : "unresolved");
	}
	table_print(&t);
	if ((double)n < at_number(r, "matching"))
		print_line("%zu of %.0f shown; narrow it with --user, --client or --peer, or raise "
			   "--limit",
			   n, at_number(r, "matching"));
}

static void add_hop(struct table *t, const json_t *hop)
{
	if (json_is_string(at(hop, "mac")))
		table_cell(t, "%s: %s at %s on %s", at_text(hop, "state"), at_text(hop, "address"),
			   at_text(hop, "mac"), at_text(hop, "interface"));
	else if (json_is_string(at(hop, "address")))
		table_cell(t, "%s: %s on %s", at_text(hop, "state"), at_text(hop, "address"),
			   at_text(hop, "interface"));
	else
		table_cell(t, "%s", at_text(hop, "state"));
}

static void add_up(struct table *t, const json_t *flow)
{
	char u[UNIT_BYTES];

	table_cell(t, "%s", unit_count(at_number(flow, "up.pkts"), u));
	table_cell(t, "%s", unit_bytes(at_number(flow, "up.bytes"), u));
}

static void add_down(struct table *t, const json_t *flow)
{
	char u[UNIT_BYTES];

	table_cell(t, "%s", unit_count(at_number(flow, "down.pkts"), u));
	table_cell(t, "%s", unit_bytes(at_number(flow, "down.bytes"), u));
}

void show_allocation(const json_t *r)
{
	static const char *const permission_heads[] = { "<PERMISSION", ">EXPIRES",  ">DOWN PKTS",
							">DOWN",       "<NEXT HOP", NULL };
	static const char *const channel_heads[] = { "<CHANNEL", "<PEER",     ">EXPIRES",
						     ">UP PKTS", ">UP",       ">DOWN PKTS",
						     ">DOWN",    "<NEXT HOP", NULL };
	char u[UNIT_BYTES], v[UNIT_BYTES];
	struct table t;
	const json_t *f;
	size_t i;

	print_line("%-10s %s", "id", at_text(r, "id"));
	print_line("%-10s %s", "user", at_text(r, "user"));
	if (json_is_string(at(r, "listener")))
		print_line("%-10s %s over %s to %s", "client", at_text(r, "client"),
			   at_text(r, "transport"), at_text(r, "listener"));
	else
		print_line("%-10s %s over %s", "client", at_text(r, "client"),
			   at_text(r, "transport"));
	print_line("%-10s %s%s%s", "relayed", at_text(r, "relayed"),
		   json_is_string(at(r, "relayed2")) ? " and " : "",
		   json_is_string(at(r, "relayed2")) ? at_text(r, "relayed2") : "");
	if (at_true(r, "mobile"))
		print_line("%-10s %s", "mobile",
			   at_true(r, "moving") ? "on its way to another path" : "yes");
	print_line("%-10s %s old, expires in %s", "lifetime",
		   unit_duration(at_number(r, "age_s"), u),
		   unit_duration(at_number(r, "expires_in_s"), v));
	print_line("%-10s %.0f pkts, %s", "up", at_number(r, "up.pkts"),
		   unit_bytes(at_number(r, "up.bytes"), u));
	print_line("%-10s %.0f pkts, %s", "down", at_number(r, "down.pkts"),
		   unit_bytes(at_number(r, "down.bytes"), u));
	print_line("%-10s %s %s", "next hop", at_text(r, "next_hop.state"),
		   json_is_string(at(r, "next_hop.mac")) ? at_text(r, "next_hop.mac") : "");

	if (json_array_size(at(r, "permissions")) > 0) {
		print_line("%s", "");
		table_init(&t, permission_heads);
		json_array_foreach(at(r, "permissions"), i, f)
		{
			table_cell(&t, "%s", at_text(f, "peer"));
			table_cell(&t, "%s", unit_duration(at_number(f, "expires_in_s"), u));
			add_down(&t, f);
			add_hop(&t, at(f, "next_hop"));
		}
		table_print(&t);
	}
	if (json_array_size(at(r, "channels")) > 0) {
		print_line("%s", "");
		table_init(&t, channel_heads);
		json_array_foreach(at(r, "channels"), i, f)
		{
			table_cell(&t, "%s", at_text(f, "channel"));
			table_cell(&t, "%s", at_text(f, "peer"));
			table_cell(&t, "%s", unit_duration(at_number(f, "expires_in_s"), u));
			add_up(&t, f);
			add_down(&t, f);
			add_hop(&t, at(f, "next_hop"));
		}
		table_print(&t);
	}
}

void show_killed(const json_t *r)
{
	print_line("killed %s of user %s (client %s, relayed %s)", at_text(r, "allocation.id"),
		   at_text(r, "allocation.user"), at_text(r, "allocation.client"),
		   at_text(r, "allocation.relayed"));
}
