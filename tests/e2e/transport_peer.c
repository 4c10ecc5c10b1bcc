// One session's transport against a real browser, without workers and tables: answers the offer on its standard
// input, then does ICE, DTLS and data channels on a socket of the kernel's in the background, opens the
// browser's media with the keys, and says what it saw in RESULT as JSON.
//
//   transport_peer ADDRESS:PORT RESULT
//
// On each connection it opens a channel "greeting" and says "hello"; what comes on any channel it echoes.
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/sfu/data_channel.h"
#include "controlplane/sfu/dtls.h"
#include "controlplane/sfu/ice.h"
#include "controlplane/sfu/sdp/answer.h"
#include "dataplane/contract/wire/demux.h"

#define SERVE_MS 15000

struct peer {
	int fd;
	struct ip_endpoint self;
	struct sockaddr_in remote; // of the last check that was authenticated
	bool has_remote;
	struct ice_credentials credentials;
	struct dtls_context *context;
	struct dtls_session *dtls;
	struct data_channel_peer *data;
	uint16_t sctp_port;
	uint8_t profile;
	srtp_t srtp;
	uint32_t n_checks;
	uint32_t n_nominations;
	uint32_t n_forged;
	uint32_t n_rtp;
	uint32_t n_rtp_bad;
	uint32_t n_rtcp;
	uint32_t n_messages;
	bool is_hello_fragmented;
	const char *closed;
};

static char offer_text[SDP_TEXT_BYTES_MAX + 1];
static char answer_text[SDP_TEXT_BYTES_MAX];
static struct sdp_session offer;
static struct sdp_negotiated negotiated;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void transmit(struct peer *p, const struct sockaddr_in *to, const uint8_t *bytes, size_t n)
{
	sendto(p->fd, bytes, n, 0, (const struct sockaddr *)to, sizeof(*to));
}

static void hmac(void *context, const uint8_t *message, size_t n, uint8_t tag[20])
{
	struct peer *p = context;

	HMAC(EVP_sha1(), p->credentials.pwd, ICE_PWD_CHARS, message, n, tag, NULL);
}

static bool is_authentic(struct peer *p, const struct stun_view *m, const struct ice_check *c)
{
	uint8_t covered[2048];
	uint8_t tag[20];

	if (c->local_ufrag_bytes != ICE_UFRAG_CHARS ||
	    memcmp(c->local_ufrag, p->credentials.ufrag, ICE_UFRAG_CHARS) != 0 ||
	    c->integrity.offset_bytes > sizeof(covered))
		return false;
	memcpy(covered, m->msg, c->integrity.offset_bytes);
	ice_check_header(m, c, covered);
	hmac(p, covered, c->integrity.offset_bytes, tag);
	return CRYPTO_memcmp(tag, c->integrity.value, 20) == 0;
}

static void on_stun(struct peer *p, const struct sockaddr_in *from, const uint8_t *bytes, size_t n)
{
	struct ip_endpoint source = {
		.address = ip_address_from_v4((const uint8_t *)&from->sin_addr),
		.port_be = from->sin_port,
	};
	uint8_t out[ICE_ANSWER_BYTES_MAX];
	enum ice_check_verdict verdict;
	struct stun_view m;
	struct ice_check c;

	if (stun_parse(bytes, n, &m) != STUN_OK)
		return;
	verdict = ice_check_parse(&m, &c);
	if (verdict == ICE_CHECK_DISCARD || verdict == ICE_CHECK_NOT_ICE)
		return;
	if (verdict != ICE_CHECK_VALID || !is_authentic(p, &m, &c)) {
		p->n_forged++;
		transmit(p, from, out, ice_refusal_build(&m, 401, out, sizeof(out)));
		return;
	}
	p->n_checks++;
	p->n_nominations += c.use_candidate;
	p->remote = *from;
	p->has_remote = true;
	transmit(p, from, out, ice_success_build(&m, &source, hmac, p, out, sizeof(out)));
}

static void on_media(struct peer *p, uint8_t *bytes, size_t n)
{
	int n_bytes = (int)n;

	if (p->srtp == NULL || n < 12)
		return;
	if (bytes[1] >= 192 && bytes[1] <= 223)
		p->n_rtcp += srtp_unprotect_rtcp(p->srtp, bytes, &n_bytes) == srtp_err_status_ok;
	else if (srtp_unprotect(p->srtp, bytes, &n_bytes) == srtp_err_status_ok)
		p->n_rtp++;
	else
		p->n_rtp_bad++;
}

