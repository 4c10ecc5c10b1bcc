// The rig of the DTLS tests; see its header.
#include "tests/unit/sfu/dtls_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_send(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct dtls_rig *rig = context;
	struct rig_datagram *d = &rig->to_peer[rig->n_to_peer++];

	cr_assert_lt(rig->n_to_peer, RIG_QUEUE_MAX);
	cr_assert_leq(n_bytes, RIG_DATAGRAM_BYTES_MAX);
	memcpy(d->bytes, datagram, n_bytes);
	d->n_bytes = n_bytes;
	if (n_bytes > rig->longest_to_peer_bytes)
		rig->longest_to_peer_bytes = n_bytes;
}

static void on_keys(void *context, const struct dtls_keys *keys)
{
	struct dtls_rig *rig = context;

	rig->n_keys++;
	rig->keys = *keys;
}

static void on_data(void *context, const uint8_t *bytes, size_t n_bytes)
{
	struct dtls_rig *rig = context;

	cr_assert_leq(rig->n_data_bytes + n_bytes, sizeof(rig->data));
	memcpy(rig->data + rig->n_data_bytes, bytes, n_bytes);
	rig->n_data_bytes += n_bytes;
}

static void on_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	struct dtls_rig *rig = context;

	cr_assert_not_null(detail);
	rig->n_closed++;
	rig->closed = reason;
}

static int any_certificate(int is_ok, X509_STORE_CTX *store)
{
	return 1;
}

static unsigned int peer_timer_us(SSL *ssl, unsigned int last_us)
{
	return last_us == 0 ? 100000 : last_us * 2;
}

static void peer_open(struct dtls_rig *rig, const char *profiles)
{
	SSL_CTX *context = dtls_peer_context(DTLS_method());

	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, any_certificate);
	if (profiles != NULL)
		cr_assert_eq(SSL_CTX_set_tlsext_use_srtp(context, profiles), 0);
	dtls_peer_open(&rig->peer, context, 1200);
	SSL_CTX_free(context);
	DTLS_set_timer_cb(rig->peer.ssl, peer_timer_us);
	if (rig->role == DTLS_ROLE_SERVER)
		SSL_set_connect_state(rig->peer.ssl);
	else
		SSL_set_accept_state(rig->peer.ssl);
}

void dtls_rig_open(struct dtls_rig *rig, enum dtls_role role, const char *profiles)
{
	memset(rig, 0, sizeof(*rig));
	rig->role = role;
	strcpy(rig->state_dir, "/tmp/turnpike-dtls-XXXXXX");
	cr_assert_not_null(mkdtemp(rig->state_dir));
	cr_assert_eq(dtls_context_new(rig->state_dir, &rig->context), 0);
	peer_open(rig, profiles);
}

void dtls_rig_close(struct dtls_rig *rig)
{
	char path[128];

	dtls_session_free(rig->session);
	dtls_context_free(rig->context);
	dtls_peer_close(&rig->peer);
	snprintf(path, sizeof(path), "%s/dtls.pem", rig->state_dir);
	unlink(path);
	rmdir(rig->state_dir);
}

struct sdp_fingerprint dtls_rig_fingerprint(struct dtls_rig *rig, enum sdp_hash hash)
{
	const EVP_MD *const digests[SDP_HASH_COUNT] = { EVP_sha1(), EVP_sha224(), EVP_sha256(),
							EVP_sha384(), EVP_sha512() };
	struct sdp_fingerprint f = { .hash = hash };
	unsigned int n_bytes;

	X509_digest(SSL_CTX_get0_certificate(SSL_get_SSL_CTX(rig->peer.ssl)), digests[hash],
		    f.bytes, &n_bytes);
	f.n_bytes = (uint8_t)n_bytes;
	return f;
}

void dtls_rig_session(struct dtls_rig *rig, const struct sdp_fingerprint *fingerprints, uint32_t n)
{
	static const struct dtls_callbacks callbacks = { on_send, on_keys, on_data, on_closed };
	struct sdp_fingerprint of_peer = dtls_rig_fingerprint(rig, SDP_HASH_SHA256);

	if (fingerprints == NULL) {
		fingerprints = &of_peer;
		n = 1;
	}
	cr_assert_eq(dtls_session_new(rig->context, rig->role, fingerprints, n, &callbacks, rig,
				      &rig->session),
		     0);
}

