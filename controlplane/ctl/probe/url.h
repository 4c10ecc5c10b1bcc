// URLs of STUN and TURN servers (RFC 7064, RFC 7065): stun:host, stuns:host, turn:host and turns:host, with a port and,
// for TURN, "?transport=udp" or "?transport=tcp". Pure, any thread.
#ifndef TP_CTL_PROBE_URL_H
#define TP_CTL_PROBE_URL_H

#include <stdbool.h>
#include <stdint.h>

enum probe_transport { PROBE_UDP = 0, PROBE_TCP, PROBE_TLS, PROBE_DTLS, PROBE_TRANSPORT_COUNT };

struct probe_url {
	bool is_turn;
	bool is_secure;
	bool has_transport; // said in the URL; else `transport` is the scheme's first choice
	enum probe_transport transport;
	uint16_t port;   // host order; 3478 or 5349 where the URL says none
	bool is_numeric; // the host is an IP address
	char host[256];  // without brackets
};

// 0, or -EINVAL with a static sentence on what is wrong.
int probe_url_parse(const char *text, struct probe_url *out, const char **why);
// Static: "UDP", "TCP", "TLS", "DTLS".
const char *probe_transport_name(enum probe_transport t);

#endif
