// The operators' protocol: framing and limits over a real socket, and every verb on a real engine.
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/ops/ctl_request.h"
#include "controlplane/ops/ctl_server.h"
#include "tests/unit/ops/engine_fixture.h"

#define CLIENT "198.18.0.10:40000"
#define PEER   "198.18.0.20:5000"

static struct engine e;

static void setup(void)
{
	fixture_open(&e, "rest_secrets: [very-secret-indeed]\nnonce_secret: nonce-secret-0123\n");
}

static void teardown(void)
{
	fixture_close(&e);
}

TestSuite(ctl, .init = setup, .fini = teardown);

// The parsed answer.
static json_t *handle(const char *request)
{
	char *line = ctl_request_handle(&e, request, strlen(request));
	json_t *answer;

	cr_assert_not_null(line);
	cr_assert_null(strchr(line, '\n'));
	answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(answer, "%s", line);
	cr_assert_eq(json_integer_value(json_object_get(answer, "version")), 1);
	free(line);
	return answer;
}

static void refused(const char *request, const char *code)
{
	json_t *answer = handle(request);
	json_t *error = json_object_get(answer, "error");

	cr_expect(json_is_false(json_object_get(answer, "ok")), "%s", request);
	cr_expect_str_eq(json_string_value(json_object_get(error, "code")), code, "%s", request);
	cr_expect(json_string_length(json_object_get(error, "message")) > 5);
	cr_expect(json_string_length(json_object_get(error, "remedy")) > 5);
	json_decref(answer);
}

// The result of a verb; args as the inside of an object.
static json_t *result(const char *verb, const char *args)
{
	char request[512];
	json_t *answer, *r;

	snprintf(request, sizeof(request), "{\"version\":1,\"verb\":\"%s\",\"args\":{%s}}", verb,
		 args);
	answer = handle(request);
	cr_assert(json_is_true(json_object_get(answer, "ok")), "%s", request);
	r = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return r;
}

Test(ctl, hostile_requests)
{
	char deep[4000];

	refused("", "bad_json");
	refused("{", "bad_json");
	refused("{\"version\":1,\"version\":1}", "bad_json");
	refused("{\"version\":1,\"verb\":\"a\\u0000b\"}", "bad_json");
	refused("\xff\xfe", "bad_json");
	refused("[]", "bad_request");
	refused("7", "bad_json"); // no object or array: jansson refuses it by itself
	refused("{}", "version");
	refused("{\"version\":2,\"verb\":\"status\"}", "version");
	refused("{\"version\":\"1\",\"verb\":\"status\"}", "version");
	refused("{\"version\":1}", "bad_request");
	refused("{\"version\":1,\"verb\":7}", "bad_request");
	refused("{\"version\":1,\"verb\":\"status\",\"args\":[]}", "bad_request");
	refused("{\"version\":1,\"verb\":\"format\"}", "unknown_verb");
	refused("{\"version\":1,\"verb\":\"status\",\"args\":{\"x\":1}}", "bad_argument");
	refused("{\"version\":1,\"verb\":\"explain\"}", "bad_argument");
	refused("{\"version\":1,\"verb\":\"explain\",\"args\":{\"client\":\"1.2.3.4\"}}",
		"bad_argument");
	refused("{\"version\":1,\"verb\":\"explain\",\"args\":{\"client\":\"1.2.3.4:1\","
		"\"channel\":-1}}",
		"bad_argument");
	refused("{\"version\":1,\"verb\":\"allocations\",\"args\":{\"limit\":1e3}}",
		"bad_argument");
	refused("{\"version\":1,\"verb\":\"allocations\",\"args\":{\"peer\":\"%s%n\"}}",
		"bad_argument");
	refused("{\"version\":1,\"verb\":\"allocation show\"}", "bad_argument");
	refused("{\"version\":1,\"verb\":\"allocation show\",\"args\":{\"id\":\"%n\"}}",
		"not_found");
	refused("{\"version\":1,\"verb\":\"allocation kill\",\"args\":{\"id\":\"\"}}", "not_found");
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	refused(deep, "bad_json");
}

