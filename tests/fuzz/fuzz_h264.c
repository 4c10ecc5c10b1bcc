// H.264 payloads: what starts is carried, and only units that exist are told. The AV1 aggregation header goes along.
#include "dataplane/contract/wire/av1_payload.h"
#include "dataplane/contract/wire/h264_payload.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct av1_aggregation_header av1;
	struct h264_payload p;

	if (av1_aggregation_header_parse(data, n, &av1))
		FUZZ_ASSERT(n >= 2 && av1.n_elements <= 3);
	if (h264_payload_parse(data, n, &p) != 0)
		return;
	FUZZ_ASSERT(p.carries != 0 && (p.starts & ~p.carries) == 0);
	FUZZ_ASSERT((p.carries & ~UINT32_C(0x00fffffe)) == 0);
	FUZZ_ASSERT(p.fragment == ((data[0] & 0x1f) == H264_NAL_FU_A));
	FUZZ_ASSERT(p.fragment || p.starts == p.carries);
	FUZZ_ASSERT(!h264_is_key_frame(&p) || p.starts != 0);
}
