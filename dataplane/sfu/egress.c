// What this worker keeps of the subscriptions that it serves. Worker thread; writes its own memory and the subscription's state.
#include <rte_random.h>

#include "dataplane/contract/wire/vp8_descriptor.h"
#include "dataplane/contract/wire/vp9_descriptor.h"
#include "dataplane/sfu/pacer.h"
#include "dataplane/sfu/retransmit.h"
#include "dataplane/sfu/transmission.h"

#define PAYLOAD_TYPE_NONE 0xff

// RFC 3711 §3.3.1: below 2^15, so that the receiver cannot guess the ROC wrong when the first packets are lost. Never 0.
static uint64_t first_index(void)
{
	return (rte_rand() & 0x3fff) + 1;
}

// Begins anew, or goes on where a predecessor ended: behind every index that may have been used.
static void numbers_init(struct dp_sfu_egress *e, uint32_t serial)
{
	struct shm_sfu_egress_state *s = e->state;
	struct dp_sfu_rewrite *r = &e->rewrite;

	dp_sfu_gate_init(&e->gate);
	if (__atomic_load_n(&s->serial, __ATOMIC_ACQUIRE) != serial) {
		memset(s, 0, sizeof(*s));
		s->next_index = first_index();
		s->next_rtx_index = first_index();
		s->spatial = DP_SFU_LAYER_NONE;
		__atomic_store_n(&s->serial, serial, __ATOMIC_RELEASE);
	}
	dp_sfu_rewrite_init(r, s->next_index);
	r->timestamp_offset = s->timestamp_offset;
	r->last_timestamp = s->last_timestamp;
	r->picture_id_offset = s->picture_id_offset;
	r->last_picture_id = s->last_picture_id;
	r->frame_number_offset = s->frame_number_offset;
	r->last_frame_number = s->last_frame_number;
	r->tl0_offset = s->tl0_offset;
	r->last_tl0 = s->last_tl0;
	e->gate.track_serial = s->track_serial;
	e->gate.layer = s->spatial;
	e->srtp_generation = s->srtp_generation;
	e->index_base = 0;
	e->rtx_index = s->next_rtx_index;
	e->first_index = s->next_index;
	e->top_index = s->next_index - 1;
	e->last_tx_ns = s->last_tx_ns;
	e->cut = DP_SFU_CUT_NONE;
	e->sent_version = 0;
	e->recent_group = s->next_index / DP_SFU_RECENT;
	memset(e->recent, 0, sizeof(e->recent));
	e->used = 0;
	memset(e->used_before, 0, sizeof(e->used_before));
}

void dp_sfu_egress_set_codec(struct dp_sfu_transmission *x, struct dp_sfu_egress *e, uint8_t codec)
{
	const struct shm_sfu_subscription *s = &x->table->subscription[e->idx];

	e->codec = codec;
	e->payload_type = PAYLOAD_TYPE_NONE;
	e->rtx_payload_type = PAYLOAD_TYPE_NONE;
	if (codec >= SHM_SFU_CODEC_COUNT)
		return;
	if (s->payload_type[codec] < 128)
		e->payload_type = s->payload_type[codec];
	if (s->rtx_payload_type[codec] < 128)
		e->rtx_payload_type = s->rtx_payload_type[codec];
}

static struct dp_sfu_egress *open_as(struct dp_sfu_transmission *x, uint32_t idx,
				     const struct shm_sfu_subscription *s, uint32_t serial)
{
	struct dp_sfu_egress *e = &x->egress[idx];
	uint32_t transport_idx = s->transport_idx;

	if (transport_idx == 0 || transport_idx >= x->table->n_transports)
		return NULL;
	e->idx = idx;
	e->state = &x->state->egress[idx];
	e->watcher = &x->watcher[transport_idx];
	e->watcher->transport_idx = transport_idx;
	// The state is written only by the owner of the transport.
	// What stands there may still be the transport's predecessor, and looks ready.
	dp_sfu_watcher_check(x, e->watcher);
	if (e->watcher->transport == NULL)
		return NULL;
	e->ssrc = s->ssrc;
	e->rtx_ssrc = s->rtx_ssrc;
	e->kind = s->kind;
	e->track_idx = __atomic_load_n(&s->track_idx, __ATOMIC_RELAXED);
	numbers_init(e, serial);
	dp_sfu_egress_set_codec(x, e, SHM_SFU_CODEC_NONE);
	// Once per subscription, not per packet.
	if (s->kind == SHM_SFU_VIDEO && s->has_nack && s->rtx_ssrc != 0) {
		e->sent = dp_block_pool_take(x->sent_blocks);
		if (e->sent == NULL)
			return NULL;
		e->watcher->probe_egress = idx;
	}
	e->serial = serial;
	e->active_at = x->n_active;
	x->active[x->n_active++] = idx;
	return e;
}

