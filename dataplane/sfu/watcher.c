// The transports that this worker sends to: keys, address, rate and extension ids, looked up now and then instead of per packet.
// Worker thread; writes its own fields of the transport's state.
#include "dataplane/contract/wire/ip_udp.h"
#include "dataplane/sfu/pacer.h"
#include "dataplane/sfu/transmission.h"
#include "dataplane/sfu/twcc.h"

#define ETHERNET_BYTES 14
#define VLAN_BYTES     4
#define IPV4_BYTES     20
#define IPV6_BYTES     40
#define UDP_BYTES      8

#define TTL       64
#define PROTO_UDP 17
// Expedited forwarding is not ours to claim: the network's default.
#define TRAFFIC_CLASS 0

// Sequence numbers that a dead predecessor may have used behind what it had stored.
#define TWCC_JUMP 256

// The state's fields that the path is made from stand together.
static_assert(offsetof(struct shm_sfu_transport_state, l2_word) == 32 &&
		      offsetof(struct shm_sfu_transport_state, remote_address) == 8,
	      "copied as one piece");

static void frame_build(struct dp_worker *w, struct dp_sfu_watcher *wt)
{
	const struct shm_sfu_transport_state *s = wt->state;
	uint16_t vlan_id = shm_neighbour_vlan(s->l2_word);
	uint8_t port_idx = shm_neighbour_port(s->l2_word);
	const struct dp_local *local;
	struct ip_address remote;
	uint8_t *p = wt->frame;

	wt->frame_bytes = 0;
	if (s->is_fused || s->remote_port_be == 0 || port_idx >= w->shared->n_ports ||
	    s->local_idx >= w->settings.n_locals)
		return;
	local = &w->settings.local[s->local_idx];
	memcpy(remote.bytes, s->remote_address, sizeof(remote.bytes));
	if (ip_address_is_v4(&remote) != local->is_v4)
		return;
	memset(wt->frame, 0, sizeof(wt->frame));
	shm_neighbour_mac(s->l2_word, p);
	memcpy(p + 6, w->shared->port[port_idx].mac, 6);
	p += 12;
	if (vlan_id != 0) {
		bytes_put_be16(p, 0x8100);
		bytes_put_be16(p + 2, vlan_id);
		p += VLAN_BYTES;
	}
	bytes_put_be16(p, local->is_v4 ? 0x0800 : 0x86dd);
	p += 2;
	wt->l2_bytes = (uint8_t)(p - wt->frame);
	wt->is_v4 = local->is_v4;
	if (local->is_v4) {
		p[0] = 0x45;
		p[1] = TRAFFIC_CLASS;
		p[6] = 0x40; // do not fragment, so that the identification means nothing (RFC 6864 §4.1)
		p[8] = TTL;
		p[9] = PROTO_UDP;
		memcpy(p + 12, ip_address_v4_bytes(&local->address), 4);
		memcpy(p + 16, ip_address_v4_bytes(&remote), 4);
		wt->ip_sum = checksum_add(0, p, IPV4_BYTES);
		wt->udp_sum = checksum_add(0, p + 12, 8);
		p += IPV4_BYTES;
	} else {
		bytes_put_be32(p, 6u << 28 | TRAFFIC_CLASS << 20 |
					  ((uint32_t)(uintptr_t)wt->transport_idx & 0xfffff));
		p[6] = PROTO_UDP;
		p[7] = TTL;
		memcpy(p + 8, local->address.bytes, 16);
		memcpy(p + 24, remote.bytes, 16);
		wt->udp_sum = checksum_add(0, p + 8, 32);
		p += IPV6_BYTES;
	}
	memcpy(p, &s->local_port_be, 2);
	memcpy(p + 2, &s->remote_port_be, 2);
	wt->udp_sum = checksum_add(wt->udp_sum, p, 4) + __builtin_bswap16(PROTO_UDP);
	p += UDP_BYTES;
	wt->port_idx = port_idx;
	wt->mtu_bytes = w->shared->port[port_idx].mtu_bytes;
	wt->frame_bytes = (uint16_t)(p - wt->frame);
}

