// How the SFU load generator joins: offers, answers, HTTP, ICE and DTLS, each against a second
// implementation.
#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/sfu/dtls.h"
#include "bench/sfu/http.h"
#include "bench/sfu/ice.h"
#include "bench/sfu/options.h"
#include "controlplane/sfu/dtls.h"
#include "controlplane/sfu/sdp/answer.h"
#include "dataplane/contract/wire/ice.h"

static uint8_t fingerprint[32] = { 0xab, 0xcd, 1, 2 };

// Offer, parsed and answered by the control plane's SDP, and read.
static void negotiate(bool is_publisher, uint8_t n_layers, struct load_answer *out)
{
	static char offer_text[8192];
	static char answer_text[SDP_TEXT_BYTES_MAX];
	static struct sdp_session session;
	static struct sdp_negotiated kept;
	static struct sdp_policy policy;
	struct sdp_answer_params params = { .ufrag = "ufragOfServer",
					    .pwd = "passwordOfTheServer0123456",
					    .cname = "x",
					    .n_candidates = 2 };
	struct ip_endpoint candidates[2];
	struct sdp_error error;
	const char *reason;
	struct load_offer offer = { .is_publisher = is_publisher,
				    .has_audio = true,
				    .has_video = true,
				    .n_layers = n_layers,
				    .ufrag = "abcdefgh",
				    .pwd = "abcdefghijklmnopqrstuvwx",
				    .fingerprint = fingerprint,
				    .audio_ssrc = 11,
				    .video_ssrc = 12,
				    .rtx_ssrc = 13 };
	int n = load_offer_write(&offer, offer_text, sizeof(offer_text));

	cr_assert_gt(n, 0);
	cr_assert_eq(load_offer_write(&offer, offer_text, (size_t)n), -ENOSPC);
	n = load_offer_write(&offer, offer_text, sizeof(offer_text));
	cr_assert_eq(sdp_parse(offer_text, (size_t)n, &session, &error), 0, "line %u: %s",
		     error.line, error.reason);
	sdp_policy_default(&policy, is_publisher ? SDP_ROLE_PUBLISHER : SDP_ROLE_WATCHER);
	cr_assert_eq(sdp_negotiate(&session, &policy, &kept, &error), 0, "line %u: %s", error.line,
		     error.reason);
	cr_assert_eq(ip_endpoint_parse("198.18.0.2:3478", &candidates[0]), 0);
	cr_assert_eq(ip_endpoint_parse("[fd00:18::2]:3478", &candidates[1]), 0);
	params.candidates = candidates;
	memcpy(params.fingerprint_sha256, fingerprint, 32);
	for (uint32_t i = 0; i < 2; i++)
		params.sources[i] =
			(struct sdp_answer_source){ 100 + i, 200 + i, "s", i ? "v" : "a" };
	n = sdp_answer_write(&kept, &params, answer_text, sizeof(answer_text));
	cr_assert_gt(n, 0);
	answer_text[n] = '\0';
	cr_assert_eq(load_answer_read(answer_text, out, &reason), 0, "%s", reason);
}

Test(bench_sfu_join, rfc8829_a_publisher_s_offer_is_taken_and_its_answer_read)
{
	struct load_answer a;

	negotiate(true, 1, &a);
	cr_assert_str_eq(a.ufrag, "ufragOfServer");
	cr_assert_str_eq(a.pwd, "passwordOfTheServer0123456");
	cr_assert_eq(memcmp(a.fingerprint, fingerprint, 32), 0);
	cr_assert(a.is_passive && a.is_lite && a.has_rtx && a.has_rtcp_rsize);
	cr_assert_eq(a.n_candidates, 2);
	cr_assert_eq(a.candidates[0].sin6_addr.s6_addr[15], 2);
	cr_assert_eq(a.candidates[0].sin6_addr.s6_addr[11], 0xff);
	cr_assert_eq(a.candidates[1].sin6_addr.s6_addr[0], 0xfd);
	cr_assert(a.audio_extensions[LOAD_EXT_AUDIO_LEVEL] && a.video_extensions[LOAD_EXT_TWCC]);
	cr_assert_eq(a.n_layers, 1);
}

