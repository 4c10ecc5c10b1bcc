// Data channels between two peers: opening, messages, loss, closing.
#include "tests/unit/sfu/data_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct data_rig rig;
static struct rig_end *a;
static struct rig_end *b;

static void rig_connected(void)
{
	data_rig_open(&rig, 1);
	data_rig_connect(&rig);
	a = &rig.links[0].a;
	b = &rig.links[0].b;
}

static void rig_close(void)
{
	data_rig_close(&rig);
}

TestSuite(data_channel, .init = rig_connected, .fini = rig_close);

static struct data_channel *opened(struct rig_end *e, struct dcep_open what)
{
	struct data_channel *c;

	cr_assert_eq(data_channel_open(e->peer, &what, &c), 0);
	return c;
}

Test(data_channel, rfc8832_6_open_and_ack_from_both_ends)
{
	struct data_channel *of_client =
		opened(a, data_rig_channel("chat", true, SCTP_RETRANSMITS, 7));
	struct data_channel *of_server = opened(b, data_rig_channel("", false, SCTP_RELIABLE, 0));
	const struct dcep_open *what;

	// RFC 8832 §6: even streams are the DTLS client's.
	cr_assert_eq(data_channel_stream(of_client) % 2, 0);
	cr_assert_eq(data_channel_stream(of_server) % 2, 1);
	data_rig_run(&rig, 100);
	cr_assert_eq(a->n_opened, 1);
	cr_assert_eq(b->n_opened, 1);
	what = data_channel_info(b->opened[0]);
	cr_assert_eq(what->label_bytes, 4);
	cr_assert_eq(memcmp(what->label, "chat", 4), 0);
	cr_assert_eq(what->protocol_bytes, 4);
	cr_assert_eq(memcmp(what->protocol, "test", 4), 0);
	cr_assert(what->is_unordered);
	cr_assert_eq(what->reliability, SCTP_RETRANSMITS);
	cr_assert_eq(what->reliability_value, 7);
	cr_assert_eq(data_channel_stream(b->opened[0]), data_channel_stream(of_client));
	// Both ways on both.
	cr_assert_eq(data_rig_send(of_client, "one"), 0);
	cr_assert_eq(data_rig_send(b->opened[0], "two"), 0);
	cr_assert_eq(data_rig_send(a->opened[0], "three"), 0);
	data_rig_run(&rig, 100);
	cr_assert_eq(b->n_received, 2);
	data_rig_is_text(&b->received[0], "one");
	data_rig_is_text(&b->received[1], "three");
	cr_assert_eq(b->received[1].channel, of_server);
	cr_assert_eq(a->n_received, 1);
	data_rig_is_text(&a->received[0], "two");
}

// RFC 8832 §6: data may follow the OPEN at once, and arrives behind it even on an unordered channel.
Test(data_channel, rfc8832_6_data_before_the_ack)
{
	struct data_channel *c = opened(b, data_rig_channel("x", true, SCTP_RELIABLE, 0));

	for (int i = 0; i < 5; i++)
		cr_assert_eq(data_rig_send(c, "early"), 0);
	data_rig_run(&rig, 200);
	cr_assert_eq(a->n_received, 5);
	cr_assert_eq(data_channel_peer_counters(a->peer)->n_stray, 0);
}

Test(data_channel, rfc8831_6_6_strings_binaries_and_empty_ones)
{
	struct data_channel *c = opened(a, data_rig_channel("x", false, SCTP_RELIABLE, 0));
	static const struct {
		size_t n;
		bool is_binary;
	} cases[] = { { 0, false }, { 0, true }, { 3, false }, { 3, true }, { 1, true } };

	for (size_t i = 0; i < 5; i++) {
		struct data_message *m =
			data_message_new((const uint8_t *)"abc", cases[i].n, cases[i].is_binary);

		cr_assert_eq(data_channel_send(c, m), 0);
		data_message_unref(m);
	}
	data_rig_run(&rig, 200);
	cr_assert_eq(b->n_received, 5);
	for (size_t i = 0; i < 5; i++) {
		bool is_binary;
		size_t n;
		const uint8_t *bytes = data_message_bytes(b->received[i].message, &n, &is_binary);

		cr_assert_eq(n, cases[i].n);
		cr_assert_eq(is_binary, cases[i].is_binary);
		cr_assert_eq(memcmp(bytes, "abc", n), 0);
	}
}

