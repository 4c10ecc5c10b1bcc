// When the next packet may go.
#include <criterion/criterion.h>

#include "dataplane/sfu/pacer.h"

#define MS 1000000ull

Test(sfu_pace, rate_is_kept)
{
	struct dp_sfu_pace p = { .next_ns = 0 };
	uint64_t now_ns = 1000 * MS;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < 40000; i++, now_ns += MS / 40) {
		while (dp_sfu_pace_is_due(&p, now_ns)) {
			dp_sfu_pace_spend(&p, now_ns, 1200, 8000000);
			bytes += 1200;
		}
	}
	cr_assert(bytes >= 1000000 - 2400 && bytes <= 1000000 + 4800, "of a second: %lu", bytes);
}

Test(sfu_pace, pauses_earn_little)
{
	struct dp_sfu_pace p = { .next_ns = 0 };
	uint64_t now_ns = 1000 * MS;
	uint32_t n = 0;

	dp_sfu_pace_spend(&p, now_ns, 1000, 8000000);
	now_ns += 5000 * MS;
	for (; dp_sfu_pace_is_due(&p, now_ns); n++)
		dp_sfu_pace_spend(&p, now_ns, 1000, 8000000);
	cr_assert_leq(n, 1 + DP_SFU_PACE_CREDIT_NS / MS + 1);
}

Test(sfu_pace, no_rate_is_no_division)
{
	struct dp_sfu_pace p = { .next_ns = 0 };

	dp_sfu_pace_spend(&p, 1, 1000, 0);
	cr_assert_gt(p.next_ns, MS);
}
