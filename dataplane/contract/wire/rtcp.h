// RTCP packets (RFC 3550 §6): the walk over a compound (§6.1) or reduced-size (RFC 5506) datagram, and sender reports, receiver
// reports, SDES, BYE and APP, read and written. Feedback messages are in rtcp_feedback.h and rtcp_twcc.h; XR (RFC 3611) and
// unknown types are walked over. Numbers are host order here, network order on the wire. Pure, any thread.
#ifndef TP_WIRE_RTCP_H
#define TP_WIRE_RTCP_H

#include "dataplane/contract/wire/bytes.h"

enum rtcp_type {
	RTCP_TYPE_SR = 200,
	RTCP_TYPE_RR = 201,
	RTCP_TYPE_SDES = 202,
	RTCP_TYPE_BYE = 203,
	RTCP_TYPE_APP = 204,
	RTCP_TYPE_RTPFB = 205, // RFC 4585 §6.2
	RTCP_TYPE_PSFB = 206,  // RFC 4585 §6.3
	RTCP_TYPE_XR = 207,
};

#define RTCP_HEADER_BYTES       4
#define RTCP_REPORT_BLOCK_BYTES 24
#define RTCP_SR_BYTES           28 // with header and SSRC, without blocks
#define RTCP_RR_BYTES           8
#define RTCP_COUNT_MAX          31 // blocks, chunks or SSRCs of one packet

// One packet of a datagram. `body` is what follows the 4-byte header, padding not counted.
struct rtcp_view {
	const uint8_t *body;
	uint32_t body_bytes;
	uint8_t type;
	uint8_t count; // report count, source count, subtype or feedback message type
	uint8_t padding_bytes;
};

// Takes the next packet from a reader over a whole datagram: 1; 0 at the end; -EINVAL when version, length or padding is wrong (the
// reader then stands still). Padding is taken on any packet, although RFC 3550 §6.4.1 has it on the last alone: libwebrtc pads
// transport feedback wherever it stands.
int rtcp_next(struct bytes_reader *r, struct rtcp_view *out);

// Whether a datagram is well formed from end to end: at least one packet, and every one as rtcp_next wants it. Unless
// `reduced_size` was negotiated (RFC 5506), the first is a sender or receiver report (RFC 3550 §A.2). 0 or -EINVAL.
int rtcp_check(const uint8_t *buf, size_t len_bytes, bool reduced_size);

// The SSRC that each packet type except SDES and BYE starts with (RFC 3550 §6.4..§6.7, RFC 4585 §6.1): the sender's. False when
// the body is shorter.
static inline bool rtcp_sender_ssrc(const struct rtcp_view *v, uint32_t *out)
{
	if (v->body_bytes < 4)
		return false;
	*out = bytes_get_be32(v->body);
	return true;
}

// RFC 3550 §6.4.1, what one receiver says of one source.
struct rtcp_report_block {
	uint32_t ssrc;
	uint8_t fraction_lost; // of 256
	int32_t lost_pkts;     // cumulative, 24 bits signed: duplicates make it negative
	uint32_t highest_sequence;
	uint32_t jitter;        // in units of the RTP clock
	uint32_t last_sr;       // middle 32 bits of the NTP time of the last SR, 0 if none
	uint32_t delay_last_sr; // 1/65536 s
};

struct rtcp_sr {
	uint32_t ssrc;
	uint64_t ntp; // 32.32 seconds since 1900
	uint32_t rtp_timestamp;
	uint32_t sent_pkts;
	uint32_t sent_bytes;   // of payload
	const uint8_t *blocks; // n_blocks of 24 bytes
	uint8_t n_blocks;
};

struct rtcp_rr {
	uint32_t ssrc;
	const uint8_t *blocks;
	uint8_t n_blocks;
};

// 0; -EINVAL for another type or when the count promises more than the body holds. Profile-specific bytes behind the blocks
// are ignored.
int rtcp_sr_parse(const struct rtcp_view *v, struct rtcp_sr *out);
int rtcp_rr_parse(const struct rtcp_view *v, struct rtcp_rr *out);

// The report block at `blocks + 24 * i` of a parsed report.
struct rtcp_report_block rtcp_report_block_read(const uint8_t *block);

enum rtcp_sdes_type {
	RTCP_SDES_END = 0,
	RTCP_SDES_CNAME = 1,
	RTCP_SDES_RTP_STREAM_ID = 12,          // RFC 8852
	RTCP_SDES_REPAIRED_RTP_STREAM_ID = 13, // RFC 8852
	RTCP_SDES_MID = 15,                    // RFC 9143
};

// One item of a source description (RFC 3550 §6.5). `text` has text_bytes bytes and no terminator.
struct rtcp_sdes_item {
	uint32_t ssrc;
	const uint8_t *text;
	uint8_t text_bytes;
	uint8_t type;
};

struct rtcp_sdes_reader {
	struct bytes_reader bytes;
	const uint8_t *chunk;
	uint32_t ssrc;
	uint8_t n_chunks_left;
	bool in_chunk;
};

// Starts over the items of an SDES packet; over nothing when it is of another type.
struct rtcp_sdes_reader rtcp_sdes_reader_init(const struct rtcp_view *v);
// Takes the next item: 1; 0 after the last; -EINVAL when an item or a chunk's end is missing.
int rtcp_sdes_next(struct rtcp_sdes_reader *r, struct rtcp_sdes_item *out);

// RFC 3550 §6.6. `ssrcs` has n_ssrcs words in network order; the reason is NULL without one.
struct rtcp_bye {
	const uint8_t *ssrcs;
	const uint8_t *reason;
	uint8_t n_ssrcs; // 0 is legal and means nothing
	uint8_t reason_bytes;
};

int rtcp_bye_parse(const struct rtcp_view *v, struct rtcp_bye *out);

// RFC 3550 §6.7. `name` has 4 characters.
struct rtcp_app {
	const uint8_t *name;
	const uint8_t *data;
	uint32_t data_bytes;
	uint32_t ssrc;
	uint8_t subtype;
};

int rtcp_app_parse(const struct rtcp_view *v, struct rtcp_app *out);

// Writers: each adds one packet to `w`; one after the other makes a compound. What does not fit is left out as a whole, w->overflow
// says so. At most 31 blocks or SSRCs, 255 bytes of text: more is the caller's mistake and sets w->overflow too.
void rtcp_sr_put(struct bytes_writer *w, const struct rtcp_sr *sr,
		 const struct rtcp_report_block *blocks, uint32_t n_blocks);
void rtcp_rr_put(struct bytes_writer *w, uint32_t ssrc, const struct rtcp_report_block *blocks,
		 uint32_t n_blocks);
void rtcp_sdes_cname_put(struct bytes_writer *w, uint32_t ssrc, const char *cname,
			 size_t cname_bytes);
void rtcp_bye_put(struct bytes_writer *w, const uint32_t *ssrcs, uint32_t n_ssrcs);

// Reserves a packet of `total_bytes` (a multiple of 4, at most 65536 words) and writes its header; NULL when it does not fit.
// Returns the body.
uint8_t *rtcp_packet_grow(struct bytes_writer *w, uint8_t type, uint8_t count, size_t total_bytes);

#endif
