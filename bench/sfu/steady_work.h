// Work that nothing but the CPU itself can hold up. Any thread; writes nothing.
#ifndef TP_BENCH_SFU_STEADY_WORK_H
#define TP_BENCH_SFU_STEADY_WORK_H

#include <stdint.h>

void steady_work(uint64_t n_steps);
// Steps of it per tick of the clock, undisturbed.
double steady_calibrate(void);

#endif
