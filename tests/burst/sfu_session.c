// The control plane's part and the clients' part of the SFU's tests.
#include "tests/burst/sfu_session.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/contract/wire/rtp_extension.h"

static const uint8_t transaction_id[12] = "sfu-check-01";
static uint32_t last_serial = 100;
static uint32_t n_fanout;
static struct dp_srtp *oracle;
static struct dp_srtp_context *client_tx[SFU_TRANSPORTS];
static struct dp_srtp_context *client_rx[SFU_TRANSPORTS];
uint32_t session_srtcp_index;

// ---- the control plane

static void ice_set(uint32_t idx, uint32_t version)
{
	struct shm_sfu_transport *t = sfu_transport(idx);
	struct shm_srtp_keys *k = sfu_keys(idx);
	uint8_t random[ICE_PWD_RANDOM_BYTES];
	char ufrag[ICE_UFRAG_CHARS + 1];
	char pwd[ICE_PWD_CHARS + 1];

	memset(random, (int)(idx * 7 + version * 3), sizeof(random));
	cr_assert_eq(ice_ufrag_make(idx, 0, random, ufrag), 0);
	ice_pwd_make(random, pwd);
	memset(t->ufrag, 0, sizeof(t->ufrag));
	memcpy(t->ufrag, ufrag, ICE_UFRAG_CHARS);
	t->ufrag_bytes = ICE_UFRAG_CHARS;
	memcpy(k->ice_pwd, pwd, ICE_PWD_CHARS);
	k->ice_pwd_bytes = ICE_PWD_CHARS;
	k->ice_version = version;
}

uint32_t session_open(uint32_t idx, uint32_t flags)
{
	struct shm_sfu_transport *t = sfu_transport(idx);
	uint32_t serial = ++last_serial;

	memset(t, 0, sizeof(*t));
	memset(sfu_keys(idx), 0, sizeof(struct shm_srtp_keys));
	t->flags = flags;
	t->rtcp_ssrc = SESSION_RTCP_SSRC + idx;
	for (uint32_t i = 0; i < SHM_SFU_EXTENSION_COUNT; i++)
		t->extension_id[i] = (uint8_t)(i + 1);
	ice_set(idx, 1);
	sfu_keys(idx)->ice_serial = serial;
	__atomic_store_n(&t->serial, serial, __ATOMIC_RELEASE);
	return serial;
}

void session_withdraw(uint32_t idx)
{
	__atomic_store_n(&sfu_transport(idx)->serial, 0, __ATOMIC_RELEASE);
}

void session_restart_ice(uint32_t idx)
{
	struct shm_srtp_keys *k = sfu_keys(idx);
	uint32_t serial = k->ice_serial;

	k->ice_serial = 0;
	memcpy(k->old_ice_pwd, k->ice_pwd, sizeof(k->old_ice_pwd));
	k->old_ice_pwd_bytes = k->ice_pwd_bytes;
	memcpy(k->old_ufrag, sfu_transport(idx)->ufrag, sizeof(k->old_ufrag));
	k->old_ufrag_bytes = sfu_transport(idx)->ufrag_bytes;
	ice_set(idx, k->ice_version + 1);
	sfu_transport(idx)->is_ice_restarted = 1;
	k->ice_serial = serial;
}

void session_keys(uint32_t idx, uint32_t profile, uint32_t generation)
{
	struct shm_srtp_keys *k = sfu_keys(idx);

	if (oracle == NULL)
		cr_assert_eq(dp_srtp_open(DP_SRTP_ENGINE_LIBSRTP, DP_SRTP_ISA_AUTO, &oracle), 0);
	k->srtp_serial = 0;
	k->profile = profile;
	k->srtp_generation = generation;
	for (uint32_t i = 0; i < sizeof(k->rx_key); i++) {
		k->rx_key[i] = (uint8_t)(i + idx * 16 + generation);
		k->tx_key[i] = (uint8_t)(0x80 + i + idx * 16 + generation);
	}
	for (uint32_t i = 0; i < sizeof(k->rx_salt); i++) {
		k->rx_salt[i] = (uint8_t)(i * 3 + idx);
		k->tx_salt[i] = (uint8_t)(i * 5 + idx);
	}
	__atomic_store_n(&k->srtp_serial, sfu_transport(idx)->serial, __ATOMIC_RELEASE);
	dp_srtp_context_destroy(client_tx[idx]);
	dp_srtp_context_destroy(client_rx[idx]);
	cr_assert_eq(
		dp_srtp_context_create(oracle, profile, k->rx_key, k->rx_salt, &client_tx[idx]), 0);
	cr_assert_eq(
		dp_srtp_context_create(oracle, profile, k->tx_key, k->tx_salt, &client_rx[idx]), 0);
}

