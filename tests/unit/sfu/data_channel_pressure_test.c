// Readers that are too slow: what is queued, what is dropped, what is closed.
#include "tests/unit/sfu/data_rig.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_BYTES 65536

static struct data_rig rig;
static struct rig_end *a;
static struct rig_end *b;
static struct data_message *chunk;

static void rig_connected(void)
{
	uint8_t *bytes = calloc(1, CHUNK_BYTES);

	data_rig_open(&rig, 1);
	data_rig_connect(&rig);
	a = &rig.links[0].a;
	b = &rig.links[0].b;
	chunk = data_message_new(bytes, CHUNK_BYTES, true);
	free(bytes);
}

static void rig_close(void)
{
	data_message_unref(chunk);
	data_rig_close(&rig);
}

TestSuite(data_channel_pressure, .init = rig_connected, .fini = rig_close);

static struct data_channel *opened(enum sctp_reliability reliability)
{
	struct dcep_open what = data_rig_channel("x", false, reliability, 100);
	struct data_channel *c;

	cr_assert_eq(data_channel_open(b->peer, &what, &c), 0);
	data_rig_run(&rig, 100);
	cr_assert_eq(a->n_opened, 1);
	return c;
}

// More than SCTP buffers is queued, counted, and delivered once the reader reads.
Test(data_channel_pressure, back_pressure_is_counted_and_nothing_lost)
{
	struct data_channel *c = opened(SCTP_RELIABLE);

	rig.links[0].is_cut = true;
	for (int i = 0; i < 16; i++)
		cr_assert_eq(data_channel_send(c, chunk), 0);
	cr_assert_gt(data_channel_peer_counters(b->peer)->n_queued, 4);
	cr_assert_eq(a->n_received, 0);
	rig.links[0].is_cut = false;
	data_rig_run(&rig, 30000);
	cr_assert_eq(a->n_received, 16);
	cr_assert_eq(data_channel_peer_counters(b->peer)->n_dropped, 0);
}

Test(data_channel_pressure, a_slow_reader_of_a_reliable_channel_loses_the_channel)
{
	struct data_channel *c = opened(SCTP_RELIABLE);
	int n_taken = 0;
	int ret;

	rig.links[0].is_cut = true;
	while ((ret = data_channel_send(c, chunk)) == 0)
		n_taken++;
	cr_assert_eq(ret, -EPIPE);
	// The queue and SCTP's buffer, no more.
	cr_assert(n_taken >= 16 && n_taken <= 26, "%d", n_taken);
	cr_assert_eq(b->n_closed, 1);
	cr_assert_eq(b->closed[0], c);
	cr_assert_eq(b->close_reason[0], DATA_CHANNEL_CLOSE_SLOW);
	cr_assert_eq(data_channel_peer_counters(b->peer)->n_closed[DATA_CHANNEL_CLOSE_SLOW], 1);
	cr_assert_eq(data_channel_send(c, chunk), -EPIPE);
	// The association lives on, and the reader sees its channel close.
	rig.links[0].is_cut = false;
	data_rig_run(&rig, 30000);
	cr_assert_eq(a->n_lost, 0);
	cr_assert_eq(a->n_closed, 1);
	cr_assert_eq(a->close_reason[0], DATA_CHANNEL_CLOSE_BY_PEER);
}

Test(data_channel_pressure, a_slow_reader_of_a_lossy_channel_loses_messages)
{
	struct data_channel *c = opened(SCTP_RETRANSMITS);
	int n_dropped = 0;

	rig.links[0].is_cut = true;
	for (int i = 0; i < 40; i++) {
		int ret = data_channel_send(c, chunk);

		cr_assert(ret == 0 || ret == -ENOBUFS, "%d", ret);
		n_dropped += ret == -ENOBUFS;
	}
	cr_assert_gt(n_dropped, 20);
	cr_assert_eq(data_channel_peer_counters(b->peer)->n_dropped, (uint64_t)n_dropped);
	cr_assert_eq(b->n_closed, 0);
	rig.links[0].is_cut = false;
	data_rig_run(&rig, 30000);
	cr_assert_eq(data_rig_send(c, "still here"), 0);
	data_rig_run(&rig, 1000);
	data_rig_is_text(&a->received[a->n_received - 1], "still here");
}

// Closing waits for what is queued.
Test(data_channel_pressure, rfc8831_6_7_close_delivers_the_queue_first)
{
	struct data_channel *c = opened(SCTP_RELIABLE);

	rig.links[0].is_cut = true;
	for (int i = 0; i < 16; i++)
		cr_assert_eq(data_channel_send(c, chunk), 0);
	data_channel_close(c);
	cr_assert_eq(data_channel_send(c, chunk), -EPIPE);
	rig.links[0].is_cut = false;
	data_rig_run(&rig, 30000);
	cr_assert_eq(a->n_received, 16);
	cr_assert_eq(a->n_closed, 1);
}

// RFC 9260 §8.1: a peer that is gone is noticed, and all is told.
Test(data_channel_pressure, rfc9260_8_1_a_peer_that_is_gone)
{
	struct data_channel *c = opened(SCTP_RELIABLE);

	rig.links[0].is_cut = true;
	cr_assert_eq(data_rig_send(c, "anybody?"), 0);
	data_rig_run(&rig, 120000);
	cr_assert_eq(b->n_lost, 1);
	cr_assert_eq(b->lost, SCTP_CLOSE_LOST);
	cr_assert_eq(b->n_closed, 1);
	cr_assert_eq(b->close_reason[0], DATA_CHANNEL_CLOSE_LOST);
}
