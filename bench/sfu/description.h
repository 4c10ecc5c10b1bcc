// The SDP of the load generator: offers as Chromium writes them, reduced to opus, VP8 and its RTX,
// and what matters of the answers. Pure.
#ifndef TP_BENCH_SFU_DESCRIPTION_H
#define TP_BENCH_SFU_DESCRIPTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_LAYERS_MAX     3
#define LOAD_CANDIDATES_MAX 8
#define LOAD_PT_OPUS        111
#define LOAD_PT_VP8         96
#define LOAD_PT_RTX         97
#define LOAD_MID_AUDIO      "0"
#define LOAD_MID_VIDEO      "1"

// Ids that we offer; an answer keeps or drops them.
enum load_extension {
	LOAD_EXT_AUDIO_LEVEL = 1,
	LOAD_EXT_ABS_SEND_TIME = 2,
	LOAD_EXT_TWCC = 3,
	LOAD_EXT_MID = 4,
	LOAD_EXT_RID = 10,
	LOAD_EXT_REPAIRED_RID = 11,
};

struct load_offer {
	bool is_publisher;
	bool has_audio;
	bool has_video;
	bool has_no_estimate; // neither transport-cc nor goog-remb: the server hears nothing of the path
	uint8_t n_layers; // of video; above 1: simulcast by RIDs q, h, f
	const char *ufrag;
	const char *pwd;
	const uint8_t *fingerprint; // SHA-256
	// Of a publisher without simulcast.
	uint32_t audio_ssrc;
	uint32_t video_ssrc;
	uint32_t rtx_ssrc;
};

struct load_answer {
	char ufrag[257];
	char pwd[257];
	uint8_t fingerprint[32];
	bool is_lite;
	bool is_passive; // the server waits for our ClientHello
	bool has_rtcp_rsize;
	bool has_rtx;
	uint8_t n_layers;          // that the server takes; 1 without a=simulcast
	bool audio_extensions[16]; // by id
	bool video_extensions[16];
	uint32_t n_candidates;
	struct sockaddr_in6 candidates[LOAD_CANDIDATES_MAX]; // UDP; IPv4 as IPv4-mapped
};

extern const char *const load_rids[LOAD_LAYERS_MAX];

// Writes the text with NUL; its length, or -ENOSPC.
int load_offer_write(const struct load_offer *offer, char *out, size_t room);
// 0, or -EINVAL with a sentence that says what is missing.
int load_answer_read(const char *text, struct load_answer *out, const char **reason);

#endif
