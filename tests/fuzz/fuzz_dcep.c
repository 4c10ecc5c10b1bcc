// DCEP: what is an OPEN lies inside of the message, and building it anew gives the same channel.
#include "controlplane/sfu/dcep.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	uint8_t built[DCEP_OPEN_BYTES_MAX];
	struct dcep_open again;
	struct dcep_open open;
	size_t n_built;

	switch (dcep_parse(data, n, &open)) {
	case DCEP_ACK:
		FUZZ_ASSERT(n == 1 && data[0] == dcep_ack());
		break;
	case DCEP_OPEN:
		FUZZ_ASSERT(open.label == data + DCEP_OPEN_HEADER_BYTES);
		FUZZ_ASSERT(open.protocol == open.label + open.label_bytes);
		FUZZ_ASSERT(open.protocol + open.protocol_bytes == data + n);
		FUZZ_ASSERT(open.reliability < SCTP_RELIABILITY_COUNT);
		n_built = dcep_open_build(&open, built, sizeof(built));
		FUZZ_ASSERT(n_built == n);
		FUZZ_ASSERT(dcep_parse(built, n_built, &again) == DCEP_OPEN);
		FUZZ_ASSERT(again.is_unordered == open.is_unordered &&
			    again.reliability == open.reliability &&
			    again.reliability_value == open.reliability_value &&
			    again.priority == open.priority);
		FUZZ_ASSERT(memcmp(built + DCEP_OPEN_HEADER_BYTES, open.label,
				   n - DCEP_OPEN_HEADER_BYTES) == 0);
		break;
	default:
		break;
	}
}
