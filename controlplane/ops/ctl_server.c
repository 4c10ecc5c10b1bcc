// Accepts operators' clients and moves lines. One request of a client at a time: while its answer
// is not taken, nothing more is read from it, so a slow reader holds one answer and no more.
// Control plane's loop thread.
#include "controlplane/ops/ctl_server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/engine.h"
#include "controlplane/ops/ctl_request.h"
#include "controlplane/ops/log.h"

struct ctl_client {
	struct ctl_server *server;
	struct bufferevent *bev;
	bool is_closing; // once its answer is written
	LIST_ENTRY(ctl_client) link;
};

struct ctl_server {
	struct engine *engine;
	struct evconnlistener *listener;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint32_t n_clients;
	LIST_HEAD(, ctl_client) clients;
};

static void client_free(struct ctl_client *c)
{
	LIST_REMOVE(c, link);
	c->server->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

// Puts an answer and its newline into the output. Takes over the text.
static void client_answer(struct ctl_client *c, char *answer)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	if (!answer)
		answer = strdup(CTL_ANSWER_OUT_OF_MEMORY);
	if (!answer || evbuffer_add(out, answer, strlen(answer)) < 0 ||
	    evbuffer_add(out, "\n", 1) < 0)
		c->is_closing = true;
	free(answer);
}

// Answers what stands complete in the input until an answer waits to be taken.
static void client_serve(struct ctl_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer *out = bufferevent_get_output(c->bev);

	while (!c->is_closing && evbuffer_get_length(out) == 0) {
		size_t n_bytes;
		char *line = evbuffer_readln(in, &n_bytes, EVBUFFER_EOL_LF);

		if (!line) {
			if (evbuffer_get_length(in) < CTL_LINE_BYTES_MAX)
				break;
			client_answer(c, ctl_request_refuse_long());
			c->is_closing = true;
			break;
		}
		client_answer(c, ctl_request_handle(c->server->engine, line, n_bytes));
		free(line);
	}
	if (evbuffer_get_length(out) > 0)
		bufferevent_disable(c->bev, EV_READ);
	else if (c->is_closing)
		client_free(c);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	client_serve(arg);
}

// The answer is on its way.
static void on_written(struct bufferevent *bev, void *arg)
{
	struct ctl_client *c = arg;

	if (!c->is_closing)
		bufferevent_enable(bev, EV_READ);
	client_serve(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	client_free(arg);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
		      int from_bytes, void *arg)
{
	const struct timeval idle = { .tv_sec = CTL_IDLE_TIMEOUT_S };
	const struct timeval stuck = { .tv_sec = CTL_WRITE_TIMEOUT_S };
	struct ctl_server *s = arg;
	struct ctl_client *c;

	if (s->n_clients >= CTL_CLIENTS_MAX) {
		static const char busy[] = CTL_ANSWER_BUSY "\n";

		// A fresh socket's buffer takes this much; whoever does not read it loses a
		// courtesy.
		if (send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			log_debug("control socket: busy, and the client did not listen");
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		goto fail_close;
	c->bev = bufferevent_socket_new(evconnlistener_get_base(listener), fd,
					BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		goto fail_free;
	c->server = s;
	LIST_INSERT_HEAD(&s->clients, c, link);
	s->n_clients++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, CTL_LINE_BYTES_MAX);
	bufferevent_set_timeouts(c->bev, &idle, &stuck);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;

fail_free:
	free(c);
fail_close:
	close(fd);
	log_error("control socket: out of memory for another client");
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	int err = errno;

	log_error("control socket: cannot accept a client: %s", strerror(err));
}

// Mode 0660 from the first moment: between bind and chmod everybody could connect.
static int bind_socket(const char *path, const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int ret;

	if (fd < 0)
		return -errno;
	if (unlink(path) < 0 && errno != ENOENT) {
		ret = -errno;
		goto fail_close;
	}
	mask = umask(0117);
	ret = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	if (ret < 0)
		goto fail_close;
	return fd;

fail_close:
	close(fd);
	return ret;
}

int ctl_server_new(struct engine *engine, const char *path, struct ctl_server **out, char *error,
		   size_t error_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ctl_server *s;
	int fd, ret;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, error_bytes,
			 "control socket %s: the path is too long; a socket's name has at most %zu "
			 "bytes, so shorten TURNPIKE_RUN_DIR or the instance's name",
			 path, sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->engine = engine;
	strcpy(s->path, path);
	LIST_INIT(&s->clients);

	fd = bind_socket(path, &address);
	if (fd < 0) {
		ret = fd;
		snprintf(error, error_bytes,
			 "control socket %s: %s; its directory must exist and belong to this user",
			 path, strerror(-ret));
		goto fail_free;
	}
	s->listener = evconnlistener_new(engine->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 16, fd);
	if (!s->listener) {
		ret = -errno;
		snprintf(error, error_bytes, "control socket %s: cannot listen", path);
		close(fd);
		unlink(path);
		goto fail_free;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	// libevent writes with writev(2), which cannot be told to spare us the signal of a client
	// that left.
	signal(SIGPIPE, SIG_IGN);
	*out = s;
	return 0;

fail_free:
	free(s);
	return ret;
}

void ctl_server_free(struct ctl_server *s)
{
	if (!s)
		return;
	while (!LIST_EMPTY(&s->clients))
		client_free(LIST_FIRST(&s->clients));
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s);
}
