// turnpikectl why and its relatives: the first cause on the way of the media, named as operators read it.
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/engine.h"
#include "controlplane/ops/ctl_request.h"
#include "dataplane/contract/shm/sfu_state.h"
#include "tests/unit/sfu/sfu_rig.h"

#define NS_PER_S 1000000000ull

static struct sfu_rig r;

static void setup(void)
{
	sfu_rig_open(&r, sfu_rig_config());
	r.workers->dataplane.phase = SHM_DATAPLANE_RUNNING;
	r.workers->dataplane.heartbeat_ns = UINT64_MAX / 2;
}

static void teardown(void)
{
	sfu_rig_close(&r);
}

TestSuite(why, .init = setup, .fini = teardown);

static json_t *ask(const char *verb, const char *name, const char *value)
{
	struct engine e = { .sfu = r.sfu };
	json_t *request = json_pack("{s:i, s:s, s:{}}", "version", 1, "verb", verb, "args"), *out;
	char *line, *answer;

	if (name != NULL)
		json_object_set_new(json_object_get(request, "args"), name, json_string(value));
	line = json_dumps(request, JSON_COMPACT);
	answer = ctl_request_handle(&e, line, strlen(line));
	cr_assert_not_null(answer);
	out = json_loads(answer, 0, NULL);
	cr_assert_not_null(out, "%s", answer);
	free(line);
	free(answer);
	json_decref(request);
	return out;
}

// The reason that `why` gives for a session, "" when media flows.
static const char *reason(const char *id)
{
	static char copy[64];
	json_t *answer = ask("why", "id", id);
	json_t *result = json_object_get(answer, "result");
	const char *text = json_string_value(json_object_get(result, "reason"));

	cr_assert(json_is_true(json_object_get(answer, "ok")));
	cr_assert_str_eq(json_string_value(json_object_get(result, "verdict")),
			 text == NULL ? "flows" : "trouble");
	snprintf(copy, sizeof(copy), "%s", text != NULL ? text : "");
	json_decref(answer);
	return copy;
}

static const struct shm_sfu_view *view(void)
{
	return table_writer_sfu_view(&r.tables);
}

// The client is connected, as its worker sees it.
static void connect_client(uint32_t t)
{
	const uint8_t key[16] = { 1 }, salt[12] = { 2 };
	const struct table_writer_srtp keys = { .profile = 1,
						.rx_key = key,
						.tx_key = key,
						.rx_salt = salt,
						.tx_salt = salt,
						.key_bytes = 16,
						.salt_bytes = 12 };

	sfu_rig_own(&r, t, 0);
	table_writer_srtp_set(&r.tables, t, &keys);
	r.state.transport[t].phase = SHM_SFU_NOMINATED;
	r.state.transport[t].last_check_ns = sfu_rig_now_ns();
	r.state.transport[t].srtp_generation = table_writer_srtp_generation(&r.tables, t);
}

static void receive(uint32_t t, uint8_t kind)
{
	uint32_t track = sfu_rig_track(&r, t, kind);
	struct shm_sfu_ingress_state *s = &r.state.ingress[shm_sfu_ingress_idx(track, 0)];

	s->serial = view()->track[track].serial;
	s->pkts = 10;
	s->n_keyframes = 1;
	s->last_rx_ns = sfu_rig_now_ns();
	s->bitrate_bps = 500000;
}

static struct shm_sfu_egress_state *egress(uint32_t t, uint32_t n)
{
	uint32_t slot = sfu_rig_slot(&r, t, n);
	struct shm_sfu_egress_state *e = &r.state.egress[slot];

	e->serial = view()->subscription[slot].serial;
	return e;
}

