// WHIP as RFC 9725 has it, over real sockets.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/signaling/signaling_rig.h"

#define SDP      "Content-Type: application/sdp\r\n"
#define FRAGMENT "Content-Type: application/trickle-ice-sdpfrag\r\n"
#define PATH     "/whip/session/" RIG_SESSION

static char fields[4096];

static const char *with(const char *more, const char *bearer)
{
	snprintf(fields, sizeof(fields), "%s%s", more, bearer);
	return fields;
}

static const char *alice(void)
{
	return rig_bearer(RIG_SECRET, "alice", "lobby", true, false, 60);
}

static void open_rig(void)
{
	rig_open(NULL);
}

static struct rig_answer *post(const char *path)
{
	return rig_request("POST", path, with(SDP, alice()), RIG_OFFER);
}

static struct rig_answer *patch(const char *more)
{
	return rig_request("PATCH", PATH, with(more, alice()), "a=candidate:1\r\n");
}

// The SFU refuses like this, and the client reads this status.
static struct rig_answer *refused(enum sfu_status next, int status)
{
	struct rig_answer *a;

	fake_sfu.next = next;
	strcpy(fake_sfu.next_reason, "line 7: because of the test");
	a = post("/whip/lobby");
	cr_expect_eq(a->status, status, "%d in\n%s", a->status, a->head);
	cr_expect_str_eq(a->body, "line 7: because of the test\n");
	rig_expect_field(a, "Content-Type", "text/plain; charset=utf-8");
	return a;
}

TestSuite(whip, .init = open_rig, .fini = rig_close);

Test(whip, rfc9725_4_2_created)
{
	struct rig_answer *a = post("/whip/lobby");

	cr_assert_eq(a->status, 201, "%s", a->head);
	rig_expect_field(a, "Content-Type", "application/sdp");
	rig_expect_field(a, "Location", PATH);
	rig_expect_field(a, "ETag", "\"abcdef0123456789\"");
	rig_expect_field(a, "Accept-Patch", "application/trickle-ice-sdpfrag");
	cr_expect_str_eq(a->body, "v=0\r\ns=answer\r\n");
	cr_expect_eq(fake_sfu.n_joins, 1);
	cr_expect_eq(fake_sfu.role, SFU_ROLE_PUBLISH);
	cr_expect_str_eq(fake_sfu.room, "lobby");
	cr_expect_str_eq(fake_sfu.participant, "alice", "named by the token");
	cr_expect_str_eq(fake_sfu.body, RIG_OFFER);
}

Test(whip, rfc9725_4_6_ice_servers_on_creation)
{
	struct rig_answer *a = post("/whip/lobby");
	const char *prefix = "<turn:192.0.2.1:3478?transport=udp>; rel=\"ice-server\"; username=\"";
	const char *link = rig_field(a, "Link");

	cr_assert_not_null(link);
	cr_expect_eq(strncmp(link, prefix, strlen(prefix)), 0, "%s", link);
	cr_expect_not_null(strstr(link, ":turnpike\"; credential=\""));
	cr_expect_not_null(strstr(link, "; credential-type=\"password\""));
	cr_expect_not_null(strstr(a->head, "<turns:192.0.2.1:443?transport=tcp>"));
	rig_expect_field(a, "Cache-Control", "no-store");
}

Test(whip, rfc9725_4_6_ice_servers_only_for_holders_of_a_token)
{
	struct rig_answer *a = rig_request("OPTIONS", "/whip/lobby", alice(), "");

	cr_expect_eq(a->status, 200);
	rig_expect_field(a, "Accept-Post", "application/sdp");
	cr_expect_not_null(rig_field(a, "Link"));
	a = rig_request("OPTIONS", "/whip/lobby", "", "");
	cr_expect_eq(a->status, 200);
	cr_expect_null(rig_field(a, "Link"));
	a = rig_request("OPTIONS", "/whip/other", alice(), "");
	cr_expect_eq(a->status, 200);
	cr_expect_null(rig_field(a, "Link"));
}

Test(whip, participant_in_the_path_is_the_tokens)
{
	cr_expect_eq(post("/whip/lobby/alice")->status, 201);
	cr_expect_str_eq(fake_sfu.participant, "alice");
	cr_expect_eq(post("/whip/lobby/bob")->status, 403);
	cr_expect_eq(fake_sfu.n_joins, 1);
}

