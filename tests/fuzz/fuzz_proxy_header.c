// PROXY protocol v2: what is accepted is wholly there, and a shorter piece of it is never anything but incomplete.
#include "controlplane/turn/stream/proxy_header.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct turn_proxy_header header = { .length_bytes = 0 }, shorter;
	enum turn_proxy_result r = turn_proxy_header_parse(data, n, &header);

	FUZZ_ASSERT(r < TURN_PROXY_RESULT_COUNT);
	FUZZ_ASSERT(turn_proxy_result_text(r)[0] != '\0');
	if (r != TURN_PROXY_OK) {
		FUZZ_ASSERT(header.length_bytes == 0);
		return;
	}
	FUZZ_ASSERT(header.length_bytes >= 16 && header.length_bytes <= n);
	FUZZ_ASSERT(header.length_bytes <= TURN_PROXY_HEADER_BYTES_MAX);
	for (size_t i = 0; i < header.length_bytes; i++)
		FUZZ_ASSERT(turn_proxy_header_parse(data, i, &shorter) == TURN_PROXY_MORE);
	FUZZ_ASSERT(turn_proxy_header_parse(data, header.length_bytes, &shorter) == TURN_PROXY_OK);
}