Test(ctl, status)
{
	json_t *r;

	cr_assert_eq(fixture_allocate(&e, CLIENT, false), 0);
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, PEER), 0);
	r = result("status", "");
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(r, "controlplane"), "pid")),
		     getpid());
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(r, "dataplane"), "pid")),
		     getpid());
	cr_expect_str_eq(
		json_string_value(json_object_get(json_object_get(r, "dataplane"), "state")),
		"running");
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(r, "allocations"), "live")),
		     1);
	cr_expect_eq(
		json_integer_value(json_object_get(json_object_get(r, "allocations"), "channels")),
		1);
	// Allocation, channel, peer, permission.
	cr_expect_eq(json_integer_value(json_object_get(json_object_get(r, "flows"), "used")), 4);
	json_decref(r);

	fixture_dataplane(&e, SHM_DATAPLANE_STOPPED, engine_now_ns());
	r = result("status", "");
	cr_expect(json_is_null(json_object_get(json_object_get(r, "dataplane"), "pid")));
	cr_expect_str_eq(
		json_string_value(json_object_get(json_object_get(r, "dataplane"), "state")),
		"stopped");
	json_decref(r);
}

static size_t n_found(const char *args)
{
	json_t *r = result("allocations", args);
	size_t n = json_array_size(json_object_get(r, "allocations"));

	json_decref(r);
	return n;
}

Test(ctl, allocations_by_user_client_and_peer)
{
	cr_assert_eq(fixture_allocate(&e, CLIENT, false), 0);
	cr_assert_eq(fixture_allocate(&e, "198.18.0.10:40001", false), 0);
	cr_assert_eq(fixture_allocate(&e, "198.18.0.11:40000", true), 0);
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4000, PEER), 0);
	cr_expect_eq(n_found(""), 3);
	cr_expect_eq(n_found("\"limit\":2"), 2);
	cr_expect_eq(n_found("\"user\":\"lab\""), 3);
	cr_expect_eq(n_found("\"user\":\"la\""), 0);
	cr_expect_eq(n_found("\"client\":\"198.18.0.10\""), 2);
	cr_expect_eq(n_found("\"client\":\"198.18.0.10:40001\""), 1);
	cr_expect_eq(n_found("\"peer\":\"198.18.0.20\""), 1);
	cr_expect_eq(n_found("\"peer\":\"" PEER "\""), 1);
	cr_expect_eq(n_found("\"peer\":\"198.18.0.20:5001\""), 0);
	cr_expect_eq(n_found("\"peer\":\"198.18.0.21\""), 0);
}

Test(ctl, allocation_show_and_kill)
{
	char args[64];
	json_t *r;

	cr_assert_eq(fixture_allocate(&e, CLIENT, false), 0);
	cr_assert_eq(fixture_bind(&e, CLIENT, 0x4001, PEER), 0);
	snprintf(args, sizeof(args), "\"id\":\"%s\"", fixture_info(&e, CLIENT).id);
	r = result("allocation show", args);
	cr_expect_str_eq(json_string_value(json_object_get(r, "client")), CLIENT);
	cr_expect_str_eq(json_string_value(json_object_get(r, "user")), "lab");
	cr_assert_eq(json_array_size(json_object_get(r, "permissions")), 1);
	cr_assert_eq(json_array_size(json_object_get(r, "channels")), 1);
	cr_expect_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(r, "channels"), 0), "channel")),
			 "0x4001");
	json_decref(r);
	json_decref(result("allocation kill", args));
	cr_expect_eq(turn_server_n_allocations(e.turn), 0);
	cr_expect_eq(e.tables.tables->turn.n_used, 0);
	{
		char request[160];

		snprintf(request, sizeof(request),
			 "{\"version\":1,\"verb\":\"allocation show\",\"args\":{%s}}", args);
		refused(request, "not_found");
	}
}

Test(ctl, counters)
{
	json_t *r = result("workers", "");

	cr_expect_eq(json_array_size(json_object_get(r, "workers")), 1);
	json_decref(r);
	r = result("stats", "");
	cr_expect_eq(
		json_integer_value(json_object_get(json_object_get(r, "dataplane"), "rx_pkts")),
		1000);
	cr_expect(json_is_integer(json_object_get(json_object_get(r, "routes"), "sweeps")));
	cr_expect(json_is_integer(json_object_get(json_object_get(r, "routes"), "failures")));
	json_decref(r);
	r = result("drops", "");
	cr_expect(json_array_size(json_object_get(r, "drops")) > 30);
	cr_expect_eq(json_integer_value(json_object_get(r, "total")), 0);
	json_decref(r);
	refused("{\"version\":1,\"verb\":\"filter\"}", "not_used");
	json_decref(result("version", ""));
}