Test(whip, a_token_without_sub_lets_choose)
{
	const char *anybody = rig_bearer(RIG_SECRET, "", "*", true, false, 60);

	cr_expect_eq(rig_request("POST", "/whip/r.1/bob", with(SDP, anybody), RIG_OFFER)->status,
		     201);
	cr_expect_str_eq(fake_sfu.participant, "bob");
	cr_expect_eq(rig_request("POST", "/whip/r.1", with(SDP, anybody), RIG_OFFER)->status, 201);
	cr_expect_eq(strncmp(fake_sfu.participant, "guest-", 6), 0, "%s", fake_sfu.participant);
	cr_expect(token_name_is_good(fake_sfu.participant));
}

Test(whip, rfc9725_4_7_rfc6750_3_without_a_token)
{
	struct rig_answer *a = rig_request("POST", "/whip/lobby", SDP, RIG_OFFER);

	cr_expect_eq(a->status, 401);
	rig_expect_field(a, "WWW-Authenticate", "Bearer realm=\"turnpike\"");
	a = rig_request("POST", "/whip/lobby", with(SDP, "Authorization: Basic YTpi\r\n"),
			RIG_OFFER);
	cr_expect_eq(a->status, 401);
	cr_expect_eq(fake_sfu.n_joins, 0);
}

Test(whip, rfc6750_3_1_invalid_token)
{
	struct rig_answer *a = rig_request("POST", "/whip/lobby",
					   with(SDP, "Authorization: Bearer a.b.c\r\n"), RIG_OFFER);

	cr_expect_eq(a->status, 401);
	cr_expect_not_null(strstr(rig_field(a, "WWW-Authenticate"), "error=\"invalid_token\""));
	a = rig_request("POST", "/whip/lobby",
			with(SDP, rig_bearer(RIG_SECRET, "alice", "lobby", true, true, -1)),
			RIG_OFFER);
	cr_expect_eq(a->status, 401);
	cr_expect_not_null(strstr(a->body, "expired"));
	cr_expect_eq(fake_sfu.n_joins, 0);
}

Test(whip, rfc9110_11_1_the_scheme_has_no_case)
{
	char lower[2048];

	snprintf(lower, sizeof(lower), "%s", alice());
	memcpy(lower, "Authorization: bearer", 21);
	cr_expect_eq(rig_request("POST", "/whip/lobby", with(SDP, lower), RIG_OFFER)->status, 201);
}

Test(whip, a_rotated_secret_still_serves)
{
	const char *old = rig_bearer(RIG_SECRET2, "alice", "lobby", true, false, 60);

	cr_expect_eq(rig_request("POST", "/whip/lobby", with(SDP, old), RIG_OFFER)->status, 201);
}

Test(whip, grants_are_for_role_and_room)
{
	const char *watcher = rig_bearer(RIG_SECRET, "alice", "lobby", false, true, 60);

	cr_expect_eq(rig_request("POST", "/whip/lobby", with(SDP, watcher), RIG_OFFER)->status,
		     403);
	cr_expect_eq(post("/whip/other")->status, 403);
	cr_expect_eq(fake_sfu.n_joins, 0);
}

Test(whip, rfc9725_4_2_content_type)
{
	struct rig_answer *a = rig_request(
		"POST", "/whip/lobby", with("Content-Type: application/json\r\n", alice()), "{}");

	cr_expect_eq(a->status, 415);
	rig_expect_field(a, "Accept-Post", "application/sdp");
	cr_expect_eq(rig_request("POST", "/whip/lobby", alice(), RIG_OFFER)->status, 415);
	cr_expect_eq(rig_request("POST", "/whip/lobby",
				 with("Content-Type: application/sdpx\r\n", alice()), RIG_OFFER)
			     ->status,
		     415);
	cr_expect_eq(fake_sfu.n_joins, 0);
	cr_expect_eq(rig_request("POST", "/whip/lobby",
				 with("Content-Type: Application/SDP ; charset=utf-8\r\n", alice()),
				 RIG_OFFER)
			     ->status,
		     201);
}

Test(whip, rfc9110_15_5_14_too_large)
{
	char *offer = malloc(65538);

	memset(offer, 'a', 65537);
	offer[65536] = '\0';
	cr_expect_eq(rig_request("POST", "/whip/lobby", with(SDP, alice()), offer)->status, 201);
	offer[65536] = 'a';
	offer[65537] = '\0';
	cr_expect_eq(rig_request("POST", "/whip/lobby", with(SDP, alice()), offer)->status, 413);
	cr_expect_eq(fake_sfu.n_joins, 1);
	free(offer);
}

Test(whip, rfc9725_4_2_refusals)
{
	struct rig_answer *a;

	refused(SFU_MALFORMED, 400);
	refused(SFU_NOT_ACCEPTABLE, 406);
	a = refused(SFU_TAKEN, 409);
	cr_expect_null(rig_field(a, "Retry-After"));
	a = refused(SFU_FULL, 503);
	rig_expect_field(a, "Retry-After", "10");
	fake_sfu.next_retry_after_s = 33;
	a = refused(SFU_DRAINING, 503);
	rig_expect_field(a, "Retry-After", "33");
	cr_expect_null(rig_field(a, "Link"), "no credentials with a refusal");
}

