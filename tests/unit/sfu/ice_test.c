// Credentials and candidates of ICE-lite.
#include <criterion/criterion.h>
#include <errno.h>

#include "controlplane/sfu/ice.h"

Test(ice, rfc8445_5_3_credentials_are_fresh_and_name_the_transport)
{
	struct ice_credentials first;
	struct ice_credentials second;
	uint32_t transport_idx;
	uint16_t node_id;

	cr_assert_eq(ice_credentials_make(4711, 9, &first), 0);
	cr_assert_eq(ice_credentials_make(4711, 9, &second), 0);
	// RFC 8445 §9: a restart changes both.
	cr_assert_str_neq(first.ufrag, second.ufrag);
	cr_assert_str_neq(first.pwd, second.pwd);
	cr_assert_eq(strlen(first.pwd), ICE_PWD_CHARS);
	cr_assert(ice_ufrag_parse(second.ufrag, strlen(second.ufrag), &transport_idx, &node_id));
	cr_assert_eq(transport_idx, 4711);
	cr_assert_eq(node_id, 9);
	cr_assert_eq(ice_credentials_make(ICE_TRANSPORT_MAX, 9, &first), -EINVAL);
}

// Runs the listeners through and compares with the expected candidates, both separated by spaces.
static void candidates_are(const char *listeners, const char *expected, uint32_t max)
{
	struct ip_endpoint in[32];
	struct ip_endpoint out[32];
	char text[IP_ENDPOINT_TEXT_MAX];
	char joined[1024] = "";
	char copy[1024];
	uint32_t n_in = 0;
	uint32_t n;

	strcpy(copy, listeners);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		cr_assert_eq(ip_endpoint_parse(word, &in[n_in++]), 0, "%s", word);
	n = ice_host_candidates(in, n_in, out, max);
	for (uint32_t i = 0; i < n; i++) {
		strcat(joined, i > 0 ? " " : "");
		strcat(joined, ip_endpoint_format(&out[i], text, sizeof(text)));
	}
	cr_assert_str_eq(joined, expected);
}

Test(ice, rfc8421_4_families_take_turns)
{
	candidates_are("198.18.0.2:3478 198.18.0.3:3478 [fd00:18::2]:3478",
		       "[fd00:18::2]:3478 198.18.0.2:3478 198.18.0.3:3478", 32);
	candidates_are("[2001:db8::1]:1 [2001:db8::2]:1 192.0.2.1:1 192.0.2.2:1",
		       "[2001:db8::1]:1 192.0.2.1:1 [2001:db8::2]:1 192.0.2.2:1", 32);
}

Test(ice, rfc8445_5_1_1_1_forbidden_addresses_and_duplicates)
{
	candidates_are("127.0.0.1:1 [::1]:1 0.0.0.0:1 [::]:1 169.254.1.1:1 [fe80::1]:1 224.0.0.1:1 "
		       "255.255.255.255:1 [ff02::1]:1 [fec0::1]:1 [::192.0.2.1]:1",
		       "", 32);
	candidates_are("10.0.0.1:1 10.0.0.1:1 10.0.0.1:2 10.0.0.1:1", "10.0.0.1:1 10.0.0.1:2", 32);
}

Test(ice, candidates_stop_at_the_room_there_is)
{
	candidates_are("10.0.0.1:1 [fd00::1]:1 10.0.0.2:1", "[fd00::1]:1", 1);
	candidates_are("10.0.0.1:1 [fd00::1]:1 10.0.0.2:1", "", 0);
	candidates_are("", "", 32);
}
