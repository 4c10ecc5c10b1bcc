// What the files of dtls/ share. Control plane's loop thread.
#ifndef TP_TURN_DTLS_PRIVATE_H
#define TP_TURN_DTLS_PRIVATE_H

#include "controlplane/dtls/datagram_bio.h"
#include "controlplane/turn/dtls/dtls.h"
#include "controlplane/turn/dtls/hello.h"

#define TURN_DTLS_BUCKETS 4096
// Of our datagrams during the handshake, without IP and UDP.
#define TURN_DTLS_MTU_BYTES 1200
// Of a record of ours around a message: header, explicit nonce, tag; the longest of all suites of DTLS 1.2 with
// a block cipher.
#define TURN_DTLS_OVERHEAD_BYTES 96

struct turn_dtls_association {
	struct turn_dtls *dtls;
	struct turn_dtls_association *bucket_next;
	struct turn_dtls_association *handshake_next; // while it lasts
	struct turn_dtls_association *handshake_prev;
	struct turn_dtls_ends ends;
	uint32_t worker_idx; // that had its last record, and where that came from
	uint64_t l2_word;
	SSL *ssl;
	struct turn_stream *stream; // NULL: it has ended
	uint64_t opened_at_ns;
	uint8_t random[TURN_DTLS_RANDOM_BYTES]; // of its ClientHello
	uint8_t cookie[TURN_DTLS_COOKIE_BYTES];
	struct dtls_datagrams datagrams;
	bool is_connected;
	bool is_mute;   // what OpenSSL writes goes nowhere
	bool is_data;   // it writes what may be dropped
	bool is_in_use; // free it later
};

struct turn_dtls {
	SSL_CTX *context;
	BIO_METHOD *bio;
	struct table_writer *tables;
	struct turn_streams *streams;
	struct turn_dtls_association *bucket[TURN_DTLS_BUCKETS];
	struct turn_dtls_association *handshakes;
	struct turn_dtls_stats stats;
	uint8_t cookie_secret
		[TURN_DTLS_SECRET_BYTES]; // of this process: cookies live for a minute at most
};

// ---- context.c

// Options and callbacks that TURN wants of a context. 0 or -EIO.
int turn_dtls_context_prepare(SSL_CTX *context);

// ---- association.c

// A new one for a ClientHello whose cookie is good, already in the table. -errno: nothing was made.
int turn_dtls_association_new(struct turn_dtls *d, const struct turn_dtls_ends *ends,
			      const struct turn_dtls_hello *hello, uint8_t realm_idx,
			      uint64_t now_ns, struct turn_dtls_association **out);
void turn_dtls_association_receive(struct turn_dtls_association *a, const uint8_t *datagram,
				   size_t n_bytes, uint64_t now_ns, uint64_t wall_ns);
// OpenSSL's timers.
void turn_dtls_association_timer(struct turn_dtls_association *a);

// ---- dtls.c

struct turn_dtls_association *turn_dtls_find(struct turn_dtls *d,
					     const struct turn_dtls_ends *ends);
void turn_dtls_link(struct turn_dtls *d, struct turn_dtls_association *a);
void turn_dtls_unlink(struct turn_dtls *d, struct turn_dtls_association *a);
void turn_dtls_handshake_done(struct turn_dtls *d, struct turn_dtls_association *a);
// One datagram to a client. Data leaves half of the ring to answers; false: there was no room.
bool turn_dtls_send(struct turn_dtls *d, const struct turn_dtls_ends *ends, uint32_t worker_idx,
		    uint64_t l2_word, bool is_data, const uint8_t *bytes, size_t n_bytes);

#endif
