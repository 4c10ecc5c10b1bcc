// The configuration file: what is accepted, what the defaults are, and the exact line for what is refused.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/config.h"

#define MINIMAL                                                                                    \
	"realm: relay.example\n"                                                                   \
	"listeners:\n"                                                                             \
	"  - address: 192.0.2.1\n"                                                                 \
	"relay:\n"                                                                                 \
	"  addresses: [192.0.2.2]\n"                                                               \
	"users:\n"                                                                                 \
	"  - name: alice\n"                                                                        \
	"    password: secret\n"                                                                   \
	"ports:\n"                                                                                 \
	"  - device: af_xdp\n"                                                                     \
	"    interface: eth7\n"

static char error[512];

// Parses the text as a file; the error is left without the file's own name.
static struct config *parse(const char *text)
{
	char path[] = "/tmp/turnpike-config-XXXXXX", line[512] = "";
	struct config *c = NULL;
	int fd = mkstemp(path), ret;

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	ret = config_parse(path, &c, line, sizeof(line));
	unlink(path);
	cr_assert_eq(ret == 0, c != NULL);
	cr_assert_eq(ret == 0, line[0] == '\0');
	if (ret < 0)
		cr_assert_eq(strncmp(line, path, strlen(path)), 0, "%s", line);
	snprintf(error, sizeof(error), "%s", ret < 0 ? line + strlen(path) : "");
	return c;
}

static void refused(const char *text, const char *expected)
{
	struct config *c = parse(text);

	cr_assert_null(c, "accepted instead of \"%s\"", expected);
	cr_assert_eq(strcmp(error, expected), 0, "\n  is:     %s\n  wanted: %s", error, expected);
	cr_assert_null(strchr(error, '\n'), "more than one line");
}

Test(config, defaults)
{
	struct config *c = parse(MINIMAL);
	// printf '%s' alice:relay.example:secret | md5sum
	const uint8_t key[16] = { 0x77, 0x55, 0x1d, 0x81, 0x64, 0xaf, 0x34, 0x97,
				  0x82, 0xc9, 0xe7, 0x1c, 0xe7, 0xa7, 0x13, 0xde };

	cr_assert_not_null(c, "%s", error);
	cr_expect_str_eq(c->instance, "default");
	cr_expect_str_eq(c->realm, "relay.example");
	cr_expect(c->software_attribute);
	cr_expect_not(c->rfc5766_channels);
	cr_assert_eq(c->n_listeners, 1);
	cr_expect_eq(ntohs(c->listeners[0].endpoint.port_be), 3478);
	cr_expect(ip_address_is_v4(&c->listeners[0].endpoint.address));
	cr_assert_eq(c->n_relays, 1);
	cr_expect_eq(c->relay_port_min, 49152);
	cr_expect_eq(c->relay_port_max, 65535);
	cr_assert_eq(c->n_users, 1);
	cr_expect_str_eq(c->users[0].name, "alice");
	cr_expect_arr_eq(c->users[0].key, key, 16);
	cr_expect_eq(c->n_rest_secrets, 0);
	cr_expect_null(c->nonce_secret);
	cr_expect_eq(c->lifetime_max_s, 3600);
	cr_expect_eq(c->quota_total, 0);
	cr_expect_eq(c->quota_per_user, 0);
	cr_expect_eq(c->n_peer_rules, 0);
	cr_assert_eq(c->n_ports, 1);
	cr_expect_str_eq(c->ports[0].settings.device,
			 "net_af_xdp0,iface=eth7,start_queue=0,queue_count=1,busy_budget=0");
	cr_expect_str_eq(c->ports[0].settings.interface, "eth7");
	cr_expect_eq(c->ports[0].settings.kernel_path, SHM_KERNEL_PATH_BESIDE);
	cr_expect_eq(c->ports[0].settings.mtu_bytes, 1500);
	cr_expect_eq(c->ports[0].settings.n_queues, 1);
	cr_expect_not(c->ports[0].has_gateway_mac);
	cr_expect_eq(c->n_workers, 1);
	cr_expect_eq(c->worker_cpu[0], UINT32_MAX);
	cr_expect_eq(c->idle, SHM_IDLE_ADAPTIVE);
	cr_expect_eq(c->memory_mb, 256);
	cr_expect_eq(c->max_allocations, 65536);
	cr_expect_eq(c->max_flows, 262144);
	cr_expect_eq(c->punt_per_source_per_sec, 2000);
	cr_expect_eq(c->punt_burst_pkts, 4000);
	cr_expect_eq(c->filter_stun_per_source_per_sec, 20000);
	cr_expect_eq(c->filter_stun_burst_pkts, 20000);
	cr_expect(c->filter_answers_stun);
	config_free(c);
}

