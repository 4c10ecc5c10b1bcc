// See section_fixture.h.
#include "tests/unit/config/section_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char section_error[512];

struct config *section_parse(const char *section)
{
	char path[] = "/tmp/turnpike-config-XXXXXX", text[2048];
	struct config *c = NULL;
	int fd = mkstemp(path), n;

	cr_assert(fd >= 0);
	n = snprintf(text, sizeof(text), "%s%s", section_head, section);
	cr_assert(n >= 0 && (size_t)n < sizeof(text));
	cr_assert_eq(write(fd, text, (size_t)n), (ssize_t)n);
	close(fd);
	section_error[0] = '\0';
	config_parse(path, &c, section_error, sizeof(section_error));
	unlink(path);
	return c;
}

struct config *section_accepted(const char *section)
{
	struct config *c = section_parse(section);

	cr_assert_not_null(c, "%s", section_error);
	return c;
}

void section_refused(const char *section, const char *expected)
{
	struct config *c = section_parse(section);

	cr_assert_null(c, "accepted instead of \"%s\"", expected);
	cr_assert_not_null(strstr(section_error, expected), "\n  is:     %s\n  wanted: %s",
			   section_error, expected);
}