Test(bench_sfu_join, rfc8853_a_simulcast_offer_keeps_its_layers)
{
	struct load_answer a;

	negotiate(true, 3, &a);
	cr_assert_eq(a.n_layers, 3);
	cr_assert(a.video_extensions[LOAD_EXT_RID] && a.video_extensions[LOAD_EXT_MID]);
}

Test(bench_sfu_join, rfc8829_a_watcher_s_offer_is_taken)
{
	struct load_answer a;

	negotiate(false, 1, &a);
	cr_assert(a.is_passive && a.has_rtx);
	cr_assert(a.video_extensions[LOAD_EXT_TWCC]);
}

Test(bench_sfu_join, an_answer_that_lacks_something_is_refused_by_name)
{
	struct load_answer a;
	const char *reason;

	cr_assert_eq(load_answer_read("v=0\r\n", &a, &reason), -EINVAL);
	cr_assert_str_eq(reason, "no ICE credentials");
	cr_assert_eq(load_answer_read("a=ice-ufrag:abcd\na=ice-pwd:x\na=fingerprint:sha-256 zz\n",
				      &a, &reason),
		     -EINVAL);
	cr_assert_str_eq(reason, "no SHA-256 fingerprint");
	cr_assert_eq(load_answer_read("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n", &a, &reason), -EINVAL);
	cr_assert_str_eq(reason, "a media section is refused");
}

Test(bench_sfu_join, rfc9112_answers_plain_and_chunked)
{
	static struct http_reply r;
	const char plain[] = "HTTP/1.1 201 Created\r\nlocation: /whip/s/1\r\nETag: "
			     "\"x\"\r\nContent-Length: 4\r\n\r\nv=0\n";
	const char chunked[] = "HTTP/1.1 409 Conflict\r\nRetry-After: 3\r\nTransfer-Encoding: "
			       "chunked\r\n\r\n3\r\nv=0\r\n1\r\n\n\r\n0\r\n\r\n";
	char cut[sizeof(chunked)];

	cr_assert_eq(http_reply_parse("https://h:8443/whip/room", plain, sizeof(plain) - 1, &r), 0);
	cr_assert_eq(r.status, 201);
	cr_assert_str_eq(r.location, "https://h:8443/whip/s/1");
	cr_assert_str_eq(r.etag, "\"x\"");
	cr_assert_str_eq(r.body, "v=0\n");
	cr_assert_eq(http_reply_parse("http://h/", chunked, sizeof(chunked) - 1, &r), 0);
	cr_assert_eq(r.status, 409);
	cr_assert_eq(r.retry_after_s, 3);
	cr_assert_str_eq(r.body, "v=0\n");
	for (size_t n = 0; n < sizeof(chunked) - 5; n++) {
		memcpy(cut, chunked, n);
		cr_assert_eq(http_reply_parse("http://h/", cut, n, &r), -EPROTO, "cut at %zu", n);
	}
}

Test(bench_sfu_join, rfc3986_urls)
{
	struct http_url u;
	char out[HTTP_URL_BYTES];

	cr_assert_eq(http_url_parse("https://[fd00::1]:8443/whip/a?b#c", &u), 0);
	cr_assert(u.is_tls);
	cr_assert_str_eq(u.host, "fd00::1");
	cr_assert_str_eq(u.port, "8443");
	cr_assert_str_eq(u.path, "/whip/a?b");
	cr_assert_eq(http_url_parse("http://example.org", &u), 0);
	cr_assert_str_eq(u.port, "80");
	cr_assert_str_eq(u.path, "/");
	cr_assert_eq(http_url_parse("ftp://x/", &u), -EINVAL);
	cr_assert_eq(http_url_parse("http://:80/", &u), -EINVAL);
	cr_assert_eq(http_url_resolve("http://h/whip/a", "s/1", out), 0);
	cr_assert_str_eq(out, "http://h/whip/s/1");
	cr_assert(load_url_expand("http://h/{room}/{publisher}?r={room}", 3, 4, out));
	cr_assert_str_eq(out, "http://h/load-3/p4?r=load-3");
}

// What the worker does with a check.
static void server_hmac(void *context, const uint8_t *message, size_t n, uint8_t tag[20])
{
	HMAC(EVP_sha1(), context, (int)strlen(context), message, n, tag, NULL);
}

