// Requests with credentials as a client makes them (RFC 8489 §9.2, RFC 8656): built, signed, sent, answered, verified. Main
// thread.
#ifndef TP_CTL_PROBE_MESSAGE_H
#define TP_CTL_PROBE_MESSAGE_H

#include "controlplane/ctl/probe/link.h"
#include "dataplane/contract/wire/stun.h"

#define PROBE_ANSWER_NS     5000000000ull
#define PROBE_ALGORITHM_MAX 64

// Long-term credentials, and what the server's challenge said about them.
struct probe_credentials {
	const char *user;
	const char *password;
	char realm[128];
	uint8_t nonce[128];
	uint16_t nonce_bytes;                    // 0: not challenged yet
	uint8_t algorithms[PROBE_ALGORITHM_MAX]; // PASSWORD-ALGORITHMS as offered, to be echoed
	uint16_t algorithms_bytes;
	bool is_sha256; // chosen: SHA-256, else MD5 and SHA-1
	uint8_t key[32];
	uint16_t key_bytes;
};

// Takes REALM, NONCE and PASSWORD-ALGORITHMS from a 401 or 438 (RFC 8489 §9.2.5: SHA-256 where it is offered under the
// nonce cookie) and derives the key. 0, or -EBADMSG when REALM or NONCE is missing or absurd.
int probe_credentials_challenged(struct probe_credentials *c, const struct stun_view *answer);
void probe_credentials_wipe(struct probe_credentials *c);
// Time-limited credentials: base64(HMAC-SHA1(secret, user)). 29 bytes with NUL.
void probe_rest_password(const char *secret, const char *user, char out[29]);

struct probe_request {
	uint16_t type;
	uint8_t family;    // Allocate: STUN_FAMILY_IPV6 asks for it
	bool has_lifetime; // Refresh
	uint32_t lifetime_s;
	uint16_t channel; // ChannelBind
	bool has_peer;
	struct ip_endpoint peer;
};

// Builds the message; with a nonce known it is signed. Its length, 0 when it did not fit.
size_t probe_request_build(const struct probe_request *r, const struct probe_credentials *c,
			   const uint8_t transaction_id[12], uint8_t *out, size_t out_bytes);
// A Binding request, with CHANGE-REQUEST (RFC 5780) unless `change` is 0. It is long enough to be worth its answer to a server
// that gives strangers no more bytes than they send. PROBE_BINDING_MAX bytes always suffice.
#define PROBE_BINDING_MAX 160
size_t probe_binding_build(uint32_t change, uint8_t transaction_id[12],
			   uint8_t out[PROBE_BINDING_MAX]);
// True when the answer's integrity is right by the algorithm chosen.
bool probe_answer_verify(const struct probe_credentials *c, const struct stun_view *answer);
// Code of an error answer; 0 when it has none.
uint16_t probe_error_code(const struct stun_view *answer);

// Sends until an answer of any kind comes, over UDP and DTLS again and again (RFC 8489 §6.2.1). `answer` points into
// `buffer`. 0, -ETIMEDOUT, or why the association broke.
int probe_transact(struct probe_link *l, const uint8_t *message, size_t n, uint8_t *buffer,
		   size_t buffer_bytes, struct stun_view *answer, uint64_t *rtt_ns);

#define PROBE_INTEGRITY_WRONG (-10000)

// A request with credentials: a challenge and a stale nonce are answered once each. 0 on success, the error code when
// refused, PROBE_INTEGRITY_WRONG for an answer that somebody forged, -errno otherwise.
int probe_request(struct probe_link *l, struct probe_credentials *c, const struct probe_request *r,
		  uint8_t *buffer, size_t buffer_bytes, struct stun_view *answer);

#endif
