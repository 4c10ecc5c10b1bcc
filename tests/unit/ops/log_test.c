// The log: no line is forged, no flood is written, journald gets the severity.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/ops/log.h"

static int kept_stderr, pipe_fd[2];

static void capture(void)
{
	cr_assert_eq(pipe2(pipe_fd, O_NONBLOCK), 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(pipe_fd[1], STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	log_open("unit", LOG_LEVEL_INFO);
}

static void release(void)
{
	dup2(kept_stderr, STDERR_FILENO);
}

TestSuite(log, .init = capture, .fini = release);

static const char *captured(void)
{
	static char text[65536];
	ssize_t n = read(pipe_fd[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(log, severity_and_level)
{
	log_error("one %d", 1);
	log_warning("two");
	log_info("three");
	log_debug("four");
	cr_expect_str_eq(captured(), "unit: error: one 1\nunit: warning: two\nunit: three\n");
}

Test(log, journal_prefix)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_open("unit", LOG_LEVEL_DEBUG);
	log_error("one");
	log_debug("four");
	cr_expect_str_eq(captured(), "<3>one\n<7>four\n");
}

Test(log, control_characters_are_escaped)
{
	log_info("user %s", "a\nunit: error: forged\x1b[31m");
	cr_expect_str_eq(captured(), "unit: user a\\x0aunit: error: forged\\x1b[31m\n");
}

Test(log, a_long_line_is_cut)
{
	static char text[5000];
	size_t n;

	memset(text, '\n', sizeof(text) - 1);
	log_info("%s", text);
	n = strlen(captured());
	cr_expect(n > 100 && n < 2300, "%zu", n);
}

Test(log, repetitions_are_left_out_and_counted)
{
	uint32_t n = 0;

	for (int i = 0; i < 1000; i++)
		log_warning("the same %d", i);
	log_warning("another");
	for (const char *p = captured(); (p = strchr(p, '\n')); p++)
		n++;
	cr_expect_eq(n, LOG_BURST + 1);
	cr_expect_eq(log_n_suppressed(), 1000 - LOG_BURST);
}
