// Datagrams to TURN over DTLS: bytes as they come, and the flights of clients of OpenSSL with bytes of theirs changed; between
// them time, answers, and streams that end. What is asserted: without a cookie nothing is kept and no more goes out than came
// in; messages come from associations only that shook hands; every association has one stream; nothing is left in the end.
#include <errno.h>
#include <openssl/err.h>
#include <unistd.h>

#include "controlplane/turn/dtls/dtls.h"
#include "tests/dtls/peer.h"
#include "tests/fuzz/fuzz.h"

#define N_CLIENTS   4
#define STREAMS_MAX 3 // fewer than there are clients
#define OPS_MAX     64
#define NS_PER_S    1000000000ull

static struct table_writer tables;
static struct shm_rings *rings;
static struct turn_dtls *dtls;
static struct turn_stream streams[STREAMS_MAX];
static uint32_t n_open, n_messages;
static uint64_t now_ns;

// ---- streams, as far as an association sees them

int turn_streams_open(struct turn_streams *t, const struct turn_stream_params *p,
		      struct turn_stream **out)
{
	for (uint32_t i = 0; i < STREAMS_MAX; i++) {
		struct turn_stream *s = &streams[i];

		if (s->is_open)
			continue;
		*s = (struct turn_stream){ .idx = i + 1,
					   .transport = p->transport,
					   .is_open = true,
					   .client = p->client,
					   .carrier = p->carrier,
					   .carrier_arg = p->carrier_arg };
		FUZZ_ASSERT(p->transport == SHM_TRANSPORT_DTLS);
		n_open++;
		*out = s;
		return 0;
	}
	return -EMFILE;
}

void turn_stream_close(struct turn_stream *s, enum turn_stream_close_reason reason)
{
	FUZZ_ASSERT(reason < TURN_STREAM_CLOSE_COUNT);
	if (!s->is_open)
		return;
	s->is_open = false;
	n_open--;
	s->carrier->close(s, reason);
}

// Echoes, and some messages end their stream.
void turn_streams_receive(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			  uint64_t at_ns, uint64_t wall_ns)
{
	FUZZ_ASSERT(s->is_open && n_bytes > 0 && n_bytes <= SHM_DATAGRAM_BYTES_MAX);
	n_messages++;
	s->carrier->write(s, bytes, n_bytes, 0);
	if (bytes[0] == 'x')
		turn_stream_close(s, TURN_STREAM_CLOSE_FIRST_BYTE);
}

// ---- the server

static void start(void)
{
	static SSL_CTX *context;

	if (context == NULL) {
		context = dtls_peer_context(DTLS_server_method());
		rings = aligned_alloc(64, shm_rings_offset(1, SHM_RING_PUNT));
		FUZZ_ASSERT(rings != NULL);
		memset(rings, 0, shm_rings_offset(1, SHM_RING_PUNT));
	}
	tables.rings_segment.base = rings;
	tables.settings.n_listeners = 1;
	tables.settings.n_locals = 1;
	tables.settings.listener[0].port_be = 0x960d;
	SSL_CTX_up_ref(context);
	FUZZ_ASSERT(turn_dtls_new(context, &tables, NULL, &dtls) == 0);
	now_ns = 1000 * NS_PER_S;
	n_messages = 0;
}

static void client_open(struct dtls_peer *c)
{
	static SSL_CTX *context;

	if (context == NULL)
		context = SSL_CTX_new(DTLS_client_method());
	dtls_peer_open(c, context, 1200);
	SSL_set_connect_state(c->ssl);
}

static void client_close(struct dtls_peer *c)
{
	if (c->ssl != NULL)
		dtls_peer_close(c);
}

