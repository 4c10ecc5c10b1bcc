// The way to a client: Ethernet, IP and UDP headers that are ready but for what depends on the packet. Worker thread.
#ifndef TP_DP_SFU_PATH_H
#define TP_DP_SFU_PATH_H

#include "dataplane/sfu/sfu.h"

struct dp_sfu_path {
	uint8_t header[DP_SFU_HEADER_ROOM];
	uint32_t settings_version; // that it was built under
	uint32_t ip_sum;           // of the IPv4 header without length, identification and checksum
	uint32_t udp_sum;          // of pseudo and UDP header without lengths and checksum
	uint16_t mtu_bytes;
	uint8_t header_bytes; // 0: to be built
	uint8_t l2_bytes;
	uint8_t is_v4;
	uint8_t port_idx;
	uint8_t is_fused; // the client comes through a relayed address of ours
	uint8_t reserved[37];
};
static_assert(sizeof(struct dp_sfu_path) == 2 * RTE_CACHE_LINE_SIZE, "two lines");

// From where the client was seen last. False when that is nowhere or has no way out.
bool dp_sfu_path_build(const struct dp_worker *w, const struct shm_sfu_transport_state *st,
		       struct dp_sfu_path *path);
// Writes the headers in front of a UDP payload, checksums included, at `frame`, header_bytes before it.
void dp_sfu_path_write(const struct dp_sfu_path *path, uint8_t *frame, uint32_t payload_bytes,
		       uint16_t ip_id);

#endif
