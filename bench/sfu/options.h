// The command line of sfu_load.
#ifndef TP_BENCH_SFU_OPTIONS_H
#define TP_BENCH_SFU_OPTIONS_H

#include "bench/sfu/session.h"

struct load_options {
	const char *whip; // {room} and {publisher} are replaced
	const char *whep;
	const char *whip_token;
	const char *whep_token;
	const char *json;
	const char *profiles;
	uint32_t n_rooms;
	uint32_t n_publishers; // of each room
	uint32_t n_watchers;   // of each publisher
	uint32_t warmup_s;
	uint32_t seconds;
	double loss_max;     // share, after repair
	uint32_t server_pid; // whose CPU time is told; 0 = nobody's
	struct load_media media;
};

// 0; 1 when only help was asked for; -EINVAL, with a sentence on stderr.
int load_options_read(int argc, char **argv, struct load_options *out);
// A URL of the template; false when it does not fit.
bool load_url_expand(const char *template_text, uint32_t room, uint32_t publisher,
		     char out[HTTP_URL_BYTES]);

#endif
