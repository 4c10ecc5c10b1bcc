// Handshakes in memory, round by round, by the CPU time of one end. One thread.
#ifndef TP_BENCH_HANDSHAKE_ROUNDS_H
#define TP_BENCH_HANDSHAKE_ROUNDS_H

#include <stdint.h>

// Of the calling thread.
uint64_t handshake_cpu_ns(void);

// What a main() does between making and freeing `context`: reads [--quick] [--json FILE], tells the median of the rounds as
// `what` on stdout and in FILE. `handshake` makes one and returns the CPU time that counts. Returns the exit code.
int handshake_rounds(int argc, char **argv, const char *what, uint64_t (*handshake)(void *),
		     void *context);

#endif