Test(ctl, config_show_keeps_secrets)
{
	json_t *r = result("config show", "");
	char *text = json_dumps(r, 0);

	cr_expect_not_null(strstr(text, "\"lab\""));
	cr_expect_not_null(strstr(text, "198.18.7.0/24"));
	cr_expect_null(strstr(text, "secret-indeed"));
	cr_expect_null(strstr(text, "nonce-secret-0123"));
	cr_expect_null(strstr(text, "lab-secret"));
	free(text);
	json_decref(r);
}

static const char every_section[] =
	"realm: lab.turnpike\n"
	"listeners:\n"
	"  - {address: 198.18.0.2}\n"
	"  - {address: 198.18.0.2, port: 3480, realm: two.example}\n"
	"  - {address: 198.18.0.2, transport: tcp, proxy_protocol: true}\n"
	"  - {address: 198.18.0.2, transport: tls}\n"
	"  - {address: 198.18.0.2, port: 443, transport: auto}\n"
	"relay: {addresses: [198.18.0.3]}\n"
	"users: [{name: lab, password: lab-secret}]\n"
	"realms: [{name: two.example, rest_secrets: [secret-of-two], peers: {deny: "
	"[10.2.0.0/16]}}]\n"
	"oauth: {server_name: turn.example, keys: [{kid: first, key: "
	"'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='}]}\n"
	"redis: {url: 'redis://redis.example:6380/3'}\n"
	"peers: {deny: [10.1.0.0/16]}\n"
	"ports: [{device: net_null0, gateway_mac: 02:00:00:00:00:01}]\n"
	"sfu: {codecs: [vp9, av1]}\n"
	"http: {listen: [{address: 198.18.0.2}], token_secrets: "
	"[0123456789abcdef0123456789abcdef]}\n";

Test(ctl, config_show_has_every_section_and_no_secret)
{
	static const char *const told[] = {
		"\"listeners\":[{\"address\":\"198.18.0.2\",\"port\":3478,\"transport\":\"udp\","
		"\"realm\":\"lab.turnpike\"},{\"address\":\"198.18.0.2\",\"port\":3480,"
		"\"transport\":\"udp\",\"realm\":\"two.example\"},{",
		"\"port\":3478,\"transport\":\"tcp\",\"realm\":\"lab.turnpike\",\"proxy_protocol\":"
		"true}",
		"\"port\":5349,\"transport\":\"tls\"",
		"\"port\":443,\"transport\":\"auto\"",
		"\"tls\":{\"certificate\":null,\"key\":null,\"min_version\":\"1.2\",\"dtls\":true}",
		"\"streams\":{\"max_connections\":16384,",
		"\"tcp_relay\":{\"enabled\":true,",
		"\"realms\":[{\"name\":\"two.example\",\"n_users\":0,\"n_rest_secrets\":1,",
		"\"peers\":{\"allow\":[],\"deny\":[\"10.2.0.0/16\"]}}]",
		"\"peers\":{\"allow\":[],\"deny\":[\"10.1.0.0/16\"]},\"ports\"",
		"\"oauth\":{\"server_name\":\"turn.example\",\"kids\":[\"first\"]}",
		"\"redis\":{\"path\":null,\"host\":\"redis.example\",\"port\":6380,\"database\":3,",
		"\"codecs\":[\"vp9\",\"av1\"]",
		"\"http\":{\"listen\":[{\"address\":\"198.18.0.2\",\"port\":8443,\"tls\":true}],",
		"\"n_token_secrets\":1,",
	};
	static const char *const secret[] = { "lab-secret", "secret-of-two", "MDEyMzQ1",
					      "01234567" };
	struct config *own = e.config, *all = NULL;
	char path[96], error[512] = "", *text;
	json_t *r;
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/turnpike-unit-all-%d.yaml", (int)getpid());
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(every_section, f);
	fclose(f);
	cr_assert_eq(config_parse(path, &all, error, sizeof(error)), 0, "%s", error);
	unlink(path);
	e.config = all;
	r = result("config show", "");
	e.config = own;
	text = json_dumps(r, JSON_COMPACT);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		cr_expect_not_null(strstr(text, told[i]), "%s is not in %s", told[i], text);
	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		cr_expect_null(strstr(text, secret[i]), "%s", secret[i]);
	free(text);
	json_decref(r);
	config_free(all);
}

