// Who speaks, and who spoke last, from the audio levels that publishers put into their packets (RFC
// 6464). Pure: one array of sources per room, kept by the caller, one thread.
//
// Levels are dBov as on the wire: 0 is the loudest, 127 is silence. A source becomes the active
// speaker when it is heard for a while and clearly louder than the present one, who keeps the floor
// through short pauses.
#ifndef TP_BWE_SPEAKER_H
#define TP_BWE_SPEAKER_H

#include <stdbool.h>
#include <stdint.h>

#define SPEAKER_SILENT 127
#define SPEAKER_NONE   UINT32_MAX

struct speaker_source {
	bool is_present; // false: an unused slot
	bool is_speaking;
	float loudness;    // 0 silent .. 127, smoothed
	uint64_t heard_ns; // the last level that came in, 0 = never
	uint64_t loud_ns;  // the last time above the threshold
	uint64_t since_ns; // speaking since
	uint64_t spoke_ns; // when it last spoke at length: what last-N is sorted by
};

struct speaker {
	uint32_t active; // index of the sources, SPEAKER_NONE before anybody spoke
	uint64_t changed_ns;
};

void speaker_init(struct speaker *s);
void speaker_source_init(struct speaker_source *src);
// The level of a packet, or the mean over several; a value above 127 counts as silence. `has_voice`
// is the V bit, which may only hold back: without it the source is taken for noise unless it is
// loud.
void speaker_level(struct speaker_source *src, uint8_t level, bool has_voice, uint64_t now_ns);
// Decides again; call it a few times a second. Returns true when the active speaker changed.
bool speaker_update(struct speaker *s, struct speaker_source *sources, uint32_t n, uint64_t now_ns);
// Fills `out` with the indices of at most `max` present sources: the active speaker, then those who
// spoke last, then the others in the order of the array. Returns how many.
uint32_t speaker_last_n(const struct speaker *s, const struct speaker_source *sources, uint32_t n,
			uint32_t *out, uint32_t max);

#endif
