// One SCTP association: its socket, reassembly of its messages, its end. The control plane's loop thread.
#include "controlplane/sfu/sctp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sfu/sctp_private.h"

// One message of full size and what is in flight besides; there may be many watchers.
#define BUFFER_BYTES (2 * SCTP_MESSAGE_BYTES_MAX)
// Retransmissions of INIT and of anything else before we give up: some 30 s.
#define INIT_ATTEMPTS        8
#define ASSOCIATION_ATTEMPTS 10
// Common header and one chunk's header.
#define PACKET_BYTES_MIN 16

static struct sockaddr_conn address_of(void *handle, uint16_t port)
{
	return (struct sockaddr_conn){ .sconn_family = AF_CONN,
				       .sconn_port = htons(port),
				       .sconn_addr = handle };
}

static int option_set(struct socket *so, int option, const void *value, socklen_t n_bytes)
{
	return usrsctp_setsockopt(so, IPPROTO_SCTP, option, value, n_bytes) < 0 ? -errno : 0;
}

static int events_subscribe(struct socket *so)
{
	static const uint16_t types[] = { SCTP_ASSOC_CHANGE, SCTP_STREAM_RESET_EVENT,
					  SCTP_PARTIAL_DELIVERY_EVENT };
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(types) / sizeof(types[0]); i++) {
		struct sctp_event e = { .se_assoc_id = SCTP_ALL_ASSOC,
					.se_type = types[i],
					.se_on = 1 };

		ret = option_set(so, SCTP_EVENT, &e, sizeof(e));
	}
	return ret;
}

static int socket_prepare(struct socket *so)
{
	static const struct linger abort_at_once = { .l_onoff = 1 };
	static const struct sctp_initmsg init = { .sinit_num_ostreams = SCTP_STREAMS,
						  .sinit_max_instreams = SCTP_STREAMS,
						  .sinit_max_attempts = INIT_ATTEMPTS };
	static const struct sctp_assocparams association = {
		.sasoc_asocmaxrxt = ASSOCIATION_ATTEMPTS,
	};
	const struct sctp_assoc_value resets = {
		.assoc_id = SCTP_ALL_ASSOC,
		.assoc_value = SCTP_ENABLE_RESET_STREAM_REQ | SCTP_ENABLE_CHANGE_ASSOC_REQ,
	};
	static const int buffer_bytes = BUFFER_BYTES;
	static const int on = 1;
	int ret;

	if (usrsctp_set_non_blocking(so, 1) < 0 ||
	    usrsctp_setsockopt(so, SOL_SOCKET, SO_LINGER, &abort_at_once, sizeof(abort_at_once)) <
		    0 ||
	    usrsctp_setsockopt(so, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes)) <
		    0 ||
	    usrsctp_setsockopt(so, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes)) < 0)
		return -errno;
	ret = option_set(so, SCTP_NODELAY, &on, sizeof(on));
	if (ret == 0)
		ret = option_set(so, SCTP_RECVRCVINFO, &on, sizeof(on));
	if (ret == 0)
		ret = option_set(so, SCTP_INITMSG, &init, sizeof(init));
	if (ret == 0)
		ret = option_set(so, SCTP_ASSOCINFO, &association, sizeof(association));
	if (ret == 0)
		ret = option_set(so, SCTP_ENABLE_STREAM_RESET, &resets, sizeof(resets));
	return ret == 0 ? events_subscribe(so) : ret;
}

