// The sockets of the socket-side load client: one per client, one per peer, and what passes through them. One thread.
#ifndef TP_BENCH_SOCKET_FLOWS_H
#define TP_BENCH_SOCKET_FLOWS_H

#include "bench/blast/frame.h"
#include "bench/blast/histogram.h"
#include "bench/blast/tally.h"
#include "bench/blast/turn_client.h"

#define SOCKET_BATCH 32

struct socket_flow {
	int client_fd;        // connected to the listener
	int peer_fd;          // connected to the relayed address
	struct frame_path up; // only the sequence state is used
	struct frame_path down;
	struct ip_endpoint client;
	struct ip_endpoint peer;
	uint16_t channel;
};

struct socket_flows {
	uint32_t n;
	struct socket_flow *flow;
	struct ip_endpoint listener;
	struct turn_client *turn;
	struct tally tally;
	uint16_t payload_bytes;
	int epoll_fd;
};

// Opens 2n sockets on the two local addresses. 0 or -errno, with one line on stderr.
int socket_flows_open(struct socket_flows *s, const struct ip_address *client,
		      const struct ip_address *peer);
void socket_flows_close(struct socket_flows *s);
// Connects flow i's peer to its relayed address.
int socket_flows_connect_peer(struct socket_flows *s, uint32_t i,
			      const struct ip_endpoint *relayed);
// Sends a batch on flow i; returns how many the kernel took.
uint32_t socket_flows_send(struct socket_flows *s, uint32_t i, bool is_down, uint32_t n,
			   uint64_t now_ns);
// Receives what waits anywhere, at most a batch per socket; waits up to wait_ms. STUN goes to the TURN clients. Returns how many.
uint32_t socket_flows_receive(struct socket_flows *s, int wait_ms);
uint64_t socket_flows_now_ns(void);

#endif
