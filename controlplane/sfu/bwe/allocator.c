// Who of a subscriber's tracks gets how much. Pure, any thread.
#include "controlplane/sfu/bwe/allocator.h"

#include <string.h>

#define HEADROOM  1.2  // to take a better layer
#define TOLERANCE 1.05 // to keep one: measured bitrates waver
#define PATIENCE_NS                                                                                \
	1500000000ULL // to pause: a second with a key frame in it measures as more than the stream is
#define HOLD_NS         500000000ULL
#define HOLD_NS_MAX     3000000000ULL
#define RAISE_FAILED_NS 8000000000ULL // a raise taken back within this was a mistake
#define RAISE_STOOD_NS  15000000000ULL

// What one track is about to get, while the rest is still being dealt out.
struct deal {
	int lowest;  // index of its layers, BWE_PAUSED if it has none to give
	int current; // what it had, as an index of today's layers
	int best;    // the highest wanted that is sent
	int given;
	bool could_rise;
};

static bool is_wanted(const struct bwe_track *t, const struct bwe_layer *l)
{
	return l->spatial <= t->wanted_spatial && l->temporal <= t->wanted_temporal;
}

static bool is_above(const struct bwe_layer *a, uint8_t spatial, uint8_t temporal)
{
	return a->spatial > spatial || (a->spatial == spatial && a->temporal > temporal);
}

static void survey(const struct bwe_track *t, struct deal *d)
{
	*d = (struct deal){ BWE_PAUSED, BWE_PAUSED, BWE_PAUSED, BWE_PAUSED, false };
	for (uint32_t i = 0; i < t->n_layers && i < BWE_LAYERS_MAX; i++) {
		const struct bwe_layer *l = &t->layers[i];

		if (!l->is_active || !is_wanted(t, l))
			continue;
		if (d->lowest == BWE_PAUSED)
			d->lowest = (int)i;
		d->best = (int)i;
		if (t->was_allocated && !t->is_paused && !is_above(l, t->spatial, t->temporal))
			d->current = (int)i;
	}
	// What it had is not sent any more, nor anything below it: the lowest there is takes its
	// place.
	if (t->was_allocated && !t->is_paused && d->current == BWE_PAUSED)
		d->current = d->lowest;
}

static uint64_t cost(const struct bwe_track *t, int layer)
{
	return layer == BWE_PAUSED ? 0 : t->layers[layer].bitrate_bps;
}

static bool fits(uint64_t extra_bps, double factor, uint64_t left_bps)
{
	return (double)extra_bps * factor <= (double)left_bps;
}

// Whether `t` may go up to a layer now; remembers since when there was room.
static bool may_rise(struct bwe_track *t, uint64_t now_ns)
{
	uint64_t hold_ns = t->hold_ns ? t->hold_ns : HOLD_NS;

	if (!t->was_allocated)
		return true;
	if (t->room_since_ns == 0)
		t->room_since_ns = now_ns;
	return now_ns - t->room_since_ns >= hold_ns;
}

// Whether the lowest layer of `t`, which does not fit, has fitted not long ago.
static bool is_patient(struct bwe_track *t, uint64_t now_ns)
{
	if (t->short_since_ns == 0)
		t->short_since_ns = now_ns;
	return now_ns - t->short_since_ns < PATIENCE_NS;
}

// The lowest layer, so that it is seen at all.
static void deal_lowest(struct bwe_track *t, struct deal *d, uint64_t *left_bps, uint64_t now_ns)
{
	bool was_seen = t->was_allocated && !t->is_paused;
	uint64_t bps = cost(t, d->lowest);

	if (d->lowest == BWE_PAUSED)
		return;
	if (fits(bps, was_seen ? 1 / TOLERANCE : t->was_allocated ? HEADROOM : 1, *left_bps))
		t->short_since_ns = 0;
	else if (!was_seen || !is_patient(t, now_ns))
		return;
	if (!was_seen) {
		d->could_rise = true;
		if (!may_rise(t, now_ns))
			return;
	}
	d->given = d->lowest;
	*left_bps -= bps < *left_bps ? bps : *left_bps;
}