static void give(uint32_t client, const uint8_t *bytes, size_t n_bytes)
{
	_Alignas(struct shm_datagram) uint8_t slot[SHM_RING_SLOT_BYTES];
	struct shm_datagram *d = (struct shm_datagram *)slot;
	struct shm_ring *ring = table_writer_ring(&tables, 0, SHM_RING_INJECT);
	uint32_t before = turn_dtls_stats(dtls)->n_associations;
	uint32_t room = shm_ring_room(ring);

	memset(d, 0, sizeof(*d));
	memcpy(d->remote_address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	d->remote_port_be = (uint16_t)(client + 1);
	d->local_port_be = 0x960d;
	d->kind = SHM_DATAGRAM_DTLS;
	memcpy(d->data, bytes, n_bytes);
	turn_dtls_receive(dtls, 0, d, (uint16_t)n_bytes, now_ns, now_ns);
	FUZZ_ASSERT(turn_dtls_stats(dtls)->n_associations == n_open);
	if (before == 0 && n_open == 0 && shm_ring_room(ring) < room)
		FUZZ_ASSERT(shm_ring_room(ring) == room - 1 && n_bytes >= 44);
}

// What the worker sends: to the clients, or to nobody where there is none.
static void carry_out(struct dtls_peer *clients)
{
	struct shm_ring *ring = table_writer_ring(&tables, 0, SHM_RING_INJECT);
	const struct shm_datagram *d;
	uint16_t n_bytes;

	while ((d = shm_ring_peek(ring, &n_bytes)) != NULL) {
		uint32_t client = (uint32_t)d->remote_port_be - 1;

		FUZZ_ASSERT(d->kind == SHM_DATAGRAM_DTLS && d->transport_idx == 0 && n_bytes >= 13);
		FUZZ_ASSERT(d->data[0] >= 20 && d->data[0] <= 63 && client < N_CLIENTS);
		if (clients[client].ssl != NULL)
			(void)!write(clients[client].wire_fd, d->data, n_bytes);
		shm_ring_release(ring);
	}
}

// Lets a client go on, and gives its datagrams with one byte of each changed.
static void advance(struct dtls_peer *clients, uint32_t client, uint16_t at, uint8_t change)
{
	struct dtls_peer *c = &clients[client];
	uint8_t bytes[SHM_DATAGRAM_BYTES_MAX];
	ssize_t n;

	if (c->ssl == NULL)
		client_open(c);
	ERR_clear_error();
	if (!c->is_connected)
		c->is_connected = SSL_do_handshake(c->ssl) == 1;
	else
		SSL_write(c->ssl, change & 1 ? "x" : "hello", change & 1 ? 1 : 5);
	while ((n = read(c->wire_fd, bytes, sizeof(bytes))) > 0) {
		bytes[at % n] ^= change;
		give(client, bytes, (size_t)n);
	}
	carry_out(clients);
	SSL_read(c->ssl, bytes, sizeof(bytes));
	ERR_clear_error();
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct dtls_peer clients[N_CLIENTS] = { 0 };
	const uint8_t *end = data + n;

	start();
	for (uint32_t ops = 0; ops < OPS_MAX && end - data >= 4; ops++) {
		uint32_t client = data[0] >> 2 & 3;
		uint16_t number = (uint16_t)(data[1] << 8 | data[2]);
		uint8_t kind = data[0] & 3, byte = data[3];

		data += 4;
		switch (kind) {
		case 0: {
			size_t n_bytes =
				(size_t)(end - data) < number ? (size_t)(end - data) : number;

			if (n_bytes > SHM_DATAGRAM_BYTES_MAX)
				n_bytes = SHM_DATAGRAM_BYTES_MAX;
			give(client, data, n_bytes);
			data += n_bytes;
			carry_out(clients);
			break;
		}
		case 1:
			advance(clients, client, number, byte);
			break;
		case 2:
			now_ns += (uint64_t)number * NS_PER_S / 16;
			turn_dtls_tick(dtls, now_ns);
			carry_out(clients);
			break;
		default:
			// A client that lost its state, a worker's data, or the end of a stream.
			if (byte & 1)
				client_close(&clients[client]);
			else if (client < STREAMS_MAX && streams[client].is_open && byte & 2)
				turn_stream_close(&streams[client], TURN_STREAM_CLOSE_KILLED);
			else if (client < STREAMS_MAX && streams[client].is_open)
				streams[client].carrier->write(
					&streams[client], (const uint8_t *)"\x40\0\0\0", 4, now_ns);
			carry_out(clients);
			break;
		}
	}
	FUZZ_ASSERT(n_messages == 0 || turn_dtls_stats(dtls)->n_connected > 0);
	now_ns += TURN_DTLS_HANDSHAKE_S * NS_PER_S;
	turn_dtls_tick(dtls, now_ns);
	FUZZ_ASSERT(turn_dtls_stats(dtls)->n_handshakes == 0);
	carry_out(clients);
	turn_dtls_free(dtls);
	carry_out(clients);
	FUZZ_ASSERT(n_open == 0);
	for (uint32_t i = 0; i < N_CLIENTS; i++)
		client_close(&clients[i]);
}