Test(ctl, reload)
{
	FILE *f = fopen(e.config_path, "a");

	cr_assert_not_null(f);
	fputs("quota: {total: 7}\n", f);
	fclose(f);
	json_decref(result("reload", ""));
	cr_expect_eq(e.config->quota_total, 7);
	f = fopen(e.config_path, "a");
	cr_assert_not_null(f);
	fputs("nonsense: 1\n", f);
	fclose(f);
	refused("{\"version\":1,\"verb\":\"reload\"}", "reload_failed");
	cr_expect_eq(e.config->quota_total, 7);
}

Test(ctl, drain_sends_new_clients_away_until_it_is_off)
{
	json_t *r = result("drain on", "");

	cr_expect(json_is_true(json_object_get(r, "draining")));
	cr_expect(turn_server_is_draining(e.turn));
	json_decref(r);
	r = result("status", "");
	cr_expect(json_is_true(json_object_get(r, "draining")));
	json_decref(r);
	r = result("drain off", "");
	cr_expect(json_is_false(json_object_get(r, "draining")));
	cr_expect_not(turn_server_is_draining(e.turn));
	json_decref(r);
}

// The tables and what is kept are all that the next one has of the one before.
static void restart(void)
{
	char error[512] = "", path[sizeof(e.config_path)];
	struct config *config = NULL;

	strcpy(path, e.config_path);
	engine_close(&e);
	cr_assert_eq(config_load(path, &config, error, sizeof(error)), 0, "%s", error);
	cr_assert_eq(engine_open(&e, config, error, sizeof(error)), 0, "%s", error);
	strcpy(e.config_path, path);
}

Test(ctl, drain_is_kept_over_a_restart_until_it_is_off)
{
	json_t *r = result("drain on", "");

	cr_expect(json_is_true(json_object_get(r, "kept")));
	json_decref(r);
	restart();
	cr_expect(turn_server_is_draining(e.turn));
	restart();
	cr_expect(turn_server_is_draining(e.turn));
	r = result("drain off", "");
	cr_expect(json_is_true(json_object_get(r, "kept")));
	json_decref(r);
	restart();
	cr_expect_not(turn_server_is_draining(e.turn));
}

Test(ctl, drain_that_cannot_be_kept_is_in_force_and_says_so)
{
	json_t *r;

	// A file stands where the directory should be.
	snprintf(e.state_dir, sizeof(e.state_dir), "/tmp/turnpike-unit-%d.yaml/state",
		 (int)getpid());
	r = result("drain on", "");
	cr_expect(json_is_true(json_object_get(r, "draining")));
	cr_expect(json_is_false(json_object_get(r, "kept")));
	cr_expect(turn_server_is_draining(e.turn));
	json_decref(r);
}

// ---- over the socket

static struct ctl_server *server;
static char socket_path[100];

static void socket_setup(void)
{
	char error[256] = "";

	setup();
	e.base = event_base_new();
	snprintf(socket_path, sizeof(socket_path), "/tmp/turnpike-unit-%d.sock", (int)getpid());
	cr_assert_eq(ctl_server_new(&e, socket_path, &server, error, sizeof(error)), 0, "%s",
		     error);
}

static void socket_teardown(void)
{
	ctl_server_free(server);
	cr_expect_eq(access(socket_path, F_OK), -1);
	event_base_free(e.base);
	e.base = NULL;
	teardown();
}

TestSuite(ctl_socket, .init = socket_setup, .fini = socket_teardown, .timeout = 30);

static int connect_client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, socket_path);
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void spin(int n)
{
	while (n-- > 0)
		event_base_loop(e.base, EVLOOP_NONBLOCK);
}

