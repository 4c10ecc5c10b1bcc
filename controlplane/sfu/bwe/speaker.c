// Active speaker and last-N (RFC 6464 levels). Pure, one thread per room.
#include "controlplane/sfu/bwe/speaker.h"

#include <string.h>

#define LOUD           72.0f // 127 - 55 dBov: speech
#define LOUD_NO_VOICE  92.0f // without the voice bit
#define ATTACK_NS      100000000.0f
#define RELEASE_NS     600000000.0f
#define SPEAKS_NS      300000000ULL  // so long loud before it is speech and no cough
#define PAUSE_NS       800000000ULL  // so long silent before it is over
#define FLOOR_NS       1500000000ULL // at least so long for who speaks
#define MARGIN         6.0f          // dB louder, to take the floor from one who speaks
#define LEVEL_STALE_NS 500000000ULL  // without packets (DTX, mute) a source falls silent

void speaker_init(struct speaker *s)
{
	s->active = SPEAKER_NONE;
	s->changed_ns = 0;
}

void speaker_source_init(struct speaker_source *src)
{
	memset(src, 0, sizeof(*src));
	src->is_present = true;
}

static void smooth(struct speaker_source *src, float loudness, uint64_t now_ns)
{
	float passed_ns = src->heard_ns ? (float)(now_ns - src->heard_ns) : 0;
	float time_ns = loudness > src->loudness ? ATTACK_NS : RELEASE_NS;
	float part = passed_ns / (passed_ns + time_ns);

	src->loudness = src->heard_ns ? src->loudness + part * (loudness - src->loudness) : 0;
	src->heard_ns = now_ns;
}

void speaker_level(struct speaker_source *src, uint8_t level, bool has_voice, uint64_t now_ns)
{
	float loudness = level > SPEAKER_SILENT ? 0 : (float)(SPEAKER_SILENT - level);

	smooth(src, loudness, now_ns);
	if (src->loudness >= (has_voice ? LOUD : LOUD_NO_VOICE)) {
		if (src->since_ns == 0)
			src->since_ns = now_ns;
		src->loud_ns = now_ns;
	}
}

static void refresh(struct speaker_source *src, uint64_t now_ns)
{
	if (src->heard_ns && now_ns - src->heard_ns > LEVEL_STALE_NS)
		smooth(src, 0, now_ns);
	if (src->since_ns && now_ns - src->loud_ns > PAUSE_NS)
		src->since_ns = 0;
	src->is_speaking = src->since_ns && src->loud_ns - src->since_ns >= SPEAKS_NS;
	if (src->is_speaking)
		src->spoke_ns = src->loud_ns;
}

bool speaker_update(struct speaker *s, struct speaker_source *sources, uint32_t n, uint64_t now_ns)
{
	const struct speaker_source *active = NULL;
	uint32_t best = SPEAKER_NONE;

	for (uint32_t i = 0; i < n; i++) {
		if (!sources[i].is_present)
			continue;
		refresh(&sources[i], now_ns);
		if (sources[i].is_speaking &&
		    (best == SPEAKER_NONE || sources[i].loudness > sources[best].loudness))
			best = i;
	}
	if (s->active < n && sources[s->active].is_present)
		active = &sources[s->active];
	else
		s->active = SPEAKER_NONE;
	if (best == SPEAKER_NONE || best == s->active)
		return false;
	if (active && active->is_speaking &&
	    (now_ns - s->changed_ns < FLOOR_NS ||
	     sources[best].loudness < active->loudness + MARGIN))
		return false;
	s->active = best;
	s->changed_ns = now_ns;
	return true;
}

static bool is_taken(const uint32_t *out, uint32_t n_out, uint32_t i)
{
	for (uint32_t k = 0; k < n_out; k++)
		if (out[k] == i)
			return true;
	return false;
}

uint32_t speaker_last_n(const struct speaker *s, const struct speaker_source *sources, uint32_t n,
			uint32_t *out, uint32_t max)
{
	uint32_t n_out = 0;

	if (max > 0 && s->active < n && sources[s->active].is_present)
		out[n_out++] = s->active;
	// Selection: rooms are small next to what one tick may cost, and N is small.
	while (n_out < max) {
		uint32_t next = SPEAKER_NONE;

		for (uint32_t i = 0; i < n; i++)
			if (sources[i].is_present && !is_taken(out, n_out, i) &&
			    (next == SPEAKER_NONE || sources[i].spoke_ns > sources[next].spoke_ns))
				next = i;
		if (next == SPEAKER_NONE)
			break;
		out[n_out++] = next;
	}
	return n_out;
}
