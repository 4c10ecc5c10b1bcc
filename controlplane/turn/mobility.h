// Mobility (RFC 8016): an allocation that asked for it may go on from another client address or
// transport, by a Refresh that shows its ticket. Private to turn/. Control plane's loop thread.
#ifndef TP_TURN_MOBILITY_H
#define TP_TURN_MOBILITY_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/wire/stun.h"

#define TURN_TICKET_BYTES     42
#define TURN_TICKET_KEY_BYTES 32

struct turn_call;

struct turn_mobility {
	uint8_t key[TURN_TICKET_KEY_BYTES];
	uint8_t old_key[TURN_TICKET_KEY_BYTES]; // before the secret was changed by a reload
};

// The secret of nonces in force; tickets made under the one before still open.
void turn_mobility_set_secret(struct turn_mobility *m, const uint8_t secret[16]);
void turn_mobility_wipe(struct turn_mobility *m);

// Of an Allocate: 0, or the code of the error.
uint16_t turn_mobility_check_allocate(const struct turn_call *c, bool *is_mobile);
// The allocation that was just created may move.
void turn_mobility_begin(const struct turn_call *c, uint32_t idx);

// Reads the ticket of a Refresh, before authentication: on a path of no allocation it names the one
// that is to move.
void turn_mobility_find(struct turn_call *c);
// Of a Refresh: 0, or the code of the error.
uint16_t turn_mobility_check(const struct turn_call *c);
// Moves the allocation where the request comes on another path; the ticket is used up. 0 or 508.
uint16_t turn_mobility_refresh(struct turn_call *c);
// An authenticated request on the allocation's path: the client has its last ticket.
void turn_mobility_heard(const struct turn_call *c);

// MOBILITY-TICKET with the one that counts.
void turn_mobility_add_ticket(const struct turn_call *c, uint32_t idx, struct stun_builder *b);

#endif
