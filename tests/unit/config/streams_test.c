// Listeners for TCP and TLS, the sections tls and streams: what is read and what is refused, with its line.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/config/section_fixture.h"

const char section_head[] = SECTION_HEAD;

Test(streams, none_by_default_and_defaults_that_hold_a_key_frame)
{
	struct config *c = section_accepted("");

	cr_expect_eq(c->n_listeners, 1);
	cr_expect_eq(c->n_stream_listeners, 0);
	cr_expect_null(c->tls.certificate);
	cr_expect_eq(c->tls.min_version, 0x0303);
	cr_expect_geq(c->streams.buffer_bytes, 300u << 10);
	cr_expect_eq(c->streams.buffer_ms, 1000);
	cr_expect_eq(c->streams.buffer_total_bytes, 256ull << 20);
	cr_expect_eq(c->streams.max_connections, 16384);
	cr_expect_eq(c->streams.stalled_s, 20);
	config_free(c);
}

Test(streams, listeners_of_each_kind_beside_those_for_udp)
{
	struct config *c = section_accepted("  - {address: 192.0.2.1, transport: tcp}\n"
					    "  - {address: 192.0.2.1, transport: tls}\n"
					    "  - {address: \"2001:db8::1\", port: 3479}\n"
					    "  - {address: 0.0.0.0, port: 443, transport: auto, "
					    "proxy_protocol: true}\n"
					    "  - {address: \"::\", port: 443, transport: tls}\n");
	const struct config_stream_listener *l = c->stream_listeners;

	cr_assert_eq(c->n_listeners, 2);
	cr_expect_eq(c->listeners[1].file_idx, 3);
	cr_expect_eq(ntohs(c->listeners[1].endpoint.port_be), 3479);
	cr_assert_eq(c->n_stream_listeners, 4);
	cr_expect(l[0].takes_plain && !l[0].takes_tls);
	cr_expect_eq(ntohs(l[0].endpoint.port_be), 3478);
	cr_expect(!l[1].takes_plain && l[1].takes_tls);
	cr_expect_eq(ntohs(l[1].endpoint.port_be), 5349);
	cr_expect_not(l[1].has_proxy_header);
	cr_expect(l[2].takes_plain && l[2].takes_tls && l[2].has_proxy_header);
	cr_expect_eq(ntohs(l[2].endpoint.port_be), 443);
	cr_expect_eq(l[3].file_idx, 5);
	config_free(c);
}

Test(streams, what_listeners_must_not_be)
{
	section_refused("  - {address: 192.0.2.1, transport: sctp}\n",
			":7: listeners[1].transport: 'sctp' is none of udp, tcp, tls and auto");
	section_refused("  - {address: example.org, transport: tcp}\n",
			":7: listeners[1].address: ");
	section_refused("  - {address: 192.0.2.1, transport: tcp, port: 0}\n",
			":7: listeners[1].port: ");
	section_refused("  - {address: 192.0.2.1, transport: tcp, port: 70000}\n",
			":7: listeners[1].port");
	section_refused("  - {address: 0.0.0.0}\n",
			":7: listeners[1].address: '0.0.0.0' stands for every");
	section_refused("  - {address: 192.0.2.3, proxy_protocol: true}\n",
			":7: listeners[1].proxy_protocol: it is for TCP and TLS");
	section_refused("  - {address: 192.0.2.1, transport: tcp, realm: other.example}\n",
			":7: listeners[1].realm: ");
}

Test(streams, connections_go_to_one_listener_alone)
{
	config_free(section_accepted("  - {address: 192.0.2.1, transport: tcp, port: 443}\n"
				     "  - {address: 192.0.2.3, transport: tls, port: 443}\n"));
	section_refused(
		"  - {address: 192.0.2.1, transport: tcp, port: 443}\n"
		"  - {address: 192.0.2.1, transport: tls, port: 443}\n",
		":8: listeners[2]: takes the same TCP connections as listeners[1]; keep one, with "
		"transport: auto");
	section_refused("  - {address: 192.0.2.1, transport: tcp, port: 443}\n"
			"  - {address: 0.0.0.0, transport: tls, port: 443}\n",
			":8: listeners[2]: takes the same TCP connections");
	section_refused("  - {address: 192.0.2.2, transport: tcp, port: 50000}\n",
			":7: listeners[1]: port 50000 is within the relayed ports 49152-65535 of "
			"relay.addresses[0]");
	section_refused("  - {address: \"::\", transport: tcp, port: 50000}\n",
			":7: listeners[1]: port 50000 is within the relayed ports");
}