Test(whip, an_empty_offer)
{
	cr_expect_eq(rig_request("POST", "/whip/lobby", with(SDP, alice()), "")->status, 400);
	cr_expect_eq(fake_sfu.n_joins, 0);
}

Test(whip, reasons_stay_on_one_line)
{
	fake_sfu.next = SFU_MALFORMED;
	strcpy(fake_sfu.next_reason, "line 1: '\x01\r\n\x1b[2J\xff'");
	cr_expect_str_eq(post("/whip/lobby")->body, "line 1: '????[2J?'\n");
}

Test(whip, rfc9725_4_1_other_methods_on_the_endpoint)
{
	static const char *const methods[] = { "GET", "PUT", "PATCH", "DELETE" };

	for (size_t i = 0; i < 4; i++) {
		struct rig_answer *a = rig_request(methods[i], "/whip/lobby", alice(), "");

		cr_expect_eq(a->status, 405, "%s", methods[i]);
		rig_expect_field(a, "Allow", "POST, OPTIONS");
	}
	cr_expect_eq(rig_request("HEAD", "/whip/lobby", alice(), "")->status, 405);
}

Test(whip, paths_that_are_none)
{
	static const char *const paths[] = {
		"/whip/",
		"/whip//alice",
		"/whip/a b",
		"/whip/%61",
		"/whip/lobby/a/b",
		"/whip/session",
		"/whip/lobby//",
		"/whip/a%2fb",
		"/whip/session/" RIG_SESSION "0",
		"/whip",
		"/nowhere",
		"/whip/lobby/alice/",
		"/whip/lobby/",
		"/whip/"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int status = post(paths[i])->status;

		cr_expect(status == 404 || (status == 400 && strchr(paths[i], ' ')), "%d for %s",
			  status, paths[i]);
	}
	cr_expect_eq(fake_sfu.n_joins, 0);
}

Test(whip, rfc9725_4_3_2_trickle)
{
	struct rig_answer *a;

	fake_sfu.next = SFU_TRICKLED;
	a = patch(FRAGMENT "If-Match: \"abcdef0123456789\"\r\n");
	cr_expect_eq(a->status, 204, "%s", a->head);
	cr_expect_eq(a->body_bytes, 0);
	cr_expect_str_eq(fake_sfu.if_match, "abcdef0123456789");
	cr_expect_str_eq(fake_sfu.body, "a=candidate:1\r\n");
}

Test(whip, rfc9725_4_3_3_restart)
{
	struct rig_answer *a;

	fake_sfu.next = SFU_RESTARTED;
	a = patch(FRAGMENT "If-Match: *\r\n");
	cr_expect_eq(a->status, 200);
	rig_expect_field(a, "Content-Type", "application/trickle-ice-sdpfrag");
	rig_expect_field(a, "ETag", "\"abcdef0123456789\"");
	cr_expect_str_eq(a->body, "a=ice-ufrag:new1\r\n");
	cr_expect_str_eq(fake_sfu.if_match, "*");
}

Test(whip, rfc9725_4_3_1_preconditions)
{
	fake_sfu.next = SFU_ETAG_MISSING;
	cr_expect_eq(patch(FRAGMENT)->status, 428);
	cr_expect_not(fake_sfu.has_if_match);
	fake_sfu.next = SFU_ETAG_MISMATCH;
	cr_expect_eq(patch(FRAGMENT "If-Match: \"other\"\r\n")->status, 412);
	cr_expect_str_eq(fake_sfu.if_match, "other");
}

Test(whip, rfc9110_13_1_1_if_match)
{
	static const struct {
		const char *value;
		const char *asked; // NULL: 400 without asking the SFU
	} cases[] = {
		{ "\"a\", \"b\"", NULL },
		{ "abc", NULL },
		{ "\"", NULL },
		{ "\"a\"b\"", NULL },
		{ "\"*\"", "\"*\"" },
		{ "W/\"abcdef0123456789\"", "W/" },
		{ "\"abcdef0123456789x\"", "abcdef0123456789x" },
		{ "\"abcdef0123456789xyz\"", "abcdef0123456789x" },
		{ "  \"a\" ", "a" },
	};

	fake_sfu.next = SFU_ETAG_MISMATCH;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned before = fake_sfu.n_patches;
		char field[128];
		struct rig_answer *a;

		snprintf(field, sizeof(field), FRAGMENT "If-Match: %s\r\n", cases[i].value);
		a = patch(field);
		cr_expect_eq(a->status, cases[i].asked != NULL ? 412 : 400, "%s", cases[i].value);
		cr_expect_eq(fake_sfu.n_patches - before, cases[i].asked != NULL);
		if (cases[i].asked != NULL)
			cr_expect_str_eq(fake_sfu.if_match, cases[i].asked);
	}
}

