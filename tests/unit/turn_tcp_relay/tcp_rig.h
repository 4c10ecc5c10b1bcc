// TCP relaying without sockets: the test plays them. A control plane by turn_rig.h, and clients on streams.
#ifndef TP_TEST_TCP_RIG_H
#define TP_TEST_TCP_RIG_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/turn/tcp_relay/connections.h"
#include "controlplane/turn/tcp_relay/tcp_relay.h"
#include "tests/unit/controlplane/turn_rig.h"

#define PEER        "192.0.2.77:7000"
#define CONNECTIONS 8
#define PER_CLIENT  4

struct tcp_rig {
	struct rig rig;
	struct turn_tcp_relay *relay;
	uint32_t n_listening;
	struct ip_endpoint listening; // the last one
	int listen_result;
	int connect_result;
	uint32_t connecting; // the last one
	struct ip_endpoint connect_from, connect_to;
	int join_result;
	uint32_t joined; // the last one
	uint32_t joined_stream;
	uint32_t n_closed;
	uint32_t closed; // the last one
	uint32_t n_sent;
	uint32_t sent_stream; // of the last one
	struct rig_answer sent;
};

// `config` NULL: one that allows 192.0.2.0/24.
void open_tcp(struct tcp_rig *t, struct config *config);
void close_tcp(struct tcp_rig *t);
struct rig_client stream_client(uint32_t stream_idx, uint8_t transport, const char *user,
				const char *password);
struct rig_client tcp_client(uint32_t stream_idx);
void begin_allocate(struct rig_request *q, struct rig_client *c);
struct rig_answer allocate_tcp(struct tcp_rig *t, struct rig_client *c);
struct rig_answer ask_connect(struct tcp_rig *t, struct rig_client *c, const char *peer);
struct rig_answer ask_bind(struct tcp_rig *t, struct rig_client *c, uint32_t id);
// Connects to a peer; the CONNECTION-ID.
uint32_t connected(struct tcp_rig *t, struct rig_client *c, const char *peer);

#endif
