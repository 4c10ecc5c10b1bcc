// SRTP and SRTCP (RFC 3711, RFC 7714) behind one burst interface, whatever library does the work.
//
// A `struct dp_srtp` and all its contexts belong to one thread. A context holds the keys of one direction of one
// transport and nothing that a packet changes: rollover counter, sequence and replay window belong to the caller,
// who gives each packet its full index. So the same packet with the same index always gives the same bytes, and
// nothing here stands between the caller and a nonce used twice but that he hands out every index once.
// To receive: estimate the index and check the window (replay.h), unprotect, and only when that says DP_SRTP_OK
// record the index.
//
// Not accepted: MKI, key derivation rates other than 0, packets above DP_SRTP_PACKET_BYTES_MAX.
#ifndef TP_SRTP_H
#define TP_SRTP_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/srtp/profile.h"

#define DP_SRTP_PACKET_BYTES_MAX 16384
#define DP_SRTP_RTP_GROWTH_MAX   DP_SRTP_TAG_BYTES_MAX
#define DP_SRTP_RTCP_GROWTH_MAX  (DP_SRTP_TAG_BYTES_MAX + DP_SRTCP_TRAILER_BYTES)

enum dp_srtp_engine {
	DP_SRTP_ENGINE_AUTO = 0, // the fastest that this CPU has for each profile
	DP_SRTP_ENGINE_IPSEC_MB, // intel-ipsec-mb; the widest instructions of the CPU unless told otherwise
	DP_SRTP_ENGINE_EVP,     // OpenSSL: every profile, every CPU
	DP_SRTP_ENGINE_LIBSRTP, // libsrtp2: every profile; the reference
	DP_SRTP_ENGINE_COUNT,
};

enum dp_srtp_isa {
	DP_SRTP_ISA_AUTO = 0,
	DP_SRTP_ISA_SSE,
	DP_SRTP_ISA_AVX2,
	DP_SRTP_ISA_AVX512,
	DP_SRTP_ISA_COUNT,
};

enum dp_srtp_status {
	DP_SRTP_OK = 0,
	DP_SRTP_MALFORMED, // header, lengths, or a sequence number that is not the index's
	DP_SRTP_NO_ROOM,   // the destination is too small
	DP_SRTP_FORGED,    // the tag does not fit
	DP_SRTP_FAILED,    // the library refused to work
	DP_SRTP_STATUS_COUNT,
};

struct dp_srtp;
struct dp_srtp_context;

// One packet to protect. `packet` is the destination: the finished RTP header stands there already, and payload and
// tag follow it. The plaintext payload is read from `payload`, which may be shared by many packets, and may be
// `packet + header_bytes` but not overlap it otherwise.
struct dp_srtp_protect {
	struct dp_srtp_context *context;
	uint8_t *packet;
	const uint8_t *payload;
	uint64_t index;           // ROC << 16 | sequence, below 2^48
	uint32_t room_bytes;      // at `packet`
	uint16_t header_bytes;    // fixed header, CSRCs, extension
	uint16_t payload_bytes;   // padding included
	uint16_t protected_bytes; // out: the packet's size, 0 unless DP_SRTP_OK
	uint8_t status;           // out: enum dp_srtp_status
};

// One packet to unprotect, from `packet` to `plain`, which may be the same but not overlap it otherwise. `plain` needs
// room for `packet_bytes` less the tag. The tag's bytes in `packet` are used as scratch and then restored. Of a
// refused packet nothing readable is left at `plain`, so in place the packet is lost.
struct dp_srtp_unprotect {
	struct dp_srtp_context *context;
	uint8_t *packet;
	uint8_t *plain;
	uint64_t index; // what its sequence number means, below 2^48
	uint16_t packet_bytes;
	uint16_t plain_bytes;  // out: header and payload, 0 unless DP_SRTP_OK
	uint16_t header_bytes; // out
	uint8_t status;        // out: enum dp_srtp_status
};

// DP_SRTP_ENGINE_AUTO takes per profile what is fastest; any other engine is taken for all, and a context of a profile
// that it lacks is refused. 0, -ENOTSUP if the CPU lacks the engine or the instructions, -ENOMEM, -EIO.
int dp_srtp_open(enum dp_srtp_engine engine, enum dp_srtp_isa isa, struct dp_srtp **out);
// After all its contexts.
void dp_srtp_close(struct dp_srtp *srtp);

// `master_key` and `master_salt` have the profile's sizes and may be wiped afterwards. 0, -EINVAL for an unknown
// profile, -ENOTSUP if the engine lacks it, -ENOMEM, -EIO.
int dp_srtp_context_create(struct dp_srtp *srtp, uint32_t profile, const uint8_t *master_key,
			   const uint8_t *master_salt, struct dp_srtp_context **out);
// Wipes the keys. NULL is ignored.
void dp_srtp_context_destroy(struct dp_srtp_context *context);
// Which engine and instructions do the work, as an operator reads it: "ipsec-mb/avx512".
const char *dp_srtp_context_engine(const struct dp_srtp_context *context);
// The same for a profile; "none" if no context of it can be made.
const char *dp_srtp_engine_for(const struct dp_srtp *srtp, uint32_t profile);

// Asks for the key's cache lines that a payload of so many bytes needs. The context itself is read: it was asked for before.
void dp_srtp_prefetch(const struct dp_srtp_context *context, uint32_t payload_bytes);

// Bursts of any length; contexts and profiles may be mixed, all of one thread. Each packet's `status` says what became
// of it. Returns how many are DP_SRTP_OK.
uint32_t dp_srtp_protect_burst(struct dp_srtp_protect *packets, uint32_t n);
uint32_t dp_srtp_unprotect_burst(struct dp_srtp_unprotect *packets, uint32_t n);

// SRTCP, one compound packet at a time, with the 31-bit index and the E flag (RFC 3711 §3.4). `out` may be `packet`.
// DP_SRTP_OK with `out_bytes`, or why not.
enum dp_srtp_status dp_srtcp_protect(struct dp_srtp_context *context, const uint8_t *packet,
				     uint32_t packet_bytes, uint32_t index, bool is_encrypted,
				     uint8_t *out, uint32_t room_bytes, uint32_t *out_bytes);
// Reads the index and the E flag that a packet claims, for the replay check before dp_srtcp_unprotect(). Nothing is
// verified by that. A receiver that agreed on encryption refuses packets without it.
enum dp_srtp_status dp_srtcp_peek(const struct dp_srtp_context *context, const uint8_t *packet,
				  uint32_t packet_bytes, uint32_t *index, bool *is_encrypted);
enum dp_srtp_status dp_srtcp_unprotect(struct dp_srtp_context *context, const uint8_t *packet,
				       uint32_t packet_bytes, uint8_t *out, uint32_t room_bytes,
				       uint32_t *out_bytes);

#endif
