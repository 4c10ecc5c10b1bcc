// Names and sentences of the counters.
#include "dataplane/drop_reason.h"

#define DP_INFO(id, counter_name, counter_text) { .name = counter_name, .text = counter_text },

const struct dp_counter_info dp_counter_info[DP_COUNTER_COUNT] = { DP_COUNTERS(
	DP_INFO) DP_DROP_REASONS(DP_INFO) };
