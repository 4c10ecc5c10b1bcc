// DTLS and TCP relaying beside the rest of the engine. Control plane's loop thread.
#include "controlplane/stream_config.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/turn/dtls/dtls.h"
#include "controlplane/turn/stream/certificate.h"
#include "controlplane/turn/tcp_relay/sockets.h"

static void on_dtls(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;

	turn_dtls_tick(e->dtls, engine_now_ns());
}

static int start_dtls(struct engine *e, char *error, size_t error_bytes)
{
	const struct timeval period = { .tv_usec = TURN_DTLS_TICK_US };
	SSL_CTX *context;
	int ret;

	ret = turn_certificate_context(e->config, e->state_dir, DTLS_server_method(), &context,
				       error, error_bytes);
	if (ret < 0)
		return ret;
	snprintf(error, error_bytes, "cannot prepare DTLS; is memory left?");
	ret = turn_dtls_new(context, &e->tables, e->streams, &e->dtls);
	if (ret < 0)
		return ret;
	e->timer_dtls = event_new(e->base, -1, EV_PERSIST, on_dtls, e);
	if (e->timer_dtls == NULL || event_add(e->timer_dtls, &period) < 0)
		return -ENOMEM;
	punt_attach_dtls(e->punt, e->dtls);
	return 0;
}

int stream_config_start(struct engine *e, char *error, size_t error_bytes)
{
	const struct turn_tcp_limits limits = {
		.connections = e->config->tcp_relay.max_connections,
		.per_allocation = e->config->tcp_relay.max_per_allocation,
	};
	int ret = 0;

	if (e->config->tls.takes_dtls)
		ret = start_dtls(e, error, error_bytes);
	if (ret < 0 || !e->config->tcp_relay.is_enabled)
		return ret;
	ret = turn_tcp_sockets_new(e->base, e->turn, e->streams, e->hops,
				   e->tables.n_allocations_max, &limits, &e->tcp_sockets);
	if (ret < 0)
		snprintf(error, error_bytes, "out of memory");
	return ret;
}

void stream_config_stop_dtls(struct engine *e)
{
	if (e->timer_dtls != NULL)
		event_free(e->timer_dtls);
	if (e->punt != NULL)
		punt_attach_dtls(e->punt, NULL);
	turn_dtls_free(e->dtls);
}

void stream_config_stop_tcp_relay(struct engine *e)
{
	turn_tcp_sockets_free(e->tcp_sockets);
}

int stream_config_prepare(const struct engine *e, const struct config *next, SSL_CTX **out,
			  char *error, size_t error_bytes)
{
	*out = NULL;
	if (e->dtls == NULL)
		return 0;
	return turn_certificate_context(next, e->state_dir, DTLS_server_method(), out, error,
					error_bytes);
}

void stream_config_commit(struct engine *e, SSL_CTX *dtls)
{
	// Without memory for it, clients go on with the certificate that was.
	if (dtls != NULL)
		turn_dtls_reload(e->dtls, dtls);
}

bool stream_config_same(const struct config *a, const struct config *b)
{
	return a->tls.takes_dtls == b->tls.takes_dtls &&
	       a->tcp_relay.is_enabled == b->tcp_relay.is_enabled &&
	       a->tcp_relay.max_connections == b->tcp_relay.max_connections &&
	       a->tcp_relay.max_per_allocation == b->tcp_relay.max_per_allocation;
}
