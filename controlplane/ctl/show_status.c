// status, version and reload for people.
#include <stdio.h>
#include <string.h>

#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

static void show_process(const char *name, const json_t *p, const char *more)
{
	char up[UNIT_BYTES];

	if (json_is_integer(at(p, "pid")))
		print_line("%-14s %s, pid %.0f, up %s, heartbeat %.0f ms ago%s", name,
			   at_text(p, "state"), at_number(p, "pid"),
			   unit_duration(at_number(p, "uptime_s"), up),
			   at_number(p, "heartbeat_age_ms"), more);
	else
		print_line("%-14s %s%s", name, at_text(p, "state"),
			   strcmp(at_text(p, "state"), "stopped") == 0
				   ? ""
				   : "; see: systemctl status turnpike-dataplane");
}

static void show_addresses(const json_t *r)
{
	const json_t *v;
	size_t i;

	json_array_foreach(at(r, "listeners"), i, v)
		print_line("%-14s udp %s", i == 0 ? "listeners" : "", json_string_value(v));
	json_array_foreach(at(r, "streams.listeners"), i, v) print_line(
		"%-14s %s %s%s", "",
		strcmp(at_text(v, "transport"), "auto") == 0 ? "tcp+tls" : at_text(v, "transport"),
		at_text(v, "address"), at_true(v, "proxy_protocol") ? ", behind a proxy" : "");
	if (json_array_size(at(r, "streams.listeners")) > 0)
		print_line("%-14s %.0f tcp, %.0f tls, %.0f dtls of %.0f, %.0f bytes wait",
			   "streams", at_number(r, "streams.open.tcp"),
			   at_number(r, "streams.open.tls"), at_number(r, "streams.open.dtls"),
			   at_number(r, "streams.max"), at_number(r, "streams.queued_bytes"));
	json_array_foreach(at(r, "relay.addresses"), i, v)
		print_line("%-14s %s, ports %.0f-%.0f, %.0f free", i == 0 ? "relay" : "",
			   at_text(v, "address"), at_number(r, "relay.min_port"),
			   at_number(r, "relay.max_port"), at_number(v, "free_ports"));
}

static void show_ports(const json_t *ports)
{
	static const char *const heads[] = { "<PORT", "<INTERFACE", "<DRIVER", "<XDP",
					     "<LINK", ">MTU",       ">QUEUES", ">RX",
					     ">TX",   ">RX LOST",   "<MAC",    NULL };
	struct table t;
	const json_t *p;
	size_t i;

	table_init(&t, heads);
	json_array_foreach(ports, i, p)
	{
		char n[UNIT_BYTES];

		table_cell(&t, "%.0f", at_number(p, "index"));
		table_cell(&t, "%s", *at_text(p, "interface") ? at_text(p, "interface") : "-");
		table_cell(&t, "%s", at_text(p, "driver"));
		table_cell(&t, "%s", at_text(p, "xdp_mode"));
		table_cell(&t, "%s",
			   !json_is_boolean(at(p, "link_up")) ? "-"
			   : at_true(p, "link_up")            ? "up"
							      : "down");
		table_cell(&t, "%.0f", at_number(p, "mtu"));
		table_cell(&t, "%.0f", at_number(p, "queues"));
		table_cell(&t, "%s", unit_count(at_number(p, "rx_pkts"), n));
		table_cell(&t, "%s", unit_count(at_number(p, "tx_pkts"), n));
		table_cell(&t, "%s",
			   unit_count(at_number(p, "rx_missed") + at_number(p, "rx_nombuf"), n));
		table_cell(&t, "%s", at_text(p, "mac"));
	}
	table_print(&t);
}

void show_status(const json_t *r)
{
	const json_t *a = at(r, "allocations");
	char more[128], used[UNIT_BYTES], capacity[UNIT_BYTES];

	print_line("%-14s %s, realm %s", "instance", at_text(r, "instance"), at_text(r, "realm"));
	snprintf(more, sizeof(more), ", version %s", at_text(r, "controlplane.version"));
	show_process("controlplane", at(r, "controlplane"), more);
	snprintf(more, sizeof(more), ", version %s, %.0f worker(s), %s, start no. %.0f",
		 at_text(r, "dataplane.version"), at_number(r, "dataplane.workers_online"),
		 at_true(r, "dataplane.hugepages") ? "hugepages" : "no hugepages",
		 at_number(r, "dataplane.starts"));
	show_process("dataplane", at(r, "dataplane"), more);
	print_line("%-14s %.0f live of %s, %.0f permissions, %.0f channels", "allocations",
		   at_number(a, "live"), unit_count(at_number(a, "capacity"), capacity),
		   at_number(a, "permissions"), at_number(a, "channels"));
	if (at_true(r, "draining"))
		print_line("%-14s on: no new clients; to take them again: turnpikectl drain off",
			   "draining");
	print_line("%-14s %s: %.0f allocations, %.0f permissions, %.0f channels taken over, "
		   "%.0f repaired, %.0f ended, in %.1f ms",
		   "tables", at_text(a, "tables"), at_number(a, "adopted.allocations"),
		   at_number(a, "adopted.permissions"), at_number(a, "adopted.channels"),
		   at_number(a, "adopted.repaired"), at_number(a, "adopted.ended"),
		   at_number(a, "adopted.took_ms"));
	print_line("%-14s %s of %s entries", "flows", unit_count(at_number(r, "flows.used"), used),
		   unit_count(at_number(r, "flows.capacity"), capacity));
	if (json_is_string(at(r, "filter.error")))
		print_line("%-14s %s: %s", "filter", at_text(r, "filter.state"),
			   at_text(r, "filter.error"));
	else
		print_line("%-14s %s", "filter", at_text(r, "filter.state"));
	show_addresses(r);
	print_line("%s", "");
	show_ports(at(r, "ports"));
}

void show_version(const json_t *r)
{
	print_line("controlplane %s", at_text(r, "controlplane"));
	print_line("dataplane    %s", at_text(r, "dataplane"));
	print_line("protocol %.0f, layout of the segments %.0f", at_number(r, "protocol"),
		   at_number(r, "layout"));
}

void show_reload(const json_t *r)
{
	print_line("reloaded %s", at_text(r, "config"));
	if (json_is_string(at(r, "needs_restart")))
		print_line("%s", at_text(r, "needs_restart"));
}

void show_drain(const json_t *r)
{
	if (!at_true(r, "kept"))
		print_line("it could not be written down, so a restart forgets it: see the log");
	if (!at_true(r, "draining")) {
		print_line("draining is off: new clients are taken");
		return;
	}
	print_line("draining is on: new allocations are %s, %.0f are live",
		   at_number(r, "alternate_servers") > 0
			   ? "sent to the alternate servers (300)"
			   : "refused (508), for no alternate_servers are configured",
		   at_number(r, "allocations"));
	if (at_true(r, "sfu"))
		print_line("the SFU takes no new sessions");
}
