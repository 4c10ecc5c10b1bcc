// Reads what concerns clients over TCP and TLS: their listeners, the certificate, timeouts and buffers. Main thread.
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"

#define PLAIN_PORT 3478 // RFC 8656 §4
#define TLS_PORT   5349
#define TLS_1_2    0x0303
#define TLS_1_3    0x0304

#define MAX_CONNECTIONS             16384
#define PER_SOURCE_MAX              1024 // many subscribers share one address
#define HANDSHAKES_PER_S            400  // a third of the loop's time or so
#define HANDSHAKES_PER_SOURCE_PER_S 50
#define HANDSHAKE_TIMEOUT_S         10
#define ALLOCATION_TIMEOUT_S        30
#define STALLED_S                   20
// A key frame of 300 KB takes some 200 ms at 40 ms of round trip while TCP opens its window; a second is as long as
// anything that is played live can be late.
#define BUFFER_KB       1024
#define BUFFER_MS       1000
#define BUFFER_TOTAL_MB 256

bool config_is_stream_listener(const struct file_listener *l)
{
	return l->transport && strcmp(l->transport, "udp") != 0;
}

static bool is_unspecified(const struct ip_address *a)
{
	return ip_address_classify(a) == IP_CLASS_UNSPECIFIED;
}

// Whether one of the two would take connections of the other.
static bool overlaps(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
	if (a->port_be != b->port_be ||
	    ip_address_is_v4(&a->address) != ip_address_is_v4(&b->address))
		return false;
	return ip_address_equal(&a->address, &b->address) || is_unspecified(&a->address) ||
	       is_unspecified(&b->address);
}

static int read_transport(struct config_reader *r, const char *text,
			  struct config_stream_listener *l)
{
	char quoted[CONFIG_QUOTE_BYTES];

	l->takes_plain = strcmp(text, "tcp") == 0 || strcmp(text, "auto") == 0;
	l->takes_tls = strcmp(text, "tls") == 0 || strcmp(text, "auto") == 0;
	if (l->takes_plain || l->takes_tls)
		return 0;
	return config_fail(r,
			   "%s is none of udp, tcp, tls and auto (TCP and TLS on one port, told "
			   "apart by the first byte)",
			   config_quote(text, quoted));
}

static int keeps_off_others(struct config_reader *r, const struct config_stream_listener *l)
{
	const struct config *c = r->config;
	uint16_t port = ntohs(l->endpoint.port_be);

	for (uint32_t j = 0; j < c->n_stream_listeners; j++)
		if (overlaps(&l->endpoint, &c->stream_listeners[j].endpoint))
			return config_fail(r,
					   "takes the same TCP connections as listeners[%u]; keep "
					   "one, with transport: auto for TCP and TLS on one port",
					   c->stream_listeners[j].file_idx);
	for (uint32_t j = 0; j < c->http.n_listeners; j++)
		if (overlaps(&l->endpoint, &c->http.listeners[j].endpoint))
			return config_fail(r,
					   "TCP port %u is http.listen[%u]'s as well; move one of "
					   "them to another port or address",
					   port, j);
	for (uint32_t j = 0; j < c->n_relays; j++)
		if (port >= c->relay_port_min && port <= c->relay_port_max &&
		    (is_unspecified(&l->endpoint.address) ||
		     ip_address_equal(&l->endpoint.address, &c->relays[j].address)))
			return config_fail(r,
					   "port %u is within the relayed ports %u-%u of "
					   "relay.addresses[%u]; move the range or the listener",
					   port, c->relay_port_min, c->relay_port_max, j);
	return 0;
}

static int read_listener(struct config_reader *r, uint32_t i)
{
	const struct file_listener *f = &r->file->listeners[i];
	struct config *c = r->config;
	struct config_stream_listener *l = &c->stream_listeners[c->n_stream_listeners];
	char quoted[CONFIG_QUOTE_BYTES];
	uint32_t port;
	int ret;

	l->file_idx = i;
	config_at(r, "listeners[%u].transport", i);
	ret = read_transport(r, f->transport, l);
	if (ret < 0)
		return ret;
	config_at(r, "listeners[%u].address", i);
	if (ip_address_parse(f->address, &l->endpoint.address) < 0)
		return config_fail(r,
				   "%s is no IP address; write it as in 203.0.113.5, 2001:db8::5, "
				   "or 0.0.0.0 for every address",
				   config_quote(f->address, quoted));
	config_at(r, "listeners[%u].port", i);
	ret = config_number(r, f->port, l->takes_plain ? PLAIN_PORT : TLS_PORT, 1, 65535, &port);
	if (ret < 0)
		return ret;
	l->endpoint.port_be = htons((uint16_t)port);
	l->has_proxy_header = f->proxy_protocol && *f->proxy_protocol;
	config_at(r, "listeners[%u].realm", i);
	ret = config_realm_find(r, f->realm, &l->realm_idx);
	if (ret < 0)
		return ret;
	config_at(r, "listeners[%u]", i);
	ret = keeps_off_others(r, l);
	if (ret == 0)
		c->n_stream_listeners++;
	return ret;
}

