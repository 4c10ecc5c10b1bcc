// Which stream of a publisher a packet belongs to. SSRCs come with the offer, or are learnt from the first verified packet that
// says by MID and RID, or by a payload type that only one track has, what it is; senders leave the extensions out again as
// soon as a receiver report names the SSRC, so what was learnt is kept. Worker thread; writes the client and the ingress state.
#include <stdlib.h>

#include "dataplane/contract/wire/rtp_extension_values.h"
#include "dataplane/sfu/reception.h"

// What a packet says of itself.
struct labels {
	const char *mid;
	const char *rid;
	const char *repaired_rid;
	uint8_t mid_chars;
	uint8_t rid_chars;
	uint8_t repaired_rid_chars;
};

static bool text_equal(const char *stored, uint32_t stored_max, const char *text, uint32_t chars)
{
	return chars <= stored_max && memcmp(stored, text, chars) == 0 &&
	       (chars == stored_max || stored[chars] == 0);
}

// ---- following the table

static struct dp_sfu_stream *stream_make(struct dp_worker *w, struct dp_sfu_client *c,
					 uint32_t track_idx, const struct shm_sfu_track *t,
					 uint32_t serial, uint32_t layer)
{
	struct dp_sfu_stream *s;
	struct shm_sfu_ingress_state *in;

	if (c->n_streams == DP_SFU_STREAMS_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->track_idx = track_idx;
	s->track_serial = serial;
	s->layer = (uint8_t)layer;
	s->kind = t->kind;
	s->codec = t->codec;
	s->payload_type = t->payload_type & 0x7f;
	s->rtx_payload_type = t->rtx_payload_type & 0x7f;
	s->has_nack = t->has_nack;
	s->has_pli = t->has_pli;
	s->clock_hz = t->clock_hz != 0 ? t->clock_hz : 90000;
	in = dp_sfu_ingress(w, s);
	if (in->serial != serial) {
		memset(in, 0, sizeof(*in));
		in->audio_level = 127;
		in->ssrc = t->layer[layer].ssrc;
		in->rtx_ssrc = t->layer[layer].rtx_ssrc;
		__atomic_store_n(&in->serial, serial, __ATOMIC_RELEASE);
	}
	c->ssrc[c->n_streams] = in->ssrc;
	c->rtx_ssrc[c->n_streams] = in->rtx_ssrc;
	c->stream[c->n_streams++] = s;
	return s;
}

static void stream_drop(struct dp_sfu_client *c, uint32_t i)
{
	free(c->stream[i]);
	c->n_streams--;
	c->stream[i] = c->stream[c->n_streams];
	c->ssrc[i] = c->ssrc[c->n_streams];
	c->rtx_ssrc[i] = c->rtx_ssrc[c->n_streams];
}

static bool has_stream(const struct dp_sfu_client *c, uint32_t track_idx, uint32_t serial,
		       uint32_t layer)
{
	for (uint32_t i = 0; i < c->n_streams; i++) {
		const struct dp_sfu_stream *s = c->stream[i];

		if (s->track_idx == track_idx && s->track_serial == serial && s->layer == layer)
			return true;
	}
	return false;
}

// Those that send are looked at often; most clients only watch.
static void list_publishing(struct dp_sfu_reception *rx, struct dp_sfu_client *c)
{
	bool publishes = c->n_streams > 0;

	if (publishes == c->is_publishing)
		return;
	c->is_publishing = publishes;
	if (publishes) {
		c->publishing_at = rx->n_publishing;
		rx->publishing[rx->n_publishing++] = c->transport_idx;
		return;
	}
	rx->publishing[c->publishing_at] = rx->publishing[--rx->n_publishing];
	rx->client[rx->publishing[c->publishing_at]]->publishing_at = c->publishing_at;
}

static void streams_follow(struct dp_worker *w, struct dp_sfu_client *c)
{
	const struct shm_sfu_view *v = &w->shared->sfu->table;
	const struct shm_sfu_transport *e = shm_sfu_transport_get(v, c->transport_idx);
	uint32_t track_idx;

	c->synced_ns = w->now_ns;
	for (uint32_t i = c->n_streams; i-- > 0;) {
		const struct shm_sfu_track *t = shm_sfu_track_get(v, c->stream[i]->track_idx);

		if (t == NULL ||
		    __atomic_load_n(&t->serial, __ATOMIC_ACQUIRE) != c->stream[i]->track_serial)
			stream_drop(c, i);
	}
	if (e == NULL)
		return;
	if ((e->flags & SHM_SFU_TRANSPORT_F_PUBLISHES) && (e->flags & SHM_SFU_TRANSPORT_F_TWCC) &&
	    c->arrivals == NULL)
		c->arrivals = calloc(1, sizeof(*c->arrivals));
	memset(c->extension_of, 0, sizeof(c->extension_of));
	for (uint32_t i = 0; i < SHM_SFU_EXTENSION_COUNT; i++)
		c->extension_of[e->extension_id[i]] = (uint8_t)(i + 1);
	c->extension_of[0] = 0;
	track_idx = __atomic_load_n(&e->first_track, __ATOMIC_ACQUIRE);
	for (uint32_t n = 0; track_idx != 0 && n < DP_SFU_CHAIN_MAX; n++) {
		const struct shm_sfu_track *t = shm_sfu_track_get(v, track_idx);
		uint32_t n_layers;
		uint32_t serial;

		if (t == NULL || t->transport_idx != c->transport_idx)
			break;
		serial = __atomic_load_n(&t->serial, __ATOMIC_ACQUIRE);
		n_layers = RTE_MIN((uint32_t)t->n_layers, (uint32_t)SHM_SFU_LAYERS_MAX);
		for (uint32_t layer = 0; layer < n_layers; layer++) {
			if (!has_stream(c, track_idx, serial, layer) &&
			    stream_make(w, c, track_idx, t, serial, layer) == NULL)
				return;
		}
		track_idx = __atomic_load_n(&t->next_track, __ATOMIC_ACQUIRE);
	}
}

void dp_sfu_streams_sync(struct dp_worker *w, struct dp_sfu_client *c)
{
	streams_follow(w, c);
	list_publishing(w->sfu_rx, c);
}

void dp_sfu_streams_free(struct dp_worker *w, struct dp_sfu_client *c)
{
	while (c->n_streams > 0)
		stream_drop(c, c->n_streams - 1);
	list_publishing(w->sfu_rx, c);
	free(c->arrivals);
	c->arrivals = NULL;
}

void dp_sfu_streams_rekey(struct dp_worker *w, uint32_t transport_idx)
{
	const struct shm_sfu_view *v = &w->shared->sfu->table;
	const struct shm_sfu_transport *e = shm_sfu_transport_get(v, transport_idx);
	struct dp_sfu_client *c = w->sfu_rx->client[transport_idx];
	uint32_t track_idx = e != NULL ? __atomic_load_n(&e->first_track, __ATOMIC_ACQUIRE) : 0;

	for (uint32_t n = 0; track_idx != 0 && n < DP_SFU_CHAIN_MAX; n++) {
		const struct shm_sfu_track *t = shm_sfu_track_get(v, track_idx);

		if (t == NULL || t->transport_idx != transport_idx)
			break;
		for (uint32_t layer = 0; layer < SHM_SFU_LAYERS_MAX; layer++) {
			struct shm_sfu_ingress_state *in =
				&w->shared->sfu->state
					 .ingress[shm_sfu_ingress_idx(track_idx, layer)];

			memset(&in->window, 0, sizeof(in->window));
			memset(&in->rtx_window, 0, sizeof(in->rtx_window));
		}
		track_idx = __atomic_load_n(&t->next_track, __ATOMIC_ACQUIRE);
	}
	for (uint32_t i = 0; c != NULL && i < c->n_streams; i++) {
		c->stream[i]->is_counting = 0;
		c->stream[i]->n_missing = 0;
	}
	if (c != NULL)
		c->n_retired = 0;
}

// ---- SSRCs

int dp_sfu_stream_find(const struct dp_sfu_client *c, uint32_t ssrc, bool *is_rtx)
{
	if (ssrc == 0)
		return -1;
	for (uint32_t i = 0; i < c->n_streams; i++) {
		if (c->ssrc[i] == ssrc || c->rtx_ssrc[i] == ssrc) {
			*is_rtx = c->ssrc[i] != ssrc;
			return (int)i;
		}
	}
	return -1;
}

static bool is_retired(const struct dp_sfu_client *c, uint32_t ssrc)
{
	for (uint32_t i = 0; i < c->n_retired && i < DP_SFU_RETIRED_MAX; i++) {
		if (c->retired[i] == ssrc)
			return true;
	}
	return false;
}

static void labels_read(const struct dp_sfu_shared *sfu, uint32_t transport_idx,
			const struct rtp_view *rtp, struct labels *out)
{
	const uint8_t *id = sfu->table.transport[transport_idx].extension_id;
	struct rtp_extension e;

	*out = (struct labels){ .mid = NULL };
	if (id[SHM_SFU_EXT_MID] != 0 && rtp_extension_find(rtp, id[SHM_SFU_EXT_MID], &e))
		rtp_mid_read(&e, &out->mid, &out->mid_chars);
	if (id[SHM_SFU_EXT_RID] != 0 && rtp_extension_find(rtp, id[SHM_SFU_EXT_RID], &e))
		rtp_rid_read(&e, &out->rid, &out->rid_chars);
	if (id[SHM_SFU_EXT_REPAIRED_RID] != 0 &&
	    rtp_extension_find(rtp, id[SHM_SFU_EXT_REPAIRED_RID], &e))
		rtp_rid_read(&e, &out->repaired_rid, &out->repaired_rid_chars);
}

// Whether a packet with these labels and this payload type can be of the stream.
static bool fits(const struct shm_sfu_track *t, const struct dp_sfu_stream *s,
		 const struct labels *l, uint8_t payload_type, bool is_rtx, bool is_known)
{
	const char *rid = is_rtx && l->repaired_rid != NULL ? l->repaired_rid : l->rid;
	uint32_t rid_chars =
		is_rtx && l->repaired_rid != NULL ? l->repaired_rid_chars : l->rid_chars;

	if (payload_type != (is_rtx ? s->rtx_payload_type : s->payload_type) ||
	    (is_rtx && s->rtx_payload_type == 0))
		return false;
	// A payload type alone does not take a stream from an SSRC that is known.
	if (l->mid == NULL && rid == NULL && is_known)
		return false;
	if (l->mid != NULL && t->mid[0] != 0 &&
	    !text_equal(t->mid, SHM_SFU_MID_MAX, l->mid, l->mid_chars))
		return false;
	if (t->n_layers <= 1)
		return true;
	return rid != NULL && text_equal(t->layer[s->layer].rid, SHM_SFU_RID_MAX, rid, rid_chars);
}

// The only stream that the packet fits; -1 when there are none or several.
static int match(const struct dp_worker *w, const struct dp_sfu_client *c, const struct labels *l,
		 uint8_t payload_type, bool is_rtx)
{
	int found = -1;

	for (uint32_t i = 0; i < c->n_streams; i++) {
		const struct dp_sfu_stream *s = c->stream[i];
		const struct shm_sfu_track *t =
			shm_sfu_track_get(&w->shared->sfu->table, s->track_idx);

		if (t == NULL || !fits(t, s, l, payload_type, is_rtx,
				       (is_rtx ? c->rtx_ssrc[i] : c->ssrc[i]) != 0))
			continue;
		if (found >= 0)
			return -1;
		found = (int)i;
	}
	return found;
}

static void retire(struct dp_sfu_client *c, uint32_t ssrc)
{
	if (ssrc != 0)
		c->retired[c->n_retired++ % DP_SFU_RETIRED_MAX] = ssrc;
}

int dp_sfu_stream_latch(struct dp_worker *w, struct dp_sfu_client *c, const struct rtp_view *rtp,
			bool *is_rtx)
{
	struct shm_sfu_ingress_state *in;
	struct dp_sfu_stream *s;
	struct labels labels;
	int i;

	// An SSRC that was left behind has no window any more, so its packets cannot be told from old ones.
	if (rtp->ssrc == 0 || is_retired(c, rtp->ssrc))
		return -1;
	labels_read(w->shared->sfu, c->transport_idx, rtp, &labels);
	*is_rtx = false;
	i = match(w, c, &labels, rtp->payload_type, false);
	if (i < 0) {
		*is_rtx = true;
		i = match(w, c, &labels, rtp->payload_type, true);
	}
	if (i < 0)
		return -1;
	s = c->stream[i];
	in = dp_sfu_ingress(w, s);
	if (*is_rtx) {
		retire(c, in->rtx_ssrc);
		memset(&in->rtx_window, 0, sizeof(in->rtx_window));
		in->rtx_ssrc = rtp->ssrc;
		c->rtx_ssrc[i] = rtp->ssrc;
		return i;
	}
	retire(c, in->ssrc);
	memset(&in->window, 0, sizeof(in->window));
	in->ssrc = rtp->ssrc;
	c->ssrc[i] = rtp->ssrc;
	s->is_counting = 0;
	s->n_missing = 0;
	return i;
}
