// What the stack and its associations share. The control plane's loop thread.
#ifndef TP_SFU_SCTP_PRIVATE_H
#define TP_SFU_SCTP_PRIVATE_H

#include <usrsctp.h>

#include "controlplane/sfu/sctp.h"

struct sctp_association {
	struct socket *socket;
	void *handle; // what usrsctp takes for its address
	struct sctp_callbacks callbacks;
	void *context;
	struct sctp_association *next_ready;
	uint8_t *message; // of which parts have come, NULL at first
	size_t message_bytes;
	size_t message_capacity_bytes;
	uint64_t n_oversized;
	uint16_t n_streams;
	bool is_message_oversized;
	bool is_ready; // in the stack's list
	bool is_connected;
	bool is_closed;
	bool is_writable_wanted; // a send or a reset found no room
};

// A name for usrsctp that is never used again, so that output of a socket that is gone finds nobody. NULL:
// no memory.
void *sctp_stack_register(struct sctp_association *a);
void sctp_stack_unregister(struct sctp_association *a);
// usrsctp's upcall: the association has something to tell. It comes from inside of the stack, so it is only
// noted.
void sctp_stack_upcall(struct socket *socket, void *association, int unused);
// Tells what was noted, of all associations.
void sctp_stack_run_ready(void);
// Takes what the socket has: messages, notifications, room.
void sctp_association_drain(struct sctp_association *a);

#endif
