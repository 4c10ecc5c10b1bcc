// explain on a real engine: each cause is made to be there, and must be the one that is named.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/ctl_request.h"
#include "tests/unit/ops/engine_fixture.h"

#define CLIENT "198.18.0.10:40000"
#define PEER   "198.18.0.20:5000"

static struct engine e;
static json_t *last;

// Asks; returns "relayed", "allocated" or the reason.
static const char *ask(const char *args)
{
	char request[512];
	json_t *answer;
	char *line;

	json_decref(last);
	snprintf(request, sizeof(request), "{\"version\":1,\"verb\":\"explain\",\"args\":{%s}}",
		 args);
	line = ctl_request_handle(&e, request, strlen(request));
	cr_assert_not_null(line);
	answer = json_loads(line, 0, NULL);
	cr_assert_not_null(answer, "%s", line);
	free(line);
	cr_assert(json_is_true(json_object_get(answer, "ok")), "%s", request);
	last = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	if (strcmp(json_string_value(json_object_get(last, "verdict")), "dropped") != 0) {
		cr_assert(json_is_null(json_object_get(last, "reason")));
		return json_string_value(json_object_get(last, "verdict"));
	}
	cr_assert(json_string_length(json_object_get(last, "text")) > 10);
	cr_assert(json_string_length(json_object_get(last, "remedy")) > 10);
	return json_string_value(json_object_get(last, "reason"));
}

static const char *field(const char *name)
{
	const char *text = json_string_value(json_object_get(last, name));

	return text ? text : "";
}

static void age(uint32_t flow_idx, bool own_too)
{
	uint64_t past = engine_now_ns() - 1000000000ull;

	cr_assert_neq(flow_idx, 0);
	table_writer_flow_set_expiry(&e.tables, flow_idx, past,
				     own_too ? past
					     : table_writer_flow_own_expiry(&e.tables, flow_idx));
}

static void setup(void)
{
	fixture_open(&e, "");
	cr_assert_eq(fixture_allocate(&e, CLIENT, false), 0);
}

static void teardown(void)
{
	json_decref(last);
	last = NULL;
	fixture_close(&e);
}

TestSuite(explain, .init = setup, .fini = teardown);

#define ASK_CLIENT "\"client\":\"" CLIENT "\""
#define ASK        ASK_CLIENT ",\"peer\":\"" PEER "\""

Test(explain, relayed_over_channel_and_indication)
{
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, PEER), 0);
	cr_expect_str_eq(ask(ASK ",\"channel\":16384"), "relayed");
	cr_expect_str_eq(ask(ASK), "relayed");
	// The channel alone names its peer.
	cr_expect_str_eq(ask(ASK_CLIENT ",\"channel\":16384"), "relayed");
	// Without a peer only the allocation is judged.
	cr_expect_str_eq(ask(ASK_CLIENT), "allocated");
}

Test(explain, a_client_on_a_connection_needs_no_next_hop)
{
	static const char client[] = "198.18.0.11:7000";
	static const char question[] = "\"client\":\"198.18.0.11:7000\",\"peer\":\"" PEER "\"";

	fixture_use_stream(3);
	cr_assert_eq(fixture_allocate(&e, client, false), 0);
	cr_expect_str_eq(ask(question), "no_permission");
	cr_assert_eq(fixture_bind(&e, client, 0x4000, PEER), 0);
	cr_expect_str_eq(ask(question), "relayed");
	cr_expect_str_eq(ask("\"client\":\"198.18.0.11:7000\",\"channel\":16384"), "relayed");
	turn_server_stream_closed(e.turn, 3, 3, engine_now_ns());
	cr_expect_str_eq(ask(question), "allocation_disconnected");
}

Test(explain, relayed_seen_from_the_peer)
{
	char args[256], relayed[IP_ENDPOINT_TEXT_MAX];
	struct turn_allocation_info info = fixture_info(&e, CLIENT);

	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	ip_endpoint_format(&info.relayed, relayed, sizeof(relayed));
	snprintf(args, sizeof(args), "\"relayed\":\"%s\",\"peer\":\"%s\"", relayed, PEER);
	cr_expect_str_eq(ask(args), "relayed");
	cr_expect_str_eq(field("allocation"), info.id);
}

Test(explain, dataplane_down)
{
	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	fixture_dataplane(&e, SHM_DATAPLANE_RUNNING, engine_now_ns() - 5000000000ull);
	cr_expect_str_eq(ask(ASK), "dataplane_down");
	fixture_dataplane(&e, SHM_DATAPLANE_STOPPED, engine_now_ns());
	cr_expect_str_eq(ask(ASK), "dataplane_down");
	fixture_dataplane(&e, SHM_DATAPLANE_RUNNING, engine_now_ns());
	cr_expect_str_eq(ask(ASK), "relayed");
}

