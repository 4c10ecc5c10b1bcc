// Sessions as signaling asks for them, with the offers of real browsers: what answers say, what stands in the tables, what is refused and
// why, and how sessions end.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/contract/wire/ice.h"
#include "tests/unit/sfu/sfu_rig.h"

#define NS_PER_S 1000000000ull

static struct sfu_rig r;

static void setup(void)
{
	sfu_rig_open(&r, sfu_rig_config());
}

static void teardown(void)
{
	sfu_rig_close(&r);
}

TestSuite(session, .init = setup, .fini = teardown);

static const struct shm_sfu_view *view(void)
{
	return table_writer_sfu_view(&r.tables);
}

static uint32_t count(const char *text, const char *part)
{
	uint32_t n = 0;

	for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
		n++;
	return n;
}

Test(session, rfc9725_section_4_2_a_publisher_gets_one_codec_ice_lite_and_all_candidates)
{
	struct sfu_reply reply;

	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", &reply);
	cr_assert_eq(reply.status, SFU_CREATED, "%s", reply.reason);
	cr_assert_eq(strlen(reply.session_id), SFU_SESSION_ID_BYTES - 1);
	cr_assert_eq(strlen(reply.etag), SFU_ETAG_BYTES - 1);
	cr_assert_eq(count(reply.body, "a=ice-lite"), 1);
	cr_assert_eq(count(reply.body, "a=setup:passive"), 2);
	cr_assert_eq(count(reply.body, "a=recvonly"), 2);
	cr_assert_eq(count(reply.body, "VP8/90000"), 1);
	cr_assert_eq(count(reply.body, "H264/90000"), 0);
	cr_assert_eq(count(reply.body, "rtx/90000"), 1);
	cr_assert_eq(count(reply.body, "a=candidate:"), 4, "two in each section");
	cr_assert_eq(count(reply.body, "198.51.100.1"), 2);
	cr_assert_eq(count(reply.body, "a=end-of-candidates"), 2);
	free(reply.body);
}

Test(session, a_publisher_stands_in_the_tables)
{
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	const struct shm_sfu_transport *transport = &view()->transport[t];
	const struct shm_sfu_track *video = &view()->track[sfu_rig_track(&r, t, SHM_SFU_VIDEO)];
	uint32_t parsed_idx;
	uint16_t node_id;

	cr_assert(transport->flags & SHM_SFU_TRANSPORT_F_PUBLISHES);
	cr_assert(transport->flags & SHM_SFU_TRANSPORT_F_TWCC);
	cr_assert(ice_ufrag_parse(transport->ufrag, transport->ufrag_bytes, &parsed_idx, &node_id));
	cr_assert_eq(parsed_idx, t);
	cr_assert_eq(node_id, 7);
	cr_assert_neq(transport->extension_id[SHM_SFU_EXT_MID], 0);
	cr_assert_neq(transport->extension_id[SHM_SFU_EXT_TWCC], 0);
	cr_assert_neq(transport->rtcp_ssrc, 0);
	cr_assert_eq(video->codec, SHM_SFU_VP8);
	cr_assert_eq(video->clock_hz, 90000);
	cr_assert_eq(video->n_layers, 1);
	cr_assert_neq(video->layer[0].ssrc, 0);
	cr_assert_neq(video->layer[0].rtx_ssrc, 0);
	cr_assert_eq(video->has_nack, 1);
	cr_assert_eq(video->has_pli, 1);
	cr_assert_neq(video->rtx_payload_type, 0);
	cr_assert_eq(view()->track[sfu_rig_track(&r, t, SHM_SFU_AUDIO)].codec, SHM_SFU_OPUS);
}

Test(session, rfc8853_layers_are_lowest_first_and_keep_their_rids)
{
	static const char *const offers[] = { "chromium_publish_simulcast",
					      "firefox_publish_simulcast" };

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", i == 0 ? "ann" : "bob",
					    offers[i], NULL);
		const struct shm_sfu_track *video =
			&view()->track[sfu_rig_track(&r, t, SHM_SFU_VIDEO)];

		cr_assert_eq(video->n_layers, 3, "%s", offers[i]);
		cr_assert_str_eq(video->layer[0].rid, "q");
		cr_assert_str_eq(video->layer[1].rid, "h");
		cr_assert_str_eq(video->layer[2].rid, "f");
	}
}