Test(bench_sfu_join, rfc8445_7_a_check_is_one_for_the_worker_and_its_answer_one_for_us)
{
	static char pwd[] = "passwordOfTheServer0123456";
	struct load_ice ice;
	struct ip_endpoint source;
	struct ice_check check;
	struct stun_view m;
	uint8_t message[512];
	uint8_t header[STUN_HEADER_BYTES];
	uint8_t covered[512];
	uint8_t tag[20];
	uint8_t answer[256];
	size_t answer_bytes = 0;
	size_t n;

	cr_assert_eq(ip_endpoint_parse("198.18.0.10:4000", &source), 0);
	load_ice_init(&ice);
	ice.remote_ufrag = "ufragOfServer";
	ice.remote_pwd = pwd;
	n = load_ice_check(&ice, message, sizeof(message));
	cr_assert_eq(stun_parse(message, n, &m), STUN_OK);
	cr_assert_eq(ice_check_parse(&m, &check), ICE_CHECK_VALID);
	cr_assert(check.use_candidate && check.is_controlling);
	cr_assert_eq(check.local_ufrag_bytes, 13);
	cr_assert_eq(memcmp(check.local_ufrag, "ufragOfServer", 13), 0);
	cr_assert_eq(memcmp(check.remote_ufrag, ice.ufrag, LOAD_UFRAG_CHARS), 0);
	ice_check_header(&m, &check, header);
	memcpy(covered, header, sizeof(header));
	memcpy(covered + sizeof(header), message + sizeof(header),
	       check.integrity.offset_bytes - sizeof(header));
	server_hmac(pwd, covered, check.integrity.offset_bytes, tag);
	cr_assert_eq(memcmp(tag, check.integrity.value, 20), 0);

	n = ice_success_build(&m, &source, server_hmac, pwd, covered, sizeof(covered));
	cr_assert_gt(n, 0);
	cr_assert_eq(load_ice_receive(&ice, covered, n, &source, answer, &answer_bytes),
		     LOAD_ICE_VALID);
	covered[n - 20] ^= 1; // within MESSAGE-INTEGRITY
	cr_assert_eq(load_ice_receive(&ice, covered, n, &source, answer, &answer_bytes),
		     LOAD_ICE_NOTHING);
	n = ice_refusal_build(&m, 401, covered, sizeof(covered));
	cr_assert_eq(load_ice_receive(&ice, covered, n, &source, answer, &answer_bytes),
		     LOAD_ICE_REFUSED);
}

Test(bench_sfu_join, rfc8445_7_3_checks_of_a_full_agent_are_answered)
{
	struct load_ice client;
	struct load_ice server;
	struct ip_endpoint source;
	uint8_t check[512];
	uint8_t answer[256];
	uint8_t none[256];
	size_t answer_bytes = 0;
	size_t none_bytes;
	size_t n;

	cr_assert_eq(ip_endpoint_parse("[fd00::1]:4000", &source), 0);
	load_ice_init(&client);
	load_ice_init(&server);
	server.remote_ufrag = client.ufrag;
	server.remote_pwd = client.pwd;
	n = load_ice_check(&server, check, sizeof(check));
	cr_assert_eq(load_ice_receive(&client, check, n, &source, answer, &answer_bytes),
		     LOAD_ICE_REQUEST);
	cr_assert_eq(load_ice_receive(&server, answer, answer_bytes, &source, none, &none_bytes),
		     LOAD_ICE_VALID);
	server.remote_pwd = "wrong";
	n = load_ice_check(&server, check, sizeof(check));
	cr_assert_eq(load_ice_receive(&client, check, n, &source, answer, &answer_bytes),
		     LOAD_ICE_NOTHING);
}

// A wire in memory between our client and the control plane's server.
struct wire {
	uint8_t bytes[64][1600];
	size_t n_bytes[64];
	uint32_t n;
};

static struct wire to_server;
static struct wire to_client;
static struct dtls_keys server_keys;
static bool has_server_keys;
static bool is_server_closed;

static void put(struct wire *w, const uint8_t *bytes, size_t n)
{
	cr_assert_lt(w->n, 64);
	memcpy(w->bytes[w->n], bytes, n);
	w->n_bytes[w->n++] = n;
}

static void client_send(void *context, const uint8_t *bytes, size_t n)
{
	put(&to_server, bytes, n);
}

static void server_send(void *context, const uint8_t *bytes, size_t n)
{
	put(&to_client, bytes, n);
}

