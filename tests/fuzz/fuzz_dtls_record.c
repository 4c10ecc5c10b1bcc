// Datagrams to a DTLS server and a client of ours, before and in their handshakes: several per input, each
// behind its 16-bit length. Whatever comes, no key is released, nothing is delivered, and what is sent back
// keeps to the MTU.
#include <unistd.h>

#include "controlplane/sfu/dtls.h"
#include "dataplane/contract/wire/bytes.h"
#include "tests/fuzz/fuzz.h"

#define DATAGRAMS_MAX 16

struct end {
	uint32_t n_sent;
	uint32_t n_closed;
};

static void on_send(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct end *e = context;

	FUZZ_ASSERT(n_bytes >= 13 && n_bytes <= DTLS_MTU_BYTES);
	FUZZ_ASSERT(datagram[0] >= 20 && datagram[0] <= 63);
	FUZZ_ASSERT(e->n_closed == 0);
	e->n_sent++;
}

// The fingerprint that is expected has no certificate.
static void on_keys(void *context, const struct dtls_keys *keys)
{
	FUZZ_ASSERT(keys == NULL);
}

static void on_data(void *context, const uint8_t *bytes, size_t n_bytes)
{
	FUZZ_ASSERT(bytes == NULL);
}

static void on_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	struct end *e = context;

	FUZZ_ASSERT(e->n_closed++ == 0 && detail != NULL);
	FUZZ_ASSERT(reason != DTLS_CLOSE_NONE && reason != DTLS_CLOSE_BY_US);
}

static struct dtls_context *context(void)
{
	static struct dtls_context *c;
	char dir[] = "/tmp/turnpike-fuzz-XXXXXX";
	char path[64];

	if (c != NULL)
		return c;
	FUZZ_ASSERT(mkdtemp(dir) != NULL);
	FUZZ_ASSERT(dtls_context_new(dir, &c) == 0);
	snprintf(path, sizeof(path), "%s/dtls.pem", dir);
	unlink(path);
	rmdir(dir);
	return c;
}

static void run(enum dtls_role role, const uint8_t *data, size_t n)
{
	static const struct dtls_callbacks callbacks = { on_send, on_keys, on_data, on_closed };
	const struct sdp_fingerprint f = { .hash = SDP_HASH_SHA256, .n_bytes = 32 };
	struct bytes_reader r = bytes_reader_init(data, n);
	struct end e = { 0 };
	struct dtls_session *s;
	const uint8_t *length;

	FUZZ_ASSERT(dtls_session_new(context(), role, &f, 1, &callbacks, &e, &s) == 0);
	FUZZ_ASSERT(dtls_session_start(s) == 0);
	for (int i = 0; i < DATAGRAMS_MAX && (length = bytes_take(&r, 2)) != NULL; i++) {
		size_t n_bytes = bytes_get_be16(length);
		uint16_t message_seq;

		if (n_bytes > bytes_left(&r))
			n_bytes = bytes_left(&r);
		if (dtls_is_client_hello(r.at, n_bytes, &message_seq))
			FUZZ_ASSERT(n_bytes >= 25 && r.at[0] == 22 && r.at[13] == 1);
		dtls_session_receive(s, r.at, n_bytes);
		bytes_take(&r, n_bytes);
		FUZZ_ASSERT(dtls_session_timeout_ms(s) >= -1);
		FUZZ_ASSERT(!dtls_session_is_connected(s));
	}
	dtls_session_timer(s);
	dtls_session_free(s);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	run(DTLS_ROLE_SERVER, data, n);
	run(DTLS_ROLE_CLIENT, data, n);
}