Test(session, the_configured_order_of_codecs_rules)
{
	uint32_t t;

	r.config->sfu.codecs[0] = SHM_SFU_AV1;
	r.config->sfu.codecs[3] = SHM_SFU_VP8;
	t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	cr_assert_eq(view()->track[sfu_rig_track(&r, t, SHM_SFU_VIDEO)].codec, SHM_SFU_AV1);
	r.config->sfu.codecs[0] = SHM_SFU_H264;
	r.config->sfu.n_codecs = 1;
	t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "bob", "chromium_publish_h264", NULL);
	cr_assert_eq(view()->track[sfu_rig_track(&r, t, SHM_SFU_VIDEO)].codec, SHM_SFU_H264);
}

Test(session, a_watcher_gets_its_own_ssrcs_in_every_section)
{
	struct sfu_reply reply;
	const struct shm_sfu_subscription *s;
	uint32_t t;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	sfu_rig_join(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", &reply);
	cr_assert_eq(reply.status, SFU_CREATED, "%s", reply.reason);
	cr_assert_eq(count(reply.body, "a=sendonly"), count(reply.body, "\nm="));
	cr_assert_geq(count(reply.body, "a=ssrc-group:FID"), 1);
	free(reply.body);
	t = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "firefox_watch", NULL);
	s = &view()->subscription[sfu_rig_slot(&r, t, 1)];
	cr_assert_neq(s->ssrc, 0);
	cr_assert_neq(s->rtx_ssrc, 0);
	cr_assert_neq(s->ssrc, view()->subscription[sfu_rig_slot(&r, t, 0)].ssrc);
	cr_assert_eq(s->has_nack, 1);
	cr_assert_neq(s->payload_type[SHM_SFU_VP8], 0xff);
	cr_assert_eq(s->payload_type[SHM_SFU_OPUS], 0xff);
	cr_assert(view()->transport[t].flags & SHM_SFU_TRANSPORT_F_WATCHES);
}

Test(session, whep_nobody_to_watch_is_409_with_retry_after_unless_waiting_is_configured)
{
	struct sfu_reply reply;
	uint32_t t;

	sfu_rig_join(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", &reply);
	cr_assert_eq(reply.status, SFU_NO_PUBLISHER);
	cr_assert_eq(reply.retry_after_s, 2);
	cr_assert_null(reply.body);
	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	sfu_rig_join(&r, SFU_ROLE_WATCH, "room", "bob", "chromium_watch", &reply);
	cr_assert_eq(reply.status, SFU_NO_PUBLISHER, "not the one that is wanted");
	r.config->sfu.wait_for_publisher = true;
	t = sfu_rig_joined(&r, SFU_ROLE_WATCH, "other", NULL, "chromium_watch", NULL);
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, t, 0)].track_idx, 0);
}

Test(session, refusals_say_why_and_leave_nothing_behind)
{
	const char *offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio x\r\n";
	struct sfu_join join = {
		.role = SFU_ROLE_PUBLISH,
		.room = "room",
		.participant = "ann",
		.offer = offer,
		.offer_bytes = strlen(offer),
	};
	struct sfu_figures figures;
	struct sfu_reply reply;

	sfu_join(r.sfu, &join, &reply);
	cr_assert_eq(reply.status, SFU_MALFORMED);
	cr_assert_not_null(strstr(reply.reason, "line 5"), "%s", reply.reason);
	join.room = "no/such name";
	sfu_join(r.sfu, &join, &reply);
	cr_assert_eq(reply.status, SFU_MALFORMED);
	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_watch", &reply);
	cr_assert_eq(reply.status, SFU_NOT_ACCEPTABLE);
	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", &reply);
	cr_assert_eq(reply.status, SFU_TAKEN);
	sfu_drain(r.sfu, true);
	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "room", "bob", "chromium_publish", &reply);
	cr_assert_eq(reply.status, SFU_DRAINING);
	cr_assert_gt(reply.retry_after_s, 0);
	sfu_figures(r.sfu, &figures);
	cr_assert_eq(figures.n_sessions, 1);
	cr_assert_eq(figures.n_rooms, 1);
}

