// The association of a session: datagrams and events of workers in, datagrams and keys out. Control plane's loop thread; writes through
// table_writer, and inject rings.
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/ops/log.h"
#include "controlplane/sfu/state.h"

// The worker that has the transport, or the last one that spoke of it.
static uint32_t worker_of(const struct sfu_session *session)
{
	uint32_t owner = table_writer_transport_owner(session->sfu->tables, session->transport_idx);
	uint32_t worker_idx = owner != 0 ? owner - 1 : session->last_worker_idx;

	return worker_idx < session->sfu->tables->n_workers_max ? worker_idx : 0;
}

static void on_send(void *context, const uint8_t *datagram, size_t n_bytes)
{
	struct sfu_session *session = context;
	struct sfu *s = session->sfu;
	struct shm_ring *ring = table_writer_ring(s->tables, worker_of(session), SHM_RING_INJECT);
	struct shm_datagram *d = shm_ring_reserve(ring);

	if (d == NULL || n_bytes > SHM_DATAGRAM_BYTES_MAX) {
		// DTLS sends its flight again.
		s->counters.n_inject_full++;
		return;
	}
	memset(d, 0, sizeof(*d));
	d->kind = SHM_DATAGRAM_DTLS;
	d->transport_idx = session->transport_idx;
	d->at_ns = s->now_ns;
	d->length_bytes = (uint16_t)n_bytes;
	memcpy(d->data, datagram, n_bytes);
	shm_ring_commit(ring);
}

static void on_keys(void *context, const struct dtls_keys *keys)
{
	struct sfu_session *session = context;
	const struct table_writer_srtp srtp = {
		.profile = keys->profile,
		.rx_key = keys->rx_key,
		.tx_key = keys->tx_key,
		.rx_salt = keys->rx_salt,
		.tx_salt = keys->tx_salt,
		.key_bytes = sizeof(keys->rx_key),
		.salt_bytes = sizeof(keys->rx_salt),
	};

	static_assert(sizeof(keys->rx_key) <= SHM_SRTP_KEY_MAX &&
			      sizeof(keys->rx_salt) <= SHM_SRTP_SALT_MAX,
		      "keys fit into their record");
	session->is_connected = true;
	if (keys->profile != DP_SRTP_PROFILE_NONE)
		table_writer_srtp_set(session->sfu->tables, session->transport_idx, &srtp);
	log_info("room %s: session %.8s is connected, %s", session->record.room,
		 session->record.session_id,
		 keys->profile != DP_SRTP_PROFILE_NONE ? dp_srtp_profile_info(keys->profile)->name
						       : "data only");
	session->room->is_dirty = true;
	sfu_data_start(session);
}

static void on_data(void *context, const uint8_t *bytes, size_t n_bytes)
{
	sfu_data_receive(context, bytes, n_bytes);
}

static void on_closed(void *context, enum dtls_close_reason reason, const char *detail)
{
	struct sfu_session *session = context;

	if (reason == DTLS_CLOSE_BY_US || session->end != SFU_END_NONE)
		return;
	session->end = reason == DTLS_CLOSE_BY_PEER ? SFU_END_CLOSED : SFU_END_DTLS;
	if (reason != DTLS_CLOSE_BY_PEER)
		snprintf(session->detail, sizeof(session->detail), "%s (%s)",
			 dtls_close_reason_name(reason), detail);
}

int sfu_transport_open(struct sfu_session *session, const struct sdp_fingerprint *fingerprints,
		       uint32_t n_fingerprints)
{
	static const struct dtls_callbacks callbacks = {
		.send = on_send,
		.keys = on_keys,
		.data = on_data,
		.closed = on_closed,
	};
	enum dtls_role role =
		session->record.setup == SDP_SETUP_ACTIVE ? DTLS_ROLE_CLIENT : DTLS_ROLE_SERVER;

	return dtls_session_new(session->sfu->dtls, role, fingerprints, n_fingerprints, &callbacks,
				session, &session->dtls);
}

static void arm(struct sfu_session *session)
{
	session->has_dtls_timer =
		session->dtls != NULL && dtls_session_timeout_ms(session->dtls) >= 0;
}

void sfu_transport_receive(struct sfu_session *session, const uint8_t *bytes, size_t n_bytes)
{
	if (session->dtls == NULL)
		return;
	dtls_session_receive(session->dtls, bytes, n_bytes);
	arm(session);
}

void sfu_transport_event(struct sfu_session *session, uint8_t event)
{
	struct sfu *s = session->sfu;

	switch (event) {
	case SHM_SFU_EVENT_CHECKED:
		// An adopted session has its keys from the association that its client still has.
		if (session->record.setup == SDP_SETUP_ACTIVE && session->dtls != NULL &&
		    table_writer_srtp_generation(s->tables, session->transport_idx) == 0) {
			dtls_session_start(session->dtls);
			arm(session);
		}
		break;
	case SHM_SFU_EVENT_NOMINATED:
		// Who sends to whom does not change by it.
		table_writer_ice_settle(s->tables, session->transport_idx);
		return;
	case SHM_SFU_EVENT_KEY_LIMIT:
		session->end = SFU_END_KEY_LIMIT;
		return;
	case SHM_SFU_EVENT_NEW_OWNER:
		break;
	default:
		s->counters.n_invalid++;
		return;
	}
	sfu_room_touch(s, session->room);
}

void sfu_transport_timer(struct sfu_session *session)
{
	if (!session->has_dtls_timer)
		return;
	if (dtls_session_timeout_ms(session->dtls) == 0)
		dtls_session_timer(session->dtls);
	arm(session);
}

void sfu_transport_close(struct sfu_session *session)
{
	if (session->dtls != NULL)
		dtls_session_close(session->dtls);
}

void sfu_transport_free(struct sfu_session *session)
{
	dtls_session_free(session->dtls);
	session->dtls = NULL;
	session->has_dtls_timer = false;
}