Test(why, causes_come_in_the_order_of_a_packets_way)
{
	char id[SFU_SESSION_ID_BYTES];
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", id);

	cr_assert_str_eq(reason(id), "no_check");
	r.workers->dataplane.phase = SHM_DATAPLANE_STOPPED;
	cr_assert_str_eq(reason(id), "dataplane_down");
	r.workers->dataplane.phase = SHM_DATAPLANE_RUNNING;
	sfu_rig_own(&r, t, 0);
	r.state.transport[t].phase = SHM_SFU_CHECKED;
	r.state.transport[t].last_check_ns = sfu_rig_now_ns();
	cr_assert_str_eq(reason(id), "not_nominated");
	r.state.transport[t].phase = SHM_SFU_NOMINATED;
	cr_assert_str_eq(reason(id), "no_dtls");
	connect_client(t);
	r.state.transport[t].srtp_generation = 0;
	cr_assert_str_eq(reason(id), "keys_pending");
	connect_client(t);
	cr_assert_str_eq(reason(id), "no_media");
	r.state.transport[t].n_refused = 5;
	cr_assert_str_eq(reason(id), "refused");
	receive(t, SHM_SFU_AUDIO);
	receive(t, SHM_SFU_VIDEO);
	cr_assert_str_eq(reason(id), "");
	r.state.ingress[shm_sfu_ingress_idx(sfu_rig_track(&r, t, SHM_SFU_VIDEO), 0)].n_keyframes =
		0;
	cr_assert_str_eq(reason(id), "no_key_frame");
	r.state.transport[t].last_check_ns -= 20 * NS_PER_S;
	cr_assert_str_eq(reason(id), "no_consent");
}

Test(why, a_watcher_is_told_what_its_publishers_lack)
{
	char publisher[SFU_SESSION_ID_BYTES], id[SFU_SESSION_ID_BYTES];
	uint32_t p =
		sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", publisher);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", id);
	struct sfu_reply reply;
	json_t *answer;

	connect_client(w);
	cr_assert_str_eq(reason(id), "no_check", "the publisher's");
	connect_client(p);
	receive(p, SHM_SFU_AUDIO);
	receive(p, SHM_SFU_VIDEO);
	egress(w, 0)->reason = SHM_SFU_EGRESS_FORWARDS;
	egress(w, 1)->reason = SHM_SFU_EGRESS_WAITS_KEY;
	cr_assert_str_eq(reason(id), "waits_key_frame");
	egress(w, 1)->reason = SHM_SFU_EGRESS_PAUSED;
	cr_assert_str_eq(reason(id), "bandwidth");
	egress(w, 1)->reason = SHM_SFU_EGRESS_NO_CODEC;
	cr_assert_str_eq(reason(id), "codec_mismatch");
	egress(w, 1)->reason = SHM_SFU_EGRESS_FORWARDS;
	cr_assert_str_eq(reason(id), "");
	sfu_tick(r.sfu, sfu_rig_now_ns() + NS_PER_S);
	answer = ask("why", "id", id);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(json_object_get(answer, "result"), "bandwidth"),
				 "bound_by")),
			 "startup");
	json_decref(answer);
	sfu_leave(r.sfu, publisher, &reply);
	cr_assert_str_eq(reason(id), "no_publisher");
}

Test(why, sessions_are_listed_without_their_secret_and_found_by_the_beginning_of_it)
{
	char id[SFU_SESSION_ID_BYTES], part[9];
	json_t *answer, *first;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", id);
	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "other", "bob", "chromium_publish", NULL);
	answer = ask("sessions", "room", "room");
	first = json_array_get(json_object_get(json_object_get(answer, "result"), "sessions"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(first, "participant")), "ann");
	cr_assert_eq(strlen(json_string_value(json_object_get(first, "id"))), 8);
	snprintf(part, sizeof(part), "%s", json_string_value(json_object_get(first, "id")));
	json_decref(answer);
	cr_assert_str_eq(reason(part), "no_check");
	json_decref(ask("session kill", "id", part));
	answer = ask("why", "id", part);
	cr_assert(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
	answer = ask("rooms", NULL, NULL);
	cr_assert_eq(json_array_size(json_object_get(json_object_get(answer, "result"), "rooms")),
		     1);
	json_decref(answer);
	answer = ask("why", "id", "zz");
	cr_assert(json_is_false(json_object_get(answer, "ok")));
	json_decref(answer);
}