Test(data_channel, rfc8841_6_1_messages_up_to_the_maximum)
{
	struct data_channel *c = opened(a, data_rig_channel("x", false, SCTP_RELIABLE, 0));
	uint8_t *large = malloc(SCTP_MESSAGE_BYTES_MAX);
	struct data_message *m;
	const uint8_t *bytes;
	bool is_binary;
	size_t n;

	for (size_t i = 0; i < SCTP_MESSAGE_BYTES_MAX; i++)
		large[i] = (uint8_t)(i * 7 + i / 251);
	cr_assert_null(data_message_new(large, SCTP_MESSAGE_BYTES_MAX + 1, true));
	m = data_message_new(large, SCTP_MESSAGE_BYTES_MAX, true);
	cr_assert_eq(data_channel_send(c, m), 0);
	data_message_unref(m);
	data_rig_run(&rig, 2000);
	cr_assert_eq(b->n_received, 1);
	bytes = data_message_bytes(b->received[0].message, &n, &is_binary);
	cr_assert_eq(n, SCTP_MESSAGE_BYTES_MAX);
	cr_assert_eq(memcmp(bytes, large, n), 0);
	cr_assert_leq(a->longest_packet_bytes, SCTP_PACKET_BYTES_MAX);
	free(large);
}

Test(data_channel, rfc8831_6_6_ordered_and_reliable_under_loss)
{
	struct data_channel *c = opened(a, data_rig_channel("x", false, SCTP_RELIABLE, 0));
	char text[32];

	rig.links[0].loss_percent = 20;
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "message %d", i);
		cr_assert_eq(data_rig_send(c, text), 0);
		if (i % 10 == 0)
			data_rig_run(&rig, SCTP_TICK_MS);
	}
	data_rig_run(&rig, 60000);
	cr_assert_eq(b->n_received, 300);
	for (uint32_t i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "message %u", i);
		data_rig_is_text(&b->received[i], text);
	}
}

// Each with its own losses: unordered ones do not wait for each other.
Test(data_channel, rfc8831_6_1_unordered_and_reliable_under_loss)
{
	struct data_channel *c = opened(a, data_rig_channel("x", true, SCTP_RELIABLE, 0));
	bool has_come[200] = { false };
	bool is_in_order = true;
	char text[32];
	uint32_t last = 0;

	data_rig_run(&rig, 100);
	rig.links[0].loss_percent = 20;
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "%d", i);
		cr_assert_eq(data_rig_send(c, text), 0);
		if (i % 10 == 0)
			data_rig_run(&rig, SCTP_TICK_MS);
	}
	data_rig_run(&rig, 60000);
	cr_assert_eq(b->n_received, 200);
	for (uint32_t i = 0; i < 200; i++) {
		size_t n;
		bool is_binary;
		const uint8_t *bytes = data_message_bytes(b->received[i].message, &n, &is_binary);
		uint32_t number;

		snprintf(text, sizeof(text), "%.*s", (int)n, bytes);
		number = (uint32_t)atoi(text);
		cr_assert_lt(number, 200);
		cr_assert_not(has_come[number]);
		has_come[number] = true;
		is_in_order = is_in_order && number >= last;
		last = number;
	}
	cr_assert_not(is_in_order);
}

Test(data_channel, rfc3758_partial_reliability_gives_up)
{
	struct data_channel *c = opened(a, data_rig_channel("x", true, SCTP_RETRANSMITS, 0));
	uint32_t n_got;

	data_rig_run(&rig, 100);
	rig.links[0].loss_percent = 30;
	for (int i = 0; i < 200; i++) {
		data_rig_send(c, "fleeting");
		data_rig_run(&rig, SCTP_TICK_MS);
	}
	rig.links[0].loss_percent = 0;
	data_rig_run(&rig, 20000);
	n_got = b->n_received;
	cr_assert(n_got > 50 && n_got < 190, "%u of 200", n_got);
	// The channel lives on.
	cr_assert_eq(data_rig_send(c, "after"), 0);
	data_rig_run(&rig, 1000);
	cr_assert_eq(b->n_received, n_got + 1);
	data_rig_is_text(&b->received[n_got], "after");
}

// RFC 3758 §4.1: what cannot be delivered in time is given up.
Test(data_channel, rfc3758_4_1_lifetime)
{
	struct data_channel *c = opened(a, data_rig_channel("x", false, SCTP_LIFETIME, 100));

	data_rig_run(&rig, 100);
	rig.links[0].is_cut = true;
	for (int i = 0; i < 5; i++)
		cr_assert_eq(data_rig_send(c, "stale"), 0);
	data_rig_run(&rig, 1000);
	rig.links[0].is_cut = false;
	data_rig_run(&rig, 5000);
	cr_assert_eq(b->n_received, 0);
	cr_assert_eq(data_rig_send(c, "fresh"), 0);
	data_rig_run(&rig, 1000);
	cr_assert_eq(b->n_received, 1);
	data_rig_is_text(&b->received[0], "fresh");
}

