// The control plane's side of the inject and the stream ring.
#include "tests/burst/streaming.h"

#include <criterion/criterion.h>

uint8_t stream_traffic_class;

void stream_put(const char *client, const void *bytes, uint16_t n)
{
	struct shm_datagram *d = shm_ring_reserve(worker->inject);

	cr_assert_not_null(d, "the inject ring is full");
	*d = (struct shm_datagram){
		.local_idx = SHM_LOCAL_STREAM,
		.kind = SHM_DATAGRAM_STREAM,
		.traffic_class = stream_traffic_class,
		.length_bytes = n,
	};
	memcpy(d->remote_address, endpoint(client).address.bytes, sizeof(d->remote_address));
	memcpy(d->data, bytes, n);
	shm_ring_commit(worker->inject);
}

void stream_send(const char *client, const void *bytes, uint16_t n)
{
	stream_put(client, bytes, n);
	poll_once();
}

void stream_send_channel(const char *client, uint16_t channel, uint16_t n)
{
	data_fill(n);
	stream_send(client, message,
		    (uint16_t)channel_data(message, channel, data, n, -(uint32_t)n & 3));
}

const struct shm_datagram *streamed(uint16_t *length_bytes)
{
	static struct {
		struct shm_datagram datagram;
		uint8_t data[SHM_DATAGRAM_BYTES_MAX];
	} copy;
	const struct shm_datagram *d = shm_stream_ring_peek(worker->stream, length_bytes);

	if (d == NULL)
		return NULL;
	memcpy(&copy, d, sizeof(*d) + *length_bytes);
	shm_ring_release(worker->stream);
	return &copy.datagram;
}

static const struct shm_datagram *streamed_to(const char *client, uint16_t *n)
{
	const struct shm_datagram *d = streamed(n);

	cr_assert_not_null(d, "nothing for the client");
	cr_assert_eq(d->kind, SHM_DATAGRAM_STREAM);
	cr_assert_eq(d->local_idx, SHM_LOCAL_STREAM);
	cr_assert_eq(d->remote_port_be, 0);
	cr_assert_eq(d->transport_idx, 0);
	cr_assert(d->at_ns <= worker->now_ns && worker->now_ns - d->at_ns < 1000000000);
	cr_assert_arr_eq(d->remote_address, endpoint(client).address.bytes, 16, "not for %s",
			 client);
	return d;
}

void expect_nothing_streamed(void)
{
	uint16_t n;

	cr_assert_null(streamed(&n), "something for a stream client");
}

void expect_streamed(const char *client, const void *bytes, uint16_t n)
{
	uint16_t there;
	const struct shm_datagram *d = streamed_to(client, &there);

	cr_assert_eq(there, n, "%u bytes instead of %u", there, n);
	cr_assert_arr_eq(d->data, bytes, n);
	expect_nothing_streamed();
}

void expect_streamed_channel_data(const char *client, uint16_t channel, uint16_t n)
{
	uint32_t bytes = channel_data(message, channel, data, n, -(uint32_t)n & 3);

	memset(message + 4 + n, 0, bytes - 4 - n);
	expect_streamed(client, message, (uint16_t)bytes);
}

void expect_streamed_data(const char *client, const char *peer, uint16_t n)
{
	uint16_t there;
	const struct shm_datagram *d = streamed_to(client, &there);

	assert_data_indication(d->data, there, peer, n);
	expect_nothing_streamed();
}
