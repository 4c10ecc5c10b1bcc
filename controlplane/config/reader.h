// What the read_*.c files share: the file's tree on one side, the configuration being built on the
// other, and how they say what is wrong. Internal to the folder. Main thread.
#ifndef TP_CONFIG_READER_H
#define TP_CONFIG_READER_H

#include "controlplane/config/config.h"
#include "controlplane/config/document.h"

struct config_reader {
	const struct config_document *document;
	const struct file_config *file;
	struct config *config; // what was read so far; freed by the caller on failure too
	struct config_fault *fault;
};

// Sets the key that the next config_fail is about.
void config_at(struct config_reader *r, const char *key_format, ...)
	__attribute__((format(printf, 2, 3)));
// Fills the fault with "what; remedy" for that key. Returns -EINVAL. Text from the file goes
// through config_quote first; never a secret.
int config_fail(struct config_reader *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// 'text' cut to a readable length, control characters as '?'. Returns out.
#define CONFIG_QUOTE_BYTES 72
const char *config_quote(const char *text, char out[CONFIG_QUOTE_BYTES]);

// The number at a key, or its default; refused outside min..max. The key must be set.
int config_number(struct config_reader *r, const uint32_t *given, uint32_t fallback, uint32_t min,
		  uint32_t max, uint32_t *out);

// No control characters.
bool config_is_printable(const char *text);
// A realm's name, copied; the contract holds that many bytes. The key must be set.
#define CONFIG_REALM_BYTES_MAX 123
int config_realm_name(struct config_reader *r, const char *text, char **out);
// Fills one realm's users and secrets from the keys behind `prefix` ("" or "realms[0]."); the
// realm's name must be set. Whatever was read is in *out, on failure too.
int config_realm_credentials(struct config_reader *r, const char *prefix,
			     const struct file_user *users, uint32_t n_users,
			     char *const *rest_secrets, uint32_t n_rest_secrets,
			     struct config_realm *out);

// The index of the realm of that name; NULL is the default one. The key must be set.
int config_realm_find(struct config_reader *r, const char *name, uint8_t *out);

// Whether an entry of `listeners` is one for TCP or TLS, which config_read_streams reads.
bool config_is_stream_listener(const struct file_listener *l);

// Each reads one theme. 0, -EINVAL with the fault filled, or -ENOMEM.
int config_read_names(struct config_reader *r);       // instance, realm, software_attribute
int config_read_credentials(struct config_reader *r); // users, rest_secrets, nonce_secret
int config_read_redis(struct config_reader *r);
int config_read_realms(struct config_reader *r);        // beside the default one
int config_read_listeners(struct config_reader *r);     // behind realms
int config_read_relay(struct config_reader *r);         // behind listeners
int config_read_nat_discovery(struct config_reader *r); // behind listeners
int config_read_peers(struct config_reader *r);         // behind realms
int config_read_workers(struct config_reader *r);
int config_read_ports(struct config_reader *r);      // behind workers
int config_read_limits(struct config_reader *r);     // lifetime, quota, tables, limits, filter
int config_read_alternates(struct config_reader *r); // behind listeners
int config_read_sfu(struct config_reader *r);
int config_read_auth(struct config_reader *r); // behind users, realms and redis
int config_read_http(struct config_reader *r); // behind sfu
int config_read_tcp_relay(struct config_reader *r);
int config_read_streams(
	struct config_reader *r); // tls, streams, listeners for TCP and TLS; behind all

#endif
