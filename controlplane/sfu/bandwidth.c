// Ten times a second: what workers measured goes in, targets, rates and probes come out. Control plane's loop thread; writes through
// table_writer.
#include "controlplane/sfu/bandwidth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ACTIVE_NS      2000000000ull // a stream without packets for so long is not sent
#define AUDIO_BPS      50000         // of a track that was not measured yet
#define PACE_LEAST_BPS 200000
// What a cluster is made of: the workers send packets of the stream again, and padding where they have none, or where the
// cluster is so slow that large packets would be too few. Queues count packets, and the smallest hold 64.
#define PROBE_PACKET_BYTES   1260 // headers included
#define PROBE_PADDING_BYTES  315
#define PROBE_PADDING_BPS    500000 // below
#define PROBE_PKTS_MIN       5
#define PROBE_PKTS_MAX       40
#define FEEDBACK_RECORDS_MAX (SHM_DATAGRAM_BYTES_MAX / sizeof(struct shm_sfu_feedback))

int sfu_bandwidth_new(struct sfu_session *session)
{
	const struct config_sfu *c = &session->sfu->config->sfu;
	const struct shm_sfu_view *v = table_writer_sfu_view(session->sfu->tables);
	// What a predecessor had found out.
	uint64_t start_bps = v->transport[session->transport_idx].target_bps;
	struct sfu_bandwidth *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	b->tracks = calloc(session->n_slots + 1, sizeof(*b->tracks));
	b->track_idx = calloc(session->n_slots + 1, sizeof(*b->track_idx));
	session->bandwidth = b;
	if (b->tracks == NULL || b->track_idx == NULL) {
		sfu_bandwidth_free(session);
		return -ENOMEM;
	}
	bwe_estimator_init(&b->estimator, start_bps != 0 ? start_bps : c->start_kbps * 1000ull, 0,
			   c->max_kbps * 1000ull);
	bwe_probe_init(&b->probe);
	return 0;
}

void sfu_bandwidth_free(struct sfu_session *session)
{
	struct sfu_bandwidth *b = session->bandwidth;

	if (b == NULL)
		return;
	free(b->tracks);
	free(b->track_idx);
	free(b);
	session->bandwidth = NULL;
}

// Its id is another than the last one's, which a predecessor may have given. 0 packets: what is under way ends.
static void order_probe(struct sfu_session *session, uint32_t n_pkts, uint64_t bps)
{
	struct table_writer *w = session->sfu->tables;
	uint64_t last = table_writer_sfu_view(w)->transport[session->transport_idx].probe;

	table_writer_transport_probe(w, session->transport_idx,
				     (uint16_t)((last >> 48) % UINT16_MAX + 1), (uint16_t)n_pkts,
				     (uint32_t)(bps / 1000));
}

void sfu_bandwidth_feedback(struct sfu_session *session, const uint8_t *bytes, size_t n_bytes,
			    uint64_t now_ns)
{
	struct sfu_bandwidth *b = session->bandwidth;
	struct bwe_packet packets[FEEDBACK_RECORDS_MAX];
	struct bwe_probe_result result;
	uint32_t n = (uint32_t)(n_bytes / sizeof(struct shm_sfu_feedback));

	if (b == NULL || n == 0 || n > FEEDBACK_RECORDS_MAX) {
		session->sfu->counters.n_invalid++;
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct shm_sfu_feedback f;

		memcpy(&f, bytes + i * sizeof(f), sizeof(f));
		packets[i] = (struct bwe_packet){
			.send_ns = f.sent_at_ns,
			.arrival_ticks = f.arrived_ticks,
			.size_bytes = f.size_bytes,
			.flags = (uint8_t)((f.is_lost ? BWE_PACKET_F_LOST : 0) |
					   (f.probe_id != 0 ? BWE_PACKET_F_PROBE : 0)),
		};
	}
	bwe_estimator_feedback(&b->estimator, packets, n, now_ns);
	bwe_probe_feedback(&b->probe, packets, n);
	if (bwe_probe_cut(&b->probe, b->estimator.usage, now_ns))
		order_probe(session, 0, 0);
	if (bwe_probe_result(&b->probe, now_ns, &result) && result.bps > 0) {
		b->last_probe_bps = result.bps;
		bwe_estimator_probed(&b->estimator, result.bps, result.is_saturated, now_ns);
	}
}

