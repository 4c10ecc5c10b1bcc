// Sessions by script: records what signaling asks and says what the test wants.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/signaling/signaling_rig.h"

struct fake_sfu fake_sfu;

static void record(const char *body, size_t n)
{
	if (n >= sizeof(fake_sfu.body))
		n = sizeof(fake_sfu.body) - 1;
	memcpy(fake_sfu.body, body, n);
	fake_sfu.body[n] = '\0';
}

static void say(struct sfu_reply *out, const char *body)
{
	memset(out, 0, sizeof(*out));
	out->status = fake_sfu.next;
	out->retry_after_s = fake_sfu.next_retry_after_s;
	strcpy(out->reason, fake_sfu.next_reason);
	strcpy(out->session_id, RIG_SESSION);
	strcpy(out->etag, "abcdef0123456789");
	if (out->status == SFU_CREATED || out->status == SFU_RESTARTED) {
		out->body = strdup(body);
		out->body_bytes = strlen(body);
	}
}

void sfu_join(struct sfu *s, const struct sfu_join *join, struct sfu_reply *out)
{
	fake_sfu.n_joins++;
	fake_sfu.role = join->role;
	strcpy(fake_sfu.room, join->room);
	strcpy(fake_sfu.participant, join->participant != NULL ? join->participant : "");
	record(join->offer, join->offer_bytes);
	say(out, "v=0\r\ns=answer\r\n");
}

void sfu_patch(struct sfu *s, const char *session_id, const char *if_match, const char *fragment,
	       size_t fragment_bytes, struct sfu_reply *out)
{
	fake_sfu.n_patches++;
	fake_sfu.has_if_match = if_match != NULL;
	snprintf(fake_sfu.if_match, sizeof(fake_sfu.if_match), "%s", if_match ? if_match : "");
	record(fragment, fragment_bytes);
	say(out, "a=ice-ufrag:new1\r\n");
}

void sfu_leave(struct sfu *s, const char *session_id, struct sfu_reply *out)
{
	fake_sfu.n_leaves++;
	say(out, "");
}

bool sfu_session_find(const struct sfu *s, const char *session_id, enum sfu_role *role,
		      char room[SFU_ROOM_BYTES_MAX])
{
	if (strcmp(session_id, RIG_SESSION) != 0)
		return false;
	*role = fake_sfu.session_role;
	strcpy(room, "lobby");
	return true;
}

uint32_t sfu_session_seats(const struct sfu *s, const char *session_id, struct sfu_seat *out,
			   uint32_t max)
{
	if (!fake_sfu.has_publisher || max < 2)
		return 0;
	out[0] = (struct sfu_seat){ .index = 0, .participant = "alice" };
	out[1] = (struct sfu_seat){ .is_video = true, .index = 2, .participant = "bob" };
	return 2;
}

uint32_t sfu_room_publishers(const struct sfu *s, const char *room, struct sfu_publisher_info *out,
			     uint32_t max)
{
	if (!fake_sfu.has_publisher || strcmp(room, "lobby") != 0 || max == 0)
		return 0;
	memset(out, 0, sizeof(*out));
	strcpy(out->participant, "alice");
	out->has_audio = true;
	out->is_connected = true;
	out->audio_level = 31;
	return 1;
}
