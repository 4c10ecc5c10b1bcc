// Rooms without anybody in them. One thread.
#include "bench/sfu/rooms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/blast/flow_plan.h"
#include "bench/sfu/description.h"
#include "dataplane/contract/shm/neighbour_table.h"
#include "dataplane/contract/wire/bytes.h"

#define SSRC_BASE 0x01000000u

uint32_t rooms_ssrc(uint32_t room)
{
	return SSRC_BASE + room;
}

// Keys differ by transport and direction, and are no secret.
static void key_make(uint32_t transport, uint8_t direction, uint8_t key[DP_SRTP_KEY_BYTES_MAX],
		     uint8_t salt[DP_SRTP_SALT_BYTES_MAX])
{
	for (uint32_t i = 0; i < DP_SRTP_KEY_BYTES_MAX; i++)
		key[i] = (uint8_t)(transport * 31 + (transport >> 8) * 7 + i * 13 + direction);
	for (uint32_t i = 0; i < DP_SRTP_SALT_BYTES_MAX; i++)
		salt[i] = (uint8_t)(transport * 17 + i * 29 + direction);
}

void rooms_publisher_key(uint32_t room, uint8_t key[DP_SRTP_KEY_BYTES_MAX],
			 uint8_t salt[DP_SRTP_SALT_BYTES_MAX])
{
	key_make(room, 1, key, salt);
}

static uint32_t transport_add(struct rooms *r, uint32_t flags)
{
	struct shm_sfu_transport t = { .flags = flags | SHM_SFU_TRANSPORT_F_RTCP_RSIZE |
						SHM_SFU_TRANSPORT_F_TWCC,
				       .rtcp_ssrc = 1 };
	uint32_t idx = table_writer_transport_reserve(&r->writer);

	if (idx == 0)
		return 0;
	t.ufrag_bytes = (uint8_t)snprintf(t.ufrag, sizeof(t.ufrag), "bench%08x", idx);
	t.extension_id[SHM_SFU_EXT_MID] = LOAD_EXT_MID;
	t.extension_id[SHM_SFU_EXT_TWCC] = LOAD_EXT_TWCC;
	t.extension_id[SHM_SFU_EXT_AUDIO_LEVEL] = LOAD_EXT_AUDIO_LEVEL;
	table_writer_transport_publish(&r->writer, idx, &t, "passwordOfTheBench012345");
	return idx;
}

static void keys_set(struct rooms *r, uint32_t transport_idx, uint32_t room)
{
	const struct dp_srtp_profile_info *info = dp_srtp_profile_info(r->plan.profile);
	uint8_t rx_key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t rx_salt[DP_SRTP_SALT_BYTES_MAX];
	uint8_t tx_key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t tx_salt[DP_SRTP_SALT_BYTES_MAX];
	struct table_writer_srtp keys = { .profile = r->plan.profile,
					  .rx_key = rx_key,
					  .tx_key = tx_key,
					  .rx_salt = rx_salt,
					  .tx_salt = tx_salt,
					  .key_bytes = info->key_bytes,
					  .salt_bytes = info->salt_bytes };

	rooms_publisher_key(room, rx_key, rx_salt);
	key_make(transport_idx, 2, tx_key, tx_salt);
	table_writer_srtp_set(&r->writer, transport_idx, &keys);
}

static int publisher_add(struct rooms *r, uint32_t room)
{
	struct shm_sfu_track t = {
		.kind = r->plan.is_video ? SHM_SFU_VIDEO : SHM_SFU_AUDIO,
		.codec = r->plan.is_video ? SHM_SFU_VP8 : SHM_SFU_OPUS,
		.payload_type = r->plan.is_video ? LOAD_PT_VP8 : LOAD_PT_OPUS,
		.clock_hz = r->plan.is_video ? 90000 : 48000,
		.n_layers = 1,
		.has_nack = 1,
		.has_pli = 1,
	};

	r->publisher[room] = transport_add(r, SHM_SFU_TRANSPORT_F_PUBLISHES);
	r->track[room] = table_writer_track_reserve(&r->writer);
	if (r->publisher[room] == 0 || r->track[room] == 0)
		return -ENOSPC;
	t.transport_idx = r->publisher[room];
	t.layer[0].ssrc = rooms_ssrc(room);
	memcpy(t.mid, r->plan.is_video ? LOAD_MID_VIDEO : LOAD_MID_AUDIO, 1);
	table_writer_track_publish(&r->writer, r->track[room], &t);
	r->writer.sfu->transport[r->publisher[room]].first_track = r->track[room];
	keys_set(r, r->publisher[room], room);
	return 0;
}

