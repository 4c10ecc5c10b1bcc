// Reads lifetimes.
#include "controlplane/ctl/lifetime.h"

#include <stdlib.h>

#define LIFETIME_MAX_S (10ll * 365 * 86400)

long long ctl_lifetime(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10), unit_s;

	if (end == text || n <= 0 || n > LIFETIME_MAX_S)
		return -1;
	switch (*end) {
	case '\0':
	case 's':
		unit_s = 1;
		break;
	case 'm':
		unit_s = 60;
		break;
	case 'h':
		unit_s = 3600;
		break;
	case 'd':
		unit_s = 86400;
		break;
	default:
		return -1;
	}
	if (*end != '\0' && end[1] != '\0')
		return -1;
	return n * unit_s <= LIFETIME_MAX_S ? n * unit_s : -1;
}
