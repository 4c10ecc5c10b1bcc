// Whom a watcher sees, for pages that put names to pictures. Control plane's loop thread; reads only.
#include <stdio.h>

#include "controlplane/sfu/state.h"

static const struct sfu_session *publisher_of(const struct sfu_room *room, uint8_t kind,
					      uint32_t track_idx)
{
	const struct sfu_session *p;

	TAILQ_FOREACH(p, &room->publishers, in_room)
	{
		if (p->tracks[kind].idx == track_idx)
			return p;
	}
	return NULL;
}

uint32_t sfu_session_seats(const struct sfu *s, const char *session_id, struct sfu_seat *out,
			   uint32_t max)
{
	const struct sfu_session *session = sfu_session_by_id(s, session_id);
	const struct shm_sfu_view *v = table_writer_sfu_view(s->tables);
	uint32_t n_of[SHM_SFU_KIND_COUNT] = { 0 }, n = 0;

	if (session == NULL || session->role != SFU_ROLE_WATCH || session->room == NULL)
		return 0;
	for (uint32_t i = 0; i < session->n_slots; i++) {
		uint8_t kind = session->slots[i].kind;
		uint32_t track_idx = v->subscription[session->slots[i].idx].track_idx;
		uint32_t index = n_of[kind]++;
		const struct sfu_session *p;

		p = track_idx != 0 ? publisher_of(session->room, kind, track_idx) : NULL;
		if (p == NULL)
			continue;
		if (n < max) {
			out[n].is_video = kind == SHM_SFU_VIDEO;
			out[n].index = index;
			snprintf(out[n].participant, sizeof(out[n].participant), "%s",
				 p->record.participant);
		}
		n++;
	}
	return n;
}
