// What publishers of the bench's rooms put on the wire. One thread.
#include "bench/sfu/fanout_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/blast/flow_plan.h"
#include "bench/sfu/description.h"
#include "dataplane/contract/wire/bytes.h"

#define HEADERS_BYTES 42 // Ethernet, IPv4, UDP

int fanout_source_open(struct fanout_source *f, const struct rooms *rooms, uint16_t packet_bytes,
		       const uint8_t port_mac[6])
{
	const struct rooms_plan *plan = &rooms->plan;
	struct flow_plan flows = { .n_flows = FLOW_PLAN_FLOWS_MAX };

	f->n_publishers = plan->n_rooms;
	f->next = 0;
	memcpy(f->port_mac, port_mac, 6);
	f->publishers = calloc(plan->n_rooms, sizeof(*f->publishers));
	if (!f->publishers || dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &f->srtp) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->n_rooms; i++) {
		struct fanout_publisher *p = &f->publishers[i];
		struct rtp_source_config c = {
			.is_video = plan->is_video,
			.n_temporal = 1,
			.has_twcc = true,
			.has_audio_level = !plan->is_video,
			.payload_type = plan->is_video ? LOAD_PT_VP8 : LOAD_PT_OPUS,
			.ssrc = rooms_ssrc(i),
			.source = 0, // all are loud at the same time
			.packet_bytes = packet_bytes,
			.frames_per_s = plan->is_video ? 30 : 50,
			.pkts_per_frame = plan->is_video ? 8 : 1,
		};
		uint8_t key[DP_SRTP_KEY_BYTES_MAX];
		uint8_t salt[DP_SRTP_SALT_BYTES_MAX];
		struct flow_addresses a;
		int ret = rtp_source_init(&p->source, &c, 0);

		if (ret < 0)
			return ret;
		flow_plan_addresses(&flows, rooms->publisher[i], &a);
		p->from = a.client;
		f->listener = a.listener;
		rooms_publisher_key(i, key, salt);
		ret = dp_srtp_context_create(f->srtp, plan->profile, key, salt, &p->tx);
		if (ret < 0)
			return ret;
	}
	return 0;
}

// Ethernet, IPv4, UDP without checksum.
static void headers_write(const struct fanout_source *f, const struct fanout_publisher *p,
			  uint32_t udp_bytes, uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	uint8_t *udp = ip + 20;
	uint32_t sum = 0;

	memcpy(frame, f->port_mac, 6);
	memcpy(frame + 6, flow_plan_outside_mac, 6);
	bytes_put_be16(frame + 12, 0x0800);
	memset(ip, 0, 28);
	ip[0] = 0x45;
	bytes_put_be16(ip + 2, (uint16_t)(28 + udp_bytes));
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, p->from.address.bytes + 12, 4);
	memcpy(ip + 16, f->listener.address.bytes + 12, 4);
	for (uint32_t i = 0; i < 20; i += 2)
		sum += bytes_get_be16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	bytes_put_be16(ip + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
	memcpy(udp, &p->from.port_be, 2);
	memcpy(udp + 2, &f->listener.port_be, 2);
	bytes_put_be16(udp + 4, (uint16_t)(8 + udp_bytes));
}

uint16_t fanout_source_frame(struct fanout_source *f, uint8_t frame[FANOUT_FRAME_BYTES])
{
	struct fanout_publisher *p = &f->publishers[f->next];
	uint8_t *packet = frame + HEADERS_BYTES;
	struct dp_srtp_protect job = { .context = p->tx,
				       .packet = packet,
				       .room_bytes = FANOUT_FRAME_BYTES - HEADERS_BYTES };
	uint32_t n = rtp_source_write(&p->source, 1000, p->twcc++, packet, &job.header_bytes,
				      &job.index);

	job.payload = packet + job.header_bytes;
	job.payload_bytes = (uint16_t)(n - job.header_bytes);
	if (dp_srtp_protect_burst(&job, 1) != 1)
		return 0;
	headers_write(f, p, job.protected_bytes, frame);
	// With one publisher a burst is part of a frame; many publishers come in turn.
	f->next = (f->next + 1) % f->n_publishers;
	return (uint16_t)(HEADERS_BYTES + job.protected_bytes);
}
