// A TURN client for tests, see turn_client.h. RFC 8489 §9.2 (long-term credentials), RFC 8656.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "dataplane/contract/wire/turn.h"
#include "tests/e2e/turn_client.h"
#include "tests/e2e/turn_stream.h"

#define RETRANSMIT_FIRST_NS 250000000ULL
#define ATTEMPTS_MAX        6
#define RECEIVE_BUFFER      (8 << 20)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

int turn_client_open(struct turn_client *c, const struct ip_endpoint *server)
{
	struct sockaddr_storage address;
	socklen_t address_bytes = net_sockaddr_set(server, &address);
	int buffer = RECEIVE_BUFFER;
	int ret;

	c->server = *server;
	c->fd = socket(address.ss_family,
		       c->transport == TURN_CLIENT_UDP ? SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC
						       : SOCK_STREAM | SOCK_CLOEXEC,
		       0);
	if (c->fd < 0)
		return -errno;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	// Connected, so that an ICMP error would be told: a relay that dies must not cause one.
	if (connect(c->fd, (struct sockaddr *)&address, address_bytes) < 0)
		goto fail_close;
	if (c->transport != TURN_CLIENT_UDP) {
		errno = -turn_stream_open(c->fd, c->transport == TURN_CLIENT_TLS, &c->stream);
		if (errno != 0)
			goto fail_close;
	}
	address_bytes = sizeof(address);
	if (getsockname(c->fd, (struct sockaddr *)&address, &address_bytes) < 0)
		goto fail_close;
	net_sockaddr_get(&address, &c->local);
	return 0;

fail_close:
	ret = -errno;
	close(c->fd);
	c->fd = -1;
	return ret;
}

void turn_client_close(struct turn_client *c)
{
	turn_stream_close(c->stream);
	c->stream = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

int turn_client_send(struct turn_client *c, const uint8_t *message, size_t message_bytes)
{
	if (c->stream != NULL)
		return turn_stream_send(c->stream, message, message_bytes);
	return send(c->fd, message, message_bytes, 0) < 0 ? -errno : 0;
}

ssize_t turn_client_take(struct turn_client *c, uint8_t *out)
{
	ssize_t n;

	if (c->stream != NULL)
		return turn_stream_take(c->stream, out, TURN_CLIENT_DATAGRAM_MAX);
	n = recv(c->fd, out, TURN_CLIENT_DATAGRAM_MAX, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

static void key_derive(struct turn_client *c)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s:%s:%s", c->user, c->realm, c->password);

	EVP_Digest(text, (size_t)n, c->key, NULL, EVP_md5(), NULL);
}

static void credentials_add(struct turn_client *c, struct stun_builder *b)
{
	uint8_t *tag;
	size_t covered_bytes;

	stun_build_attr(b, STUN_ATTR_USERNAME, c->user, (uint16_t)strlen(c->user));
	stun_build_attr(b, STUN_ATTR_REALM, c->realm, (uint16_t)strlen(c->realm));
	stun_build_attr(b, STUN_ATTR_NONCE, c->nonce, c->nonce_bytes);
	tag = stun_build_integrity(b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
	if (tag)
		HMAC(EVP_sha1(), c->key, sizeof(c->key), tag - covered_bytes - 4, covered_bytes,
		     tag, NULL);
}

static bool integrity_is_right(const struct turn_client *c, const struct stun_view *m)
{
	struct stun_attr a;
	uint8_t copy[TURN_CLIENT_DATAGRAM_MAX], tag[20];

	if (!stun_attr_find(m, STUN_ATTR_MESSAGE_INTEGRITY, &a) || a.length_bytes != 20)
		return false;
	memcpy(copy, m->msg, a.offset_bytes);
	bytes_put_be16(copy + 2, (uint16_t)(a.offset_bytes + 24 - STUN_HEADER_BYTES));
	HMAC(EVP_sha1(), c->key, sizeof(c->key), copy, a.offset_bytes, tag, NULL);
	return memcmp(tag, a.value, 20) == 0;
}

// What differs between requests.
struct request {
	uint16_t type;
	bool is_authenticated;
	uint32_t lifetime_s;
	uint16_t channel;
};

static size_t request_build(struct turn_client *c, const struct request *r, uint8_t *out)
{
	struct stun_builder b;
	uint8_t transport[4] = { TURN_TRANSPORT_UDP };
	uint8_t family[4] = { c->relayed_family };
	uint8_t channel[4] = { (uint8_t)(r->channel >> 8), (uint8_t)r->channel };

	stun_build_begin(&b, out, TURN_CLIENT_DATAGRAM_MAX, r->type, c->transaction_id);
	switch (r->type) {
	case TURN_ALLOCATE_REQUEST:
		stun_build_attr(&b, TURN_ATTR_REQUESTED_TRANSPORT, transport, 4);
		if (c->relayed_family == STUN_FAMILY_IPV6)
			stun_build_attr(&b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, family, 4);
		break;
	case TURN_REFRESH_REQUEST:
		stun_build_u32(&b, TURN_ATTR_LIFETIME, r->lifetime_s);
		break;
	case TURN_CHANNEL_BIND_REQUEST:
		stun_build_attr(&b, TURN_ATTR_CHANNEL_NUMBER, channel, 4);
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &c->peer);
		break;
	case TURN_CREATE_PERMISSION_REQUEST:
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &c->peer);
		break;
	}
	if (r->is_authenticated && c->nonce_bytes)
		credentials_add(c, &b);
	return stun_build_end(&b);
}

// One request until an answer of any kind: 0 with the answer's view, or -ETIMEDOUT.
static int request_once(struct turn_client *c, const struct request *r, struct stun_view *answer,
			turn_client_pump_fn pump, void *context)
{
	uint8_t out[TURN_CLIENT_DATAGRAM_MAX];
	uint64_t wait_ns = RETRANSMIT_FIRST_NS, deadline_ns;
	size_t out_bytes;

	RAND_bytes(c->transaction_id, sizeof(c->transaction_id));
	c->answer_bytes = 0;
	out_bytes = request_build(c, r, out);
	if (out_bytes == 0)
		return -EMSGSIZE;
	for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX; attempt++, wait_ns *= 2) {
		// TCP repeats what is lost (RFC 8489 §6.2.2).
		if (c->stream == NULL || attempt == 0)
			(void)turn_client_send(c, out, out_bytes);
		for (deadline_ns = now_ns() + wait_ns; now_ns() < deadline_ns;) {
			pump(context);
			if (c->answer_bytes)
				return stun_parse(c->answer, c->answer_bytes, answer) == STUN_OK
					       ? 0
					       : -EBADMSG;
		}
	}
	return -ETIMEDOUT;
}

