// The section nat_discovery (RFC 5780): four listeners that know each other, and what is refused.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/config.h"

#define HEAD                                                                                       \
	"realm: relay.example\n"                                                                   \
	"relay: {addresses: [192.0.2.2]}\n"                                                        \
	"users: [{name: alice, password: secret}]\n"                                               \
	"ports: [{device: af_xdp, interface: eth7}]\n"
#define LISTENERS                                                                                  \
	"listeners:\n"                                                                             \
	"  - address: 192.0.2.1\n"                                                                 \
	"  - {address: 192.0.2.1, port: 3479}\n"                                                   \
	"  - {address: \"2001:db8::1\"}\n"                                                         \
	"  - {address: 192.0.2.2, port: 3478}\n"                                                   \
	"  - {address: 192.0.2.2, port: 3479}\n"
#define SECTION "nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: 192.0.2.2\n"

static char error[512];

static struct config *parse(const char *listeners, const char *section)
{
	char path[] = "/tmp/turnpike-config-XXXXXX", text[2048];
	struct config *c = NULL;
	int fd = mkstemp(path), n;

	cr_assert(fd >= 0);
	n = snprintf(text, sizeof(text), HEAD "%s%s", listeners, section);
	cr_assert_eq(write(fd, text, (size_t)n), (ssize_t)n);
	close(fd);
	error[0] = '\0';
	config_parse(path, &c, error, sizeof(error));
	unlink(path);
	return c;
}

static void refused(const char *listeners, const char *section, const char *expected)
{
	struct config *c = parse(listeners, section);

	cr_assert_null(c, "accepted instead of \"%s\"", expected);
	cr_assert_not_null(strstr(error, expected), "\n  is:     %s\n  wanted: %s", error,
			   expected);
}

Test(nat_discovery_section, is_off_by_default)
{
	struct config *c = parse(LISTENERS, "");

	cr_assert_not_null(c, "%s", error);
	for (uint32_t i = 0; i < c->n_listeners; i++)
		cr_assert_not(c->listeners[i].has_other);
	config_free(c);
}

Test(nat_discovery_section, rfc5780_each_listener_knows_the_one_of_other_address_and_port)
{
	static const uint8_t other[] = { 4, 3, 0xff, 1, 0 };
	struct config *c = parse(LISTENERS, SECTION);

	cr_assert_not_null(c, "%s", error);
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
	struct config *c = parse("listeners:\n"
				 "  - {address: 192.0.2.1, port: 5000}\n"
				 "  - {address: 192.0.2.1, port: 5001}\n"
				 "  - {address: 192.0.2.2, port: 5000}\n"
				 "  - {address: 192.0.2.2, port: 5001}\n",
				 SECTION "    port: 5000\n    alternate_port: 5001\n");

	cr_assert_not_null(c, "%s", error);
	cr_assert_eq(c->listeners[0].other_idx, 3);
	cr_assert_eq(c->listeners[1].other_idx, 2);
	config_free(c);
}

Test(nat_discovery_section, refusals_name_line_and_remedy)
{
	refused("listeners:\n  - address: 192.0.2.1\n", SECTION,
		":8: nat_discovery[0]: no listener for UDP at 192.0.2.2:3478, but both");
	refused("listeners: [{address: 192.0.2.1}, {address: 192.0.2.2}]\n", SECTION,
		":7: nat_discovery[0]: no listener for UDP at 192.0.2.1:3479");
	refused(LISTENERS, "nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: x\n",
		":13: nat_discovery[0].alternate_address: 'x' is no IP address");
	refused(LISTENERS,
		"nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: 192.0.2.1\n",
		"the same as address");
	refused(LISTENERS,
		"nat_discovery:\n  - address: 192.0.2.1\n    alternate_address: \"2001:db8::1\"\n",
		"of another family");
	refused(LISTENERS, SECTION "    alternate_port: 3478\n", "the same as port");
	refused(LISTENERS, SECTION "    port: 70000\n", "70000 is out of range");
	refused(LISTENERS, SECTION "    prt: 1\n", "prt: unknown key; did you mean 'port'?");
	refused(LISTENERS, "nat_discovery:\n  - address: 192.0.2.1\n", "alternate_address");
	refused(LISTENERS, SECTION "  - {address: 192.0.2.1, alternate_address: 192.0.2.2}\n",
		"is part of another entry already");
}

Test(nat_discovery_section, credit_of_the_filters_answers)
{
	struct config *c = parse(LISTENERS, "");

	cr_assert_not_null(c, "%s", error);
	cr_assert_eq(c->filter_answer_credit_bytes, 512);
	config_free(c);
	c = parse(LISTENERS, "limits: {filter_answer_credit_bytes: 0}\n");
	cr_assert_not_null(c, "%s", error);
	cr_assert_eq(c->filter_answer_credit_bytes, 0);
	config_free(c);
	refused(LISTENERS, "limits: {filter_answer_credit_bytes: 2000000000}\n", "out of range");
}
