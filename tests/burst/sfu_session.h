// Sessions of the SFU as a control plane would write them, and clients as they would behave: checks, SRTP and SRTCP made and read
// with libsrtp2, apart from the worker's engines.
#ifndef TP_TESTS_SFU_SESSION_H
#define TP_TESTS_SFU_SESSION_H

#include "dataplane/contract/wire/ice.h"
#include "dataplane/contract/wire/rtcp_feedback.h"
#include "dataplane/contract/wire/rtcp_twcc.h"
#include "dataplane/contract/wire/rtp.h"
#include "dataplane/srtp/srtp.h"
#include "tests/burst/pipeline.h"

#define PUBLISHER_V4      "192.0.2.10:5000"
#define WATCHER_V4        "192.0.2.11:5001"
#define SESSION_RTCP_SSRC 0x77000000u // plus the transport's index: ours toward it

// Publishes transport `idx` with fresh ICE credentials; extension ids are 1.. in the enum's order. Returns its serial.
uint32_t session_open(uint32_t idx, uint32_t flags);
void session_withdraw(uint32_t idx);
// As a handshake would leave them.
void session_keys(uint32_t idx, uint32_t profile, uint32_t generation);
void session_restart_ice(uint32_t idx);

struct session_track {
	uint32_t idx;
	uint32_t transport_idx;
	uint8_t kind;
	uint8_t codec;
	uint8_t payload_type;
	uint8_t rtx_payload_type;
	uint8_t n_layers;
	uint32_t ssrc; // of the lowest layer, 0: to be learnt
	uint32_t rtx_ssrc;
	const char *mid;
	const char *rid[SHM_SFU_LAYERS_MAX];
};
void session_track(const struct session_track *t);
// A watcher's section for that track, in the fan-out list of worker 0; SSRC 0x9000 + idx, RTX 0xa000 + idx.
void session_subscribe(uint32_t idx, uint32_t transport_idx, uint32_t track_idx);

// ---- ICE

#define CHECK_USE_CANDIDATE 0x01
#define CHECK_CONTROLLED    0x02
#define CHECK_BAD_PASSWORD  0x04
#define CHECK_OLD           0x08 // credentials from before the restart
#define CHECK_DTLS          0x10

void session_check(uint32_t idx, const char *from, uint32_t flags);
// The message alone; returns its bytes.
uint32_t session_check_build(uint32_t idx, uint32_t flags, uint8_t message[512]);
// The one answer to it; for a success its integrity is verified too.
struct stun_view session_expect_answer(uint32_t idx, const char *to, uint16_t type);
// Check, nomination and the events of it: the transport is in use from `from`.
void session_connect(uint32_t idx, const char *from);
// The next event of a transport, SHM_SFU_EVENT_NONE when there is none. Skips feedback.
uint8_t session_event(uint32_t idx);

// ---- SRTP

struct session_extension {
	uint8_t kind; // enum shm_sfu_extension
	uint8_t bytes;
	const char *value;
};

struct session_packet {
	uint32_t ssrc;
	uint32_t roc;
	uint16_t sequence;
	uint32_t timestamp;
	uint8_t payload_type;
	uint8_t marker;
	uint8_t padding;
	const void *payload;
	uint32_t payload_bytes;
	uint32_t n_extensions;
	struct session_extension extension[4];
};

// Protected as the client of `idx` would; returns its bytes.
uint32_t session_protect(uint32_t idx, const struct session_packet *p, uint8_t *out);
void session_send(uint32_t idx, const char *from, const struct session_packet *p);
void session_send_rtcp(uint32_t idx, const char *from, uint32_t index, const uint8_t *packet,
		       uint32_t packet_bytes);
// What left toward the client as plaintext: RTCP, or RTP under the index roc << 16 | sequence. 0 when nothing left. What
// left toward others is skipped.
uint32_t session_receive(uint32_t idx, const char *to, uint8_t plain[2048], bool *is_rtcp);
// The SRTCP index of the last one.
extern uint32_t session_srtcp_index;
// Polls for so long.
void session_wait_ms(uint32_t ms);

void session_fini(void);

#endif