static void on_packet(void *context, const uint8_t *packet, size_t n)
{
	dtls_session_send(((struct peer *)context)->dtls, packet, n);
}

static void on_connected(void *context)
{
	static const struct dcep_open what = { .label = (const uint8_t *)"greeting",
					       .label_bytes = 8,
					       .is_unordered = true,
					       .reliability = SCTP_RETRANSMITS,
					       .reliability_value = 5 };
	struct data_message *m = data_message_new((const uint8_t *)"hello", 5, false);
	struct data_channel *c;

	if (data_channel_open(((struct peer *)context)->data, &what, &c) == 0)
		data_channel_send(c, m);
	data_message_unref(m);
}

static void on_opened(void *context, struct data_channel *channel)
{
}

static void on_message(void *context, struct data_channel *channel, struct data_message *message)
{
	((struct peer *)context)->n_messages++;
	data_channel_send(channel, message);
}

static void on_channel_closed(void *context, struct data_channel *channel,
			      enum data_channel_close_reason reason)
{
}

static void on_lost(void *context, enum sctp_close_reason reason)
{
}

static void on_datagram(void *context, const uint8_t *datagram, size_t n)
{
	struct peer *p = context;

	transmit(p, &p->remote, datagram, n);
}

static void on_keys(void *context, const struct dtls_keys *keys)
{
	static const struct data_channel_callbacks callbacks = {
		on_packet, on_connected, on_opened, on_message, on_channel_closed, on_lost,
	};
	struct peer *p = context;
	const struct data_channel_peer_config config = { .local_port = 5000,
							 .remote_port = p->sctp_port };
	uint8_t key[16 + 12];
	srtp_policy_t policy = { .ssrc = { .type = ssrc_any_inbound }, .key = key };

	p->profile = keys->profile;
	if (p->profile == DP_SRTP_AEAD_AES_128_GCM) {
		memcpy(key, keys->rx_key, 16);
		memcpy(key + 16, keys->rx_salt, 12);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
		policy.window_size = 1024;
		if (srtp_create(&p->srtp, &policy) != srtp_err_status_ok)
			exit(1);
	}
	if (p->sctp_port != 0 && data_channel_peer_new(&config, &callbacks, p, &p->data) < 0)
		exit(1);
}

static void on_data(void *context, const uint8_t *bytes, size_t n)
{
	struct peer *p = context;

	if (p->data != NULL)
		data_channel_peer_receive(p->data, bytes, n);
}

static void on_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	((struct peer *)context)->closed = dtls_close_reason_name(reason);
}

static void on_dtls(struct peer *p, const uint8_t *bytes, size_t n)
{
	uint16_t message_seq;

	// RFC 6347 §4.2.2: a fragment is shorter than its message.
	if (dtls_is_client_hello(bytes, n, &message_seq) && memcmp(bytes + 14, bytes + 22, 3) != 0)
		p->is_hello_fragmented = true;
	if (p->has_remote)
		dtls_session_receive(p->dtls, bytes, n);
}

static void receive_all(struct peer *p)
{
	uint8_t bytes[2048];
	struct sockaddr_in from;
	ssize_t n;

	for (;;) {
		socklen_t from_bytes = sizeof(from);

		n = recvfrom(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &from_bytes);
		if (n <= 0)
			return;
		switch (wire_demux(bytes[0])) {
		case WIRE_KIND_STUN:
			on_stun(p, &from, bytes, (size_t)n);
			break;
		case WIRE_KIND_DTLS:
			on_dtls(p, bytes, (size_t)n);
			break;
		case WIRE_KIND_RTP:
			on_media(p, bytes, (size_t)n);
			break;
		default:
			break;
		}
	}
}

// Until the browser says goodbye.
static void serve(struct peer *p)
{
	struct event_base *base = event_base_new();
	int64_t deadline_ms = now_ms() + SERVE_MS;

	if (base == NULL || sctp_stack_open(base) < 0)
		exit(1);
	while (now_ms() < deadline_ms && p->closed == NULL) {
		struct pollfd readable = { .fd = p->fd, .events = POLLIN };

		poll(&readable, 1, 5);
		receive_all(p);
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (dtls_session_timeout_ms(p->dtls) == 0)
			dtls_session_timer(p->dtls);
	}
	data_channel_peer_free(p->data);
	sctp_stack_close();
	event_base_free(base);
}

