// Relayed ports of one address: each belongs to one allocation at most, and cannot be predicted
// (RFC 8656 §7.2). Control plane's loop thread.
#ifndef TP_TURN_PORTS_H
#define TP_TURN_PORTS_H

#include <stdbool.h>
#include <stdint.h>

struct turn_ports {
	uint16_t min; // inclusive, host order
	uint16_t max;
	uint32_t n_free;
	uint64_t taken[65536 / 64];
};

void turn_ports_init(struct turn_ports *p, uint16_t min, uint16_t max);
// A random free port, 0 when there is none.
uint16_t turn_ports_take(struct turn_ports *p);
// A random free port that is even and, if wanted, has a free one behind it, which is taken as well;
// 0 when there is none.
uint16_t turn_ports_take_even(struct turn_ports *p, bool with_next);
// That very port; false when it is taken or out of range.
bool turn_ports_take_one(struct turn_ports *p, uint16_t port);
void turn_ports_release(struct turn_ports *p, uint16_t port);

#endif
