// Who gets a publisher's messages: each of its channels is mirrored to each of its watchers, under the same
// label, protocol and reliability, and every message on it goes to all mirrors. A watcher of several
// publishers stands in the fan-out of each. Pure but for memory: what channels are, the operations tell. One
// thread: the control plane's loop.
#ifndef TP_SFU_DATA_FANOUT_H
#define TP_SFU_DATA_FANOUT_H

#include "controlplane/sfu/data_channel.h"

struct data_fanout;

// They may call data_fanout_mirror_closed, nothing else of a fan-out.
struct data_fanout_operations {
	// A channel to a watcher, which may be sent on at once. 0 or -errno.
	int (*open)(void *watcher, const struct dcep_open *what, void **mirror);
	// 0; -EPIPE: the mirror is closed; others: this message is lost to it.
	int (*send)(void *mirror, struct data_message *message);
	void (*close)(void *mirror);
};

// Watchers are struct data_channel_peer, mirrors struct data_channel.
extern const struct data_fanout_operations data_fanout_over_channels;

struct data_fanout_counters {
	uint64_t n_messages;    // of the publisher
	uint64_t n_copies;      // sent or queued for watchers
	uint64_t n_lost;        // copies that a watcher had no room for
	uint64_t n_slow;        // mirrors that closed when sent on
	uint64_t n_open_failed; // mirrors that could not be opened
};

// NULL: no memory.
struct data_fanout *data_fanout_new(const struct data_fanout_operations *operations);
// Closes all mirrors; NULL is fine.
void data_fanout_free(struct data_fanout *f);
const struct data_fanout_counters *data_fanout_counters(const struct data_fanout *f);

// The publisher opened a channel, closed it, sent on it. `channel` is any name that is its own as long as it
// is open; `what` must live as long. -ENOSPC: more than DATA_CHANNELS_MAX.
int data_fanout_opened(struct data_fanout *f, const void *channel, const struct dcep_open *what);
void data_fanout_closed(struct data_fanout *f, const void *channel);
void data_fanout_message(struct data_fanout *f, const void *channel, struct data_message *message);

// A watcher came (its association is connected) and gets mirrors of all channels that are open; twice is
// once. -ENOMEM.
int data_fanout_watch(struct data_fanout *f, void *watcher);
// It left; `is_lost`: its channels are gone with it, otherwise they are closed.
void data_fanout_unwatch(struct data_fanout *f, void *watcher, bool is_lost);
// A watcher's end closed a mirror, or it was too slow. Unknown ones are ignored, so that every fan-out of a
// watcher may be told.
void data_fanout_mirror_closed(struct data_fanout *f, void *watcher, const void *mirror);

#endif