static bool is_active(const struct shm_sfu_ingress_state *state, uint64_t now_ns)
{
	uint64_t last_ns =
		state != NULL ? __atomic_load_n(&state->last_rx_ns, __ATOMIC_RELAXED) : 0;

	return last_ns != 0 && (last_ns >= now_ns || now_ns - last_ns < ACTIVE_NS);
}

// One choice for each temporal layer that was seen; without any, the whole.
static void add_layers(struct bwe_track *t, uint8_t spatial, uint64_t bitrate_bps,
		       const struct shm_sfu_ingress_state *state, bool is_sent)
{
	uint32_t n = state != NULL && state->temporal_layers > 1 && state->temporal_layers <= 4
			     ? state->temporal_layers
			     : 1;

	for (uint32_t i = 0; i < n && t->n_layers < BWE_LAYERS_MAX; i++) {
		uint64_t bps = bitrate_bps;

		// Of an SVC stream the shares of temporal layers are taken as the same in each spatial one.
		if (i + 1 < n && state->bitrate_bps > 0)
			bps = bitrate_bps * state->temporal_bps[i] / state->bitrate_bps;
		t->layers[t->n_layers++] = (struct bwe_layer){
			.bitrate_bps = bps > UINT32_MAX ? UINT32_MAX : (uint32_t)bps,
			.spatial = spatial,
			.temporal = (uint8_t)i,
			.is_active = is_sent,
		};
	}
}

// Share of a stream's bitrate up to a spatial layer, in percent: each has about three times the one below.
static uint32_t svc_percent(uint32_t spatial, uint32_t n_spatial)
{
	static const uint8_t of_two[] = { 28, 100 }, of_three[] = { 9, 33, 100 };

	if (spatial + 1 >= n_spatial || n_spatial > 3)
		return 100;
	return n_spatial == 2 ? of_two[spatial] : of_three[spatial];
}

static void describe_video(const struct table_writer *w, uint32_t track_idx, struct bwe_track *t,
			   uint64_t now_ns)
{
	const struct shm_sfu_track *track = &table_writer_sfu_view(w)->track[track_idx];
	bool is_any_active = false;

	t->n_layers = 0;
	if (track->n_layers > 1) {
		for (uint32_t i = 0; i < track->n_layers && i < SHM_SFU_LAYERS_MAX; i++) {
			const struct shm_sfu_ingress_state *state =
				table_writer_ingress_state(w, track_idx, i);
			bool is_sent = is_active(state, now_ns) && state->bitrate_bps > 0;

			is_any_active |= is_sent;
			add_layers(t, (uint8_t)i, state != NULL ? state->bitrate_bps : 0, state,
				   is_sent);
		}
	} else {
		const struct shm_sfu_ingress_state *state =
			table_writer_ingress_state(w, track_idx, 0);
		uint32_t n =
			state != NULL && state->spatial_layers > 1 && state->spatial_layers <= 3
				? state->spatial_layers
				: 1;

		is_any_active = is_active(state, now_ns) && state->bitrate_bps > 0;
		for (uint32_t i = 0; i < n; i++)
			add_layers(t, (uint8_t)i,
				   state != NULL
					   ? (uint64_t)state->bitrate_bps * svc_percent(i, n) / 100
					   : 0,
				   state, is_any_active);
	}
	t->is_muted = !is_any_active;
}

static void describe(const struct sfu *s, const struct sfu_session *session, uint32_t slot,
		     uint32_t speaker_track_idx, uint64_t now_ns)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(s->tables);
	struct sfu_bandwidth *b = session->bandwidth;
	struct bwe_track *t = &b->tracks[slot];
	uint32_t track_idx = v->subscription[session->slots[slot].idx].track_idx;
	const struct shm_sfu_ingress_state *state;

	if (b->track_idx[slot] != track_idx) {
		*t = (struct bwe_track){ 0 };
		b->track_idx[slot] = track_idx;
	}
	t->wanted_spatial = t->wanted_temporal = UINT8_MAX;
	t->is_audio = session->slots[slot].kind == SHM_SFU_AUDIO;
	t->is_hidden = false;
	t->rank = track_idx != 0 && track_idx == speaker_track_idx ? BWE_RANK_SPEAKER
								   : BWE_RANK_OTHER;
	if (track_idx == 0) {
		t->n_layers = 0;
		t->is_muted = true;
		return;
	}
	if (!t->is_audio) {
		describe_video(s->tables, track_idx, t, now_ns);
		return;
	}
	state = table_writer_ingress_state(s->tables, track_idx, 0);
	t->n_layers = 1;
	t->is_muted = false;
	t->layers[0] = (struct bwe_layer){
		.bitrate_bps = is_active(state, now_ns) && state->bitrate_bps > 0
				       ? state->bitrate_bps
				       : AUDIO_BPS,
		.is_active = true,
	};
}

