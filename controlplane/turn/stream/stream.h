// TURN clients that come over TCP, TLS or DTLS (RFC 8656 §3.1, RFC 7350): the control plane has their sockets or
// associations, the tables know each as a stream with an id (shm_stream_address). Here their messages go in and out: requests
// to the TURN server and answers back, ChannelData and Send indications to the workers, and what workers have for clients to
// them. Control plane's loop thread; writes the producer end of the inject rings.
#ifndef TP_TURN_STREAM_H
#define TP_TURN_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/turn/server.h"
#include "dataplane/contract/shm/allocation_table.h"

struct event_base;
struct turn_stream;
struct turn_streams;

// Why a stream ended. Counted each; the sentences are those of turn_stream_close_text.
enum turn_stream_close_reason {
	TURN_STREAM_CLOSE_CLIENT = 0,   // it closed, in order
	TURN_STREAM_CLOSE_NETWORK,      // reset, unreachable, or nothing acknowledged for too long
	TURN_STREAM_CLOSE_NO_HANDSHAKE, // PROXY header and TLS handshake took too long
	TURN_STREAM_CLOSE_NO_ALLOCATION,
	TURN_STREAM_CLOSE_HANDSHAKE_RATE, // more TLS handshakes than streams: handshakes_… allow
	TURN_STREAM_CLOSE_TLS,            // handshake or record refused; counted by cause besides
	TURN_STREAM_CLOSE_PROXY,          // no valid PROXY protocol v2 header
	TURN_STREAM_CLOSE_FIRST_BYTE,     // neither STUN nor ChannelData where a message must begin
	TURN_STREAM_CLOSE_STUN_LENGTH,    // no multiple of 4
	TURN_STREAM_CLOSE_STUN_COOKIE,
	TURN_STREAM_CLOSE_SLOW_READER, // did not read for too long, or let answers pile up
	TURN_STREAM_CLOSE_PEER,        // RFC 6062: the peer's connection ended
	TURN_STREAM_CLOSE_KILLED,      // by an operator
	TURN_STREAM_CLOSE_SHUTDOWN,    // of the control plane
	TURN_STREAM_CLOSE_MEMORY,
	TURN_STREAM_CLOSE_COUNT
};
// snake_case, and one sentence; never NULL.
const char *turn_stream_close_name(enum turn_stream_close_reason r);
const char *turn_stream_close_text(enum turn_stream_close_reason r);

// What carries a stream: a TCP or TLS connection (connection.c), or a DTLS association.
struct turn_stream_carrier {
	// Sends one whole message (padding included) and copies it. `at_ns`: when data came from its peer, by which it may be
	// dropped for age; 0 = an answer, which is never dropped and may overtake data.
	void (*write)(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes, uint64_t at_ns);
	// Ends the connection; turn_stream_close calls it once and uses neither `carrier_arg` nor the carrier again.
	void (*close)(struct turn_stream *s, enum turn_stream_close_reason reason);
	// The rest is for raw data (RFC 6062); NULL where it is impossible (DTLS).
	// From now on its bytes are raw, and may wait as long as the two ends like. May be NULL.
	void (*begin_raw)(struct turn_stream *s);
	// Sends bytes as they are.
	void (*write_raw)(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes);
	// Bytes written and not yet with the kernel.
	size_t (*n_queued_bytes)(const struct turn_stream *s);
	// Stops and goes on reading from the client.
	void (*pause)(struct turn_stream *s, bool is_paused);
	// Closes as soon as all that is queued went out.
	void (*finish)(struct turn_stream *s);
};

// A stream whose bytes go raw to a TCP peer, from ConnectionBind's answer on (RFC 6062 §4.3).
struct turn_stream_pipe {
	// The answer is on its way: from now on turn_stream_pipe_write may be called. The one callback that may close.
	void (*start)(void *arg, struct turn_stream *s);
	// Bytes from the client. Takes all; when it cannot pass them on, it calls turn_stream_pause.
	void (*receive)(void *arg, struct turn_stream *s, const uint8_t *bytes, size_t n_bytes);
	// Less than TURN_STREAM_PIPE_LOW_BYTES wait to go out.
	void (*drained)(void *arg, struct turn_stream *s);
	// The stream is gone: the client ended it, or turn_stream_close was called. `s` must not be used behind it.
	void (*closed)(void *arg, struct turn_stream *s, enum turn_stream_close_reason reason);
};
#define TURN_STREAM_PIPE_LOW_BYTES (32u << 10)
#define TURN_STREAM_PIPE_HIGH_BYTES                                                                \
	(256u << 10) // whoever writes should stop reading the peer at this

// One stream. Written by stream.c alone but for carrier_arg.
struct turn_stream {
	struct turn_streams *streams;
	uint32_t idx; // never 0
	uint32_t serial;
	uint8_t transport;   // enum shm_transport
	uint8_t dscp;        // that the client's packets came with, 0..63
	uint8_t realm_idx;   // settings.realm that its listener challenges with
	bool has_allocation; // as of its last request
	bool is_open;
	struct ip_endpoint client; // the real one, also behind a proxy
	struct ip_endpoint server;
	uint64_t opened_at_ns;
	uint64_t unallocated_at_ns; // since when it has no allocation
	const struct turn_stream_carrier *carrier;
	void *carrier_arg;
	const struct turn_stream_pipe *pipe; // NULL: TURN messages
	void *pipe_arg;
	bool pipe_started;
	// since it was opened
	uint64_t n_bytes_in;
	uint64_t n_bytes_out;
	uint64_t n_dropped_out; // messages for it that waited too long, or did not fit
	// the registry's own
	struct turn_stream *source_next, **source_link; // of the same bucket of sources
	struct turn_stream *dead_next;
};

