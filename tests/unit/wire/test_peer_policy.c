// Where a relay may send to: classes, the operator's rules, own addresses, and all of it through embeddings
// (CVE-2018-4058, CVE-2020-26262).
#include <criterion/criterion.h>

#include "dataplane/contract/wire/peer_policy.h"

#define NO_RULE UINT32_MAX

static struct peer_rule rule(const char *prefix, uint8_t action)
{
	struct peer_rule r = { .action = action };

	cr_assert_eq(ip_prefix_parse(prefix, &r.prefix), 0, "%s", prefix);
	return r;
}

static struct peer_local local(const char *address, bool is_relayed)
{
	struct peer_local l = { .is_inside = is_relayed };

	cr_assert_eq(ip_address_parse(address, &l.address), 0, "%s", address);
	return l;
}

struct expectation {
	const char *peer;
	enum peer_verdict verdict;
	uint32_t rule_idx;
};

static void check(const struct peer_policy *p, const struct expectation *e, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ip_address peer;
		uint32_t rule_idx = 12345;

		cr_assert_eq(ip_address_parse(e[i].peer, &peer), 0, "%s", e[i].peer);
		cr_assert_eq(peer_policy_check(p, &peer, &rule_idx), e[i].verdict, "%s: %d",
			     e[i].peer, peer_policy_check(p, &peer, NULL));
		cr_assert_eq(rule_idx, e[i].rule_idx, "%s: rule %u", e[i].peer, rule_idx);
	}
}

#define CHECK(policy, expectations)                                                                \
	check(policy, expectations, sizeof(expectations) / sizeof((expectations)[0]))

