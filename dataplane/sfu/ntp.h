// The clock of sender reports: what we write into ours and what report blocks quote of it.
#ifndef TP_DP_SFU_NTP_H
#define TP_DP_SFU_NTP_H

#include "dataplane/worker.h"

#define DP_SFU_NTP_UNIX_SEC UINT64_C(2208988800) // 1900 to 1970

// 32.32 seconds since 1900 (RFC 3550 §4).
static inline uint64_t dp_sfu_ntp(const struct dp_worker *w)
{
	uint64_t wall_ns = w->now_ns + w->wall_off_ns;
	uint64_t sec = wall_ns / 1000000000u;
	uint64_t ns = wall_ns % 1000000000u;

	return (sec + DP_SFU_NTP_UNIX_SEC) << 32 | (ns << 32) / 1000000000u;
}

#endif
