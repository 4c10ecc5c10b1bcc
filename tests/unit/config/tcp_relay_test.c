// The section tcp_relay and the key tls.dtls: what is read and what is refused, with its line.
#include <criterion/criterion.h>

#include "tests/unit/config/section_fixture.h"

const char section_head[] = SECTION_HEAD;

Test(tcp_relay, on_by_default_within_bounds)
{
	struct config *c = section_accepted("");

	cr_expect(c->tcp_relay.is_enabled);
	cr_expect_eq(c->tcp_relay.max_connections, 4096);
	cr_expect_eq(c->tcp_relay.max_per_allocation, 32);
	config_free(c);
}

Test(tcp_relay, all_keys)
{
	struct config *c = section_accepted("tcp_relay: {enabled: false, max_connections: 10, "
					    "max_connections_per_allocation: 3}\n");

	cr_expect_not(c->tcp_relay.is_enabled);
	cr_expect_eq(c->tcp_relay.max_connections, 10);
	cr_expect_eq(c->tcp_relay.max_per_allocation, 3);
	config_free(c);
	// One client may have no more than all.
	c = section_accepted("tcp_relay: {max_connections: 10}\n");
	cr_expect_eq(c->tcp_relay.max_per_allocation, 10);
	config_free(c);
}

Test(tcp_relay, bad_values_with_their_line)
{
	section_refused("tcp_relay: {max_connections: 0}\n", ":7: tcp_relay.max_connections: ");
	section_refused("tcp_relay: {max_connections: 65536}\n", ":7: tcp_relay.max_connections: ");
	section_refused(
		"tcp_relay:\n  max_connections: 10\n  max_connections_per_allocation: 11\n",
		":9: tcp_relay.max_connections_per_allocation: 11 for one allocation are more");
	section_refused("tcp_relay: {max_conections: 10}\n", ":7: ");
}

Test(dtls, rfc7350_follows_tls)
{
	static const struct {
		const char *rest;
		bool takes_dtls;
	} cases[] = {
		{ "", false },
		{ "  - {address: 192.0.2.1, transport: tcp}\n", false },
		{ "  - {address: 192.0.2.1, transport: tls}\n", true },
		{ "  - {address: 192.0.2.1, transport: auto}\n", true },
		{ "  - {address: 192.0.2.1, transport: tls}\ntls: {dtls: false}\n", false },
		{ "tls: {dtls: true}\n", true },
		{ "tls: {certificate: /c.pem, key: /k.pem}\n", true },
		{ "tls: {min_version: \"1.3\"}\n", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config *c = section_accepted(cases[i].rest);

		cr_expect_eq(c->tls.takes_dtls, cases[i].takes_dtls, "%s", cases[i].rest);
		config_free(c);
	}
}

Test(dtls, not_beside_1_3_alone)
{
	section_refused("tls:\n  min_version: \"1.3\"\n  dtls: true\n",
			":9: tls.dtls: DTLS is spoken in version 1.2 only");
}
