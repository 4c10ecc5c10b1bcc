// The rig of the transmission tests: memory, entries, doubles.
#include "tests/burst/sfu_tx/rig.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/contract/wire/bytes.h"
#include "dataplane/sfu/index_check.h"

struct rig rig;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "rig: %s\n", what);
	abort();
}

// ---- doubles of the reception half and of the ports

struct dp_sfu_transport *dp_sfu_transport_get(struct dp_worker *w, uint32_t transport_idx)
{
	struct dp_sfu_transport *t = &rig.keys[transport_idx];

	return t->serial != 0 && t->serial == rig.transport[transport_idx].serial ? t : NULL;
}

static void keep(struct rte_mbuf *m)
{
	rig.n_pushed++;
	if (!rig.options.is_bench && rig.n_frames < RIG_FRAMES_MAX) {
		struct rig_frame *f = &rig.frame[rig.n_frames++];

		f->n_bytes = m->pkt_len;
		must(f->n_bytes <= sizeof(f->bytes), "frame too long");
		memcpy(f->bytes, rte_pktmbuf_mtod(m, void *), f->n_bytes);
	}
}

void dp_tx_flush_port(struct dp_worker *w, uint32_t port_idx)
{
	struct dp_tx *tx = &w->tx[port_idx];

	for (uint32_t i = 0; i < tx->count; i++)
		keep(tx->mbuf[i]);
	rte_pktmbuf_free_bulk(tx->mbuf, tx->count);
	tx->count = 0;
}

void dp_tx_flush(struct dp_worker *w)
{
	dp_tx_flush_port(w, 0);
}

void dp_sfu_send(struct dp_worker *w, uint32_t transport_idx, struct rte_mbuf *m)
{
	keep(m);
	rte_pktmbuf_free(m);
}

bool dp_sfu_send_rtcp(struct dp_worker *w, uint32_t transport_idx, const uint8_t *packet,
		      uint32_t packet_bytes)
{
	uint32_t i = rig.n_rtcp++ % 64;

	must(packet_bytes <= sizeof(rig.rtcp[0]), "RTCP too long");
	memcpy(rig.rtcp[i], packet, packet_bytes);
	rig.rtcp_bytes[i] = packet_bytes;
	return true;
}

void dp_sfu_request_keyframe(struct dp_worker *w, uint32_t track_idx, uint32_t layer)
{
	rig.n_keyframes_asked++;
	rig.asked_track = track_idx;
	rig.asked_layer = layer;
}

void dp_punt_wake(struct dp_worker *w)
{
}

// ---- memory

static void eal_start(void)
{
	char *argv[] = { (char *)"rig",
			 (char *)(rig.options.has_hugepages ? "--in-memory" : "--no-huge"),
			 (char *)"--no-pci",
			 (char *)"--no-shconf",
			 (char *)"-m",
			 (char *)"256",
			 (char *)"-l",
			 (char *)"0",
			 (char *)"--no-telemetry",
			 (char *)"--iova-mode=va",
			 (char *)"--log-level=*:error",
			 NULL };

	// In memory alone there is no shared configuration to leave out.
	if (rig.options.has_hugepages)
		argv[3] = (char *)"--single-file-segments";
	must(rte_eal_init((int)RTE_DIM(argv) - 1, argv) >= 0, "EAL does not start");
}

static void *zeroed(size_t n_bytes)
{
	void *p = aligned_alloc(128, (n_bytes + 127) & ~(size_t)127);

	must(p != NULL, "no memory");
	memset(p, 0, (n_bytes + 127) & ~(size_t)127);
	return p;
}

static void tables_create(const struct rig_options *o)
{
	struct shm_sfu placement = { 0 };
	struct shm_sfu_state state_placement = { 0 };
	size_t n = shm_sfu_size(o->n_transports, o->n_tracks, o->n_subscriptions,
				o->n_subscriptions * 4, &placement);
	size_t n_state = shm_sfu_state_size(o->n_transports, o->n_tracks, o->n_subscriptions,
					    &state_placement);
	uint8_t *base = zeroed(n);
	uint8_t *state = zeroed(n_state);

	memcpy(base, &placement, sizeof(placement));
	memcpy(state, &state_placement, sizeof(state_placement));
	rig.table = (struct shm_sfu *)(void *)base;
	rig.table->retransmit_ms = (uint16_t)o->retransmit_ms;
	must(shm_sfu_view_init(&rig.sfu->table, base, n) == 0, "table view");
	must(shm_sfu_state_view_init(&rig.sfu->state, state, n_state, &rig.sfu->table) == 0,
	     "state view");
	rig.transport = (void *)(uintptr_t)rig.sfu->table.transport;
	rig.track = (void *)(uintptr_t)rig.sfu->table.track;
	rig.subscription = (void *)(uintptr_t)rig.sfu->table.subscription;
	rig.fanout = (void *)(uintptr_t)rig.sfu->table.fanout;
	rig.transport_state = rig.sfu->state.transport;
	rig.ingress = rig.sfu->state.ingress;
	rig.egress = rig.sfu->state.egress;
}

