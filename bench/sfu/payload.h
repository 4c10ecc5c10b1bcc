// What every synthetic media packet carries behind its codec's header, so that whoever receives it
// can tell where it comes from, when it was sent, and that not a byte of it changed. Pure.
#ifndef TP_BENCH_SFU_PAYLOAD_H
#define TP_BENCH_SFU_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_BYTES_MIN 40

struct payload {
	uint64_t counter; // of packets of this stream, from 0
	uint64_t send_ns; // CLOCK_MONOTONIC of the sender's host
	uint32_t source;  // number of the publisher
	uint32_t frame;
	uint8_t kind;  // 0 audio, 1 video
	uint8_t layer; // simulcast encoding
};

// n_bytes >= PAYLOAD_BYTES_MIN; what is behind the fields is filled from the counter.
void payload_write(const struct payload *p, uint8_t *out, size_t n_bytes);
// False when a single byte is not what was written.
bool payload_read(const uint8_t *in, size_t n_bytes, struct payload *out);

#endif