static int result_write(const struct peer *p, const char *path)
{
	const struct dp_srtp_profile_info *info = dp_srtp_profile_info(p->profile);
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return 1;
	fprintf(file,
		"{\"profile\":\"%s\",\"checks\":%u,\"nominations\":%u,\"forged\":%u,\"cookies\":%"
		"lu,"
		"\"fragmented\":%s,\"rtp\":%u,\"rtpBad\":%u,\"rtcp\":%u,\"messages\":%u,"
		"\"closed\":\"%s\"}\n",
		info != NULL ? info->name : "", p->n_checks, p->n_nominations, p->n_forged,
		(unsigned long)dtls_context_counters(p->context)->n_cookies,
		p->is_hello_fragmented ? "true" : "false", p->n_rtp, p->n_rtp_bad, p->n_rtcp,
		p->n_messages, p->closed != NULL ? p->closed : "");
	return fclose(file) != 0;
}

static int answer(struct peer *p)
{
	struct sdp_answer_params params = {
		.session_id = 1,
		.version = 1,
		.ufrag = p->credentials.ufrag,
		.pwd = p->credentials.pwd,
		.candidates = &p->self,
		.n_candidates = 1,
		.sctp_port = 5000,
		.max_message_size_bytes = SCTP_MESSAGE_BYTES_MAX,
		.cname = "turnpike",
	};
	size_t n_bytes = fread(offer_text, 1, sizeof(offer_text), stdin);
	static const struct dtls_callbacks callbacks = { on_datagram, on_keys, on_data, on_closed };
	struct sdp_policy policy;
	struct sdp_error error;

	sdp_policy_default(&policy, SDP_ROLE_PUBLISHER);
	if (sdp_parse(offer_text, n_bytes, &offer, &error) < 0 ||
	    sdp_negotiate(&offer, &policy, &negotiated, &error) < 0) {
		fprintf(stderr, "line %u: %s\n", error.line, error.reason);
		return 1;
	}
	memcpy(params.fingerprint_sha256, dtls_context_fingerprint(p->context), SDP_SHA256_BYTES);
	if (sdp_answer_write(&negotiated, &params, answer_text, sizeof(answer_text)) < 0)
		return 1;
	for (uint32_t i = 0; i < negotiated.n_media; i++)
		if (negotiated.media[i].use == SDP_USE_DATA)
			p->sctp_port = negotiated.media[i].offered->sctp_port;
	if (dtls_session_new(p->context,
			     negotiated.setup == SDP_SETUP_PASSIVE ? DTLS_ROLE_SERVER
								   : DTLS_ROLE_CLIENT,
			     negotiated.transport->fingerprints,
			     negotiated.transport->n_fingerprints, &callbacks, p, &p->dtls) < 0)
		return 1;
	return fputs(answer_text, stdout) < 0 || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
	char state_dir[] = "/tmp/turnpike-peer-XXXXXX";
	struct sockaddr_in address = { .sin_family = AF_INET };
	static struct peer p;
	char path[64];
	int ret;

	if (argc != 3 || ip_endpoint_parse(argv[1], &p.self) < 0) {
		fprintf(stderr, "usage: transport_peer ADDRESS:PORT RESULT\n");
		return 2;
	}
	memcpy(&address.sin_addr, ip_address_v4_bytes(&p.self.address), 4);
	address.sin_port = p.self.port_be;
	p.fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (p.fd < 0 || bind(p.fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(argv[1]);
		return 1;
	}
	if (mkdtemp(state_dir) == NULL || dtls_context_new(state_dir, &p.context) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/dtls.pem", state_dir);
	unlink(path);
	rmdir(state_dir);
	srtp_init();
	ret = ice_credentials_make(7, 1, &p.credentials);
	if (ret == 0)
		ret = answer(&p);
	if (ret != 0)
		return 1;
	// The answer is out with the end of this process; another one serves.
	if (daemon(1, 0) < 0)
		return 1;
	serve(&p);
	ret = result_write(&p, argv[2]);
	dtls_session_free(p.dtls);
	dtls_context_free(p.context);
	return ret;
}