Test(config, everything)
{
	struct config *c = parse("instance: edge-1\n"
				 "realm: relay.example\n"
				 "software_attribute: false\n"
				 "rfc5766_channels: true\n"
				 "listeners:\n"
				 "  - {address: 192.0.2.1, port: 3478}\n"
				 "  - {address: 192.0.2.1, port: 443}\n"
				 "  - {address: '2001:db8::1'}\n"
				 "relay:\n"
				 "  addresses: [192.0.2.1, '2001:db8::2']\n"
				 "  min_port: 20000\n"
				 "  max_port: 29999\n"
				 "users:\n"
				 "  - {name: bob, key: 425B1c1e40a3b22abac9ff41f64b892e}\n"
				 "rest_secrets: [first-secret, second-secret]\n"
				 "nonce_secret: 0123456789abcdef\n"
				 "lifetime_max_seconds: 600\n"
				 "quota: {total: 100, per_user: 5}\n"
				 "peers:\n"
				 "  allow: [10.0.0.0/8, 'fd00::/8']\n"
				 "  deny: [10.1.0.0/16]\n"
				 "ports:\n"
				 "  - device: 0000:01:00.0\n"
				 "    mtu: 9000\n"
				 "    vlan: 7\n"
				 "  - device: net_memif0,role=server,id=0\n"
				 "    gateway_mac: 02:00:00:00:00:01\n"
				 "    queues: 1\n"
				 "workers: {cpus: [2, 3], idle: poll}\n"
				 "memory_mb: 1024\n"
				 "tables: {max_allocations: 1000, max_flows: 4000}\n"
				 "limits:\n"
				 "  punt_per_source_per_second: 0\n"
				 "  punt_burst: 10\n"
				 "  filter_stun_per_source_per_second: 50\n"
				 "filter: {answer_stun: false}\n");

	cr_assert_not_null(c, "%s", error);
	cr_expect_str_eq(c->instance, "edge-1");
	cr_expect_not(c->software_attribute);
	cr_expect(c->rfc5766_channels);
	cr_expect_eq(c->n_listeners, 3);
	cr_expect_eq(c->n_relays, 2);
	cr_expect_eq(c->relay_port_min, 20000);
	cr_expect_eq(c->relay_port_max, 29999);
	cr_expect_eq(c->users[0].key[0], 0x42);
	cr_expect_eq(c->users[0].key[15], 0x2e);
	cr_expect_eq(c->n_rest_secrets, 2);
	cr_expect_str_eq(c->rest_secrets[1], "second-secret");
	cr_expect_str_eq(c->nonce_secret, "0123456789abcdef");
	cr_expect_eq(c->lifetime_max_s, 600);
	cr_expect_eq(c->quota_total, 100);
	cr_expect_eq(c->quota_per_user, 5);
	cr_assert_eq(c->n_peer_rules, 3);
	cr_expect_eq(c->peer_rules[0].action, SHM_PEER_ALLOW);
	cr_expect_eq(c->peer_rules[0].prefix.length_bits, 96 + 8);
	cr_expect_eq(c->peer_rules[2].action, SHM_PEER_DENY);
	cr_expect_eq(c->n_workers, 2);
	cr_expect_eq(c->worker_cpu[1], 3);
	cr_expect_eq(c->idle, SHM_IDLE_POLL);
	cr_expect_str_eq(c->ports[0].settings.device, "0000:01:00.0");
	cr_expect_eq(c->ports[0].settings.kernel_path, SHM_KERNEL_PATH_TAP);
	cr_expect_str_eq(c->ports[0].settings.interface, "turnpike0");
	cr_expect_eq(c->ports[0].settings.n_queues, 2);
	cr_expect_eq(c->ports[0].vlan_id, 7);
	cr_expect_eq(c->ports[1].settings.kernel_path, SHM_KERNEL_PATH_NONE);
	cr_expect_eq(c->ports[1].settings.n_queues, 1);
	cr_expect(c->ports[1].has_gateway_mac);
	cr_expect_eq(c->ports[1].gateway_mac[0], 2);
	cr_expect_eq(c->ports[1].line, 26);
	cr_expect_eq(c->memory_mb, 1024);
	cr_expect_eq(c->max_flows, 4000);
	cr_expect_eq(c->punt_per_source_per_sec, 0);
	cr_expect_eq(c->punt_burst_pkts, 10);
	cr_expect_eq(c->filter_stun_burst_pkts, 50);
	cr_expect_not(c->filter_answers_stun);
	config_free(c);
}

