// No relay to where it must not go (RFC 8656 §21.1.5): the dataplane alone, with permissions and channels in its tables to every
// special-purpose block in every embedding, as if the control plane had checked nothing.
#include <criterion/criterion.h>
#include <stdio.h>

#include "dataplane/contract/wire/stun.h"
#include "dataplane/contract/wire/turn.h"
#include "tests/burst/relaying.h"
#include "tests/vectors/special_blocks.h"

static uint16_t channel = 0x4000;
static uint32_t n_sent;
static uint8_t seen[512][17];
static uint32_t n_seen;

TestSuite(special_peers, .init = pipeline_init, .fini = pipeline_fini);

static uint64_t refused(void)
{
	return counted(DP_DROP_PEER_DENIED) + counted(DP_DROP_FAMILY_MISMATCH);
}

// Some addresses are in the lists twice: blocks of one address, 0.0.0.0 in front of nothing.
static bool is_seen(const uint8_t *address, int n_bytes)
{
	uint8_t entry[17] = { (uint8_t)n_bytes };

	memcpy(entry + 1, address, (size_t)n_bytes);
	for (uint32_t i = 0; i < n_seen; i++) {
		if (memcmp(seen[i], entry, sizeof(entry)) == 0)
			return true;
	}
	cr_assert_lt(n_seen, RTE_DIM(seen));
	memcpy(seen[n_seen++], entry, sizeof(entry));
	return false;
}

// A mapped address is the IPv4 address in the tables: it has the wrong family for an IPv6 relay, wherever it leads.
static void expect_refused(const uint8_t *address, int n_bytes, const char *name)
{
	static const char *const listener[2] = { LISTEN_V4, LISTEN_V6 };
	static const char *const client[2] = { CLIENT_V4, CLIENT_V6 };
	static const char *const relayed[2] = { RELAYED_V4, RELAYED_V6 };
	int is_v6 = n_bytes == 16;
	struct dress d = { .from = client[is_v6], .to = listener[is_v6] };
	char host[INET6_ADDRSTRLEN];
	char peer[INET6_ADDRSTRLEN + 8];

	if (is_seen(address, n_bytes))
		return;
	// Written so that the peer's port is one that any host may have.
	inet_ntop(is_v6 ? AF_INET6 : AF_INET, address, host, sizeof(host));
	snprintf(peer, sizeof(peer), is_v6 ? "[%s]:80" : "%s:80", host);
	program_permission(client[is_v6], relayed[is_v6], peer, true);
	program_channel(client[is_v6], relayed[is_v6], peer, channel, true);

	forget_counted();
	send_channel(client[is_v6], channel++, 5);
	cr_expect_eq(refused(), 1, "ChannelData to %s", name);
	forget_counted();
	send_datagram(&d, message, send_indication(message, peer, data, 5));
	cr_expect_eq(refused(), 1, "Send to %s", name);
	expect_nothing_sent();
	n_sent += 2;
}

Test(special_peers, rfc8656_21_1_5_nothing_is_sent_there_whatever_the_tables_say)
{
	settings.n_peer_rules = 0;
	settings_publish();
	program_allocation(CLIENT_V4, RELAYED_V4, true);
	program_allocation(CLIENT_V6, RELAYED_V6, true);
	special_each(expect_refused);
	cr_assert_gt(n_sent, 600);
}