struct dp_sfu_egress *dp_sfu_egress_get(struct dp_sfu_transmission *x, uint32_t subscription_idx)
{
	const struct shm_sfu_subscription *s = shm_sfu_subscription_get(x->table, subscription_idx);
	struct dp_sfu_egress *e;
	uint32_t serial;

	if (s == NULL)
		return NULL;
	serial = __atomic_load_n(&s->serial, __ATOMIC_ACQUIRE);
	e = &x->egress[subscription_idx];
	if (likely(e->serial == serial))
		return e;
	if (e->serial != 0)
		dp_sfu_egress_close(x, e);
	return serial != 0 ? open_as(x, subscription_idx, s, serial) : NULL;
}

void dp_sfu_egress_close(struct dp_sfu_transmission *x, struct dp_sfu_egress *e)
{
	uint32_t last = x->active[--x->n_active];

	dp_sfu_pacer_forget(x, e);
	if (e->watcher->probe_egress == e->idx)
		e->watcher->probe_egress = 0;
	x->active[e->active_at] = last;
	x->egress[last].active_at = e->active_at;
	dp_block_pool_give(x->sent_blocks, e->sent);
	memset(e, 0, sizeof(*e));
}

void dp_sfu_egress_ask(struct dp_sfu_transmission *x, uint32_t track_idx, uint32_t layer)
{
	for (uint32_t i = 0; i < x->n_asks; i++) {
		if (x->ask[i].track_idx == track_idx && x->ask[i].layer == layer)
			return;
	}
	// When so many are asked for at once, the others ask again.
	if (x->n_asks < DP_SFU_ASKS_MAX)
		x->ask[x->n_asks++] = (struct dp_sfu_ask){ .track_idx = track_idx, .layer = layer };
}

bool dp_sfu_egress_take_index(struct dp_sfu_egress *e, uint64_t index)
{
	uint64_t word = index / 64;
	uint64_t top_word = e->top_index / 64;
	uint64_t bit = UINT64_C(1) << index % 64;
	uint64_t *used = &e->used;

	if (likely(index > e->top_index)) {
		if (unlikely(word != top_word)) {
			uint64_t n = RTE_MIN(word - top_word - 1, (uint64_t)DP_SFU_USED_WORDS - 1);

			e->used_before[top_word % DP_SFU_USED_WORDS] = e->used;
			for (uint64_t i = 1; i <= n; i++)
				e->used_before[(word - i) % DP_SFU_USED_WORDS] = 0;
			e->used = 0;
		}
		e->top_index = index;
	} else {
		if (index < e->first_index || top_word - word >= DP_SFU_USED_WORDS)
			return false;
		if (word != top_word)
			used = &e->used_before[word % DP_SFU_USED_WORDS];
		if (*used & bit)
			return false;
	}
	*used |= bit;
	return true;
}

static void numbers_read_descriptor(const uint8_t *payload, const struct dp_sfu_media *m,
				    struct dp_sfu_numbers *out)
{
	if (m->codec == SHM_SFU_VP8) {
		struct vp8_descriptor d;

		if (vp8_descriptor_parse(payload, m->payload_bytes, &d) < 0)
			return;
		if (d.picture_id_offset != 0) {
			out->picture_id = d.picture_id;
			out->picture_id_mask = d.picture_id_is_long ? 0x7fff : 0x7f;
		}
		out->has_tl0 = d.tl0_picture_idx_offset != 0;
		out->tl0 = d.tl0_picture_idx;
		out->key_idx = d.key_idx;
		out->closes_up = 1;
	} else if (m->codec == SHM_SFU_VP9) {
		struct vp9_descriptor d;

		if (vp9_descriptor_parse(payload, m->payload_bytes, &d) < 0)
			return;
		if (d.picture_id_offset != 0) {
			out->picture_id = d.picture_id;
			out->picture_id_mask = d.picture_id_is_long ? 0x7fff : 0x7f;
		}
		out->has_tl0 = d.tl0_picture_idx_offset != 0;
		out->tl0 = d.tl0_picture_idx;
		out->ends_layer = d.frame_end;
	}
}

void dp_sfu_numbers_read(const uint8_t *packet, const struct dp_sfu_media *m,
			 struct dp_sfu_numbers *out)
{
	uint16_t dependency_at = m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR];

	*out = (struct dp_sfu_numbers){ .picture_id = DP_SFU_PICTURE_NONE };
	numbers_read_descriptor(packet + m->header_bytes, m, out);
	if (dependency_at != 0 && m->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] >= 3) {
		const uint8_t *dependency = packet + dependency_at;

		out->has_frame_number = 1;
		out->frame_number = (uint16_t)(dependency[1] << 8 | dependency[2]);
		out->ends_layer |= (dependency[0] & 0x40) != 0; // end_of_frame
	}
}
