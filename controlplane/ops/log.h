// Log lines of the control plane, one line each, to stderr; journald reads their severity from the
// prefix. Any thread of the control plane. The format is always ours; what comes from the network
// is an argument, and its control characters are escaped, so it cannot forge a line. Never pass a
// secret.
#ifndef TP_OPS_LOG_H
#define TP_OPS_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 0, // something an operator must act on
	LOG_LEVEL_WARNING,   // works, but not as it should; says what it costs
	LOG_LEVEL_INFO,      // starts, stops, adoptions, reloads
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT
};

// Messages above `max` are dropped. The name stands in front of each line unless journald writes it
// anyway.
void log_open(const char *program, enum log_level max);

// Writes one line. At most LOG_BURST lines of one format in LOG_WINDOW_S seconds; what was left out
// is counted and said with the first line that passes again.
#define LOG_BURST    20
#define LOG_WINDOW_S 10
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

// Lines kept back so far, for tests and status.
uint64_t log_n_suppressed(void);

#endif