Test(peer_policy, without_rules_only_global_addresses)
{
	static const struct expectation expected[] = {
		{ "8.8.8.8", PEER_ALLOWED, NO_RULE },
		{ "2606:4700::1", PEER_ALLOWED, NO_RULE },
		{ "64:ff9b::8.8.8.8", PEER_ALLOWED, NO_RULE },
		{ "10.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "0.0.0.0", PEER_DENIED_CLASS, NO_RULE },
		{ "::", PEER_DENIED_CLASS, NO_RULE },
		{ "::1", PEER_DENIED_CLASS, NO_RULE },
		{ "::ffff:127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "::127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "64:ff9b::127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "2002:7f00:1::1", PEER_DENIED_CLASS, NO_RULE },
		{ "198.18.0.20", PEER_DENIED_CLASS, NO_RULE },
		{ "fd00:18::20", PEER_DENIED_CLASS, NO_RULE },
		{ "224.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "255.255.255.255", PEER_DENIED_CLASS, NO_RULE },
	};
	const struct peer_policy p = { .rules = NULL };

	CHECK(&p, expected);
}

Test(peer_policy, longest_rule_decides_and_deny_wins_a_tie)
{
	const struct peer_rule rules[] = {
		rule("198.18.0.0/15", PEER_ACTION_ALLOW), rule("198.18.0.128/25", PEER_ACTION_DENY),
		rule("198.18.0.200", PEER_ACTION_ALLOW),  rule("8.8.8.0/24", PEER_ACTION_DENY),
		rule("10.1.0.0/16", PEER_ACTION_ALLOW),   rule("10.1.0.0/16", PEER_ACTION_DENY),
		rule("10.2.0.0/16", PEER_ACTION_DENY),    rule("10.2.0.0/16", PEER_ACTION_ALLOW),
		rule("fd00:18::/64", PEER_ACTION_ALLOW),
	};
	const struct peer_policy p = { .rules = rules,
				       .n_rules = sizeof(rules) / sizeof(rules[0]) };
	static const struct expectation expected[] = {
		{ "198.18.0.20", PEER_ALLOWED, 0 },
		{ "198.18.0.129", PEER_DENIED_RULE, 1 },
		{ "198.18.0.200", PEER_ALLOWED, 2 },
		{ "8.8.8.8", PEER_DENIED_RULE, 3 },
		{ "8.8.4.4", PEER_ALLOWED, NO_RULE },
		{ "10.1.2.3", PEER_DENIED_RULE, 5 },
		{ "10.2.2.3", PEER_DENIED_RULE, 6 },
		{ "10.3.2.3", PEER_DENIED_CLASS, NO_RULE },
		{ "fd00:18::20", PEER_ALLOWED, 8 },
		{ "fd00:19::20", PEER_DENIED_CLASS, NO_RULE },
		{ "64:ff9b::8.8.8.8", PEER_DENIED_RULE, 3 },
	};

	CHECK(&p, expected);
}

// What no unicast peer has stays shut, however wide the operator's rule.
Test(peer_policy, some_classes_cannot_be_opened)
{
	const struct peer_rule rules[] = { rule("0.0.0.0/0", PEER_ACTION_ALLOW),
					   rule("::/0", PEER_ACTION_ALLOW) };
	const struct peer_policy p = { .rules = rules, .n_rules = 2 };
	static const struct expectation expected[] = {
		{ "10.0.0.1", PEER_ALLOWED, 0 },
		{ "fd00::1", PEER_ALLOWED, 1 },
		{ "0.0.0.0", PEER_DENIED_CLASS, NO_RULE },
		{ "127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "224.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "255.255.255.255", PEER_DENIED_CLASS, NO_RULE },
		{ "::", PEER_DENIED_CLASS, NO_RULE },
		{ "::1", PEER_DENIED_CLASS, NO_RULE },
		{ "ff02::1", PEER_DENIED_CLASS, NO_RULE },
		{ "::127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "64:ff9b::127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "64:ff9b:1::127.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "2002:7f00:1::1", PEER_DENIED_CLASS, NO_RULE },
	};

	CHECK(&p, expected);
}

// A rule for all of IPv6 says nothing of IPv4, and the other way round.
Test(peer_policy, families_stay_apart)
{
	const struct peer_rule only_v6[] = { rule("::/0", PEER_ACTION_ALLOW) };
	const struct peer_rule only_v4[] = { rule("0.0.0.0/0", PEER_ACTION_DENY) };
	const struct peer_policy p6 = { .rules = only_v6, .n_rules = 1 };
	const struct peer_policy p4 = { .rules = only_v4, .n_rules = 1 };
	static const struct expectation expected6[] = {
		{ "10.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "fd00::1", PEER_ALLOWED, 0 },
	};
	static const struct expectation expected4[] = {
		{ "8.8.8.8", PEER_DENIED_RULE, 0 },
		{ "2606:4700::1", PEER_ALLOWED, NO_RULE },
		{ "64:ff9b::8.8.8.8", PEER_DENIED_RULE, 0 },
	};

	CHECK(&p6, expected6);
	CHECK(&p4, expected4);
}

Test(peer_policy, own_addresses_in_every_embedding)
{
	const struct peer_rule rules[] = { rule("0.0.0.0/0", PEER_ACTION_ALLOW),
					   rule("::/0", PEER_ACTION_ALLOW),
					   rule("203.0.113.9", PEER_ACTION_DENY) };
	const struct peer_local locals[] = { local("203.0.113.7", false),
					     local("203.0.113.8", true), local("203.0.113.9", true),
					     local("fd00:18::2", false),
					     local("fd00:18::3", true) };
	const struct peer_policy p = {
		.rules = rules, .n_rules = 3, .locals = locals, .n_locals = 5
	};
	static const struct expectation expected[] = {
		{ "203.0.113.7", PEER_DENIED_LOCAL, NO_RULE },
		{ "203.0.113.8", PEER_ALLOWED_HAIRPIN, NO_RULE },
		{ "203.0.113.9", PEER_DENIED_RULE, 2 },
		{ "203.0.113.10", PEER_ALLOWED, 0 },
		{ "fd00:18::2", PEER_DENIED_LOCAL, NO_RULE },
		{ "fd00:18::3", PEER_ALLOWED_HAIRPIN, NO_RULE },
		{ "fd00:18::4", PEER_ALLOWED, 1 },
		{ "::ffff:203.0.113.7", PEER_DENIED_LOCAL, NO_RULE },
		{ "::203.0.113.7", PEER_DENIED_LOCAL, NO_RULE },
		{ "::ffff:0:203.0.113.7", PEER_DENIED_LOCAL, NO_RULE },
		{ "2002:cb00:7107::1", PEER_DENIED_LOCAL, NO_RULE },
		{ "64:ff9b::203.0.113.7", PEER_DENIED_LOCAL, NO_RULE },
		{ "64:ff9b:1::203.0.113.7", PEER_DENIED_LOCAL, NO_RULE },
		{ "64:ff9b:1:cb00:71:700::", PEER_DENIED_LOCAL, NO_RULE },
		{ "2001:0:cb00:7107::f7f7:f7f7", PEER_DENIED_LOCAL, NO_RULE },
		{ "2001:0:808:808::34ff:8ef8", PEER_DENIED_LOCAL, NO_RULE },
		// Even a relayed one: hairpin is for those who name it plainly.
		{ "64:ff9b::203.0.113.8", PEER_DENIED_LOCAL, NO_RULE },
	};

	CHECK(&p, expected);
}

// What an embedding's own rule allows does not count for the outer address.
Test(peer_policy, opening_the_inner_address_opens_no_embedding)
{
	const struct peer_rule rules[] = { rule("10.0.0.0/8", PEER_ACTION_ALLOW) };
	const struct peer_policy p = { .rules = rules, .n_rules = 1 };
	static const struct expectation expected[] = {
		{ "10.0.0.1", PEER_ALLOWED, 0 },
		{ "64:ff9b::10.0.0.1", PEER_DENIED_CLASS, NO_RULE },
		{ "2002:a00:1::1", PEER_DENIED_CLASS, NO_RULE },
	};

	CHECK(&p, expected);
}

// Rules of shared memory may hold any action: all but ALLOW deny.
Test(peer_policy, unknown_actions_deny)
{
	for (uint32_t action = 0; action < 256; action++) {
		const struct peer_rule rules[] = { rule("10.0.0.0/8", (uint8_t)action) };
		const struct peer_policy p = { .rules = rules, .n_rules = 1 };
		const struct expectation expected[] = {
			{ "10.0.0.1", action == PEER_ACTION_ALLOW ? PEER_ALLOWED : PEER_DENIED_RULE,
			  0 },
		};

		CHECK(&p, expected);
	}
}
