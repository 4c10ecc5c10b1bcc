// What the threads of another process have run so far, from the kernel's schedstat. One thread.
#ifndef TP_BENCH_SFU_CPU_TIME_H
#define TP_BENCH_SFU_CPU_TIME_H

#include <stdint.h>
#include <sys/types.h>

// ns; 0 when there is no such process.
uint64_t cpu_time_ns(pid_t pid);

#endif
