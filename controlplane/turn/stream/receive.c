// What a client's messages become: requests are answered here, data goes to a worker. Control plane's loop thread; writes
// the inject rings.
#include <string.h>

#include "controlplane/turn/stream/framing.h"
#include "controlplane/turn/stream/stream_private.h"
#include "dataplane/contract/wire/stun.h"

static struct shm_ring *inject_ring(const struct turn_stream *s)
{
	const struct table_writer *w = s->streams->tables;

	return table_writer_ring(w, s->idx % w->settings.n_workers, SHM_RING_INJECT);
}

bool turn_streams_has_room(const struct turn_stream *s)
{
	// Answers to UDP clients come first.
	return shm_ring_room(inject_ring(s)) > SHM_RING_SLOTS / 2;
}

bool turn_stream_allocation_exists(const struct turn_stream *s)
{
	struct shm_flow_key key = { .local_idx = SHM_LOCAL_STREAM, .kind = SHM_FLOW_ALLOCATION };

	shm_stream_address(s->idx, s->serial, key.address);
	return table_writer_flow_find(s->streams->tables, &key) != 0;
}

static void inject(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes, uint64_t now_ns)
{
	struct turn_streams_stats *stats = &s->streams->stats;
	struct shm_ring *ring = inject_ring(s);
	struct shm_datagram *d;

	if (n_bytes > SHM_DATAGRAM_BYTES_MAX) {
		stats->n_dropped_inject_size++;
		return;
	}
	d = turn_streams_has_room(s) ? shm_ring_reserve(ring) : NULL;
	if (d == NULL) {
		stats->n_dropped_inject_full++;
		return;
	}
	memset(d, 0, sizeof(*d));
	shm_stream_address(s->idx, s->serial, d->remote_address);
	d->local_idx = SHM_LOCAL_STREAM;
	d->kind = SHM_DATAGRAM_STREAM;
	// RFC 8656 §15: the connection's DSCP, Not-ECT.
	d->traffic_class = (uint8_t)(s->dscp << 2);
	d->at_ns = now_ns;
	d->length_bytes = (uint16_t)n_bytes;
	memcpy(d->data, bytes, n_bytes);
	shm_ring_commit(ring);
	stats->n_messages_in++;
}

static bool binding_knows(uint16_t type)
{
	switch (type) {
	case STUN_ATTR_MAPPED_ADDRESS:
	case STUN_ATTR_USERNAME:
	case STUN_ATTR_MESSAGE_INTEGRITY:
	case STUN_ATTR_MESSAGE_INTEGRITY_SHA256:
	case STUN_ATTR_ERROR_CODE:
	case STUN_ATTR_UNKNOWN_ATTRIBUTES:
	case STUN_ATTR_REALM:
	case STUN_ATTR_NONCE:
	case STUN_ATTR_XOR_MAPPED_ADDRESS:
		return true;
	default:
		return false;
	}
}

// RFC 8489 §7.2.2; nobody has to authenticate for it.
static size_t answer_binding(const struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			     uint8_t *out, size_t out_bytes)
{
	struct stun_attr fingerprint;
	uint16_t unknown[16];
	struct stun_builder b;
	struct stun_view msg;
	bool has_fingerprint;
	uint32_t n_unknown;

	if (stun_parse(bytes, n_bytes, &msg) != STUN_OK)
		return 0;
	has_fingerprint = stun_attr_find(&msg, STUN_ATTR_FINGERPRINT, &fingerprint);
	if (has_fingerprint && !stun_fingerprint_ok(&msg, &fingerprint))
		return 0;
	n_unknown = stun_unknown_attrs(&msg, binding_knows, unknown,
				       sizeof(unknown) / sizeof(unknown[0]));
	if (n_unknown > 0) {
		stun_build_begin(&b, out, out_bytes, STUN_BINDING_ERROR, msg.transaction_id);
		stun_build_error_code(&b, 420, "");
		for (uint32_t i = 0; i < n_unknown; i++)
			unknown[i] = __builtin_bswap16(unknown[i]);
		stun_build_attr(&b, STUN_ATTR_UNKNOWN_ATTRIBUTES, unknown,
				(uint16_t)(n_unknown * sizeof(unknown[0])));
	} else {
		stun_build_begin(&b, out, out_bytes, STUN_BINDING_SUCCESS, msg.transaction_id);
		stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &s->client);
	}
	if (has_fingerprint)
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}

static void request_again(void *arg, const struct turn_request *in);

static void handle_request(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			   uint64_t now_ns, uint64_t wall_ns, uint64_t waiting_since_ns)
{
	struct turn_request request = {
		.client = s->client,
		.local_idx = SHM_LOCAL_STREAM,
		.realm_idx = s->realm_idx,
		.transport = s->transport,
		.stream = { s->idx, s->serial },
		.bytes = bytes,
		.len_bytes = n_bytes,
		.now_ns = now_ns,
		.wall_ns = wall_ns,
		.again = request_again,
		.again_arg = s->streams,
		.waiting_since_ns = waiting_since_ns,
	};
	uint8_t answer[TURN_ANSWER_BYTES_MAX];
	size_t answer_bytes;
	bool had_allocation;

	s->streams->stats.n_requests++;
	if (bytes_get_be16(bytes) == STUN_BINDING_REQUEST)
		answer_bytes = answer_binding(s, bytes, n_bytes, answer, sizeof(answer));
	else
		answer_bytes =
			turn_server_handle(s->streams->turn, &request, answer, sizeof(answer));
	if (!s->is_open)
		return;
	if (answer_bytes > 0) {
		s->n_bytes_out += answer_bytes;
		s->carrier->write(s, answer, answer_bytes, 0);
		if (!s->is_open)
			return;
	}
	if (s->pipe != NULL && !s->pipe_started) {
		s->pipe_started = true;
		if (s->carrier->begin_raw != NULL)
			s->carrier->begin_raw(s);
		s->pipe->start(s->pipe_arg, s);
		return;
	}
	had_allocation = s->has_allocation;
	s->has_allocation = turn_stream_allocation_exists(s);
	if (had_allocation && !s->has_allocation)
		s->unallocated_at_ns = now_ns;
}

// Its user is known now; the stream may have ended meanwhile.
static void request_again(void *arg, const struct turn_request *in)
{
	struct turn_stream *s = turn_streams_find(arg, in->stream.idx, in->stream.serial);

	if (s != NULL && s->pipe == NULL)
		handle_request(s, in->bytes, in->len_bytes, in->now_ns, in->wall_ns,
			       in->waiting_since_ns);
}

void turn_streams_receive(struct turn_stream *s, const uint8_t *bytes, size_t n_bytes,
			  uint64_t now_ns, uint64_t wall_ns)
{
	size_t message_bytes;
	uint16_t type;

	// Over DTLS the padding is optional, and nobody framed what came.
	if (n_bytes < 4 ||
	    (turn_framing_next(bytes, n_bytes, &message_bytes) != TURN_FRAMING_MESSAGE &&
	     bytes[0] < 0x40)) {
		s->streams->stats.n_ignored_in++;
		return;
	}
	s->n_bytes_in += n_bytes;
	type = bytes_get_be16(bytes);
	if (bytes[0] >= 0x40 || type == TURN_SEND_INDICATION)
		inject(s, bytes, n_bytes, now_ns);
	else if (stun_is_request(type))
		handle_request(s, bytes, n_bytes, now_ns, wall_ns, 0);
	else
		s->streams->stats.n_ignored_in++;
}
