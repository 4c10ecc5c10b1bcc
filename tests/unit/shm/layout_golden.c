// Prints "version fingerprint" of the layout; with a file, compares: exit 1 and one sentence if they differ.
#include <inttypes.h>
#include <stdio.h>

#include "dataplane/contract/shm/segment.h"

int main(int argc, char **argv)
{
	uint64_t fingerprint = shm_layout_fingerprint(), golden = 0;
	uint32_t version = 0;
	FILE *f;
	int n;

	if (argc < 2) {
		printf("%u %016" PRIx64 "\n", SHM_LAYOUT_VERSION, fingerprint);
		return 0;
	}
	f = fopen(argv[1], "r");
	if (!f) {
		perror(argv[1]);
		return 2;
	}
	n = fscanf(f, "%" SCNu32 " %" SCNx64, &version, &golden);
	fclose(f);
	if (n != 2) {
		fprintf(stderr, "%s: expected a version and a fingerprint\n", argv[1]);
		return 2;
	}
	if (version == SHM_LAYOUT_VERSION && golden == fingerprint)
		return 0;
	if (version == SHM_LAYOUT_VERSION)
		fprintf(stderr, "the layout of shared memory changed: raise SHM_LAYOUT_VERSION in "
				"dataplane/contract/shm/layout.h, then ");
	else
		fprintf(stderr, "SHM_LAYOUT_VERSION was raised: ");
	fprintf(stderr, "store \"%u %016" PRIx64 "\" in layout.golden\n",
		version == SHM_LAYOUT_VERSION ? version + 1 : SHM_LAYOUT_VERSION, fingerprint);
	return 1;
}
