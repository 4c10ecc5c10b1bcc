// socket_load: a TURN client over kernel sockets that saturates a relay on veth, Turnpike or coturn alike: real allocations, then
// batches of ChannelData upward and of peer datagrams downward, every one checked. One thread.
//
//   socket_load --listener ADDRESS:PORT --client ADDRESS --peer ADDRESS [--flows N] [--payload BYTES]
//               [--direction up|down|both] [--rate PPS] [--seconds S] --user NAME --password WORD
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench/blast/mix.h"
#include "bench/peers/socket_flows.h"

#define PHASE_NS_MAX 60000000000ull
#define DRAIN_NS     300000000ull
#define NS_PER_SEC   1e9

struct load {
	struct socket_flows sockets;
	struct ip_address client;
	struct ip_address peer;
	const char *user;
	const char *password;
	enum mix_direction direction;
	double rate_pps;
	double seconds;
};

static void message_send(void *arg, uint32_t i, const void *message, uint16_t message_bytes)
{
	struct socket_flows *s = arg;

	// What the kernel refuses is sent again later.
	(void)!send(s->flow[i].client_fd, message, message_bytes, 0);
}

static int phase_run(struct socket_flows *s, enum turn_client_goal goal, const char *what)
{
	const struct turn_client_stats *stats = turn_client_stats(s->turn);
	uint64_t begin_ns = socket_flows_now_ns();

	turn_client_begin(s->turn, goal);
	while (turn_client_poll(s->turn, socket_flows_now_ns()) > 0 &&
	       socket_flows_now_ns() - begin_ns < PHASE_NS_MAX)
		socket_flows_receive(s, 1);
	if (stats->n_failed == 0)
		return 0;
	fprintf(stderr, "socket_load: %s failed for %lu of %u flows; the last error was %u\n", what,
		(unsigned long)stats->n_failed, s->n, stats->last_error);
	return -EPROTO;
}

static int flows_allocate(struct load *l)
{
	struct socket_flows *s = &l->sockets;
	const struct turn_client_options o = {
		.user = l->user,
		.password = l->password,
		.n_sessions = s->n,
		.window = 16,
		.send = message_send,
		.send_arg = s,
	};
	int ret = turn_client_create(&o, &s->turn);

	if (ret == 0)
		ret = phase_run(s, TURN_GOAL_ALLOCATED, "Allocate");
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < s->n; i++) {
		struct turn_session *session = turn_client_session(s->turn, i);

		session->peer = s->flow[i].peer;
		session->channel = s->flow[i].channel;
		ret = socket_flows_connect_peer(s, i, &session->relayed);
		if (ret < 0)
			return ret;
	}
	return phase_run(s, TURN_GOAL_LIVE, "ChannelBind");
}

static void traffic_run(struct load *l, double *out_seconds)
{
	struct socket_flows *s = &l->sockets;
	uint64_t begin_ns = socket_flows_now_ns();
	uint64_t now_ns = begin_ns;
	uint32_t at = 0;

	memset(&s->tally, 0, sizeof(s->tally));
	while ((double)(now_ns - begin_ns) < l->seconds * NS_PER_SEC) {
		uint32_t due = SOCKET_BATCH;

		if (l->rate_pps > 0) {
			double wanted = (double)(now_ns - begin_ns) / NS_PER_SEC * l->rate_pps;

			due = wanted > (double)s->tally.sent
				      ? (uint32_t)(wanted - (double)s->tally.sent)
				      : 0;
		}
		if (due > 0) {
			uint32_t i = at % s->n;
			bool is_down = l->direction == MIX_DOWN_ONLY ||
				       (l->direction == MIX_BOTH && at / s->n % 2 == 1);

			socket_flows_send(s, i, is_down, due, now_ns);
			at++;
		}
		socket_flows_receive(s, 0);
		now_ns = socket_flows_now_ns();
	}
	*out_seconds = (double)(now_ns - begin_ns) / NS_PER_SEC;
	begin_ns = now_ns;
	while (now_ns - begin_ns < DRAIN_NS) {
		if (socket_flows_receive(s, 10) > 0)
			begin_ns = now_ns;
		now_ns = socket_flows_now_ns();
	}
}

