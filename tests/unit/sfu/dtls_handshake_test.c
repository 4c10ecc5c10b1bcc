// Handshakes in both roles: profiles, keys, fingerprints, fragments.
#include "tests/unit/sfu/dtls_rig.h"

#include <errno.h>
#include <unistd.h>

#define ALL                                                                                        \
	"SRTP_AES128_CM_SHA1_32:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_"   \
	"GCM"

static struct dtls_rig rig;

static const struct {
	const char *peer;
	enum dp_srtp_profile agreed;
} profiles[] = {
	{ ALL, DP_SRTP_AEAD_AES_128_GCM },
	{ "SRTP_AEAD_AES_128_GCM", DP_SRTP_AEAD_AES_128_GCM },
	{ "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", DP_SRTP_AEAD_AES_256_GCM },
	{ "SRTP_AES128_CM_SHA1_80", DP_SRTP_AES_CM_128_HMAC_SHA1_80 },
};

// We prefer AEAD_AES_128_GCM whatever the order of the client's offer.
Test(dtls, rfc5764_4_2_server_chooses_profile_and_keys_agree)
{
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		dtls_rig_open(&rig, DTLS_ROLE_SERVER, profiles[i].peer);
		dtls_rig_session(&rig, NULL, 0);
		cr_assert(dtls_rig_handshake(&rig, 2000), "%s", profiles[i].peer);
		cr_assert_eq(rig.n_keys, 1);
		cr_assert_eq(rig.keys.profile, profiles[i].agreed, "%s", profiles[i].peer);
		dtls_rig_keys_agree(&rig);
		cr_assert_eq(dtls_context_counters(rig.context)->n_connected, 1);
		dtls_rig_close(&rig);
	}
}

Test(dtls, rfc5764_4_2_client_keys_agree)
{
	for (size_t i = 1; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		dtls_rig_open(&rig, DTLS_ROLE_CLIENT, profiles[i].peer);
		dtls_rig_session(&rig, NULL, 0);
		cr_assert(dtls_rig_handshake(&rig, 2000), "%s", profiles[i].peer);
		cr_assert_eq(rig.n_keys, 1);
		dtls_rig_keys_agree(&rig);
		dtls_rig_close(&rig);
	}
}

// Data channels alone: nobody offers use_srtp.
Test(dtls, rfc8831_6_1_without_srtp)
{
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, NULL);
	dtls_rig_session(&rig, NULL, 0);
	cr_assert(dtls_rig_handshake(&rig, 2000));
	cr_assert_eq(rig.n_keys, 1);
	cr_assert_eq(rig.keys.profile, DP_SRTP_PROFILE_NONE);
	dtls_rig_close(&rig);
}

Test(dtls, rfc5764_4_1_2_no_profile_in_common)
{
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, "SRTP_AES128_CM_SHA1_32");
	dtls_rig_session(&rig, NULL, 0);
	// RFC 5764 §4.1.1: the server leaves the extension out, and there is no SRTP.
	cr_assert(dtls_rig_handshake(&rig, 2000));
	cr_assert_eq(rig.keys.profile, DP_SRTP_PROFILE_NONE);
	dtls_rig_close(&rig);
}

Test(dtls, rfc8122_5_fingerprint_of_each_hash)
{
	for (enum sdp_hash hash = SDP_HASH_SHA256; hash < SDP_HASH_COUNT; hash++) {
		struct sdp_fingerprint f;

		dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
		f = dtls_rig_fingerprint(&rig, hash);
		dtls_rig_session(&rig, &f, 1);
		cr_assert(dtls_rig_handshake(&rig, 2000));
		dtls_rig_close(&rig);
	}
}

static void wrong_fingerprint(enum dtls_role role, uint32_t byte)
{
	struct sdp_fingerprint f;

	dtls_rig_open(&rig, role, ALL);
	f = dtls_rig_fingerprint(&rig, SDP_HASH_SHA256);
	f.bytes[byte] ^= 1;
	dtls_rig_session(&rig, &f, 1);
	cr_assert_not(dtls_rig_handshake(&rig, 2000));
	cr_assert_eq(rig.n_keys, 0);
	cr_assert_eq(rig.n_closed, 1);
	cr_assert_eq(rig.closed, DTLS_CLOSE_FINGERPRINT);
	cr_assert_eq(dtls_context_counters(rig.context)->n_closed[DTLS_CLOSE_FINGERPRINT], 1);
	dtls_rig_close(&rig);
}

Test(dtls, rfc8827_6_5_wrong_fingerprint_gives_no_keys)
{
	for (enum dtls_role role = 0; role < DTLS_ROLE_COUNT; role++) {
		wrong_fingerprint(role, 0);
		wrong_fingerprint(role, 31);
	}
}

// RFC 8122 §5: of several hashes the strongest decides; of one hash any certificate serves.
Test(dtls, rfc8122_5_several_fingerprints)
{
	struct sdp_fingerprint f[2];

	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	f[0] = dtls_rig_fingerprint(&rig, SDP_HASH_SHA256);
	f[1] = dtls_rig_fingerprint(&rig, SDP_HASH_SHA512);
	f[1].bytes[5] ^= 0x80;
	dtls_rig_session(&rig, f, 2);
	cr_assert_not(dtls_rig_handshake(&rig, 2000));
	cr_assert_eq(rig.closed, DTLS_CLOSE_FINGERPRINT);
	dtls_rig_close(&rig);

	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	f[0] = f[1] = dtls_rig_fingerprint(&rig, SDP_HASH_SHA256);
	f[0].bytes[5] ^= 0x80;
	dtls_rig_session(&rig, f, 2);
	cr_assert(dtls_rig_handshake(&rig, 2000));
	dtls_rig_close(&rig);
}

