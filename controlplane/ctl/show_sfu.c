// rooms, sessions and why for people.
#include <string.h>

#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

void show_rooms(const json_t *r)
{
	static const char *const heads[] = { "<ROOM",    ">PUBLISHERS",       ">WATCHERS",
					     "<SPEAKER", ">CODEC MISMATCHES", NULL };
	const json_t *room;
	struct table t;
	size_t i;

	if (json_array_size(at(r, "rooms")) == 0) {
		print_line("nobody is in any room");
		return;
	}
	table_init(&t, heads);
	json_array_foreach(at(r, "rooms"), i, room)
	{
		table_cell(&t, "%s", at_text(room, "room"));
		table_cell(&t, "%.0f", at_number(room, "publishers"));
		table_cell(&t, "%.0f", at_number(room, "watchers"));
		table_cell(&t, "%s", at_text(room, "speaker"));
		table_cell(&t, "%.0f", at_number(room, "codec_mismatches"));
	}
	table_print(&t);
	if ((double)json_array_size(at(r, "rooms")) < at_number(r, "live"))
		print_line("%zu of %.0f rooms shown; raise --limit",
			   json_array_size(at(r, "rooms")), at_number(r, "live"));
}

void show_sessions(const json_t *r)
{
	static const char *const heads[] = { "<ID",  "<ROOM",    "<ROLE",    "<WHO",   "<CLIENT",
					     ">AGE", ">RX PKTS", ">TX PKTS", "<MEDIA", NULL };
	const json_t *s;
	struct table t;
	size_t i;

	if (json_array_size(at(r, "sessions")) == 0) {
		print_line("none of the %.0f sessions matches", at_number(r, "live"));
		return;
	}
	table_init(&t, heads);
	json_array_foreach(at(r, "sessions"), i, s)
	{
		char u[UNIT_BYTES];

		table_cell(&t, "%s", at_text(s, "id"));
		table_cell(&t, "%s", at_text(s, "room"));
		table_cell(&t, "%s", at_text(s, "role"));
		table_cell(&t, "%s", at_text(s, "participant"));
		table_cell(&t, "%s%s", at_text(s, "client"),
			   at_true(s, "fused") ? " (over our relay)" : "");
		table_cell(&t, "%s", unit_duration(at_number(s, "age_s"), u));
		table_cell(&t, "%s", unit_count(at_number(s, "rx_pkts"), u));
		table_cell(&t, "%s", unit_count(at_number(s, "tx_pkts"), u));
		table_cell(&t, "%s",
			   json_is_string(at(s, "reason")) ? at_text(s, "reason") : "flows");
	}
	table_print(&t);
	if ((double)json_array_size(at(r, "sessions")) < at_number(r, "matching"))
		print_line("%zu of %.0f shown; narrow it with --room, or raise --limit",
			   json_array_size(at(r, "sessions")), at_number(r, "matching"));
}

void show_session_killed(const json_t *r)
{
	print_line("ended session %s (%s in room %s)", at_text(r, "session.id"),
		   at_text(r, "session.role"), at_text(r, "session.room"));
}

static void show_tracks(const json_t *r)
{
	static const char *const heads[] = { "<SENDS", "<CODEC",    "<LAYER",      ">PKTS", ">RATE",
					     ">LOST",  ">REPAIRED", ">KEY FRAMES", ">PLIS", NULL };
	const json_t *track, *layer;
	struct table t;
	size_t i, k;

	if (json_array_size(at(r, "tracks")) == 0)
		return;
	print_line("%s", "");
	table_init(&t, heads);
	json_array_foreach(at(r, "tracks"), i, track)
	{
		json_array_foreach(at(track, "layers"), k, layer)
		{
			char u[UNIT_BYTES];

			table_cell(&t, "%s", at_text(track, "kind"));
			table_cell(&t, "%s", at_text(track, "codec"));
			table_cell(&t, "%s", at_text(layer, "rid"));
			table_cell(&t, "%s", unit_count(at_number(layer, "pkts"), u));
			table_cell(&t, "%.0f kb/s", at_number(layer, "bitrate_bps") / 1000);
			table_cell(&t, "%.0f", at_number(layer, "lost"));
			table_cell(&t, "%.0f", at_number(layer, "repaired"));
			table_cell(&t, "%.0f", at_number(layer, "key_frames"));
			table_cell(&t, "%.0f", at_number(layer, "plis"));
		}
	}
	table_print(&t);
}

static void show_slots(const json_t *r)
{
	static const char *const heads[] = { "<GETS",     "<OF",     "<CODEC", ">LAYER",
					     ">PKTS",     ">RESENT", ">PLIS",  ">DROPPED",
					     "<DECISION", "<STATE",  NULL };
	const json_t *slot;
	struct table t;
	size_t i;

	if (json_array_size(at(r, "slots")) == 0)
		return;
	print_line("%s", "");
	table_init(&t, heads);
	json_array_foreach(at(r, "slots"), i, slot)
	{
		char u[UNIT_BYTES];

		table_cell(&t, "%s", at_text(slot, "kind"));
		table_cell(&t, "%s", at_text(slot, "publisher"));
		table_cell(&t, "%s", at_text(slot, "codec"));
		table_cell(&t, "%.0f", at_number(slot, "figures.spatial"));
		table_cell(&t, "%s", unit_count(at_number(slot, "figures.pkts"), u));
		table_cell(&t, "%.0f", at_number(slot, "figures.resent"));
		table_cell(&t, "%.0f", at_number(slot, "figures.plis"));
		table_cell(&t, "%.0f", at_number(slot, "figures.dropped"));
		table_cell(&t, "%s", at_text(slot, "decision"));
		table_cell(&t, "%s",
			   json_is_string(at(slot, "cause.text")) ? at_text(slot, "cause.text")
								  : "forwarded");
	}
	table_print(&t);
}

void show_why(const json_t *r)
{
	const json_t *b = at(r, "bandwidth");

	print_line("session %s: %s in room %s, client %s", at_text(r, "session.id"),
		   at_text(r, "session.role"), at_text(r, "session.room"),
		   at_text(r, "session.client"));
	show_tracks(r);
	show_slots(r);
	if (json_is_object(b)) {
		print_line("%s", "");
		print_line("bandwidth  %.0f kb/s (bound by: %s; path: %s), %.0f kb/s used, %.0f "
			   "kb/s wanted",
			   at_number(b, "estimate_bps") / 1000, at_text(b, "bound_by"),
			   at_text(b, "usage"), at_number(b, "used_bps") / 1000,
			   at_number(b, "wanted_bps") / 1000);
		print_line("measured   %.0f kb/s arrive, %.1f %% lost, %.1f ms round trip, last "
			   "probe %.0f kb/s",
			   at_number(b, "arrives_bps") / 1000, 100 * at_number(b, "loss"),
			   at_number(b, "rtt_us") / 1000, at_number(b, "last_probe_bps") / 1000);
	}
	print_line("%s", "");
	if (strcmp(at_text(r, "verdict"), "flows") == 0) {
		print_line("flows: %s", at_text(r, "text"));
		return;
	}
	print_line("trouble: %s", at_text(r, "reason"));
	print_line("  why      %s", at_text(r, "text"));
	print_line("  remedy   %s", at_text(r, "remedy"));
}