// What the worker is told: never more than was decided, but the highest temporal layer stands for all that may come.
static uint32_t target_of(const struct bwe_track *t)
{
	const struct bwe_layer *l;

	if (t->is_audio)
		return SHM_SFU_TARGET_ALL;
	if (t->share == BWE_SHARE_PAUSED_SILENT)
		return 0xff00; // the lowest of what comes back, until it is measured
	if (t->layer == BWE_PAUSED)
		return SHM_SFU_TARGET_F_PAUSED;
	l = &t->layers[t->layer];
	if ((uint32_t)t->layer + 1 == t->n_layers || t->layers[t->layer + 1].spatial != l->spatial)
		return 0xff00u | l->spatial;
	return (uint32_t)l->temporal << 8 | l->spatial;
}

static void take_reports(const struct shm_sfu_transport_state *state, struct sfu_bandwidth *b,
			 uint64_t now_ns)
{
	uint64_t report_at_ns = __atomic_load_n(&state->report_at_ns, __ATOMIC_RELAXED);
	uint64_t remb_at_ns = __atomic_load_n(&state->remb_at_ns, __ATOMIC_RELAXED);
	uint64_t tx_pkts = __atomic_load_n(&state->tx_pkts, __ATOMIC_RELAXED);
	bool is_sending = tx_pkts != b->tx_pkts;

	b->tx_pkts = tx_pkts;
	if (report_at_ns != b->report_at_ns) {
		b->report_at_ns = report_at_ns;
		bwe_estimator_receiver_report(&b->estimator, (uint8_t)state->loss_q8,
					      state->rtt_us * 1000ull, now_ns);
	}
	if (remb_at_ns != b->remb_at_ns) {
		b->remb_at_ns = remb_at_ns;
		bwe_estimator_remb(&b->estimator, state->remb_bps, now_ns);
	}
	bwe_estimator_tick(&b->estimator, is_sending, now_ns);
}

static void probe(struct sfu *s, struct sfu_session *session, uint64_t now_ns)
{
	struct sfu_bandwidth *b = session->bandwidth;
	const struct bwe_probe_input in = {
		.estimate_bps = b->estimator.target_bps,
		.wanted_bps = b->allocation.wanted_bps,
		.usage = b->estimator.usage,
		// Where nothing is sent, padding alone can bring feedback.
		.can_probe = b->estimator.has_feedback ||
			     (b->estimator.feedback_ns != 0 && b->allocation.used_bps == 0),
	};
	struct bwe_probe_cluster cluster;
	struct bwe_probe_result result;
	uint64_t packet_bytes;
	uint64_t n_pkts;

	if (bwe_probe_result(&b->probe, now_ns, &result) && result.bps > 0) {
		b->last_probe_bps = result.bps;
		bwe_estimator_probed(&b->estimator, result.bps, result.is_saturated, now_ns);
	}
	if (!bwe_probe_next(&b->probe, &in, now_ns, &cluster))
		return;
	packet_bytes = b->allocation.used_bps > 0 && cluster.target_bps >= PROBE_PADDING_BPS
			       ? PROBE_PACKET_BYTES
			       : PROBE_PADDING_BYTES;
	n_pkts = cluster.target_bps / 8 * ((cluster.end_ns - cluster.begin_ns) / 1000) / 1000000 /
		 packet_bytes;
	n_pkts = n_pkts < PROBE_PKTS_MIN ? PROBE_PKTS_MIN : n_pkts;
	n_pkts = n_pkts > PROBE_PKTS_MAX ? PROBE_PKTS_MAX : n_pkts;
	order_probe(session, (uint32_t)n_pkts, cluster.target_bps);
	s->counters.n_probes++;
}

