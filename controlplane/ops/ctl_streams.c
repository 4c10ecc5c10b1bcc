// TURN over TCP, TLS and DTLS in status and stats. Control plane's loop thread.
#include <stdio.h>

#include "controlplane/ops/ctl_request.h"
#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/turn/dtls/dtls.h"
#include "controlplane/turn/stream/listeners.h"
#include "controlplane/turn/tcp_relay/sockets.h"

static const char *const transports[SHM_TRANSPORT_COUNT] = { "udp", "tcp", "tls", "dtls" };

static void add(json_t *object, const char *format, const char *what, uint64_t n)
{
	char name[64];

	snprintf(name, sizeof(name), format, what);
	json_object_set_new(object, name, ctl_counter(n));
}

static void add_dtls(json_t *object, const struct turn_dtls_stats *d)
{
	add(object, "dtls_%s", "records_in", d->n_records_in);
	add(object, "dtls_%s", "cookies", d->n_cookies);
	add(object, "dtls_%s", "cookies_refused", d->n_cookies_refused);
	add(object, "dtls_%s", "ignored", d->n_ignored);
	add(object, "dtls_%s", "refused_handshakes", d->n_refused_handshakes);
	add(object, "dtls_%s", "displaced_handshakes", d->n_displaced);
	add(object, "dtls_%s", "connected", d->n_connected);
	add(object, "dtls_%s", "failed", d->n_failed);
	add(object, "dtls_%s", "restarted", d->n_restarted);
	add(object, "dtls_%s", "retransmits", d->n_retransmits);
	add(object, "dtls_%s", "dropped_inject_full", d->n_dropped_inject_full);
	add(object, "dtls_%s", "dropped_size", d->n_dropped_size);
}

json_t *ctl_stream_counters(const struct engine *e)
{
	const struct turn_streams_stats *s;
	json_t *object;

	if (e->streams == NULL)
		return json_null();
	s = turn_streams_stats(e->streams);
	object = json_object();
	for (uint32_t i = SHM_TRANSPORT_TCP; i < SHM_TRANSPORT_COUNT; i++)
		add(object, "accepted_%s", transports[i], s->n_accepted[i]);
	add(object, "%s", "refused_total", s->n_refused_total);
	add(object, "%s", "refused_source", s->n_refused_source);
	add(object, "%s", "refused_proxy", s->n_refused_proxy);
	add(object, "%s", "refused_accept", s->n_refused_accept);
	for (uint32_t i = 0; i < TURN_STREAM_CLOSE_COUNT; i++)
		add(object, "closed_%s", turn_stream_close_name(i), s->n_closed[i]);
	if (e->turn_listeners != NULL) {
		const struct turn_listeners_stats *l = turn_listeners_stats(e->turn_listeners);

		add(object, "%s", "connections", l->n_connections);
		for (uint32_t i = 0; i < TURN_TLS_FAILURE_COUNT; i++)
			add(object, "tls_failed_%s", turn_tls_failure_name(i),
			    l->n_tls_failures[i]);
	}
	add(object, "%s", "requests", s->n_requests);
	add(object, "%s", "request_pauses", s->n_request_pauses);
	add(object, "%s", "messages_in", s->n_messages_in);
	add(object, "%s", "messages_out", s->n_messages_out);
	add(object, "%s", "dropped_inject_full", s->n_dropped_inject_full);
	add(object, "%s", "dropped_inject_size", s->n_dropped_inject_size);
	add(object, "%s", "ignored_in", s->n_ignored_in);
	add(object, "%s", "dropped_unknown", s->n_dropped_unknown);
	add(object, "%s", "dropped_invalid", s->n_dropped_invalid);
	add(object, "%s", "dropped_age", s->n_dropped_age);
	add(object, "%s", "dropped_bytes", s->n_dropped_bytes);
	add(object, "%s", "dropped_total_bytes", s->n_dropped_total_bytes);
	if (e->dtls != NULL)
		add_dtls(object, turn_dtls_stats(e->dtls));
	for (uint32_t i = 0; i < TURN_TCP_COUNTER_COUNT && e->tcp_sockets != NULL; i++)
		add(object, "tcp_relay_%s", turn_tcp_counter_name(i),
		    turn_tcp_relay_counter(turn_tcp_sockets_relay(e->tcp_sockets), i));
	return object;
}

static json_t *listeners_array(const struct config *c)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < c->n_stream_listeners; i++) {
		const struct config_stream_listener *l = &c->stream_listeners[i];

		json_array_append_new(array, json_pack("{s:o, s:s, s:b}", "address",
						       ctl_endpoint(&l->endpoint), "transport",
						       !l->takes_tls    ? "tcp"
						       : l->takes_plain ? "auto"
									: "tls",
						       "proxy_protocol", l->has_proxy_header));
	}
	return array;
}

json_t *ctl_streams_object(const struct engine *e)
{
	const struct turn_streams_stats *s;

	if (e->streams == NULL)
		return json_null();
	s = turn_streams_stats(e->streams);
	return json_pack(
		"{s:o, s:{s:I, s:I, s:I}, s:I, s:I, s:I}", "listeners", listeners_array(e->config),
		"open", "tcp", (json_int_t)s->n_open[SHM_TRANSPORT_TCP], "tls",
		(json_int_t)s->n_open[SHM_TRANSPORT_TLS], "dtls",
		(json_int_t)s->n_open[SHM_TRANSPORT_DTLS], "max",
		(json_int_t)e->config->streams.max_connections, "queued_bytes",
		(json_int_t)s->n_queued_bytes, "tcp_peers",
		(json_int_t)turn_tcp_relay_n_connections(turn_tcp_sockets_relay(e->tcp_sockets)));
}
