// RTCP feedback: generic NACK (RFC 4585 §6.2.1), PLI (RFC 4585 §6.3.1), FIR (RFC 5104 §4.3.1) and REMB
// (draft-alvestrand-rmcat-remb-03 §2.2), read and written. Transport-wide feedback is in rtcp_twcc.h. Pure, any thread.
#ifndef TP_WIRE_RTCP_FEEDBACK_H
#define TP_WIRE_RTCP_FEEDBACK_H

#include "dataplane/contract/wire/rtcp.h"

#define RTCP_RTPFB_NACK    1
#define RTCP_RTPFB_TWCC    15
#define RTCP_PSFB_PLI      1
#define RTCP_PSFB_FIR      4
#define RTCP_PSFB_ALFB     15 // application layer feedback; REMB by its name
#define RTCP_REMB_SSRC_MAX 255

// What every feedback message starts with (RFC 4585 §6.1).
struct rtcp_feedback {
	uint32_t sender_ssrc;
	uint32_t media_ssrc; // 0 in FIR and REMB
	const uint8_t *fci;  // feedback control information
	uint32_t fci_bytes;
};

// 0; -EINVAL for a type other than RTPFB and PSFB and for a body without the two SSRCs. The kind is v->type and v->count.
int rtcp_feedback_parse(const struct rtcp_view *v, struct rtcp_feedback *out);

static inline bool rtcp_is_pli(const struct rtcp_view *v)
{
	return v->type == RTCP_TYPE_PSFB && v->count == RTCP_PSFB_PLI;
}

// A reading position in the lost sequence numbers of a generic NACK.
struct rtcp_nack_reader {
	const uint8_t *at;
	const uint8_t *end;
	uint16_t pid;
	uint32_t pending; // bit 0 is the packet id, bit i+1 the bit i of the mask
};

// Starts over the sequence numbers of a generic NACK. -EINVAL for another message, or when the FCI is empty or no multiple
// of 4 bytes.
int rtcp_nack_parse(const struct rtcp_view *v, struct rtcp_feedback *feedback,
		    struct rtcp_nack_reader *out);
// Takes the next lost sequence number, in the order of the message (a hostile one repeats itself); false after the last.
bool rtcp_nack_next(struct rtcp_nack_reader *r, uint16_t *sequence);

// One entry of a FIR. A repeated sequence_number is the same request again (RFC 5104 §4.3.1.2).
struct rtcp_fir_entry {
	uint32_t ssrc;
	uint8_t sequence_number;
};

// -EINVAL for another message and when the FCI is empty or no multiple of 8 bytes; the number of entries otherwise.
int rtcp_fir_parse(const struct rtcp_view *v, struct rtcp_feedback *out);
// The entry i, below that number.
struct rtcp_fir_entry rtcp_fir_entry_read(const struct rtcp_feedback *feedback, uint32_t i);

struct rtcp_remb {
	uint32_t sender_ssrc;
	uint64_t bits_per_sec;
	const uint8_t *ssrcs; // n_ssrcs words in network order
	uint8_t n_ssrcs;
};

// 0; -EINVAL for another message, for a count of SSRCs that is not the length's, and for a rate over 64 bits.
int rtcp_remb_parse(const struct rtcp_view *v, struct rtcp_remb *out);

// Writers, as in rtcp.h: each adds one packet, or sets w->overflow.
// NACK: `sequences` ascend modulo 2^16 (repeats and disorder cost entries, nothing else); none writes nothing.
void rtcp_nack_put(struct bytes_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc,
		   const uint16_t *sequences, uint32_t n_sequences);
void rtcp_pli_put(struct bytes_writer *w, uint32_t sender_ssrc, uint32_t media_ssrc);
void rtcp_fir_put(struct bytes_writer *w, uint32_t sender_ssrc, const struct rtcp_fir_entry *fir);
// The rate is rounded down to 18 significant bits. At most 255 SSRCs.
void rtcp_remb_put(struct bytes_writer *w, uint32_t sender_ssrc, uint64_t bits_per_sec,
		   const uint32_t *ssrcs, uint32_t n_ssrcs);

#endif
