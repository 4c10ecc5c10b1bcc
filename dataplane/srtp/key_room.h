// Where contexts and their keys stand: blocks of one size out of large pages that no core dump has. Thousands of keys are used in
// turn: on small pages each would cost a walk of the page tables. One thread.
#ifndef TP_SRTP_KEY_ROOM_H
#define TP_SRTP_KEY_ROOM_H

#include <stddef.h>

struct srtp_key_room;

// NULL without memory. Blocks have at least `block_bytes`.
struct srtp_key_room *srtp_key_room_create(size_t block_bytes);
// With all its blocks, which are wiped.
void srtp_key_room_destroy(struct srtp_key_room *r);
// Zeroed, on a cache line's boundary; NULL without memory.
void *srtp_key_room_take(struct srtp_key_room *r);
// Wipes it. NULL is ignored.
void srtp_key_room_give(struct srtp_key_room *r, void *block);

#endif
