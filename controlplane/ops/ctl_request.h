// One request of the operators' protocol: a line of JSON in, a line of JSON out. No I/O, so tests
// and the fuzzer drive it directly. Control plane's loop thread.
//
//   {"version":1,"verb":"status","args":{…}}
//   {"version":1,"ok":true,"result":{…}}
//   {"version":1,"ok":false,"error":{"code":"not_found","message":"…","remedy":"…"}}
#ifndef TP_OPS_CTL_REQUEST_H
#define TP_OPS_CTL_REQUEST_H

#include <stddef.h>

struct engine;

#define CTL_PROTOCOL_VERSION 1

// Answers that need no memory.
#define CTL_ANSWER_OUT_OF_MEMORY                                                                   \
	"{\"version\":1,\"ok\":false,\"error\":{\"code\":\"out_of_memory\",\"message\":"           \
	"\"the control plane is out of memory\",\"remedy\":\"ask for less, or try again\"}}"
#define CTL_ANSWER_BUSY                                                                            \
	"{\"version\":1,\"ok\":false,\"error\":{\"code\":\"busy\",\"message\":"                    \
	"\"too many clients are connected to the control socket\",\"remedy\":"                     \
	"\"end some of them (ss -xp), then try again\"}}"

// Handles one line, without its newline. Always an answer, without a newline; NULL only when memory
// ran out. The caller frees it.
char *ctl_request_handle(struct engine *engine, const char *line, size_t n_bytes);
// The answer to a line longer than CTL_LINE_BYTES_MAX.
char *ctl_request_refuse_long(void);

#endif
