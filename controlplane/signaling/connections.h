// Who is connected: bounds connections in all and per source, and ends those that ask for nothing. Control plane's
// loop thread.
#ifndef TP_SIGNALING_CONNECTIONS_H
#define TP_SIGNALING_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct bufferevent;
struct connections;
struct event_base;

// idle_s: how long a connection may be without a whole request.
int connections_new(struct event_base *base, uint32_t max, uint32_t per_source_max, uint32_t idle_s,
		    struct connections **out);
// To be called for each bufferevent before it has its socket: looks at its peer as soon as it has one.
void connections_expect(struct connections *c, struct bufferevent *bev, bool must_end);
// A whole request came in on this socket.
void connections_touch(struct connections *c, int fd);
uint64_t connections_n_refused(const struct connections *c);
void connections_free(struct connections *c);

#endif
