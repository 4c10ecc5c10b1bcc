// What the SFU's control plane holds: rooms, sessions, and how they stand in the tables. For the folder, and for the
// operators' verbs to read. One thread: the
// control plane's loop.
#ifndef TP_SFU_STATE_H
#define TP_SFU_STATE_H

#include <sys/queue.h>

#include "controlplane/config/config.h"
#include "controlplane/sfu/bwe/speaker.h"
#include "controlplane/sfu/dtls.h"
#include "controlplane/sfu/sdp/negotiate.h"
#include "controlplane/sfu/session.h"
#include "controlplane/sfu/sfu.h"
#include "controlplane/table_writer_sfu.h"

#define SFU_BUCKETS     1024
#define SFU_SLOTS_MAX   SDP_MEDIA_MAX
#define SFU_DETAIL_MAX  96
#define SFU_CNAME_BYTES 24
#define SFU_SCTP_PORT   5000 // ours; RFC 8841 §5

struct data_channel_peer;
struct data_fanout;
struct sfu_bandwidth;
struct sfu_room;

struct sfu_track {
	uint32_t idx; // in the tables; 0 = none
	uint8_t codec;
	uint8_t n_layers;
};

struct sfu_slot {
	uint32_t idx;
	uint8_t kind;
};

enum sfu_end {
	SFU_END_NONE = 0,
	SFU_END_LEFT,      // DELETE
	SFU_END_CLOSED,    // the client closed the association
	SFU_END_DTLS,      // no association came about, or it broke
	SFU_END_SILENT,    // no sign of life
	SFU_END_KEY_LIMIT, // RFC 5764 §4.4: 2^31 packets under one key
	SFU_END_OPERATOR,
	SFU_END_COUNT
};

struct sfu_session {
	struct sfu *sfu;
	struct sfu_room *room;
	TAILQ_ENTRY(sfu_session) in_room; // publishers or watchers, in the order of joining
	TAILQ_ENTRY(sfu_session) in_all;
	struct sfu_session *next_by_id; // hash chain
	enum sfu_role role;
	uint32_t transport_idx;
	bool is_adopted;
	struct shm_sfu_session record; // as it stands in the tables

	struct sfu_track tracks[SHM_SFU_KIND_COUNT]; // publisher
	uint32_t voice_idx;                          // publisher: in room->voices
	struct sfu_slot *slots;                      // watcher
	uint32_t n_slots;
	struct sfu_bandwidth *bandwidth; // watcher

	struct dtls_session *dtls;
	bool has_dtls_timer;
	bool is_connected;              // DTLS came to its end in this process
	uint32_t last_worker_idx;       // that spoke of the transport
	struct data_channel_peer *data; // NULL without
	struct data_fanout *fanout;     // publisher with data channels
	bool is_data_connected;
	enum sfu_end end;
	char detail[SFU_DETAIL_MAX];
};

TAILQ_HEAD(sfu_session_list, sfu_session);

struct sfu_room {
	char name[SFU_ROOM_BYTES_MAX];
	struct sfu_room *next_by_name; // hash chain
	TAILQ_ENTRY(sfu_room) in_all;
	struct sfu_session_list publishers;
	struct sfu_session_list watchers;
	uint32_t n_publishers;
	uint32_t n_watchers;
	uint32_t n_left_out; // slots that no codec fits
	struct speaker speaker;
	struct speaker_source *voices; // of publishers
	uint32_t n_voices;
	bool is_dirty; // the tables do not show it yet
};

TAILQ_HEAD(sfu_room_list, sfu_room);

struct sfu {
	const struct config *config;
	struct table_writer *tables;
	struct dtls_context *dtls;
	struct ip_endpoint candidates[SHM_LISTENERS_MAX];
	uint32_t n_candidates;
	char cname[SFU_CNAME_BYTES];
	struct sfu_session_list sessions; // in the order of joining
	struct sfu_room_list rooms;
	struct sfu_session *by_id[SFU_BUCKETS];
	struct sfu_room *by_name[SFU_BUCKETS];
	struct sfu_session **by_transport; // by index
	uint32_t n_sessions;
	uint32_t n_rooms;
	bool is_draining;
	bool has_sctp;
	uint64_t alive_since_ns; // the dataplane; 0 = it is not
	uint64_t bandwidth_ns;   // when rates were decided last
	uint64_t check_ns;       // when sessions were looked at last
	uint64_t now_ns;         // of the call that is being served
	struct sfu_counters counters;
};

