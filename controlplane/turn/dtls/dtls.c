// The associations of TURN over DTLS: which there are, what begins one, datagrams in and out. Control plane's loop
// thread; writes inject rings.
#include "controlplane/turn/dtls/dtls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/dtls/dtls_private.h"
#include "controlplane/turn/source.h"
#include "dataplane/contract/wire/challenge.h"

// ---- life

int turn_dtls_new(SSL_CTX *context, struct table_writer *tables, struct turn_streams *streams,
		  struct turn_dtls **out)
{
	struct turn_dtls *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (d == NULL) {
		SSL_CTX_free(context);
		return -ENOMEM;
	}
	d->context = context;
	d->tables = tables;
	d->streams = streams;
	d->bio = dtls_datagram_bio_method_new();
	if (d->bio == NULL || turn_dtls_context_prepare(context) < 0 ||
	    RAND_priv_bytes(d->cookie_secret, sizeof(d->cookie_secret)) != 1) {
		turn_dtls_free(d);
		return -EIO;
	}
	*out = d;
	return 0;
}

void turn_dtls_free(struct turn_dtls *d)
{
	if (d == NULL)
		return;
	for (uint32_t i = 0; i < TURN_DTLS_BUCKETS; i++)
		while (d->bucket[i] != NULL)
			turn_stream_close(d->bucket[i]->stream, TURN_STREAM_CLOSE_SHUTDOWN);
	SSL_CTX_free(d->context);
	BIO_meth_free(d->bio);
	OPENSSL_cleanse(d, sizeof(*d));
	free(d);
}

int turn_dtls_reload(struct turn_dtls *d, SSL_CTX *context)
{
	if (turn_dtls_context_prepare(context) < 0) {
		SSL_CTX_free(context);
		return -EIO;
	}
	SSL_CTX_free(d->context);
	d->context = context;
	return 0;
}

const struct turn_dtls_stats *turn_dtls_stats(const struct turn_dtls *d)
{
	return &d->stats;
}

// ---- which there are

// Keyed, so that nobody can choose addresses that meet in one bucket.
static uint32_t bucket_of(const struct turn_dtls *d, const struct turn_dtls_ends *ends)
{
	uint8_t message[16 + 2 + 2 + 1], hash[16];

	memcpy(message, ends->client.address.bytes, 16);
	memcpy(message + 16, &ends->client.port_be, 2);
	memcpy(message + 18, &ends->local_port_be, 2);
	message[20] = ends->local_idx;
	siphash128(d->cookie_secret, message, sizeof(message), hash);
	return bytes_get_be32(hash) % TURN_DTLS_BUCKETS;
}

static bool is_same(const struct turn_dtls_ends *a, const struct turn_dtls_ends *b)
{
	return ip_endpoint_equal(&a->client, &b->client) && a->local_idx == b->local_idx &&
	       a->local_port_be == b->local_port_be;
}

struct turn_dtls_association *turn_dtls_find(struct turn_dtls *d, const struct turn_dtls_ends *ends)
{
	struct turn_dtls_association *a = d->bucket[bucket_of(d, ends)];

	while (a != NULL && !is_same(&a->ends, ends))
		a = a->bucket_next;
	return a;
}

void turn_dtls_link(struct turn_dtls *d, struct turn_dtls_association *a)
{
	uint32_t bucket = bucket_of(d, &a->ends);

	a->bucket_next = d->bucket[bucket];
	d->bucket[bucket] = a;
	a->handshake_next = d->handshakes;
	if (d->handshakes != NULL)
		d->handshakes->handshake_prev = a;
	d->handshakes = a;
	d->stats.n_associations++;
	d->stats.n_handshakes++;
}

void turn_dtls_handshake_done(struct turn_dtls *d, struct turn_dtls_association *a)
{
	if (a->handshake_prev != NULL)
		a->handshake_prev->handshake_next = a->handshake_next;
	else if (d->handshakes == a)
		d->handshakes = a->handshake_next;
	else
		return;
	if (a->handshake_next != NULL)
		a->handshake_next->handshake_prev = a->handshake_prev;
	a->handshake_next = a->handshake_prev = NULL;
	d->stats.n_handshakes--;
}

