// The kernel's side of TCP relaying, over the loopback interface and with the loop in the test's hand.
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "controlplane/turn/tcp_relay/sockets_private.h"
#include "tests/unit/turn_tcp_relay/tcp_rig.h"

static struct tcp_rig t;
static struct event_base *base;
static struct turn_streams *streams;
static struct turn_tcp_sockets *sockets;

static void open_sockets(struct config *config)
{
	const struct turn_tcp_limits limits = { .connections = CONNECTIONS,
						.per_allocation = PER_CLIENT };
	unsigned int pid = (unsigned int)getpid();
	char relay[16];

	// Each test is a process of its own, and they run side by side: on ports of one address they would share them.
	snprintf(relay, sizeof(relay), "127.%u.%u.%u", 64 + (pid >> 16 & 63), pid >> 8 & 255,
		 pid & 255);
	cr_assert_eq(ip_address_parse(relay, &config->relays[0].address), 0);
	rig_open(&t.rig, config);
	base = event_base_new();
	cr_assert_eq(
		turn_streams_new(config, NULL, &t.rig.engine.tables, t.rig.engine.turn, &streams),
		0);
	cr_assert_eq(turn_tcp_sockets_new(base, t.rig.engine.turn, streams, t.rig.engine.hops,
					  config->max_allocations, &limits, &sockets),
		     0);
}

static void setup(void)
{
	open_sockets(rig_config());
}

static void setup_limited(void)
{
	struct config *config = rig_config();

	config->bytes_per_s_per_user = 1000000;
	open_sockets(config);
}

static void teardown(void)
{
	turn_streams_free(streams);
	turn_tcp_sockets_free(sockets);
	event_base_free(base);
	rig_close(&t.rig);
}

TestSuite(turn_tcp_sockets, .init = setup, .fini = teardown, .timeout = 60);
TestSuite(turn_tcp_rates, .init = setup_limited, .fini = teardown, .timeout = 60);

static uint64_t counted(enum turn_tcp_counter c)
{
	return turn_tcp_relay_counter(turn_tcp_sockets_relay(sockets), c);
}

// A peer's end of a connection to the relayed transport address of an allocation.
static int peer_of(struct rig_client *c)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct rig_answer a = allocate_tcp(&t, c);
	struct sockaddr_storage ss;
	struct ip_endpoint relayed;
	socklen_t n;

	cr_assert_eq(a.code, 0);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	n = net_sockaddr_set(&relayed, &ss);
	cr_assert_eq(connect(fd, (struct sockaddr *)&ss, n), 0);
	return fd;
}

// Rounds of the loop, a millisecond or more each.
static void run(uint32_t rounds)
{
	while (rounds-- > 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

Test(turn_tcp_sockets, out_of_descriptors_the_listener_rests)
{
	struct rig_client c = tcp_client(1);
	uint64_t begun_at_ns, tenths;
	struct rlimit limit, none;
	int fd = peer_of(&c);

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	begun_at_ns = engine_now_ns();
	run(350);
	tenths = (engine_now_ns() - begun_at_ns) / 100000000;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_geq(counted(TURN_TCP_COUNTER_ACCEPT_FAILED), 2);
	cr_assert_leq(counted(TURN_TCP_COUNTER_ACCEPT_FAILED), tenths + 2);
	cr_assert_eq(counted(TURN_TCP_COUNTER_REFUSED), 0);
	// It was not lost: nobody permitted it, and it is told so now.
	for (uint32_t i = 0; i < 100 && counted(TURN_TCP_COUNTER_REFUSED) == 0; i++)
		run(10);
	cr_assert_eq(counted(TURN_TCP_COUNTER_REFUSED), 1);
	cr_assert_eq(recv(fd, &c, 1, 0), 0);
	close(fd);
}

Test(turn_tcp_sockets, an_allocation_may_end_while_its_listener_rests)
{
	struct rig_client c = tcp_client(1);
	struct rlimit limit, none;
	int fd = peer_of(&c);

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	run(10);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_geq(counted(TURN_TCP_COUNTER_ACCEPT_FAILED), 1);
	cr_assert_eq(rig_refresh(&t.rig, &c, 0).code, 0);
	run(150);
	cr_assert_eq(counted(TURN_TCP_COUNTER_REFUSED), 0);
	close(fd);
}

// What the connections of an allocation keep to.
static struct turn_tcp_rate *rate_of(struct rig_client *c)
{
	struct rig_answer a = allocate_tcp(&t, c);
	struct ip_endpoint relayed;
	uint32_t idx;

	cr_assert_eq(a.code, 0);
	relayed = rig_get_address(&a, TURN_ATTR_XOR_RELAYED_ADDRESS);
	cr_assert_eq(turn_allocation_find_relayed(t.rig.engine.turn, &relayed, &idx), 0);
	return sockets->listener[idx]->rate;
}

Test(turn_tcp_rates, a_users_limit_is_one_for_all_of_its_allocations)
{
	struct rig_client a = tcp_client(1), b = tcp_client(2);
	struct rig_client other = stream_client(3, SHM_TRANSPORT_TCP, "other", "other-secret");
	struct turn_tcp_rate *rate = rate_of(&a);

	cr_assert_not_null(rate);
	cr_assert_eq(rate_of(&b), rate);
	cr_assert_eq(rate->n_listeners, 2);
	cr_assert_neq(rate_of(&other), rate);
	cr_assert_eq(rig_refresh(&t.rig, &a, 0).code, 0);
	cr_assert_eq(rate->n_listeners, 1);
	// The last one takes it with it.
	cr_assert_eq(rig_refresh(&t.rig, &b, 0).code, 0);
	for (uint32_t i = 0; i <= t.rig.engine.tables.n_allocations_max; i++)
		cr_assert_neq(sockets->user_rate[i], rate);
}

Test(turn_tcp_sockets, without_a_limit_nothing_is_held_up)
{
	struct rig_client c = tcp_client(1);

	cr_assert_null(rate_of(&c));
}
