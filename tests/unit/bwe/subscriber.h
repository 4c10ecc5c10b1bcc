// A whole subscriber: audio and one simulcast video over a simulated link, estimated, probed and
// allocated as the control plane does it, sent as the worker does.
#ifndef TP_TEST_SUBSCRIBER_H
#define TP_TEST_SUBSCRIBER_H

#include "controlplane/sfu/bwe/allocator.h"
#include "controlplane/sfu/bwe/estimator.h"
#include "controlplane/sfu/bwe/probe.h"
#include "link.h"

struct subscriber {
	struct link link;
	struct bwe_estimator estimator;
	struct bwe_probe probe;
	struct bwe_track tracks[2]; // audio, video
	struct bwe_allocation allocation;
	uint64_t fixed_bps; // of video, instead of the layers'; 0: none
	bool follows;       // video as fast as the estimate (an ideal encoder)
	bool no_probes;
	uint64_t now_ns;
	uint64_t next_audio_ns;
	uint64_t next_tick_ns;
	double video_credit_bits;
	double padding_credit_bits;
	uint64_t padding_end_ns;
	uint64_t padding_bps;
	uint32_t n_probe; // packets that are still to go
	uint32_t n_probes;
	uint32_t n_layer_changes;
	int last_layer;
};

// Three layers of 150, 500 and 1700 kb/s.
void subscriber_init(struct subscriber *s, uint64_t capacity_bps);
void subscriber_run(struct subscriber *s, uint64_t for_ns);
// Runs until the video is at that layer; returns how long it took, UINT64_MAX when it did not get
// there within `limit_ns`.
uint64_t subscriber_run_until(struct subscriber *s, int layer, uint64_t limit_ns);

#endif
