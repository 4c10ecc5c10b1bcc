// The shared store of users as the command writes and reads it: one connection, one question. Blocks for seconds at most.
#ifndef TP_CTL_SHARED_STORE_H
#define TP_CTL_SHARED_STORE_H

#include <stdbool.h>

struct command;
struct config;
struct config_redis;

// All return 0, or -1 after a message.

// Sets a user's key (hexadecimal MD5). *was_there: it replaced one.
int shared_store_key_set(const struct config_redis *r, const char *realm, const char *name,
			 const char *key, bool *was_there);
int shared_store_key_delete(const struct config_redis *r, const char *realm, const char *name,
			    bool *was_there);
// One of the realm's secrets, to be wiped and freed; NULL: there is none.
int shared_store_secret(const struct config_redis *r, const char *realm, char **out);

// Of --realm; 0 = the default one, -1 after a message. credential_new.c
int ctl_realm_find(const struct command *c, const struct config *config);
const char *ctl_realm_name(const struct config *config, int realm_idx);

#endif
