// How long this thread has been kept from its CPU by others: a generator that was says so, and its figure is dropped.
#ifndef TP_BENCH_WAITED_H
#define TP_BENCH_WAITED_H

#include <stdint.h>

// Nanoseconds that the calling thread has been runnable but not running; 0 where the kernel does not tell.
uint64_t waited_ns(void);

#endif
