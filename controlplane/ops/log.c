// Writes log lines to stderr. Any thread; one write per line, so lines of two threads never mix.
#include "controlplane/ops/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES 1024
#define LOG_SITES      64

// How often one format was written in the current window.
struct log_site {
	const char *format; // string literals: the pointer is the identity
	time_t window_start_s;
	uint32_t n_written;
	uint32_t n_suppressed;
};

static struct {
	pthread_mutex_t lock;
	const char *program;
	enum log_level max;
	bool to_journal;
	struct log_site site[LOG_SITES];
	uint64_t n_suppressed;
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.program = "turnpike",
	.max = LOG_LEVEL_INFO,
};

void log_open(const char *program, enum log_level max)
{
	state.program = program;
	state.max = max;
	state.to_journal = getenv("JOURNAL_STREAM") != NULL;
}

uint64_t log_n_suppressed(void)
{
	uint64_t n;

	pthread_mutex_lock(&state.lock);
	n = state.n_suppressed;
	pthread_mutex_unlock(&state.lock);
	return n;
}

// Whether a line of this format may be written now; `n_left_out` says how many were not since the
// last one.
static bool site_allows(const char *format, uint32_t *n_left_out)
{
	struct log_site *s = &state.site[((uintptr_t)format >> 3) % LOG_SITES];
	struct timespec now;

	*n_left_out = 0;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (s->format != format || now.tv_sec - s->window_start_s >= LOG_WINDOW_S) {
		// A format that takes over another's place loses that one's count, nothing else.
		if (s->format == format)
			*n_left_out = s->n_suppressed;
		*s = (struct log_site){ .format = format, .window_start_s = now.tv_sec };
	}
	if (s->n_written < LOG_BURST) {
		s->n_written++;
		return true;
	}
	s->n_suppressed++;
	state.n_suppressed++;
	return false;
}

// Copies text with control characters as \xNN; stops when the room is used up.
static size_t escape(const char *text, char *out, size_t out_bytes)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text && n + 5 < out_bytes; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	out[n] = '\0';
	return n;
}

void log_line(enum log_level level, const char *format, ...)
{
	// sd-daemon(3): <3> error, <4> warning, <6> info, <7> debug.
	static const char severity[LOG_LEVEL_COUNT] = { '3', '4', '6', '7' };
	static const char *const word[LOG_LEVEL_COUNT] = { "error: ", "warning: ", "", "debug: " };
	char text[LOG_LINE_BYTES], safe[2 * LOG_LINE_BYTES], line[2 * LOG_LINE_BYTES + 128];
	uint32_t n_left_out;
	va_list args;
	int n;

	if (level > state.max)
		return;
	pthread_mutex_lock(&state.lock);
	if (!site_allows(format, &n_left_out)) {
		pthread_mutex_unlock(&state.lock);
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	escape(text, safe, sizeof(safe));
	if (state.to_journal)
		n = snprintf(line, sizeof(line), "<%c>%s", severity[level], safe);
	else
		n = snprintf(line, sizeof(line), "%s: %s%s", state.program, word[level], safe);
	if (n_left_out > 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " (%u more like it left out)",
			      n_left_out);
	line[n++] = '\n';
	// Nothing sensible can be done when stderr is gone.
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		state.n_suppressed++;
	pthread_mutex_unlock(&state.lock);
}
