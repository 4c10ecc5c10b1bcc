// What the command line asked for.
#ifndef TP_CTL_COMMAND_H
#define TP_CTL_COMMAND_H

#include <stdbool.h>

// Exit codes of every verb.
#define EXIT_VERB_FAILED 1 // the control plane answered, but not found, refused, …
#define EXIT_WRONG_USE   2 // usage, no control plane, wrong configuration

struct command {
	const char *instance;
	const char *socket;  // NULL: that of the instance
	const char *operand; // ID or FILE
	const char *user, *peer, *client, *listener, *relayed, *channel, *limit;
	const char *interface; // import: for ports:
	const char *room, *participant, *lifetime, *config;
	const char *realm;
	const char *password, *secret, *ca, *count; // probe
	bool may_publish;
	bool is_json;
	bool is_watching;
	bool with_all;
};

#define CTL_CONFIG_PATH "/etc/turnpike/turnpike.yaml" // unless --config names another

// Verbs that need no control plane; each returns the exit code.
int run_credential_new(const struct command *c); // credential_new.c
int run_user_key(const struct command *c);       // user_keys.c
int run_user_add(const struct command *c);
int run_user_remove(const struct command *c);
int run_config_check(const struct command *c);  // config_check.c
int run_import_coturn(const struct command *c); // import.c
int run_probe_stun(const struct command *c);    // probe/probe.c
int run_probe_turn(const struct command *c);
int run_probe_turns(const struct command *c);
int run_segment_remove(const struct command *c); // segment_remove.c
int run_token_new(const struct command *c);      // token_new.c

// Prints "turnpikectl: " and the line to stderr. Returns `code`.
int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
