// Rooms in the tables: who comes, goes, speaks and moves between workers; handshakes; what the watchers are told to send.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/state.h"
#include "dataplane/contract/shm/ring.h"
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

TestSuite(room, .init = setup, .fini = teardown);

static const struct shm_sfu_view *view(void)
{
	return table_writer_sfu_view(&r.tables);
}

Test(room, a_watcher_joins_the_list_of_the_worker_that_owns_it)
{
	uint32_t p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	uint32_t track = sfu_rig_track(&r, p, SHM_SFU_VIDEO), slot = sfu_rig_slot(&r, w, 1);

	cr_assert_eq(view()->subscription[slot].track_idx, track);
	cr_assert_eq(sfu_rig_count_lists(&r, slot), 0, "nobody sends to it yet");
	sfu_rig_own(&r, w, 1);
	cr_assert(sfu_rig_lists(&r, track, 1, slot));
	sfu_rig_own(&r, w, 0);
	cr_assert(sfu_rig_lists(&r, track, 0, slot));
	cr_assert_eq(sfu_rig_count_lists(&r, slot), 1);
}

Test(room, a_lost_event_is_made_up_for)
{
	uint32_t p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);

	r.state.transport[w].serial = view()->transport[w].serial;
	r.state.transport[w].owner = 1;
	sfu_tick(r.sfu, r.now_ns + NS_PER_S);
	cr_assert(
		sfu_rig_lists(&r, sfu_rig_track(&r, p, SHM_SFU_AUDIO), 0, sfu_rig_slot(&r, w, 0)));
}

Test(room, a_publisher_that_leaves_is_out_of_every_list_and_the_next_takes_its_place)
{
	char id[SFU_SESSION_ID_BYTES];
	uint32_t a = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", id);
	uint32_t b = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "bob", "firefox_publish", NULL);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	uint32_t slot = sfu_rig_slot(&r, w, 1), track = sfu_rig_track(&r, a, SHM_SFU_VIDEO);
	struct sfu_reply reply;

	sfu_rig_own(&r, w, 0);
	cr_assert(sfu_rig_lists(&r, track, 0, slot));
	sfu_leave(r.sfu, id, &reply);
	cr_assert_eq(reply.status, SFU_DELETED);
	cr_assert_null(shm_sfu_track_get(view(), track));
	cr_assert_eq(view()->track[track].list[0], 0);
	cr_assert(sfu_rig_lists(&r, sfu_rig_track(&r, b, SHM_SFU_VIDEO), 0, slot));
	cr_assert_eq(sfu_rig_count_lists(&r, slot), 1);
}

Test(room, a_watcher_that_leaves_is_out_of_every_list)
{
	char id[SFU_SESSION_ID_BYTES];
	uint32_t p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	uint32_t w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", id);
	uint32_t slot = sfu_rig_slot(&r, w, 0);
	struct sfu_reply reply;

	sfu_rig_own(&r, w, 0);
	cr_assert_eq(sfu_rig_count_lists(&r, slot), 1);
	sfu_leave(r.sfu, id, &reply);
	cr_assert_eq(sfu_rig_count_lists(&r, slot), 0);
	cr_assert_null(shm_sfu_subscription_get(view(), slot));
	cr_assert_not_null(shm_sfu_track_get(view(), sfu_rig_track(&r, p, SHM_SFU_AUDIO)));
}

Test(room, rooms_do_not_see_each_other)
{
	uint32_t p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "one", "ann", "chromium_publish", NULL);
	uint32_t w;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "two", "ann", "chromium_publish", NULL);
	w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "two", NULL, "chromium_watch", NULL);
	sfu_rig_own(&r, w, 0);
	cr_assert_eq(view()->track[sfu_rig_track(&r, p, SHM_SFU_VIDEO)].list[0], 0);
	cr_assert_eq(sfu_rig_count_lists(&r, sfu_rig_slot(&r, w, 1)), 1);
}

// A publisher's stream as a worker measures it.
static void stream(uint32_t track, uint32_t layer, uint32_t bitrate_bps, uint64_t now_ns)
{
	struct shm_sfu_ingress_state *s = &r.state.ingress[shm_sfu_ingress_idx(track, layer)];

	s->serial = view()->track[track].serial;
	s->bitrate_bps = bitrate_bps;
	s->last_rx_ns = now_ns;
	s->audio_level = 127;
}

