// Lines for the operator on stderr, for the journal with a severity in front. Cold paths only,
// never with text from the network.
#ifndef TP_DP_LOG_H
#define TP_DP_LOG_H

enum dp_severity {
	DP_LOG_ERROR = 3, // the numbers of syslog(3)
	DP_LOG_WARNING = 4,
	DP_LOG_INFO = 6,
};

// One line; the newline is added. Main thread.
void dp_log(enum dp_severity severity, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
