// The section nat_discovery (RFC 5780): four listeners that know each other, and what is refused.
#include <arpa/inet.h>
#include <criterion/criterion.h>

#include "tests/unit/config/section_fixture.h"

const char section_head[] = "realm: relay.example\n"
			    "relay: {addresses: [192.0.2.2]}\n"
			    "users: [{name: alice, password: secret}]\n"
			    "ports: [{device: af_xdp, interface: eth7}]\n";
#define LISTENERS                                                                                  \
	"listeners:\n"                                                                             \
	"  - address: 192.0.2.1\n"                                                                 \
	"  - {address: 192.0.2.1, port: 3479}\n"                                                   \
	"  - {address: \"2001:db8::1\"}\n"                                                         \
	"  - {address: 192.0.2.2, port: 3478}\n"                                                   \
	"  - {address: 192.0.2.2, port: 3479}\n"
#define SECTION "nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: 192.0.2.2\n"

Test(nat_discovery_section, is_off_by_default)
{
	struct config *c = section_parse(LISTENERS);

	cr_assert_not_null(c, "%s", section_error);
	for (uint32_t i = 0; i < c->n_listeners; i++)
		cr_assert_not(c->listeners[i].has_other);
	config_free(c);
}

Test(nat_discovery_section, rfc5780_each_listener_knows_the_one_of_other_address_and_port)
{
	static const uint8_t other[] = { 4, 3, 0xff, 1, 0 };
	struct config *c = section_parse(LISTENERS SECTION);

	cr_assert_not_null(c, "%s", section_error);
	cr_assert_eq(c->n_listeners, 5);
	for (uint32_t i = 0; i < 5; i++) {
		cr_assert_eq(c->listeners[i].has_other, other[i] != 0xff);
		if (other[i] != 0xff)
			cr_assert_eq(c->listeners[i].other_idx, other[i], "listener %u", i);
	}
	config_free(c);
}

Test(nat_discovery_section, ports_of_ones_own)
{
	struct config *c = section_parse("listeners:\n"
					 "  - {address: 192.0.2.1, port: 5000}\n"
					 "  - {address: 192.0.2.1, port: 5001}\n"
					 "  - {address: 192.0.2.2, port: 5000}\n"
					 "  - {address: 192.0.2.2, port: 5001}\n" SECTION
					 "    port: 5000\n    alternate_port: 5001\n");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert_eq(c->listeners[0].other_idx, 3);
	cr_assert_eq(c->listeners[1].other_idx, 2);
	config_free(c);
}

Test(nat_discovery_section, refusals_name_line_and_remedy)
{
	section_refused("listeners:\n  - address: 192.0.2.1\n" SECTION,
			":8: nat_discovery[0]: no listener for UDP at 192.0.2.2:3478, but both");
	section_refused("listeners: [{address: 192.0.2.1}, {address: 192.0.2.2}]\n" SECTION,
			":7: nat_discovery[0]: no listener for UDP at 192.0.2.1:3479");
	section_refused(LISTENERS
			"nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: x\n",
			":13: nat_discovery[0].alternate_address: 'x' is no IP address");
	section_refused(
		LISTENERS
		"nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: 192.0.2.1\n",
		"the same as address");
	section_refused(
		LISTENERS
		"nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: \"2001:db8::1\"\n",
		"of another family");
	section_refused(LISTENERS SECTION "    alternate_port: 3478\n", "the same as port");
	section_refused(LISTENERS SECTION "    port: 70000\n", "70000 is out of range");
	section_refused(LISTENERS SECTION "    prt: 1\n", "prt: unknown key; did you mean 'port'?");
	section_refused(LISTENERS "nat_discovery:\n  - address: 192.0.2.1\n", "alternate_address");
	section_refused(LISTENERS SECTION
			"  - {address: 192.0.2.1, alternate_address: 192.0.2.2}\n",
			"is part of another entry already");
}

Test(nat_discovery_section, credit_of_the_filters_answers)
{
	struct config *c = section_parse(LISTENERS);

	cr_assert_not_null(c, "%s", section_error);
	cr_assert_eq(c->filter_answer_credit_bytes, 512);
	config_free(c);
	c = section_parse(LISTENERS "limits: {filter_answer_credit_bytes: 0}\n");
	cr_assert_not_null(c, "%s", section_error);
	cr_assert_eq(c->filter_answer_credit_bytes, 0);
	config_free(c);
	section_refused(LISTENERS "limits: {filter_answer_credit_bytes: 2000000000}\n",
			"out of range");
}