Test(config, schema_unknown_key)
{
	refused(MINIMAL "reaml: x\n", ":12: reaml: unknown key; did you mean 'realm'?");
	refused("realm: x\nlisteners:\n  - address: 192.0.2.1\n    prt: 1\n",
		":4: listeners[0].prt: unknown key; did you mean 'port'?");
	refused(MINIMAL "quota:\n  everything: 1\n",
		":13: quota.everything: unknown key; known here: total, per_user");
	refused(MINIMAL "quota:\n  \"a\\nb\": 1\n",
		":13: quota.a?b: unknown key; known here: total, per_user");
}

Test(config, schema_missing_key)
{
	refused("realm: x\n", ":1: listeners: missing; add 'listeners:' with a list, each entry on "
			      "a line of its own behind '- '");
	refused("realm: x\nlisteners:\n  - port: 3478\n",
		":3: listeners[0].address: missing; add 'address:' with one text");
	refused("realm: x\nlisteners:\n  - address: 192.0.2.1\nrelay:\n  min_port: 5000\n",
		":4: relay.addresses: missing; add 'addresses:' with a list, each entry on a line "
		"of its own behind '- '");
}

Test(config, schema_wrong_type)
{
	refused(MINIMAL "memory_mb: lots\n",
		":12: memory_mb: wrong type; it takes a whole number from 0 to 4294967295");
	refused(MINIMAL "memory_mb: -1\n",
		":12: memory_mb: wrong type; it takes a whole number from 0 to 4294967295");
	refused(MINIMAL "memory_mb: 0256\n",
		":12: memory_mb: wrong type; it takes a whole number from 0 to 4294967295");
	refused(MINIMAL "memory_mb: 99999999999\n",
		":12: memory_mb: wrong type; it takes a whole number from 0 to 4294967295");
	refused(MINIMAL "memory_mb:\n",
		":12: memory_mb: empty; give it a whole number from 0 to 4294967295, or leave the "
		"key out");
	refused(MINIMAL "software_attribute: maybe\n",
		":12: software_attribute: wrong type; it takes true or false");
	refused(MINIMAL "rest_secrets: hunter22\n",
		":12: rest_secrets: wrong type; it takes a list, each entry on a line of its own "
		"behind '- '");
	refused(MINIMAL "quota: 3\n",
		":12: quota: wrong type; it takes a block of 'key: value' lines");
	refused("realm: [a, b]\n", ":1: realm: wrong type; it takes one text");
	refused("- a\n", ":1: wrong type; it takes a block of 'key: value' lines");
}

