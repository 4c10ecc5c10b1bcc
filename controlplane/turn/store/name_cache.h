// What a store said about names, for a while: a bounded hash with the least recently used on the way
// out. Names that do not exist have a room of their own, so that asking for many of them pushes out
// nobody who does. Control plane's loop thread.
#ifndef TP_TURN_NAME_CACHE_H
#define TP_TURN_NAME_CACHE_H

#include "controlplane/turn/store/store.h"

#define NAME_CACHE_FOUND_MAX  65536
#define NAME_CACHE_ABSENT_MAX 8192 // with those that are being asked for

#define NAME_CACHE_OAUTH 0xff // in place of a realm: the name is a token key's

enum name_cache_state {
	NAME_CACHE_ASKED = 0, // for the first time
	NAME_CACHE_FOUND,
	NAME_CACHE_ABSENT,
};

struct name_cache_entry {
	struct name_cache_entry *next; // in its chain
	struct name_cache_entry *older, *newer;
	uint64_t hash;
	uint64_t said_at_ns; // when the store answered
	uint64_t asked_at_ns;
	uint64_t serial;   // tells it from one that comes later into the same memory
	bool is_asked;     // an answer is under way
	uint8_t state;     // enum name_cache_state
	uint8_t realm_idx; // or NAME_CACHE_OAUTH
	uint32_t name_bytes;
	union {
		struct turn_keys user;
		struct turn_store_oauth_key oauth;
	} value; // of FOUND
	char name[];
};

struct name_cache;

int name_cache_new(struct name_cache **out);
void name_cache_free(struct name_cache *c); // wipes

// NULL: nothing is known. What is found counts as used.
struct name_cache_entry *name_cache_find(struct name_cache *c, uint8_t realm_idx, const char *name,
					 size_t name_bytes);
// A new one, ASKED. Entries that were given out may be gone afterwards. NULL without memory.
struct name_cache_entry *name_cache_add(struct name_cache *c, uint8_t realm_idx, const char *name,
					size_t name_bytes);
// The store answered; an entry that has become ABSENT is wiped of its value.
void name_cache_settle(struct name_cache *c, struct name_cache_entry *e,
		       enum name_cache_state state, uint64_t now_ns);
void name_cache_remove(struct name_cache *c, struct name_cache_entry *e);
uint32_t name_cache_n(const struct name_cache *c, enum name_cache_state state);

#endif
