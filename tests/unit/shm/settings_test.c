// The check of settings: each bound, from both of its sides.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "dataplane/contract/shm/settings.h"

static struct shm_settings s;

static void set_up(void)
{
	memset(&s, 0, sizeof(s));
	s.n_workers = 2;
	s.n_ports = 1;
	s.n_locals = 2;
	s.n_listeners = 1;
	s.n_peer_rules = 1;
	s.punt_per_source_per_sec = 100;
	s.punt_burst_pkts = 10;
	s.n_realms = 2;
	strcpy(s.realm[0].name, "example.org");
	s.realm[0].name_bytes = 11;
	strcpy(s.realm[1].name, "other");
	s.realm[1].name_bytes = 5;
	s.listener[0].other_idx = SHM_LISTENER_NONE;
	s.peer_rule[0].realm_idx = SHM_REALM_ANY;
	s.memory_mb = 256;
	s.worker_cpu[0] = 1;
	s.worker_cpu[1] = UINT32_MAX;
	strcpy(s.port[0].device, "net_ring0");
	s.port[0].n_queues = 2;
	s.port[0].mtu_bytes = 1500;
	s.local[0].address[15] = 1;
	s.local[0].flags = SHM_LOCAL_F_LISTENER;
	s.local[1].address[15] = 2;
	s.local[1].flags = SHM_LOCAL_F_RELAY;
	s.local[1].relay_port_min = 49152;
	s.local[1].relay_port_max = 65535;
	s.listener[0].port_be = 1;
	s.peer_rule[0].length_bits = 128;
	s.peer_rule[0].action = SHM_PEER_DENY;
}

TestSuite(settings, .init = set_up);

static void expect_fits(void)
{
	const char *why = "";

	cr_assert_eq(shm_settings_check(&s, &why), 0, "%s", why);
}

