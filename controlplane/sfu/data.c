// Data channels of the sessions in a room: what a publisher says goes to its watchers. Control plane's loop thread. An adopted session
// has none, for its association ended with the process that had it.
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/data_fanout.h"
#include "controlplane/sfu/sdp/session.h"
#include "controlplane/sfu/state.h"

static bool is_watching(const struct sfu_session *watcher, const struct sfu_session *publisher)
{
	const char *wanted = watcher->record.participant;

	return watcher->is_data_connected &&
	       (wanted[0] == '\0' || strcmp(wanted, publisher->record.participant) == 0);
}

static void join_fanout(struct sfu_session *watcher, struct sfu_session *publisher)
{
	if (publisher->fanout != NULL && is_watching(watcher, publisher) &&
	    data_fanout_watch(publisher->fanout, watcher->data) < 0)
		log_warning("room %s: out of memory: session %.8s gets no messages of %s",
			    watcher->record.room, watcher->record.session_id,
			    publisher->record.participant);
}

static void on_send(void *context, const uint8_t *packet, size_t n_bytes)
{
	struct sfu_session *session = context;

	// What does not go now, SCTP sends again.
	dtls_session_send(session->dtls, packet, n_bytes);
}

static void on_connected(void *context)
{
	struct sfu_session *session = context, *other;

	session->is_data_connected = true;
	if (session->role == SFU_ROLE_WATCH) {
		TAILQ_FOREACH(other, &session->room->publishers, in_room)
		join_fanout(session, other);
		return;
	}
	TAILQ_FOREACH(other, &session->room->watchers, in_room)
	join_fanout(other, session);
}

static void on_opened(void *context, struct data_channel *channel)
{
	struct sfu_session *session = context;

	if (session->fanout != NULL &&
	    data_fanout_opened(session->fanout, channel, data_channel_info(channel)) < 0)
		log_warning("room %s: %s has too many data channels; one is not forwarded",
			    session->record.room, session->record.participant);
}

static void on_message(void *context, struct data_channel *channel, struct data_message *message)
{
	struct sfu_session *session = context;

	if (session->fanout != NULL)
		data_fanout_message(session->fanout, channel, message);
}

static void on_closed(void *context, struct data_channel *channel,
		      enum data_channel_close_reason reason)
{
	struct sfu_session *session = context, *other;

	if (session->fanout != NULL) {
		data_fanout_closed(session->fanout, channel);
		return;
	}
	TAILQ_FOREACH(other, &session->room->publishers, in_room)
	{
		if (other->fanout != NULL)
			data_fanout_mirror_closed(other->fanout, session->data, channel);
	}
}

static void unwatch(struct sfu_session *watcher)
{
	struct sfu_session *publisher;

	watcher->is_data_connected = false;
	if (watcher->room == NULL || watcher->role != SFU_ROLE_WATCH)
		return;
	TAILQ_FOREACH(publisher, &watcher->room->publishers, in_room)
	{
		if (publisher->fanout != NULL)
			data_fanout_unwatch(publisher->fanout, watcher->data, true);
	}
}

static void on_lost(void *context, enum sctp_close_reason reason)
{
	unwatch(context);
}

void sfu_data_start(struct sfu_session *session)
{
	static const struct data_channel_callbacks callbacks = {
		.send = on_send,
		.connected = on_connected,
		.opened = on_opened,
		.message = on_message,
		.closed = on_closed,
		.lost = on_lost,
	};
	const struct data_channel_peer_config config = {
		.local_port = SFU_SCTP_PORT,
		.remote_port = session->record.sctp_port,
		.max_message_bytes = session->record.max_message_size_bytes,
		.is_dtls_client = session->record.setup == SDP_SETUP_ACTIVE,
	};

	if (!session->sfu->has_sctp || !(session->record.flags & SHM_SESSION_F_DATA) ||
	    session->data != NULL)
		return;
	if (session->role == SFU_ROLE_PUBLISH) {
		session->fanout = data_fanout_new(&data_fanout_over_channels);
		if (session->fanout == NULL)
			goto fail;
	}
	if (data_channel_peer_new(&config, &callbacks, session, &session->data) == 0)
		return;
	session->data = NULL;
fail:
	data_fanout_free(session->fanout);
	session->fanout = NULL;
	log_warning("room %s: out of memory: session %.8s has no data channels",
		    session->record.room, session->record.session_id);
}

void sfu_data_receive(struct sfu_session *session, const uint8_t *bytes, size_t n_bytes)
{
	if (session->data != NULL)
		data_channel_peer_receive(session->data, bytes, n_bytes);
}

void sfu_data_stop(struct sfu_session *session)
{
	if (session->data == NULL)
		return;
	unwatch(session);
	data_fanout_free(session->fanout);
	session->fanout = NULL;
	data_channel_peer_free(session->data);
	session->data = NULL;
}
