// Reading the AV1 dependency descriptor (AV1 RTP payload format 1.0, appendix A.8). Pure, any thread.
#include "dataplane/contract/wire/av1_dependency.h"

#include <errno.h>

// A reading position in bits. Past the end it reads zeros and says so.
struct bit_reader {
	const uint8_t *buf;
	size_t at_bits;
	size_t len_bits;
	bool overrun;
};

// f(n), n up to 32.
static uint32_t bits_take(struct bit_reader *r, uint32_t n)
{
	uint32_t v = 0;

	if (r->overrun || r->len_bits - r->at_bits < n) {
		r->overrun = true;
		return 0;
	}
	while (n > 0) {
		uint32_t offset = r->at_bits & 7;
		uint32_t take = n < 8 - offset ? n : 8 - offset;
		uint32_t byte = r->buf[r->at_bits / 8];

		v = v << take | (byte >> (8 - offset - take) & ((1u << take) - 1));
		r->at_bits += take;
		n -= take;
	}
	return v;
}

// ns(n): a number below n in as few bits as that needs.
static uint32_t bits_take_below(struct bit_reader *r, uint32_t n)
{
	uint32_t width = 32 - (uint32_t)__builtin_clz(n);
	uint32_t n_short = (1u << width) - n;
	uint32_t v = bits_take(r, width - 1);

	if (v < n_short)
		return v;
	return (v << 1) - n_short + bits_take(r, 1);
}

static uint64_t dtis_take(struct bit_reader *r, uint32_t n_decode_targets)
{
	uint64_t dtis = 0;

	for (uint32_t t = 0; t < n_decode_targets; t++)
		dtis |= (uint64_t)bits_take(r, 2) << (2 * t);
	return dtis;
}

static int template_layers_parse(struct bit_reader *r, struct av1_dd_structure *s)
{
	uint32_t spatial_id = 0, temporal_id = 0, next;

	s->n_templates = 0;
	do {
		if (s->n_templates == AV1_DD_TEMPLATES_MAX)
			return -EINVAL;
		s->templates[s->n_templates].spatial_id = (uint8_t)spatial_id;
		s->templates[s->n_templates].temporal_id = (uint8_t)temporal_id;
		s->n_templates++;
		next = bits_take(r, 2);
		if (next == 1 && ++temporal_id == AV1_DD_TEMPORAL_MAX)
			return -EINVAL;
		if (next == 2) {
			temporal_id = 0;
			if (++spatial_id == AV1_DD_SPATIAL_LAYERS_MAX)
				return -EINVAL;
		}
	} while (next != 3 && !r->overrun);
	s->n_spatial_layers = (uint8_t)(spatial_id + 1);
	return 0;
}

static int template_fdiffs_parse(struct bit_reader *r, struct av1_dd_template *t)
{
	t->n_fdiffs = 0;
	while (bits_take(r, 1)) {
		if (t->n_fdiffs == AV1_DD_FDIFFS_MAX)
			return -EINVAL;
		t->fdiffs[t->n_fdiffs++] = (uint8_t)(bits_take(r, 4) + 1);
	}
	return 0;
}

static void template_chains_parse(struct bit_reader *r, struct av1_dd_structure *s)
{
	s->n_chains = (uint8_t)bits_take_below(r, s->n_decode_targets + 1u);
	if (s->n_chains == 0)
		return;
	for (uint32_t i = 0; i < s->n_decode_targets; i++)
		s->protected_by[i] = (uint8_t)bits_take_below(r, s->n_chains);
	for (uint32_t i = 0; i < s->n_templates; i++)
		for (uint32_t c = 0; c < s->n_chains; c++)
			s->templates[i].chain_fdiffs[c] = (uint8_t)bits_take(r, 4);
}

static int structure_parse(struct bit_reader *r, struct av1_dd_structure *s)
{
	int ret;

	s->template_id_offset = (uint8_t)bits_take(r, 6);
	s->n_decode_targets = (uint8_t)(bits_take(r, 5) + 1);
	ret = template_layers_parse(r, s);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < s->n_templates; i++)
		s->templates[i].dtis = dtis_take(r, s->n_decode_targets);
	for (uint32_t i = 0; i < s->n_templates; i++) {
		ret = template_fdiffs_parse(r, &s->templates[i]);
		if (ret < 0)
			return ret;
	}
	template_chains_parse(r, s);
	s->has_resolutions = bits_take(r, 1);
	for (uint32_t i = 0; s->has_resolutions && i < s->n_spatial_layers; i++) {
		s->width_minus_1[i] = (uint16_t)bits_take(r, 16);
		s->height_minus_1[i] = (uint16_t)bits_take(r, 16);
	}
	return r->overrun ? -EINVAL : 0;
}

