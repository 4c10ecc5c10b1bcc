// The verbs behind the operators' protocol and what they share. Each takes checked arguments and
// returns its result, or NULL after ctl_refuse. Control plane's loop thread.
#ifndef TP_OPS_CTL_VERBS_H
#define TP_OPS_CTL_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/engine.h"

struct ctl_call {
	struct engine *engine;
	const json_t *args;  // an object
	uint64_t now_ns;     // CLOCK_MONOTONIC
	char error_code[32]; // "" as long as nothing was refused
	char error_message[384];
	char error_remedy[256];
};

typedef json_t *(*ctl_verb_fn)(struct ctl_call *call);

struct ctl_verb {
	const char *name;
	ctl_verb_fn run;
	const char *args; // names it takes, separated by spaces
};

// Ends with an empty name.
extern const struct ctl_verb ctl_verbs[];

// Says why not. Returns NULL, for `return ctl_refuse(…)`.
json_t *ctl_refuse(struct ctl_call *call, const char *code, const char *remedy, const char *format,
		   ...) __attribute__((format(printf, 4, 5)));

// Optional arguments: the out-parameter keeps its value where the argument is not given. 0, or
// -EINVAL after ctl_refuse.
int ctl_arg_text(struct ctl_call *call, const char *name, const char **out);
int ctl_arg_number(struct ctl_call *call, const char *name, uint64_t max, uint64_t *out);
int ctl_arg_endpoint(struct ctl_call *call, const char *name, struct ip_endpoint *out,
		     bool *is_given);

// Text that may hold any bytes: those that are no UTF-8 are written as \xNN.
json_t *ctl_text(const char *bytes, size_t n_bytes);
json_t *ctl_endpoint(const struct ip_endpoint *e);
json_t *ctl_address(const struct ip_address *a);
const char *ctl_codec_name(uint8_t codec); // enum shm_sfu_codec
json_t *ctl_mac(const uint8_t mac[6]);
// Seconds from `from` to `to` in ns, with three decimals; negative when it lies behind.
json_t *ctl_seconds(uint64_t from_ns, uint64_t to_ns);
json_t *ctl_counter(uint64_t value);

// By theme.
json_t *ctl_status(struct ctl_call *call); // ctl_status.c
json_t *ctl_version(struct ctl_call *call);
json_t *ctl_reload(struct ctl_call *call);
json_t *ctl_drain_on(struct ctl_call *call); // ctl_drain.c
json_t *ctl_drain_off(struct ctl_call *call);
json_t *ctl_allocations(struct ctl_call *call); // ctl_allocations.c
json_t *ctl_allocation_show(struct ctl_call *call);
json_t *ctl_allocation_kill(struct ctl_call *call);
json_t *ctl_workers(struct ctl_call *call); // ctl_workers.c
json_t *ctl_drops(struct ctl_call *call);
json_t *ctl_stats(struct ctl_call *call);
// Of status and stats: TURN over TCP, TLS and DTLS.
json_t *ctl_streams_object(const struct engine *e);
json_t *ctl_stream_counters(const struct engine *e);
json_t *ctl_filter(struct ctl_call *call);      // ctl_filter.c
json_t *ctl_config_show(struct ctl_call *call); // ctl_config.c
json_t *ctl_explain(struct ctl_call *call);     // explain.c

json_t *ctl_rooms(struct ctl_call *call); // ctl_sfu.c
json_t *ctl_sessions(struct ctl_call *call);
json_t *ctl_session_kill(struct ctl_call *call);
json_t *ctl_why(struct ctl_call *call);
json_t *ctl_user_list(struct ctl_call *call); // ctl_users.c
json_t *ctl_user_show(struct ctl_call *call);
json_t *ctl_user_kill(struct ctl_call *call);
json_t *ctl_user_forget(struct ctl_call *call);
json_t *ctl_store_counters(const struct engine *e); // empty without a shared store

json_t *ctl_sfu_counters(const struct engine *e); // of its control plane; empty without an SFU

#endif
