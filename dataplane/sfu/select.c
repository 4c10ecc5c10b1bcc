// The layer gate. Pure.
#include "dataplane/sfu/select.h"

#include "dataplane/contract/shm/sfu_state.h"

#define NS_PER_MS 1000000ull

// A key frame costs the publisher much and takes a round trip: the same wish is told again after this.
#define ASK_AGAIN_NS (300 * NS_PER_MS)
// An encoding that is silent for longer was given up by its publisher: any other is better than a frozen picture.
#define SILENT_NS (1000 * NS_PER_MS)

void dp_sfu_gate_init(struct dp_sfu_gate *g)
{
	*g = (struct dp_sfu_gate){
		.layer = DP_SFU_LAYER_NONE,
		.is_waiting = 1,
		.reason = SHM_SFU_EGRESS_IDLE,
	};
}

void dp_sfu_gate_close(struct dp_sfu_gate *g)
{
	g->is_waiting = 1;
	g->asked_ns = 0;
}

static void ask(struct dp_sfu_gate *g, struct dp_sfu_wish *wish, uint8_t layer, uint64_t now_ns)
{
	if (g->asked_ns != 0 && now_ns - g->asked_ns < ASK_AGAIN_NS)
		return;
	g->asked_ns = now_ns;
	wish->ask_layer = layer;
}

static uint8_t least(uint32_t a, uint32_t b)
{
	return (uint8_t)(a < b ? a : b);
}

static bool is_key_start(const struct dp_sfu_media *m)
{
	return m->flags & DP_SFU_MEDIA_F_KEYFRAME;
}

static enum dp_sfu_choice let_through(struct dp_sfu_gate *g, enum dp_sfu_choice choice,
				      uint64_t now_ns)
{
	g->forwarded_ns = now_ns;
	g->reason = SHM_SFU_EGRESS_FORWARDS;
	return choice;
}

// Begins to send with this packet, which starts a key frame.
static enum dp_sfu_choice begin(struct dp_sfu_gate *g, const struct dp_sfu_media *m,
				uint8_t spatial, uint8_t temporal, uint64_t now_ns)
{
	g->track_serial = m->track_serial;
	g->layer = m->layer;
	g->spatial = least(spatial, m->spatial);
	g->temporal = temporal;
	g->is_waiting = 0;
	return let_through(g, DP_SFU_SWITCH, now_ns);
}

static enum dp_sfu_choice select_audio(struct dp_sfu_gate *g, const struct dp_sfu_media *m,
				       uint64_t now_ns)
{
	bool is_other = g->track_serial != m->track_serial || g->is_waiting;

	g->track_serial = m->track_serial;
	g->layer = 0;
	g->is_waiting = 0;
	return let_through(g, is_other ? DP_SFU_SWITCH : DP_SFU_FORWARD, now_ns);
}

// Whether to begin with the key frame of a layer that is not the one wanted.
static bool is_acceptable(const struct dp_sfu_gate *g, const struct dp_sfu_media *m,
			  uint8_t wanted_layer, uint64_t now_ns)
{
	if (m->layer == wanted_layer)
		return true;
	if (!g->is_waiting && g->track_serial == m->track_serial)
		return now_ns - g->forwarded_ns > SILENT_NS;
	// Something is better than nothing, but more than is wanted only when nothing less comes.
	return m->layer < wanted_layer ||
	       (g->asked_ns != 0 && now_ns - g->asked_ns > ASK_AGAIN_NS / 2);
}

// Within the stream in use: spatial and temporal layers.
static enum dp_sfu_choice select_layers(struct dp_sfu_gate *g, const struct dp_sfu_media *m,
					struct dp_sfu_wish *wish, uint8_t spatial, uint8_t temporal,
					uint64_t now_ns)
{
	bool is_start = m->flags & DP_SFU_MEDIA_F_FRAME_START;

	if (is_key_start(m) && m->spatial == 0) {
		g->spatial = 0; // higher ones of the picture join below
		g->temporal = temporal;
	}
	if (is_start && m->spatial == 0) {
		g->spatial = least(g->spatial, spatial);
		g->temporal = least(g->temporal, temporal);
	}
	if (m->spatial > g->spatial) {
		if (m->spatial != g->spatial + 1 || m->spatial > spatial || !is_key_start(m))
			goto skip;
		g->spatial = m->spatial;
	}
	if (m->temporal > g->temporal) {
		if (m->temporal > temporal || !is_start || !(m->flags & DP_SFU_MEDIA_F_SWITCH_UP))
			goto skip;
		g->temporal = m->temporal;
	}
	return let_through(g, DP_SFU_FORWARD, now_ns);
skip:
	if (m->spatial > g->spatial && m->spatial <= spatial && is_start)
		ask(g, wish, 0, now_ns);
	return DP_SFU_SKIP;
}

enum dp_sfu_choice dp_sfu_select(struct dp_sfu_gate *g, const struct dp_sfu_media *m,
				 struct dp_sfu_wish *wish, uint64_t now_ns)
{
	uint8_t temporal = (uint8_t)(wish->target >> 8);
	bool is_simulcast = wish->n_layers > 1;
	uint8_t layer = is_simulcast ? least(wish->target & 0xff, wish->n_layers - 1u) : 0;
	uint8_t spatial = is_simulcast ? DP_SFU_LAYER_NONE - 1 : (uint8_t)wish->target;
	bool is_ours = g->track_serial == m->track_serial && g->layer == m->layer && !g->is_waiting;

	wish->ask_layer = DP_SFU_LAYER_NONE;
	// Bandwidth decisions never take the sound.
	if (m->kind == SHM_SFU_AUDIO)
		return select_audio(g, m, now_ns);
	if (wish->target & SHM_SFU_TARGET_F_PAUSED) {
		dp_sfu_gate_close(g);
		g->reason = SHM_SFU_EGRESS_PAUSED;
		return DP_SFU_IGNORE;
	}
	if (m->codec == SHM_SFU_CODEC_OTHER) // nothing is known of its frames
		return is_ours ? let_through(g, DP_SFU_FORWARD, now_ns)
			       : begin(g, m, spatial, temporal, now_ns);
	if (is_ours) {
		if (layer != g->layer)
			ask(g, wish, layer, now_ns);
		return select_layers(g, m, wish, spatial, temporal, now_ns);
	}
	if (is_key_start(m) && m->spatial == 0 && is_acceptable(g, m, layer, now_ns))
		return begin(g, m, spatial, temporal, now_ns);
	if (g->is_waiting || g->track_serial != m->track_serial) {
		// The stream of another track is never mixed into what is sent.
		g->is_waiting = 1;
		g->reason = SHM_SFU_EGRESS_WAITS_KEY;
		if (g->asked_ns == 0 || m->layer == layer)
			ask(g, wish, layer, now_ns);
		else if (now_ns - g->asked_ns > 2 * ASK_AGAIN_NS) // what is wanted does not come
			ask(g, wish, m->layer, now_ns);
	} else if (now_ns - g->forwarded_ns > SILENT_NS) {
		ask(g, wish, m->layer, now_ns);
	}
	return DP_SFU_IGNORE;
}
