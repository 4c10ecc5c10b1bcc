// Deterministic misfortune. One thread.
#include "bench/blast/impairment.h"

static bool is_due(uint64_t n, uint32_t every, uint32_t share_of_period)
{
	return every > 0 && n % every == (uint64_t)every * share_of_period / 8;
}

enum impairment_verdict impairment_decide(struct impairment *i, bool may_hold)
{
	enum impairment_verdict v = IMPAIRMENT_PASS;
	uint64_t n = i->n_seen++;

	// Different places in the period, so that equal periods do not meet.
	if (is_due(n, i->options.lose_every, 1))
		v = IMPAIRMENT_LOSE;
	else if (is_due(n, i->options.duplicate_every, 3))
		v = IMPAIRMENT_DUPLICATE;
	else if (is_due(n, i->options.corrupt_every, 5))
		v = IMPAIRMENT_CORRUPT;
	else if (may_hold && is_due(n, i->options.reorder_every, 7))
		return IMPAIRMENT_HOLD;
	i->count[v]++;
	return v;
}

uint32_t impairment_bit(const struct impairment *i, uint32_t n_bytes)
{
	uint64_t h = i->n_seen * 0x9e3779b97f4a7c15ull;

	return (uint32_t)((h >> 32) * n_bytes * 8 >> 32);
}
