// Reads the section of the SFU. Main thread.
#include <errno.h>
#include <string.h>

#include "controlplane/config/reader.h"
#include "dataplane/contract/shm/sfu_table.h"

#define MAX_SESSIONS      1024
#define MAX_SESSIONS_MOST 65536
// What a publisher sends and what a watcher takes, when nothing else is said.
#define TRACKS_PER_SESSION        4
#define SUBSCRIPTIONS_PER_SESSION 16
#define TRACKS_MOST               262144
#define SUBSCRIPTIONS_MOST        1048576
#define PUBLISHERS_PER_ROOM       64
#define RETRANSMIT_MS             1000
#define SESSION_TIMEOUT_S         30
#define START_KBPS                1000
#define MAX_KBPS                  20000

static int read_codecs(struct config_reader *r, const struct file_sfu *f)
{
	static const struct {
		const char *name;
		uint8_t codec;
	} known[CONFIG_SFU_CODECS_MAX] = { { "vp8", SHM_SFU_VP8 },
					   { "h264", SHM_SFU_H264 },
					   { "vp9", SHM_SFU_VP9 },
					   { "av1", SHM_SFU_AV1 } };
	struct config_sfu *c = &r->config->sfu;

	if (f->n_codecs == 0) {
		for (uint32_t i = 0; i < CONFIG_SFU_CODECS_MAX; i++)
			c->codecs[c->n_codecs++] = known[i].codec;
		return 0;
	}
	for (uint32_t i = 0; i < f->n_codecs; i++) {
		char quoted[CONFIG_QUOTE_BYTES];
		uint32_t k = 0;

		config_at(r, "sfu.codecs[%u]", i);
		while (k < CONFIG_SFU_CODECS_MAX && strcmp(known[k].name, f->codecs[i]) != 0)
			k++;
		if (k == CONFIG_SFU_CODECS_MAX)
			return config_fail(r,
					   "%s is no codec of the SFU; use vp8, h264, vp9 or av1",
					   config_quote(f->codecs[i], quoted));
		if (memchr(c->codecs, known[k].codec, c->n_codecs) != NULL)
			return config_fail(r, "%s stands twice; remove one", known[k].name);
		c->codecs[c->n_codecs++] = known[k].codec;
	}
	return 0;
}

int config_read_sfu(struct config_reader *r)
{
	const struct file_sfu *f = r->file->sfu;
	struct config_sfu *c = &r->config->sfu;
	uint32_t node_id = 0;

	if (f == NULL)
		return 0;
	config_at(r, "sfu.max_sessions");
	if (config_number(r, f->max_sessions, MAX_SESSIONS, 1, MAX_SESSIONS_MOST,
			  &c->max_sessions) < 0)
		return -EINVAL;

	const struct {
		const char *key;
		const uint32_t *given;
		uint32_t fallback, min, max;
		uint32_t *out;
	} numbers[] = {
		{ "max_tracks", f->max_tracks, TRACKS_PER_SESSION * c->max_sessions, 1, TRACKS_MOST,
		  &c->max_tracks },
		{ "max_subscriptions", f->max_subscriptions,
		  SUBSCRIPTIONS_PER_SESSION * c->max_sessions, 1, SUBSCRIPTIONS_MOST,
		  &c->max_subscriptions },
		{ "max_publishers_per_room", f->max_publishers_per_room, PUBLISHERS_PER_ROOM, 1,
		  MAX_SESSIONS_MOST, &c->max_publishers_per_room },
		{ "max_watchers_per_room", f->max_watchers_per_room, MAX_SESSIONS_MOST, 1,
		  MAX_SESSIONS_MOST, &c->max_watchers_per_room },
		{ "last_n", f->last_n, 0, 0, MAX_SESSIONS_MOST, &c->last_n },
		{ "node_id", f->node_id, 0, 0, UINT8_MAX, &node_id },
		{ "retransmit_ms", f->retransmit_ms, RETRANSMIT_MS, 50, 10000, &c->retransmit_ms },
		{ "session_timeout_seconds", f->session_timeout_seconds, SESSION_TIMEOUT_S, 5, 3600,
		  &c->session_timeout_s },
		{ "start_kbps", f->start_kbps, START_KBPS, 50, 1000000, &c->start_kbps },
		{ "max_kbps", f->max_kbps, MAX_KBPS, 50, 1000000, &c->max_kbps },
	};

	for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		config_at(r, "sfu.%s", numbers[i].key);
		if (config_number(r, numbers[i].given, numbers[i].fallback, numbers[i].min,
				  numbers[i].max, numbers[i].out) < 0)
			return -EINVAL;
	}
	if (c->start_kbps > c->max_kbps) {
		config_at(r, "sfu.start_kbps");
		return config_fail(r, "%u is more than sfu.max_kbps (%u); lower it or raise that",
				   c->start_kbps, c->max_kbps);
	}
	c->node_id = (uint8_t)node_id;
	c->wait_for_publisher = f->wait_for_publisher != NULL && *f->wait_for_publisher;
	c->is_enabled = true;
	return read_codecs(r, f);
}
