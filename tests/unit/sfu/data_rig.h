// Peers with data channels, back to back in memory: each end of a link is a peer of ours, packets wait in
// queues, may be lost, and time passes by ticks.
#ifndef TP_TESTS_DATA_RIG_H
#define TP_TESTS_DATA_RIG_H

#include <criterion/criterion.h>

#include "controlplane/sfu/data_channel.h"

#define RIG_LINKS_MAX    8
#define RIG_PACKETS_MAX  4096
#define RIG_RECEIVED_MAX 4096

struct rig_packet {
	size_t n_bytes;
	uint8_t bytes[1200];
};

// What a peer was told.
struct rig_received {
	struct data_channel *channel;
	struct data_message *message; // held
};

struct rig_end {
	struct data_channel_peer *peer;
	struct rig_end *other;
	struct rig_packet *sent; // RIG_PACKETS_MAX, not yet carried
	uint32_t n_sent;
	size_t longest_packet_bytes;
	uint32_t n_connected;
	struct data_channel *opened[DATA_CHANNELS_MAX * 2];
	uint32_t n_opened;
	struct rig_received received[RIG_RECEIVED_MAX];
	uint32_t n_received;
	struct data_channel *closed[DATA_CHANNELS_MAX * 2];
	enum data_channel_close_reason close_reason[DATA_CHANNELS_MAX * 2];
	uint32_t n_closed;
	uint32_t n_lost;
	enum sctp_close_reason lost;
	// Called besides, for tests that relay.
	void (*on_opened)(struct rig_end *e, struct data_channel *c);
	void (*on_message)(struct rig_end *e, struct data_channel *c, struct data_message *m);
	void (*on_closed)(struct rig_end *e, struct data_channel *c);
};

// `a` is the DTLS client, a browser say; `b` the server.
struct rig_link {
	struct rig_end a;
	struct rig_end b;
	uint32_t loss_percent;
	bool is_cut; // carries nothing
};

struct data_rig {
	struct rig_link links[RIG_LINKS_MAX];
	uint32_t n_links;
	uint32_t random;
};

void data_rig_open(struct data_rig *rig, uint32_t n_links);
void data_rig_close(struct data_rig *rig);
// Carries and ticks for that long of virtual time.
void data_rig_run(struct data_rig *rig, uint32_t ms);
// Runs until all links are connected, and asserts it.
void data_rig_connect(struct data_rig *rig);
struct dcep_open data_rig_channel(const char *label, bool is_unordered,
				  enum sctp_reliability reliability, uint32_t value);
int data_rig_send(struct data_channel *c, const char *text);
// Asserts that the message is this text.
void data_rig_is_text(const struct rig_received *r, const char *text);

#endif