#define HTTPS                                                                                      \
	"sfu: {}\n"                                                                                \
	"http: {listen: [{address: 192.0.2.1, port: 443}], require_tokens: false}\n"

Test(streams, not_on_the_port_of_https)
{
	section_refused(
		"  - {address: 192.0.2.1, transport: tls, port: 443}\n" HTTPS,
		":7: listeners[1]: TCP port 443 is http.listen[0]'s as well; move one of them");
	section_refused("  - {address: 0.0.0.0, transport: tls, port: 443}\n" HTTPS,
			":7: listeners[1]: TCP port 443 is http.listen[0]'s as well");
	config_free(
		section_accepted("  - {address: 192.0.2.3, transport: tls, port: 443}\n" HTTPS));
}

Test(streams, only_udp_makes_a_relay)
{
	char path[] = "/tmp/turnpike-config-XXXXXX";
	static const char text[] = "realm: relay.example\n"
				   "relay: {addresses: [192.0.2.2]}\n"
				   "users: [{name: alice, password: secret}]\n"
				   "ports: [{device: af_xdp, interface: eth7}]\n"
				   "listeners: [{address: 192.0.2.1, transport: tcp}]\n";
	struct config *c = NULL;
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	cr_expect_lt(config_parse(path, &c, section_error, sizeof(section_error)), 0);
	unlink(path);
	cr_expect_not_null(strstr(section_error, ":5: listeners: none of them takes UDP"), "%s",
			   section_error);
}

Test(streams, section_tls)
{
	struct config *c =
		section_accepted("tls: {certificate: /a.pem, key: /b.pem, min_version: \"1.3\"}\n");

	cr_expect_str_eq(c->tls.certificate, "/a.pem");
	cr_expect_str_eq(c->tls.key, "/b.pem");
	cr_expect_eq(c->tls.min_version, 0x0304);
	config_free(c);
	section_refused("tls: {certificate: /a.pem}\n",
			":7: tls.certificate: certificate and key belong");
	section_refused("tls: {key: /b.pem}\n", ":7: tls.key: certificate and key belong together");
	section_refused("tls: {min_version: \"1.1\"}\n", ":7: tls.min_version: '1.1' is neither");
}

Test(streams, section_streams)
{
	struct config *c =
		section_accepted("streams: {max_connections: 7, per_source_max: 3, "
				 "handshake_timeout_seconds: 2, allocation_timeout_seconds: 4, "
				 "stalled_seconds: 5, buffer_kb: 64, buffer_ms: 250, "
				 "buffer_total_mb: 8, handshakes_per_second: 9, "
				 "handshakes_per_source_per_second: 0}\n");

	cr_expect_eq(c->streams.max_connections, 7);
	cr_expect_eq(c->streams.per_source_max, 3);
	cr_expect_eq(c->streams.handshakes_per_s, 9);
	cr_expect_eq(c->streams.handshakes_per_source_per_s, 0);
	cr_expect_eq(c->streams.handshake_timeout_s, 2);
	cr_expect_eq(c->streams.allocation_timeout_s, 4);
	cr_expect_eq(c->streams.stalled_s, 5);
	cr_expect_eq(c->streams.buffer_bytes, 64u << 10);
	cr_expect_eq(c->streams.buffer_ms, 250);
	cr_expect_eq(c->streams.buffer_total_bytes, 8ull << 20);
	config_free(c);
	section_refused("streams: {max_connections: 0}\n",
			":7: streams.max_connections: 0 is out of range");
	section_refused("streams: {buffer_kb: 1}\n", ":7: streams.buffer_kb: 1 is out of range");
	section_refused("streams: {buffer_ms: 1}\n", ":7: streams.buffer_ms: 1 is out of range");
	section_refused("streams: {stalled_seconds: 0}\n", ":7: streams.stalled_seconds");
	section_refused("streams: {buffer_kb: 4096, buffer_total_mb: 1}\n",
			":7: streams.buffer_kb: 4096 KB for one client are more than");
}
