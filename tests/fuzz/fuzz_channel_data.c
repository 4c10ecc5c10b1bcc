// ChannelData: accepted exactly when the first byte says so and the announced data is there.
#include "dataplane/contract/wire/demux.h"
#include "dataplane/contract/wire/turn.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_one(const uint8_t *data, size_t n)
{
	uint16_t channel = 0;
	uint16_t data_bytes = 0;
	bool accepted = turn_channel_data_parse(data, n, &channel, &data_bytes);
	bool expected = n >= 4 && wire_demux(data[0]) == WIRE_KIND_CHANNEL &&
			(size_t)(data[2] << 8 | data[3]) + 4 <= n;

	FUZZ_ASSERT(accepted == expected);
	if (!accepted)
		return;
	FUZZ_ASSERT(channel == (data[0] << 8 | data[1]));
	FUZZ_ASSERT(channel >= TURN_CHANNEL_MIN && channel <= TURN_CHANNEL_MAX);
	FUZZ_ASSERT(data_bytes == (data[2] << 8 | data[3]));
}
