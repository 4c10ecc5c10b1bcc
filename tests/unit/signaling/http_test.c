// What every path shares: CORS, limits, connections, rooms, pages, reloading.
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/signaling/signaling_rig.h"

#define PREFLIGHT                                                                                  \
	"Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n"                   \
	"Access-Control-Request-Headers: authorization,content-type\r\n"

static void open_rig(void)
{
	rig_open(NULL);
}

TestSuite(http, .init = open_rig, .fini = rig_close);

Test(http, health)
{
	struct rig_answer *a = rig_request("GET", "/healthz", "", "");

	cr_expect_eq(a->status, 200);
	cr_expect_str_eq(a->body, "ok\n");
	cr_expect_eq(rig_request("HEAD", "/healthz", "", "")->status, 200);
	cr_expect_eq(rig_request("POST", "/healthz", "", "x")->status, 405);
}

Test(http, rfc9110_9_3_7_what_can_be_read_answers_options)
{
	static const char *const paths[] = { "/healthz", "/demo/", "/demo/watch", "/rooms/lobby" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct rig_answer *a = rig_request("OPTIONS", paths[i], "", "");

		cr_expect_eq(a->status, 200, "%s", paths[i]);
		rig_expect_field(a, "Allow", "GET, HEAD, OPTIONS");
		a = rig_request("POST", paths[i], "", "x");
		cr_expect_eq(a->status, 405, "%s", paths[i]);
		rig_expect_field(a, "Allow", "GET, HEAD, OPTIONS");
	}
}

