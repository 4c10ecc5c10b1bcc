// STUN messages (RFC 8489 §5, §14): view, attribute iteration, building. Pure, any thread.
// HMAC and SHA are not here (contract/ knows no OpenSSL): the view tells where MESSAGE-INTEGRITY
// stands and what length the header must carry while it is computed; the caller computes.
#ifndef TP_WIRE_STUN_H
#define TP_WIRE_STUN_H

#include "dataplane/contract/wire/address.h"
#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/stun_numbers.h"

// A checked message inside a buffer of the caller's. Valid while that buffer is.
struct stun_view {
	const uint8_t *msg;    // the header
	uint16_t length_bytes; // header + attributes
	uint16_t type;
	const uint8_t *transaction_id; // 12 bytes
	uint64_t absent; // bit n: no attribute with n in the low 6 bits of its type; 0 = not known
};

struct stun_attr {
	uint16_t type;
	uint16_t length_bytes; // of the value, padding not counted
	const uint8_t *value;
	uint16_t offset_bytes; // of the attribute's header within the message
};

enum stun_error {
	STUN_OK = 0,
	STUN_ERROR_SHORT,     // fewer than 20 bytes, or than the header announces
	STUN_ERROR_NOT_STUN,  // first two bits, or magic cookie
	STUN_ERROR_LENGTH,    // not a multiple of 4, or trailing bytes behind the message
	STUN_ERROR_ATTRIBUTE, // an attribute runs past the end
	STUN_ERROR_COUNT
};

// Checks header, cookie, length and the walk over all attributes. The datagram must hold exactly one message.
// Fills `out` only when it returns STUN_OK.
enum stun_error stun_parse(const uint8_t *buf, size_t len_bytes, struct stun_view *out);

static inline bool stun_is_request(uint16_t type)
{
	return (type & 0x0110) == 0x0000;
}
static inline bool stun_is_indication(uint16_t type)
{
	return (type & 0x0110) == 0x0010;
}

// Iteration: `*offset` starts at 0. Returns false at the end. Only after stun_parse accepted the message.
bool stun_attr_next(const struct stun_view *m, uint16_t *offset, struct stun_attr *out);
// First attribute of that type that counts: what follows MESSAGE-INTEGRITY (other than
// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT), MESSAGE-INTEGRITY-SHA256 (other than FINGERPRINT) or
// FINGERPRINT (anything) is ignored (RFC 8489 §14.5 to §14.7).
bool stun_attr_find(const struct stun_view *m, uint16_t type, struct stun_attr *out);

// Comprehension-required attributes (< 0x8000) among those that count and that `known` does not accept,
// each once; returns how many of at most `max` were written, for 420 UNKNOWN-ATTRIBUTES.
uint32_t stun_unknown_attrs(const struct stun_view *m, bool (*known)(uint16_t type), uint16_t *out,
			    uint32_t max);

// XOR-MAPPED-ADDRESS and its kin (RFC 8489 §14.2). 0, or -EINVAL on length or family. An IPv6 value that is
// IPv4-mapped comes out as what it means, the IPv4 address.
int stun_xor_address_get(const struct stun_view *m, const struct stun_attr *a,
			 struct ip_endpoint *out);
// MAPPED-ADDRESS and its kin (RFC 8489 §14.1), ALTERNATE-SERVER among them: the same, not hidden by XOR.
int stun_address_get(const struct stun_attr *a, struct ip_endpoint *out);

// FINGERPRINT (RFC 8489 §14.7): true if the message's last attribute is a FINGERPRINT with the right CRC.
bool stun_fingerprint_ok(const struct stun_view *m, const struct stun_attr *fingerprint);
uint32_t stun_crc32(const void *buf, size_t len_bytes); // IEEE 802.3

// Building. Attribute padding is always zero (CVE-2020-4067). What does not fit is remembered, and
// `stun_build_end`, which sets the header's length, then returns 0.
struct stun_builder {
	struct bytes_writer w;
};
void stun_build_begin(struct stun_builder *b, void *buf, size_t capacity_bytes, uint16_t type,
		      const uint8_t transaction_id[12]);
void stun_build_attr(struct stun_builder *b, uint16_t type, const void *value,
		     uint16_t length_bytes);
void stun_build_u32(struct stun_builder *b, uint16_t type, uint32_t value);
void stun_build_xor_address(struct stun_builder *b, uint16_t type, const struct ip_endpoint *e);
void stun_build_address(struct stun_builder *b, uint16_t type, const struct ip_endpoint *e);
// Code 300..699 with a reason phrase that may be empty (RFC 8489 §14.8).
void stun_build_error_code(struct stun_builder *b, uint16_t code, const char *reason);
// Reserves a MESSAGE-INTEGRITY (tag_bytes 20) or MESSAGE-INTEGRITY-SHA256 (16..32, a multiple of 4) with the
// header's length set to end behind it, and returns where the HMAC goes, zeroed until then; the HMAC covers
// the first *covered_bytes of the message. NULL on overflow.
uint8_t *stun_build_integrity(struct stun_builder *b, uint16_t type, uint16_t tag_bytes,
			      size_t *covered_bytes);
void stun_build_fingerprint(struct stun_builder *b);
// Sets the length; returns the message's bytes, 0 when something did not fit.
size_t stun_build_end(struct stun_builder *b);

#endif
