// Which packets of a track a watcher gets: the layer gate of one subscription. Layers of simulcast are changed only at a key frame
// of the new one, spatial layers of SVC are added only where they can be decoded, temporal ones only at an up-switch point;
// all are left as soon as the next frame begins. Pure: the owner of the struct calls, nothing else is written.
#ifndef TP_DP_SFU_SELECT_H
#define TP_DP_SFU_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/sfu/media.h"

#define DP_SFU_LAYER_NONE 0xff

enum dp_sfu_choice {
	DP_SFU_FORWARD = 0,
	DP_SFU_SWITCH, // forward; here another stream begins, or the same one anew
	DP_SFU_SKIP,   // of the stream in use, but not wanted: sequence numbers close up
	DP_SFU_IGNORE, // of another stream, or nothing is sent yet
	DP_SFU_CHOICE_COUNT
};

struct dp_sfu_gate {
	uint64_t forwarded_ns; // when a packet was let through last
	uint64_t asked_ns;     // when a key frame was asked for last, 0 = never
	uint32_t track_serial; // of the stream in use
	uint8_t layer;         // that is sent, DP_SFU_LAYER_NONE: none
	uint8_t spatial;       // highest that is let through
	uint8_t temporal;
	uint8_t is_waiting; // 1: nothing is sent before a key frame
	uint8_t reason;     // enum shm_sfu_egress_reason
};

struct dp_sfu_wish {
	uint32_t target; // word of shm_sfu_subscription
	uint8_t n_layers;
	uint8_t ask_layer; // out: of which layer a key frame is needed, DP_SFU_LAYER_NONE: of none
};

void dp_sfu_gate_init(struct dp_sfu_gate *g);
// Whatever was sent is void: the next thing that is sent is a key frame.
void dp_sfu_gate_close(struct dp_sfu_gate *g);

// Decides about one packet. Sets wish->ask_layer when the watcher needs a key frame and did not ask lately.
enum dp_sfu_choice dp_sfu_select(struct dp_sfu_gate *g, const struct dp_sfu_media *m,
				 struct dp_sfu_wish *wish, uint64_t now_ns);

#endif
