// A TURN client over one connected socket, UDP, TCP or TLS: allocation, permission, channel, refresh, data. Written against the RFCs
// with the contract's message builder and OpenSSL, for tests that must know what happened to every packet. One thread.
#ifndef TP_E2E_TURN_CLIENT_H
#define TP_E2E_TURN_CLIENT_H

#include <sys/socket.h>

#include "dataplane/contract/wire/stun.h"

#define TURN_CLIENT_DATAGRAM_MAX 2048

struct turn_stream;

enum turn_client_transport {
	TURN_CLIENT_UDP = 0,
	TURN_CLIENT_TCP,
	TURN_CLIENT_TLS, // the server's certificate is not looked at
};

struct turn_client {
	enum turn_client_transport transport;
	int fd;
	struct turn_stream *stream; // of TCP and TLS
	struct ip_endpoint server;
	struct ip_endpoint local;
	struct ip_endpoint relayed; // once allocated
	struct ip_endpoint peer;
	uint16_t channel; // 0: data goes in Send indications
	const char *user;
	const char *password;
	char realm[128];
	uint8_t nonce[128];
	uint16_t nonce_bytes;
	uint8_t key[16];        // MD5(user:realm:password)
	uint8_t relayed_family; // STUN_FAMILY_*

	// The request that is waiting for its answer; `answer_bytes` stays 0 until it is there.
	uint8_t transaction_id[12];
	uint8_t answer[TURN_CLIENT_DATAGRAM_MAX];
	uint16_t answer_bytes;
};

// Serves everybody's sockets for about a millisecond: called while a transaction waits.
typedef void (*turn_client_pump_fn)(void *context);

// Opens and connects the socket of `transport`, and shakes hands for TLS. 0 or -errno.
int turn_client_open(struct turn_client *c, const struct ip_endpoint *server);
void turn_client_close(struct turn_client *c);

// Sends one TURN message; a stream pads it. 0 or -errno.
int turn_client_send(struct turn_client *c, const uint8_t *message, size_t message_bytes);
// The next received message into `out` (TURN_CLIENT_DATAGRAM_MAX): its bytes; 0 when there is none; -errno, -ECONNRESET
// when the server closed a stream.
ssize_t turn_client_take(struct turn_client *c, uint8_t *out);

// Transactions with retransmission (none over a stream). 0 on success, the STUN error code (400…) when refused, -ETIMEDOUT without an
// answer, -EBADMSG when the answer's MESSAGE-INTEGRITY is wrong or missing.
int turn_client_allocate(struct turn_client *c, turn_client_pump_fn pump, void *context);
int turn_client_refresh(struct turn_client *c, uint32_t lifetime_s, turn_client_pump_fn pump,
			void *context);
int turn_client_permit(struct turn_client *c, turn_client_pump_fn pump, void *context);
int turn_client_bind(struct turn_client *c, uint16_t channel, turn_client_pump_fn pump,
		     void *context);
// An unauthenticated STUN Binding request: 0 when answered with our own address.
int turn_client_binding(struct turn_client *c, turn_client_pump_fn pump, void *context);

// Wraps application data into `out` (size TURN_CLIENT_DATAGRAM_MAX) for the socket; returns the bytes.
size_t turn_client_wrap(struct turn_client *c, const uint8_t *data, size_t size_bytes,
			uint8_t *out);
// Takes one received datagram: application data from the peer gives true with *data and *size_bytes inside it; an
// answer is kept for the transaction that waits for it.
bool turn_client_receive(struct turn_client *c, const uint8_t *datagram, size_t datagram_bytes,
			 const uint8_t **data, size_t *size_bytes);

#endif
