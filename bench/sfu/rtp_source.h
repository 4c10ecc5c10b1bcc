// A stream of synthetic RTP: opus with audio levels, or one VP8 encoding with true descriptors and
// key frames, evenly paced (RFC 3550, 7741, 6464, 8285). One thread; no I/O.
#ifndef TP_BENCH_SFU_RTP_SOURCE_H
#define TP_BENCH_SFU_RTP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_SOURCE_PACKET_BYTES_MAX 1400
#define RTP_SOURCE_HISTORY_PKTS     512 // what a NACK can ask for

struct rtp_source_config {
	bool is_video;
	uint8_t layer;      // simulcast encoding, 0 the lowest
	uint8_t n_temporal; // of video: 1..3
	const char *mid;    // NULL: no extension
	const char *rid;    // NULL: none
	bool has_twcc;      // the server took the extension
	bool has_audio_level;
	bool has_abs_send_time;
	uint8_t payload_type;
	uint8_t rtx_payload_type; // 0: NACKs are not answered
	uint32_t ssrc;
	uint32_t rtx_ssrc;
	uint32_t source; // number of the publisher, for the payload
	uint16_t packet_bytes;
	uint32_t frames_per_s;
	uint32_t pkts_per_frame;
	// As an encoder sends: 0 = packets are evenly spaced and key frames as long as others.
	uint32_t burst_us;         // all packets of a frame go within this
	uint32_t key_pkts;         // of a key frame
	uint32_t key_every_frames; // a key frame comes unasked; 0 = never
};

struct rtp_source {
	struct rtp_source_config config;
	uint64_t index;     // of the next packet: ROC and sequence
	uint64_t rtx_index; // of the next retransmission
	uint64_t begin_ns;
	uint64_t n_pkts;
	uint64_t n_bytes; // payloads
	uint32_t frame;
	uint32_t pkt_of_frame;
	uint32_t n_of_frame; // packets of this frame
	uint32_t timestamp;
	uint32_t n_key_frames;
	uint8_t tl0_picture_idx;
	uint8_t key_idx;
	bool wants_key;
	bool is_key;
	struct {
		uint64_t index;
		uint16_t n_bytes;
		uint8_t packet[RTP_SOURCE_PACKET_BYTES_MAX];
	} * history;
};

// 0, -EINVAL for sizes that do not hold headers and payload, -ENOMEM. Frees nothing it did not
// take.
int rtp_source_init(struct rtp_source *s, const struct rtp_source_config *config, uint64_t now_ns);
void rtp_source_end(struct rtp_source *s);
// When the next packet is due.
uint64_t rtp_source_next_ns(const struct rtp_source *s);
// Writes it, without tag; its bytes. `twcc` is the transport-wide sequence number.
uint32_t rtp_source_write(struct rtp_source *s, uint64_t now_ns, uint16_t twcc, uint8_t *out,
			  uint16_t *header_bytes, uint64_t *index);
// A retransmission of that sequence number (RFC 4588); 0 if it is not remembered.
uint32_t rtp_source_repeat(struct rtp_source *s, uint16_t sequence, uint16_t twcc, uint8_t *out,
			   uint16_t *header_bytes, uint64_t *index);
// PLI or FIR: the next frame is a key frame.
void rtp_source_key(struct rtp_source *s);

#endif