Test(config, schema_document)
{
	refused("", ":1: the file is empty; start from the sample turnpike.yaml");
	refused(MINIMAL "realm: again\n", ":12: realm: given twice (first on line 1); keep one");
	refused("realm: x\n\tlisteners: 1\n",
		":2: no valid YAML: found a tab character that violates indentation; indent with "
		"spaces and quote values with special characters");
	refused("realm: &a x\ninstance: *a\n",
		":2: aliases (*name) are not supported; write the value out");
	refused("realm: x\n---\nrealm: y\n", ":2: a second document begins; keep one per file");
}

Test(config, file_missing)
{
	struct config *c;
	char line[512];

	cr_assert_eq(config_parse("/nonexistent/t.yaml", &c, line, sizeof(line)), -ENOENT);
	cr_expect_str_eq(line, "/nonexistent/t.yaml: cannot be read (No such file or directory); "
			       "give its path with --config");
	cr_assert_eq(config_parse("/", &c, line, sizeof(line)), -EINVAL);
	cr_expect_str_eq(line, "/: no regular file below 64 MiB; give the path of the YAML file");
}

Test(config, names)
{
	refused(MINIMAL "instance: a/b\n",
		":12: instance: 'a/b' is no name; use 1 to 31 letters, digits, '-' and '_'");
	refused("realm: ''\nlisteners: []\nrelay: {addresses: []}\nports: []\n",
		":1: realm: the realm has 0 bytes; use 1 to 123 printable ones, usually the domain "
		"name");
}

#define WITH_LISTENERS(listeners)                                                                  \
	"realm: x\n"                                                                               \
	"users: [{name: a, password: b}]\n"                                                        \
	"ports: [{device: af_xdp, interface: e}]\n"                                                \
	"relay: {addresses: [192.0.2.9], min_port: 2000, max_port: 3000}\n"                        \
	"listeners:\n" listeners

Test(config, listeners)
{
	refused(WITH_LISTENERS("  []\n"), ":5: listeners: the list is empty; add '- address: IP'");
	refused(WITH_LISTENERS("  - address: relay.example\n"),
		":6: listeners[0].address: 'relay.example' is no IP address; write it as in "
		"203.0.113.5 or 2001:db8::5, without port or brackets");
	refused(WITH_LISTENERS("  - address: 0.0.0.0\n"),
		":6: listeners[0].address: '0.0.0.0' stands for every address; name each address "
		"that the ports carry");
	refused(WITH_LISTENERS("  - address: 127.0.0.1\n"),
		":6: listeners[0].address: '127.0.0.1' is no address that packets from the network "
		"reach; use a unicast address of the ports");
	refused(WITH_LISTENERS("  - address: 192.0.2.1\n    port: 0\n"),
		":7: listeners[0].port: 0 is out of range; use 1 to 65535");
	refused(WITH_LISTENERS("  - address: 192.0.2.1\n    port: 65536\n"),
		":7: listeners[0].port: 65536 is out of range; use 1 to 65535");
	refused(WITH_LISTENERS("  - address: 192.0.2.1\n  - address: 192.0.2.1\n"),
		":7: listeners[1]: 192.0.2.1:3478 is listed twice (also listeners[0]); remove one "
		"or change its port");
	// Also where it is written in another form.
	refused(WITH_LISTENERS("  - address: '2001:db8::1'\n  - address: '2001:db8:0::1'\n"),
		":7: listeners[1]: [2001:db8::1]:3478 is listed twice (also listeners[0]); remove "
		"one or change its port");
}

#define WITH_RELAY(relay)                                                                          \
	"realm: x\n"                                                                               \
	"users: [{name: a, password: b}]\n"                                                        \
	"ports: [{device: af_xdp, interface: e}]\n"                                                \
	"listeners: [{address: 192.0.2.1}]\n"                                                      \
	"relay:\n" relay