static int load_run(struct load *l)
{
	struct socket_flows *s = &l->sockets;
	const struct tally *t = &s->tally;
	double seconds;
	int ret = socket_flows_open(s, &l->client, &l->peer);

	if (ret == 0)
		ret = flows_allocate(l);
	if (ret == 0) {
		traffic_run(l, &seconds);
		printf("{\"flows\":%u,\"payload\":%u,\"seconds\":%.3f,\"offered_pps\":%.0f,"
		       "\"received_pps\":%.0f,\"sent\":%lu,\"received\":%lu,\"lost\":%lu,"
		       "\"duplicates\":%lu,\"reordered\":%lu,\"corrupted\":%lu,\"misdirected\":%lu,"
		       "\"latency_ns\":{\"p50\":%lu,\"p99\":%lu}}\n",
		       s->n, s->payload_bytes, seconds, (double)t->sent / seconds,
		       (double)t->received / seconds, (unsigned long)t->sent,
		       (unsigned long)t->received, (unsigned long)tally_lost(t),
		       (unsigned long)t->duplicates, (unsigned long)t->reordered,
		       (unsigned long)t->corrupted, (unsigned long)t->misdirected,
		       (unsigned long)histogram_quantile(&t->latency, 0.5),
		       (unsigned long)histogram_quantile(&t->latency, 0.99));
		phase_run(s, TURN_GOAL_DELETED, "Refresh");
	}
	if (s->turn != NULL)
		turn_client_destroy(s->turn);
	socket_flows_close(s);
	return ret;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: socket_load --listener ADDRESS:PORT --client ADDRESS --peer ADDRESS\n"
		"       --user NAME --password WORD [--flows N] [--payload BYTES]\n"
		"       [--direction up|down|both] [--rate PPS] [--seconds S]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listener", required_argument, NULL, 'l' },
		{ "client", required_argument, NULL, 'c' },
		{ "peer", required_argument, NULL, 'p' },
		{ "flows", required_argument, NULL, 'n' },
		{ "payload", required_argument, NULL, 's' },
		{ "direction", required_argument, NULL, 'd' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "user", required_argument, NULL, 'u' },
		{ "password", required_argument, NULL, 'w' },
		{ 0 },
	};
	static struct load l = {
		.sockets = { .n = 20, .payload_bytes = 200, .epoll_fd = -1 },
		.direction = MIX_BOTH,
		.seconds = 5,
	};
	int ret = 0;
	int opt;

	while (ret == 0 && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'l':
			ret = ip_endpoint_parse(optarg, &l.sockets.listener);
			break;
		case 'c':
			ret = ip_address_parse(optarg, &l.client);
			break;
		case 'p':
			ret = ip_address_parse(optarg, &l.peer);
			break;
		case 'n':
			l.sockets.n = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 's':
			l.sockets.payload_bytes = (uint16_t)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			ret = mix_direction_parse(optarg, &l.direction);
			break;
		case 'r':
			l.rate_pps = atof(optarg);
			break;
		case 't':
			l.seconds = atof(optarg);
			break;
		case 'u':
			l.user = optarg;
			break;
		case 'w':
			l.password = optarg;
			break;
		default:
			ret = -EINVAL;
			break;
		}
	}
	if (ret < 0 || l.sockets.listener.port_be == 0 || l.user == NULL || l.password == NULL ||
	    l.sockets.n == 0 || l.sockets.payload_bytes < FRAME_STAMP_BYTES + 1 ||
	    l.sockets.payload_bytes > FRAME_PAYLOAD_MAX || !ip_address_is_v4(&l.client) ||
	    !ip_address_is_v4(&l.peer) || !ip_address_is_v4(&l.sockets.listener.address))
		return usage();
	frame_pattern_init();
	return load_run(&l) < 0 ? 1 : 0;
}
