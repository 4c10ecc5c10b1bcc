// Shares a subscriber's estimate over its tracks: audio always; then, in the order of rank (pinned,
// active speaker, the others), every video its lowest layer, so that as many as possible are seen
// at all; then, in the same order, each video as high as is wanted and fits. A layer that no longer
// fits is left at once. One that is better is taken only when there was room for it, and some to
// spare, for a while; a raise that had to be taken back soon makes the next wait longer. Pure; the
// caller keeps the tracks.
#ifndef TP_BWE_ALLOCATOR_H
#define TP_BWE_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

#define BWE_LAYERS_MAX 16
#define BWE_TRACKS_MAX 256 // of one subscriber; more are paused
#define BWE_PAUSED     (-1)

// One choice for a track: everything up to this spatial and temporal layer.
struct bwe_layer {
	uint32_t bitrate_bps; // measured, of all that is forwarded for this choice
	uint16_t width;       // 0: unknown
	uint8_t spatial;
	uint8_t temporal;
	bool is_active; // the publisher sends it now
};

enum bwe_rank {
	BWE_RANK_PINNED = 0, // the user's choice
	BWE_RANK_SPEAKER,
	BWE_RANK_OTHER,
	BWE_RANK_COUNT
};

enum bwe_share {
	BWE_SHARE_PENDING = 0, // never allocated
	BWE_SHARE_AUDIO,       // audio is always sent
	BWE_SHARE_WANTED,      // all that is wanted
	BWE_SHARE_NOT_SENT,    // all that the publisher sends; more is wanted
	BWE_SHARE_BANDWIDTH,   // the estimate allows no more
	BWE_SHARE_WAITING,     // more would fit, and will be taken if that stays so
	BWE_SHARE_PAUSED_BANDWIDTH,
	BWE_SHARE_PAUSED_SILENT, // muted, or nothing is sent
	BWE_SHARE_PAUSED_HIDDEN, // not wanted now: outside the last N
	BWE_SHARE_COUNT
};

struct bwe_track {
	// Input.
	bool is_audio;
	bool is_muted;
	bool is_hidden;
	enum bwe_rank rank;
	uint8_t wanted_spatial; // the highest that the subscriber wants
	uint8_t wanted_temporal;
	uint8_t n_layers;
	struct bwe_layer layers[BWE_LAYERS_MAX]; // ascending: (spatial, temporal)

	// Output: an index into layers, or BWE_PAUSED.
	int8_t layer;
	enum bwe_share share;

	// Workings, zero at first; spatial and temporal keep their meaning when the list of layers
	// changes.
	bool was_allocated;
	bool is_paused;
	uint8_t spatial;
	uint8_t temporal;
	uint64_t room_since_ns;  // 0: no room for better
	uint64_t short_since_ns; // 0: there is room for the lowest
	uint64_t raised_ns;
	uint64_t hold_ns;
};

struct bwe_allocation {
	uint64_t used_bps;
	uint64_t wanted_bps; // for all that is wanted and sent, with headroom: what to probe for
	uint32_t n_paused;
	uint32_t n_limited; // videos below what they could have, pauses included
};

void bwe_allocate(struct bwe_track *tracks, uint32_t n_tracks, uint64_t estimate_bps,
		  uint64_t now_ns, struct bwe_allocation *out);

// A sentence for the operator.
const char *bwe_share_sentence(enum bwe_share share);

#endif