Test(http, fetch_preflight)
{
	struct rig_answer *a = rig_request("OPTIONS", "/whip/lobby", PREFLIGHT, "");

	cr_expect_eq(a->status, 200);
	rig_expect_field(a, "Access-Control-Allow-Origin", "*");
	rig_expect_field(a, "Access-Control-Allow-Methods", "POST, OPTIONS");
	rig_expect_field(a, "Access-Control-Allow-Headers",
			 "Authorization, Content-Type, If-Match");
	cr_expect_null(rig_field(a, "Link"), "a preflight gets no credentials");
	a = rig_request("OPTIONS", "/whep/session/" RIG_SESSION, PREFLIGHT, "");
	rig_expect_field(a, "Access-Control-Allow-Methods", "PATCH, DELETE, OPTIONS");
	a = rig_request("OPTIONS", "/rooms/lobby", PREFLIGHT, "");
	rig_expect_field(a, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
}

Test(http, fetch_responses_can_be_read)
{
	static const char *const names[] = { "Location", "Link", "ETag", "Accept-Patch",
					     "Retry-After" };
	struct rig_answer *a =
		rig_request("POST", "/whip/lobby", "Origin: https://app.example\r\n", "");

	cr_expect_eq(a->status, 401, "errors too");
	rig_expect_field(a, "Access-Control-Allow-Origin", "*");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_expect_not_null(strstr(rig_field(a, "Access-Control-Expose-Headers"), names[i]));
	cr_expect_null(rig_field(a, "Access-Control-Allow-Credentials"));
}

static void two_origins(struct signaling_config *c)
{
	static const char *const origins[] = { "https://one.example", "https://two.example:8443" };

	c->allow_origins = origins;
	c->n_allow_origins = 2;
}

Test(http_origins, fetch_only_those_listed, .fini = rig_close)
{
	struct rig_answer *a;

	rig_open(two_origins);
	a = rig_request("GET", "/healthz", "Origin: https://two.example:8443\r\n", "");
	rig_expect_field(a, "Access-Control-Allow-Origin", "https://two.example:8443");
	rig_expect_field(a, "Vary", "Origin");
	a = rig_request("GET", "/healthz", "Origin: https://three.example\r\n", "");
	cr_expect_null(rig_field(a, "Access-Control-Allow-Origin"));
	rig_expect_field(a, "Vary", "Origin");
	a = rig_request("GET", "/healthz", "", "");
	cr_expect_null(rig_field(a, "Access-Control-Allow-Origin"));
}

Test(http, rooms)
{
	const char *watcher = rig_bearer(RIG_SECRET, "", "lobby", false, true, 60);
	struct rig_answer *a;
	json_t *room, *first;

	a = rig_request("GET", "/rooms/lobby", watcher, "");
	cr_assert_eq(a->status, 200);
	cr_expect_str_eq(a->body, "{\"room\":\"lobby\",\"count\":0,\"publishers\":[]}");
	fake_sfu.has_publisher = true;
	a = rig_request("GET", "/rooms/lobby", watcher, "");
	rig_expect_field(a, "Content-Type", "application/json");
	room = json_loads(a->body, 0, NULL);
	first = json_array_get(json_object_get(room, "publishers"), 0);
	cr_assert_not_null(first);
	cr_expect_str_eq(json_string_value(json_object_get(first, "participant")), "alice");
	cr_expect(json_is_true(json_object_get(first, "audio")));
	cr_expect(json_is_false(json_object_get(first, "video")));
	cr_expect(json_is_true(json_object_get(first, "connected")));
	cr_expect_eq(json_integer_value(json_object_get(first, "audio_level")), 31);
	json_decref(room);
	cr_expect_eq(rig_request("GET", "/rooms/lobby", "", "")->status, 401);
	cr_expect_eq(rig_request("GET", "/rooms/cellar", watcher, "")->status, 403);
	cr_expect_eq(rig_request("GET", "/rooms/", watcher, "")->status, 404);
	cr_expect_eq(rig_request("GET", "/rooms/lobby/" RIG_SESSION "/", watcher, "")->status, 404);
	cr_expect_eq(rig_request("DELETE", "/rooms/lobby", watcher, "")->status, 405);
}

Test(http, seats_of_a_watcher)
{
	const char *watcher = rig_bearer(RIG_SECRET, "", "*", false, true, 60);
	struct rig_answer *a;

	fake_sfu.session_role = SFU_ROLE_WATCH;
	fake_sfu.has_publisher = true;
	a = rig_request("GET", "/rooms/lobby/" RIG_SESSION, watcher, "");
	cr_assert_eq(a->status, 200);
	cr_expect_not_null(strstr(a->body,
				  "\"seats\":["
				  "{\"kind\":\"audio\",\"index\":0,\"participant\":\"alice\"},"
				  "{\"kind\":\"video\",\"index\":2,\"participant\":\"bob\"}]"),
			   "%s", a->body);
	cr_expect_eq(rig_request("GET", "/rooms/lobby/0011", watcher, "")->status, 404);
	cr_expect_eq(rig_request("GET", "/rooms/cellar/" RIG_SESSION, watcher, "")->status, 404);
	cr_expect_eq(rig_request("GET", "/rooms/lobby/" RIG_SESSION "00", watcher, "")->status,
		     404);
	fake_sfu.session_role = SFU_ROLE_PUBLISH;
	cr_expect_eq(rig_request("GET", "/rooms/lobby/" RIG_SESSION, watcher, "")->status, 404);
}

Test(http, demo_pages)
{
	static const struct {
		const char *path, *type, *part;
	} files[] = {
		{ "/demo/", "text/html; charset=utf-8", "<!doctype html>" },
		{ "/demo/publish", "text/html; charset=utf-8", "publish.js" },
		{ "/demo/watch", "text/html; charset=utf-8", "watch.js" },
		{ "/demo/room", "text/html; charset=utf-8", "room.js" },
		{ "/demo/whip_whep.js", "text/javascript; charset=utf-8", "RTCPeerConnection" },
		{ "/demo/demo.css", "text/css; charset=utf-8", "color-scheme" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct rig_answer *a = rig_request("GET", files[i].path, "", "");
		const char *policy = rig_field(a, "Content-Security-Policy");

		cr_expect_eq(a->status, 200, "%s", files[i].path);
		cr_assert_not_null(policy);
		cr_expect_not_null(strstr(policy, "default-src 'none'"));
		cr_expect_null(strstr(policy, "unsafe"));
		rig_expect_field(a, "Content-Type", files[i].type);
		rig_expect_field(a, "X-Content-Type-Options", "nosniff");
		cr_expect_not_null(strstr(a->body, files[i].part), "%s", files[i].path);
	}
	cr_expect_eq(rig_request("GET", "/demo/nothing", "", "")->status, 404);
	cr_expect_eq(rig_request("GET", "/demo/../signaling.c", "", "")->status, 404);
	cr_expect_eq(rig_request("POST", "/demo/", "", "x")->status, 405);
	rig_expect_field(rig_request("GET", "/", "", ""), "Location", "/demo/");
}

Test(http, several_requests_on_a_connection)
{
	const char *get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct rig_answer *a = calloc(1, sizeof(*a));
	int fd = rig_connect(0);

	for (int i = 0; i < 3; i++) {
		rig_talk(fd, get, strlen(get), a);
		cr_expect_eq(a->status, 200);
	}
	close(fd);
	free(a);
}

Test(http, rfc9110_9_3_2_head_has_no_body)
{
	const char *head = "HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	const char *get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct rig_answer *a = calloc(1, sizeof(*a));
	int fd = rig_connect(0);

	rig_talk(fd, head, strlen(head), a);
	cr_expect_eq(a->status, 200);
	cr_expect_eq(a->body_bytes, 0);
	rig_talk(fd, get, strlen(get), a);
	cr_expect_eq(a->status, 200);
	cr_expect_str_eq(a->body, "ok\n");
	close(fd);
	free(a);
}

Test(http, limits_of_the_server)
{
	const char *large =
		"POST /whip/lobby HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n";
	struct rig_answer *a = calloc(1, sizeof(*a));
	char *fields = malloc(20001);
	int fd = rig_connect(0);

	rig_talk(fd, large, strlen(large), a);
	cr_expect_eq(a->status, 413, "refused before it was sent");
	close(fd);
	memset(fields, 'a', 20000);
	memcpy(fields, "X-Long: ", 8);
	strcpy(fields + 19998, "\r\n");
	cr_expect_neq(rig_request("GET", "/healthz", fields, "")->status, 200);
	cr_expect_eq(rig_request("GET", "/healthz", "", "")->status, 200);
	free(fields);
	free(a);
}

Test(http, garbage_ends_its_connection_only)
{
	static const char *const garbage[] = {
		"\r\n\r\n\r\n",
		"GET\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"POST /whip/lobby HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST /whip/lobby HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
		"GET /healthz HTTP/9.9\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\n\r\n",
	};
	struct rig_answer *a = calloc(1, sizeof(*a));

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = rig_connect(0);

		send(fd, garbage[i], strlen(garbage[i]), 0);
		shutdown(fd, SHUT_WR);
		rig_run(20);
		close(fd);
	}
	rig_run(20);
	cr_expect_eq(rig_request("GET", "/healthz", "", "")->status, 200);
	cr_expect_eq(fake_sfu.n_joins, 0);
	free(a);
}

static void few_connections(struct signaling_config *c)
{
	c->connections_per_source_max = 3;
}

Test(http_crowd, connections_per_source, .fini = rig_close)
{
	const char *get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct rig_answer *a = calloc(1, sizeof(*a));
	int fds[4];

	rig_open(few_connections);
	for (int i = 0; i < 4; i++) {
		fds[i] = rig_connect(0);
		rig_run(10);
	}
	for (int i = 0; i < 3; i++) {
		rig_talk(fds[i], get, strlen(get), a);
		cr_expect_eq(a->status, 200, "connection %d", i);
	}
	rig_talk(fds[3], get, strlen(get), a);
	cr_expect_eq(a->status, 0, "one too many");
	close(fds[3]);
	close(fds[1]);
	rig_run(10);
	fds[1] = rig_connect(0);
	rig_run(10);
	rig_talk(fds[1], get, strlen(get), a);
	cr_expect_eq(a->status, 200, "the place of one that left");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	free(a);
}

static void little_patience(struct signaling_config *c)
{
	c->idle_s = 1;
}

Test(http_crowd, dripping_bytes_do_not_hold_a_connection, .fini = rig_close)
{
	const char *get = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	int fd;

	rig_open(little_patience);
	fd = rig_connect(0);
	for (int i = 0; i < 40; i++) {
		char byte;

		send(fd, &get[i % 4], 1, MSG_NOSIGNAL);
		rig_run(100);
		if (recv(fd, &byte, 1, 0) == 0) {
			cr_expect_geq(i, 5, "ended too early");
			close(fd);
			return;
		}
	}
	cr_assert_fail("still open after 4 s");
}

Test(http, reload_changes_tokens_for_the_next_request)
{
	static const char *const secrets[] = { "fedcba9876543210fedcba9876543210" };
	char old[2048], new[2048], error[256];
	struct signaling_config c = { .requires_tokens = true,
				      .token_secrets = secrets,
				      .n_token_secrets = 1 };

	snprintf(old, sizeof(old), "%s", rig_bearer(RIG_SECRET, "", "*", false, true, 60));
	snprintf(new, sizeof(new), "%s", rig_bearer(secrets[0], "", "*", false, true, 60));
	cr_expect_eq(rig_request("GET", "/rooms/a", old, "")->status, 200);
	cr_expect_eq(rig_request("GET", "/rooms/a", new, "")->status, 401);
	cr_assert_eq(signaling_reload(rig_signaling(), &c, error, sizeof(error)), 0);
	cr_expect_eq(rig_request("GET", "/rooms/a", old, "")->status, 401);
	cr_expect_eq(rig_request("GET", "/rooms/a", new, "")->status, 200);
}

Test(http, rest_credentials_verify_with_the_secret)
{
	struct rig_answer *a = rig_request(
		"OPTIONS", "/whep/lobby", rig_bearer(RIG_SECRET, "", "lobby", false, true, 60), "");
	const char *link = rig_field(a, "Link");
	char username[64] = "", credential[64] = "", wanted[64];
	unsigned char mac[EVP_MAX_MD_SIZE];
	long long expires_at_s;
	unsigned int n;

	cr_assert_not_null(link);
	cr_assert_eq(sscanf(strstr(link, "username="),
			    "username=\"%63[^\"]\"; credential=\"%63[^\"]\"", username, credential),
		     2);
	expires_at_s = atoll(username);
	cr_expect_gt(expires_at_s, time(NULL) + 3600);
	cr_expect_str_eq(strchr(username, ':'), ":turnpike");
	HMAC(EVP_sha1(), "north", 5, (unsigned char *)username, strlen(username), mac, &n);
	EVP_EncodeBlock((unsigned char *)wanted, mac, (int)n);
	cr_expect_str_eq(credential, wanted);
}

Test(http_start, a_port_that_is_taken)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	struct event_base *base = event_base_new();
	struct signaling_listener l = { .endpoint = { .address = ip_address_from_v4(loopback) } };
	struct signaling_config c = { .listeners = &l, .n_listeners = 1 };
	struct signaling *second = NULL;
	char error[512];

	rig_open(NULL);
	l.endpoint.port_be = __builtin_bswap16(signaling_port(rig_signaling(), 0));
	cr_expect_eq(signaling_new(&c, base, NULL, &second, error, sizeof(error)), -EADDRINUSE);
	cr_expect_not_null(strstr(error, "another program has the port"), "%s", error);
	event_base_free(base);
	rig_close();
}
