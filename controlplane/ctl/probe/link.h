// One association with the server: a connected UDP socket, a TCP connection, TLS or DTLS over them. Sends and receives
// whole STUN messages and ChannelData (RFC 8656 §12.5: padded on streams). Main thread; waits, never longer than asked.
#ifndef TP_CTL_PROBE_LINK_H
#define TP_CTL_PROBE_LINK_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <sys/types.h>

#include "controlplane/ctl/probe/url.h"
#include "dataplane/contract/wire/address.h"

#define PROBE_MESSAGE_MAX 4096
#define PROBE_CONNECT_NS  5000000000ull

struct probe_link {
	enum probe_transport transport;
	int fd;
	SSL *ssl; // NULL without TLS
	struct ip_endpoint server;
	struct ip_endpoint local;
	size_t n_in; // of a stream, not yet a whole message
	uint8_t in[2 * PROBE_MESSAGE_MAX];
};

uint64_t probe_now_ns(void);

// A context for TLS or DTLS that trusts the system's authorities and, when given, those in `ca`; certificates are looked
// at later, by certificate.c, so a wrong one does not end the handshake. NULL with a sentence in `why`.
SSL_CTX *probe_tls_context(enum probe_transport t, const char *ca, bool is_turn, char *why,
			   size_t why_bytes);

// Connects, and shakes hands. `host` is the name for SNI, or NULL. 0, or -errno with the cause in `why`.
int probe_link_open(struct probe_link *l, enum probe_transport t, const struct ip_endpoint *server,
		    const char *host, SSL_CTX *tls, char *why, size_t why_bytes);
void probe_link_close(struct probe_link *l);
// 0 or -errno.
int probe_link_send(struct probe_link *l, const void *message, size_t n);
// One message or ChannelData, its padding taken off. Its length; 0 when none came before the deadline (CLOCK_MONOTONIC);
// -errno when the association is broken: -ECONNREFUSED (ICMP), -EPIPE (closed), …
ssize_t probe_link_receive(struct probe_link *l, uint8_t *out, size_t out_bytes,
			   uint64_t deadline_ns);

#endif