void turn_dtls_unlink(struct turn_dtls *d, struct turn_dtls_association *a)
{
	struct turn_dtls_association **at = &d->bucket[bucket_of(d, &a->ends)];

	turn_dtls_handshake_done(d, a);
	while (*at != a)
		at = &(*at)->bucket_next;
	*at = a->bucket_next;
	d->stats.n_associations--;
}

// ---- datagrams

bool turn_dtls_send(struct turn_dtls *d, const struct turn_dtls_ends *ends, uint32_t worker_idx,
		    uint64_t l2_word, bool is_data, const uint8_t *bytes, size_t n_bytes)
{
	struct shm_ring *ring = table_writer_ring(d->tables, worker_idx, SHM_RING_INJECT);
	struct shm_datagram *out;

	if (n_bytes > SHM_DATAGRAM_BYTES_MAX) {
		d->stats.n_dropped_size++;
		return false;
	}
	out = is_data && shm_ring_room(ring) <= SHM_RING_SLOTS / 2 ? NULL : shm_ring_reserve(ring);
	if (out == NULL) {
		d->stats.n_dropped_inject_full++;
		return false;
	}
	memset(out, 0, sizeof(*out));
	memcpy(out->remote_address, ends->client.address.bytes, 16);
	out->remote_port_be = ends->client.port_be;
	out->local_port_be = ends->local_port_be;
	out->local_idx = ends->local_idx;
	out->kind = SHM_DATAGRAM_DTLS;
	out->l2_word = l2_word;
	out->length_bytes = (uint16_t)n_bytes;
	memcpy(out->data, bytes, n_bytes);
	shm_ring_commit(ring);
	return true;
}

// The listener's realm, -ENOENT when there is no such listener.
static int realm_of(const struct turn_dtls *d, const struct turn_dtls_ends *ends)
{
	const struct shm_settings *settings = &d->tables->settings;

	for (uint32_t i = 0; i < settings->n_listeners; i++)
		if (settings->listener[i].local_idx == ends->local_idx &&
		    settings->listener[i].port_be == ends->local_port_be)
			return settings->listener[i].realm_idx;
	return -ENOENT;
}

// Whether one more handshake may begin. Where it would be one too many, the oldest of the source or of all gives way once it
// has had TURN_DTLS_HANDSHAKE_SURE_S: whoever begins and never ends them keeps nobody out for longer. `old` is about to
// end anyway.
static bool make_room(struct turn_dtls *d, const struct ip_address *client,
		      const struct turn_dtls_association *old, uint64_t now_ns)
{
	struct turn_dtls_association *a, *oldest = NULL, *oldest_of_source = NULL;
	uint32_t n_of_source = 0;

	// The newest comes first.
	for (a = d->handshakes; a != NULL; a = a->handshake_next) {
		oldest = a;
		if (turn_is_same_source(&a->ends.client.address, client)) {
			oldest_of_source = a;
			n_of_source++;
		}
	}
	if (n_of_source >= TURN_DTLS_HANDSHAKES_PER_SOURCE_MAX)
		oldest = oldest_of_source;
	else if (d->stats.n_handshakes < TURN_DTLS_HANDSHAKES_MAX)
		return true;
	if (now_ns - oldest->opened_at_ns < TURN_DTLS_HANDSHAKE_SURE_S * 1000000000ull)
		return false;
	if (oldest != old) {
		d->stats.n_displaced++;
		turn_stream_close(oldest->stream, TURN_STREAM_CLOSE_NO_HANDSHAKE);
	}
	return true;
}

