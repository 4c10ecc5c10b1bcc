// turnpikectl probe: what a STUN or TURN server does for clients, seen from here. Each check writes its lines into the
// report. Main thread.
#ifndef TP_CTL_PROBE_PROBE_H
#define TP_CTL_PROBE_PROBE_H

#include "controlplane/ctl/probe/message.h"
#include "controlplane/ctl/probe/report.h"

struct probe {
	struct probe_url url;
	struct ip_endpoint server;
	const char *user, *password; // both or neither
	const char *secret;          // of REST credentials, instead
	const char *ca;              // PEM file of authorities, or NULL
	uint32_t n_packets;
	SSL_CTX *tls; // made when needed
	SSL_CTX *dtls;
	struct probe_report report;
};

// Opens an association; made of the URL's host, server and contexts. 0, or -errno with the cause in `why`.
int probe_open(struct probe *p, enum probe_transport t, struct probe_link *l, char *why,
	       size_t why_bytes);

// Is the server there over that transport, how far away, and as whom does it see us? `is_asked` false: its absence is a note.
// True when it answers.
bool probe_reach(struct probe *p, enum probe_transport t, bool is_asked); // reach.c
void probe_certificate(struct probe *p, const struct probe_link *l);      // certificate.c
// Mapping and filtering behaviour of what is between (RFC 5780 §4.3, §4.4).
void probe_nat(struct probe *p); // nat.c
// Allocates over the URL's transport, relays, and looks at the clock behind REST credentials.
void probe_turn(struct probe *p); // turn.c

// A live allocation.
struct probe_allocation {
	struct probe_link link;
	struct probe_credentials credentials;
	struct ip_endpoint relayed;
	struct ip_endpoint mapped;
	uint32_t lifetime_s;
};
// 0, the error code, or -errno with the cause in `why`.
int probe_allocate(struct probe *p, const char *user, const char *password,
		   struct probe_allocation *a, char *why, size_t why_bytes);
void probe_allocation_end(struct probe_allocation *a);
// What an error code or -errno of a request means, and what to do.
const char *probe_cause(int code, char *out, size_t out_bytes);
const char *probe_remedy(int code);

void probe_relay(struct probe *p, struct probe_allocation *a, const char *user,
		 const char *password); // relay.c
// Compares the server's clock with ours by what it makes of expiries. `is_refused`: 401 to good credentials.
void probe_clock(struct probe *p, bool is_refused); // clock.c

#endif