void session_track(const struct session_track *s)
{
	struct shm_sfu_track *t = sfu_track(s->idx);

	memset(t, 0, sizeof(*t));
	t->transport_idx = s->transport_idx;
	t->next_track = sfu_transport(s->transport_idx)->first_track;
	t->kind = s->kind;
	t->codec = s->codec;
	t->payload_type = s->payload_type;
	t->rtx_payload_type = s->rtx_payload_type;
	t->clock_hz = s->kind == SHM_SFU_AUDIO ? 48000 : 90000;
	t->n_layers = s->n_layers;
	t->has_nack = 1;
	t->has_pli = 1;
	t->layer[0].ssrc = s->ssrc;
	t->layer[0].rtx_ssrc = s->rtx_ssrc;
	if (s->mid != NULL)
		memcpy(t->mid, s->mid, strnlen(s->mid, sizeof(t->mid)));
	for (uint32_t i = 0; i < s->n_layers; i++) {
		if (s->rid[i] != NULL)
			memcpy(t->layer[i].rid, s->rid[i],
			       strnlen(s->rid[i], sizeof(t->layer[i].rid)));
	}
	__atomic_store_n(&t->serial, ++last_serial, __ATOMIC_RELEASE);
	__atomic_store_n(&sfu_transport(s->transport_idx)->first_track, s->idx, __ATOMIC_RELEASE);
}

void session_subscribe(uint32_t idx, uint32_t transport_idx, uint32_t track_idx)
{
	struct shm_sfu_subscription *s = sfu_subscription(idx);
	struct shm_sfu_track *t = sfu_track(track_idx);

	memset(s, 0, sizeof(*s));
	s->transport_idx = transport_idx;
	s->next_subscription = sfu_transport(transport_idx)->first_subscription;
	s->track_idx = track_idx;
	s->ssrc = 0x9000 + idx;
	s->rtx_ssrc = 0xa000 + idx;
	s->target = SHM_SFU_TARGET_ALL;
	s->kind = t->kind;
	s->has_nack = 1;
	memset(s->payload_type, 0xff, sizeof(s->payload_type));
	memset(s->rtx_payload_type, 0xff, sizeof(s->rtx_payload_type));
	s->payload_type[t->codec] = 120;
	s->rtx_payload_type[t->codec] = 121;
	__atomic_store_n(&s->serial, ++last_serial, __ATOMIC_RELEASE);
	__atomic_store_n(&sfu_transport(transport_idx)->first_subscription, idx, __ATOMIC_RELEASE);
	cr_assert_lt(n_fanout, SFU_FANOUT);
	sfu_fanout()[n_fanout] = idx;
	__atomic_store_n(&t->list[0], shm_sfu_list_word(n_fanout, 1), __ATOMIC_RELEASE);
	n_fanout++;
}

// ---- ICE

static void hmac(const char *key, size_t key_bytes, const void *message, size_t n, uint8_t tag[20])
{
	unsigned int tag_bytes = 20;

	cr_assert_not_null(HMAC(EVP_sha1(), key, (int)key_bytes, message, n, tag, &tag_bytes));
}