Test(explain, not_ours_listener)
{
	cr_expect_str_eq(ask(ASK ",\"listener\":\"198.18.0.2:3479\""), "not_ours");
	cr_expect_str_eq(ask(ASK_CLIENT ",\"listener\":\"" FIXTURE_LISTENER "\""), "allocated");
}

Test(explain, no_allocation)
{
	cr_expect_str_eq(ask("\"client\":\"198.18.0.99:1\",\"peer\":\"" PEER "\""),
			 "no_allocation");
	cr_expect_str_eq(field("counter"), "no_allocation");
	// Another port of the same client: said, because a NAT does that.
	cr_expect_str_eq(ask("\"client\":\"198.18.0.10:1\""), "no_allocation");
	cr_expect_not_null(strstr(field("text"), CLIENT));
}

Test(explain, allocation_expired)
{
	struct turn_allocation_info info = fixture_info(&e, CLIENT);

	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	table_writer_allocation(&e.tables, info.idx)->expires_at_ns = engine_now_ns() - 1;
	cr_expect_str_eq(ask(ASK), "allocation_expired");
	cr_expect_str_eq(field("counter"), "allocation_expired");
}

Test(explain, allocation_expired_and_taken_away)
{
	turn_server_expire(e.turn, engine_now_ns() + 7200ull * 1000000000ull);
	cr_assert_eq(turn_server_n_allocations(e.turn), 0);
	cr_expect_str_eq(ask(ASK), "allocation_expired");
	cr_expect_str_eq(field("counter"), "no_allocation");
}

Test(explain, allocation_killed)
{
	cr_assert_eq(turn_allocation_kill(e.turn, fixture_info(&e, CLIENT).idx, engine_now_ns()),
		     0);
	cr_expect_str_eq(ask(ASK), "allocation_killed");
}

Test(explain, allocation_deleted)
{
	cr_assert_eq(fixture_refresh(&e, CLIENT, 0), 0);
	cr_expect_str_eq(ask(ASK), "allocation_deleted");
	// A new one makes that past.
	cr_assert_eq(fixture_allocate(&e, CLIENT, false), 0);
	cr_expect_str_eq(ask(ASK), "no_permission");
}

Test(explain, no_permission)
{
	cr_expect_str_eq(ask(ASK), "no_permission");
	cr_assert_eq(fixture_permit(&e, CLIENT, "198.18.0.21:1"), 0);
	cr_expect_str_eq(ask(ASK), "no_permission");
}

Test(explain, permission_expired)
{
	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	age(fixture_flow(&e, CLIENT, SHM_FLOW_PERMISSION, PEER, 0), true);
	cr_expect_str_eq(ask(ASK), "permission_expired");
	cr_expect_str_eq(field("direction"), "both");
}

Test(explain, no_channel)
{
	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	cr_expect_str_eq(ask(ASK ",\"channel\":16385"), "no_channel");
	cr_expect_str_eq(field("direction"), "up");
	cr_expect_not_null(strstr(field("text"), "Send indications"), "%s", field("text"));
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, PEER), 0);
	cr_expect_str_eq(ask(ASK ",\"channel\":16385"), "no_channel");
	cr_expect_not_null(strstr(field("text"), "0x4000"), "%s", field("text"));
	cr_expect_str_eq(ask(ASK_CLIENT ",\"channel\":16385"), "no_channel");
	// What is sent on it is dropped for the channel, what the peer sends for the permission.
	cr_expect_str_eq(ask(ASK_CLIENT ",\"peer\":\"198.18.0.22:1\",\"channel\":16385"),
			 "no_channel");
	cr_expect_str_eq(
		json_string_value(json_object_get(json_object_get(last, "down"), "reason")),
		"no_permission");
}

Test(explain, wrong_channel)
{
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, "198.18.0.21:5000"), 0);
	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	cr_expect_str_eq(ask(ASK ",\"channel\":16384"), "wrong_channel");
	cr_expect_not_null(strstr(field("text"), "198.18.0.21:5000"));
}

Test(explain, channel_expired)
{
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, PEER), 0);
	age(fixture_flow(&e, CLIENT, SHM_FLOW_CHANNEL, NULL, 0x4000), true);
	cr_expect_str_eq(ask(ASK ",\"channel\":16384"), "channel_expired");
}