// Upward from the lowest: what it had if that still fits, and better if there is room to spare.
static void deal_better(struct bwe_track *t, struct deal *d, uint64_t *left_bps, uint64_t now_ns)
{
	uint64_t base_bps = cost(t, d->given);
	uint64_t spent_bps;
	int kept = d->given;
	int better = BWE_PAUSED;

	if (d->given == BWE_PAUSED)
		return;
	for (int i = d->given + 1; i <= d->best; i++) {
		const struct bwe_layer *l = &t->layers[i];
		uint64_t extra_bps = l->bitrate_bps > base_bps ? l->bitrate_bps - base_bps : 0;

		if (!l->is_active || !is_wanted(t, l))
			continue;
		if (i <= d->current) {
			if (fits(extra_bps, 1 / TOLERANCE, *left_bps))
				kept = i;
		} else if (fits(l->bitrate_bps, HEADROOM, *left_bps + base_bps)) {
			better = i;
		}
	}
	// Never up and down in one go: what fell just now does not rise.
	if (better != BWE_PAUSED && kept >= d->current) {
		d->could_rise = true;
		if (may_rise(t, now_ns))
			kept = better;
	}
	d->given = kept;
	spent_bps = cost(t, kept) > base_bps ? cost(t, kept) - base_bps : 0;
	*left_bps -= spent_bps < *left_bps ? spent_bps : *left_bps;
}

static enum bwe_share share_of(const struct bwe_track *t, const struct deal *d)
{
	const struct bwe_layer *top;

	if (d->lowest == BWE_PAUSED)
		return BWE_SHARE_PAUSED_SILENT;
	if (d->given < d->best || d->given == BWE_PAUSED) {
		if (d->could_rise)
			return BWE_SHARE_WAITING;
		return d->given == BWE_PAUSED ? BWE_SHARE_PAUSED_BANDWIDTH : BWE_SHARE_BANDWIDTH;
	}
	for (uint32_t i = (uint32_t)d->best + 1; i < t->n_layers && i < BWE_LAYERS_MAX; i++) {
		top = &t->layers[i];
		if (is_wanted(t, top))
			return BWE_SHARE_NOT_SENT;
	}
	return BWE_SHARE_WANTED;
}

static void settle(struct bwe_track *t, const struct deal *d, uint64_t now_ns)
{
	bool is_raise = t->was_allocated && d->given > d->current;
	bool is_drop = t->was_allocated && d->given < d->current;

	if (is_raise) {
		t->raised_ns = now_ns;
	} else if (is_drop && t->raised_ns && now_ns - t->raised_ns < RAISE_FAILED_NS) {
		t->hold_ns = (t->hold_ns ? t->hold_ns : HOLD_NS) * 2;
		if (t->hold_ns > HOLD_NS_MAX)
			t->hold_ns = HOLD_NS_MAX;
		t->raised_ns = 0;
	} else if (t->raised_ns && now_ns - t->raised_ns > RAISE_STOOD_NS) {
		t->hold_ns = 0;
	}
	if (is_raise || is_drop || !d->could_rise)
		t->room_since_ns = 0;
	t->was_allocated = t->was_allocated || d->lowest != BWE_PAUSED;
	t->is_paused = d->given == BWE_PAUSED;
	t->layer = (int8_t)d->given;
	if (d->given != BWE_PAUSED) {
		t->spatial = t->layers[d->given].spatial;
		t->temporal = t->layers[d->given].temporal;
	}
	t->share = share_of(t, d);
}

