// intel-ipsec-mb by itself, with nothing of RTP around it: what the engines are measured against. One thread.
#ifndef TP_BENCH_SRTP_RAW_H
#define TP_BENCH_SRTP_RAW_H

#include <stdint.h>

#include "dataplane/srtp/profile.h"

#define RAW_BURST 32

struct raw;

// `n_keys` random keys for one of the profiles that ipsec-mb serves, on the widest instructions of this CPU.
struct raw *raw_open(uint32_t profile, uint32_t n_keys);
// Encrypts and authenticates RAW_BURST times `n_bytes` behind a header of 12, from `src` to `dst[i]`, keys in turn.
void raw_burst(struct raw *raw, const uint8_t *src, uint8_t *const *dst, uint32_t n_bytes);

#endif
