// Relays numbered packets through a TURN server and tells what became of each. One thread.
//
//   relay_probe peer --listen ADDRESS:PORT            echoes everything
//   relay_probe client --server ADDRESS:PORT --peer ADDRESS:PORT --user NAME --password WORD
//               [--clients N] [--rate PACKETS_PER_SECOND] [--bytes SIZE] [--family 4|6] [--indications]
//               [--no-permission] [--no-channel] [--transport udp|tcp|tls]
//
// The client allocates, permits and binds for every client, sends at the given rate (of all clients together), and obeys
// lines on stdin, each answered with one line of JSON on stdout:
//   window   closes the counting window and reports it once late packets had time to arrive
//   refresh  refreshes every allocation          binding  asks every client's reflexive address
//   pause / resume                               quit (or end of input) ends with the total, deletes the allocations
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/net/sockaddr.h"
#include "dataplane/contract/wire/turn.h"
#include "tests/e2e/traffic.h"
#include "tests/e2e/turn_client.h"

#define CLIENTS_MAX   512
#define LATE_NS       600000000ULL // packets that take longer are lost
#define CHANNEL_FIRST 0x4001
#define RECEIVE_BURST 64

struct probe {
	struct turn_client client[CLIENTS_MAX];
	struct traffic_stream stream[CLIENTS_MAX];
	struct pollfd poll[CLIENTS_MAX];
	struct traffic traffic;
	uint32_t n_clients;
	uint32_t rate_per_sec;
	size_t size_bytes;
	bool wants_permission;
	bool wants_channel;
	bool is_sending;
	uint64_t next_send_ns;
	uint32_t next_client;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void send_due(struct probe *p)
{
	uint64_t now = now_ns(), interval_ns;
	uint8_t data[TRAFFIC_PACKET_MAX], out[TURN_CLIENT_DATAGRAM_MAX];

	if (!p->is_sending || p->rate_per_sec == 0)
		return;
	interval_ns = 1000000000ULL / p->rate_per_sec;
	// After a pause of the whole process do not catch up in one burst.
	if (now > p->next_send_ns + 20000000ULL)
		p->next_send_ns = now;
	for (; p->next_send_ns <= now; p->next_send_ns += interval_ns) {
		uint32_t i = p->next_client++ % p->n_clients;
		size_t out_bytes;

		traffic_packet_write(&p->traffic, &p->stream[i], data, p->size_bytes, now);
		out_bytes = turn_client_wrap(&p->client[i], data, p->size_bytes, out);
		if (turn_client_send(&p->client[i], out, out_bytes) < 0)
			traffic_socket_error(&p->traffic);
	}
}

static void receive_all(struct probe *p, uint32_t i)
{
	uint8_t in[TURN_CLIENT_DATAGRAM_MAX];
	const uint8_t *data;
	size_t data_bytes;
	ssize_t n;

	for (uint32_t k = 0; k < RECEIVE_BURST; k++) {
		n = turn_client_take(&p->client[i], in);
		if (n < 0)
			traffic_socket_error(&p->traffic);
		if (n <= 0)
			return;
		if (turn_client_receive(&p->client[i], in, (size_t)n, &data, &data_bytes))
			traffic_packet_count(&p->traffic, &p->stream[i], data, data_bytes,
					     p->size_bytes, now_ns());
	}
}

// Serves all sockets for about a millisecond.
static void pump(void *context)
{
	struct probe *p = context;

	send_due(p);
	if (poll(p->poll, p->n_clients, 1) < 0)
		return;
	for (uint32_t i = 0; i < p->n_clients; i++) {
		// A stream may hold messages that the socket does not tell of.
		if (p->poll[i].revents || p->client[i].stream != NULL)
			receive_all(p, i);
	}
}

static void pump_for(struct probe *p, uint64_t duration_ns)
{
	for (uint64_t end_ns = now_ns() + duration_ns; now_ns() < end_ns;)
		pump(p);
}

static int set_up(struct probe *p, const struct ip_endpoint *server)
{
	const char *step = "socket";
	char text[IP_ENDPOINT_TEXT_MAX];
	int ret = 0;

	for (uint32_t i = 0; i < p->n_clients; i++) {
		ret = turn_client_open(&p->client[i], server);
		if (ret)
			goto fail;
		p->stream[i].id = i;
		p->poll[i] = (struct pollfd){ .fd = p->client[i].fd, .events = POLLIN };
	}
	for (uint32_t i = 0; i < p->n_clients; i++) {
		struct turn_client *c = &p->client[i];

		step = "Allocate";
		ret = turn_client_allocate(c, pump, p);
		if (ret)
			goto fail;
		step = "CreatePermission";
		if (p->wants_permission)
			ret = turn_client_permit(c, pump, p);
		if (ret)
			goto fail;
		step = "ChannelBind";
		if (p->wants_channel)
			ret = turn_client_bind(c, CHANNEL_FIRST, pump, p);
		if (ret)
			goto fail;
	}
	printf("{\"event\":\"ready\",\"clients\":[");
	for (uint32_t i = 0; i < p->n_clients; i++) {
		printf("%s{\"client\":\"%s\"", i ? "," : "",
		       ip_endpoint_format(&p->client[i].local, text, sizeof(text)));
		printf(",\"relayed\":\"%s\"}",
		       ip_endpoint_format(&p->client[i].relayed, text, sizeof(text)));
	}
	printf("]}\n");
	fflush(stdout);
	return 0;

fail:
	printf("{\"event\":\"failed\",\"step\":\"%s\",\"code\":%d}\n", step, ret);
	fflush(stdout);
	return ret;
}

static void refresh_all(struct probe *p, uint32_t lifetime_s, bool is_reported)
{
	uint32_t n_ok = 0;
	int first_failure = 0;

	for (uint32_t i = 0; i < p->n_clients; i++) {
		int ret = turn_client_refresh(&p->client[i], lifetime_s, pump, p);

		if (ret == 0)
			n_ok++;
		else if (first_failure == 0)
			first_failure = ret;
	}
	if (is_reported)
		printf("{\"event\":\"refresh\",\"ok\":%u,\"failed\":%u,\"first_failure\":%d}\n",
		       n_ok, p->n_clients - n_ok, first_failure);
}

static void binding_all(struct probe *p)
{
	uint32_t n_ok = 0;

	for (uint32_t i = 0; i < p->n_clients; i++)
		n_ok += turn_client_binding(&p->client[i], pump, p) == 0;
	printf("{\"event\":\"binding\",\"ok\":%u,\"failed\":%u}\n", n_ok, p->n_clients - n_ok);
}

static void report_total(struct probe *p)
{
	uint64_t n_sent = 0, n_received = 0, n_bad = 0;

	for (uint32_t i = 0; i <= p->traffic.current; i++) {
		n_sent += p->traffic.window[i].n_sent;
		n_received += p->traffic.window[i].n_received;
		n_bad += p->traffic.window[i].n_duplicate + p->traffic.window[i].n_corrupt;
	}
	printf("{\"event\":\"total\",\"sent\":%lu,\"received\":%lu,\"lost\":%ld,\"bad\":%lu}\n",
	       n_sent, n_received, (long)(n_sent - n_received), n_bad);
}

// False: the end.
static bool obey(struct probe *p, const char *line)
{
	uint32_t closed;

	if (strcmp(line, "window") == 0) {
		closed = traffic_window_next(&p->traffic);
		pump_for(p, LATE_NS);
		traffic_window_print(&p->traffic, closed);
	} else if (strcmp(line, "refresh") == 0) {
		refresh_all(p, 600, true);
	} else if (strcmp(line, "binding") == 0) {
		binding_all(p);
	} else if (strcmp(line, "pause") == 0) {
		p->is_sending = false;
		pump_for(p, LATE_NS);
		printf("{\"event\":\"pause\"}\n");
	} else if (strcmp(line, "resume") == 0) {
		p->is_sending = true;
		printf("{\"event\":\"resume\"}\n");
	} else if (strcmp(line, "quit") == 0) {
		return false;
	} else {
		printf("{\"event\":\"unknown\"}\n");
	}
	fflush(stdout);
	return true;
}

static int run_client(struct probe *p, const struct ip_endpoint *server)
{
	char line[256];
	size_t n_line = 0;
	bool is_over = false;

	if (set_up(p, server))
		return 1;
	p->is_sending = true;
	p->next_send_ns = now_ns();
	(void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
	while (!is_over) {
		char byte;
		ssize_t n;

		pump(p);
		while ((n = read(STDIN_FILENO, &byte, 1)) == 1) {
			if (byte != '\n') {
				if (n_line + 1 < sizeof(line))
					line[n_line++] = byte;
				continue;
			}
			line[n_line] = '\0';
			n_line = 0;
			if (!obey(p, line)) {
				is_over = true;
				break;
			}
		}
		if (n == 0)
			is_over = true;
	}
	p->is_sending = false;
	pump_for(p, LATE_NS);
	refresh_all(p, 0, false);
	report_total(p);
	return 0;
}

static int run_peer(const char *listen_text)
{
	struct sockaddr_storage from;
	socklen_t from_bytes;
	struct ip_endpoint at;
	uint8_t in[65536];
	int buffer = 8 << 20, fd;

	if (ip_endpoint_parse(listen_text, &at) < 0) {
		fprintf(stderr, "relay_probe: '%s' is no ADDRESS:PORT\n", listen_text);
		return 2;
	}
	from_bytes = net_sockaddr_set(&at, &from);
	fd = socket(from.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, from_bytes) < 0) {
		fprintf(stderr, "relay_probe: cannot listen on %s: %s\n", listen_text,
			strerror(errno));
		return 1;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	for (;;) {
		ssize_t n;

		from_bytes = sizeof(from);
		n = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&from, &from_bytes);
		if (n >= 0)
			(void)sendto(fd, in, (size_t)n, 0, (struct sockaddr *)&from, from_bytes);
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: relay_probe peer --listen ADDRESS:PORT\n"
			"       relay_probe client --server ADDRESS:PORT --peer ADDRESS:PORT "
			"--user NAME --password WORD\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "server", required_argument, NULL, 's' },
		{ "peer", required_argument, NULL, 'p' },
		{ "user", required_argument, NULL, 'u' },
		{ "password", required_argument, NULL, 'w' },
		{ "clients", required_argument, NULL, 'n' },
		{ "rate", required_argument, NULL, 'r' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "family", required_argument, NULL, 'f' },
		{ "indications", no_argument, NULL, 'i' },
		{ "no-permission", no_argument, NULL, 'P' },
		{ "no-channel", no_argument, NULL, 'C' },
		{ "transport", required_argument, NULL, 't' },
		{ 0 },
	};
	static struct probe p = {
		.n_clients = 1, .size_bytes = 200, .wants_permission = true, .wants_channel = true
	};
	const char *listen_text = NULL, *user = NULL, *password = NULL;
	struct ip_endpoint server = { 0 }, peer = { 0 };
	enum turn_client_transport transport = TURN_CLIENT_UDP;
	uint8_t family = STUN_FAMILY_IPV4;
	int o;

	if (argc < 2)
		return usage();
	while ((o = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			listen_text = optarg;
			break;
		case 's':
			if (ip_endpoint_parse(optarg, &server) < 0)
				return usage();
			break;
		case 'p':
			if (ip_endpoint_parse(optarg, &peer) < 0)
				return usage();
			break;
		case 'u':
			user = optarg;
			break;
		case 'w':
			password = optarg;
			break;
		case 'n':
			p.n_clients = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			p.rate_per_sec = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'b':
			p.size_bytes = strtoul(optarg, NULL, 10);
			break;
		case 'f':
			family = optarg[0] == '6' ? STUN_FAMILY_IPV6 : STUN_FAMILY_IPV4;
			break;
		case 'i':
			p.wants_channel = false;
			break;
		case 'P':
			p.wants_permission = false;
			break;
		case 'C':
			p.wants_channel = false;
			break;
		case 't':
			if (strcmp(optarg, "udp") == 0)
				transport = TURN_CLIENT_UDP;
			else if (strcmp(optarg, "tcp") == 0)
				transport = TURN_CLIENT_TCP;
			else if (strcmp(optarg, "tls") == 0)
				transport = TURN_CLIENT_TLS;
			else
				return usage();
			break;
		default:
			return usage();
		}
	}
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(argv[1], "peer") == 0 && listen_text)
		return run_peer(listen_text);
	if (strcmp(argv[1], "client") || !user || !password || server.port_be == 0 ||
	    peer.port_be == 0 || p.n_clients == 0 || p.n_clients > CLIENTS_MAX ||
	    p.size_bytes < TRAFFIC_PACKET_MIN || p.size_bytes > TRAFFIC_PACKET_MAX)
		return usage();
	for (uint32_t i = 0; i < p.n_clients; i++) {
		p.client[i].fd = -1;
		p.client[i].transport = transport;
		p.client[i].user = user;
		p.client[i].password = password;
		p.client[i].peer = peer;
		p.client[i].relayed_family = family;
	}
	return run_client(&p, &server);
}