Test(session, full_tables_refuse_with_503_and_every_entry_comes_back)
{
	uint32_t n_tracks = r.tables.sfu->free_tracks.n;
	char id[SFU_RIG_SESSIONS][SFU_SESSION_ID_BYTES], room[16];
	struct sfu_reply reply;

	for (uint32_t i = 0; i < SFU_RIG_SESSIONS; i++) {
		snprintf(room, sizeof(room), "room-%u", i);
		sfu_rig_joined(&r, SFU_ROLE_PUBLISH, room, "ann", "chromium_publish", id[i]);
	}
	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "more", "ann", "chromium_publish", &reply);
	cr_assert_eq(reply.status, SFU_FULL);
	cr_assert_gt(reply.retry_after_s, 0);
	for (uint32_t i = 0; i < SFU_RIG_SESSIONS; i++) {
		sfu_leave(r.sfu, id[i], &reply);
		cr_assert_eq(reply.status, SFU_DELETED);
	}
	table_writer_reclaim(&r.tables, r.now_ns);
	cr_assert_eq(r.tables.sfu->free_tracks.n, n_tracks);
	cr_assert_eq(r.tables.sfu->free_transports.n, SFU_RIG_SESSIONS);
	sfu_leave(r.sfu, id[0], &reply);
	cr_assert_eq(reply.status, SFU_NOT_FOUND);
}