Test(data_channel, rfc8831_6_7_closing_from_both_ends)
{
	struct data_channel *first = opened(a, data_rig_channel("1", false, SCTP_RELIABLE, 0));
	struct data_channel *second = opened(a, data_rig_channel("2", false, SCTP_RELIABLE, 0));

	data_rig_run(&rig, 100);
	cr_assert_eq(b->n_opened, 2);
	// What was sent before is delivered first.
	cr_assert_eq(data_rig_send(first, "last words"), 0);
	data_channel_close(first);
	data_channel_close(b->opened[1]);
	data_rig_run(&rig, 2000);
	cr_assert_eq(b->n_received, 1);
	cr_assert_eq(b->n_closed, 1);
	cr_assert_eq(b->closed[0], b->opened[0]);
	cr_assert_eq(b->close_reason[0], DATA_CHANNEL_CLOSE_BY_PEER);
	cr_assert_eq(a->n_closed, 1);
	cr_assert_eq(a->closed[0], second);
	cr_assert_eq(data_channel_peer_counters(a->peer)->n_closed[DATA_CHANNEL_CLOSE_BY_US], 1);
	cr_assert_eq(data_channel_peer_counters(a->peer)->n_closed[DATA_CHANNEL_CLOSE_BY_PEER], 1);
}

// Slots and streams come back: far more channels in turn than there are at once.
Test(data_channel, rfc8831_6_7_streams_are_used_again)
{
	for (int i = 0; i < 300; i++) {
		struct data_channel *c = opened(a, data_rig_channel("x", false, SCTP_RELIABLE, 0));

		b->n_opened = 0;
		b->n_closed = 0;
		cr_assert_eq(data_rig_send(c, "hello"), 0);
		data_rig_run(&rig, 50);
		cr_assert_eq(b->n_opened, 1, "round %d", i);
		cr_assert_eq(b->n_received, (uint32_t)i + 1);
		data_channel_close(c);
		data_rig_run(&rig, 100);
		cr_assert_eq(b->n_closed, 1, "round %d", i);
	}
}

Test(data_channel, channels_are_bounded)
{
	struct dcep_open what = data_rig_channel("x", false, SCTP_RELIABLE, 0);
	struct data_channel *c;

	for (int i = 0; i < DATA_CHANNELS_MAX; i++)
		opened(a, what);
	cr_assert_eq(data_channel_open(a->peer, &what, &c), -ENOSPC);
	data_rig_run(&rig, 500);
	cr_assert_eq(b->n_opened, DATA_CHANNELS_MAX);
	// One more of ours does not fit beside those of the peer.
	cr_assert_eq(data_channel_open(b->peer, &what, &c), -ENOSPC);
}

Test(data_channel, names_are_bounded)
{
	static char name[DCEP_NAME_BYTES_MAX + 1];
	struct dcep_open what;
	struct data_channel *c;

	memset(name, 'n', sizeof(name) - 1);
	what = data_rig_channel(name, false, SCTP_RELIABLE, 0);
	cr_assert_eq(data_channel_open(a->peer, &what, &c), -EINVAL);
	what.label_bytes = DCEP_NAME_BYTES_MAX - 4;
	cr_assert_eq(data_channel_open(a->peer, &what, &c), 0);
	data_rig_run(&rig, 100);
	cr_assert_eq(b->n_opened, 1);
}

Test(data_channel, garbage_is_ignored)
{
	uint8_t bytes[1200];

	srandom(7);
	for (int i = 0; i < 2000; i++) {
		size_t n = (size_t)random() % sizeof(bytes);

		for (size_t j = 0; j < n; j++)
			bytes[j] = (uint8_t)random();
		if (n > 4)
			memcpy(bytes, "\x13\x88\x13\x88", 4);
		data_channel_peer_receive(b->peer, bytes, n);
	}
	b->n_sent = 0;
	data_rig_run(&rig, 100);
	cr_assert_eq(b->n_lost, 0);
	opened(a, data_rig_channel("x", false, SCTP_RELIABLE, 0));
	data_rig_run(&rig, 100);
	cr_assert_eq(b->n_opened, 1);
}

Test(data_channel, rfc9260_9_1_abort_ends_all)
{
	opened(a, data_rig_channel("x", false, SCTP_RELIABLE, 0));
	data_rig_run(&rig, 100);
	data_channel_peer_free(a->peer);
	a->peer = NULL;
	for (uint32_t i = 0; i < a->n_sent; i++)
		data_channel_peer_receive(b->peer, a->sent[i].bytes, a->sent[i].n_bytes);
	cr_assert_eq(b->n_lost, 1);
	cr_assert_eq(b->lost, SCTP_CLOSE_LOST);
	cr_assert_eq(b->n_closed, 1);
	cr_assert_eq(b->close_reason[0], DATA_CHANNEL_CLOSE_LOST);
	cr_assert_not(data_channel_peer_is_connected(b->peer));
	a->n_sent = 0;
	b->n_sent = 0;
}