static void peer_advance(struct dtls_rig *rig)
{
	int ret;

	ERR_clear_error();
	if (!rig->peer.is_connected) {
		ret = SSL_do_handshake(rig->peer.ssl);
		rig->peer.is_connected = ret == 1;
	} else {
		ret = SSL_read(rig->peer.ssl, rig->peer_data + rig->n_peer_data_bytes,
			       (int)sizeof(rig->peer_data) - rig->n_peer_data_bytes);
		if (ret > 0)
			rig->n_peer_data_bytes += ret;
	}
	if (ret <= 0 && SSL_get_error(rig->peer.ssl, ret) == SSL_ERROR_SSL)
		rig->has_peer_failed = true;
	ERR_clear_error();
}

static uint32_t n_copies(struct dtls_rig *rig)
{
	uint32_t datagram_idx = rig->n_carried++;

	if (rig->is_lost != NULL && rig->is_lost(rig, datagram_idx))
		return 0;
	return rig->repeats_all ? 2 : 1;
}

// One round; false when nothing was on the way.
static bool carry_once(struct dtls_rig *rig)
{
	uint8_t bytes[RIG_DATAGRAM_BYTES_MAX];
	bool was_busy = rig->n_to_peer > 0;
	ssize_t n;

	for (uint32_t i = 0; i < rig->n_to_peer; i++)
		for (uint32_t copies = n_copies(rig); copies > 0; copies--)
			cr_assert_eq(write(rig->peer.wire_fd, rig->to_peer[i].bytes,
					   rig->to_peer[i].n_bytes),
				     (ssize_t)rig->to_peer[i].n_bytes);
	rig->n_to_peer = 0;
	peer_advance(rig);
	while ((n = read(rig->peer.wire_fd, bytes, sizeof(bytes))) > 0) {
		was_busy = true;
		rig->n_from_peer++;
		for (uint32_t copies = n_copies(rig); copies > 0; copies--)
			dtls_session_receive(rig->session, bytes, (size_t)n);
	}
	return was_busy;
}

void dtls_rig_carry(struct dtls_rig *rig)
{
	while (carry_once(rig))
		;
}

bool dtls_rig_handshake(struct dtls_rig *rig, uint32_t budget_ms)
{
	int64_t deadline_ms = now_ms() + budget_ms;

	cr_assert_eq(dtls_session_start(rig->session), 0);
	while (now_ms() < deadline_ms) {
		dtls_rig_carry(rig);
		if (rig->peer.is_connected && dtls_session_is_connected(rig->session))
			return true;
		if (rig->has_peer_failed || rig->n_closed > 0)
			return false;
		poll(NULL, 0, 5);
		if (dtls_session_timeout_ms(rig->session) == 0)
			dtls_session_timer(rig->session);
		DTLSv1_handle_timeout(rig->peer.ssl);
	}
	return false;
}

void dtls_rig_keys_agree(struct dtls_rig *rig)
{
	const struct dp_srtp_profile_info *info = dp_srtp_profile_info(rig->keys.profile);
	SRTP_PROTECTION_PROFILE *agreed = SSL_get_selected_srtp_profile(rig->peer.ssl);
	uint8_t m[2 * (DP_SRTP_KEY_BYTES_MAX + DP_SRTP_SALT_BYTES_MAX)];
	bool is_client = rig->role == DTLS_ROLE_CLIENT;
	size_t key_bytes;
	size_t salt_bytes;

	cr_assert_not_null(info);
	cr_assert_not_null(agreed);
	cr_assert_eq(agreed->id, info->dtls_id);
	key_bytes = info->key_bytes;
	salt_bytes = info->salt_bytes;
	cr_assert_eq(SSL_export_keying_material(rig->peer.ssl, m, 2 * (key_bytes + salt_bytes),
						"EXTRACTOR-dtls_srtp", 19, NULL, 0, 0),
		     1);
	// RFC 5764 §4.2: client key, server key, client salt, server salt.
	cr_assert_eq(memcmp(is_client ? rig->keys.tx_key : rig->keys.rx_key, m, key_bytes), 0);
	cr_assert_eq(
		memcmp(is_client ? rig->keys.rx_key : rig->keys.tx_key, m + key_bytes, key_bytes),
		0);
	cr_assert_eq(memcmp(is_client ? rig->keys.tx_salt : rig->keys.rx_salt, m + 2 * key_bytes,
			    salt_bytes),
		     0);
	cr_assert_eq(memcmp(is_client ? rig->keys.rx_salt : rig->keys.tx_salt,
			    m + 2 * key_bytes + salt_bytes, salt_bytes),
		     0);
}