Test(dtls, weak_or_missing_fingerprints_are_refused)
{
	static const struct dtls_callbacks none;
	struct sdp_fingerprint f;
	struct dtls_session *s;

	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	f = dtls_rig_fingerprint(&rig, SDP_HASH_SHA1);
	cr_assert_eq(dtls_session_new(rig.context, DTLS_ROLE_SERVER, &f, 1, &none, NULL, &s),
		     -EINVAL);
	cr_assert_eq(dtls_session_new(rig.context, DTLS_ROLE_SERVER, NULL, 0, &none, NULL, &s),
		     -EINVAL);
	cr_assert_null(s);
	dtls_rig_close(&rig);
}

Test(dtls, rfc8827_6_5_peer_without_a_certificate)
{
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	dtls_rig_session(&rig, NULL, 0);
	SSL_certs_clear(rig.peer.ssl);
	cr_assert_not(dtls_rig_handshake(&rig, 2000));
	cr_assert_eq(rig.n_keys, 0);
	cr_assert_eq(rig.closed, DTLS_CLOSE_HANDSHAKE);
	dtls_rig_close(&rig);
}

Test(dtls, rfc8996_older_versions_are_refused)
{
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	dtls_rig_session(&rig, NULL, 0);
	SSL_set_security_level(rig.peer.ssl, 0);
	SSL_set_min_proto_version(rig.peer.ssl, DTLS1_VERSION);
	SSL_set_max_proto_version(rig.peer.ssl, DTLS1_VERSION);
	cr_assert_not(dtls_rig_handshake(&rig, 2000));
	cr_assert_eq(rig.n_keys, 0);
	dtls_rig_close(&rig);
}

// As long as a browser's with ML-KEM, and in pieces.
static void long_client_hello(long mtu_bytes)
{
	uint8_t protocols[2000];

	for (size_t i = 0; i < sizeof(protocols); i += 200) {
		memset(protocols + i, 'a' + (int)(i / 200), 200);
		protocols[i] = 199;
	}
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	dtls_rig_session(&rig, NULL, 0);
	cr_assert_eq(SSL_set_alpn_protos(rig.peer.ssl, protocols, sizeof(protocols)), 0);
	SSL_set_mtu(rig.peer.ssl, mtu_bytes);
}

Test(dtls, rfc6347_4_2_3_fragmented_client_hello)
{
	static const long mtus[] = { 1200, 576, 256 };

	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		long_client_hello(mtus[i]);
		cr_assert(dtls_rig_handshake(&rig, 3000), "MTU %ld", mtus[i]);
		cr_assert_gt(rig.n_from_peer, 4);
		dtls_rig_keys_agree(&rig);
		dtls_rig_close(&rig);
	}
}

Test(dtls, rfc6347_4_2_1_nothing_before_the_cookie)
{
	uint8_t bytes[RIG_DATAGRAM_BYTES_MAX];
	ssize_t n;

	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	dtls_rig_session(&rig, NULL, 0);
	SSL_do_handshake(rig.peer.ssl);
	n = read(rig.peer.wire_fd, bytes, sizeof(bytes));
	cr_assert_gt(n, 0);
	dtls_session_receive(rig.session, bytes, (size_t)n);
	// One HelloVerifyRequest (handshake type 3), shorter than what it answers, and no timer for it.
	cr_assert_eq(rig.n_to_peer, 1);
	cr_assert_eq(rig.to_peer[0].bytes[13], 3);
	cr_assert_lt(rig.to_peer[0].n_bytes, (size_t)n);
	cr_assert_eq(dtls_session_timeout_ms(rig.session), -1);
	cr_assert_eq(dtls_context_counters(rig.context)->n_cookies, 1);
	// A wrong cookie is as if it had never come; the right one still serves.
	rig.to_peer[0].bytes[rig.to_peer[0].n_bytes - 1] ^= 1;
	cr_assert_gt(write(rig.peer.wire_fd, rig.to_peer[0].bytes, rig.to_peer[0].n_bytes), 0);
	rig.n_to_peer = 0;
	SSL_do_handshake(rig.peer.ssl);
	n = read(rig.peer.wire_fd, bytes, sizeof(bytes));
	cr_assert_gt(n, 0);
	dtls_session_receive(rig.session, bytes, (size_t)n);
	cr_assert_eq(rig.n_to_peer, 0);
	cr_assert_eq(rig.n_closed, 0);
	cr_assert_eq(dtls_context_counters(rig.context)->n_cookies_refused, 1);
	SSL_clear(rig.peer.ssl);
	cr_assert(dtls_rig_handshake(&rig, 2000));
	dtls_rig_close(&rig);
}

Test(dtls, rfc6347_4_2_1_datagrams_keep_to_the_mtu)
{
	dtls_rig_open(&rig, DTLS_ROLE_SERVER, ALL);
	dtls_rig_session(&rig, NULL, 0);
	cr_assert(dtls_rig_handshake(&rig, 2000));
	cr_assert_leq(rig.longest_to_peer_bytes, DTLS_MTU_BYTES);
	dtls_rig_close(&rig);
}
