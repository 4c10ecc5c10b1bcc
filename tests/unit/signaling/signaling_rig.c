// The rig: see signaling_rig.h.
#include "tests/unit/signaling/signaling_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 5000

static struct event_base *base;
static struct signaling *signaling;
static struct rig_answer answer;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void rig_open(void (*change)(struct signaling_config *c))
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	static const char *const secrets[] = { RIG_SECRET, RIG_SECRET2 };
	static const char *const origins[] = { "*" };
	static const char *const urls[] = { "turn:192.0.2.1:3478?transport=udp",
					    "turns:192.0.2.1:443?transport=tcp" };
	struct signaling_listener listeners[2] = {
		{ .endpoint = { .address = ip_address_from_v4(loopback) } },
		{ .endpoint = { .address = ip_address_from_v4(loopback) }, .is_tls = true },
	};
	struct signaling_config c = {
		.listeners = listeners,
		.n_listeners = 1,
		.requires_tokens = true,
		.token_secrets = secrets,
		.n_token_secrets = 2,
		.turn_urls = urls,
		.n_turn_urls = 2,
		.turn_secret = "north",
		.allow_origins = origins,
		.n_allow_origins = 1,
	};
	char error[512];

	if (change != NULL)
		change(&c);
	if (c.state_dir != NULL || c.certificate_path != NULL)
		c.n_listeners = 2;
	base = event_base_new();
	cr_assert_eq(signaling_new(&c, base, NULL, &signaling, error, sizeof(error)), 0, "%s",
		     error);
}

struct signaling *rig_signaling(void)
{
	return signaling;
}

void rig_close(void)
{
	signaling_free(signaling);
	event_base_free(base);
	signaling = NULL;
}

int rig_connect(unsigned listener_idx)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(signaling_port(signaling, listener_idx)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert(fd >= 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

void rig_run(unsigned ms)
{
	int64_t until = now_ms() + ms;

	do {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(200);
	} while (now_ms() < until);
}

const char *rig_field(const struct rig_answer *a, const char *name)
{
	static char value[1024];
	size_t n = strlen(name);

	for (const char *line = strstr(a->head, "\r\n"); line != NULL;
	     line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
			continue;
		line += 2 + n + 1;
		line += strspn(line, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
		return value;
	}
	return NULL;
}

void rig_expect_field(const struct rig_answer *a, const char *name, const char *value)
{
	const char *is = rig_field(a, name);

	cr_expect(is != NULL && strcmp(is, value) == 0, "%s is \"%s\", wanted \"%s\" in\n%s", name,
		  is != NULL ? is : "(missing)", value, a->head);
}

// Whether the bytes so far are a whole response; fills the answer then.
static bool is_whole(const char *bytes, size_t n, bool is_ended, struct rig_answer *out)
{
	const char *end = memmem(bytes, n, "\r\n\r\n", 4), *length;
	size_t head, want = 0;

	if (end == NULL)
		return false;
	head = (size_t)(end - bytes) + 4;
	cr_assert(head < sizeof(out->head));
	memcpy(out->head, bytes, head);
	out->head[head] = '\0';
	out->status = atoi(bytes + strlen("HTTP/1.1 "));
	length = rig_field(out, "Content-Length");
	if (length != NULL)
		want = (size_t)atoi(length);
	else if (!is_ended && out->status != 204 && rig_field(out, "Connection") != NULL)
		return false;
	if (n - head < want)
		return false;
	out->body_bytes = n - head;
	cr_assert(out->body_bytes < sizeof(out->body));
	memcpy(out->body, bytes + head, out->body_bytes);
	out->body[out->body_bytes] = '\0';
	return true;
}

void rig_talk(int fd, const char *bytes, size_t n_bytes, struct rig_answer *out)
{
	static char in[sizeof(out->head) + sizeof(out->body)];
	int64_t until = now_ms() + PATIENCE_MS;
	size_t n = 0, n_sent = 0;
	bool is_ended = false;

	memset(out, 0, sizeof(*out));
	while (now_ms() < until) {
		ssize_t ret;

		if (n_sent < n_bytes) {
			ret = send(fd, bytes + n_sent, n_bytes - n_sent, MSG_NOSIGNAL);
			if (ret > 0)
				n_sent += (size_t)ret;
			else if (ret < 0 && errno != EAGAIN)
				n_sent = n_bytes;
		}
		rig_run(0);
		ret = recv(fd, in + n, sizeof(in) - n, 0);
		if (ret > 0)
			n += (size_t)ret;
		is_ended = ret == 0 || (ret < 0 && errno != EAGAIN);
		if (is_whole(in, n, is_ended, out) || is_ended)
			return;
	}
	cr_assert_fail("no response in time to: %.60s", bytes);
}

struct rig_answer *rig_request(const char *method, const char *path, const char *fields,
			       const char *body)
{
	char *text = NULL;
	int fd = rig_connect(0), n;

	n = asprintf(&text,
		     "%s %s HTTP/1.1\r\nHost: sfu.example\r\n%sContent-Length: %zu\r\n\r\n%s",
		     method, path, fields, strlen(body), body);
	cr_assert(n > 0);
	rig_talk(fd, text, (size_t)n, &answer);
	free(text);
	close(fd);
	return &answer;
}

const char *rig_bearer(const char *secret, const char *participant, const char *room,
		       bool may_publish, bool may_watch, int lifetime_s)
{
	static char field[2048];
	int64_t now_s = time(NULL);
	struct token_claims c = { .may_publish = may_publish,
				  .may_watch = may_watch,
				  .expires_at_s = now_s + lifetime_s };
	char *token;

	strcpy(c.participant, participant);
	strcpy(c.room, room);
	cr_assert_eq(token_make(secret, &c, now_s, &token), 0);
	snprintf(field, sizeof(field), "Authorization: Bearer %s\r\n", token);
	free(token);
	return field;
}
