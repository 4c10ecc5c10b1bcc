// rtnetlink over libmnl: one socket that asks and waits for the answer, one that hears what
// changes. Control plane's loop thread.
#ifndef TP_NETLINK_H
#define TP_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/contract/wire/address.h"

struct nlmsghdr;
struct netlink;

// `on_event` gets each message about routes, addresses, links and neighbours; `on_overrun` is
// called when some were lost.
struct netlink_events {
	void (*on_event)(void *arg, const struct nlmsghdr *message);
	void (*on_overrun)(void *arg);
	void *arg;
};

int netlink_open(const struct netlink_events *events, struct netlink **out); // 0 or -errno
void netlink_close(struct netlink *n);
int netlink_event_fd(const struct netlink *n);
// Reads what the event socket holds.
void netlink_read_events(struct netlink *n);

// A message to fill, with its family header of `header_bytes` zeroed behind it.
struct nlmsghdr *netlink_request(struct netlink *n, uint16_t type, uint16_t flags,
				 size_t header_bytes, void **header);
// Sends it and calls fn (may be NULL) for each message of the answer. 0, or -errno of the kernel's
// or of a timeout.
int netlink_ask(struct netlink *n, struct nlmsghdr *request,
		void (*fn)(void *arg, const struct nlmsghdr *message), void *arg);
// Sends it and expects no answer.
int netlink_tell(struct netlink *n, struct nlmsghdr *request);

uint8_t netlink_family(const struct ip_address *a); // AF_INET or AF_INET6
// Appends an address attribute in its family's length.
void netlink_put_address(struct nlmsghdr *request, uint16_t type, const struct ip_address *a);
// Reads an address attribute by its length; false when it has neither.
bool netlink_get_address(const void *payload, uint16_t payload_bytes, struct ip_address *out);

#endif