Test(config, relay)
{
	refused(WITH_RELAY("  addresses: []\n"),
		":6: relay.addresses: the list is empty; add '- IP'");
	refused(WITH_RELAY("  addresses: [192.0.2.2]\n  min_port: 1023\n"),
		":7: relay.min_port: 1023 is out of range; use 1024 to 65535");
	refused(WITH_RELAY("  addresses: [192.0.2.2]\n  min_port: 6000\n  max_port: 5000\n"),
		":7: relay.min_port: the range 6000-5000 is empty; min_port must not exceed "
		"max_port");
	refused(WITH_RELAY("  addresses: [192.0.2.2]\n  max_port: 5000\n"),
		":7: relay.max_port: the range 49152-5000 is empty; min_port must not exceed "
		"max_port");
	refused(WITH_RELAY("  addresses:\n    - 192.0.2.2\n    - 192.0.2.3\n    - 192.0.2.2\n"),
		":9: relay.addresses[2]: '192.0.2.2' is listed twice (also relay.addresses[0]); "
		"remove one");
	refused(WITH_RELAY("  addresses:\n    - 192.0.2.1\n  min_port: 3000\n"),
		":7: relay.addresses[0]: the relayed ports 3000-65535 cover listeners[0] (port "
		"3478) on the same address; move the range or the listener");
}

#define WITH_USERS(users)                                                                          \
	"realm: x\n"                                                                               \
	"ports: [{device: af_xdp, interface: e}]\n"                                                \
	"listeners: [{address: 192.0.2.1}]\n"                                                      \
	"relay: {addresses: [192.0.2.1]}\n" users

Test(config, credentials)
{
	refused(WITH_USERS(""), ":1: users: nobody could allocate; add 'users' (name and "
				"password), 'rest_secrets' or 'redis'");
	refused(WITH_USERS("users:\n  - name: a\n"),
		":6: users[0]: give either 'password' or 'key' (32 hexadecimal digits: MD5 of "
		"name:realm:password)");
	refused(WITH_USERS("users:\n  - name: a\n    password: b\n    key: c\n"),
		":6: users[0]: give either 'password' or 'key' (32 hexadecimal digits: MD5 of "
		"name:realm:password)");
	refused(WITH_USERS("users:\n  - name: a\n    key: 123\n"),
		":7: users[0].key: not 32 hexadecimal digits; make it with: printf '%s' "
		"'name:realm:password' | md5sum");
	refused(WITH_USERS("users:\n  - name: a\n    key: 425b1c1e40a3b22abac9ff41f64b892g\n"),
		":7: users[0].key: not 32 hexadecimal digits; make it with: printf '%s' "
		"'name:realm:password' | md5sum");
	refused(WITH_USERS("users:\n  - name: a\n    password: ''\n"),
		":7: users[0].password: empty; give the user a password");
	refused(WITH_USERS("users:\n  - name: b\n    password: x\n  - name: a\n    password: y\n"
			   "  - name: b\n    password: z\n"),
		":10: users[2].name: 'b' is listed twice (also users[0]); remove one");
	refused(WITH_USERS("rest_secrets:\n  - short\n"),
		":6: rest_secrets[0]: shorter than 8 characters; make one with: openssl rand -hex "
		"32");
	refused(WITH_USERS("rest_secrets: [long-enough]\nnonce_secret: short\n"),
		":6: nonce_secret: shorter than 16 characters; make one with: openssl rand -hex "
		"32, or leave it out for a random one");
}

