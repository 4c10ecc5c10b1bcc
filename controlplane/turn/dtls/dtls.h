// TURN over DTLS 1.2 (RFC 7350, RFC 6347): associations over the UDP listeners. Workers punt records of
// strangers, records of ours go back by the inject rings; each association is a stream (stream.h), and each of its
// records one message. Knows no sockets. Control plane's loop thread; writes inject rings.
//
// Before a client has returned a cookie nothing is kept of it, and what it gets is shorter than what it sent.
// OpenSSL comes into play with the cookie. Its state of a handshake begins with the ClientHello that got no
// cookie, which we did not keep; so it is given one of our own in its stead, which the transcript does not
// cover (RFC 6347 §4.2.1). DTLSv1_listen is not used, since it cannot take a ClientHello in fragments.
//
// A client that lost its state shakes hands anew from the same 5-tuple: its old association ends when the new
// one's cookie came back (RFC 6347 §4.2.8), so nobody can end it who cannot receive there.
#ifndef TP_TURN_DTLS_H
#define TP_TURN_DTLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/table_writer.h"
#include "controlplane/turn/stream/stream.h"

#define TURN_DTLS_TICK_US 50000
// What a client has to come through its handshake.
#define TURN_DTLS_HANDSHAKE_S 15
// What it has in any case, however many others begin theirs.
#define TURN_DTLS_HANDSHAKE_SURE_S 2
// Handshakes under way: of all, and of one IPv4 address or /64. Each holds some ten KiB.
#define TURN_DTLS_HANDSHAKES_MAX            1024
#define TURN_DTLS_HANDSHAKES_PER_SOURCE_MAX 64

struct turn_dtls;

struct turn_dtls_stats {
	uint32_t n_associations;
	uint32_t n_handshakes; // of these under way
	uint64_t n_records_in; // datagrams that workers punted
	uint64_t n_cookies;    // HelloVerifyRequests
	uint64_t n_cookies_refused;
	uint64_t n_ignored;            // datagrams of no association that begin none
	uint64_t n_refused_handshakes; // too many under way, of all or of one source
	uint64_t n_displaced;          // handshakes that gave way to newer ones
	uint64_t n_connected;          // handshakes that came to their end
	uint64_t n_failed;             // that did not
	uint64_t n_restarted;          // associations that a new one of the same client replaced
	uint64_t n_retransmits;        // of our flights
	uint64_t n_dropped_inject_full;
	uint64_t n_dropped_size; // messages that no datagram holds
};

// Takes over `context` (DTLS_server_method, with its certificate), also on failure. 0 or -errno; -EIO: OpenSSL.
int turn_dtls_new(SSL_CTX *context, struct table_writer *tables, struct turn_streams *streams,
		  struct turn_dtls **out);
// Ends all associations. Before turn_streams_free.
void turn_dtls_free(struct turn_dtls *d);
// Takes over another context; associations that are there keep theirs. 0, or -EIO and nothing changed.
int turn_dtls_reload(struct turn_dtls *d, SSL_CTX *context);
const struct turn_dtls_stats *turn_dtls_stats(const struct turn_dtls *d);

// One punted datagram of kind DTLS without a transport.
void turn_dtls_receive(struct turn_dtls *d, uint32_t worker_idx, const struct shm_datagram *in,
		       uint16_t n_bytes, uint64_t now_ns, uint64_t wall_ns);
// Retransmissions and handshakes that take too long; every TURN_DTLS_TICK_US.
void turn_dtls_tick(struct turn_dtls *d, uint64_t now_ns);

#endif
