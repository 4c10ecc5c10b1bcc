// SCTP over DTLS (RFC 8261): usrsctp without sockets of the kernel's, one one-to-one association per session.
// One thread: the control plane's loop. usrsctp is process-wide, so there is one stack.
//
// usrsctp_init_nothreads lets us run its timers from our loop; nothing of it runs beside the loop but one
// thread that sleeps for ever (it walks associations when an interface's address changes, and ours have
// none). So no lock and no queue is needed here. With its timer thread, output would come from that thread,
// and DTLS belongs to the loop.
//
// Accepts packets of peers that authenticated themselves by DTLS, otherwise as hostile as any.
#ifndef TP_SFU_SCTP_H
#define TP_SFU_SCTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCTP_TICK_MS 10
// Streams each way; the peer may ask for more and gets these.
#define SCTP_STREAMS 256
// What fits into one DTLS record of ours, in whole words.
#define SCTP_PACKET_BYTES_MAX 1160
// Of messages both ways, for a=max-message-size (RFC 8841 §6.1).
#define SCTP_MESSAGE_BYTES_MAX 262144

struct event_base;
struct sctp_association;

enum sctp_close_reason {
	SCTP_CLOSE_LOST = 0, // no answer any more, or an ABORT
	SCTP_CLOSE_SHUTDOWN, // the peer shut down
	SCTP_CLOSE_REFUSED,  // the association could not be set up
	SCTP_CLOSE_RESTART,  // the peer set up a new one in its place, which WebRTC does not know
	SCTP_CLOSE_REASON_COUNT
};

struct sctp_callbacks {
	// At most SCTP_PACKET_BYTES_MAX. From inside of the stack: it must not call anything of this file.
	void (*send)(void *context, const uint8_t *packet, size_t n_bytes);
	// The others may call anything but sctp_association_free and _receive.
	void (*connected)(void *context);
	void (*message)(void *context, uint16_t stream, uint32_t ppid, const uint8_t *bytes,
			size_t n_bytes);
	void (*stream_reset)(void *context,
			     uint16_t stream); // the peer ended its direction (RFC 6525)
	void (*writable)(void *context);       // there may be room again, and resets may be retried
	void (*closed)(void *context, enum sctp_close_reason reason); // once, the last one
};

enum sctp_reliability {
	SCTP_RELIABLE = 0,
	SCTP_RETRANSMITS, // value: how many (RFC 3758, 7496 §4.2)
	SCTP_LIFETIME,    // value: milliseconds (RFC 3758 §4.1)
	SCTP_RELIABILITY_COUNT
};

struct sctp_message_options {
	uint32_t ppid;
	uint32_t reliability_value;
	uint16_t stream;
	bool is_unordered;
	enum sctp_reliability reliability;
};

// Starts the stack for the process. With an event base its timers run there, as long as there are
// associations; without one the caller ticks. Calls nest. -ENOMEM.
int sctp_stack_open(struct event_base *base);
// Ends it with the last call; all associations must be freed before.
void sctp_stack_close(void);
// Time has passed, by CLOCK_MONOTONIC.
void sctp_stack_tick(uint32_t elapsed_ms);

// Begins to connect: both ends do (RFC 9260 §5.2.1), so this is to be called when DTLS is connected.
int sctp_association_new(uint16_t local_port, uint16_t remote_port,
			 const struct sctp_callbacks *callbacks, void *context,
			 struct sctp_association **out);
// Aborts what is open, without callbacks but send; NULL is fine.
void sctp_association_free(struct sctp_association *a);
// A packet of the peer's: the payload of one DTLS record.
void sctp_association_receive(struct sctp_association *a, const uint8_t *packet, size_t n_bytes);
// -EAGAIN: no room in the send buffer now (writable follows); -EMSGSIZE: above SCTP_MESSAGE_BYTES_MAX or empty;
// -EINVAL: a stream that was not agreed upon; -ENOTCONN: not connected.
int sctp_association_send(struct sctp_association *a, const struct sctp_message_options *options,
			  const uint8_t *bytes, size_t n_bytes);
// Ends our direction of a stream once all sent on it is delivered. -EAGAIN: another reset is under way, to be
// tried again after writable or stream_reset.
int sctp_association_reset_stream(struct sctp_association *a, uint16_t stream);
// Streams that both may use; 0 before connected.
uint16_t sctp_association_streams(const struct sctp_association *a);
// Messages of the peer's above SCTP_MESSAGE_BYTES_MAX, thrown away.
uint64_t sctp_association_n_oversized(const struct sctp_association *a);

#endif
