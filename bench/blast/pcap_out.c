// The pcap file format (magic 0xa1b2c3d4, Ethernet). Cold; one thread.
#include "bench/blast/pcap_out.h"

#include <errno.h>
#include <stdio.h>

struct pcap_header {
	uint32_t magic;
	uint16_t version_major;
	uint16_t version_minor;
	int32_t zone_s;
	uint32_t accuracy;
	uint32_t snapshot_bytes;
	uint32_t link_type;
};

struct pcap_record {
	uint32_t seconds;
	uint32_t microseconds;
	uint32_t captured_bytes;
	uint32_t frame_bytes;
};

int pcap_out_write(const char *path, struct flow_set *flows, struct mix *mix, uint32_t n_frames)
{
	const struct pcap_header header = {
		.magic = 0xa1b2c3d4,
		.version_major = 2,
		.version_minor = 4,
		.snapshot_bytes = 65535,
		.link_type = 1,
	};
	uint8_t buffer[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
	uint8_t *payload = buffer + FRAME_HEADER_MAX;
	FILE *f = fopen(path, "wb");
	int ret = 0;

	if (f == NULL)
		return -errno;
	memcpy(payload, frame_pattern, FRAME_PAYLOAD_MAX);
	fwrite(&header, sizeof(header), 1, f);
	for (uint32_t i = 0; i < n_frames; i++) {
		const struct mix_item *item = mix_next(mix);
		uint32_t flow_idx = item->flow & ~MIX_DOWN;
		struct frame_path *p = &(item->flow & MIX_DOWN ? flows->down : flows->up)[flow_idx];
		uint16_t n = frame_write(p, flow_idx, payload,
					 frame_payload_bytes(p, item->frame_bytes), i);
		struct pcap_record record = {
			.seconds = i / 1000000,
			.microseconds = i % 1000000,
			.captured_bytes = n,
			.frame_bytes = n,
		};

		fwrite(&record, sizeof(record), 1, f);
		fwrite(payload - p->header_bytes, n, 1, f);
	}
	if (ferror(f))
		ret = -EIO;
	if (fclose(f) != 0)
		ret = -errno;
	return ret;
}
