// Rooms of a bench instance, written into its tables as if everybody had joined: publishers and
// watchers with keys, addresses and fan-out lists. For benches of
// the worker without control plane, clients and wire. One thread; before the dataplane's part of
// the process starts.
#ifndef TP_BENCH_SFU_ROOMS_H
#define TP_BENCH_SFU_ROOMS_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/table_writer_sfu.h"
#include "dataplane/srtp/profile.h"

struct rooms_plan {
	uint32_t n_rooms;    // one publisher each
	uint32_t n_watchers; // of each
	uint32_t
		n_workers; // that share them: the last ones are the last worker's; publishers are the first's
	uint32_t profile; // enum dp_srtp_profile
	bool is_video;    // VP8; else opus
};

struct rooms {
	struct rooms_plan plan;
	struct table_writer writer;
	uint32_t *publisher; // transport index of each room
	uint32_t *track;
	uint32_t *subscription; // n_watchers of each room
};

// Creates the instance's tables and fills them. 0, or -errno after a sentence on stderr.
int rooms_write(struct rooms *r, const struct rooms_plan *plan, const struct config *config);
// What a worker would know of clients that have been connected for a while. `state` is mapped
// writable.
void rooms_settle(const struct rooms *r, const struct shm_sfu_state_view *state);
void rooms_close(struct rooms *r);

// Master key and salt of what a publisher sends.
void rooms_publisher_key(uint32_t room, uint8_t key[DP_SRTP_KEY_BYTES_MAX],
			 uint8_t salt[DP_SRTP_SALT_BYTES_MAX]);
uint32_t rooms_ssrc(uint32_t room);

#endif