// Reads what is there, while the server runs; stops at `n_lines` or at the end.
static size_t read_lines(int fd, uint32_t n_lines, bool *is_closed)
{
	size_t n_bytes = 0;

	*is_closed = false;
	for (int i = 0; i < 20000 && n_lines > 0; i++) {
		char buffer[4096];
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n == 0) {
			*is_closed = true;
			break;
		}
		for (ssize_t j = 0; j < n; j++)
			n_lines -= buffer[j] == '\n' && n_lines > 0;
		n_bytes += n > 0 ? (size_t)n : 0;
		spin(1);
	}
	cr_assert(n_lines == 0 || *is_closed, "answers are missing");
	return n_bytes;
}

static const char version_request[] = "{\"version\":1,\"verb\":\"version\"}\n";

Test(ctl_socket, mode_is_0660)
{
	struct stat st;

	cr_assert_eq(stat(socket_path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0660);
}

Test(ctl_socket, requests_in_pieces_and_in_one)
{
	int fd = connect_client();
	bool is_closed;

	for (size_t i = 0; i < sizeof(version_request) - 1; i++) {
		cr_assert_eq(send(fd, version_request + i, 1, 0), 1);
		spin(1);
	}
	cr_expect(read_lines(fd, 1, &is_closed) > 20);
	for (int i = 0; i < 20; i++)
		cr_assert(send(fd, version_request, sizeof(version_request) - 1, 0) > 0);
	read_lines(fd, 20, &is_closed);
	cr_expect_not(is_closed);
	close(fd);
	spin(5);
}

Test(ctl_socket, long_line_is_refused_and_closed)
{
	static char junk[4096];
	int fd = connect_client();
	bool is_closed = false;

	memset(junk, 'x', sizeof(junk));
	for (int i = 0; i < 64; i++) {
		if (send(fd, junk, sizeof(junk), MSG_NOSIGNAL) < 0)
			break;
		spin(2);
	}
	cr_expect(read_lines(fd, 2, &is_closed) < 400);
	cr_expect(is_closed);
	close(fd);
}

// It asks and never reads: the server holds one answer, not thousands.
Test(ctl_socket, slow_reader_is_not_read_from)
{
	static const char request[] = "{\"version\":1,\"verb\":\"drops\"}\n";
	int fd = connect_client();
	size_t n_sent = 0;
	bool is_closed;

	for (int i = 0; i < 100000; i++) {
		ssize_t n = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL);

		if (n < (ssize_t)sizeof(request) - 1)
			break;
		n_sent++;
		spin(1);
	}
	cr_assert_lt(n_sent, 100000, "it took everything");
	// Another client is served meanwhile.
	{
		int other = connect_client();

		cr_assert(send(other, version_request, sizeof(version_request) - 1, 0) > 0);
		cr_expect(read_lines(other, 1, &is_closed) > 20);
		close(other);
	}
	// And once it reads, it gets an answer to each.
	read_lines(fd, (uint32_t)n_sent, &is_closed);
	close(fd);
	spin(5);
}

Test(ctl_socket, too_many_clients)
{
	int fd[CTL_CLIENTS_MAX + 1];
	bool is_closed;

	for (int i = 0; i <= CTL_CLIENTS_MAX; i++) {
		fd[i] = connect_client();
		spin(3);
	}
	read_lines(fd[CTL_CLIENTS_MAX], 2, &is_closed);
	cr_expect(is_closed);
	close(fd[0]);
	spin(3);
	close(fd[CTL_CLIENTS_MAX]);
	fd[0] = connect_client();
	spin(3);
	cr_assert(send(fd[0], version_request, sizeof(version_request) - 1, 0) > 0);
	cr_expect(read_lines(fd[0], 1, &is_closed) > 20);
	for (int i = 0; i < CTL_CLIENTS_MAX; i++)
		close(fd[i]);
	spin(5);
}

Test(ctl_socket, stale_socket_is_replaced)
{
	char error[256] = "";

	// The first server's name is taken over, as after a kill -9.
	struct ctl_server *second;

	cr_assert_eq(ctl_server_new(&e, socket_path, &second, error, sizeof(error)), 0, "%s",
		     error);
	ctl_server_free(server);
	server = second;
	cr_assert_eq(access(socket_path, F_OK), -1); // the first one's farewell took the name along
	ctl_server_free(server);
	cr_assert_eq(ctl_server_new(&e, socket_path, &server, error, sizeof(error)), 0, "%s",
		     error);
}
