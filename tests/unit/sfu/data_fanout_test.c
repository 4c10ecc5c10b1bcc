// Who gets a publisher's messages, over channels that only count.
#include <criterion/criterion.h>
#include <errno.h>

#include "controlplane/sfu/data_fanout.h"

struct mirror {
	int watcher;
	const struct dcep_open *what;
	uint32_t n_sent;
	bool is_closed;
	int answer; // of the next send
};

static struct mirror mirrors[256];
static uint32_t n_mirrors;
static int open_answer;

static int on_open(void *watcher, const struct dcep_open *what, void **mirror)
{
	if (open_answer < 0)
		return open_answer;
	mirrors[n_mirrors] = (struct mirror){ .watcher = *(int *)watcher, .what = what };
	*mirror = &mirrors[n_mirrors++];
	return 0;
}

static int on_send(void *mirror, struct data_message *message)
{
	struct mirror *m = mirror;

	cr_assert_not(m->is_closed);
	m->n_sent += m->answer == 0;
	return m->answer;
}

static void on_close(void *mirror)
{
	struct mirror *m = mirror;

	cr_assert_not(m->is_closed);
	m->is_closed = true;
}

static const struct data_fanout_operations operations = { on_open, on_send, on_close };
static int watchers[20];
static int channels[DATA_CHANNELS_MAX + 1];
static struct dcep_open what[DATA_CHANNELS_MAX + 1];
static struct data_fanout *f;
static struct data_message *message;

static void open_all(void)
{
	for (int i = 0; i < 20; i++)
		watchers[i] = i;
	f = data_fanout_new(&operations);
	message = data_message_new((const uint8_t *)"m", 1, false);
}

static void close_all(void)
{
	data_message_unref(message);
	data_fanout_free(f);
	for (uint32_t i = 0; i < n_mirrors; i++)
		cr_assert(mirrors[i].is_closed || mirrors[i].answer == -EPIPE);
}

TestSuite(data_fanout, .init = open_all, .fini = close_all);

Test(data_fanout, channels_and_watchers_in_any_order)
{
	cr_assert_eq(data_fanout_watch(f, &watchers[0]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[0], &what[0]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[1], &what[1]), 0);
	cr_assert_eq(data_fanout_watch(f, &watchers[1]), 0);
	cr_assert_eq(data_fanout_watch(f, &watchers[1]), 0);
	cr_assert_eq(n_mirrors, 4);
	data_fanout_message(f, &channels[1], message);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(mirrors[i].n_sent, mirrors[i].what == &what[1] ? 1 : 0);
	cr_assert_eq(data_fanout_counters(f)->n_messages, 1);
	cr_assert_eq(data_fanout_counters(f)->n_copies, 2);
	// A channel that nobody opened.
	data_fanout_message(f, &channels[2], message);
	cr_assert_eq(data_fanout_counters(f)->n_messages, 1);
}

Test(data_fanout, closing_a_channel_closes_its_mirrors_alone)
{
	for (int i = 0; i < 10; i++)
		cr_assert_eq(data_fanout_watch(f, &watchers[i]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[0], &what[0]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[1], &what[1]), 0);
	data_fanout_closed(f, &channels[0]);
	for (uint32_t i = 0; i < n_mirrors; i++)
		cr_assert_eq(mirrors[i].is_closed, mirrors[i].what == &what[0]);
	data_fanout_closed(f, &channels[0]);
	data_fanout_message(f, &channels[0], message);
	cr_assert_eq(data_fanout_counters(f)->n_messages, 0);
	data_fanout_message(f, &channels[1], message);
	cr_assert_eq(data_fanout_counters(f)->n_copies, 10);
}

Test(data_fanout, a_watcher_that_leaves)
{
	for (int i = 0; i < 3; i++)
		cr_assert_eq(data_fanout_watch(f, &watchers[i]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[0], &what[0]), 0);
	data_fanout_unwatch(f, &watchers[0], false);
	cr_assert(mirrors[0].is_closed);
	// One whose association is lost has no channel to close.
	data_fanout_unwatch(f, &watchers[1], true);
	cr_assert_not(mirrors[1].is_closed);
	mirrors[1].is_closed = true;
	data_fanout_unwatch(f, &watchers[1], true);
	data_fanout_message(f, &channels[0], message);
	cr_assert_eq(mirrors[2].n_sent, 1);
	cr_assert_eq(data_fanout_counters(f)->n_copies, 1);
}

Test(data_fanout, slow_watchers_do_not_hold_up_the_others)
{
	for (int i = 0; i < 3; i++)
		cr_assert_eq(data_fanout_watch(f, &watchers[i]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[0], &what[0]), 0);
	mirrors[0].answer = -EPIPE;
	mirrors[1].answer = -ENOBUFS;
	for (int i = 0; i < 4; i++)
		data_fanout_message(f, &channels[0], message);
	cr_assert_eq(mirrors[2].n_sent, 4);
	cr_assert_eq(data_fanout_counters(f)->n_slow, 1);
	cr_assert_eq(data_fanout_counters(f)->n_lost, 4);
	cr_assert_eq(data_fanout_counters(f)->n_copies, 4);
}

Test(data_fanout, a_mirror_that_the_watcher_closed)
{
	cr_assert_eq(data_fanout_watch(f, &watchers[0]), 0);
	cr_assert_eq(data_fanout_watch(f, &watchers[1]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[0], &what[0]), 0);
	data_fanout_mirror_closed(f, &watchers[1], &mirrors[0]); // not its own
	data_fanout_message(f, &channels[0], message);
	cr_assert_eq(mirrors[0].n_sent, 1);
	mirrors[0].is_closed = true;
	data_fanout_mirror_closed(f, &watchers[0], &mirrors[0]);
	data_fanout_message(f, &channels[0], message);
	cr_assert_eq(mirrors[0].n_sent, 1);
	cr_assert_eq(mirrors[1].n_sent, 2);
}

Test(data_fanout, bounds_and_failures)
{
	cr_assert_eq(data_fanout_watch(f, &watchers[0]), 0);
	open_answer = -ENOSPC;
	cr_assert_eq(data_fanout_opened(f, &channels[0], &what[0]), 0);
	cr_assert_eq(data_fanout_counters(f)->n_open_failed, 1);
	data_fanout_message(f, &channels[0], message);
	cr_assert_eq(data_fanout_counters(f)->n_copies, 0);
	open_answer = 0;
	for (int i = 1; i < DATA_CHANNELS_MAX; i++)
		cr_assert_eq(data_fanout_opened(f, &channels[i], &what[i]), 0);
	cr_assert_eq(data_fanout_opened(f, &channels[DATA_CHANNELS_MAX], &what[0]), -ENOSPC);
}