Test(config, peers)
{
	refused(MINIMAL "peers:\n  allow:\n    - 10.0.0.0/33\n",
		":14: peers.allow[0]: '10.0.0.0/33' is no prefix; write it as in 10.0.0.0/8 or "
		"fd00::/8, with no bit set behind the length");
	refused(MINIMAL "peers:\n  deny:\n    - 10.0.0.0/8\n    - 10.0.0.1/8\n",
		":15: peers.deny[1]: '10.0.0.1/8' is no prefix; write it as in 10.0.0.0/8 or "
		"fd00::/8, with no bit set behind the length");
	refused(MINIMAL "peers:\n  allow: [10.0.0.0/8]\n  deny: [10.0.0.0/8]\n",
		":14: peers.deny[0]: '10.0.0.0/8' is both allowed and denied; remove one");
}

#define WITH_PORTS(ports)                                                                          \
	"realm: x\n"                                                                               \
	"users: [{name: a, password: b}]\n"                                                        \
	"listeners: [{address: 192.0.2.1}]\n"                                                      \
	"relay: {addresses: [192.0.2.1]}\n"                                                        \
	"ports:\n" ports

Test(config, ports)
{
	refused(WITH_PORTS("  []\n"),
		":5: ports: the list is empty; add '- device: af_xdp' with 'interface'");
	refused(WITH_PORTS("  - device: af_xdp\n"),
		":6: ports[0].interface: missing; an af_xdp port needs the name of its network "
		"interface (see: ip link)");
	refused(WITH_PORTS("  - device: eth0\n"),
		":6: ports[0].device: 'eth0' is no device; use af_xdp (with 'interface'), a PCI "
		"address such as 0000:01:00.0, or a DPDK device such as net_memif0,…");
	refused(WITH_PORTS("  - device: net_null0\n"),
		":6: ports[0].gateway_mac: missing; without a kernel on this port nobody resolves "
		"its router, so give the router's MAC address");
	refused(WITH_PORTS("  - device: net_null0\n    gateway_mac: 1:2:3:4:5:6\n"),
		":7: ports[0].gateway_mac: '1:2:3:4:5:6' is no MAC address; write it as in "
		"02:00:5e:10:00:01");
	refused(WITH_PORTS("  - device: net_null0\n    gateway_mac: ff:ff:ff:ff:ff:ff\n"),
		":7: ports[0].gateway_mac: 'ff:ff:ff:ff:ff:ff' belongs to no single station; give "
		"the router's own address");
	refused(WITH_PORTS("  - device: 01:00.0\n    kernel_path: beside\n"),
		":7: ports[0].kernel_path: 'beside' is for af_xdp, where the kernel keeps the "
		"interface; use tap or none with this device");
	refused(WITH_PORTS("  - device: af_xdp\n    interface: e\n    mtu: 100\n"),
		":8: ports[0].mtu: 100 is out of range; use 576 to 9000");
	refused(WITH_PORTS("  - device: af_xdp\n    interface: averyverylongname\n"),
		":7: ports[0].interface: 'averyverylongname' is no interface name; use at most 15 "
		"characters without '/', ':' or spaces");
	refused(WITH_PORTS(
			"  - {device: af_xdp, interface: e}\n  - {device: af_xdp, interface: e}\n"),
		":7: ports[1].interface: 'e' already belongs to ports[0]; name another");
}

Test(config, workers)
{
	refused(MINIMAL "workers:\n  count: 0\n",
		":13: workers.count: 0 is out of range; use 1 to 16");
	refused(MINIMAL "workers:\n  count: 3\n  cpus: [1]\n",
		":14: workers.cpus: 1 CPUs for 3 workers; name one CPU for each worker");
	refused(MINIMAL "workers:\n  cpus: [1, 1]\n",
		":13: workers.cpus[1]: CPU 1 is named twice; two workers would starve each other "
		"on it");
	refused(MINIMAL "workers:\n  idle: never\n",
		":13: workers.idle: 'never' is unknown; use 'adaptive' (sleeps when idle) or "
		"'poll' (never sleeps)");
	refused(MINIMAL "memory_mb: 1\n", ":12: memory_mb: 1 is out of range; use 64 to 1048576");
}

