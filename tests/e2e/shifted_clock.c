// A clock that is wrong by SHIFTED_CLOCK_S seconds, for programs that ask time(): preloaded, to see what they make of
// another host's clock.
#include <stdlib.h>
#include <time.h>

time_t time(time_t *out)
{
	const char *shift = getenv("SHIFTED_CLOCK_S");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += shift ? strtoll(shift, NULL, 10) : 0;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