// Tracks that get nothing, or all, whatever the estimate is.
static bool settle_apart(struct bwe_track *t, struct deal *d, uint64_t *left_bps)
{
	survey(t, d);
	if (t->is_audio) {
		d->given = t->is_muted ? BWE_PAUSED : d->best;
		t->share = d->given == BWE_PAUSED ? BWE_SHARE_PAUSED_SILENT : BWE_SHARE_AUDIO;
	} else if (t->is_hidden || t->is_muted) {
		t->share = t->is_hidden ? BWE_SHARE_PAUSED_HIDDEN : BWE_SHARE_PAUSED_SILENT;
		// Back without waiting, as if it were new.
		t->was_allocated = false;
		t->room_since_ns = 0;
		t->raised_ns = 0;
	} else {
		return false;
	}
	t->layer = (int8_t)d->given;
	t->is_paused = d->given == BWE_PAUSED;
	*left_bps -= cost(t, d->given) < *left_bps ? cost(t, d->given) : *left_bps;
	return true;
}

void bwe_allocate(struct bwe_track *tracks, uint32_t n_tracks, uint64_t estimate_bps,
		  uint64_t now_ns, struct bwe_allocation *out)
{
	struct deal deals[BWE_TRACKS_MAX];
	uint16_t videos[BWE_TRACKS_MAX];
	uint32_t n = n_tracks < BWE_TRACKS_MAX ? n_tracks : BWE_TRACKS_MAX;
	uint32_t n_videos = 0;
	uint64_t left_bps = estimate_bps;
	double wanted_bps = 0;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = n; i < n_tracks; i++) {
		tracks[i].layer = BWE_PAUSED;
		tracks[i].is_paused = true;
		tracks[i].share = BWE_SHARE_PAUSED_HIDDEN;
		out->n_paused++;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!settle_apart(&tracks[i], &deals[i], &left_bps))
			continue;
		out->used_bps += cost(&tracks[i], deals[i].given);
		wanted_bps += (double)cost(&tracks[i], deals[i].given);
		out->n_paused += deals[i].given == BWE_PAUSED;
	}
	for (uint32_t rank = 0; rank < BWE_RANK_COUNT; rank++)
		for (uint32_t i = 0; i < n; i++)
			if (!tracks[i].is_audio && !tracks[i].is_hidden && !tracks[i].is_muted &&
			    (tracks[i].rank == rank ||
			     (rank == BWE_RANK_OTHER && tracks[i].rank > rank)))
				videos[n_videos++] = (uint16_t)i;
	for (uint32_t i = 0; i < n_videos; i++)
		deal_lowest(&tracks[videos[i]], &deals[videos[i]], &left_bps, now_ns);
	for (uint32_t i = 0; i < n_videos; i++) {
		struct bwe_track *t = &tracks[videos[i]];
		struct deal *d = &deals[videos[i]];

		deal_better(t, d, &left_bps, now_ns);
		settle(t, d, now_ns);
		out->used_bps += cost(t, d->given);
		wanted_bps += HEADROOM * (double)cost(t, d->best);
		out->n_paused += d->given == BWE_PAUSED;
		out->n_limited += d->given < d->best;
	}
	out->wanted_bps = (uint64_t)wanted_bps;
}

const char *bwe_share_sentence(enum bwe_share share)
{
	static const char *const sentences[BWE_SHARE_COUNT] = {
		[BWE_SHARE_PENDING] = "not decided yet",
		[BWE_SHARE_AUDIO] = "audio is always sent",
		[BWE_SHARE_WANTED] = "all that is wanted is sent",
		[BWE_SHARE_NOT_SENT] = "the publisher sends no higher layer",
		[BWE_SHARE_BANDWIDTH] = "the subscriber's bandwidth allows no more",
		[BWE_SHARE_WAITING] = "a higher layer will be sent if the bandwidth stays",
		[BWE_SHARE_PAUSED_BANDWIDTH] = "paused: the subscriber's bandwidth allows none",
		[BWE_SHARE_PAUSED_SILENT] = "paused: the publisher is muted or sends nothing",
		[BWE_SHARE_PAUSED_HIDDEN] = "paused: not among those that are shown",
	};

	return share < BWE_SHARE_COUNT ? sentences[share] : "unknown";
}