static void server_take_keys(void *context, const struct dtls_keys *keys)
{
	server_keys = *keys;
	has_server_keys = true;
}

static void server_take_data(void *context, const uint8_t *bytes, size_t n)
{
}

static void server_take_close(void *context, enum dtls_close_reason reason, const char *detail)
{
	is_server_closed = true;
}

static enum load_dtls_state handshake(const char *profiles, bool wrong_fingerprint,
				      struct load_dtls_keys *keys)
{
	static const struct dtls_callbacks callbacks = { server_send, server_take_keys,
							 server_take_data, server_take_close };
	char dir[] = "/tmp/tp-sfu-join-XXXXXX";
	struct load_dtls_context *client_context = load_dtls_context_new(profiles);
	struct sdp_fingerprint expected = { .hash = SDP_HASH_SHA256, .n_bytes = 32 };
	struct dtls_context *server_context;
	struct dtls_session *server;
	struct load_dtls *client;
	enum load_dtls_state state;
	char command[64];
	uint8_t print[32];

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_not_null(client_context);
	cr_assert_eq(dtls_context_new(dir, &server_context), 0);
	memcpy(expected.bytes, load_dtls_fingerprint(client_context), 32);
	cr_assert_eq(dtls_session_new(server_context, DTLS_ROLE_SERVER, &expected, 1, &callbacks,
				      NULL, &server),
		     0);
	memcpy(print, dtls_context_fingerprint(server_context), 32);
	print[0] ^= wrong_fingerprint;
	client = load_dtls_new(client_context, print, client_send, NULL);
	cr_assert_not_null(client);
	state = load_dtls_start(client);
	for (uint32_t round = 0; round < 20 && (to_server.n || to_client.n); round++) {
		for (uint32_t i = 0; i < to_server.n; i++)
			dtls_session_receive(server, to_server.bytes[i], to_server.n_bytes[i]);
		to_server.n = 0;
		for (uint32_t i = 0; i < to_client.n; i++)
			state = load_dtls_receive(client, to_client.bytes[i], to_client.n_bytes[i]);
		to_client.n = 0;
	}
	if (state == LOAD_DTLS_CONNECTED) {
		cr_assert_eq(load_dtls_keys_export(client, keys), 0);
		load_dtls_close(client);
		for (uint32_t i = 0; i < to_server.n; i++)
			dtls_session_receive(server, to_server.bytes[i], to_server.n_bytes[i]);
	}
	load_dtls_free(client);
	dtls_session_free(server);
	dtls_context_free(server_context);
	load_dtls_context_free(client_context);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
	return state;
}

static void agree(const char *profiles, enum dp_srtp_profile profile)
{
	const struct dp_srtp_profile_info *info = dp_srtp_profile_info(profile);
	struct load_dtls_keys keys = { 0 };

	cr_assert_eq(handshake(profiles, false, &keys), LOAD_DTLS_CONNECTED);
	cr_assert(has_server_keys && is_server_closed);
	cr_assert_eq(keys.profile, profile);
	cr_assert_eq(server_keys.profile, profile);
	cr_assert_eq(memcmp(keys.tx_key, server_keys.rx_key, info->key_bytes), 0);
	cr_assert_eq(memcmp(keys.rx_key, server_keys.tx_key, info->key_bytes), 0);
	cr_assert_eq(memcmp(keys.tx_salt, server_keys.rx_salt, info->salt_bytes), 0);
	cr_assert_eq(memcmp(keys.rx_salt, server_keys.tx_salt, info->salt_bytes), 0);
	cr_assert_neq(memcmp(keys.rx_key, keys.tx_key, info->key_bytes), 0);
}

Test(bench_sfu_join, rfc5764_4_2_keys_are_the_server_s_crosswise_gcm)
{
	agree("SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80", DP_SRTP_AEAD_AES_128_GCM);
}

Test(bench_sfu_join, rfc5764_4_2_keys_are_the_server_s_crosswise_cm)
{
	agree("SRTP_AES128_CM_SHA1_80", DP_SRTP_AES_CM_128_HMAC_SHA1_80);
}

Test(bench_sfu_join, rfc8122_5_another_fingerprint_is_another_server)
{
	struct load_dtls_keys keys;

	cr_assert_eq(handshake("SRTP_AEAD_AES_128_GCM", true, &keys), LOAD_DTLS_FAILED);
}