static void worker_start(void)
{
	must(dp_sfu_transmit_create(rig.w) == 0, "transmit_create");
	if (!rig.options.is_bench)
		rig.w->sfu_tx->check = dp_sfu_index_check_create(16);
}

static void worker_stop(void)
{
	dp_sfu_index_check_destroy(rig.w->sfu_tx->check);
	dp_sfu_transmit_destroy(rig.w);
}

void rig_init(const struct rig_options *o)
{
	static const uint8_t v4[] = { 198, 51, 100, 1 };

	rig.options = *o;
	eal_start();
	rig.w = zeroed(sizeof(*rig.w));
	rig.shared = zeroed(sizeof(*rig.shared));
	rig.sfu = zeroed(sizeof(*rig.sfu));
	rig.keys = zeroed(o->n_transports * sizeof(*rig.keys));
	rig.frame = o->is_bench ? NULL : zeroed(RIG_FRAMES_MAX * sizeof(*rig.frame));
	tables_create(o);
	rig.shared->sfu = rig.sfu;
	rig.shared->n_ports = 1;
	rig.shared->n_workers = 1;
	rig.shared->wake_fd = -1;
	rig.shared->port[0].mtu_bytes = 1500;
	memcpy(rig.shared->port[0].mac, "\x02\0\0\0\0\x01", 6);
	rig.sfu->media_mbufs = o->media_mbufs;
	rig.shared->pool = rte_pktmbuf_pool_create("packets", 16383, 256, 0,
						   RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	rig.media_pool = rte_pktmbuf_pool_create("media", 8191, 64, DP_SFU_MEDIA_BYTES,
						 RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	must(rig.shared->pool != NULL && rig.media_pool != NULL, "no pools");
	rig.w->shared = rig.shared;
	rig.w->now_ns = UINT64_C(1000000000000);
	rig.w->settings.n_locals = 1;
	rig.w->settings.local[0].is_v4 = 1;
	rig.w->settings.local[0].address = ip_address_from_v4(v4);
	rig.w->punt = zeroed(SHM_RING_BYTES);
	must(dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &rig.srtp) == 0, "srtp");
	worker_start();
}

void rig_fini(void)
{
	worker_stop();
	dp_tx_flush(rig.w);
	for (uint32_t i = 0; i < rig.options.n_transports; i++)
		dp_srtp_context_destroy(rig.keys[i].tx);
	dp_srtp_close(rig.srtp);
}

void rig_restart(void)
{
	worker_stop();
	worker_start();
}

// ---- entries

void rig_key(uint32_t transport_idx, uint32_t generation, uint8_t key[32], uint8_t salt[14])
{
	for (uint32_t i = 0; i < 32; i++)
		key[i] = (uint8_t)(i * 7 + transport_idx * 13 + (transport_idx >> 8) +
				   generation * 31);
	for (uint32_t i = 0; i < 14; i++)
		salt[i] = (uint8_t)(i * 3 + transport_idx * 5 + generation);
}

static void key_install(uint32_t idx, uint32_t profile, uint32_t generation)
{
	struct dp_sfu_transport *t = &rig.keys[idx];
	uint8_t key[32];
	uint8_t salt[14];

	rig_key(idx, generation, key, salt);
	dp_srtp_context_destroy(t->tx);
	must(dp_srtp_context_create(rig.srtp, profile, key, salt, &t->tx) == 0, "context");
	t->profile = profile;
	t->srtp_generation = generation;
}

void rig_transport(uint32_t idx, uint32_t profile)
{
	struct shm_sfu_transport *t = &rig.transport[idx];
	struct shm_sfu_transport_state *s = &rig.transport_state[idx];
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 2 };
	uint8_t v4[] = { 192, 0, 2, (uint8_t)idx };
	struct ip_address remote;

	memset(t, 0, sizeof(*t));
	memset(s, 0, sizeof(*s));
	t->flags = SHM_SFU_TRANSPORT_F_WATCHES | SHM_SFU_TRANSPORT_F_TWCC |
		   SHM_SFU_TRANSPORT_F_EXTMAP_MIXED;
	t->extension_id[SHM_SFU_EXT_MID] = 4;
	t->extension_id[SHM_SFU_EXT_ABS_SEND_TIME] = 2;
	t->extension_id[SHM_SFU_EXT_TWCC] = 3;
	t->extension_id[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] = 12;
	t->rtcp_ssrc = 0x7000 + idx;
	v4[2] = (uint8_t)(idx >> 8);
	remote = ip_address_from_v4(v4);
	memcpy(s->remote_address, remote.bytes, 16);
	s->remote_port_be = __builtin_bswap16((uint16_t)(40000 + idx % 20000));
	s->local_port_be = __builtin_bswap16(3478);
	s->l2_word = shm_neighbour_word(mac, 0, 0);
	s->phase = SHM_SFU_NOMINATED;
	s->owner = 1;
	s->serial = ++rig.last_serial;
	t->serial = rig.last_serial;
	rig.keys[idx].serial = rig.last_serial;
	key_install(idx, profile, 1);
}

