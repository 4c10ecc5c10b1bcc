// A publisher or a watcher: joins by WHIP or WHEP, sends or receives, speaks RTCP as a browser
// does. One thread.
#ifndef TP_BENCH_SFU_SESSION_H
#define TP_BENCH_SFU_SESSION_H

#include "bench/sfu/http.h"
#include "bench/sfu/rtp_sink.h"
#include "bench/sfu/rtp_source.h"
#include "bench/sfu/transport.h"
#include "bench/sfu/twcc_recorder.h"

struct load_media {
	bool has_audio;
	bool has_video;
	uint8_t n_layers;
	uint8_t n_temporal;
	uint16_t packet_bytes;
	uint32_t video_bps; // of the highest layer; each one below has a third
	uint32_t frames_per_s;
	uint32_t burst_us; // that a frame's packets take; 0 = they are evenly spaced
	uint32_t key_bytes;
	uint32_t key_every_frames; // 0 = only when asked for
	bool has_estimate;         // watchers offer transport-cc and REMB
	bool sends_nack;
	bool sends_twcc;
};

struct load_session_counters {
	uint64_t n_nacks_received; // by publishers: sequence numbers asked for
	uint64_t n_repeated;
	uint64_t n_plis_received;
	uint64_t n_twcc_received;
	uint64_t n_remb_received;
	uint64_t n_reports_received;
	uint64_t n_nacks_sent;
	uint64_t n_plis_sent;
	uint64_t n_twcc_sent;
	uint64_t n_sender_reports;
	uint64_t n_bad_rtcp;
};

struct load_session {
	bool is_publisher;
	uint32_t number;
	uint64_t join_ns; // how long the HTTP request took
	char resource[HTTP_URL_BYTES];
	const char *token;
	const struct load_media *media;
	struct load_transport transport;
	struct load_session_counters *counters; // shared
	uint32_t own_ssrc;                      // that reports come from
	// Publisher.
	struct rtp_source sources[1 + LOAD_LAYERS_MAX];
	uint32_t n_sources;
	uint16_t twcc_sequence;
	bool is_sending;
	// Watcher.
	struct rtp_sink sink;
	struct twcc_recorder twcc;
	uint64_t gap_ns; // longest time without a packet while counting
	bool is_silent;  // nothing came toward the end of it
	// Timers.
	uint64_t report_ns;
	uint64_t feedback_ns;
	uint64_t pli_ns;
	uint64_t nack_ns;
};

struct load_world {
	struct load_dtls_context *dtls;
	struct dp_srtp *srtp;
	struct load_transport_counters *transport_counters;
	struct load_session_counters *counters;
	struct rtp_sink_totals *totals;
};

// Posts the offer and begins ICE. 0; -EAGAIN when the server says "later" (409, 503); -EPROTO and
// others: `why` (256 bytes) says. A session that failed needs no end.
int load_session_join(struct load_session *s, const struct load_world *world, bool is_publisher,
		      uint32_t number, const struct load_media *media, const char *url,
		      const char *token, char *why);
// DELETE, and all is freed.
void load_session_leave(struct load_session *s);
// ICE, DTLS, RTCP: about every 10 ms.
void load_session_timer(struct load_session *s, uint64_t now_ns);
// Publisher: sends what is due; returns when the next packet is.
uint64_t load_session_send(struct load_session *s, uint64_t now_ns);

#endif
