// Ranges of peers as coturn writes them, as the prefixes that ours are. Any thread; no state.
#ifndef TP_TURN_PEER_RANGE_H
#define TP_TURN_PEER_RANGE_H

#include <stdint.h>

#include "dataplane/contract/wire/address.h"

#define PEER_RANGE_PREFIXES_MAX 256 // of one range

// "ADDRESS", "ADDRESS/BITS" or "ADDRESS-ADDRESS", of either family; bits behind a prefix's length are
// ignored, as coturn does. 0 and the fewest prefixes that are the range, or -EINVAL.
int peer_range_parse(const char *text, struct ip_prefix out[PEER_RANGE_PREFIXES_MAX],
		     uint32_t *out_n);

#endif