Test(room, a_slow_watcher_gets_a_lower_layer_and_the_others_do_not)
{
	uint32_t p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann",
				    "chromium_publish_simulcast", NULL);
	uint32_t slow = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	uint32_t fast = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	uint32_t track = sfu_rig_track(&r, p, SHM_SFU_VIDEO);
	uint64_t now_ns = r.now_ns;

	sfu_rig_own(&r, slow, 0);
	sfu_rig_own(&r, fast, 0);
	for (uint32_t i = 0; i < 40; i++) {
		now_ns += NS_PER_S / 10;
		stream(track, 0, 150000, now_ns);
		stream(track, 1, 500000, now_ns);
		stream(track, 2, 900000, now_ns);
		r.state.transport[slow].remb_bps = 400000;
		r.state.transport[slow].remb_at_ns = now_ns;
		r.state.transport[slow].report_at_ns = now_ns;
		r.state.transport[slow].tx_pkts += 100;
		r.state.transport[fast].remb_bps = 5000000;
		r.state.transport[fast].remb_at_ns = now_ns;
		r.state.transport[fast].report_at_ns = now_ns;
		r.state.transport[fast].tx_pkts += 100;
		sfu_tick(r.sfu, now_ns);
	}
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, slow, 1)].target & 0xff, 0);
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, fast, 1)].target & 0xff, 2);
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, slow, 0)].target, SHM_SFU_TARGET_ALL,
		     "audio is never touched");
	cr_assert_leq(view()->transport[slow].target_bps, 400000);
	cr_assert_neq(view()->transport[slow].pace_bps, 0);
	r.state.transport[slow].remb_bps = 60000;
	for (uint32_t i = 0; i < 20; i++) {
		now_ns += NS_PER_S / 10;
		stream(track, 0, 150000, now_ns);
		r.state.transport[slow].remb_at_ns = now_ns;
		r.state.transport[slow].tx_pkts += 100;
		sfu_tick(r.sfu, now_ns);
	}
	cr_assert(view()->subscription[sfu_rig_slot(&r, slow, 1)].target & SHM_SFU_TARGET_F_PAUSED);
}

// A worker tells of a transport with its first packet, which may be that of a key frame.
Test(room, a_watcher_is_paced_before_any_worker_tells_of_it)
{
	uint32_t w;

	sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	cr_assert_neq(view()->transport[w].pace_bps, 0);
}

Test(room, with_last_n_only_who_spoke_last_is_seen)
{
	uint32_t a = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	uint32_t b = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "bob", "chromium_publish", NULL);
	uint32_t w;
	uint64_t now_ns = r.now_ns;

	r.config->sfu.last_n = 1;
	w = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
	sfu_rig_own(&r, w, 0);
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, w, 1)].track_idx,
		     sfu_rig_track(&r, a, SHM_SFU_VIDEO), "nobody spoke yet: who joined first");
	for (uint32_t i = 0; i < 40; i++) {
		uint32_t voice = sfu_rig_track(&r, b, SHM_SFU_AUDIO);
		struct shm_sfu_ingress_state *s = &r.state.ingress[shm_sfu_ingress_idx(voice, 0)];

		now_ns += NS_PER_S / 10;
		stream(sfu_rig_track(&r, a, SHM_SFU_AUDIO), 0, 30000, now_ns);
		stream(voice, 0, 30000, now_ns);
		s->audio_level = 20;
		s->voice = 1;
		sfu_tick(r.sfu, now_ns);
	}
	cr_assert_eq(view()->subscription[sfu_rig_slot(&r, w, 1)].track_idx,
		     sfu_rig_track(&r, b, SHM_SFU_VIDEO));
	cr_assert_eq(view()->track[sfu_rig_track(&r, a, SHM_SFU_VIDEO)].list[0], 0);
}

Test(room, a_crowd_is_in_the_lists_with_the_next_tick)
{
	struct config *c = sfu_rig_config();
	uint32_t w[SFU_ROOM_SMALL + 8], p;

	c->sfu.max_sessions = c->sfu.max_watchers_per_room = 100;
	c->sfu.max_subscriptions = 400;
	sfu_rig_close(&r);
	sfu_rig_open(&r, c);
	p = sfu_rig_joined(&r, SFU_ROLE_PUBLISH, "room", "ann", "chromium_publish", NULL);
	for (uint32_t i = 0; i < SFU_ROOM_SMALL + 8; i++) {
		w[i] = sfu_rig_joined(&r, SFU_ROLE_WATCH, "room", NULL, "chromium_watch", NULL);
		sfu_rig_own(&r, w[i], i % 2);
	}
	sfu_tick(r.sfu, r.now_ns + NS_PER_S / 20);
	for (uint32_t i = 0; i < SFU_ROOM_SMALL + 8; i++)
		cr_assert(sfu_rig_lists(&r, sfu_rig_track(&r, p, SHM_SFU_VIDEO), i % 2,
					sfu_rig_slot(&r, w[i], 1)),
			  "watcher %u", i);
}

// ---- a client of DTLS at the other end of the rings

struct client {
	struct dtls_session *dtls;
	uint32_t transport_idx;
	uint32_t worker_idx;
	struct dtls_keys keys;
	bool has_keys;
	bool is_closed;
};

