// alternate_servers, mobility and the limits of allocations: defaults, values, and what is refused.
#include <criterion/criterion.h>

#include "tests/unit/config/section_fixture.h"

const char section_head[] = SECTION_HEAD;

Test(alternates, nobody_is_sent_away_by_default)
{
	struct config *c = section_parse("");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert(c->n_alternates == 0 && !c->alternates_balance);
	cr_assert(c->mobility);
	cr_assert(c->permissions_per_allocation == 256 && c->channels_per_allocation == 256);
	cr_assert(c->new_peers_per_s_per_allocation == 0 && c->bytes_per_s_per_allocation == 0 &&
		  c->bytes_per_s_per_user == 0);
	config_free(c);
}

Test(alternates, servers_are_read_with_their_defaults)
{
	struct config *c =
		section_parse("alternate_servers:\n"
			      "  mode: balance\n"
			      "  own_weight: 2\n"
			      "  servers:\n"
			      "    - {address: 192.0.2.20}\n"
			      "    - {address: '2001:db8::20', port: 80, tls_port: 443, weight: "
			      "5, domain: turn2.example.org}\n"
			      "mobility: false\n");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert(c->alternates_balance && c->alternates_own_weight == 2 && c->n_alternates == 2);
	cr_assert(c->alternates[0].port_be == __builtin_bswap16(3478) &&
		  c->alternates[0].tls_port_be == __builtin_bswap16(5349) &&
		  c->alternates[0].weight == 1 && c->alternates[0].domain == NULL);
	cr_assert(c->alternates[1].port_be == __builtin_bswap16(80) &&
		  c->alternates[1].tls_port_be == __builtin_bswap16(443) &&
		  c->alternates[1].weight == 5);
	cr_assert_str_eq(c->alternates[1].domain, "turn2.example.org");
	cr_assert_not(c->mobility);
	config_free(c);
}

Test(alternates, what_makes_no_sense_is_refused_with_its_line)
{
	section_refused("alternate_servers:\n  mode: never\n  servers: [{address: 192.0.2.20}]\n",
			":8: alternate_servers.mode: 'never' is neither draining");
	section_refused("alternate_servers:\n  servers: []\n",
			"alternate_servers.servers: 0 servers");
	section_refused("alternate_servers:\n  servers: [{address: turn2}]\n",
			"alternate_servers.servers[0].address: 'turn2' is no IP address");
	section_refused("alternate_servers:\n  servers: [{address: 192.0.2.1}]\n",
			"is listeners[0] of this host");
	section_refused("alternate_servers:\n  servers: [{address: 192.0.2.20, port: 0}]\n",
			"alternate_servers.servers[0].port: 0 is out of range");
	section_refused("alternate_servers:\n  servers: [{address: 192.0.2.20, weight: 101}]\n",
			"alternate_servers.servers[0].weight: 101 is out of range");
	section_refused("alternate_servers:\n  servers: [{address: 192.0.2.20, domain: ''}]\n",
			"alternate_servers.servers[0].domain");
}

Test(limits, of_allocations_are_read_and_bounded)
{
	struct config *c =
		section_parse("limits: {permissions_per_allocation: 8, channels_per_allocation: "
			      "4, new_peers_per_second_per_allocation: 10, "
			      "bytes_per_second_per_allocation: 500000, "
			      "bytes_per_second_per_user: 1000000}\n");

	cr_assert_not_null(c, "%s", section_error);
	cr_assert(c->permissions_per_allocation == 8 && c->channels_per_allocation == 4 &&
		  c->new_peers_per_s_per_allocation == 10 &&
		  c->bytes_per_s_per_allocation == 500000 && c->bytes_per_s_per_user == 1000000);
	config_free(c);
	section_refused("limits: {permissions_per_allocation: 0}\n",
			":7: limits.permissions_per_allocation: 0 is out of range");
	section_refused("limits: {channels_per_allocation: 5000}\n",
			"limits.channels_per_allocation: 5000 is out of range");
	section_refused(
		"limits: {bytes_per_second_per_user: 100}\n",
		"limits.bytes_per_second_per_user: 100 bytes per second are less than a packet");
}
