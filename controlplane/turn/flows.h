// Flow entries as an allocation needs them: their keys, what stands in them, the lists that chain
// them. Private to turn/. Control plane's loop thread; writes `tables` through table_writer.
#ifndef TP_TURN_FLOWS_H
#define TP_TURN_FLOWS_H

#include "controlplane/turn/allocation.h"
#include "controlplane/turn/server.h"

// How flows name a client: by its 5-tuple, or by its stream (shm_stream_address).
struct turn_path {
	uint8_t address[16];
	uint16_t port_be;
	uint16_t local_port_be;
	uint8_t local_idx;
	uint8_t flags; // SHM_FLOW_F_STREAM or 0
};
struct turn_path turn_path_of_stream_id(uint32_t idx, uint32_t serial);
// In line: a struct that one function writes by bytes and the next reads whole waits for the store buffer, at each of the ten
// look-ups of a ChannelBind.
static inline struct turn_path turn_path_of_request(const struct turn_request *in)
{
	struct turn_path p = {
		.port_be = in->client.port_be,
		.local_port_be = in->local_port_be,
		.local_idx = in->local_idx,
	};

	if (in->transport != SHM_TRANSPORT_UDP)
		return turn_path_of_stream_id(in->stream.idx, in->stream.serial);
	memcpy(p.address, in->client.address.bytes, sizeof(p.address));
	return p;
}

static inline struct turn_path turn_path_of_record(const struct shm_allocation *r)
{
	struct turn_path p = {
		.port_be = r->client_port_be,
		.local_port_be = r->server_port_be,
		.local_idx = r->server_idx,
	};

	if (r->client_transport != SHM_TRANSPORT_UDP)
		return turn_path_of_stream_id(r->stream_idx, r->stream_serial);
	memcpy(p.address, r->client_address, sizeof(p.address));
	return p;
}
// The allocation whose client sends on that path, 0: none.
uint32_t turn_allocation_at(const struct turn_server *s, const struct turn_path *path);
bool turn_path_equal(const struct turn_path *a, const struct turn_path *b);
bool turn_path_of_stream(const struct turn_path *p);

// One of the relayed addresses of an allocation.
struct turn_relay {
	uint8_t local_idx;
	uint16_t port_be;
};
// The one that a peer of that address is reached from: of its family where the allocation has one,
// else the first.
struct turn_relay turn_relay_toward(const struct turn_server *s, uint32_t idx,
				    const struct ip_address *peer);
// When the relayed address that reaches the peer expires.
uint64_t turn_relay_expiry(const struct turn_server *s, uint32_t idx,
			   const struct ip_address *peer);

// An ALLOCATION flow, without expiry and next hop.
struct shm_flow turn_flow_allocation(const struct turn_server *s, uint32_t idx,
				     const struct turn_path *path);
// A CHANNEL flow to a peer, without expiry and next hop.
struct shm_flow turn_flow_channel(const struct turn_server *s, uint32_t idx,
				  const struct turn_path *path, uint16_t channel_be,
				  const struct ip_endpoint *peer);
// A flow from a peer to the client, without expiry and next hops: PERMISSION, or PEER with its port
// and channel still to be set.
struct shm_flow turn_flow_down(const struct turn_server *s, uint32_t idx, uint8_t kind,
			       const struct ip_address *peer);

// Where data for the client goes now: the old path while it is on the move.
struct turn_path turn_path_down(const struct turn_server *s, uint32_t idx);
// The next hop on that path, 0 for a stream.
uint16_t turn_client_neighbour(const struct turn_server *s, uint32_t idx);

// Withdraws an entry, gives its next hops back and keeps what it counted with its allocation.
void turn_flow_withdraw(struct turn_server *s, uint32_t idx, uint32_t entry);
// Puts another flow in the place of an entry of the same key: no packet finds nothing. Takes over
// the references on f's next hops. 0 and the new entry, queued and chained as the old one was;
// -ENOSPC leaves all as it was.
int turn_flow_replace(struct turn_server *s, uint32_t idx, uint32_t entry, const struct shm_flow *f,
		      uint64_t own_expires_at_ns, uint32_t *out_entry);
void turn_flow_set_neighbours(struct turn_server *s, uint32_t entry, uint16_t hop,
			      uint16_t peer_hop);
// Whether n entries can be had without those that allocations up to the maximum will need: channels
// and permissions of some clients must not keep others from allocating.
bool turn_flows_have_room(struct turn_server *s, uint32_t n, uint64_t now_ns);

void turn_list_add(struct turn_server *s, uint32_t *head, uint32_t entry);
void turn_list_remove(struct turn_server *s, uint32_t *head, uint32_t entry);

#endif