Test(config, limits)
{
	refused(MINIMAL "lifetime_max_seconds: 599\n",
		":12: lifetime_max_seconds: 599 is out of range; use 600 to 86400");
	refused(MINIMAL "tables:\n  max_allocations: 0\n",
		":13: tables.max_allocations: 0 is out of range; use 1 to 4194304");
	refused(MINIMAL "quota:\n  total: 70000\n",
		":13: quota.total: 70000 is more than tables.max_allocations (65536) holds; lower "
		"it or raise that");
}

// A secret never reaches a message, whatever is wrong with it.
Test(config, secrets_stay_secret)
{
	static const char *const texts[] = {
		WITH_USERS("users:\n  - name: a\n    key: hunter2hunter2\n"),
		WITH_USERS("rest_secrets:\n  - hunter2\n"),
		WITH_USERS("rest_secrets:\n  hunter2: hunter3\n"),
		WITH_USERS("rest_secrets: [abcdefghi]\nnonce_secret: hunter2\n"),
		WITH_USERS("users:\n  - name: a\n    password: [hunter2]\n"),
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		cr_assert_null(parse(texts[i]));
		cr_expect_null(strstr(error, "hunter2"), "%s", error);
	}
}

Test(config, host)
{
	struct config *c = parse(MINIMAL "workers: {cpus: [4095]}\n");
	char line[512];

	cr_assert_not_null(c);
	cr_assert_eq(config_resolve_host(c, "t.yaml", line, sizeof(line)), -ENODEV);
	cr_expect_eq(strncmp(line, "t.yaml: workers.cpus[0]: CPU 4095 does not exist; ", 50), 0,
		     "%s", line);
	config_free(c);

	c = parse(MINIMAL);
	cr_assert_eq(config_resolve_host(c, "t.yaml", line, sizeof(line)), -ENODEV);
	cr_expect_str_eq(line, "t.yaml:10: ports[0].interface: 'eth7' does not exist in this "
			       "network namespace; see: ip link");
	config_free(c);
}

// Every prefix of a good file, and every single byte of it replaced: refused or accepted, never a crash.
Test(config, mutated_files)
{
	char text[] = MINIMAL;
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		static const char replacements[] = "\0\n:-[{*&\"'\x80";
		char kept = text[i];

		for (size_t j = 0; j < sizeof(replacements) - 1; j++) {
			text[i] = replacements[j];
			config_free(parse(text));
		}
		text[i] = kept;
	}
}

#define SFU    MINIMAL "sfu: {}\n"
#define SECRET "0123456789abcdef0123456789abcdef"

Test(config, http_is_off_by_default)
{
	struct config *c = parse(SFU);

	cr_assert_not_null(c, "%s", error);
	cr_expect_eq(c->http.n_listeners, 0);
	config_free(c);
}

Test(config, http_defaults)
{
	struct config *c =
		parse(SFU "http:\n"
			  "  listen: [{address: 192.0.2.1}, {address: '::', tls: false}]\n"
			  "  token_secrets: [" SECRET "]\n");

	cr_assert_not_null(c, "%s", error);
	cr_assert_eq(c->http.n_listeners, 2);
	cr_expect(c->http.listeners[0].is_tls);
	cr_expect_eq(ntohs(c->http.listeners[0].endpoint.port_be), 8443);
	cr_expect_not(c->http.listeners[1].is_tls);
	cr_expect_eq(ntohs(c->http.listeners[1].endpoint.port_be), 8080);
	cr_expect_null(c->http.certificate);
	cr_expect_null(c->http.key);
	cr_expect(c->http.requires_tokens);
	cr_assert_eq(c->http.n_token_secrets, 1);
	cr_expect_str_eq(c->http.token_secrets[0], SECRET);
	cr_assert_eq(c->http.n_allow_origins, 1);
	cr_expect_str_eq(c->http.allow_origins[0], "*");
	cr_expect_null(c->http.redirect);
	cr_expect_eq(c->http.n_turn_urls, 0);
	config_free(c);
}

