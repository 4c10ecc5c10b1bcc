// Writing the AV1 dependency descriptor (AV1 RTP payload format 1.0, appendix A.8). Pure, any thread.
#include <errno.h>

#include "dataplane/contract/wire/av1_dependency.h"

// A writing position in bits; the buffer is cleared as it is entered, so padding is zero.
struct bit_writer {
	uint8_t *buf;
	size_t at_bits;
	size_t capacity_bits;
	bool overflow;
	bool invalid; // a number does not fit its field
};

// f(n), n up to 32.
static void bits_put(struct bit_writer *w, uint32_t n, uint32_t v)
{
	if (n < 32 && v >> n != 0)
		w->invalid = true;
	if (w->overflow || w->capacity_bits - w->at_bits < n) {
		w->overflow = true;
		return;
	}
	while (n > 0) {
		uint32_t offset = w->at_bits & 7;
		uint32_t put = n < 8 - offset ? n : 8 - offset;
		uint8_t *byte = &w->buf[w->at_bits / 8];

		if (offset == 0)
			*byte = 0;
		*byte |= (uint8_t)((v >> (n - put) & ((1u << put) - 1)) << (8 - offset - put));
		w->at_bits += put;
		n -= put;
	}
}

// ns(n).
static void bits_put_below(struct bit_writer *w, uint32_t n, uint32_t v)
{
	uint32_t width = 32 - (uint32_t)__builtin_clz(n);
	uint32_t n_short = (1u << width) - n;

	if (v >= n) {
		w->invalid = true;
		return;
	}
	if (v < n_short)
		bits_put(w, width - 1, v);
	else
		bits_put(w, width, v + n_short);
}

static void dtis_put(struct bit_writer *w, uint32_t n_decode_targets, uint64_t dtis)
{
	for (uint32_t t = 0; t < n_decode_targets; t++)
		bits_put(w, 2, (uint32_t)(dtis >> (2 * t)) & 3);
}

// next_layer_idc: how the next template's layer follows from this one's.
static void template_layers_put(struct bit_writer *w, const struct av1_dd_structure *s)
{
	const struct av1_dd_template *t = s->templates;

	if (t->spatial_id != 0 || t->temporal_id != 0)
		w->invalid = true;
	for (uint32_t i = 1; i < s->n_templates; i++, t++) {
		if (t[1].spatial_id == t->spatial_id && t[1].temporal_id == t->temporal_id)
			bits_put(w, 2, 0);
		else if (t[1].spatial_id == t->spatial_id && t[1].temporal_id == t->temporal_id + 1)
			bits_put(w, 2, 1);
		else if (t[1].spatial_id == t->spatial_id + 1 && t[1].temporal_id == 0)
			bits_put(w, 2, 2);
		else
			w->invalid = true;
	}
	bits_put(w, 2, 3);
	if (t->spatial_id + 1 != s->n_spatial_layers)
		w->invalid = true;
}

static void structure_put(struct bit_writer *w, const struct av1_dd_structure *s)
{
	bits_put(w, 6, s->template_id_offset);
	bits_put(w, 5, s->n_decode_targets - 1u);
	template_layers_put(w, s);
	for (uint32_t i = 0; i < s->n_templates; i++)
		dtis_put(w, s->n_decode_targets, s->templates[i].dtis);
	for (uint32_t i = 0; i < s->n_templates; i++) {
		const struct av1_dd_template *t = &s->templates[i];

		for (uint32_t f = 0; f < t->n_fdiffs; f++) {
			bits_put(w, 1, 1);
			bits_put(w, 4, t->fdiffs[f] - 1u);
		}
		bits_put(w, 1, 0);
	}
	bits_put_below(w, s->n_decode_targets + 1u, s->n_chains);
	for (uint32_t i = 0; s->n_chains > 0 && i < s->n_decode_targets; i++)
		bits_put_below(w, s->n_chains, s->protected_by[i]);
	for (uint32_t i = 0; i < s->n_templates; i++)
		for (uint32_t c = 0; c < s->n_chains; c++)
			bits_put(w, 4, s->templates[i].chain_fdiffs[c]);
	bits_put(w, 1, s->has_resolutions);
	for (uint32_t i = 0; s->has_resolutions && i < s->n_spatial_layers; i++) {
		bits_put(w, 16, s->width_minus_1[i]);
		bits_put(w, 16, s->height_minus_1[i]);
	}
}

static void frame_fdiffs_put(struct bit_writer *w, const struct av1_dd *dd)
{
	for (uint32_t i = 0; i < dd->n_fdiffs; i++) {
		uint32_t minus_1 = dd->fdiffs[i] - 1u;
		uint32_t size = minus_1 < 16 ? 1 : minus_1 < 256 ? 2 : 3;

		bits_put(w, 2, size);
		bits_put(w, 4 * size, minus_1);
	}
	bits_put(w, 2, 0);
}

static bool structure_in_range(const struct av1_dd_structure *s)
{
	return s->n_templates >= 1 && s->n_templates <= AV1_DD_TEMPLATES_MAX &&
	       s->n_decode_targets >= 1 && s->n_decode_targets <= AV1_DD_DECODE_TARGETS_MAX &&
	       s->n_chains <= s->n_decode_targets &&
	       s->n_spatial_layers <= AV1_DD_SPATIAL_LAYERS_MAX;
}

int av1_dd_build(uint8_t *buf, size_t capacity_bytes, const struct av1_dd *dd,
		 const struct av1_dd_structure *structure)
{
	struct bit_writer w = { .buf = buf, .capacity_bits = 8 * capacity_bytes };

	if (!structure_in_range(structure) || dd->n_fdiffs > AV1_DD_FDIFFS_MAX)
		return -EINVAL;
	bits_put(&w, 1, dd->frame_start);
	bits_put(&w, 1, dd->frame_end);
	bits_put(&w, 6, dd->template_id);
	bits_put(&w, 16, dd->frame_number);
	if (dd->has_structure || dd->has_active_decode_targets || dd->custom_dtis ||
	    dd->custom_fdiffs || dd->custom_chains) {
		bits_put(&w, 1, dd->has_structure);
		bits_put(&w, 1, dd->has_active_decode_targets);
		bits_put(&w, 1, dd->custom_dtis);
		bits_put(&w, 1, dd->custom_fdiffs);
		bits_put(&w, 1, dd->custom_chains);
	}
	if (dd->has_structure)
		structure_put(&w, structure);
	if (dd->has_active_decode_targets)
		bits_put(&w, structure->n_decode_targets, dd->active_decode_targets);
	if (dd->custom_dtis)
		dtis_put(&w, structure->n_decode_targets, dd->dtis);
	if (dd->custom_fdiffs)
		frame_fdiffs_put(&w, dd);
	for (uint32_t c = 0; dd->custom_chains && c < structure->n_chains; c++)
		bits_put(&w, 8, dd->chain_fdiffs[c]);
	if (w.invalid)
		return -EINVAL;
	return w.overflow ? -ENOSPC : (int)((w.at_bits + 7) / 8);
}
