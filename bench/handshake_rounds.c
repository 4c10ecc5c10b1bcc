// The rounds of dtls_handshakes and openssl_handshakes. One thread.
#include "bench/handshake_rounds.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS           7
#define HANDSHAKES       700 // a round
#define QUICK_HANDSHAKES 100

uint64_t handshake_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static int json_write(const char *path, const double *per_second)
{
	FILE *json = fopen(path, "w");

	if (json == NULL) {
		perror(path);
		return 1;
	}
	fprintf(json, "{\"handshakes_per_s\":%.0f,\"min\":%.0f,\"max\":%.0f}\n",
		per_second[ROUNDS / 2], per_second[0], per_second[ROUNDS - 1]);
	return fclose(json) == 0 ? 0 : 1;
}

int handshake_rounds(int argc, char **argv, const char *what, uint64_t (*handshake)(void *),
		     void *context)
{
	static const struct option options[] = { { "quick", no_argument, NULL, 'q' },
						 { "json", required_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	uint32_t n_handshakes = HANDSHAKES;
	const char *json_path = NULL;
	double per_second[ROUNDS];
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q') {
			n_handshakes = QUICK_HANDSHAKES;
		} else if (option == 'j') {
			json_path = optarg;
		} else {
			fprintf(stderr, "usage: %s [--quick] [--json FILE]\n", argv[0]);
			return 2;
		}
	}
	handshake(context); // OpenSSL loads what it needs
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t cpu_ns = 0;

		for (uint32_t i = 0; i < n_handshakes; i++)
			cpu_ns += handshake(context);
		per_second[round] = (double)n_handshakes * 1e9 / (double)cpu_ns;
	}
	qsort(per_second, ROUNDS, sizeof(per_second[0]), compare);
	printf("%s: median %.0f (%.0f to %.0f of %d rounds)\n", what, per_second[ROUNDS / 2],
	       per_second[0], per_second[ROUNDS - 1], ROUNDS);
	return json_path != NULL ? json_write(json_path, per_second) : 0;
}