Test(config, http_everything)
{
	struct config *c = parse(SFU "http:\n"
				     "  listen: [{address: 0.0.0.0, port: 443, tls: true}]\n"
				     "  certificate: /etc/chain.pem\n"
				     "  key: /etc/key.pem\n"
				     "  require_tokens: false\n"
				     "  allow_origins: ['https://a.example', 'http://[::1]:8080']\n"
				     "  turn_urls: ['turns:b.example:443?transport=tcp']\n"
				     "  redirect: https://b.example\n"
				     "rest_secrets: [0123456789abcdef]\n");

	cr_assert_not_null(c, "%s", error);
	cr_expect_eq(ntohs(c->http.listeners[0].endpoint.port_be), 443);
	cr_expect_str_eq(c->http.certificate, "/etc/chain.pem");
	cr_expect_str_eq(c->http.key, "/etc/key.pem");
	cr_expect_not(c->http.requires_tokens);
	cr_expect_eq(c->http.n_allow_origins, 2);
	cr_expect_str_eq(c->http.redirect, "https://b.example");
	cr_assert_eq(c->http.n_turn_urls, 1);
	cr_expect_str_eq(c->http.turn_urls[0], "turns:b.example:443?transport=tcp");
	config_free(c);
}

Test(config, http_refusals)
{
	refused(MINIMAL "http: {listen: [{address: 192.0.2.1}], token_secrets: [" SECRET "]}\n",
		":12: http: it serves the SFU, which is off; add 'sfu: {}', or leave http out");
	refused(SFU "http: {listen: []}\n",
		":13: http.listen: the list is empty; add '- address: IP'");
	refused(SFU "http: {listen: [{address: localhost}]}\n",
		":13: http.listen[0].address: 'localhost' is no IP address; write it as in "
		"203.0.113.5, 2001:db8::5, or 0.0.0.0 for every address");
	refused(SFU "http: {listen: [{address: 192.0.2.1}, {address: 192.0.2.1}]}\n",
		":13: http.listen[1]: the same address and port as http.listen[0]; remove one or "
		"change its port");
	refused(SFU "http: {listen: [{address: 192.0.2.1}]}\n",
		":13: http.token_secrets: nobody could join; add a secret (make one with: openssl "
		"rand -hex 32), or require_tokens: false to let everybody in");
	refused(SFU "http: {listen: [{address: 192.0.2.1}], token_secrets: [short]}\n",
		":13: http.token_secrets[0]: shorter than 32 characters; make one with: openssl "
		"rand "
		"-hex 32");
	refused(SFU "http: {listen: [{address: 192.0.2.1}], certificate: /a.pem}\n",
		":13: http.certificate: certificate and key belong together; give both, or neither "
		"to "
		"have a certificate made");
	refused(SFU "http: {listen: [{address: 192.0.2.1}], require_tokens: false,\n"
		    "  allow_origins: ['https://a.example/']}\n",
		":14: http.allow_origins[0]: 'https://a.example/' is no origin; write it as in "
		"https://app.example or https://app.example:8443, or \"*\" for all");
	refused(SFU "http: {listen: [{address: 192.0.2.1}], require_tokens: false, turn_urls: "
		    "['turn:a']}\n",
		":13: http.turn_urls: credentials for them are made with rest_secrets, of which "
		"there "
		"is none; add one");
	refused(SFU "http: {listen: [{address: 192.0.2.1}], turn_urls: ['turn:a>']}\n"
		    "rest_secrets: [0123456789abcdef]\n",
		":13: http.turn_urls[0]: 'turn:a>' is no TURN URL; write it as in "
		"turns:turn.example.org:443?transport=tcp");
	refused(SFU "http: {listen: [{address: 192.0.2.1}], require_tokens: false, redirect: b}\n",
		":13: http.redirect: 'b' is no origin; write it as in https://other.example");
}
