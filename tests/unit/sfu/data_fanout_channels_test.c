// A publisher and its watchers, each with an association of its own: the whole way of a message.
#include "controlplane/sfu/data_fanout.h"
#include "tests/unit/sfu/data_rig.h"

#define N_WATCHERS 4

// Link 0 is the publisher's, the others are the watchers'; `a` are the browsers, `b` our ends.
static struct data_rig rig;
static struct data_fanout *fanout;

static void published(struct rig_end *e, struct data_channel *c)
{
	cr_assert_eq(data_fanout_opened(fanout, c, data_channel_info(c)), 0);
}

static void relayed(struct rig_end *e, struct data_channel *c, struct data_message *m)
{
	data_fanout_message(fanout, c, m);
}

static void unpublished(struct rig_end *e, struct data_channel *c)
{
	data_fanout_closed(fanout, c);
}

static void mirror_closed(struct rig_end *e, struct data_channel *c)
{
	data_fanout_mirror_closed(fanout, e->peer, c);
}

static void room_open(void)
{
	data_rig_open(&rig, 1 + N_WATCHERS);
	fanout = data_fanout_new(&data_fanout_over_channels);
	rig.links[0].b.on_opened = published;
	rig.links[0].b.on_message = relayed;
	rig.links[0].b.on_closed = unpublished;
	for (uint32_t i = 1; i <= N_WATCHERS; i++)
		rig.links[i].b.on_closed = mirror_closed;
	data_rig_connect(&rig);
}

static void room_close(void)
{
	data_fanout_free(fanout);
	data_rig_close(&rig);
}

TestSuite(data_fanout_channels, .init = room_open, .fini = room_close);

static struct data_channel *publish(const char *label, bool is_unordered,
				    enum sctp_reliability reliability, uint32_t value)
{
	struct dcep_open what = data_rig_channel(label, is_unordered, reliability, value);
	struct data_channel *c;

	cr_assert_eq(data_channel_open(rig.links[0].a.peer, &what, &c), 0);
	return c;
}

Test(data_fanout_channels, rfc8832_messages_reach_all_watchers_on_channels_of_the_same_kind)
{
	struct data_channel *first = publish("chat", false, SCTP_RELIABLE, 0);
	struct data_channel *second = publish("position", true, SCTP_RETRANSMITS, 2);

	for (uint32_t i = 1; i < N_WATCHERS; i++)
		cr_assert_eq(data_fanout_watch(fanout, rig.links[i].b.peer), 0);
	data_rig_run(&rig, 200);
	// The last one comes later.
	cr_assert_eq(data_fanout_watch(fanout, rig.links[N_WATCHERS].b.peer), 0);
	data_rig_run(&rig, 200);
	cr_assert_eq(data_rig_send(first, "hello"), 0);
	cr_assert_eq(data_rig_send(second, "x=1"), 0);
	data_rig_run(&rig, 500);
	for (uint32_t i = 1; i <= N_WATCHERS; i++) {
		struct rig_end *w = &rig.links[i].a;
		const struct dcep_open *what;

		cr_assert_eq(w->n_opened, 2);
		what = data_channel_info(w->opened[1]);
		cr_assert_eq(what->label_bytes, 8);
		cr_assert_eq(memcmp(what->label, "position", 8), 0);
		cr_assert_eq(memcmp(what->protocol, "test", 4), 0);
		cr_assert(what->is_unordered);
		cr_assert_eq(what->reliability, SCTP_RETRANSMITS);
		cr_assert_eq(what->reliability_value, 2);
		cr_assert_eq(w->n_received, 2);
		for (uint32_t j = 0; j < 2; j++)
			data_rig_is_text(&w->received[j],
					 w->received[j].channel == w->opened[0] ? "hello" : "x=1");
	}
	cr_assert_eq(data_fanout_counters(fanout)->n_copies, 2 * N_WATCHERS);
	// The publisher hears nothing of its own.
	cr_assert_eq(rig.links[0].a.n_received, 0);
}

Test(data_fanout_channels, rfc8831_6_7_mirrors_close_with_the_publishers_channel)
{
	struct data_channel *c = publish("chat", false, SCTP_RELIABLE, 0);

	for (uint32_t i = 1; i <= N_WATCHERS; i++)
		cr_assert_eq(data_fanout_watch(fanout, rig.links[i].b.peer), 0);
	data_rig_run(&rig, 200);
	// One watcher closes by itself.
	data_channel_close(rig.links[1].a.opened[0]);
	data_rig_run(&rig, 200);
	cr_assert_eq(rig.links[1].b.n_closed, 1);
	cr_assert_eq(data_rig_send(c, "bye"), 0);
	data_channel_close(c);
	data_rig_run(&rig, 1000);
	cr_assert_eq(rig.links[1].a.n_received, 0);
	for (uint32_t i = 2; i <= N_WATCHERS; i++) {
		cr_assert_eq(rig.links[i].a.n_received, 1);
		data_rig_is_text(&rig.links[i].a.received[0], "bye");
		cr_assert_eq(rig.links[i].a.n_closed, 1);
	}
}

// A watcher that reads nothing loses its channel; the others get all.
Test(data_fanout_channels, a_slow_watcher_is_dropped_alone)
{
	struct data_channel *c = publish("bulk", false, SCTP_RELIABLE, 0);
	static uint8_t bytes[60000];
	struct data_message *m = data_message_new(bytes, sizeof(bytes), true);

	for (uint32_t i = 1; i <= N_WATCHERS; i++)
		cr_assert_eq(data_fanout_watch(fanout, rig.links[i].b.peer), 0);
	data_rig_run(&rig, 200);
	rig.links[1].is_cut = true;
	for (int i = 0; i < 40; i++) {
		cr_assert_eq(data_channel_send(c, m), 0);
		data_rig_run(&rig, 500);
	}
	data_message_unref(m);
	cr_assert_eq(rig.links[1].a.n_received, 0);
	cr_assert_eq(rig.links[1].b.close_reason[0], DATA_CHANNEL_CLOSE_SLOW);
	cr_assert_eq(data_fanout_counters(fanout)->n_slow, 1);
	for (uint32_t i = 2; i <= N_WATCHERS; i++) {
		cr_assert_eq(rig.links[i].a.n_received, 40);
		cr_assert_eq(rig.links[i].b.n_closed, 0);
	}
}
