// Data channels of one session (RFC 8831, 8832) over its SCTP association: channels that either end opens by
// DCEP, bounded queues, closing. One thread: the control plane's loop.
//
// Bounds: a channel queues at most DATA_CHANNEL_QUEUE_BYTES beside what SCTP has in its send buffer. What
// comes on top is dropped on a channel that may lose messages; a reliable one is closed, for its reader is
// too slow to get all of it. Both are counted. Channels agreed upon out of band (negotiated: true) are not
// known here: messages on streams without an open channel are counted and thrown away.
#ifndef TP_SFU_DATA_CHANNEL_H
#define TP_SFU_DATA_CHANNEL_H

#include "controlplane/sfu/dcep.h"

#define DATA_CHANNELS_MAX        64 // of one peer
#define DATA_CHANNEL_QUEUE_BYTES 1048576

struct data_channel_peer;
struct data_channel;

enum data_channel_close_reason {
	DATA_CHANNEL_CLOSE_BY_US = 0,
	DATA_CHANNEL_CLOSE_BY_PEER, // it reset the stream
	DATA_CHANNEL_CLOSE_SLOW,    // a reliable channel whose queue was full
	DATA_CHANNEL_CLOSE_LOST,    // the association ended
	DATA_CHANNEL_CLOSE_REASON_COUNT
};

// A message that several queues may hold. Immutable.
struct data_message;

struct data_channel_counters {
	uint64_t n_received;
	uint64_t n_sent;
	uint64_t n_queued;   // did not fit into SCTP's buffer at once: back-pressure
	uint64_t n_dropped;  // of channels that may lose, for want of room
	uint64_t n_too_long; // above what the peer takes
	uint64_t n_stray; // on a stream without a channel, or with a PPID that WebRTC does not know
	uint64_t n_bad_dcep; // malformed, or for a stream that is taken
	uint64_t n_refused;  // channels of the peer's beyond DATA_CHANNELS_MAX
	uint64_t n_opened;   // by either end
	uint64_t n_closed[DATA_CHANNEL_CLOSE_REASON_COUNT];
};

struct data_channel_callbacks {
	// To the DTLS session; see sctp.h for what it must not do.
	void (*send)(void *context, const uint8_t *packet, size_t n_bytes);
	// The others may call anything here but data_channel_peer_free and _receive, of any peer.
	void (*connected)(void *context);
	// The peer opened a channel; ours are not told.
	void (*opened)(void *context, struct data_channel *channel);
	void (*message)(void *context, struct data_channel *channel, struct data_message *message);
	// The channel is gone with the return of it. Not for a channel that data_channel_close closes.
	void (*closed)(void *context, struct data_channel *channel,
		       enum data_channel_close_reason reason);
	// The association is gone, after all its channels were closed.
	void (*lost)(void *context, enum sctp_close_reason reason);
};

struct data_channel_peer_config {
	uint16_t local_port; // a=sctp-port of our SDP, and of theirs
	uint16_t remote_port;
	// a=max-message-size of theirs: 0 = any, 65536 if the line is missing (RFC 8841 §6.1).
	uint64_t max_message_bytes;
	bool is_dtls_client; // ours; decides who opens which streams (RFC 8832 §6)
};

// sctp_stack_open comes first; this begins to connect, so DTLS is to be connected.
int data_channel_peer_new(const struct data_channel_peer_config *config,
			  const struct data_channel_callbacks *callbacks, void *context,
			  struct data_channel_peer **out);
// Without callbacks but send; NULL is fine.
void data_channel_peer_free(struct data_channel_peer *p);
void data_channel_peer_receive(struct data_channel_peer *p, const uint8_t *packet, size_t n_bytes);
bool data_channel_peer_is_connected(const struct data_channel_peer *p);
const struct data_channel_counters *data_channel_peer_counters(const struct data_channel_peer *p);

// Opens a channel to the peer, which may be sent on at once. -ENOTCONN, -ENOSPC: no stream or channel left,
// -EINVAL: names too long.
int data_channel_open(struct data_channel_peer *p, const struct dcep_open *what,
		      struct data_channel **out);
// What it is; label and protocol are the channel's.
const struct dcep_open *data_channel_info(const struct data_channel *c);
uint16_t data_channel_stream(const struct data_channel *c);
// Sends or queues. -EMSGSIZE: the peer does not take that much; -ENOBUFS: dropped for want of room; -EPIPE: the
// channel was closed because its reader is too slow (closed() has been called), or is closing.
int data_channel_send(struct data_channel *c, struct data_message *message);
// Delivers what is queued, then ends; the handle is not to be used any more.
void data_channel_close(struct data_channel *c);

// One reference is the caller's. NULL: no memory, or above SCTP_MESSAGE_BYTES_MAX.
struct data_message *data_message_new(const uint8_t *bytes, size_t n_bytes, bool is_binary);
void data_message_unref(struct data_message *m);
const uint8_t *data_message_bytes(const struct data_message *m, size_t *n_bytes, bool *is_binary);

#endif
