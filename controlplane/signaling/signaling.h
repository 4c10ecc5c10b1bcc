// The HTTP(S) face of the SFU: WHIP (RFC 9725), WHEP (draft-ietf-wish-whep-02), the publishers of a room, the
// demo pages. Control plane's loop thread; knows HTTP and tokens, and leaves sessions to controlplane/sfu.
#ifndef TP_SIGNALING_H
#define TP_SIGNALING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

struct event_base;
struct sfu;
struct signaling;

#define SIGNALING_LISTENERS_MAX 32

struct signaling_listener {
	struct ip_endpoint endpoint; // the unspecified address listens on all of its family
	bool is_tls;
};

// Everything is copied; secrets are wiped with the copy.
struct signaling_config {
	const struct signaling_listener *listeners;
	uint32_t n_listeners;

	const char *certificate_path; // PEM chain; NULL: made once and kept below state_dir
	const char *key_path;
	const char *state_dir; // made if it is missing

	bool requires_tokens;             // false: everybody may publish and watch everywhere
	const char *const *token_secrets; // any of them serves, so that they can be rotated
	uint32_t n_token_secrets;

	// What browsers get in Link: rel="ice-server". Without the secret there are no such lines.
	const char *const *turn_urls; // "turn:198.51.100.1:3478?transport=udp"
	uint32_t n_turn_urls;
	const char *turn_secret;  // of the REST credentials
	uint32_t turn_lifetime_s; // of one credential; 0 = a day

	const char *const *allow_origins; // "*" or "https://host[:port]"
	uint32_t n_allow_origins;
	const char *redirect; // "https://other.host": joins go there with 307; NULL = served here

	// 0 = the default in http.h
	uint32_t connections_max;
	uint32_t idle_s;                     // of a connection without a whole request
	uint32_t connections_per_source_max; // an IPv4 address or an IPv6 /64
};

// Reads or makes the certificate, binds the listeners and starts to serve. On failure -errno and one sentence
// with the remedy in error.
int signaling_new(const struct signaling_config *c, struct event_base *base, struct sfu *sfu,
		  struct signaling **out, char *error, size_t error_bytes);
// Takes over everything but the listeners. On failure the old settings stay in force.
int signaling_reload(struct signaling *s, const struct signaling_config *c, char *error,
		     size_t error_bytes);
// The port that a listener of the configuration is bound to, host order (for port 0).
uint16_t signaling_port(const struct signaling *s, uint32_t listener_idx);
// SHA-256 of the certificate in force, as "AB:CD:…", NUL included: what a person compares with the browser's warning.
#define SIGNALING_FINGERPRINT_BYTES 96
int signaling_fingerprint(const struct signaling *s, char out[SIGNALING_FINGERPRINT_BYTES]);
void signaling_free(struct signaling *s);

#endif
