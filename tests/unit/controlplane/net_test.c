// What the kernel's side of the control plane promises: rtnetlink and claims of addresses. Needs no
// privileges: loopback only.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/net/neighbours.h"
#include "controlplane/net/netlink.h"
#include "controlplane/net/own_addresses.h"
#include "controlplane/net/routes.h"
#include "tests/unit/controlplane/turn_rig.h"

static void ignore_event(void *arg, const struct nlmsghdr *m)
{
}

static void ignore_overrun(void *arg)
{
}

Test(netlink, errors_of_what_was_only_told_do_not_fill_the_socket)
{
	const struct netlink_events events = { ignore_event, ignore_overrun, NULL };
	struct netlink *n;
	struct ip_address a;
	struct route route;

	cr_assert_eq(netlink_open(&events, &n), 0);
	cr_assert_eq(ip_address_parse("127.0.0.1", &a), 0);
	// There is no such interface: each one is answered with an error.
	for (uint32_t i = 0; i < 1000; i++)
		neighbour_touch(n, &a, 99999);
	cr_assert_eq(route_lookup(n, &a, &route), 0);
	cr_assert_eq(route.kind, ROUTE_LOCAL);
	netlink_close(n);
}

Test(own_addresses, a_relay_address_belongs_to_one_control_plane)
{
	struct config *config = rig_config();
	struct own_addresses *first, *second;
	char directory[] = "/tmp/turnpike-unit-XXXXXX";
	char error[320] = "", command[64];

	cr_assert_not_null(mkdtemp(directory));
	setenv("TURNPIKE_RUN_DIR", directory, 1);
	config->ports[0].settings.kernel_path = SHM_KERNEL_PATH_BESIDE;
	config->n_listeners = 0;
	config->n_relays = 1;
	cr_assert_eq(ip_address_parse("127.0.0.1", &config->relays[0].address), 0);
	cr_assert_eq(own_addresses_claim(config, &first, error, sizeof(error)), 0, "%s", error);
	cr_assert_eq(own_addresses_claim(config, &second, error, sizeof(error)), -EADDRINUSE);
	cr_assert_not_null(strstr(error, "127.0.0.1 is in use"));
	own_addresses_release(first);
	cr_assert_eq(own_addresses_claim(config, &second, error, sizeof(error)), 0, "%s", error);
	own_addresses_release(second);
	config->n_listeners = 1;
	config_free(config);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_assert_eq(system(command), 0);
}
