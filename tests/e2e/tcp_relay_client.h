// A client of TCP relaying (RFC 6062) over TCP or TLS, and peers that are sockets of the same process: for tests, which end with
// the first thing that does not hold. One thread.
#ifndef TP_E2E_TCP_RELAY_CLIENT_H
#define TP_E2E_TCP_RELAY_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "dataplane/contract/wire/stun.h"

#define PATIENCE_MS 10000

// A connection to the server, or a peer's.
struct end {
	int fd;
	SSL *ssl;
};

struct control {
	struct end end;
	struct ip_endpoint relayed;
	char realm[128];
	char nonce[128];
	uint8_t key[16];
};

// Set by main.
extern bool is_tls, is_v6;
extern struct ip_endpoint server;
extern struct ip_address own; // of the peers
extern const char *user, *password;
extern SSL_CTX *context;

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
int64_t now_ms(void);

void patience(int fd);
int dial(const struct ip_endpoint *to); // -1: nobody took it
struct ip_endpoint endpoint_of(const struct sockaddr_storage *ss);
struct end open_end(void);
void close_end(struct end *e);
// > 0; 0 at the end; -1 with EAGAIN, or another errno.
ssize_t end_read(struct end *e, void *out, size_t n);
ssize_t end_write(struct end *e, const void *bytes, size_t n);
void read_whole(struct end *e, void *out, size_t n);
void write_whole(struct end *e, const void *bytes, size_t n);
void block(struct end *e, bool does_block);
// Nothing more comes: the other side closed.
bool has_ended(struct end *e);

size_t take_message(struct end *e, uint8_t out[2048], struct stun_view *v);
void allocate(struct control *c);
void permit(struct control *c, const struct ip_address *address);
uint32_t id_of(const struct stun_view *v);
// The error code, 0 for success.
uint16_t connect_to(struct control *c, const struct ip_endpoint *peer, uint32_t *id);
// Over a new connection, which is the data connection from then on.
uint16_t bind_id(const struct control *c, uint32_t id, const char *with_password, struct end *out);
int listen_peer(struct ip_endpoint *out);
// A connection with a peer of ours, by Connect: both ends of it.
void join_by_connect(struct control *c, struct end *client, struct end *peer);

#endif
