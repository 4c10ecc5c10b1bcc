// One client's 5-tuple: socket, ICE, DTLS and SRTP, with batches to and from the kernel. One thread
// for all of them.
#ifndef TP_BENCH_SFU_TRANSPORT_H
#define TP_BENCH_SFU_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/sfu/description.h"
#include "bench/sfu/dtls.h"
#include "bench/sfu/ice.h"
#include "dataplane/contract/wire/rtp.h"
#include "dataplane/srtp/srtp.h"

enum load_stage {
	LOAD_STAGE_NEW = 0,
	LOAD_STAGE_ICE,
	LOAD_STAGE_DTLS,
	LOAD_STAGE_CONNECTED,
	LOAD_STAGE_FAILED,
	LOAD_STAGE_CLOSED,
	LOAD_STAGE_COUNT
};

struct load_transport_counters {
	uint64_t n_sent;
	uint64_t n_sent_bytes;
	uint64_t n_send_failed; // the kernel's queue was full
	uint64_t n_received;
	uint64_t n_forged; // tags that do not fit
	uint64_t n_rtcp_forged;
	uint64_t n_consent_lost;
};

struct load_handler {
	uint64_t (*index)(void *context, uint32_t ssrc, uint16_t sequence);
	// `tag` tells the protected bytes of packets with the same index apart.
	void (*rtp)(void *context, const struct rtp_view *rtp, uint64_t index, uint64_t tag,
		    uint64_t now_ns);
	void (*rtcp)(void *context, const uint8_t *packet, size_t n_bytes, uint64_t now_ns);
};

struct load_transport {
	int fd;
	enum load_stage stage;
	const char *why; // it failed
	struct load_answer answer;
	uint32_t candidate; // that is tried, or was taken
	struct load_ice ice;
	struct load_dtls *dtls;
	enum dp_srtp_profile profile;
	struct dp_srtp_context *tx;
	struct dp_srtp_context *rx;
	uint32_t rtcp_index;
	uint64_t began_ns;
	uint64_t candidate_ns; // this candidate is tried since
	uint64_t check_ns;     // the next check
	uint64_t valid_ns;     // the last answer
	uint64_t ice_ns;       // how long ICE took,
	uint64_t connected_ns; // and all of it
	struct load_dtls_context *dtls_context;
	struct dp_srtp *srtp;
	const struct load_handler *handler;
	void *context;
	struct load_transport_counters *counters; // shared by all
};

// A socket and ICE credentials. `handler`, `counters` and the contexts outlive it. 0 or -errno.
int load_transport_open(struct load_transport *t, struct load_dtls_context *dtls,
			struct dp_srtp *srtp, struct load_transport_counters *counters,
			const struct load_handler *handler, void *context);
// Frees everything; says goodbye when connected.
void load_transport_close(struct load_transport *t);
// Begins ICE with what t->answer says.
void load_transport_begin(struct load_transport *t, uint64_t now_ns);
// Checks, consent, DTLS timers. About every 20 ms.
void load_transport_timer(struct load_transport *t, uint64_t now_ns);
// All that the kernel has for it.
void load_transport_receive(struct load_transport *t, uint64_t now_ns);

// Room for the next RTP packet; what is queued for another transport is sent before.
uint8_t *load_transport_room(struct load_transport *t);
// Queues what was written there.
void load_transport_queue(struct load_transport *t, uint32_t n_bytes, uint16_t header_bytes,
			  uint64_t index);
// Protects and sends what is queued, for whichever transport.
void load_transport_flush(void);
// A compound of at most 1200 bytes.
void load_transport_send_rtcp(struct load_transport *t, const uint8_t *packet, size_t n_bytes);

#endif