uint64_t sfu_clock_ns(void); // CLOCK_MONOTONIC

// ---- room.c: who is where
struct sfu_room *sfu_room_find(const struct sfu *s, const char *name);
// Finds or makes; NULL without memory.
struct sfu_room *sfu_room_get(struct sfu *s, const char *name);
// Enters; leaves, with the tables following. An empty room goes.
int sfu_room_enter(struct sfu_session *session);
void sfu_room_exit(struct sfu_session *session);
struct sfu_session *sfu_room_publisher(const struct sfu_room *room, const char *participant);

// ---- apply.c: makes the tables show a room
void sfu_room_apply(struct sfu *s, struct sfu_room *room);
// The same now, or in a large room with the next tick: a plan reads the whole room, and a crowd that joins at once needs one for all.
#define SFU_ROOM_SMALL 64
void sfu_room_touch(struct sfu *s, struct sfu_room *room);

// ---- lifecycle.c
struct sfu_session *sfu_session_by_id(const struct sfu *s, const char *id);
// Makes an empty one for a transport index and indexes it; NULL without memory.
struct sfu_session *sfu_session_new(struct sfu *s, uint32_t transport_idx);
void sfu_session_index(struct sfu_session *session); // behind record.session_id
// Ends it: tables, association, room. Frees it.
void sfu_session_end(struct sfu_session *session, enum sfu_end why);
// Frees memory alone; the tables stay for the next control plane.
void sfu_session_forget(struct sfu_session *session);
const char *sfu_end_text(enum sfu_end end);

// ---- publish.c, watch.c: fill session and tables from what was negotiated; 0, -ENOSPC, or -ENOMEM. On failure nothing is published.
struct sdp_answer_params;
int sfu_publish(struct sfu_session *session, const struct sdp_negotiated *n,
		struct shm_sfu_transport *t);
int sfu_watch(struct sfu_session *session, const struct sdp_negotiated *n,
	      struct shm_sfu_transport *t, struct sdp_answer_params *params);
// The parts of a transport that both roles have.
void sfu_transport_fill(const struct sdp_negotiated *n, struct shm_sfu_transport *t);
uint8_t sfu_codec_of(enum sdp_codec_kind kind); // enum shm_sfu_codec
// Leaves one codec in each section of a publisher, by the configured preference; layers that cannot carry it go.
void sfu_prune_codecs(const struct config_sfu *c, struct sdp_negotiated *n);

// ---- transport.c: the association of a session
int sfu_transport_open(struct sfu_session *session, const struct sdp_fingerprint *fingerprints,
		       uint32_t n_fingerprints);
void sfu_transport_receive(struct sfu_session *session, const uint8_t *bytes, size_t n_bytes);
void sfu_transport_event(struct sfu_session *session, uint8_t event);
void sfu_transport_timer(struct sfu_session *session);
void sfu_transport_close(struct sfu_session *session); // says close_notify
void sfu_transport_free(struct sfu_session *session);

// ---- data.c: data channels. Started when DTLS is connected, stopped before the session leaves its room.
void sfu_data_start(struct sfu_session *session);
void sfu_data_receive(struct sfu_session *session, const uint8_t *bytes, size_t n_bytes);
void sfu_data_stop(struct sfu_session *session);

// ---- adoption.c
int sfu_adopt(struct sfu *s);

// ---- bandwidth.c: what each watcher gets
int sfu_bandwidth_new(struct sfu_session *session);
void sfu_bandwidth_free(struct sfu_session *session);
// The first decision, as soon as the session has its tracks.
void sfu_bandwidth_begin(struct sfu_session *session, uint64_t now_ns);
void sfu_bandwidth_feedback(struct sfu_session *session, const uint8_t *bytes, size_t n_bytes,
			    uint64_t now_ns);
void sfu_bandwidth_tick(struct sfu *s, uint64_t now_ns);

#endif