#define REFUSED(field, statement)                                                                  \
	do {                                                                                       \
		struct shm_settings good = s;                                                      \
		const char *why = "none";                                                          \
		statement;                                                                         \
		cr_assert_eq(shm_settings_check(&s, &why), -EINVAL, "%s", #statement);             \
		cr_assert_str_eq(why, field, "%s: %s", #statement, why);                           \
		s = good;                                                                          \
		expect_fits();                                                                     \
	} while (0)

Test(settings, counts)
{
	expect_fits();
	REFUSED("n_workers", s.n_workers = 0);
	REFUSED("n_workers", s.n_workers = SHM_WORKERS_MAX + 1);
	REFUSED("n_workers", s.n_workers = UINT32_MAX);
	REFUSED("idle", s.idle = SHM_IDLE_COUNT);
	REFUSED("n_ports", s.n_ports = 0);
	REFUSED("n_ports", s.n_ports = SHM_PORTS_MAX + 1);
	REFUSED("n_locals", s.n_locals = SHM_LOCALS_MAX + 1);
	REFUSED("n_listeners", s.n_listeners = SHM_LISTENERS_MAX + 1);
	REFUSED("n_peer_rules", s.n_peer_rules = SHM_PEER_RULES_MAX + 1);
	REFUSED("punt_burst_pkts", s.punt_burst_pkts = 0);
	REFUSED("memory_mb", s.memory_mb = (1u << 20) + 1);
	REFUSED("worker_cpu", s.worker_cpu[1] = 1024);
	cr_assert_eq(shm_settings_check(&s, NULL), 0);
	s.n_workers = 0;
	cr_assert_eq(shm_settings_check(&s, NULL), -EINVAL);
}

Test(settings, counts_at_their_ends)
{
	s.n_workers = SHM_WORKERS_MAX;
	s.n_ports = SHM_PORTS_MAX;
	for (uint32_t i = 0; i < SHM_PORTS_MAX; i++)
		s.port[i] = s.port[0];
	s.n_locals = SHM_LOCALS_MAX;
	for (uint32_t i = 1; i < SHM_LOCALS_MAX; i++)
		s.local[i] = s.local[1];
	s.n_listeners = SHM_LISTENERS_MAX;
	for (uint32_t i = 0; i < SHM_LISTENERS_MAX; i++)
		s.listener[i] = s.listener[0];
	s.n_peer_rules = SHM_PEER_RULES_MAX;
	for (uint32_t i = 0; i < SHM_PEER_RULES_MAX; i++)
		s.peer_rule[i] = s.peer_rule[0];
	expect_fits();
	REFUSED("port.n_queues", s.port[SHM_PORTS_MAX - 1].n_queues = 0);
	REFUSED("local.port_idx", s.local[SHM_LOCALS_MAX - 1].port_idx = SHM_PORTS_MAX);
	REFUSED("listener.port_be", s.listener[SHM_LISTENERS_MAX - 1].port_be = 0);
	REFUSED("peer_rule.action", s.peer_rule[SHM_PEER_RULES_MAX - 1].action = 0);
	s.punt_per_source_per_sec = s.punt_burst_pkts = 0;
	expect_fits();
}

Test(settings, realm)
{
	struct shm_realm *r = &s.realm[1];

	REFUSED("n_realms", s.n_realms = 0);
	REFUSED("n_realms", s.n_realms = SHM_REALMS_MAX + 1);
	REFUSED("realm", r->name_bytes = 124);
	REFUSED("realm", r->name_bytes = UINT32_MAX);
	REFUSED("realm", r->name_bytes = 4);
	REFUSED("realm", r->name_bytes = 6);
	REFUSED("realm", r->name[3] = 0);
	REFUSED("realm", memset(r->name, 'x', sizeof(r->name)));
	memset(r->name, 'x', sizeof(r->name) - 1);
	r->name_bytes = 123;
	expect_fits();
	memset(r, 0, sizeof(*r));
	expect_fits();
}

Test(settings, realms_of_listeners_and_rules)
{
	REFUSED("listener.realm_idx", s.listener[0].realm_idx = 2);
	REFUSED("peer_rule.realm_idx", s.peer_rule[0].realm_idx = 2);
	s.listener[0].realm_idx = s.peer_rule[0].realm_idx = 1;
	expect_fits();
}

Test(settings, rfc5780_other_address_is_a_listener)
{
	REFUSED("listener.other_idx", s.listener[0].other_idx = 1);
	s.listener[0].other_idx = 0;
	expect_fits();
}

Test(settings, rfc7635_authorization_server)
{
	REFUSED("oauth_name", s.oauth_name_bytes = 1);
	REFUSED("oauth_name", s.oauth_name_bytes = UINT32_MAX);
	REFUSED("oauth_name", s.oauth_name[0] = 'x');
	strcpy(s.oauth_name, "as");
	s.oauth_name_bytes = 2;
	expect_fits();
}

Test(settings, port)
{
	REFUSED("port.device", s.port[0].device[0] = 0);
	REFUSED("port.device", memset(s.port[0].device, 'x', sizeof(s.port[0].device)));
	REFUSED("port.interface", memset(s.port[0].interface, 'x', sizeof(s.port[0].interface)));
	REFUSED("port.n_queues", s.port[0].n_queues = 0);
	REFUSED("port.n_queues", s.port[0].n_queues = SHM_WORKERS_MAX + 1);
	REFUSED("port.mtu_bytes", s.port[0].mtu_bytes = 67);
	REFUSED("port.kernel_path", s.port[0].kernel_path = SHM_KERNEL_PATH_COUNT);
}

Test(settings, local)
{
	REFUSED("local.address", memset(s.local[0].address, 0, 16));
	REFUSED("local.port_idx", s.local[1].port_idx = 1);
	REFUSED("local.flags", s.local[1].flags |= 8);
	REFUSED("local.relay_port_min", s.local[1].relay_port_min = 0);
	REFUSED("local.relay_port_max", s.local[1].relay_port_max = 49151);
	s.local[1].relay_port_max = 49152;
	expect_fits();
}

Test(settings, listener)
{
	REFUSED("listener.local_idx", s.listener[0].local_idx = 2);
	REFUSED("listener.local_idx", s.listener[0].local_idx = 255);
	REFUSED("listener.local_idx", s.listener[0].local_idx = 1); // a relayed address only
	REFUSED("listener.port_be", s.listener[0].port_be = 0);
}

Test(settings, peer_rule)
{
	REFUSED("peer_rule.length_bits", s.peer_rule[0].length_bits = 129);
	REFUSED("peer_rule.action", s.peer_rule[0].action = 0);
	REFUSED("peer_rule.action", s.peer_rule[0].action = 3);
	s.peer_rule[0].length_bits = 0;
	s.peer_rule[0].action = SHM_PEER_ALLOW;
	expect_fits();
}
