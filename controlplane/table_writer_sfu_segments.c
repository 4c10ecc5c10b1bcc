// The four segments of the SFU: their sizes, creation and adoption. They are there without an SFU as
// well, with room for nothing. Control plane's loop thread.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/table_writer_private.h"
#include "dataplane/contract/shm/sfu_session_record.h"
#include "dataplane/contract/shm/sfu_state.h"
#include "dataplane/contract/shm/srtp_keys.h"

// Words of the pool of fan-out lists for each subscription: a list is replaced by a copy with room to
// grow while workers may still read the old one.
#define FANOUT_PER_SUBSCRIPTION 8

struct sizes {
	struct shm_sfu sfu;
	struct shm_sfu_state state;
	size_t sfu_bytes;
	size_t srtp_bytes;
	size_t state_bytes;
	size_t sessions_bytes;
};

static void sizes_of(const struct config_sfu *c, struct sizes *out)
{
	// Index 0 is never used.
	uint32_t n_transports = c->max_sessions + 1;
	uint32_t n_tracks = c->max_tracks + 1;
	uint32_t n_subscriptions = c->max_subscriptions + 1;

	*out = (struct sizes){ 0 };
	out->sfu_bytes = shm_sfu_size(n_transports, n_tracks, n_subscriptions,
				      FANOUT_PER_SUBSCRIPTION * n_subscriptions, &out->sfu);
	out->srtp_bytes = shm_srtp_size(n_transports);
	out->state_bytes = shm_sfu_state_size(n_transports, n_tracks, n_subscriptions, &out->state);
	out->sessions_bytes = shm_sessions_size(n_transports);
}

// What a configuration may change without other sizes.
static void set_words(struct shm_sfu *sfu, const struct config_sfu *c)
{
	sfu->node_id = c->node_id;
	__atomic_store_n(&sfu->is_enabled, c->is_enabled ? 1 : 0, __ATOMIC_RELAXED);
	__atomic_store_n(&sfu->retransmit_ms, (uint16_t)c->retransmit_ms, __ATOMIC_RELAXED);
}

int table_writer_sfu_segments_create(struct table_writer *w, const struct config *config,
				     const char **what)
{
	struct sizes s;
	struct shm_sfu *sfu;
	struct shm_sfu_state *state;
	int ret;

	sizes_of(&config->sfu, &s);
	*what = "sfu";
	ret = shm_segment_create(config->instance, SHM_SEGMENT_SFU, s.sfu_bytes, &w->sfu_segment);
	if (ret < 0)
		return ret;
	sfu = w->sfu_segment.base;
	sfu->n_transports = s.sfu.n_transports;
	sfu->n_tracks = s.sfu.n_tracks;
	sfu->n_subscriptions = s.sfu.n_subscriptions;
	sfu->n_fanout = s.sfu.n_fanout;
	sfu->transports_offset = s.sfu.transports_offset;
	sfu->tracks_offset = s.sfu.tracks_offset;
	sfu->subscriptions_offset = s.sfu.subscriptions_offset;
	sfu->fanout_offset = s.sfu.fanout_offset;
	set_words(sfu, &config->sfu);
	*what = "srtp";
	ret = shm_segment_create(config->instance, SHM_SEGMENT_SRTP, s.srtp_bytes,
				 &w->srtp_segment);
	if (ret < 0)
		return ret;
	((struct shm_srtp *)w->srtp_segment.base)->n_transports = s.sfu.n_transports;
	*what = "sfu_state";
	ret = shm_segment_create(config->instance, SHM_SEGMENT_SFU_STATE, s.state_bytes,
				 &w->sfu_state_segment);
	if (ret < 0)
		return ret;
	state = w->sfu_state_segment.base;
	state->n_transports = s.state.n_transports;
	state->n_tracks = s.state.n_tracks;
	state->n_subscriptions = s.state.n_subscriptions;
	state->ingress_offset = s.state.ingress_offset;
	state->egress_offset = s.state.egress_offset;
	*what = "sessions";
	ret = shm_segment_create(config->instance, SHM_SEGMENT_SESSIONS, s.sessions_bytes,
				 &w->sessions_segment);
	if (ret < 0)
		return ret;
	((struct shm_sessions *)w->sessions_segment.base)->n_sessions = s.sfu.n_transports;
	return 0;
}