static int error_code(const struct stun_view *m)
{
	struct stun_attr a;

	if (!stun_attr_find(m, STUN_ATTR_ERROR_CODE, &a) || a.length_bytes < 4)
		return -EBADMSG;
	return (a.value[2] & 7) * 100 + a.value[3];
}

static void challenge_take(struct turn_client *c, const struct stun_view *m)
{
	struct stun_attr a;

	if (stun_attr_find(m, STUN_ATTR_NONCE, &a) && a.length_bytes <= sizeof(c->nonce)) {
		memcpy(c->nonce, a.value, a.length_bytes);
		c->nonce_bytes = a.length_bytes;
	}
	if (stun_attr_find(m, STUN_ATTR_REALM, &a) && a.length_bytes < sizeof(c->realm)) {
		memcpy(c->realm, a.value, a.length_bytes);
		c->realm[a.length_bytes] = '\0';
		key_derive(c);
	}
}

// A request with long-term credentials: answers the challenge, and a stale nonce, once each.
static int request_run(struct turn_client *c, const struct request *r, struct stun_view *answer,
		       turn_client_pump_fn pump, void *context)
{
	int ret = 0, code;

	for (uint32_t round = 0; round < 3; round++) {
		bool had_nonce = c->nonce_bytes != 0;

		ret = request_once(c, r, answer, pump, context);
		if (ret < 0)
			return ret;
		if ((answer->type & STUN_CLASS_ERROR) == STUN_CLASS_SUCCESS)
			return integrity_is_right(c, answer) ? 0 : -EBADMSG;
		code = error_code(answer);
		if (code == 438 || (code == 401 && !had_nonce)) {
			challenge_take(c, answer);
			ret = code;
			continue;
		}
		return code;
	}
	return ret;
}

