// RTP headers toward a watcher. Worker thread; writes only the header it is given.
#include "dataplane/sfu/egress_header.h"

#include "dataplane/contract/wire/rtp_extension_values.h"

// Passed on as the publisher sent them.
static const uint8_t passed_on[] = {
	SHM_SFU_EXT_AUDIO_LEVEL,
	SHM_SFU_EXT_VIDEO_ORIENTATION,
	SHM_SFU_EXT_PLAYOUT_DELAY,
	SHM_SFU_EXT_ABS_CAPTURE_TIME,
};

struct element {
	const uint8_t *value;
	uint8_t id;
	uint8_t n_bytes;
	uint16_t *at; // out: where the value stands, unless NULL
};

struct elements {
	uint32_t n;
	struct element list[SHM_SFU_EXTENSION_COUNT];
};

static void add(struct elements *e, uint8_t id, const uint8_t *value, uint8_t n_bytes, uint16_t *at)
{
	if (id != 0)
		e->list[e->n++] = (struct element){ value, id, n_bytes, at };
}

static bool is_one_byte(const struct element *e)
{
	return e->id <= RTP_EXTENSION_ONE_BYTE_MAX && e->n_bytes >= 1 && e->n_bytes <= 16;
}

static void write_block(struct dp_sfu_header *h, const struct elements *e, bool is_mixed)
{
	struct rtp_extension_writer w;
	bool two_byte = false;
	int n;

	for (uint32_t i = 0; i < e->n && is_mixed; i++)
		two_byte |= !is_one_byte(&e->list[i]);
	w = rtp_extension_writer_init(h->bytes + DP_SFU_RTP_FIXED_BYTES,
				      sizeof(h->bytes) - DP_SFU_RTP_FIXED_BYTES, two_byte);
	for (uint32_t i = 0; i < e->n; i++) {
		const struct element *x = &e->list[i];
		const uint8_t *value;

		if (!two_byte && !is_one_byte(x))
			continue;
		value = rtp_extension_put(&w, x->id, x->value, x->n_bytes);
		if (value != NULL && x->at != NULL)
			*x->at = (uint16_t)(value - h->bytes);
	}
	n = rtp_extension_finish(&w);
	// Only a hostile publisher's block is too long: its packet goes without.
	if (n <= 0) {
		h->send_time_at = 0;
		h->twcc_at = 0;
		h->dependency_at = 0;
		return;
	}
	h->bytes[0] |= 0x10;
	h->n_bytes = (uint16_t)(h->n_bytes + n);
}

void dp_sfu_header_build(struct dp_sfu_header *h, const union dp_sfu_map *map,
			 const uint8_t *packet, const struct dp_sfu_media *m, const char *mid,
			 uint8_t mid_bytes, const uint8_t *dependency, uint8_t dependency_bytes)
{
	static const uint8_t unstamped[4];
	struct elements e = { 0 };

	memset(h->bytes, 0, DP_SFU_RTP_HEADER_COPY);
	h->bytes[0] = 0x80;
	h->map = *map;
	h->n_bytes = DP_SFU_RTP_FIXED_BYTES;
	h->send_time_at = 0;
	h->twcc_at = 0;
	h->dependency_at = 0;
	if (m != NULL && m->flags & DP_SFU_MEDIA_F_MARKER)
		h->bytes[1] = 0x80;
	if (mid != NULL && mid_bytes > 0)
		add(&e, map->id[SHM_SFU_EXT_MID], (const uint8_t *)mid, mid_bytes, NULL);
	add(&e, map->id[SHM_SFU_EXT_ABS_SEND_TIME], unstamped, RTP_ABS_SEND_TIME_BYTES,
	    &h->send_time_at);
	if (map->has_twcc)
		add(&e, map->id[SHM_SFU_EXT_TWCC], unstamped, RTP_TWCC_SEQUENCE_BYTES, &h->twcc_at);
	for (uint32_t i = 0; i < sizeof(passed_on) && m != NULL; i++) {
		uint8_t which = passed_on[i];

		if (m->extension_offset[which] != 0)
			add(&e, map->id[which], packet + m->extension_offset[which],
			    m->extension_bytes[which], NULL);
	}
	if (m != NULL && m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] != 0) {
		if (dependency == NULL) {
			dependency =
				packet + m->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR];
			dependency_bytes = m->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR];
		}
		if (dependency_bytes >= 3)
			add(&e, map->id[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR], dependency,
			    dependency_bytes, &h->dependency_at);
	}
	write_block(h, &e, map->is_mixed);
}