// What audio and the lowest layer of each video take.
static uint64_t least_bps(const struct sfu_bandwidth *b, uint32_t n_slots)
{
	uint64_t bps = 0;

	for (uint32_t i = 0; i < n_slots; i++) {
		const struct bwe_track *t = &b->tracks[i];
		uint32_t k = 0;

		while (k < t->n_layers && !t->layers[k].is_active)
			k++;
		if (k < t->n_layers && !t->is_muted && !t->is_hidden)
			bps += t->layers[k].bitrate_bps;
	}
	return bps;
}

static uint64_t pace_of(const struct sfu_bandwidth *b)
{
	// Little above the estimate: of a long key frame a path that carries just that keeps a fifth waiting. But what is decided to
	// be sent always gets through.
	uint64_t pace_bps = b->estimator.target_bps * 5 / 4;

	if (pace_bps < 2 * b->allocation.used_bps)
		pace_bps = 2 * b->allocation.used_bps;
	return pace_bps < PACE_LEAST_BPS ? PACE_LEAST_BPS : pace_bps;
}

static void decide(struct sfu *s, struct sfu_session *session, uint32_t speaker_track_idx,
		   uint64_t now_ns)
{
	const struct shm_sfu_transport_state *state =
		table_writer_transport_state(s->tables, session->transport_idx);
	const struct shm_sfu_transport *t =
		&table_writer_sfu_view(s->tables)->transport[session->transport_idx];
	struct sfu_bandwidth *b = session->bandwidth;
	uint64_t estimate_bps;

	b->is_adaptive = t->flags & (SHM_SFU_TRANSPORT_F_TWCC | SHM_SFU_TRANSPORT_F_REMB);
	// No worker knows it before its first packet; at what rate its first key frame goes is decided by then.
	if (state != NULL)
		take_reports(state, b, now_ns);
	for (uint32_t i = 0; i < session->n_slots; i++)
		describe(s, session, i, speaker_track_idx, now_ns);
	// Who never tells of its path gets all: there is nothing to decide by.
	estimate_bps = b->is_adaptive ? b->estimator.target_bps : b->estimator.max_bps;
	// Before the first word of the client the estimate is a guess, and a guess must not pause: what is not
	// sent brings no word.
	if (b->estimator.feedback_ns == 0 && b->estimator.remb_ns == 0) {
		uint64_t least = least_bps(b, session->n_slots);

		estimate_bps = least > estimate_bps ? least : estimate_bps;
	}
	bwe_allocate(b->tracks, session->n_slots, estimate_bps, now_ns, &b->allocation);
	for (uint32_t i = 0; i < session->n_slots; i++)
		table_writer_subscription_set_target(s->tables, session->slots[i].idx,
						     target_of(&b->tracks[i]));
	b->pace_bps = b->is_adaptive ? pace_of(b) : 0;
	table_writer_transport_set_rates(s->tables, session->transport_idx, b->pace_bps,
					 estimate_bps);
	if (b->is_adaptive)
		probe(s, session, now_ns);
}

void sfu_bandwidth_begin(struct sfu_session *session, uint64_t now_ns)
{
	decide(session->sfu, session, 0, now_ns);
}

// The video of who speaks, 0 = nobody. Levels of silent or dead sources fade.
static uint32_t hear(struct sfu *s, struct sfu_room *room, uint64_t now_ns)
{
	const struct sfu_session *p;

	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		uint32_t idx = p->tracks[SHM_SFU_AUDIO].idx;
		const struct shm_sfu_ingress_state *state =
			idx != 0 ? table_writer_ingress_state(s->tables, idx, 0) : NULL;

		if (is_active(state, now_ns))
			speaker_level(&room->voices[p->voice_idx], state->audio_level,
				      state->voice != 0, now_ns);
	}
	if (speaker_update(&room->speaker, room->voices, room->n_voices, now_ns))
		room->is_dirty = true;
	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		if (p->voice_idx == room->speaker.active)
			return p->tracks[SHM_SFU_VIDEO].idx;
	}
	return 0;
}

void sfu_bandwidth_tick(struct sfu *s, uint64_t now_ns)
{
	struct sfu_session *watcher;
	struct sfu_room *room;

	TAILQ_FOREACH(room, &s->rooms, in_all)
	{
		uint32_t speaker_track_idx = hear(s, room, now_ns);

		TAILQ_FOREACH(watcher, &room->watchers, in_room)
		decide(s, watcher, speaker_track_idx, now_ns);
	}
}
