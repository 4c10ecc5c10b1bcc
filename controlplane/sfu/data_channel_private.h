// Channels from inside; data_channel.c, data_channel_queue.c. The control plane's loop thread.
#ifndef TP_SFU_DATA_CHANNEL_PRIVATE_H
#define TP_SFU_DATA_CHANNEL_PRIVATE_H

#include "controlplane/sfu/data_channel.h"

struct data_message {
	uint32_t n_references;
	bool is_binary;
	size_t n_bytes;
	uint8_t bytes[];
};

struct data_queued {
	struct data_queued *next;
	struct data_message *message; // NULL: DATA_CHANNEL_ACK
};

enum data_channel_state {
	DATA_CHANNEL_FREE = 0,
	DATA_CHANNEL_IN_USE,
	DATA_CHANNEL_DRAINING,  // closed by us, with a queue left
	DATA_CHANNEL_RESETTING, // our reset is to be sent; what comes is ignored
	DATA_CHANNEL_RESET_SENT,
};

struct data_channel {
	struct data_channel_peer *peer;
	struct dcep_open what;
	uint8_t *names; // label, then protocol
	struct data_queued *queue;
	struct data_queued **queue_end;
	size_t queue_bytes;
	uint16_t stream;
	uint8_t state; // enum data_channel_state
	bool is_by_peer;
	bool is_open_sent;
	bool is_acknowledged;  // before, ours go ordered (RFC 8832 §6)
	bool is_reset_by_peer; // its direction has ended
};

struct data_channel_peer {
	struct sctp_association *association;
	struct data_channel_callbacks callbacks;
	void *context;
	struct data_channel_peer_config config;
	struct data_channel_counters counters;
	bool is_connected;
	bool is_lost;
	uint32_t next_stream; // of ours, counted by two
	struct data_channel channels[DATA_CHANNELS_MAX];
};

// Sends what fits, and behind the last of a draining channel its reset.
void data_channel_flush(struct data_channel *c);
int data_channel_enqueue(struct data_channel *c, struct data_message *message);
void data_channel_queue_free(struct data_channel *c);
// Sends the reset, or leaves it to the next flush.
void data_channel_reset(struct data_channel *c);
void data_channel_forget(struct data_channel *c);

#endif
