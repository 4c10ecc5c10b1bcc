// A watcher's side for tests of the SFU load generator: packets of a source, protected, carried
// with whatever accidents, and verified.
#ifndef TP_TEST_BENCH_SFU_RIG_H
#define TP_TEST_BENCH_SFU_RIG_H

#include "bench/sfu/rtp_sink.h"
#include "bench/sfu/rtp_source.h"
#include "dataplane/srtp/srtp.h"

struct sfu_rig_packet {
	uint64_t index;
	uint16_t header_bytes;
	uint16_t n_bytes;
	uint8_t bytes[2048];
};

struct sfu_rig {
	struct dp_srtp *srtp;
	struct dp_srtp_context *tx;
	struct dp_srtp_context *rx;
	struct rtp_source source;
	struct rtp_sink sink;
	struct rtp_sink_totals totals;
	uint64_t now_ns;
};

extern const struct rtp_source_config sfu_rig_video;

void sfu_rig_start(struct sfu_rig *r, uint32_t profile, const struct rtp_source_config *config);
void sfu_rig_end(struct sfu_rig *r);
// The source's next packet, protected.
void sfu_rig_next(struct sfu_rig *r, struct sfu_rig_packet *out);
// A retransmission, protected; false if the source does not remember.
bool sfu_rig_repeat(struct sfu_rig *r, uint16_t sequence, struct sfu_rig_packet *out);
void sfu_rig_protect(struct sfu_rig *r, struct sfu_rig_packet *p);
// As the transport does it; false when the tag does not fit.
bool sfu_rig_deliver(struct sfu_rig *r, const struct sfu_rig_packet *p);

#endif
