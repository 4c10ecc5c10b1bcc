// Work that nothing but the CPU itself can hold up: one that needs no memory, and one that leaves nothing else in the caches, as a
// worker with many clients does, so that an interrupt finds the kernel's own lines gone. One thread.
#ifndef TP_BENCH_SFU_STEADY_WORK_H
#define TP_BENCH_SFU_STEADY_WORK_H

#include <stdint.h>

void steady_work(uint64_t n_steps);
// Steps of it per tick of the clock, undisturbed.
double steady_calibrate(void);

// So many cache lines of a memory larger than the second level, one behind the other.
void steady_walk(uint64_t n_lines);
// Lines per tick of the clock, on average. Negative without memory.
double steady_walk_calibrate(void);

#endif
