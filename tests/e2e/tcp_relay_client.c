// See tcp_relay_client.h.
#include "tests/e2e/tcp_relay_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"

bool is_tls, is_v6;
struct ip_endpoint server;
struct ip_address own;
const char *user, *password;
SSL_CTX *context;

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("not ok: ");
	vprintf(format, args);
	printf(" (%s)\n", strerror(errno));
	va_end(args);
	exit(1);
}

int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// ---- connections

struct ip_endpoint endpoint_of(const struct sockaddr_storage *ss)
{
	struct ip_endpoint e;

	net_sockaddr_get(ss, &e);
	return e;
}

void patience(int fd)
{
	const struct timeval t = { .tv_sec = PATIENCE_MS / 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

int dial(const struct ip_endpoint *to)
{
	struct sockaddr_storage ss;
	socklen_t n = net_sockaddr_set(to, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	patience(fd);
	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, n) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct end open_end(void)
{
	struct end e = { .fd = dial(&server) };

	if (e.fd < 0)
		die("no connection to the server");
	if (is_tls) {
		e.ssl = SSL_new(context);
		SSL_set_fd(e.ssl, e.fd);
		if (SSL_connect(e.ssl) != 1)
			die("no TLS with the server");
	}
	return e;
}

void close_end(struct end *e)
{
	if (e->ssl != NULL) {
		SSL_shutdown(e->ssl);
		SSL_free(e->ssl);
	}
	close(e->fd);
	e->fd = -1;
	e->ssl = NULL;
}

// > 0; 0 at the end; -1 with EAGAIN, or another errno.
ssize_t end_read(struct end *e, void *out, size_t n)
{
	int ret, error;

	if (e->ssl == NULL)
		return read(e->fd, out, n);
	ret = SSL_read(e->ssl, out, (int)n);
	if (ret > 0)
		return ret;
	error = SSL_get_error(e->ssl, ret);
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return -1;
}

ssize_t end_write(struct end *e, const void *bytes, size_t n)
{
	int ret, error;

	if (e->ssl == NULL)
		return write(e->fd, bytes, n);
	ret = SSL_write(e->ssl, bytes, (int)n);
	if (ret > 0)
		return ret;
	error = SSL_get_error(e->ssl, ret);
	errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
	return -1;
}

void read_whole(struct end *e, void *out, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = end_read(e, (uint8_t *)out + at, n - at);

		if (got <= 0)
			die("only %zu of %zu bytes came", at, n);
		at += (size_t)got;
	}
}

void write_whole(struct end *e, const void *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t put = end_write(e, (const uint8_t *)bytes + at, n - at);

		if (put <= 0)
			die("only %zu of %zu bytes went", at, n);
		at += (size_t)put;
	}
}

void block(struct end *e, bool does_block)
{
	int flags = fcntl(e->fd, F_GETFL);

	fcntl(e->fd, F_SETFL, does_block ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

// Nothing more comes: the other side closed.
bool has_ended(struct end *e)
{
	uint8_t byte;
	ssize_t n = end_read(e, &byte, 1);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

// ---- messages

size_t take_message(struct end *e, uint8_t out[2048], struct stun_view *v)
{
	size_t n;

	read_whole(e, out, 20);
	n = 20 + (size_t)bytes_get_be16(out + 2);
	if (n > 2048)
		die("a message of %zu bytes", n);
	read_whole(e, out + 20, n - 20);
	if (stun_parse(out, n, v) != STUN_OK)
		die("no STUN message");
	return n;
}

static void begin(struct stun_builder *b, uint8_t buffer[1024], uint16_t type)
{
	uint8_t id[12];

	RAND_bytes(id, sizeof(id));
	stun_build_begin(b, buffer, 1024, type, id);
}

static size_t sign(struct control *c, struct stun_builder *b)
{
	unsigned int tag_bytes = 20;
	size_t covered_bytes;
	uint8_t *tag;

	if (c->nonce[0] != '\0') {
		stun_build_attr(b, STUN_ATTR_USERNAME, user, (uint16_t)strlen(user));
		stun_build_attr(b, STUN_ATTR_REALM, c->realm, (uint16_t)strlen(c->realm));
		stun_build_attr(b, STUN_ATTR_NONCE, c->nonce, (uint16_t)strlen(c->nonce));
		tag = stun_build_integrity(b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
		HMAC(EVP_sha1(), c->key, 16, b->w.base, covered_bytes, tag, &tag_bytes);
	}
	return stun_build_end(b);
}

static uint16_t code_of(const struct stun_view *v)
{
	struct stun_attr a;

	if (!stun_attr_find(v, STUN_ATTR_ERROR_CODE, &a) || a.length_bytes < 4)
		return 0;
	return (uint16_t)((a.value[2] & 7) * 100 + a.value[3]);
}

// Sends what was built over `e` and takes the answer. Its error code, 0 for success.
static uint16_t ask(struct control *c, struct end *e, struct stun_builder *b, uint8_t answer[2048],
		    struct stun_view *v)
{
	write_whole(e, b->w.base, sign(c, b));
	take_message(e, answer, v);
	return code_of(v);
}

static void learn(struct control *c, const struct stun_view *v, const char *with_password)
{
	struct stun_attr realm, nonce;
	char text[512];
	int n;

	if (!stun_attr_find(v, STUN_ATTR_REALM, &realm) || realm.length_bytes >= sizeof(c->realm) ||
	    !stun_attr_find(v, STUN_ATTR_NONCE, &nonce) || nonce.length_bytes >= sizeof(c->nonce))
		die("no challenge");
	memcpy(c->realm, realm.value, realm.length_bytes);
	memcpy(c->nonce, nonce.value, nonce.length_bytes);
	n = snprintf(text, sizeof(text), "%s:%s:%s", user, c->realm, with_password);
	EVP_Digest(text, (size_t)n, c->key, NULL, EVP_md5(), NULL);
}

static void begin_allocate(struct stun_builder *b, uint8_t buffer[1024])
{
	begin(b, buffer, TURN_ALLOCATE_REQUEST);
	stun_build_u32(b, TURN_ATTR_REQUESTED_TRANSPORT, (uint32_t)TURN_TRANSPORT_TCP << 24);
	if (is_v6)
		stun_build_u32(b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
			       (uint32_t)STUN_FAMILY_IPV6 << 24);
}

void allocate(struct control *c)
{
	uint8_t buffer[1024], answer[2048];
	struct stun_builder b;
	struct stun_attr a;
	struct stun_view v;
	uint16_t code;

	memset(c, 0, sizeof(*c));
	c->end = open_end();
	begin_allocate(&b, buffer);
	code = ask(c, &c->end, &b, answer, &v);
	if (code != 401)
		die("Allocate without credentials was answered with %u", code);
	learn(c, &v, password);
	begin_allocate(&b, buffer);
	code = ask(c, &c->end, &b, answer, &v);
	if (code != 0)
		die("Allocate was answered with %u", code);
	if (!stun_attr_find(&v, TURN_ATTR_XOR_RELAYED_ADDRESS, &a) ||
	    stun_xor_address_get(&v, &a, &c->relayed) < 0)
		die("Allocate without a relayed address");
}

void permit(struct control *c, const struct ip_address *address)
{
	struct ip_endpoint peer = { .address = *address };
	uint8_t buffer[1024], answer[2048];
	struct stun_builder b;
	struct stun_view v;
	uint16_t code;

	begin(&b, buffer, TURN_CREATE_PERMISSION_REQUEST);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
	code = ask(c, &c->end, &b, answer, &v);
	if (code != 0)
		die("CreatePermission was answered with %u", code);
}

uint32_t id_of(const struct stun_view *v)
{
	struct stun_attr a;

	if (!stun_attr_find(v, TURN_ATTR_CONNECTION_ID, &a) || a.length_bytes != 4)
		die("no CONNECTION-ID");
	return bytes_get_be32(a.value);
}

uint16_t connect_to(struct control *c, const struct ip_endpoint *peer, uint32_t *id)
{
	uint8_t buffer[1024], answer[2048];
	struct stun_builder b;
	struct stun_view v;
	uint16_t code;

	begin(&b, buffer, TURN_CONNECT_REQUEST);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, peer);
	code = ask(c, &c->end, &b, answer, &v);
	if (code == 0)
		*id = id_of(&v);
	return code;
}

// Over a new connection, which is the data connection from then on.
uint16_t bind_id(const struct control *c, uint32_t id, const char *with_password, struct end *out)
{
	uint8_t buffer[1024], answer[2048];
	struct control data = { .end = open_end() };
	struct stun_builder b;
	struct stun_view v;
	uint16_t code;

	for (uint32_t i = 0; i < 2; i++) {
		begin(&b, buffer, TURN_CONNECTION_BIND_REQUEST);
		stun_build_u32(&b, TURN_ATTR_CONNECTION_ID, id);
		code = ask(&data, &data.end, &b, answer, &v);
		if (code != 401 || i == 1)
			break;
		learn(&data, &v, with_password);
	}
	*out = data.end;
	if (code != 0)
		close_end(out);
	return code;
}

// ---- peers

int listen_peer(struct ip_endpoint *out)
{
	struct ip_endpoint any = { .address = own };
	struct sockaddr_storage ss;
	socklen_t n = net_sockaddr_set(&any, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);

	patience(fd);
	if (bind(fd, (struct sockaddr *)&ss, n) < 0 || listen(fd, 8) < 0)
		die("a peer cannot listen");
	n = sizeof(ss);
	getsockname(fd, (struct sockaddr *)&ss, &n);
	*out = endpoint_of(&ss);
	return fd;
}

// A connection with a peer of ours, by Connect: both ends of it.
void join_by_connect(struct control *c, struct end *client, struct end *peer)
{
	struct ip_endpoint at, from;
	struct sockaddr_storage ss;
	socklen_t n = sizeof(ss);
	int listening = listen_peer(&at);
	uint32_t id;
	uint16_t code = connect_to(c, &at, &id);

	if (code != 0)
		die("Connect was answered with %u", code);
	*peer = (struct end){ .fd = accept(listening, (struct sockaddr *)&ss, &n) };
	if (peer->fd < 0)
		die("nobody connected to the peer");
	from = endpoint_of(&ss);
	if (!ip_endpoint_equal(&from, &c->relayed))
		die("the peer was connected to from elsewhere than the relayed address");
	patience(peer->fd);
	close(listening);
	code = bind_id(c, id, password, client);
	if (code != 0)
		die("ConnectionBind was answered with %u", code);
}