Test(explain, channel_with_expired_permission)
{
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, PEER), 0);
	age(fixture_flow(&e, CLIENT, SHM_FLOW_CHANNEL, NULL, 0x4000), false);
	cr_expect_str_eq(ask(ASK ",\"channel\":16384"), "permission_expired");
}

Test(explain, peer_denied)
{
	cr_expect_str_eq(ask(ASK_CLIENT ",\"peer\":\"198.18.7.1:1\""), "peer_denied");
	cr_expect_not_null(strstr(field("text"), "peers.deny 198.18.7.0/24"), "%s", field("text"));
	cr_expect_str_eq(field("counter"), "no_permission");
	cr_expect_str_eq(ask(ASK_CLIENT ",\"peer\":\"10.0.0.1:1\""), "peer_denied");
	cr_expect_not_null(strstr(field("text"), "private"), "%s", field("text"));
	cr_expect_str_eq(ask(ASK_CLIENT ",\"peer\":\"" FIXTURE_LISTENER "\""), "peer_denied");
	cr_expect_not_null(strstr(field("text"), "own address"), "%s", field("text"));
}

Test(explain, family_mismatch)
{
	cr_expect_str_eq(ask(ASK_CLIENT ",\"peer\":\"[fd00:18::20]:5000\""), "family_mismatch");
}

Test(explain, relays_ipv6)
{
	cr_assert_eq(fixture_allocate(&e, "198.18.0.11:1", true), 0);
	cr_assert_eq(fixture_permit(&e, "198.18.0.11:1", "[fd00:18::20]:5000"), 0);
	cr_expect_str_eq(ask("\"client\":\"198.18.0.11:1\",\"peer\":\"[fd00:18::20]:5000\""),
			 "relayed");
}

Test(explain, no_next_hop)
{
	uint32_t idx;

	cr_assert_eq(fixture_permit(&e, CLIENT, PEER), 0);
	idx = fixture_flow(&e, CLIENT, SHM_FLOW_PERMISSION, PEER, 0);
	table_writer_neighbour_set_word(&e.tables,
					table_writer_flow(&e.tables, idx)->peer_neighbour_idx, 0);
	cr_expect_str_eq(ask(ASK), "no_next_hop");
	cr_expect_str_eq(field("counter"), "no_next_hop");
}

Test(explain, no_relay)
{
	struct turn_allocation_info info = fixture_info(&e, CLIENT);
	uint16_t port = ntohs(info.relayed.port_be);
	char args[128];

	snprintf(args, sizeof(args), "\"relayed\":\"198.18.0.3:%u\"",
		 port == 65535 ? 65534 : port + 1);
	cr_expect_str_eq(ask(args), "no_relay");
	cr_expect_str_eq(ask("\"relayed\":\"198.18.0.3:80\""), "not_ours");
	cr_expect_str_eq(ask("\"relayed\":\"198.18.0.4:50000\""), "not_ours");
}

Test(explain, hairpin)
{
	struct turn_allocation_info a, b;
	char relayed_a[IP_ENDPOINT_TEXT_MAX], relayed_b[IP_ENDPOINT_TEXT_MAX], args[256];

	cr_assert_eq(fixture_allocate(&e, "198.18.0.11:1", false), 0);
	a = fixture_info(&e, CLIENT);
	b = fixture_info(&e, "198.18.0.11:1");
	ip_endpoint_format(&a.relayed, relayed_a, sizeof(relayed_a));
	ip_endpoint_format(&b.relayed, relayed_b, sizeof(relayed_b));
	snprintf(args, sizeof(args), ASK_CLIENT ",\"peer\":\"%s\"", relayed_b);
	cr_assert_eq(fixture_permit(&e, CLIENT, relayed_b), 0);
	cr_expect_str_eq(ask(args), "no_permission");
	cr_expect_not_null(strstr(field("text"), b.id), "%s", field("text"));
	cr_assert_eq(fixture_permit(&e, "198.18.0.11:1", relayed_a), 0);
	cr_expect_str_eq(ask(args), "relayed");
	cr_assert_eq(fixture_refresh(&e, "198.18.0.11:1", 0), 0);
	cr_expect_str_eq(ask(args), "no_relay");
}

Test(explain_quota, quota_total, .fini = teardown)
{
	fixture_open(&e, "quota: {total: 1}\n");
	cr_assert_eq(fixture_allocate(&e, CLIENT, false), 0);
	cr_assert_eq(fixture_allocate(&e, "198.18.0.11:1", false), 486);
	cr_expect_str_eq(ask("\"client\":\"198.18.0.11:1\""), "quota_total");
}
