// TURN clients over a DPDK port. One polling thread.
#include "bench/blast/allocate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/blast/datagram.h"
#include "dataplane/contract/wire/demux.h"
#include "dataplane/contract/wire/ip_udp.h"

#define RENEW_AFTER_NS 120000000000ull
#define PHASE_NS_MAX   300000000000ull
#define NS_PER_SEC     1000000000ull

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static void message_send(void *arg, uint32_t i, const void *message, uint16_t message_bytes)
{
	struct allocate *a = arg;
	struct flow_addresses addresses;
	uint8_t frame[DATAGRAM_FRAME_MAX];
	uint16_t n;

	flow_plan_addresses(&a->flows->plan, i, &addresses);
	n = datagram_write(frame, &a->flows->macs, &addresses.client, &addresses.listener, message,
			   message_bytes);
	// What the port does not take is retransmitted as if it had been lost.
	if (n > 0)
		blast_port_send_copy(a->port, frame, n);
}

void allocate_other(void *arg, const uint8_t *frame, uint32_t frame_bytes)
{
	struct allocate *a = arg;
	struct ip_udp_view view;
	uint8_t answer[DATAGRAM_FRAME_MAX];
	uint16_t n = neighbour_answer_write(frame, frame_bytes, a->flows->macs.source, answer);

	if (n > 0) {
		blast_port_send_copy(a->port, answer, n);
		return;
	}
	if (a->client == NULL || ip_udp_parse(frame, frame_bytes, &view) != IP_UDP_OK ||
	    view.payload_bytes == 0 || wire_demux(frame[view.payload_offset]) != WIRE_KIND_STUN)
		return;
	turn_client_input(a->client, frame + view.payload_offset, view.payload_bytes, now_ns());
}

int allocate_create(struct allocate *a, struct blast_port *port, struct flow_set *flows,
		    const char *user, const char *password, uint32_t window)
{
	const struct turn_client_options o = {
		.user = user,
		.password = password,
		.n_sessions = flows->plan.n_flows,
		.relay_is_v6 = flows->plan.peer_is_v6,
		.window = window,
		.send = message_send,
		.send_arg = a,
	};

	*a = (struct allocate){ .port = port, .flows = flows };
	if (user == NULL)
		return 0;
	return turn_client_create(&o, &a->client);
}

void allocate_destroy(struct allocate *a)
{
	if (a->client != NULL)
		turn_client_destroy(a->client);
	a->client = NULL;
}

// Polls port and clients once; returns what turn_client_poll does.
static uint32_t step(struct allocate *a)
{
	static struct tally ignored;
	const struct trial_options o = { .other = allocate_other, .other_arg = a };

	trial_receive(a->port, a->flows, &ignored, 0, &o);
	return turn_client_poll(a->client, now_ns());
}

static int phase_run(struct allocate *a, enum turn_client_goal goal, const char *what)
{
	const struct turn_client_stats *stats = turn_client_stats(a->client);
	uint64_t begin = now_ns();
	uint64_t n_failed = stats->n_failed;

	turn_client_begin(a->client, goal);
	while (step(a) > 0) {
		if (now_ns() - begin > PHASE_NS_MAX)
			break;
	}
	if (stats->n_failed == n_failed)
		return 0;
	fprintf(stderr, "blast: %s failed for %lu of %u flows; the last error was %s%.0u\n", what,
		(unsigned long)(stats->n_failed - n_failed), a->flows->plan.n_flows,
		stats->last_error == 0 ? "no answer" : "", stats->last_error);
	return -EPROTO;
}

// Permissions and channels toward the peers, once the relayed addresses are known.
static int peers_bind(struct allocate *a)
{
	int ret;

	for (uint32_t i = 0; i < a->flows->plan.n_flows; i++) {
		struct turn_session *s = turn_client_session(a->client, i);
		struct flow_addresses addresses;

		flow_set_addresses(a->flows, i, &addresses);
		s->peer = addresses.peer;
		s->channel = a->flows->use.use_indications ? 0 : addresses.channel;
	}
	ret = phase_run(a, TURN_GOAL_LIVE, "CreatePermission or ChannelBind");
	a->live_ns = now_ns();
	return ret;
}

int allocate_flows(struct allocate *a)
{
	uint32_t n = a->flows->plan.n_flows;
	int ret = phase_run(a, TURN_GOAL_ALLOCATED, "Allocate");

	if (ret < 0)
		return ret;
	if (a->flows->relayed == NULL)
		a->flows->relayed = calloc(n, sizeof(*a->flows->relayed));
	if (a->flows->relayed == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		a->flows->relayed[i] = turn_client_session(a->client, i)->relayed;
	ret = flow_set_fill(a->flows);
	if (ret < 0)
		return ret;
	return peers_bind(a);
}

int allocate_renew(struct allocate *a)
{
	if (a->client == NULL || now_ns() - a->live_ns < RENEW_AFTER_NS)
		return 0;
	return peers_bind(a);
}

void allocate_release(struct allocate *a)
{
	if (a->client != NULL)
		phase_run(a, TURN_GOAL_DELETED, "Refresh");
}

int allocate_cycles(struct allocate *a, double rate, double seconds, double *out_per_sec)
{
	const struct turn_client_stats *stats = turn_client_stats(a->client);
	uint64_t begin;
	uint64_t now;

	for (uint32_t i = 0; i < a->flows->plan.n_flows; i++) {
		struct turn_session *s = turn_client_session(a->client, i);
		struct flow_addresses addresses;

		flow_set_addresses(a->flows, i, &addresses);
		s->peer = addresses.peer;
		s->channel = a->flows->use.use_indications ? 0 : addresses.channel;
	}
	// One round first: every client has its nonce then, and the cycle is the same for all.
	turn_client_begin(a->client, TURN_GOAL_CYCLE);
	turn_client_allow_cycles(a->client, a->flows->plan.n_flows);
	begin = now_ns();
	do {
		now = now_ns();
	} while ((stats->n_cycles < a->flows->plan.n_flows || step(a) > 0) &&
		 (step(a) > 0 || stats->n_cycles == 0) && now - begin < PHASE_NS_MAX);
	turn_client_stats_clear(a->client);
	turn_client_begin(a->client, TURN_GOAL_CYCLE);
	begin = now_ns();
	do {
		now = now_ns();
		if (rate > 0)
			turn_client_allow_cycles(a->client,
						 (uint64_t)((double)(now - begin) / 1e9 * rate));
		step(a);
	} while (now - begin < (uint64_t)(seconds * 1e9));
	*out_per_sec = (double)stats->n_cycles / ((double)(now - begin) / 1e9);
	turn_client_allow_cycles(a->client, 0);
	begin = now_ns();
	while (step(a) > 0 && now_ns() - begin < 5 * NS_PER_SEC)
		;
	return stats->n_cycles == 0 ? -EPROTO : 0;
}
