// Built when a client moves, copied for each packet. Worker thread; writes only what it is given.
#include "dataplane/sfu/path.h"

#include "dataplane/contract/shm/neighbour_table.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/ip_udp.h"

#define L2_BYTES   14
#define VLAN_BYTES 4
#define V4_BYTES   20
#define V6_BYTES   40
#define UDP_BYTES  8
#define PROTO_UDP  17
#define TTL        64
static_assert(L2_BYTES + VLAN_BYTES + V6_BYTES + UDP_BYTES <= DP_SFU_HEADER_ROOM, "headers fit");

static uint8_t *write_l2(uint8_t *p, uint64_t l2_word, const uint8_t source_mac[6], bool is_v4)
{
	uint16_t vlan_id = shm_neighbour_vlan(l2_word);

	shm_neighbour_mac(l2_word, p);
	memcpy(p + 6, source_mac, 6);
	p += 12;
	if (vlan_id != 0) {
		bytes_put_be16(p, 0x8100);
		bytes_put_be16(p + 2, vlan_id);
		p += VLAN_BYTES;
	}
	bytes_put_be16(p, is_v4 ? 0x0800 : 0x86dd);
	return p + 2;
}

static uint8_t *write_v4(uint8_t *p, const struct ip_address *source,
			 const struct ip_address *destination, uint32_t *sum)
{
	memset(p, 0, V4_BYTES);
	p[0] = 0x45;
	p[8] = TTL;
	p[9] = PROTO_UDP;
	memcpy(p + 12, ip_address_v4_bytes(source), 4);
	memcpy(p + 16, ip_address_v4_bytes(destination), 4);
	*sum = checksum_add(0, p, V4_BYTES);
	return p + V4_BYTES;
}

static uint8_t *write_v6(uint8_t *p, const struct ip_address *source,
			 const struct ip_address *destination)
{
	memset(p, 0, 8);
	p[0] = 0x60;
	p[6] = PROTO_UDP;
	p[7] = TTL;
	memcpy(p + 8, source->bytes, 16);
	memcpy(p + 24, destination->bytes, 16);
	return p + V6_BYTES;
}

bool dp_sfu_path_build(const struct dp_worker *w, const struct shm_sfu_transport_state *st,
		       struct dp_sfu_path *path)
{
	uint64_t l2_word = __atomic_load_n(&st->l2_word, __ATOMIC_RELAXED);
	uint8_t local_idx = __atomic_load_n(&st->local_idx, __ATOMIC_RELAXED);
	uint32_t port_idx = shm_neighbour_port(l2_word);
	const struct dp_local *local;
	struct ip_address remote;
	uint8_t *p;

	path->header_bytes = 0;
	memcpy(remote.bytes, st->remote_address, sizeof(remote.bytes));
	if (st->remote_port_be == 0 || l2_word >> 16 == 0 || local_idx >= w->settings.n_locals ||
	    port_idx >= w->shared->n_ports)
		return false;
	local = &w->settings.local[local_idx];
	if (ip_address_is_v4(&remote) != (local->is_v4 != 0))
		return false;
	path->is_v4 = local->is_v4;
	path->is_fused = st->is_fused != 0;
	path->port_idx = (uint8_t)port_idx;
	path->mtu_bytes = w->shared->port[port_idx].mtu_bytes;
	path->settings_version = w->settings.version;
	p = write_l2(path->header, l2_word, w->shared->port[port_idx].mac, path->is_v4);
	path->l2_bytes = (uint8_t)(p - path->header);
	if (path->is_v4)
		p = write_v4(p, &local->address, &remote, &path->ip_sum);
	else
		p = write_v6(p, &local->address, &remote);
	memcpy(p, &st->local_port_be, 2);
	memcpy(p + 2, &st->remote_port_be, 2);
	memset(p + 4, 0, 4);
	path->udp_sum = checksum_add(__builtin_bswap16(PROTO_UDP), p, UDP_BYTES);
	path->udp_sum = checksum_add(path->udp_sum, local->address.bytes, 16);
	path->udp_sum = checksum_add(path->udp_sum, remote.bytes, 16);
	path->header_bytes = (uint8_t)(p + UDP_BYTES - path->header);
	return true;
}

void dp_sfu_path_write(const struct dp_sfu_path *path, uint8_t *frame, uint32_t payload_bytes,
		       uint16_t ip_id)
{
	uint32_t udp_bytes = UDP_BYTES + payload_bytes;
	uint16_t length_be = __builtin_bswap16((uint16_t)udp_bytes);
	uint8_t *udp = frame + path->header_bytes - UDP_BYTES;
	uint16_t checksum;
	uint32_t sum;

	memcpy(frame, path->header, path->header_bytes);
	if (path->is_v4) {
		uint8_t *ip = udp - V4_BYTES;
		uint16_t total_be = __builtin_bswap16((uint16_t)(V4_BYTES + udp_bytes));

		memcpy(ip + 2, &total_be, 2);
		memcpy(ip + 4, &ip_id, 2);
		checksum = (uint16_t)~checksum_fold(path->ip_sum + total_be + ip_id);
		memcpy(ip + 10, &checksum, 2);
	} else {
		memcpy(udp - V6_BYTES + 4, &length_be, 2);
	}
	memcpy(udp + 4, &length_be, 2);
	// The length counts twice: in the pseudo header and in the header.
	sum = checksum_add(path->udp_sum + 2u * length_be, udp + UDP_BYTES, payload_bytes);
	checksum = (uint16_t)~checksum_fold(sum);
	if (checksum == 0)
		checksum = 0xffff;
	memcpy(udp + 6, &checksum, 2);
}
