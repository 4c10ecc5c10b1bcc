// Life of one client's transport. One thread.
#include "bench/sfu/transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#define CHECK_NS         100000000ULL
#define CONSENT_NS       5000000000ULL // RFC 7675 §5.1
#define CONSENT_LIMIT_NS 30000000000ULL
#define CANDIDATE_NS     1500000000ULL
#define BEGIN_LIMIT_NS   15000000000ULL
#define BURST            32
#define DATAGRAM_BYTES   2048
#define SOCKET_QUEUE     (4 << 20)
#define RTCP_BYTES_MAX   1200

// Media that waits to be sent together.
static struct {
	struct load_transport *owner;
	uint32_t n;
	struct dp_srtp_protect jobs[BURST];
	uint8_t packets[BURST][DATAGRAM_BYTES];
} queue;

int load_transport_open(struct load_transport *t, struct load_dtls_context *dtls,
			struct dp_srtp *srtp, struct load_transport_counters *counters,
			const struct load_handler *handler, void *context)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int size = SOCKET_QUEUE;
	int off = 0;

	memset(t, 0, sizeof(*t));
	t->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return -errno;
	setsockopt(t->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (setsockopt(t->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(t->fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		int ret = -errno;

		close(t->fd);
		t->fd = -1;
		return ret;
	}
	load_ice_init(&t->ice);
	t->dtls_context = dtls;
	t->srtp = srtp;
	t->handler = handler;
	t->context = context;
	t->counters = counters;
	return 0;
}

static void send_datagram(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct load_transport *t = context;

	(void)send(t->fd, datagram, n_bytes, 0);
}

void load_transport_close(struct load_transport *t)
{
	if (queue.owner == t)
		queue.n = 0;
	if (t->dtls)
		load_dtls_close(t->dtls);
	load_dtls_free(t->dtls);
	dp_srtp_context_destroy(t->tx);
	dp_srtp_context_destroy(t->rx);
	if (t->fd >= 0)
		close(t->fd);
	t->dtls = NULL;
	t->tx = t->rx = NULL;
	t->fd = -1;
	if (t->stage != LOAD_STAGE_FAILED)
		t->stage = LOAD_STAGE_CLOSED;
}

static void fail(struct load_transport *t, const char *why)
{
	t->stage = LOAD_STAGE_FAILED;
	t->why = why;
}

static void take_candidate(struct load_transport *t, uint64_t now_ns)
{
	t->candidate_ns = now_ns;
	t->check_ns = now_ns;
	// Connected, so that the kernel hands over nothing of anybody else.
	if (connect(t->fd, (struct sockaddr *)&t->answer.candidates[t->candidate],
		    sizeof(t->answer.candidates[0])) < 0)
		t->candidate_ns = 0;
}

void load_transport_begin(struct load_transport *t, uint64_t now_ns)
{
	t->ice.remote_ufrag = t->answer.ufrag;
	t->ice.remote_pwd = t->answer.pwd;
	t->began_ns = now_ns;
	t->stage = LOAD_STAGE_ICE;
	t->candidate = 0;
	take_candidate(t, now_ns);
	load_transport_timer(t, now_ns);
}

static void connected(struct load_transport *t, uint64_t now_ns)
{
	struct load_dtls_keys keys;

	if (load_dtls_keys_export(t->dtls, &keys) < 0) {
		fail(t, "no SRTP profile was agreed on");
		return;
	}
	if (dp_srtp_context_create(t->srtp, keys.profile, keys.tx_key, keys.tx_salt, &t->tx) < 0 ||
	    dp_srtp_context_create(t->srtp, keys.profile, keys.rx_key, keys.rx_salt, &t->rx) < 0) {
		fail(t, "no SRTP context");
	} else {
		t->profile = keys.profile;
		t->stage = LOAD_STAGE_CONNECTED;
		t->connected_ns = now_ns - t->began_ns;
	}
	OPENSSL_cleanse(&keys, sizeof(keys));
}

static void take_dtls_state(struct load_transport *t, enum load_dtls_state state, uint64_t now_ns)
{
	if (state == LOAD_DTLS_CONNECTED && t->stage == LOAD_STAGE_DTLS)
		connected(t, now_ns);
	else if (state == LOAD_DTLS_FAILED)
		fail(t, "the DTLS handshake failed");
	else if (state == LOAD_DTLS_CLOSED && t->stage == LOAD_STAGE_CONNECTED)
		fail(t, "the server closed the DTLS association");
}

void load_transport_timer(struct load_transport *t, uint64_t now_ns)
{
	uint8_t check[1024];
	size_t n;

	if (t->stage == LOAD_STAGE_NEW || t->stage >= LOAD_STAGE_FAILED)
		return;
	if (t->stage < LOAD_STAGE_CONNECTED && now_ns - t->began_ns > BEGIN_LIMIT_NS) {
		fail(t, t->stage == LOAD_STAGE_ICE ? "no candidate answers a check"
						   : "the DTLS handshake does not end");
		return;
	}
	if (t->stage == LOAD_STAGE_ICE && now_ns - t->candidate_ns > CANDIDATE_NS) {
		t->candidate = (t->candidate + 1) % t->answer.n_candidates;
		take_candidate(t, now_ns);
	}
	if (t->stage == LOAD_STAGE_DTLS)
		take_dtls_state(t, load_dtls_timer(t->dtls), now_ns);
	if (t->stage == LOAD_STAGE_CONNECTED && now_ns - t->valid_ns > CONSENT_LIMIT_NS) {
		t->counters->n_consent_lost++;
		fail(t, "consent was lost");
		return;
	}
	if (now_ns < t->check_ns)
		return;
	// An unanswered consent check is repeated soon: the answer, or the check, may be lost.
	t->check_ns = now_ns + (t->stage == LOAD_STAGE_ICE ? CHECK_NS : CONSENT_NS);
	if (t->stage == LOAD_STAGE_CONNECTED && now_ns - t->valid_ns > 2 * CONSENT_NS)
		t->check_ns = now_ns + 5 * CHECK_NS;
	n = load_ice_check(&t->ice, check, sizeof(check));
	if (n)
		send_datagram(t, check, n);
}

static void receive_stun(struct load_transport *t, const uint8_t *bytes, size_t n_bytes,
			 uint64_t now_ns)
{
	const struct sockaddr_in6 *from = &t->answer.candidates[t->candidate];
	struct ip_endpoint source = { .port_be = from->sin6_port };
	uint8_t answer[256];
	size_t answer_bytes = 0;

	memcpy(&source.address, &from->sin6_addr, 16);
	switch (load_ice_receive(&t->ice, bytes, n_bytes, &source, answer, &answer_bytes)) {
	case LOAD_ICE_REQUEST:
		send_datagram(t, answer, answer_bytes);
		return;
	case LOAD_ICE_VALID:
		t->valid_ns = now_ns;
		if (t->stage != LOAD_STAGE_ICE)
			return;
		t->ice_ns = now_ns - t->began_ns;
		t->check_ns = now_ns + CONSENT_NS;
		t->stage = LOAD_STAGE_DTLS;
		t->dtls = load_dtls_new(t->dtls_context, t->answer.fingerprint, send_datagram, t);
		if (t->dtls)
			take_dtls_state(t, load_dtls_start(t->dtls), now_ns);
		else
			fail(t, "out of memory");
		return;
	case LOAD_ICE_REFUSED:
		if (t->stage == LOAD_STAGE_ICE)
			fail(t, "the server refused a check");
		return;
	default:
		return;
	}
}

static void receive_rtcp(struct load_transport *t, const uint8_t *bytes, uint32_t n_bytes,
			 uint64_t now_ns)
{
	uint8_t plain[DATAGRAM_BYTES];
	uint32_t plain_bytes;

	if (dp_srtcp_unprotect(t->rx, bytes, n_bytes, plain, sizeof(plain), &plain_bytes) !=
	    DP_SRTP_OK) {
		t->counters->n_rtcp_forged++;
		return;
	}
	t->handler->rtcp(t->context, plain, plain_bytes, now_ns);
}

static void receive_media(struct load_transport *t, struct dp_srtp_unprotect *jobs,
			  const uint64_t *tags, uint32_t n, uint64_t now_ns)
{
	dp_srtp_unprotect_burst(jobs, n);
	for (uint32_t i = 0; i < n; i++) {
		struct rtp_view rtp;

		if (jobs[i].status != DP_SRTP_OK ||
		    rtp_parse(jobs[i].plain, jobs[i].plain_bytes, &rtp) < 0) {
			t->counters->n_forged++;
			continue;
		}
		t->handler->rtp(t->context, &rtp, jobs[i].index, tags[i], now_ns);
	}
}

void load_transport_receive(struct load_transport *t, uint64_t now_ns)
{
	static uint8_t bytes[BURST][DATAGRAM_BYTES];
	struct mmsghdr messages[BURST];
	struct iovec iov[BURST];

	for (;;) {
		struct dp_srtp_unprotect jobs[BURST];
		uint64_t tags[BURST];
		uint32_t n_media = 0;
		int n;

		memset(messages, 0, sizeof(messages));
		for (uint32_t i = 0; i < BURST; i++) {
			iov[i] = (struct iovec){ bytes[i], DATAGRAM_BYTES };
			messages[i].msg_hdr.msg_iov = &iov[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		n = recvmmsg(t->fd, messages, BURST, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			uint32_t n_bytes = messages[i].msg_len;

			if (n_bytes < 12)
				continue;
			if (bytes[i][0] < 4) {
				receive_stun(t, bytes[i], n_bytes, now_ns);
			} else if (bytes[i][0] >= 20 && bytes[i][0] < 64) {
				if (t->dtls)
					take_dtls_state(
						t, load_dtls_receive(t->dtls, bytes[i], n_bytes),
						now_ns);
			} else if (bytes[i][0] < 128 || !t->rx) {
				continue;
			} else if (rtp_is_rtcp(bytes[i], n_bytes)) {
				receive_rtcp(t, bytes[i], n_bytes, now_ns);
			} else {
				tags[n_media] = bytes_get_be64(bytes[i] + n_bytes - 8);
				jobs[n_media++] = (struct dp_srtp_unprotect){
					.context = t->rx,
					.packet = bytes[i],
					.plain = bytes[i],
					.packet_bytes = (uint16_t)n_bytes,
					.index = t->handler->index(t->context,
								   bytes_get_be32(bytes[i] + 8),
								   bytes_get_be16(bytes[i] + 2)),
				};
			}
		}
		if (n > 0)
			t->counters->n_received += (uint64_t)n;
		if (n_media)
			receive_media(t, jobs, tags, n_media, now_ns);
		if (n < BURST)
			return;
	}
}

uint8_t *load_transport_room(struct load_transport *t)
{
	if (queue.n == BURST || (queue.n && queue.owner != t))
		load_transport_flush();
	queue.owner = t;
	return queue.packets[queue.n];
}

void load_transport_queue(struct load_transport *t, uint32_t n_bytes, uint16_t header_bytes,
			  uint64_t index)
{
	uint8_t *packet = queue.packets[queue.n];

	queue.jobs[queue.n++] = (struct dp_srtp_protect){
		.context = t->tx,
		.packet = packet,
		.payload = packet + header_bytes,
		.index = index,
		.room_bytes = DATAGRAM_BYTES,
		.header_bytes = header_bytes,
		.payload_bytes = (uint16_t)(n_bytes - header_bytes),
	};
}

void load_transport_flush(void)
{
	struct load_transport *t = queue.owner;
	struct mmsghdr messages[BURST];
	struct iovec iov[BURST];
	uint32_t n = queue.n;
	uint32_t done = 0;

	queue.n = 0;
	if (n == 0)
		return;
	dp_srtp_protect_burst(queue.jobs, n);
	memset(messages, 0, sizeof(messages));
	for (uint32_t i = 0; i < n; i++) {
		iov[i] = (struct iovec){ queue.packets[i], queue.jobs[i].protected_bytes };
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		t->counters->n_sent_bytes += queue.jobs[i].protected_bytes;
	}
	while (done < n) {
		int sent = sendmmsg(t->fd, messages + done, n - done, 0);

		if (sent <= 0) {
			t->counters->n_send_failed += n - done;
			break;
		}
		done += (uint32_t)sent;
	}
	t->counters->n_sent += done;
}

void load_transport_send_rtcp(struct load_transport *t, const uint8_t *packet, size_t n_bytes)
{
	uint8_t out[RTCP_BYTES_MAX + DP_SRTP_RTCP_GROWTH_MAX];
	uint32_t out_bytes;

	if (!t->tx || n_bytes > RTCP_BYTES_MAX)
		return;
	if (dp_srtcp_protect(t->tx, packet, (uint32_t)n_bytes, t->rtcp_index++, true, out,
			     sizeof(out), &out_bytes) == DP_SRTP_OK)
		send_datagram(t, out, out_bytes);
}