static int watcher_add(struct rooms *r, uint32_t room, uint32_t watcher)
{
	uint32_t transport_idx = transport_add(r, SHM_SFU_TRANSPORT_F_WATCHES);
	uint32_t idx = table_writer_subscription_reserve(&r->writer);
	struct shm_sfu_subscription s = {
		.transport_idx = transport_idx,
		.track_idx = r->track[room],
		.ssrc = 0x40000000u + idx,
		.rtx_ssrc = r->plan.is_video ? 0x50000000u + idx : 0,
		.target = SHM_SFU_TARGET_ALL,
		.kind = r->plan.is_video ? SHM_SFU_VIDEO : SHM_SFU_AUDIO,
		.has_nack = r->plan.is_video,
		.mid_bytes = 1,
	};

	if (transport_idx == 0 || idx == 0)
		return -ENOSPC;
	memset(s.payload_type, 0xff, sizeof(s.payload_type));
	memset(s.rtx_payload_type, 0xff, sizeof(s.rtx_payload_type));
	s.payload_type[SHM_SFU_OPUS] = LOAD_PT_OPUS;
	s.payload_type[SHM_SFU_VP8] = LOAD_PT_VP8;
	s.rtx_payload_type[SHM_SFU_VP8] = LOAD_PT_RTX;
	memcpy(s.mid, r->plan.is_video ? LOAD_MID_VIDEO : LOAD_MID_AUDIO, 1);
	table_writer_subscription_publish(&r->writer, idx, &s);
	r->writer.sfu->transport[transport_idx].first_subscription = idx;
	keys_set(r, transport_idx, room);
	r->subscription[room * r->plan.n_watchers + watcher] = idx;
	return 0;
}

// The first watcher of a room that is a worker's.
static uint32_t first_of_worker(const struct rooms_plan *plan, uint32_t worker_idx)
{
	return plan->n_watchers * worker_idx / plan->n_workers;
}

int rooms_write(struct rooms *r, const struct rooms_plan *plan, const struct config *config)
{
	char error[TABLE_WRITER_ERROR_BYTES];
	int ret;

	memset(r, 0, sizeof(*r));
	r->plan = *plan;
	r->publisher = calloc(plan->n_rooms, sizeof(*r->publisher));
	r->track = calloc(plan->n_rooms, sizeof(*r->track));
	r->subscription =
		calloc((size_t)plan->n_rooms * plan->n_watchers, sizeof(*r->subscription));
	if (!r->publisher || !r->track || !r->subscription)
		return -ENOMEM;
	ret = table_writer_open(&r->writer, config, error, sizeof(error));
	if (ret < 0) {
		fprintf(stderr, "rooms: %s\n", error);
		return ret;
	}
	for (uint32_t room = 0; room < plan->n_rooms && ret == 0; room++) {
		ret = publisher_add(r, room);
		for (uint32_t w = 0; w < plan->n_watchers && ret == 0; w++)
			ret = watcher_add(r, room, w);
		for (uint32_t i = 0; i < plan->n_workers && ret == 0; i++) {
			uint32_t first = first_of_worker(plan, i);

			ret = table_writer_list_set(&r->writer, r->track[room], i,
						    r->subscription + room * plan->n_watchers +
							    first,
						    first_of_worker(plan, i + 1) - first);
		}
	}
	if (ret < 0)
		fprintf(stderr, "rooms: the tables are full; raise sfu.max_sessions\n");
	return ret;
}

static void client_settle(const struct rooms *r, const struct shm_sfu_state_view *state,
			  uint32_t idx, uint32_t worker_idx)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->writer);
	struct flow_plan plan = { .n_flows = FLOW_PLAN_FLOWS_MAX };
	struct shm_sfu_transport_state *st = &state->transport[idx];
	struct flow_addresses a;

	flow_plan_addresses(&plan, idx, &a);
	memcpy(st->remote_address, a.client.address.bytes, 16);
	st->remote_port_be = a.client.port_be;
	st->local_port_be = a.listener.port_be;
	st->local_idx = (uint8_t)table_writer_local_find(&r->writer, &a.listener.address);
	st->l2_word = shm_neighbour_word(flow_plan_outside_mac, 0, 0);
	st->phase = SHM_SFU_NOMINATED;
	st->srtp_generation = table_writer_srtp_generation(&r->writer, idx);
	st->owner = worker_idx + 1;
	__atomic_store_n(&st->serial, v->transport[idx].serial, __ATOMIC_RELEASE);
}

static uint32_t worker_of(const struct rooms_plan *plan, uint32_t watcher)
{
	uint32_t i = 0;

	while (watcher >= first_of_worker(plan, i + 1))
		i++;
	return i;
}

void rooms_settle(const struct rooms *r, const struct shm_sfu_state_view *state)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->writer);

	for (uint32_t room = 0; room < r->plan.n_rooms; room++)
		client_settle(r, state, r->publisher[room], 0);
	for (uint32_t i = 0; i < r->plan.n_rooms * r->plan.n_watchers; i++) {
		uint32_t idx = r->subscription[i];
		uint32_t transport_idx = v->subscription[idx].transport_idx;
		struct shm_sfu_egress_state *e = &state->egress[idx];

		client_settle(r, state, transport_idx, worker_of(&r->plan, i % r->plan.n_watchers));
		e->next_index = 1;
		e->next_rtx_index = 1;
		e->spatial = 0xff;
		// A receiver report came long ago, so the MID is sent no more.
		e->is_acknowledged = 1;
		e->srtp_generation = table_writer_srtp_generation(&r->writer, transport_idx);
		__atomic_store_n(&e->serial, v->subscription[idx].serial, __ATOMIC_RELEASE);
	}
}

void rooms_close(struct rooms *r)
{
	table_writer_close(&r->writer);
	free(r->publisher);
	free(r->track);
	free(r->subscription);
}