static int read_listeners(struct config_reader *r)
{
	const struct file_config *f = r->file;
	int ret;

	r->config->stream_listeners = calloc(f->n_listeners, sizeof(*r->config->stream_listeners));
	if (!r->config->stream_listeners)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_listeners; i++) {
		if (config_is_stream_listener(&f->listeners[i])) {
			ret = read_listener(r, i);
			if (ret < 0)
				return ret;
		} else if (f->listeners[i].proxy_protocol && *f->listeners[i].proxy_protocol) {
			config_at(r, "listeners[%u].proxy_protocol", i);
			return config_fail(r, "it is for TCP and TLS; add transport: tcp, tls or "
					      "auto, or take it away");
		}
	}
	return 0;
}

static int copy(const char *from, char **out)
{
	*out = from ? strdup(from) : NULL;
	return !from || *out ? 0 : -ENOMEM;
}

static int read_tls(struct config_reader *r)
{
	static const struct file_tls none;
	const struct file_tls *f = r->file->tls ? r->file->tls : &none;
	struct config_tls *c = &r->config->tls;
	char quoted[CONFIG_QUOTE_BYTES];

	config_at(r, f->certificate ? "tls.certificate" : "tls.key");
	if (!f->certificate != !f->key)
		return config_fail(r, "certificate and key belong together; give both, or neither "
				      "to have a certificate made");
	if (copy(f->certificate, &c->certificate) < 0 || copy(f->key, &c->key) < 0)
		return -ENOMEM;
	config_at(r, "tls.min_version");
	c->min_version = f->min_version && strcmp(f->min_version, "1.3") == 0 ? TLS_1_3 : TLS_1_2;
	if (f->min_version && c->min_version == TLS_1_2 && strcmp(f->min_version, "1.2") != 0)
		return config_fail(r,
				   "%s is neither \"1.2\" nor \"1.3\"; older ones are not safe "
				   "(RFC 8996)",
				   config_quote(f->min_version, quoted));
	return 0;
}

// Whoever has TLS for TCP has DTLS for UDP, unless he wants no 1.2.
static int read_dtls(struct config_reader *r)
{
	const struct file_tls *f = r->file->tls;
	struct config *c = r->config;
	bool has_tls = f != NULL;

	for (uint32_t i = 0; i < c->n_stream_listeners; i++)
		has_tls |= c->stream_listeners[i].takes_tls;
	c->tls.takes_dtls = f && f->dtls ? *f->dtls : has_tls && c->tls.min_version == TLS_1_2;
	config_at(r, "tls.dtls");
	if (c->tls.takes_dtls && c->tls.min_version != TLS_1_2)
		return config_fail(r, "DTLS is spoken in version 1.2 only, which tls.min_version "
				      "forbids; lower that or take this away");
	return 0;
}

int config_read_streams(struct config_reader *r)
{
	static const struct file_streams none;
	const struct file_streams *f = r->file->streams ? r->file->streams : &none;
	struct config_streams *c = &r->config->streams;
	uint32_t buffer_kb = 0, total_mb = 0;
	const struct {
		const char *key;
		const uint32_t *given;
		uint32_t fallback, min, max;
		uint32_t *out;
	} numbers[] = {
		{ "streams.max_connections", f->max_connections, MAX_CONNECTIONS, 1, 1000000,
		  &c->max_connections },
		{ "streams.per_source_max", f->per_source_max, PER_SOURCE_MAX, 1, 1000000,
		  &c->per_source_max },
		{ "streams.handshakes_per_second", f->handshakes_per_second, HANDSHAKES_PER_S, 0,
		  1000000, &c->handshakes_per_s },
		{ "streams.handshakes_per_source_per_second", f->handshakes_per_source_per_second,
		  HANDSHAKES_PER_SOURCE_PER_S, 0, 1000000, &c->handshakes_per_source_per_s },
		{ "streams.handshake_timeout_seconds", f->handshake_timeout_seconds,
		  HANDSHAKE_TIMEOUT_S, 1, 600, &c->handshake_timeout_s },
		{ "streams.allocation_timeout_seconds", f->allocation_timeout_seconds,
		  ALLOCATION_TIMEOUT_S, 1, 3600, &c->allocation_timeout_s },
		{ "streams.stalled_seconds", f->stalled_seconds, STALLED_S, 1, 3600,
		  &c->stalled_s },
		{ "streams.buffer_kb", f->buffer_kb, BUFFER_KB, 16, 1048576, &buffer_kb },
		{ "streams.buffer_ms", f->buffer_ms, BUFFER_MS, 10, 60000, &c->buffer_ms },
		{ "streams.buffer_total_mb", f->buffer_total_mb, BUFFER_TOTAL_MB, 1, 1048576,
		  &total_mb },
	};
	int ret;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		config_at(r, "%s", numbers[i].key);
		ret = config_number(r, numbers[i].given, numbers[i].fallback, numbers[i].min,
				    numbers[i].max, numbers[i].out);
		if (ret < 0)
			return ret;
	}
	c->buffer_bytes = buffer_kb << 10;
	c->buffer_total_bytes = (uint64_t)total_mb << 20;
	config_at(r, "streams.buffer_kb");
	if (c->buffer_bytes > c->buffer_total_bytes)
		return config_fail(
			r,
			"%u KB for one client are more than streams.buffer_total_mb (%u) "
			"allows for all; lower it or raise that",
			buffer_kb, total_mb);
	ret = read_tls(r);
	if (ret == 0)
		ret = read_listeners(r);
	return ret < 0 ? ret : read_dtls(r);
}