Test(session, subscriptions_that_do_not_fit_leave_nothing_behind)
{
	struct sfu_reply reply;
	uint32_t n_transports;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	n_transports = r.tables.sfu->free_transports.n;
	r.tables.sfu->free_subscriptions.n = 1;
	sfu_rig_join(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", &reply);
	cr_assert_eq(reply.status, SFU_FULL);
	cr_assert_eq(r.tables.sfu->free_subscriptions.n, 1);
	cr_assert_eq(r.tables.sfu->free_transports.n, n_transports);
}

static void patch(const char *id, const char *if_match, const char *fragment, struct sfu_reply *out)
{
	sfu_patch(r.sfu, id, if_match, fragment, strlen(fragment), out);
}

Test(session, rfc9725_section_4_3_trickle_needs_the_etag)
{
	const char *fragment = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n"
			       "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
			       "a=candidate:1 1 udp 2130706431 198.51.100.9 5000 typ host\r\n";
	struct sfu_reply joined, reply;

	sfu_rig_join(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", &joined);
	free(joined.body);
	patch(joined.session_id, NULL, fragment, &reply);
	cr_assert_eq(reply.status, SFU_ETAG_MISSING);
	patch(joined.session_id, "0123456789abcdef", fragment, &reply);
	cr_assert_eq(reply.status, SFU_ETAG_MISMATCH);
	patch(joined.session_id, joined.etag, fragment, &reply);
	cr_assert_eq(reply.status, SFU_TRICKLED);
	patch(joined.session_id, joined.etag, "a=candidate:nonsense\r\n", &reply);
	cr_assert_eq(reply.status, SFU_MALFORMED);
	patch("00000000000000000000000000000000", joined.etag, fragment, &reply);
	cr_assert_eq(reply.status, SFU_NOT_FOUND);
}

Test(session, rfc9725_section_4_3_3_a_restart_changes_both_credentials_and_the_etag)
{
	const char *fragment = "a=ice-ufrag:wxyz\r\na=ice-pwd:zyxwvutsrqponmlkjihgfe\r\n";
	const uint8_t nominated = SHM_SFU_EVENT_NOMINATED;
	struct shm_srtp_keys *keys;
	char ufrag[SHM_SFU_UFRAG_MAX], pwd[SHM_ICE_PWD_MAX];
	struct sfu_reply reply;
	char id[SFU_SESSION_ID_BYTES], etag[SFU_ETAG_BYTES];
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", id);

	keys = shm_srtp_record(r.tables.srtp_segment.base, t);
	strcpy(etag, table_writer_session(&r.tables, t)->etag);
	memcpy(ufrag, view()->transport[t].ufrag, sizeof(ufrag));
	memcpy(pwd, keys->ice_pwd, sizeof(pwd));
	patch(id, "*", "a=ice-ufrag:wxyz\r\n", &reply);
	cr_assert_eq(reply.status, SFU_MALFORMED);
	patch(id, "*", fragment, &reply);
	cr_assert_eq(reply.status, SFU_RESTARTED, "%s", reply.reason);
	cr_assert_str_neq(reply.etag, etag);
	cr_assert_eq(count(reply.body, view()->transport[t].ufrag), 1);
	cr_assert_eq(count(reply.body, "a=group:BUNDLE 0 1"), 1, "%s", reply.body);
	cr_assert_eq(count(reply.body, "a=candidate:"), 2);
	free(reply.body);
	cr_assert(memcmp(ufrag, view()->transport[t].ufrag, sizeof(ufrag)) != 0);
	cr_assert(memcmp(pwd, keys->ice_pwd, sizeof(pwd)) != 0);
	cr_assert_eq(view()->transport[t].is_ice_restarted, 1);
	cr_assert_arr_eq(keys->old_ice_pwd, pwd, sizeof(pwd));
	patch(id, etag, fragment, &reply);
	cr_assert_eq(reply.status, SFU_ETAG_MISMATCH);
	sfu_rig_punt(&r, 0, t, SHM_DATAGRAM_SFU_EVENT, &nominated, 1);
	cr_assert_eq(view()->transport[t].is_ice_restarted, 0);
}

Test(session, silent_clients_are_removed_but_not_for_the_time_without_a_dataplane)
{
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	struct sfu_figures figures;
	uint64_t from_ns = sfu_rig_now_ns();

	sfu_tick(r.sfu, from_ns + 100 * NS_PER_S);
	sfu_figures(r.sfu, &figures);
	cr_assert_eq(figures.n_sessions, 1, "nobody could hear it");
	r.workers->dataplane.phase = SHM_DATAPLANE_RUNNING;
	r.workers->dataplane.heartbeat_ns = UINT64_MAX / 2;
	sfu_tick(r.sfu, from_ns + 101 * NS_PER_S);
	r.state.transport[t].serial = view()->transport[t].serial;
	r.state.transport[t].last_check_ns = from_ns + 120 * NS_PER_S;
	sfu_tick(r.sfu, from_ns + 149 * NS_PER_S);
	sfu_figures(r.sfu, &figures);
	cr_assert_eq(figures.n_sessions, 1);
	sfu_tick(r.sfu, from_ns + 151 * NS_PER_S);
	sfu_figures(r.sfu, &figures);
	cr_assert_eq(figures.n_sessions, 0);
	cr_assert_eq(sfu_counters(r.sfu)->n_ended[4], 1, "%s", sfu_end_name(4));
}

Test(session, rfc5764_section_4_4_used_up_keys_end_the_session)
{
	const uint8_t event = SHM_SFU_EVENT_KEY_LIMIT;
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	struct sfu_figures figures;

	sfu_rig_punt(&r, 0, t, SHM_DATAGRAM_SFU_EVENT, &event, 1);
	sfu_figures(r.sfu, &figures);
	cr_assert_eq(figures.n_sessions, 0);
	cr_assert_null(shm_sfu_transport_get(view(), t));
}

Test(session, hostile_datagrams_of_workers_are_counted_and_harmless)
{
	uint8_t bytes[512];
	uint64_t n_invalid;
	uint32_t t = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);

	memset(bytes, 0xa5, sizeof(bytes));
	sfu_rig_punt(&r, 99, UINT32_MAX, SHM_DATAGRAM_DTLS, bytes, sizeof(bytes));
	sfu_rig_punt(&r, 99, 0, SHM_DATAGRAM_SFU_EVENT, bytes, 1);
	sfu_rig_punt(&r, 99, t + 1, SHM_DATAGRAM_SFU_EVENT, bytes, 1);
	n_invalid = sfu_counters(r.sfu)->n_invalid;
	cr_assert_eq(n_invalid, 3);
	sfu_rig_punt(&r, 99, t, SHM_DATAGRAM_SFU_EVENT, bytes, 1);
	sfu_rig_punt(&r, 99, t, SHM_DATAGRAM_SFU_FEEDBACK, bytes, sizeof(bytes));
	sfu_rig_punt(&r, 99, t, 0xff, bytes, sizeof(bytes));
	sfu_rig_punt(&r, 99, t, SHM_DATAGRAM_DTLS, bytes, 0);
	cr_assert_eq(sfu_counters(r.sfu)->n_invalid, n_invalid + 4);
	for (size_t n = 1; n < sizeof(bytes); n++)
		sfu_rig_punt(&r, 99, t, SHM_DATAGRAM_DTLS, bytes, n);
	cr_assert_not_null(shm_sfu_transport_get(view(), t));
}
