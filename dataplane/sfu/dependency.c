// Decode targets of a watcher that does not get all layers. Worker thread; writes what it is given.
#include "dataplane/sfu/dependency.h"

void dp_sfu_dependency_note(struct dp_sfu_dependency *d, uint32_t track_serial,
			    const uint8_t *descriptor, uint32_t n_bytes)
{
	struct av1_dd_structure attached;
	struct av1_dd dd;

	if (av1_dd_parse(descriptor, n_bytes, NULL, &attached, &dd) < 0 || !dd.has_structure)
		return;
	d->structure = attached;
	d->track_serial = track_serial;
}

static uint32_t targets_within(const struct av1_dd_structure *s, uint16_t cut)
{
	uint32_t mask = 0;

	for (uint32_t t = 0; t < s->n_decode_targets; t++) {
		uint8_t spatial;
		uint8_t temporal;

		av1_dd_decode_target_layers(s, t, &spatial, &temporal);
		if (spatial <= cut >> 8 && temporal <= (cut & 0xff))
			mask |= UINT32_C(1) << t;
	}
	return mask;
}

uint32_t dp_sfu_dependency_cut(const struct dp_sfu_dependency *d, uint32_t track_serial,
			       const uint8_t *descriptor, uint32_t n_bytes, uint16_t cut,
			       uint8_t out[AV1_DD_BYTES_MAX])
{
	struct av1_dd_structure attached;
	const struct av1_dd_structure *s;
	struct av1_dd dd;
	uint32_t within;
	int n;

	if (d->track_serial != track_serial ||
	    av1_dd_parse(descriptor, n_bytes, &d->structure, &attached, &dd) < 0)
		return 0;
	s = dd.has_structure ? &attached : &d->structure;
	within = targets_within(s, cut);
	// What the publisher itself does not send is not promised either.
	if (dd.has_active_decode_targets)
		within &= dd.active_decode_targets;
	if (within == 0)
		return 0;
	dd.has_active_decode_targets = true;
	dd.active_decode_targets = within;
	n = av1_dd_build(out, AV1_DD_BYTES_MAX, &dd, s);
	return n > 0 ? (uint32_t)n : 0;
}
