// A connection's life: resolve, connect, AUTH, SELECT, up; lost: once more, later each time. Control
// plane's loop thread.
#include "controlplane/turn/store/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS  3000
#define CONNECT_MS     5000
#define ANSWER_MS      5000 // a server that lets a command wait longer is given up
#define PROMPT_MS      1000
#define LOOK_MS        250
#define WORDS_MAX      8

struct redis_link {
	struct event_base *base;
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *lookup;
	struct config_redis config; // strings of our own
	struct redis_link_events events;
	redisAsyncContext *context;
	struct event *retry;
	struct event *look;
	uint32_t retry_ms;
	bool is_up;
	uint64_t attempt_at_ns;
	uint64_t down_since_ns;
	uint32_t n_unanswered;
	uint64_t waiting_since_ns; // for the next answer; 0 = for none
	struct redis_link_stats stats;
	char auth_error[120]; // "" = none
};

struct asked {
	struct redis_link *link;
	redis_reply_fn fn;
	void *arg;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

// ---- going down

static void retry_later(struct redis_link *l)
{
	const struct timeval delay = { .tv_sec = l->retry_ms / 1000,
				       .tv_usec = l->retry_ms % 1000 * 1000 };

	event_add(l->retry, &delay);
	l->retry_ms = l->retry_ms * 2 < RETRY_MOST_MS ? l->retry_ms * 2 : RETRY_MOST_MS;
}

// The connection, or an attempt at one, has come to its end.
static void lost(struct redis_link *l, const char *why)
{
	redisAsyncContext *context = l->context;
	char text[160];

	// It may point into the context.
	snprintf(text, sizeof(text), "%s", why);
	l->context = NULL;
	if (l->is_up)
		l->down_since_ns = now_ns();
	l->is_up = false;
	l->stats.n_losses++;
	l->waiting_since_ns = 0;
	if (context != NULL) {
		context->data = NULL;
		redisAsyncFree(context); // all that is unanswered gets NULL
	}
	retry_later(l);
	l->events.down(l->events.arg, text);
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
	struct redis_link *l = context->data;

	if (l == NULL)
		return;
	l->context = NULL; // hiredis frees it
	lost(l, status == REDIS_OK ? "it was closed" : context->errstr);
}

static void on_connect(const redisAsyncContext *context, int status)
{
	struct redis_link *l = context->data;

	if (l == NULL || status == REDIS_OK)
		return;
	l->context = NULL;
	lost(l, context->errstr);
}

// ---- coming up

static void on_reply(redisAsyncContext *context, void *reply, void *privdata)
{
	struct asked *a = privdata;
	struct redis_link *l = a->link;

	l->n_unanswered--;
	l->waiting_since_ns = l->n_unanswered > 0 ? now_ns() : 0;
	if (a->fn != NULL)
		a->fn(a->arg, reply);
	free(a);
}

static int send_any(struct redis_link *l, const struct redis_word *words, int n_words,
		    redis_reply_fn fn, void *arg)
{
	const char *argv[WORDS_MAX];
	size_t argv_bytes[WORDS_MAX];
	struct asked *a;

	if (n_words > WORDS_MAX)
		return -E2BIG;
	for (int i = 0; i < n_words; i++) {
		argv[i] = words[i].bytes;
		argv_bytes[i] = words[i].n_bytes;
	}
	a = malloc(sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	*a = (struct asked){ l, fn, arg };
	if (redisAsyncCommandArgv(l->context, on_reply, a, n_words, argv, argv_bytes) != REDIS_OK) {
		free(a);
		return -ENOTCONN;
	}
	l->n_unanswered++;
	l->stats.n_commands++;
	if (l->waiting_since_ns == 0)
		l->waiting_since_ns = now_ns();
	return 0;
}

// Not fatal by itself: a server without passwords refuses any, and works.
static void on_auth(void *arg, const redisReply *reply)
{
	struct redis_link *l = arg;

	if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
		snprintf(l->auth_error, sizeof(l->auth_error), "%s", reply->str);
}

static void on_select(void *arg, const redisReply *reply)
{
	struct redis_link *l = arg;
	char text[160];

	if (reply == NULL)
		return; // lost, and said so
	if (reply->type == REDIS_REPLY_ERROR) {
		snprintf(text, sizeof(text), "refused: %.120s",
			 l->auth_error[0] != '\0' ? l->auth_error : reply->str);
		lost(l, text);
		return;
	}
	l->is_up = true;
	l->down_since_ns = 0;
	l->retry_ms = RETRY_FIRST_MS;
	l->stats.n_connects++;
	l->events.up(l->events.arg);
}

static struct redis_word word(const char *text)
{
	return (struct redis_word){ text, strlen(text) };
}

static int greet(struct redis_link *l)
{
	const struct config_redis *c = &l->config;
	struct redis_word words[3] = { word("AUTH") };
	char database[16];
	int n = 1, ret;

	if (c->password != NULL) {
		if (c->user != NULL)
			words[n++] = word(c->user);
		words[n++] = word(c->password);
		ret = send_any(l, words, n, on_auth, l);
		if (ret < 0)
			return ret;
	}
	// For database 0 as well: a server that wants a password says so now.
	snprintf(database, sizeof(database), "%u", c->database);
	words[0] = word("SELECT");
	words[1] = word(database);
	return send_any(l, words, 2, on_select, l);
}

static void connect_to(struct redis_link *l, const char *address)
{
	redisAsyncContext *context;

	if (l->config.path != NULL)
		context = redisAsyncConnectUnix(l->config.path);
	else
		context = redisAsyncConnect(address, l->config.port);
	if (context == NULL || context->err != 0) {
		char why[160];

		snprintf(why, sizeof(why), "%s", context != NULL ? context->errstr : "no memory");
		if (context != NULL)
			redisAsyncFree(context);
		lost(l, why);
		return;
	}
	l->context = context;
	l->auth_error[0] = '\0';
	context->data = l;
	redisLibeventAttach(context, l->base);
	redisAsyncSetConnectCallback(context, on_connect);
	redisAsyncSetDisconnectCallback(context, on_disconnect);
	if (greet(l) < 0)
		lost(l, "no memory");
}

static void on_resolved(int error, struct evutil_addrinfo *found, void *arg)
{
	char address[INET6_ADDRSTRLEN];
	struct redis_link *l = arg;

	if (error == EVUTIL_EAI_CANCEL)
		return;
	l->lookup = NULL;
	if (error != 0 || found == NULL) {
		lost(l, error != 0 ? evutil_gai_strerror(error) : "its name has no address");
		return;
	}
	error = getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof(address), NULL, 0,
			    NI_NUMERICHOST);
	evutil_freeaddrinfo(found);
	if (error != 0)
		lost(l, gai_strerror(error));
	else
		connect_to(l, address);
}

static void attempt(struct redis_link *l)
{
	const struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	const char *host = l->config.host;
	uint8_t address[16];

	l->attempt_at_ns = now_ns();
	if (host == NULL || inet_pton(AF_INET, host, address) == 1 ||
	    inet_pton(AF_INET6, host, address) == 1) {
		connect_to(l, host);
		return;
	}
	if (l->dns == NULL)
		l->dns = evdns_base_new(l->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
							 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (l->dns == NULL) {
		lost(l, "no name server to ask for its address; give an address");
		return;
	}
	l->lookup = evdns_getaddrinfo(l->dns, host, NULL, &hints, on_resolved, l);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;

	if (l->context == NULL && l->lookup == NULL)
		attempt(l);
}

// TCP may take minutes to notice what these limits do.
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *l = arg;
	uint64_t now = now_ns();

	if (l->context == NULL)
		return;
	if (!l->is_up && now - l->attempt_at_ns > CONNECT_MS * 1000000ull)
		lost(l, "no connection in time");
	else if (l->waiting_since_ns != 0 && now - l->waiting_since_ns > ANSWER_MS * 1000000ull)
		lost(l, "it does not answer");
}

// ---- from outside

static int config_copy(struct config_redis *to, const struct config_redis *from)
{
	*to = *from;
	to->path = from->path != NULL ? strdup(from->path) : NULL;
	to->host = from->host != NULL ? strdup(from->host) : NULL;
	to->user = from->user != NULL ? strdup(from->user) : NULL;
	to->password = from->password != NULL ? strdup(from->password) : NULL;
	if (!from->path != !to->path || !from->host != !to->host || !from->user != !to->user ||
	    !from->password != !to->password)
		return -ENOMEM;
	return 0;
}

int redis_link_new(struct event_base *base, const struct config_redis *c,
		   const struct redis_link_events *events, struct redis_link **out)
{
	const struct timeval period = { .tv_usec = LOOK_MS * 1000 };
	const struct timeval at_once = { 0 };
	struct redis_link *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->base = base;
	l->events = *events;
	l->retry_ms = RETRY_FIRST_MS;
	l->down_since_ns = now_ns();
	l->retry = event_new(base, -1, 0, on_retry, l);
	l->look = event_new(base, -1, EV_PERSIST, on_look, l);
	if (config_copy(&l->config, c) < 0 || l->retry == NULL || l->look == NULL ||
	    event_add(l->look, &period) < 0 || event_add(l->retry, &at_once) < 0) {
		redis_link_free(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

void redis_link_free(struct redis_link *l)
{
	if (l == NULL)
		return;
	if (l->context != NULL) {
		redisAsyncContext *context = l->context;

		l->context = NULL;
		l->is_up = false;
		context->data = NULL;
		redisAsyncFree(context);
	}
	if (l->lookup != NULL)
		evdns_getaddrinfo_cancel(l->lookup);
	if (l->dns != NULL)
		evdns_base_free(l->dns, 0);
	if (l->retry != NULL)
		event_free(l->retry);
	if (l->look != NULL)
		event_free(l->look);
	free(l->config.path);
	free(l->config.host);
	free(l->config.user);
	if (l->config.password != NULL)
		OPENSSL_cleanse(l->config.password, strlen(l->config.password));
	free(l->config.password);
	free(l);
}

bool redis_link_is_up(const struct redis_link *l)
{
	return l->is_up;
}

bool redis_link_is_prompt(const struct redis_link *l)
{
	return l->is_up && (l->waiting_since_ns == 0 ||
			    now_ns() - l->waiting_since_ns < PROMPT_MS * 1000000ull);
}

uint64_t redis_link_down_ns(const struct redis_link *l)
{
	return l->is_up ? 0 : now_ns() - l->down_since_ns;
}

uint32_t redis_link_n_unanswered(const struct redis_link *l)
{
	return l->n_unanswered;
}

const struct redis_link_stats *redis_link_stats(const struct redis_link *l)
{
	return &l->stats;
}

int redis_link_send(struct redis_link *l, const struct redis_word *words, int n_words,
		    redis_reply_fn fn, void *arg)
{
	if (!l->is_up)
		return -ENOTCONN;
	if (l->n_unanswered >= REDIS_LINK_COMMANDS_MAX) {
		l->stats.n_refused_full++;
		return -EAGAIN;
	}
	return send_any(l, words, n_words, fn, arg);
}