int turn_client_allocate(struct turn_client *c, turn_client_pump_fn pump, void *context)
{
	struct request r = { .type = TURN_ALLOCATE_REQUEST, .is_authenticated = true };
	struct stun_view answer;
	struct stun_attr a;
	int ret = request_run(c, &r, &answer, pump, context);

	if (ret)
		return ret;
	if (!stun_attr_find(&answer, TURN_ATTR_XOR_RELAYED_ADDRESS, &a) ||
	    stun_xor_address_get(&answer, &a, &c->relayed) < 0)
		return -EBADMSG;
	if (!stun_attr_find(&answer, STUN_ATTR_XOR_MAPPED_ADDRESS, &a))
		return -EBADMSG;
	return 0;
}

int turn_client_refresh(struct turn_client *c, uint32_t lifetime_s, turn_client_pump_fn pump,
			void *context)
{
	struct request r = { .type = TURN_REFRESH_REQUEST,
			     .is_authenticated = true,
			     .lifetime_s = lifetime_s };
	struct stun_view answer;

	return request_run(c, &r, &answer, pump, context);
}

int turn_client_permit(struct turn_client *c, turn_client_pump_fn pump, void *context)
{
	struct request r = { .type = TURN_CREATE_PERMISSION_REQUEST, .is_authenticated = true };
	struct stun_view answer;

	return request_run(c, &r, &answer, pump, context);
}

int turn_client_bind(struct turn_client *c, uint16_t channel, turn_client_pump_fn pump,
		     void *context)
{
	struct request r = { .type = TURN_CHANNEL_BIND_REQUEST,
			     .is_authenticated = true,
			     .channel = channel };
	struct stun_view answer;
	int ret = request_run(c, &r, &answer, pump, context);

	if (ret == 0)
		c->channel = channel;
	return ret;
}

int turn_client_binding(struct turn_client *c, turn_client_pump_fn pump, void *context)
{
	struct request r = { .type = STUN_BINDING_REQUEST };
	struct ip_endpoint mapped;
	struct stun_view answer;
	struct stun_attr a;
	int ret = request_once(c, &r, &answer, pump, context);

	if (ret < 0)
		return ret;
	if (answer.type != STUN_BINDING_SUCCESS ||
	    !stun_attr_find(&answer, STUN_ATTR_XOR_MAPPED_ADDRESS, &a) ||
	    stun_xor_address_get(&answer, &a, &mapped) < 0 ||
	    !ip_endpoint_equal(&mapped, &c->local))
		return -EBADMSG;
	return 0;
}

size_t turn_client_wrap(struct turn_client *c, const uint8_t *data, size_t size_bytes, uint8_t *out)
{
	struct stun_builder b;
	uint8_t id[12];

	if (c->channel) {
		bytes_put_be16(out, c->channel);
		bytes_put_be16(out + 2, (uint16_t)size_bytes);
		memcpy(out + TURN_CHANNEL_HEADER_BYTES, data, size_bytes);
		return size_bytes + TURN_CHANNEL_HEADER_BYTES;
	}
	RAND_bytes(id, sizeof(id));
	stun_build_begin(&b, out, TURN_CLIENT_DATAGRAM_MAX, TURN_SEND_INDICATION, id);
	stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &c->peer);
	stun_build_attr(&b, TURN_ATTR_DATA, data, (uint16_t)size_bytes);
	return stun_build_end(&b);
}

bool turn_client_receive(struct turn_client *c, const uint8_t *datagram, size_t datagram_bytes,
			 const uint8_t **data, size_t *size_bytes)
{
	struct stun_view m;
	struct stun_attr a;
	uint16_t channel, length_bytes;

	if (turn_channel_data_parse(datagram, datagram_bytes, &channel, &length_bytes)) {
		*data = datagram + TURN_CHANNEL_HEADER_BYTES;
		*size_bytes = length_bytes;
		return channel == c->channel;
	}
	if (stun_parse(datagram, datagram_bytes, &m) != STUN_OK)
		return false;
	if (m.type == TURN_DATA_INDICATION && stun_attr_find(&m, TURN_ATTR_DATA, &a)) {
		*data = a.value;
		*size_bytes = a.length_bytes;
		return true;
	}
	if (!stun_is_request(m.type) && !stun_is_indication(m.type) &&
	    memcmp(m.transaction_id, c->transaction_id, 12) == 0) {
		memcpy(c->answer, datagram, datagram_bytes);
		c->answer_bytes = (uint16_t)datagram_bytes;
	}
	return false;
}