static int frame_fdiffs_parse(struct bit_reader *r, struct av1_dd *out)
{
	uint32_t size;

	out->n_fdiffs = 0;
	while ((size = bits_take(r, 2)) != 0) {
		if (out->n_fdiffs == AV1_DD_FDIFFS_MAX)
			return -EINVAL;
		out->fdiffs[out->n_fdiffs++] = (uint16_t)(bits_take(r, 4 * size) + 1);
	}
	return 0;
}

// frame_dependency_definition(): the template, and what the packet says otherwise.
static int frame_parse(struct bit_reader *r, const struct av1_dd_structure *s, struct av1_dd *out)
{
	uint32_t idx = (out->template_id - s->template_id_offset) & (AV1_DD_TEMPLATES_MAX - 1);
	const struct av1_dd_template *t = &s->templates[idx];

	if (idx >= s->n_templates)
		return -EINVAL;
	out->spatial_id = t->spatial_id;
	out->temporal_id = t->temporal_id;
	out->dtis = out->custom_dtis ? dtis_take(r, s->n_decode_targets) : t->dtis;
	if (out->custom_fdiffs) {
		int ret = frame_fdiffs_parse(r, out);

		if (ret < 0)
			return ret;
	} else {
		out->n_fdiffs = t->n_fdiffs;
		for (uint32_t i = 0; i < t->n_fdiffs; i++)
			out->fdiffs[i] = t->fdiffs[i];
	}
	for (uint32_t c = 0; c < s->n_chains; c++)
		out->chain_fdiffs[c] =
			out->custom_chains ? (uint8_t)bits_take(r, 8) : t->chain_fdiffs[c];
	return r->overrun ? -EINVAL : 0;
}

int av1_dd_parse(const uint8_t *buf, size_t len_bytes, const struct av1_dd_structure *known,
		 struct av1_dd_structure *attached, struct av1_dd *out)
{
	struct bit_reader r = { .buf = buf, .len_bits = 8 * len_bytes };
	const struct av1_dd_structure *structure = known;

	if (len_bytes < AV1_DD_MANDATORY_BYTES)
		return -EINVAL;
	*out = (struct av1_dd){ 0 };
	out->frame_start = bits_take(&r, 1);
	out->frame_end = bits_take(&r, 1);
	out->template_id = (uint8_t)bits_take(&r, 6);
	out->frame_number = (uint16_t)bits_take(&r, 16);
	if (len_bytes > AV1_DD_MANDATORY_BYTES) {
		out->has_structure = bits_take(&r, 1);
		out->has_active_decode_targets = bits_take(&r, 1);
		out->custom_dtis = bits_take(&r, 1);
		out->custom_fdiffs = bits_take(&r, 1);
		out->custom_chains = bits_take(&r, 1);
	}
	if (out->has_structure) {
		int ret = structure_parse(&r, attached);

		if (ret < 0)
			return ret;
		structure = attached;
		out->active_decode_targets = UINT32_MAX >> (32 - attached->n_decode_targets);
	}
	if (structure == NULL)
		return -ENODATA;
	if (out->has_active_decode_targets)
		out->active_decode_targets = bits_take(&r, structure->n_decode_targets);
	return frame_parse(&r, structure, out);
}

void av1_dd_decode_target_layers(const struct av1_dd_structure *s, uint32_t decode_target,
				 uint8_t *spatial_id, uint8_t *temporal_id)
{
	*spatial_id = 0;
	*temporal_id = 0;
	for (uint32_t i = 0; i < s->n_templates; i++) {
		const struct av1_dd_template *t = &s->templates[i];

		if ((t->dtis >> (2 * decode_target) & 3) == AV1_DTI_NOT_PRESENT)
			continue;
		if (t->spatial_id > *spatial_id)
			*spatial_id = t->spatial_id;
		if (t->temporal_id > *temporal_id)
			*temporal_id = t->temporal_id;
	}
}