static void client_send(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct client *c = context;

	sfu_rig_punt(&r, c->worker_idx, c->transport_idx, SHM_DATAGRAM_DTLS, datagram, n_bytes);
}

static void client_keys(void *context, const struct dtls_keys *keys)
{
	struct client *c = context;

	c->keys = *keys;
	c->has_keys = true;
}

static void client_data(void *context, const uint8_t *bytes, size_t n_bytes)
{
}

static void client_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	((struct client *)context)->is_closed = true;
}

// Hands everything that was injected to the client.
static uint32_t deliver(struct client *c)
{
	struct shm_ring *ring = table_writer_ring(&r.tables, c->worker_idx, SHM_RING_INJECT);
	uint32_t n = 0;

	for (;;) {
		uint8_t copy[SHM_DATAGRAM_BYTES_MAX];
		uint16_t n_bytes;
		const struct shm_datagram *d = shm_ring_peek(ring, &n_bytes);

		if (d == NULL)
			return n;
		cr_assert_eq(d->kind, SHM_DATAGRAM_DTLS);
		cr_assert_eq(d->transport_idx, c->transport_idx);
		memcpy(copy, d->data, n_bytes);
		shm_ring_release(ring);
		dtls_session_receive(c->dtls, copy, n_bytes);
		n++;
	}
}

static const struct dtls_callbacks client_callbacks = {
	.send = client_send,
	.keys = client_keys,
	.data = client_data,
	.closed = client_closed,
};

// An offer whose fingerprint is the client's, from that browser's.
static uint32_t join_as(struct dtls_context *context, struct client *c)
{
	const uint8_t *sha = dtls_context_fingerprint(context);
	char *offer = strdup(sfu_rig_offer("chromium_publish"));
	struct sfu_join join = { .role = SFU_ROLE_PUBLISH, .room = "room", .participant = "ann" };
	struct sdp_fingerprint ours = { .hash = SDP_HASH_SHA256, .n_bytes = 32 };
	struct sfu_reply reply;
	char *at = offer;

	while ((at = strstr(at, "a=fingerprint:sha-256 ")) != NULL) {
		at += strlen("a=fingerprint:sha-256 ");
		for (uint32_t i = 0; i < 32; i++) {
			char hex[4];

			snprintf(hex, sizeof(hex), "%02X:", sha[i]);
			memcpy(at + 3 * i, hex, i < 31 ? 3 : 2);
		}
	}
	join.offer = offer;
	join.offer_bytes = strlen(offer);
	sfu_join(r.sfu, &join, &reply);
	cr_assert_eq(reply.status, SFU_CREATED, "%s", reply.reason);
	at = strstr(reply.body, "a=fingerprint:sha-256 ");
	cr_assert_not_null(at);
	for (uint32_t i = 0; i < 32; i++)
		ours.bytes[i] = (uint8_t)strtoul(at + 22 + 3 * i, NULL, 16);
	free(reply.body);
	free(offer);
	cr_assert_eq(dtls_session_new(context, DTLS_ROLE_CLIENT, &ours, 1, &client_callbacks, c,
				      &c->dtls),
		     0);
	return 1;
}

Test(room, rfc5764_a_handshake_over_the_rings_puts_both_ends_keys_into_the_tables)
{
	struct dtls_context *context;
	struct client c = { .worker_idx = 1 };
	const struct shm_srtp_keys *k;
	struct sfu_figures figures;
	char state_dir[] = "/tmp/turnpike-client-XXXXXX", command[64];

	cr_assert_not_null(mkdtemp(state_dir));
	cr_assert_eq(dtls_context_new(state_dir, &context), 0);
	c.transport_idx = join_as(context, &c);
	sfu_rig_own(&r, c.transport_idx, 1);
	cr_assert_eq(dtls_session_start(c.dtls), 0);
	for (uint32_t i = 0; i < 20 && deliver(&c) > 0; i++)
		;
	cr_assert(c.has_keys);
	cr_assert_eq(table_writer_srtp_generation(&r.tables, c.transport_idx), 1);
	k = shm_srtp_record(r.tables.srtp_segment.base, c.transport_idx);
	cr_assert_eq(k->profile, DP_SRTP_AEAD_AES_128_GCM);
	cr_assert_arr_eq(k->rx_key, c.keys.tx_key, 16);
	cr_assert_arr_eq(k->tx_key, c.keys.rx_key, 16);
	cr_assert_arr_eq(k->rx_salt, c.keys.tx_salt, 12);
	dtls_session_close(c.dtls);
	sfu_figures(r.sfu, &figures);
	cr_assert_eq(figures.n_sessions, 0, "close_notify ends the session");
	dtls_session_free(c.dtls);
	dtls_context_free(context);
	snprintf(command, sizeof(command), "rm -rf '%s'", state_dir);
	cr_assert_eq(system(command), 0);
}
