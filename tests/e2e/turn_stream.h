// TURN messages over a connected TCP socket, with TLS or without (RFC 8489 §6.2.2, RFC 8656 §12.5): for tests. One thread.
#ifndef TP_E2E_TURN_STREAM_H
#define TP_E2E_TURN_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct turn_stream;

// Takes a connected, blocking socket, which stays the caller's; with TLS it shakes hands first. From then on the socket does not
// block. 0 or -errno.
int turn_stream_open(int fd, bool is_tls, struct turn_stream **out);
void turn_stream_close(struct turn_stream *s); // NULL is fine

// Queues one STUN message or ChannelData, padded to 4 bytes, and sends what the socket takes. 0; -ENOBUFS when too much waits;
// -errno.
int turn_stream_send(struct turn_stream *s, const uint8_t *message, size_t message_bytes);
// The next whole message, without padding: its bytes; 0 when there is none; -EBADMSG when it is neither STUN nor ChannelData or
// does not fit; -ECONNRESET when the stream has ended.
ssize_t turn_stream_take(struct turn_stream *s, uint8_t *out, size_t out_bytes);

#endif