// RFC 8261 §5: no path MTU discovery of its own; the packet fits a DTLS record of ours.
static int mtu_set(struct socket *so, const struct sockaddr_conn *remote)
{
	struct sctp_paddrparams path = { .spp_flags = SPP_PMTUD_DISABLE | SPP_HB_ENABLE,
					 .spp_hbinterval = 10000,
					 // usrsctp counts without its common header.
					 .spp_pathmtu = SCTP_PACKET_BYTES_MAX -
							sizeof(struct sctp_common_header) };

	memcpy(&path.spp_address, remote, sizeof(*remote));
	return option_set(so, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
}

int sctp_association_new(uint16_t local_port, uint16_t remote_port,
			 const struct sctp_callbacks *callbacks, void *context,
			 struct sctp_association **out)
{
	struct sctp_association *a = calloc(1, sizeof(*a));
	struct sockaddr_conn remote;
	struct sockaddr_conn local;
	int ret = -ENOMEM;

	*out = NULL;
	if (a == NULL)
		return -ENOMEM;
	a->callbacks = *callbacks;
	a->context = context;
	if (sctp_stack_register(a) == NULL)
		goto fail_free;
	a->socket = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (a->socket == NULL)
		goto fail_unregister;
	ret = socket_prepare(a->socket);
	if (ret < 0)
		goto fail_close;
	usrsctp_set_upcall(a->socket, sctp_stack_upcall, a);
	local = address_of(a->handle, local_port);
	remote = address_of(a->handle, remote_port);
	if (usrsctp_bind(a->socket, (struct sockaddr *)&local, sizeof(local)) < 0 ||
	    (usrsctp_connect(a->socket, (struct sockaddr *)&remote, sizeof(remote)) < 0 &&
	     errno != EINPROGRESS)) {
		ret = -errno;
		goto fail_close;
	}
	ret = mtu_set(a->socket, &remote);
	if (ret < 0)
		goto fail_close;
	*out = a;
	return 0;

fail_close:
	usrsctp_close(a->socket);
fail_unregister:
	sctp_stack_unregister(a);
fail_free:
	free(a);
	return ret;
}

void sctp_association_free(struct sctp_association *a)
{
	if (a == NULL)
		return;
	usrsctp_set_upcall(a->socket, NULL, NULL);
	usrsctp_close(a->socket); // sends ABORT
	sctp_stack_unregister(a);
	free(a->message);
	free(a);
}

static void end(struct sctp_association *a, enum sctp_close_reason reason)
{
	if (a->is_closed)
		return;
	a->is_closed = true;
	a->is_connected = false;
	a->callbacks.closed(a->context, reason);
}

static void association_changed(struct sctp_association *a, const struct sctp_assoc_change *change)
{
	switch (change->sac_state) {
	case SCTP_COMM_UP:
		a->is_connected = true;
		a->n_streams = change->sac_outbound_streams < change->sac_inbound_streams
				       ? change->sac_outbound_streams
				       : change->sac_inbound_streams;
		a->callbacks.connected(a->context);
		break;
	case SCTP_COMM_LOST:
		end(a, SCTP_CLOSE_LOST);
		break;
	case SCTP_SHUTDOWN_COMP:
		end(a, SCTP_CLOSE_SHUTDOWN);
		break;
	case SCTP_CANT_STR_ASSOC:
		end(a, SCTP_CLOSE_REFUSED);
		break;
	case SCTP_RESTART:
		end(a, SCTP_CLOSE_RESTART);
		break;
	default:
		break;
	}
}

static void streams_reset(struct sctp_association *a, const struct sctp_stream_reset_event *e,
			  size_t n_bytes)
{
	size_t n = (n_bytes - offsetof(struct sctp_stream_reset_event, strreset_stream_list)) /
		   sizeof(uint16_t);

	// Whatever became of it, another reset may be tried now.
	a->is_writable_wanted = true;
	if (!(e->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN) ||
	    e->strreset_flags & (SCTP_STREAM_RESET_DENIED | SCTP_STREAM_RESET_FAILED))
		return;
	if (n == 0) {
		// RFC 6525 §4.1: none named means all.
		for (uint16_t stream = 0; stream < a->n_streams && !a->is_closed; stream++)
			a->callbacks.stream_reset(a->context, stream);
		return;
	}
	for (size_t i = 0; i < n && !a->is_closed; i++)
		a->callbacks.stream_reset(a->context, e->strreset_stream_list[i]);
}

static void message_forget(struct sctp_association *a)
{
	a->message_bytes = 0;
	a->is_message_oversized = false;
}

static void notified(struct sctp_association *a, const uint8_t *bytes, size_t n_bytes)
{
	union sctp_notification n;

	if (n_bytes < sizeof(n.sn_header))
		return;
	memcpy(&n.sn_header, bytes, sizeof(n.sn_header));
	switch (n.sn_header.sn_type) {
	case SCTP_ASSOC_CHANGE:
		if (n_bytes >= sizeof(n.sn_assoc_change)) {
			memcpy(&n.sn_assoc_change, bytes, sizeof(n.sn_assoc_change));
			association_changed(a, &n.sn_assoc_change);
		}
		break;
	case SCTP_STREAM_RESET_EVENT:
		if (n_bytes >= sizeof(n.sn_strreset_event))
			streams_reset(a, (const void *)bytes, n_bytes);
		break;
	case SCTP_PARTIAL_DELIVERY_EVENT:
		message_forget(a); // the rest of it was abandoned
		break;
	default:
		break;
	}
}

// Adds a part of a message; false when it is to be thrown away.
static bool message_add(struct sctp_association *a, const uint8_t *bytes, size_t n_bytes)
{
	size_t needed_bytes = a->message_bytes + n_bytes;

	if (a->is_message_oversized || needed_bytes > SCTP_MESSAGE_BYTES_MAX)
		return false;
	if (needed_bytes > a->message_capacity_bytes) {
		size_t capacity_bytes = 4096;
		uint8_t *grown;

		while (capacity_bytes < needed_bytes)
			capacity_bytes *= 2;
		grown = realloc(a->message, capacity_bytes);
		if (grown == NULL)
			return false;
		a->message = grown;
		a->message_capacity_bytes = capacity_bytes;
	}
	memcpy(a->message + a->message_bytes, bytes, n_bytes);
	a->message_bytes = needed_bytes;
	return true;
}

static void received(struct sctp_association *a, const struct sctp_rcvinfo *info,
		     const uint8_t *bytes, size_t n_bytes, bool is_end)
{
	uint32_t ppid = ntohl(info->rcv_ppid);

	if (is_end && a->message_bytes == 0 && !a->is_message_oversized &&
	    n_bytes <= SCTP_MESSAGE_BYTES_MAX) {
		a->callbacks.message(a->context, info->rcv_sid, ppid, bytes, n_bytes);
		return;
	}
	a->is_message_oversized = !message_add(a, bytes, n_bytes);
	if (!is_end)
		return;
	if (a->is_message_oversized)
		a->n_oversized++;
	else
		a->callbacks.message(a->context, info->rcv_sid, ppid, a->message, a->message_bytes);
	message_forget(a);
}

void sctp_association_drain(struct sctp_association *a)
{
	// Aligned, because notifications are structs in it.
	static _Alignas(8) uint8_t part[65536];

	while (!a->is_closed) {
		struct sctp_rcvinfo info = { 0 };
		socklen_t info_bytes = sizeof(info);
		unsigned int info_type = 0;
		int flags = 0;
		ssize_t n = usrsctp_recvv(a->socket, part, sizeof(part), NULL, NULL, &info,
					  &info_bytes, &info_type, &flags);

		if (n < 0 && (errno == EWOULDBLOCK || errno == ENOTCONN))
			break;
		if (n <= 0) {
			end(a, a->is_connected ? SCTP_CLOSE_LOST : SCTP_CLOSE_REFUSED);
			return;
		}
		if (flags & MSG_NOTIFICATION)
			notified(a, part, (size_t)n);
		else
			received(a, &info, part, (size_t)n, (flags & MSG_EOR) != 0);
	}
	if (!a->is_closed && a->is_writable_wanted) {
		a->is_writable_wanted = false;
		a->callbacks.writable(a->context);
	}
}

void sctp_association_receive(struct sctp_association *a, const uint8_t *packet, size_t n_bytes)
{
	if (a->is_closed || n_bytes < PACKET_BYTES_MIN)
		return;
	usrsctp_conninput(a->handle, packet, n_bytes, 0);
	sctp_stack_run_ready();
}

int sctp_association_send(struct sctp_association *a, const struct sctp_message_options *options,
			  const uint8_t *bytes, size_t n_bytes)
{
	struct sctp_sendv_spa info = {
		.sendv_flags = SCTP_SEND_SNDINFO_VALID,
		.sendv_sndinfo = { .snd_sid = options->stream,
				   .snd_flags = SCTP_EOR,
				   .snd_ppid = htonl(options->ppid) },
	};

	if (!a->is_connected)
		return -ENOTCONN;
	if (n_bytes == 0 || n_bytes > SCTP_MESSAGE_BYTES_MAX)
		return -EMSGSIZE;
	if (options->stream >= a->n_streams)
		return -EINVAL;
	if (options->is_unordered)
		info.sendv_sndinfo.snd_flags |= SCTP_UNORDERED;
	if (options->reliability != SCTP_RELIABLE) {
		info.sendv_flags |= SCTP_SEND_PRINFO_VALID;
		info.sendv_prinfo.pr_policy =
			options->reliability == SCTP_LIFETIME ? SCTP_PR_SCTP_TTL : SCTP_PR_SCTP_RTX;
		info.sendv_prinfo.pr_value = options->reliability_value;
	}
	if (usrsctp_sendv(a->socket, bytes, n_bytes, NULL, 0, &info, sizeof(info), SCTP_SENDV_SPA,
			  0) >= 0)
		return 0;
	if (errno == EWOULDBLOCK || errno == ENOBUFS) {
		a->is_writable_wanted = true;
		return -EAGAIN;
	}
	return errno == EMSGSIZE || errno == EINVAL ? -errno : -ENOTCONN;
}

int sctp_association_reset_stream(struct sctp_association *a, uint16_t stream)
{
	_Alignas(struct sctp_reset_streams)
		uint8_t buf[sizeof(struct sctp_reset_streams) + sizeof(uint16_t)];
	struct sctp_reset_streams *reset = (void *)buf;

	if (!a->is_connected)
		return -ENOTCONN;
	reset->srs_assoc_id = SCTP_ALL_ASSOC;
	reset->srs_flags = SCTP_STREAM_RESET_OUTGOING;
	reset->srs_number_streams = 1;
	reset->srs_stream_list[0] = stream;
	if (option_set(a->socket, SCTP_RESET_STREAMS, buf, sizeof(buf)) == 0)
		return 0;
	if (errno == EALREADY || errno == EAGAIN || errno == ENOMEM) {
		a->is_writable_wanted = true;
		return -EAGAIN;
	}
	return -errno;
}

uint16_t sctp_association_streams(const struct sctp_association *a)
{
	return a->n_streams;
}

uint64_t sctp_association_n_oversized(const struct sctp_association *a)
{
	return a->n_oversized;
}
