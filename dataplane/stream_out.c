// To stream clients: what peers send becomes ChannelData or a Data indication in the worker's stream ring, from where the control
// plane writes it to the socket (RFC 8656 §11.4, §12.6). Framed where it is read, so it is copied once. Worker thread; the producing
// end of its stream ring.
#include "dataplane/contract/shm/ring.h"
#include "dataplane/relay.h"
#include "dataplane/stream.h"

static void stream_one(struct dp_worker *w, struct dp_packet *p)
{
	uint32_t prefix_bytes = dp_relay_prefix_bytes(p);
	uint32_t message_bytes = prefix_bytes + p->data_bytes;
	uint32_t pad_bytes = -message_bytes & 3; // RFC 8656 §12.5: over a stream ChannelData has it
	struct shm_datagram *d;

	if (message_bytes + pad_bytes > SHM_DATAGRAM_BYTES_MAX) {
		dp_drop(w, p, DP_DROP_STREAM_TOO_BIG);
		return;
	}
	d = shm_stream_ring_reserve(w->stream);
	if (d == NULL) {
		dp_drop(w, p, DP_DROP_STREAM_FULL);
		return;
	}
	*d = (struct shm_datagram){
		.local_idx = SHM_LOCAL_STREAM,
		.kind = SHM_DATAGRAM_STREAM,
		.at_ns = w->now_ns,
		.length_bytes = (uint16_t)(message_bytes + pad_bytes),
	};
	memcpy(d->remote_address, p->destination.address.bytes, sizeof(d->remote_address));
	dp_relay_prefix_write(w, p, d->data);
	memcpy(d->data + prefix_bytes, p->frame + p->data_offset, p->data_bytes);
	memset(d->data + message_bytes, 0, pad_bytes);
	shm_ring_commit(w->stream);
	w->count[DP_COUNTER_STREAM_OUT]++;
	dp_relay_sent(w, p);
	dp_done(w, p);
}

bool dp_stream_put(struct dp_worker *w, const struct ip_address *stream, const void *message,
		   uint32_t message_bytes)
{
	struct shm_datagram *d = shm_stream_ring_reserve(w->stream);

	if (d == NULL)
		return false;
	*d = (struct shm_datagram){
		.local_idx = SHM_LOCAL_STREAM,
		.kind = SHM_DATAGRAM_STREAM,
		.at_ns = w->now_ns,
		.length_bytes = (uint16_t)message_bytes,
	};
	memcpy(d->remote_address, stream->bytes, sizeof(d->remote_address));
	memcpy(d->data, message, message_bytes);
	shm_ring_commit(w->stream);
	dp_ring_wake(w, w->stream);
	return true;
}

void dp_stream_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		stream_one(w, in[i]);
	dp_ring_wake(w, w->stream);
}