static void open_as(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt,
		    const struct shm_sfu_transport *t, uint32_t serial)
{
	dp_sfu_watcher_close(x, wt);
	wt->serial = serial;
	wt->state = &x->state->transport[wt->transport_idx];
	wt->map.word[0] = 0;
	wt->map.word[1] = 0;
	memcpy(wt->map.id, t->extension_id, sizeof(wt->map.id));
	wt->map.is_mixed = t->flags & SHM_SFU_TRANSPORT_F_EXTMAP_MIXED ? 1 : 0;
	wt->map.has_twcc = t->flags & SHM_SFU_TRANSPORT_F_TWCC ? 1 : 0;
}

// The first time that we own it with keys: what the state says of it is ours to go on from.
static void adopt(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	wt->twcc_sequence = wt->state->twcc_sequence;
	if (wt->state->tx_pkts > 0)
		wt->twcc_sequence += TWCC_JUMP;
	wt->told_sequence = wt->twcc_sequence;
	wt->is_adopted = 1;
	wt->probe_id = wt->state->probe_id;
	if (wt->map.has_twcc && wt->map.id[SHM_SFU_EXT_TWCC] != 0)
		wt->history = dp_block_pool_take(x->history_blocks);
}

// Keys end when the table has another transport in the place of theirs.
bool dp_sfu_watcher_is_same(const struct dp_sfu_transmission *x, const struct dp_sfu_watcher *wt)
{
	uint32_t serial =
		__atomic_load_n(&x->table->transport[wt->transport_idx].serial, __ATOMIC_ACQUIRE);

	return serial == wt->serial && wt->transport != NULL && wt->transport->tx != NULL &&
	       wt->transport->serial == serial;
}

void dp_sfu_watcher_prefetch_check(const struct dp_sfu_transmission *x,
				   const struct dp_sfu_watcher *wt)
{
	const uint8_t *state = (const uint8_t *)&x->state->transport[wt->transport_idx];

	rte_prefetch0(&x->table->transport[wt->transport_idx]);
	rte_prefetch0(&x->table->transport[wt->transport_idx].pace_bps);
	rte_prefetch0(wt->old_path);
	__builtin_prefetch(state, 1);
	__builtin_prefetch(state + RTE_CACHE_LINE_SIZE, 1);
}

void dp_sfu_watcher_check(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	const struct shm_sfu_transport *t = shm_sfu_transport_get(x->table, wt->transport_idx);
	struct dp_worker *w = x->worker;
	uint32_t serial;

	wt->checked_ns = w->now_ns;
	if (t == NULL) {
		wt->transport = NULL;
		return;
	}
	serial = __atomic_load_n(&t->serial, __ATOMIC_ACQUIRE);
	if (serial != wt->serial) {
		open_as(x, wt, t, serial);
		wt->checked_ns = w->now_ns;
	}
	wt->transport = dp_sfu_transport_get(w, wt->transport_idx);
	if (wt->transport == NULL || wt->transport->tx == NULL) {
		wt->transport = NULL;
		return;
	}
	if (!wt->is_adopted)
		adopt(x, wt);
	wt->tag_bytes = dp_srtp_profile_info(wt->transport->profile)->rtp_tag_bytes;
	wt->pace_bps = __atomic_load_n(&t->pace_bps, __ATOMIC_RELAXED);
	if (memcmp(wt->old_path, wt->state->remote_address, 32) != 0 || wt->frame_bytes == 0) {
		memcpy(wt->old_path, wt->state->remote_address, 32);
		frame_build(w, wt);
	}
	wt->state->twcc_sequence = wt->twcc_sequence;
	wt->state->tx_pkts += wt->tx_pkts;
	wt->state->tx_bytes += wt->tx_bytes;
	wt->tx_pkts = 0;
	wt->tx_bytes = 0;
	dp_sfu_probe_check(x, wt, __atomic_load_n(&t->probe, __ATOMIC_RELAXED));
}

void dp_sfu_watcher_close(struct dp_sfu_transmission *x, struct dp_sfu_watcher *wt)
{
	uint32_t transport_idx = wt->transport_idx;

	if (wt->pacer != NULL)
		dp_sfu_pacer_close(x, wt);
	dp_block_pool_give(x->history_blocks, wt->history);
	*wt = (struct dp_sfu_watcher){ .transport_idx = transport_idx };
}
