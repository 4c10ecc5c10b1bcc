// The table of channels × watchers of one publisher. The control plane's loop thread.
#include "controlplane/sfu/data_fanout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct source {
	const void *channel; // NULL: free
	const struct dcep_open *what;
};

struct watcher {
	void *watcher;
	void *mirrors[DATA_CHANNELS_MAX]; // by source, NULL without
};

struct data_fanout {
	const struct data_fanout_operations *operations;
	struct data_fanout_counters counters;
	struct source sources[DATA_CHANNELS_MAX];
	struct watcher *watchers;
	uint32_t n_watchers;
	uint32_t n_room;
};

struct data_fanout *data_fanout_new(const struct data_fanout_operations *operations)
{
	struct data_fanout *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->operations = operations;
	return f;
}

static void mirrors_close(struct data_fanout *f, struct watcher *w)
{
	for (uint32_t i = 0; i < DATA_CHANNELS_MAX; i++) {
		void *mirror = w->mirrors[i];

		w->mirrors[i] = NULL;
		if (mirror != NULL)
			f->operations->close(mirror);
	}
}

void data_fanout_free(struct data_fanout *f)
{
	if (f == NULL)
		return;
	for (uint32_t i = 0; i < f->n_watchers; i++)
		mirrors_close(f, &f->watchers[i]);
	free(f->watchers);
	free(f);
}

const struct data_fanout_counters *data_fanout_counters(const struct data_fanout *f)
{
	return &f->counters;
}

// The index of a channel, DATA_CHANNELS_MAX if unknown; NULL finds a free one.
static uint32_t source_find(const struct data_fanout *f, const void *channel)
{
	uint32_t i;

	for (i = 0; i < DATA_CHANNELS_MAX && f->sources[i].channel != channel; i++)
		;
	return i;
}

static uint32_t watcher_find(const struct data_fanout *f, const void *watcher)
{
	uint32_t i;

	for (i = 0; i < f->n_watchers && f->watchers[i].watcher != watcher; i++)
		;
	return i;
}

static void mirror_open(struct data_fanout *f, struct watcher *w, uint32_t source_idx)
{
	if (f->operations->open(w->watcher, f->sources[source_idx].what, &w->mirrors[source_idx]) <
	    0) {
		w->mirrors[source_idx] = NULL;
		f->counters.n_open_failed++;
	}
}

int data_fanout_opened(struct data_fanout *f, const void *channel, const struct dcep_open *what)
{
	uint32_t idx = source_find(f, NULL);

	if (idx == DATA_CHANNELS_MAX)
		return -ENOSPC;
	f->sources[idx] = (struct source){ channel, what };
	for (uint32_t i = 0; i < f->n_watchers; i++)
		mirror_open(f, &f->watchers[i], idx);
	return 0;
}

void data_fanout_closed(struct data_fanout *f, const void *channel)
{
	uint32_t idx = source_find(f, channel);

	if (idx == DATA_CHANNELS_MAX)
		return;
	f->sources[idx].channel = NULL;
	for (uint32_t i = 0; i < f->n_watchers; i++) {
		void *mirror = f->watchers[i].mirrors[idx];

		f->watchers[i].mirrors[idx] = NULL;
		if (mirror != NULL)
			f->operations->close(mirror);
	}
}

void data_fanout_message(struct data_fanout *f, const void *channel, struct data_message *message)
{
	uint32_t idx = source_find(f, channel);

	if (idx == DATA_CHANNELS_MAX)
		return;
	f->counters.n_messages++;
	for (uint32_t i = 0; i < f->n_watchers; i++) {
		void *mirror = f->watchers[i].mirrors[idx];
		int ret;

		if (mirror == NULL)
			continue;
		ret = f->operations->send(mirror, message);
		if (ret == 0) {
			f->counters.n_copies++;
		} else if (ret == -EPIPE) {
			f->watchers[i].mirrors[idx] = NULL;
			f->counters.n_slow++;
		} else {
			f->counters.n_lost++;
		}
	}
}

int data_fanout_watch(struct data_fanout *f, void *watcher)
{
	struct watcher *w;

	if (watcher_find(f, watcher) < f->n_watchers)
		return 0;
	if (f->n_watchers == f->n_room) {
		uint32_t n_room = f->n_room == 0 ? 4 : f->n_room * 2;
		struct watcher *grown = realloc(f->watchers, n_room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		f->watchers = grown;
		f->n_room = n_room;
	}
	w = &f->watchers[f->n_watchers++];
	memset(w, 0, sizeof(*w));
	w->watcher = watcher;
	for (uint32_t i = 0; i < DATA_CHANNELS_MAX; i++)
		if (f->sources[i].channel != NULL)
			mirror_open(f, w, i);
	return 0;
}

void data_fanout_unwatch(struct data_fanout *f, void *watcher, bool is_lost)
{
	uint32_t i = watcher_find(f, watcher);

	if (i == f->n_watchers)
		return;
	if (!is_lost)
		mirrors_close(f, &f->watchers[i]);
	f->watchers[i] = f->watchers[--f->n_watchers];
}

void data_fanout_mirror_closed(struct data_fanout *f, void *watcher, const void *mirror)
{
	uint32_t i = watcher_find(f, watcher);

	if (i == f->n_watchers)
		return;
	for (uint32_t j = 0; j < DATA_CHANNELS_MAX; j++)
		if (f->watchers[i].mirrors[j] == mirror)
			f->watchers[i].mirrors[j] = NULL;
}