uint32_t session_check_build(uint32_t idx, uint32_t flags, uint8_t message[512])
{
	const struct shm_sfu_transport *t = sfu_transport(idx);
	const struct shm_srtp_keys *k = sfu_keys(idx);
	const char *pwd = flags & CHECK_OLD ? k->old_ice_pwd : k->ice_pwd;
	char username[64];
	uint8_t tie_breaker[8] = { 1 };
	struct stun_builder b;
	size_t covered;
	uint8_t *tag;
	size_t n;

	snprintf(username, sizeof(username), "%.*s:remote", ICE_UFRAG_CHARS,
		 flags & CHECK_OLD ? k->old_ufrag : t->ufrag);
	stun_build_begin(&b, message, 512, STUN_BINDING_REQUEST, transaction_id);
	stun_build_attr(&b, STUN_ATTR_USERNAME, username, (uint16_t)strlen(username));
	stun_build_u32(&b, ICE_ATTR_PRIORITY, 0x6e0001ff);
	stun_build_attr(&b, flags & CHECK_CONTROLLED ? ICE_ATTR_CONTROLLED : ICE_ATTR_CONTROLLING,
			tie_breaker, 8);
	if (flags & CHECK_USE_CANDIDATE)
		stun_build_attr(&b, ICE_ATTR_USE_CANDIDATE, NULL, 0);
	if (flags & CHECK_DTLS)
		stun_build_attr(&b, ICE_ATTR_DTLS_IN_STUN, "hello", 5);
	tag = stun_build_integrity(&b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
	cr_assert_not_null(tag);
	hmac(pwd, ICE_PWD_CHARS, message, covered, tag);
	if (flags & CHECK_BAD_PASSWORD)
		tag[19] ^= 1;
	stun_build_fingerprint(&b);
	n = stun_build_end(&b);
	cr_assert_gt(n, 0);
	return (uint32_t)n;
}

void session_check(uint32_t idx, const char *from, uint32_t flags)
{
	struct dress d = { .from = from, .to = from[0] == '[' ? LISTEN_V6 : LISTEN_V4 };
	uint8_t check[512];

	send_datagram(&d, check, session_check_build(idx, flags, check));
}

static bool is_stun(const struct frame *f)
{
	return f->view.payload_bytes > 0 && f->bytes[f->view.payload_offset] <= 3;
}

struct stun_view session_expect_answer(uint32_t idx, const char *to, uint16_t type)
{
	static struct frame f;
	static struct frame more;
	struct ip_endpoint destination = endpoint(to);
	struct stun_attr a;
	struct stun_view m;

	// Feedback may be due at the same time.
	do {
		cr_assert(receive(&f), "no answer");
	} while (!is_stun(&f));
	while (receive(&more))
		cr_assert_not(is_stun(&more), "a second answer");
	cr_assert(ip_endpoint_equal(&f.view.destination, &destination));
	cr_assert_eq(stun_parse(f.bytes + f.view.payload_offset, f.view.payload_bytes, &m),
		     STUN_OK);
	cr_assert_eq(m.type, type, "type %04x", m.type);
	cr_assert_arr_eq(m.transaction_id, transaction_id, 12);
	cr_assert(stun_attr_find(&m, STUN_ATTR_FINGERPRINT, &a) && stun_fingerprint_ok(&m, &a));
	if (type == STUN_BINDING_SUCCESS) {
		struct ip_endpoint mapped;
		uint8_t covered[512];
		uint8_t tag[20];

		cr_assert(stun_attr_find(&m, STUN_ATTR_XOR_MAPPED_ADDRESS, &a));
		cr_assert_eq(stun_xor_address_get(&m, &a, &mapped), 0);
		cr_assert(ip_endpoint_equal(&mapped, &destination));
		cr_assert(stun_attr_find(&m, STUN_ATTR_MESSAGE_INTEGRITY, &a));
		memcpy(covered, m.msg, a.offset_bytes);
		bytes_put_be16(covered + 2, (uint16_t)(a.offset_bytes + 24 - 20));
		hmac(sfu_keys(idx)->ice_pwd, ICE_PWD_CHARS, covered, a.offset_bytes, tag);
		cr_assert_arr_eq(tag, a.value, 20);
	}
	return m;
}

void session_connect(uint32_t idx, const char *from)
{
	session_check(idx, from, CHECK_USE_CANDIDATE);
	session_expect_answer(idx, from, STUN_BINDING_SUCCESS);
	cr_assert_eq(session_event(idx), SHM_SFU_EVENT_CHECKED);
	cr_assert_eq(session_event(idx), SHM_SFU_EVENT_NOMINATED);
	forget_counted();
}

uint8_t session_event(uint32_t idx)
{
	uint16_t n;

	for (uint32_t i = 0; i < worker->shared->n_workers; i++) {
		const struct shm_datagram *d;

		while ((d = punted(i, &n)) != NULL) {
			if (d->kind != SHM_DATAGRAM_SFU_EVENT)
				continue;
			cr_assert_eq(n, 1);
			cr_assert_eq(d->transport_idx, idx);
			return d->data[0];
		}
	}
	return SHM_SFU_EVENT_NONE;
}

// ---- SRTP

static uint32_t rtp_build(const struct session_packet *p, uint8_t *out)
{
	uint32_t n = 12;

	out[0] = (uint8_t)(0x80 | (p->padding > 0 ? 0x20 : 0));
	out[1] = (uint8_t)(p->payload_type | p->marker << 7);
	bytes_put_be16(out + 2, p->sequence);
	bytes_put_be32(out + 4, p->timestamp);
	bytes_put_be32(out + 8, p->ssrc);
	if (p->n_extensions > 0) {
		struct rtp_extension_writer w = rtp_extension_writer_init(out + 12, 256, false);
		int bytes;

		for (uint32_t i = 0; i < p->n_extensions; i++)
			cr_assert_not_null(rtp_extension_put(
				&w, (uint8_t)(p->extension[i].kind + 1),
				(const uint8_t *)p->extension[i].value, p->extension[i].bytes));
		bytes = rtp_extension_finish(&w);
		cr_assert_gt(bytes, 0);
		out[0] |= 0x10;
		n += (uint32_t)bytes;
	}
	if (p->payload_bytes > 0)
		memcpy(out + n, p->payload, p->payload_bytes);
	n += p->payload_bytes;
	if (p->padding > 0) {
		memset(out + n, 0, p->padding);
		n += p->padding;
		out[n - 1] = p->padding;
	}
	return n;
}

uint32_t session_protect(uint32_t idx, const struct session_packet *p, uint8_t *out)
{
	uint8_t plain[2048];
	uint32_t n = rtp_build(p, plain);
	struct dp_srtp_protect work = { 0 };
	struct rtp_view v;

	cr_assert_eq(rtp_parse(plain, n, &v), 0);
	memcpy(out, plain, v.header_bytes);
	work.context = client_tx[idx];
	work.packet = out;
	work.payload = plain + v.header_bytes;
	work.index = (uint64_t)p->roc << 16 | p->sequence;
	work.room_bytes = 2048;
	work.header_bytes = v.header_bytes;
	work.payload_bytes = (uint16_t)(n - v.header_bytes);
	cr_assert_eq(dp_srtp_protect_burst(&work, 1), 1);
	return work.protected_bytes;
}

void session_send(uint32_t idx, const char *from, const struct session_packet *p)
{
	struct dress d = { .from = from, .to = from[0] == '[' ? LISTEN_V6 : LISTEN_V4 };
	uint8_t packet[2048];

	send_datagram(&d, packet, session_protect(idx, p, packet));
}

void session_send_rtcp(uint32_t idx, const char *from, uint32_t index, const uint8_t *plain,
		       uint32_t plain_bytes)
{
	struct dress d = { .from = from, .to = from[0] == '[' ? LISTEN_V6 : LISTEN_V4 };
	uint8_t packet[2048];
	uint32_t n;

	cr_assert_eq(dp_srtcp_protect(client_tx[idx], plain, plain_bytes, index, true, packet,
				      sizeof(packet), &n),
		     DP_SRTP_OK);
	send_datagram(&d, packet, n);
}

uint32_t session_receive(uint32_t idx, const char *to, uint8_t plain[2048], bool *is_rtcp)
{
	struct ip_endpoint destination = endpoint(to);
	struct ip_endpoint source = endpoint(to[0] == '[' ? LISTEN_V6 : LISTEN_V4);
	static struct frame f;
	uint8_t *packet;
	uint32_t n;

	do {
		if (!receive(&f))
			return 0;
	} while (!ip_endpoint_equal(&f.view.destination, &destination));
	cr_assert(ip_endpoint_equal(&f.view.source, &source));
	packet = f.bytes + f.view.payload_offset;
	*is_rtcp = rtp_is_rtcp(packet, f.view.payload_bytes);
	if (*is_rtcp) {
		bool is_encrypted;

		cr_assert_eq(dp_srtcp_peek(client_rx[idx], packet, f.view.payload_bytes,
					   &session_srtcp_index, &is_encrypted),
			     DP_SRTP_OK);
		cr_assert(is_encrypted);
		cr_assert_eq(dp_srtcp_unprotect(client_rx[idx], packet, f.view.payload_bytes, plain,
						2048, &n),
			     DP_SRTP_OK, "the client cannot read what we send");
		return n;
	}
	struct dp_srtp_unprotect work = {
		.context = client_rx[idx],
		.packet = packet,
		.plain = plain,
		.index = bytes_get_be16(packet + 2),
		.packet_bytes = f.view.payload_bytes,
	};
	cr_assert_eq(dp_srtp_unprotect_burst(&work, 1), 1, "the client cannot read what we send");
	return work.plain_bytes;
}

void session_wait_ms(uint32_t ms)
{
	struct timespec t = { .tv_nsec = 1000000 };

	for (uint32_t i = 0; i < ms; i++) {
		nanosleep(&t, NULL);
		poll_once();
	}
}

void session_fini(void)
{
	for (uint32_t i = 0; i < SFU_TRANSPORTS; i++) {
		dp_srtp_context_destroy(client_tx[i]);
		dp_srtp_context_destroy(client_rx[i]);
	}
	dp_srtp_close(oracle);
	pipeline_fini();
}