// A ClientHello that belongs to no association, or to a new one in the place of `old`. The association when its
// cookie is good; without one it is asked for.
static struct turn_dtls_association *greet(struct turn_dtls *d, const struct turn_dtls_ends *ends,
					   const struct turn_dtls_hello *hello,
					   struct turn_dtls_association *old, uint32_t worker_idx,
					   const struct shm_datagram *in, uint16_t n_bytes,
					   uint64_t now_ns)
{
	uint8_t cookie[TURN_DTLS_COOKIE_BYTES], verify[TURN_DTLS_VERIFY_BYTES];
	struct turn_dtls_association *a = NULL;
	int realm_idx = realm_of(d, ends);

	// A first answer is never longer than what it answers.
	if (realm_idx < 0 || n_bytes < sizeof(verify)) {
		d->stats.n_ignored++;
		return NULL;
	}
	if (!turn_dtls_cookie_is_good(d->cookie_secret, ends, now_ns, hello->cookie,
				      hello->cookie_bytes)) {
		d->stats.n_cookies_refused += hello->cookie_bytes > 0;
		d->stats.n_cookies++;
		turn_dtls_cookie_make(d->cookie_secret, ends, now_ns, cookie);
		turn_dtls_verify_build(cookie, verify);
		turn_dtls_send(d, ends, worker_idx, in->l2_word, false, verify, sizeof(verify));
		return NULL;
	}
	// What follows the first HelloVerifyRequest; our own state of the handshake stands there.
	if (hello->message_seq != 1) {
		d->stats.n_ignored++;
		return NULL;
	}
	if (!make_room(d, &ends->client.address, old, now_ns)) {
		d->stats.n_refused_handshakes++;
		return NULL;
	}
	if (old != NULL) {
		d->stats.n_restarted++;
		turn_stream_close(old->stream, TURN_STREAM_CLOSE_CLIENT);
	}
	if (turn_dtls_association_new(d, ends, hello, (uint8_t)realm_idx, now_ns, &a) < 0) {
		d->stats.n_refused_handshakes++;
		return NULL;
	}
	return a;
}

void turn_dtls_receive(struct turn_dtls *d, uint32_t worker_idx, const struct shm_datagram *in,
		       uint16_t n_bytes, uint64_t now_ns, uint64_t wall_ns)
{
	struct turn_dtls_ends ends = { .local_port_be = in->local_port_be,
				       .local_idx = in->local_idx };
	struct turn_dtls_association *a;
	struct turn_dtls_hello hello;

	d->stats.n_records_in++;
	if (n_bytes < TURN_DTLS_RECORD_BYTES) {
		d->stats.n_ignored++;
		return;
	}
	memcpy(ends.client.address.bytes, in->remote_address, 16);
	ends.client.port_be = in->remote_port_be;
	a = turn_dtls_find(d, &ends);
	// The same ClientHello once more is for OpenSSL, whose answer was lost.
	if (turn_dtls_hello_parse(in->data, n_bytes, &hello) &&
	    (a == NULL || hello.cookie_bytes == 0 ||
	     CRYPTO_memcmp(hello.random, a->random, sizeof(a->random)) != 0))
		a = greet(d, &ends, &hello, a, worker_idx, in, n_bytes, now_ns);
	else if (a == NULL)
		d->stats.n_ignored++;
	if (a == NULL)
		return;
	a->worker_idx = worker_idx;
	a->l2_word = in->l2_word;
	turn_dtls_association_receive(a, in->data, n_bytes, now_ns, wall_ns);
}

void turn_dtls_tick(struct turn_dtls *d, uint64_t now_ns)
{
	struct turn_dtls_association *a, *next;

	for (a = d->handshakes; a != NULL; a = next) {
		next = a->handshake_next;
		if (now_ns - a->opened_at_ns >= TURN_DTLS_HANDSHAKE_S * 1000000000ull) {
			d->stats.n_failed++;
			turn_stream_close(a->stream, TURN_STREAM_CLOSE_NO_HANDSHAKE);
		} else {
			turn_dtls_association_timer(a);
		}
	}
}