Test(whip, patch_of_another_type)
{
	struct rig_answer *a = patch(SDP "If-Match: *\r\n");

	cr_expect_eq(a->status, 415);
	rig_expect_field(a, "Accept-Patch", "application/trickle-ice-sdpfrag");
	cr_expect_eq(fake_sfu.n_patches, 0);
}

Test(whip, rfc9725_4_2_delete)
{
	fake_sfu.next = SFU_DELETED;
	cr_expect_eq(rig_request("DELETE", PATH, alice(), "")->status, 200);
	cr_expect_eq(fake_sfu.n_leaves, 1);
	cr_expect_eq(rig_request("DELETE", "/whip/session/0011", alice(), "")->status, 404);
	cr_expect_eq(rig_request("DELETE", PATH, "", "")->status, 401);
	cr_expect_eq(fake_sfu.n_leaves, 1);
}

Test(whip, an_expired_token_ends_but_does_not_change)
{
	char expired[2048];

	snprintf(expired, sizeof(expired), "%s",
		 rig_bearer(RIG_SECRET, "alice", "lobby", true, false, -60));
	fake_sfu.next = SFU_DELETED;
	cr_expect_eq(rig_request("PATCH", PATH, with(FRAGMENT, expired), "x")->status, 401);
	cr_expect_eq(rig_request("DELETE", PATH, expired, "")->status, 200);
	cr_expect_eq(fake_sfu.n_patches, 0);
}

Test(whip, sessions_belong_to_role_and_room)
{
	const char *other = rig_bearer(RIG_SECRET, "alice", "cellar", true, true, 60);

	fake_sfu.next = SFU_DELETED;
	cr_expect_eq(rig_request("DELETE", PATH, other, "")->status, 403);
	cr_expect_eq(rig_request("DELETE", "/whep/session/" RIG_SESSION, alice(), "")->status, 404);
	fake_sfu.session_role = SFU_ROLE_WATCH;
	cr_expect_eq(rig_request("DELETE", PATH, alice(), "")->status, 404);
	cr_expect_eq(fake_sfu.n_leaves, 0);
}

Test(whip, rfc9725_4_1_other_methods_on_the_session)
{
	static const char *const methods[] = { "GET", "POST", "PUT" };
	struct rig_answer *a;

	for (size_t i = 0; i < 3; i++) {
		a = rig_request(methods[i], PATH, alice(), "");
		cr_expect_eq(a->status, 405, "%s", methods[i]);
		rig_expect_field(a, "Allow", "PATCH, DELETE, OPTIONS");
	}
	cr_expect_eq(rig_request("HEAD", PATH, alice(), "")->status, 405);
	a = rig_request("OPTIONS", PATH, "", "");
	cr_expect_eq(a->status, 200);
	rig_expect_field(a, "Accept-Patch", "application/trickle-ice-sdpfrag");
}

static void redirect(struct signaling_config *c)
{
	c->redirect = "https://node2.example";
}

Test(whip_elsewhere, rfc9725_4_5_redirect, .fini = rig_close)
{
	struct rig_answer *a;

	rig_open(redirect);
	a = post("/whip/lobby/alice");
	cr_expect_eq(a->status, 307);
	rig_expect_field(a, "Location", "https://node2.example/whip/lobby/alice");
	cr_expect_eq(rig_request("POST", "/whip/lobby", SDP, RIG_OFFER)->status, 401);
	cr_expect_eq(fake_sfu.n_joins, 0);
	fake_sfu.next = SFU_DELETED;
	cr_expect_eq(rig_request("DELETE", PATH, alice(), "")->status, 200, "old ones stay here");
}

static void open_house(struct signaling_config *c)
{
	c->requires_tokens = false;
	c->n_token_secrets = 0;
	c->turn_secret = NULL;
}

Test(whip_elsewhere, without_tokens_everybody_may, .fini = rig_close)
{
	struct rig_answer *a;

	rig_open(open_house);
	a = rig_request("POST", "/whip/lobby/bob", SDP, RIG_OFFER);
	cr_expect_eq(a->status, 201);
	cr_expect_str_eq(fake_sfu.participant, "bob");
	cr_expect_null(rig_field(a, "Link"), "no secret, no credentials");
}