struct turn_streams_stats {
	uint64_t n_accepted[SHM_TRANSPORT_COUNT]; // ever opened
	uint32_t n_open[SHM_TRANSPORT_COUNT];
	uint64_t n_refused_total;  // too many in all
	uint64_t n_refused_source; // too many of one source
	uint64_t n_refused_proxy;  // too many of one listener whose PROXY header has not come
	uint64_t n_refused_accept; // accept failed: descriptors or memory ran out
	uint64_t n_closed[TURN_STREAM_CLOSE_COUNT];
	uint64_t n_requests;
	uint64_t n_request_pauses; // connections that asked too much and were not read for a moment
	uint64_t n_messages_in;    // ChannelData and Send indications handed to workers
	uint64_t n_dropped_inject_full; // those that a worker had no room for
	uint64_t n_dropped_inject_size; // those too long for a ring's slot
	uint64_t n_ignored_in;          // other indications and responses
	uint64_t n_messages_out;        // of workers, handed to streams
	uint64_t n_dropped_unknown;     // of workers, for a stream that is gone
	uint64_t n_dropped_invalid;     // of workers, no whole TURN message
	uint64_t n_dropped_age;         // waited longer than streams.buffer_ms
	uint64_t n_dropped_bytes;       // did not fit into streams.buffer_bytes
	uint64_t n_dropped_total_bytes; // did not fit into streams.buffer_total_mb
	uint64_t n_queued_bytes;        // now, of all streams
};

// The parts that the configuration sets, see section `streams`.
int turn_streams_new(const struct config *config, struct event_base *base,
		     struct table_writer *tables, struct turn_server *turn,
		     struct turn_streams **out);
// Closes all; allocations that cannot move end with their streams.
void turn_streams_free(struct turn_streams *t);
void turn_streams_reload(struct turn_streams *t, const struct config *config);
const struct config *turn_streams_config(const struct turn_streams *t);
// Once a second, for tests without a loop: ends what has no allocation for too long.
void turn_streams_tick(struct turn_streams *t, uint64_t now_ns);
const struct turn_streams_stats *turn_streams_stats(const struct turn_streams *t);
// For carriers: drops they make themselves.
struct turn_streams_stats *turn_streams_count(struct turn_streams *t);

struct turn_stream_params {
	uint8_t transport; // enum shm_transport
	uint8_t dscp;
	uint8_t realm_idx;
	struct ip_endpoint client;
	struct ip_endpoint server;
	const struct turn_stream_carrier *carrier;
	void *carrier_arg;
	uint64_t now_ns;
};
// Registers a connection or association. -EMFILE: too many in all, -EDQUOT: too many of this source (an IPv4 address or a
// /64), -ENOMEM; counted.
int turn_streams_open(struct turn_streams *t, const struct turn_stream_params *p,
		      struct turn_stream **out);
// NULL when it is gone, or another has its idx.
struct turn_stream *turn_streams_find(struct turn_streams *t, uint32_t idx, uint32_t serial);
// The next open one behind idx (0 = the first), NULL behind the last.
struct turn_stream *turn_streams_next(struct turn_streams *t, uint32_t idx);

// A whole message of the client: a STUN message, or ChannelData with or without its padding. Afterwards the stream may be
// closed or a pipe: ask turn_streams_find.
void turn_streams_receive(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			  uint64_t now_ns, uint64_t wall_ns);
// Bytes of the client behind ConnectionBind's request; only while s->pipe is set.
void turn_streams_receive_raw(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes);
// Whether the worker has room for a message of this client; a carrier that can wait, waits a little.
bool turn_streams_has_room(const struct turn_stream *s);
// A carrier has found out what it carries: TCP became TLS.
void turn_stream_set_transport(struct turn_stream *s, uint8_t transport);
// Room for raw bytes again; carriers call it.
void turn_streams_drained(struct turn_stream *s);

// What a worker has for a client: one datagram of its stream ring.
void turn_streams_deliver(struct turn_streams *t, const uint8_t stream_address[16],
			  const uint8_t *bytes, size_t n_bytes, uint64_t at_ns);
// A message of the control plane's own, such as ConnectionAttempt; false: the stream is gone.
bool turn_streams_send(struct turn_streams *t, uint32_t idx, uint32_t serial, const uint8_t *bytes,
		       size_t n_bytes);

// Ends the stream and its allocation (unless that may move). Everybody's way to end one, carriers' too.
// Whether the client's TLS handshake may begin now; if not, the stream is to be closed for
// TURN_STREAM_CLOSE_HANDSHAKE_RATE.
bool turn_stream_may_handshake(struct turn_stream *s, uint64_t now_ns);
void turn_stream_close(struct turn_stream *s, enum turn_stream_close_reason reason);

// ---- RFC 6062

// While turn_server_handle has this stream's ConnectionBind: all bytes behind the answer go to `pipe`. -ENOTSUP over DTLS,
// -EBUSY when it is one already. The stream's own timeout is off from then on.
int turn_stream_become_pipe(struct turn_stream *s, const struct turn_stream_pipe *pipe, void *arg);
// Takes all; returns the bytes that wait now. Only after start.
size_t turn_stream_pipe_write(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes);
size_t turn_stream_pipe_queued_bytes(const struct turn_stream *s);
void turn_stream_pause(struct turn_stream *s, bool is_paused);
// The peer is done: closes once all that waits went out.
void turn_stream_finish(struct turn_stream *s);

#endif