void rig_rekey(uint32_t idx)
{
	key_install(idx, rig.keys[idx].profile, rig.keys[idx].srtp_generation + 1);
}

void rig_track(uint32_t idx, uint8_t kind, uint8_t codec, uint8_t n_layers)
{
	struct shm_sfu_track *t = &rig.track[idx];

	memset(t, 0, sizeof(*t));
	t->transport_idx = 1;
	t->kind = kind;
	t->codec = codec;
	t->clock_hz = kind == SHM_SFU_VIDEO ? 90000 : 48000;
	t->n_layers = n_layers;
	t->serial = ++rig.last_serial;
	for (uint32_t i = 0; i < n_layers; i++)
		rig.ingress[shm_sfu_ingress_idx(idx, i)].serial = t->serial;
}

void rig_subscription(uint32_t idx, uint32_t transport_idx, uint32_t track_idx)
{
	struct shm_sfu_subscription *s = &rig.subscription[idx];

	memset(s, 0, sizeof(*s));
	s->transport_idx = transport_idx;
	s->track_idx = track_idx;
	s->ssrc = 0x10000 + idx;
	s->target = SHM_SFU_TARGET_ALL;
	s->kind = rig.track[track_idx].kind;
	memset(s->payload_type, 0xff, sizeof(s->payload_type));
	memset(s->rtx_payload_type, 0xff, sizeof(s->rtx_payload_type));
	s->payload_type[rig.track[track_idx].codec] = 100;
	if (s->kind == SHM_SFU_VIDEO) {
		s->rtx_ssrc = 0x20000 + idx;
		s->has_nack = 1;
		s->rtx_payload_type[rig.track[track_idx].codec] = 101;
	}
	s->mid_bytes = 1;
	s->mid[0] = (char)('0' + idx % 10);
	s->serial = ++rig.last_serial;
}

void rig_list(uint32_t track_idx, const uint32_t *subscriptions, uint32_t n)
{
	must(rig.n_fanout_used + n <= rig.sfu->table.n_fanout, "no room for lists");
	memcpy(rig.fanout + rig.n_fanout_used, subscriptions, n * sizeof(*subscriptions));
	rig.track[track_idx].list[0] = shm_sfu_list_word(rig.n_fanout_used, n);
	rig.n_fanout_used += n;
}

// ---- packets

struct rte_mbuf *rig_media(const struct rig_packet *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.media_pool);
	struct dp_sfu_media *media;
	uint32_t header_bytes = 12;
	uint8_t *packet;

	must(m != NULL, "no media buffer");
	packet = rte_pktmbuf_mtod(m, uint8_t *);
	memset(packet, 0, 12);
	packet[0] = 0x80;
	packet[1] = 96;
	bytes_put_be16(packet + 2, (uint16_t)p->sequence);
	bytes_put_be32(packet + 4, p->timestamp);
	bytes_put_be32(packet + 8, 0x999);
	media = dp_sfu_media(m);
	*media = (struct dp_sfu_media){
		.sequence = p->sequence,
		.arrived_ns = rig.w->now_ns,
		.track_idx = p->track_idx,
		.track_serial = rig.track[p->track_idx].serial,
		.timestamp = p->timestamp,
		.ssrc = 0x999,
		.payload_bytes = p->payload_bytes,
		.layer = p->layer,
		.spatial = p->spatial,
		.temporal = p->temporal,
		.flags = p->flags,
		.codec = rig.track[p->track_idx].codec,
		.kind = rig.track[p->track_idx].kind,
	};
	if (p->dependency != NULL) { // two-byte form, id 9
		uint32_t n = (2u + p->dependency_bytes + 3) & ~3u;

		packet[0] |= 0x10;
		bytes_put_be16(packet + 12, 0x1000);
		bytes_put_be16(packet + 14, (uint16_t)(n / 4));
		memset(packet + 16, 0, n);
		packet[16] = 9;
		packet[17] = p->dependency_bytes;
		memcpy(packet + 18, p->dependency, p->dependency_bytes);
		media->extension_offset[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] = 18;
		media->extension_bytes[SHM_SFU_EXT_DEPENDENCY_DESCRIPTOR] = p->dependency_bytes;
		header_bytes += 4 + n;
	}
	media->header_bytes = (uint16_t)header_bytes;
	memcpy(packet + header_bytes, p->payload, p->payload_bytes);
	m->data_len = (uint16_t)(header_bytes + p->payload_bytes);
	m->pkt_len = m->data_len;
	return m;
}

void rig_forward(const struct rig_packet *p)
{
	struct rte_mbuf *m = rig_media(p);

	dp_sfu_forward_burst(rig.w, &m, 1);
	rte_pktmbuf_free(m);
	dp_tx_flush(rig.w);
}

void rig_advance_ns(uint64_t ns)
{
	rig.w->now_ns += ns;
	rig.w->wake_by_ns = UINT64_MAX;
	dp_sfu_transmit_poll(rig.w);
	dp_tx_flush(rig.w);
}
