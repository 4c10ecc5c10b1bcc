// Criterion's runner behind a check that the tests can run at all: without root they are skipped.
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	struct criterion_test_set *tests;
	int ret = 0;

	if (geteuid() != 0) {
		puts("1..0 # SKIP loading BPF programs needs root");
		return 0;
	}
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true))
		ret = !criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return ret;
}
