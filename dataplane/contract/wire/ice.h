// ICE-lite on the wire (RFC 8445, 8839): the username fragment that names a transport, connectivity checks,
// and their answers. Pure, any thread. HMAC-SHA1 is the caller's (contract/ knows no OpenSSL).
//
// The worker's way with a check: stun_parse; ice_check_parse; ice_ufrag_parse(check.local_ufrag) and the
// lookup of the transport, 401 without one; the HMAC over ice_check_header() and the rest of the message,
// compared with check.integrity in constant time, 401 when it differs; only now the verdict, for 420 and 487
// are for authenticated requests alone (RFC 8489 §9.1.3, §6.3.1).
#ifndef TP_WIRE_ICE_H
#define TP_WIRE_ICE_H

#include "dataplane/contract/wire/stun.h"

// Our username fragments: 6 ice-chars that tell 16 bits of node and 20 bits of transport, so that a front
// router finds the host and a worker the transport without a table of names, and 10 random ones
// (60 bits; RFC 8445 §5.3 asks for 24).
#define ICE_UFRAG_CHARS        16
#define ICE_UFRAG_RANDOM_BYTES 10
#define ICE_TRANSPORT_MAX      (1u << 20) // indices are below
// Our passwords: 32 ice-chars, 192 bits of randomness (RFC 8445 §5.3 asks for 128).
#define ICE_PWD_CHARS        32
#define ICE_PWD_RANDOM_BYTES 24

#define ICE_INTEGRITY_BYTES   20 // HMAC-SHA1
#define ICE_UNKNOWN_ATTRS_MAX 8
#define ICE_ANSWER_BYTES_MAX  128 // of all answers built here

// Writes ICE_UFRAG_CHARS characters and NUL. `random` is from a CSPRNG; of each byte 6 bits are used. -EINVAL
// when the index is out of range.
int ice_ufrag_make(uint32_t transport_idx, uint16_t node_id,
		   const uint8_t random[ICE_UFRAG_RANDOM_BYTES], char out[ICE_UFRAG_CHARS + 1]);
// Takes a fragment apart that has our form; false if it has not. That it is *ours* only a comparison with the
// whole fragment of that transport tells.
bool ice_ufrag_parse(const void *text, size_t text_bytes, uint32_t *transport_idx,
		     uint16_t *node_id);
// Writes ICE_PWD_CHARS characters and NUL.
void ice_pwd_make(const uint8_t random[ICE_PWD_RANDOM_BYTES], char out[ICE_PWD_CHARS + 1]);

enum ice_check_verdict {
	ICE_CHECK_VALID = 0, // once authenticated: the success response
	ICE_CHECK_NOT_ICE,   // a Binding request without credentials: of a plain STUN client
	ICE_CHECK_DISCARD,   // no Binding request, or a FINGERPRINT that is wrong: no answer at all
	ICE_CHECK_MALFORMED, // 400
	ICE_CHECK_UNKNOWN_USER,  // 401: a USERNAME that cannot be ours
	ICE_CHECK_UNKNOWN_ATTRS, // once authenticated: 420
	ICE_CHECK_ROLE_CONFLICT, // once authenticated: 487; we are lite and never control
	ICE_CHECK_VERDICT_COUNT
};

// A check taken apart; pointers are into the message. With ICE_CHECK_VALID, _UNKNOWN_ATTRS and
// _ROLE_CONFLICT all fields are set; with other verdicts none can be relied upon.
struct ice_check {
	const uint8_t *local_ufrag; // ours: what stands before the colon
	const uint8_t *remote_ufrag;
	uint16_t local_ufrag_bytes;
	uint16_t remote_ufrag_bytes;
	struct stun_attr integrity; // MESSAGE-INTEGRITY, not yet verified
	uint32_t priority;          // 0 without (RFC 8445 §7.1.1 asks for it; we can do without)
	uint64_t tie_breaker;
	bool use_candidate;
	bool is_controlling; // ICE-CONTROLLING was there
	bool has_dtls;       // carries the DTLS handshake, or acknowledges it (SPED)
	uint8_t n_unknown;
	uint16_t unknown[ICE_UNKNOWN_ATTRS_MAX];
};

// Judges a message that stun_parse accepted.
enum ice_check_verdict ice_check_parse(const struct stun_view *m, struct ice_check *out);
// The header as the HMAC sees it: its length ends behind MESSAGE-INTEGRITY (RFC 8489 §14.5). The HMAC covers
// these bytes and those from m->msg + STUN_HEADER_BYTES up to check->integrity.offset_bytes.
void ice_check_header(const struct stun_view *m, const struct ice_check *check,
		      uint8_t out[STUN_HEADER_BYTES]);

// Computes HMAC-SHA1 over n bytes under the local password.
typedef void (*ice_hmac_fn)(void *context, const uint8_t *message, size_t n,
			    uint8_t tag[ICE_INTEGRITY_BYTES]);

// The success response (RFC 8445 §7.3): XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT. Returns its bytes,
// 0 when they do not fit.
size_t ice_success_build(const struct stun_view *request, const struct ip_endpoint *source,
			 ice_hmac_fn hmac, void *context, uint8_t *out, size_t out_bytes);
// Errors for a source that is not authenticated, 400 and 401: without MESSAGE-INTEGRITY (RFC 8489 §9.1.3) and
// without a reason phrase. 0, and nothing is to be sent, when the answer would be longer than the request.
size_t ice_refusal_build(const struct stun_view *request, uint16_t code, uint8_t *out,
			 size_t out_bytes);
// Errors for an authenticated one, 420 with the check's unknown attributes and 487.
size_t ice_error_build(const struct stun_view *request, const struct ice_check *check,
		       uint16_t code, ice_hmac_fn hmac, void *context, uint8_t *out,
		       size_t out_bytes);

#endif
