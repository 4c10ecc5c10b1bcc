// DTLS 1.2 endpoints over datagrams that the caller carries (RFC 6347, 5764, 8827): one per session, to agree
// on SRTP keys and to carry SCTP. OpenSSL 3.0 knows no DTLS 1.3. One thread: the control plane's loop.
//
// Who may speak to it: datagrams are only to be handed in from a 5-tuple on which the worker authenticated an
// ICE check of the session. Besides, a server's first answer is a HelloVerifyRequest, and the client's second
// ClientHello is parsed no further unless it returns the cookie; keys and signatures are computed from there
// on. The cookie is bound to the session rather than to the address, because a browser may change the
// candidate pair between its two ClientHellos, and the address is proven by ICE. DTLSv1_listen() is not used,
// since it cannot take a fragmented ClientHello, and that of every browser with ML-KEM is fragmented.
//
// What a restart leaves: SRTP keys are in shared memory, so media goes on; the state of the association is in
// this process alone and OpenSSL can neither export nor import it. A session that was adopted has no
// association: datagrams of it that are no ClientHello are ignored, its data channels are gone, and the end
// of it is seen by ICE consent rather than by close_notify. A handshake that was half done ends by the peer's
// timeout, and it joins anew.
//
// Keys: a DTLS-SRTP association has one set of keys for its life, and no rekeying but a new association
// (RFC 5764 §4.4 with renegotiation, which is refused here as everywhere). So a session must end, and join
// anew, before DTLS_SRTP_PACKETS_MAX packets of one SSRC direction; the worker's index shows how many.
#ifndef TP_SFU_DTLS_H
#define TP_SFU_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sfu/sdp/session.h" // struct sdp_fingerprint
#include "dataplane/srtp/profile.h"

#define DTLS_MTU_BYTES 1200 // of our datagrams, without IP and UDP
// What fits into one datagram of ours besides header, explicit nonce and tag of the AEAD ciphers.
#define DTLS_DATA_BYTES_MAX   (DTLS_MTU_BYTES - 13 - 8 - 16)
#define DTLS_SHA256_BYTES     32
#define DTLS_SRTP_PACKETS_MAX (1u << 31)

struct dtls_context;
struct dtls_session;

enum dtls_role {
	DTLS_ROLE_SERVER = 0, // our answer said setup:passive; we choose the SRTP profile
	DTLS_ROLE_CLIENT,
	DTLS_ROLE_COUNT
};

enum dtls_close_reason {
	DTLS_CLOSE_NONE = 0,
	DTLS_CLOSE_BY_US,
	DTLS_CLOSE_BY_PEER,     // close_notify
	DTLS_CLOSE_FINGERPRINT, // the certificate is not the one that the SDP announced
	DTLS_CLOSE_HANDSHAKE,   // no agreement, or a message that is malformed
	DTLS_CLOSE_TIMEOUT,     // too many retransmissions without an answer
	DTLS_CLOSE_ALERT,       // a fatal alert of the peer, or a fatal error after the handshake
	DTLS_CLOSE_REASON_COUNT
};

// Master keys and salts of one association, split by RFC 5764 §4.2. Sizes follow from the profile.
struct dtls_keys {
	uint8_t profile; // enum dp_srtp_profile; NONE when the peer offered none: data channels only
	uint8_t rx_key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t rx_salt[DP_SRTP_SALT_BYTES_MAX];
	uint8_t tx_key[DP_SRTP_KEY_BYTES_MAX];
	uint8_t tx_salt[DP_SRTP_SALT_BYTES_MAX];
};

// None of them may free the session, nor hand a datagram in before it returns; what they are given is valid
// until then. They may send and close.
struct dtls_callbacks {
	void (*send)(void *context, const uint8_t *datagram, size_t n_bytes);
	// Once, after the peer proved to hold the certificate of the fingerprint. The caller wipes its copy.
	void (*keys)(void *context, const struct dtls_keys *keys);
	void (*data)(void *context, const uint8_t *bytes, size_t n_bytes);
	// Once, as the last callback; `detail` is a text of OpenSSL's for the log, never NULL.
	void (*closed)(void *context, enum dtls_close_reason reason, const char *detail);
};

struct dtls_counters {
	uint64_t n_cookies;         // HelloVerifyRequests sent
	uint64_t n_cookies_refused; // ClientHellos with a wrong cookie
	uint64_t n_connected;       // handshakes that came to their end
	uint64_t n_ignored;         // datagrams that could not begin an association
	uint64_t n_retransmits;     // of a flight, by timer
	uint64_t n_closed[DTLS_CLOSE_REASON_COUNT];
};

// Certificate from `state_dir` (see dtls_certificate.h) and everything that sessions share. -errno; -EIO:
// OpenSSL.
int dtls_context_new(const char *state_dir, struct dtls_context **out);
void dtls_context_free(struct dtls_context *c);
// SHA-256 of our certificate, for a=fingerprint: DTLS_SHA256_BYTES.
const uint8_t *dtls_context_fingerprint(const struct dtls_context *c);
const struct dtls_counters *dtls_context_counters(const struct dtls_context *c);

// A session that expects a certificate of one of these fingerprints; of several, those of the strongest hash
// count (RFC 8122 §5). -EINVAL: none, or none of SHA-256 or stronger. A server allocates nothing else until a
// ClientHello came, a client begins with dtls_session_start.
int dtls_session_new(struct dtls_context *c, enum dtls_role role,
		     const struct sdp_fingerprint *fingerprints, uint32_t n_fingerprints,
		     const struct dtls_callbacks *callbacks, void *context,
		     struct dtls_session **out);
// Frees and wipes without a word to the peer and without callbacks; NULL is fine.
void dtls_session_free(struct dtls_session *s);

// Client: sends the first flight. Server: nothing to do. -EIO: OpenSSL.
int dtls_session_start(struct dtls_session *s);
// One datagram of the peer's. Garbage is ignored (RFC 6347 §4.1.2.7).
void dtls_session_receive(struct dtls_session *s, const uint8_t *datagram, size_t n_bytes);
// Milliseconds until dtls_session_timer is to be called, 0 when due; -1: no flight is unanswered. To be asked
// anew after each start, receive and timer.
int64_t dtls_session_timeout_ms(struct dtls_session *s);
void dtls_session_timer(struct dtls_session *s);
// Application data, one record: -EMSGSIZE above DTLS_DATA_BYTES_MAX, -ENOTCONN before the handshake's end or
// after the close.
int dtls_session_send(struct dtls_session *s, const uint8_t *bytes, size_t n_bytes);
// Sends close_notify, then closed(DTLS_CLOSE_BY_US). Nothing on a session that is closed already.
void dtls_session_close(struct dtls_session *s);
bool dtls_session_is_connected(const struct dtls_session *s);

// Whether a datagram begins with (a first fragment of) a ClientHello in epoch 0, and which message number it
// has: 0 in the first one, more in the one that returns a cookie. Pure.
bool dtls_is_client_hello(const uint8_t *datagram, size_t n_bytes, uint16_t *message_seq);

// Static name: "peer", "fingerprint", … Never NULL.
const char *dtls_close_reason_name(enum dtls_close_reason reason);

#endif
