// RTP headers: the parts of an accepted packet lie behind each other and fill it.
#include "dataplane/contract/wire/demux.h"
#include "dataplane/contract/wire/rtp.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct rtp_view v;

	rtp_is_rtcp(data, n);
	if (rtp_parse(data, n, &v) != 0)
		return;
	FUZZ_ASSERT(wire_demux(data[0]) == WIRE_KIND_RTP);
	FUZZ_ASSERT((size_t)v.header_bytes + v.payload_bytes + v.padding_bytes == n);
	FUZZ_ASSERT(v.payload == data + v.header_bytes);
	FUZZ_ASSERT(v.header_bytes >= 12 + 4 * (data[0] & 15));
	FUZZ_ASSERT((v.padding_bytes != 0) == ((data[0] & 0x20) != 0));
	if (data[0] & 0x10) {
		FUZZ_ASSERT(v.extension + v.extension_bytes == v.payload);
		FUZZ_ASSERT(v.extension_bytes == 4 * bytes_get_be16(v.extension - 2));
		FUZZ_ASSERT(v.extension_profile == bytes_get_be16(v.extension - 4));
	} else {
		FUZZ_ASSERT(v.extension == NULL && v.extension_bytes == 0);
		FUZZ_ASSERT(v.header_bytes == 12 + 4 * (data[0] & 15));
	}
}
