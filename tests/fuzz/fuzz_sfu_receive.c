// Decrypted packets of the SFU's clients, as the worker takes them: RTP is told apart, learnt and described, RTCP is acted upon. First
// byte: bit 0 RTCP, the others the codec. Whatever comes, descriptions stay within the packet.
#include "dataplane/sfu/reception.h"
#include "tests/fuzz/fuzz.h"

#define TRANSPORTS 2

static struct dp_worker worker;
static struct dp_shared shared;
static struct dp_sfu_shared sfu;
static struct dp_sfu_reception reception;
static struct dp_sfu_client *clients[TRANSPORTS];
static uint32_t publishing[TRANSPORTS];
static struct shm_sfu_transport transport[TRANSPORTS];
static struct shm_sfu_track track[2];
static struct shm_sfu_subscription subscription[2];
static struct shm_sfu_transport_state transport_state[TRANSPORTS];
static struct shm_sfu_ingress_state ingress[2 * SHM_SFU_LAYERS_MAX];

// ---- who acts on RTCP, and what stands in front of decryption

void dp_sfu_on_nack(struct dp_worker *w, uint32_t subscription_idx, const uint16_t *sequences,
		    uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += sequences[i];
	FUZZ_ASSERT(subscription_idx == 1 && sum <= n * 0xffff);
}

void dp_sfu_on_keyframe_request(struct dp_worker *w, uint32_t subscription_idx)
{
	FUZZ_ASSERT(subscription_idx == 1);
}

void dp_sfu_on_report_block(struct dp_worker *w, uint32_t subscription_idx,
			    const struct rtcp_report_block *block)
{
	FUZZ_ASSERT(subscription_idx == 1 && block != NULL);
}

void dp_sfu_on_twcc(struct dp_worker *w, uint32_t transport_idx, const struct rtcp_twcc *feedback)
{
	FUZZ_ASSERT(transport_idx == 1 && feedback != NULL);
}

void dp_sfu_on_sender_report(struct dp_worker *w, uint32_t track_idx, uint32_t layer)
{
	FUZZ_ASSERT(track_idx == 1 && layer < SHM_SFU_LAYERS_MAX);
}

void dp_sfu_keys_suspect(struct dp_worker *w, uint32_t transport_idx)
{
	FUZZ_ASSERT(false);
}

enum dp_srtp_status dp_srtcp_peek(const struct dp_srtp_context *context, const uint8_t *packet,
				  uint32_t packet_bytes, uint32_t *index, bool *is_encrypted)
{
	return DP_SRTP_FAILED;
}

enum dp_srtp_status dp_srtcp_unprotect(struct dp_srtp_context *context, const uint8_t *packet,
				       uint32_t packet_bytes, uint8_t *out, uint32_t room_bytes,
				       uint32_t *out_bytes)
{
	return DP_SRTP_FAILED;
}

// ---- one publisher that watches too

static void session_make(uint8_t codec)
{
	memset(ingress, 0, sizeof(ingress));
	memset(transport_state, 0, sizeof(transport_state));
	transport[1].serial = 1;
	transport[1].flags = SHM_SFU_TRANSPORT_F_PUBLISHES;
	for (uint32_t i = 0; i < SHM_SFU_EXTENSION_COUNT; i++)
		transport[1].extension_id[i] = (uint8_t)(i + 1);
	transport[1].first_track = 1;
	transport[1].first_subscription = 1;
	track[1].serial = 2;
	track[1].transport_idx = 1;
	track[1].kind = codec == SHM_SFU_OPUS ? SHM_SFU_AUDIO : SHM_SFU_VIDEO;
	track[1].codec = codec;
	track[1].payload_type = 96;
	track[1].rtx_payload_type = 97;
	track[1].n_layers = 1;
	subscription[1].serial = 3;
	subscription[1].transport_idx = 1;
	subscription[1].ssrc = 0x9007;
	sfu.table = (struct shm_sfu_view){ .transport = transport,
					   .track = track,
					   .subscription = subscription,
					   .n_transports = TRANSPORTS,
					   .n_tracks = 2,
					   .n_subscriptions = 2 };
	sfu.state = (struct shm_sfu_state_view){ .transport = transport_state, .ingress = ingress };
	shared.sfu = &sfu;
	shared.n_workers = 1;
	reception.client = clients;
	reception.publishing = publishing;
	worker.shared = &shared;
	worker.sfu_rx = &reception;
	worker.now_ns = UINT64_C(1000000000);
}

static void take_rtp(struct dp_sfu_client *c, const uint8_t *packet, size_t n)
{
	struct dp_sfu_media m = { 0 };
	struct rtp_view rtp;
	bool is_rtx;
	int i;

	if (rtp_parse(packet, n, &rtp) < 0)
		return;
	i = dp_sfu_stream_find(c, rtp.ssrc, &is_rtx);
	if (i < 0)
		i = dp_sfu_stream_latch(&worker, c, &rtp, &is_rtx);
	dp_sfu_describe_extensions(c, packet, &rtp, &m);
	for (uint32_t k = 0; k < SHM_SFU_EXTENSION_COUNT; k++)
		FUZZ_ASSERT(m.extension_offset[k] + m.extension_bytes[k] <= rtp.header_bytes);
	if (i < 0)
		return;
	FUZZ_ASSERT((uint32_t)i < c->n_streams);
	FUZZ_ASSERT((is_rtx ? c->rtx_ssrc[i] : c->ssrc[i]) == rtp.ssrc);
	dp_sfu_describe_payload(c->stream[i], packet, &rtp, &m);
	FUZZ_ASSERT((size_t)m.header_bytes + m.payload_bytes <= n);
	FUZZ_ASSERT(m.descriptor_bytes <= m.payload_bytes);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct dp_sfu_client *c;

	if (n < 2)
		return;
	session_make((uint8_t)(1 + (data[0] >> 1) % (SHM_SFU_CODEC_OTHER)));
	c = calloc(1, sizeof(*c));
	FUZZ_ASSERT(c != NULL);
	c->transport_idx = 1;
	c->serial = 1;
	clients[1] = c;
	dp_sfu_streams_sync(&worker, c);
	FUZZ_ASSERT(c->n_streams == 1);
	if (data[0] & 1) {
		dp_sfu_rtcp_take(&worker, c, data + 1, (uint32_t)n - 1);
	} else {
		// A second packet meets what the first one left.
		take_rtp(c, data + 1, n - 1);
		take_rtp(c, data + 1, n - 1);
	}
	dp_sfu_streams_free(&worker, c);
	FUZZ_ASSERT(reception.n_publishing == 0);
	free(c);
}