int table_writer_sfu_state_reattach(struct table_writer *w, const char *instance)
{
	shm_segment_detach(&w->sfu_state_segment);
	w->sfu_state_segment.base = NULL;
	if (shm_segment_attach(instance, SHM_SEGMENT_SFU_STATE, false, &w->sfu_state_segment) !=
	    SHM_ATTACH_READY) {
		w->sfu_state_segment.base = NULL;
		return -EIO;
	}
	return 0;
}

// Whether what is mapped has these sizes, and is whole.
static bool sizes_agree(const struct table_writer *w, const struct sizes *s)
{
	struct shm_sfu_view table;
	struct shm_sfu_state_view state;

	return shm_sfu_view_init(&table, w->sfu_segment.base, w->sfu_segment.size_bytes) == 0 &&
	       shm_sfu_state_view_init(&state, w->sfu_state_segment.base,
				       w->sfu_state_segment.size_bytes, &table) == 0 &&
	       table.n_transports == s->sfu.n_transports && table.n_tracks == s->sfu.n_tracks &&
	       table.n_subscriptions == s->sfu.n_subscriptions &&
	       table.n_fanout == s->sfu.n_fanout && w->srtp_segment.size_bytes >= s->srtp_bytes &&
	       w->sessions_segment.size_bytes >= s->sessions_bytes;
}

static bool has_sessions(const struct table_writer *w)
{
	struct shm_sfu_view table;

	if (shm_sfu_view_init(&table, w->sfu_segment.base, w->sfu_segment.size_bytes) < 0)
		return false;
	for (uint32_t i = 1; i < table.n_transports; i++) {
		if (shm_sfu_transport_get(&table, i) != NULL)
			return true;
	}
	return false;
}

static int replace(struct table_writer *w, const struct config *config)
{
	struct shm_segment *segments[] = { &w->sessions_segment, &w->srtp_segment,
					   &w->sfu_state_segment, &w->sfu_segment };
	const char *what;
	int ret;

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		shm_segment_detach(segments[i]);
		segments[i]->base = NULL;
	}
	ret = table_writer_sfu_segments_create(w, config, &what);
	for (size_t i = 0; ret == 0 && i < sizeof(segments) / sizeof(segments[0]); i++)
		ret = shm_segment_publish(segments[i], config->instance);
	return ret < 0 ? ret : table_writer_sfu_state_reattach(w, config->instance);
}

int table_writer_sfu_segments_adopt(struct table_writer *w, const struct config *config,
				    char *error, size_t error_bytes)
{
	static const enum shm_segment_kind kinds[] = { SHM_SEGMENT_SFU, SHM_SEGMENT_SRTP,
						       SHM_SEGMENT_SFU_STATE,
						       SHM_SEGMENT_SESSIONS };
	struct shm_segment *segments[] = { &w->sfu_segment, &w->srtp_segment, &w->sfu_state_segment,
					   &w->sessions_segment };
	struct sizes s;
	int ret;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		enum shm_attach_state state = shm_segment_attach(
			config->instance, kinds[i], kinds[i] != SHM_SEGMENT_SFU_STATE, segments[i]);

		if (state != SHM_ATTACH_READY) {
			segments[i]->base = NULL;
			snprintf(error, error_bytes,
				 "shared segment \"%s\" of instance %s: %s (stop both processes, "
				 "then \"turnpikectl --instance %s segment remove\")",
				 shm_segment_kind_name(kinds[i]), config->instance,
				 shm_attach_state_text(state), config->instance);
			return -EPROTO;
		}
	}
	sizes_of(&config->sfu, &s);
	if (sizes_agree(w, &s)) {
		set_words(w->sfu_segment.base, &config->sfu);
		return 0;
	}
	// Nobody reads them and nobody misses them: then other sizes need no operator.
	if (has_sessions(w) || !table_writer_dataplane_gone(w, table_writer_now_ns())) {
		snprintf(error, error_bytes,
			 "the live segments of instance %s were made for another sfu section; set "
			 "its max_sessions, max_tracks and max_subscriptions back, or stop both "
			 "processes, run \"turnpikectl --instance %s segment remove\" (ends its "
			 "sessions) and start again",
			 config->instance, config->instance);
		return -EPROTO;
	}
	ret = replace(w, config);
	if (ret < 0)
		snprintf(error, error_bytes,
			 "cannot create the shared segments of the SFU: %s; make room in /dev/shm "
			 "or lower sfu: max_sessions",
			 strerror(-ret));
	return ret;
}
