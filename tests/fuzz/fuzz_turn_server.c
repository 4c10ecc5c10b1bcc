// The TURN server under sequences of messages: several clients over UDP and over streams, any attributes, signed rightly, wrongly or
// not at all, with time passing, peers connecting and damage between requests. What is asserted: answers are whole messages to
// requests only, nobody without a key changes state, limits hold, nobody binds another user's connection, and when all allocations
// are ended nothing is left of them.
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/turn/server.h"
#include "dataplane/contract/wire/challenge.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/tcp_world.h"

#define N_CLIENTS       4
#define ALLOCATIONS_MAX 3
#define NS_PER_S        1000000000ull

static const char instance[] = "fuzz";
static char realm[] = "r";
static const char *const user_name[2] = { "a", "b" };
static const uint8_t user_key[2][16] = { { 1, 2, 3 }, { 4, 5, 6 } };

static struct table_writer tables;
static struct turn_server *server;
static struct config config;
static uint64_t now_ns = 1000 * NS_PER_S, wall_ns = 1800000000 * NS_PER_S;
static struct tcp_world tcp;

// Who sends: an address, or the client of a stream.
struct sender {
	struct ip_endpoint client;
	uint32_t stream_idx; // 0: UDP
};

// Whose keys sign. NULL: nobody's.
struct signer {
	const char *name;
	const uint8_t *key;
};

// Fewer ports than addresses, fewer flows than wished: every limit is near.
static void start(void)
{
	static struct config_listener listener;
	static struct config_relay relays[2];
	static struct config_user users[2] = { { .name = (char *)"a" }, { .name = (char *)"b" } };
	static struct config_port port;
	static char *secrets[] = { (char *)"secret" };
	static char directory[] = "/tmp/turnpike-fuzz-XXXXXX";
	char error[320];

	FUZZ_ASSERT(mkdtemp(directory) != NULL);
	setenv("TURNPIKE_SHM_DIR", directory, 1);
	FUZZ_ASSERT(ip_endpoint_parse("198.51.100.1:3478", &listener.endpoint) == 0);
	FUZZ_ASSERT(ip_address_parse("198.51.100.1", &relays[0].address) == 0);
	FUZZ_ASSERT(ip_address_parse("2001:4860::1", &relays[1].address) == 0);
	for (uint32_t i = 0; i < 2; i++)
		memcpy(users[i].key, user_key[i], 16);
	memcpy(port.settings.device, "net_null0", 10);
	port.settings.n_queues = 1;
	port.settings.mtu_bytes = 1500;
	memcpy(config.instance, instance, sizeof(instance));
	config.realm = realm;
	config.software_attribute = true;
	config.listeners = &listener;
	config.n_listeners = 1;
	config.relays = relays;
	config.n_relays = 2;
	config.relay_port_min = 50000;
	config.relay_port_max = 50001;
	config.users = users;
	config.n_users = 2;
	config.rest_secrets = secrets;
	config.n_rest_secrets = 1;
	config.lifetime_max_s = 3600;
	config.quota_per_user = 2;
	config.ports = &port;
	config.n_ports = 1;
	config.n_workers = 1;
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		config.worker_cpu[i] = UINT32_MAX;
	config.memory_mb = 64;
	config.max_allocations = ALLOCATIONS_MAX;
	config.max_flows = 4;
	FUZZ_ASSERT(table_writer_open(&tables, &config, error, sizeof(error)) == 0);
	FUZZ_ASSERT(turn_server_new(&config, &tables, NULL, now_ns, &server) == 0);
	tcp_start(&tcp, server, &now_ns);
	// The files are not needed any more once they are mapped.
	shm_instance_remove(instance);
	rmdir(directory);
}

static uint8_t take(const uint8_t **at, const uint8_t *end)
{
	return *at < end ? *(*at)++ : 0;
}

static struct sender sender_at(uint8_t which)
{
	struct sender from = { .client = { .port_be = __builtin_bswap16(40000) } };

	from.client.address =
		ip_address_from_v4((const uint8_t[]){ 203, 0, 113, which % N_CLIENTS });
	return from;
}

static struct sender sender_on(uint32_t stream_idx)
{
	struct sender from = sender_at(0);

	from.stream_idx = stream_idx;
	from.client.port_be = __builtin_bswap16((uint16_t)(41000 + stream_idx));
	return from;
}

// Addresses that mean something to policy, families and hairpin.
static struct ip_endpoint peer_of(uint8_t which)
{
	static const char *const peers[] = { "9.9.9.9:9",
					     "8.8.8.8:8",
					     "9.9.9.9:10",
					     "198.51.100.1:50000",
					     "10.0.0.1:1",
					     "[2620:fe::fe]:9",
					     "[2620:fe::9]:9",
					     "[2001:4860::1]:50001",
					     "[::ffff:0:10.0.0.1]:1",
					     "9.9.9.9:0" };
	struct ip_endpoint e;

	FUZZ_ASSERT(ip_endpoint_parse(peers[which % (sizeof(peers) / sizeof(peers[0]))], &e) == 0);
	return e;
}

static void add_attribute(struct stun_builder *b, const uint8_t **at, const uint8_t *end)
{
	static const uint16_t types[] = {
		TURN_ATTR_REQUESTED_TRANSPORT,
		TURN_ATTR_LIFETIME,
		TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
		TURN_ATTR_CHANNEL_NUMBER,
		TURN_ATTR_EVEN_PORT,
		TURN_ATTR_DONT_FRAGMENT,
		TURN_ATTR_RESERVATION_TOKEN,
		TURN_ATTR_XOR_PEER_ADDRESS,
		STUN_ATTR_USERNAME,
		STUN_ATTR_REALM,
		STUN_ATTR_NONCE,
		STUN_ATTR_MESSAGE_INTEGRITY_SHA256,
		STUN_ATTR_SOFTWARE,
		TURN_ATTR_CONNECTION_ID,
		0x7ffe,
	};
	uint8_t what = take(at, end);
	uint8_t value[32] = { 0 };
	struct ip_endpoint peer;

	switch (what & 0xc0) {
	case 0x00: // a peer that means something
		peer = peer_of(what);
		stun_build_xor_address(b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
		break;
	case 0x40: // a channel in range
		stun_build_u32(b, TURN_ATTR_CHANNEL_NUMBER, 0x40000000u + ((what & 3u) << 16));
		break;
	case 0x80: // what Allocate must have
		stun_build_u32(b, TURN_ATTR_REQUESTED_TRANSPORT,
			       (uint32_t)(what & 2 ? TURN_TRANSPORT_TCP : TURN_TRANSPORT_UDP)
				       << 24);
		if (what & 1)
			stun_build_u32(b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
				       (uint32_t)STUN_FAMILY_IPV6 << 24);
		break;
	default: { // anything of any length
		uint8_t length = take(at, end) % (sizeof(value) + 1);

		for (uint8_t i = 0; i < length; i++)
			value[i] = take(at, end);
		stun_build_attr(b, types[what % (sizeof(types) / sizeof(types[0]))], value, length);
	}
	}
}

static void sign(struct stun_builder *b, const struct ip_endpoint *client, struct signer by)
{
	char nonce[CHALLENGE_NONCE_CHARS];
	unsigned int tag_bytes = 20;
	size_t covered_bytes;
	uint8_t *tag;

	challenge_nonce_write(tables.settings.challenge_secret, wall_ns, client, 0, nonce);
	stun_build_attr(b, STUN_ATTR_USERNAME, by.name, (uint16_t)strlen(by.name));
	stun_build_attr(b, STUN_ATTR_REALM, realm, sizeof(realm) - 1);
	stun_build_attr(b, STUN_ATTR_NONCE, nonce, sizeof(nonce));
	tag = stun_build_integrity(b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
	if (tag != NULL)
		HMAC(EVP_sha1(), by.key, 16, b->w.base, covered_bytes, tag, &tag_bytes);
}

// Sends and checks what every answer must be. `signer`: the user whose key the sender has, NULL for nobody.
static void handle(const struct sender *from, const uint8_t *bytes, size_t n, const char *signer)
{
	uint32_t n_connections = turn_tcp_relay_n_connections(tcp.relay);
	uint32_t n_allocations = turn_server_n_allocations(server);
	uint32_t n_permissions = turn_server_n_permissions(server);
	uint32_t n_channels = turn_server_n_channels(server);
	uint8_t answer[TURN_ANSWER_BYTES_MAX];
	struct turn_request in = {
		.client = from->client,
		.local_idx = 0,
		.local_port_be = __builtin_bswap16(3478),
		.l2_word = 0x0200000000010000,
		.bytes = bytes,
		.len_bytes = n,
		.now_ns = now_ns,
		.wall_ns = wall_ns,
	};
	struct stun_view request, msg;
	bool has_key = signer != NULL;
	size_t answer_bytes;

	if (from->stream_idx != 0) {
		// What comes on a joined stream is data, no message.
		if (tcp.stream[from->stream_idx].is_pipe)
			return;
		in.local_idx = SHM_LOCAL_STREAM;
		in.local_port_be = 0;
		in.transport = tcp_stream_transport(from->stream_idx);
		in.stream.idx = from->stream_idx;
		in.stream.serial = tcp.stream[from->stream_idx].serial;
	}
	tcp.signer = signer;
	if (n >= STUN_HEADER_BYTES)
		memcpy(tcp.transaction_id, bytes + 8, 12);
	answer_bytes = turn_server_handle(server, &in, answer, sizeof(answer));
	tcp.signer = NULL;
	FUZZ_ASSERT(answer_bytes <= sizeof(answer));
	if (answer_bytes > 0) {
		FUZZ_ASSERT(stun_parse(bytes, n, &request) == STUN_OK);
		FUZZ_ASSERT(stun_is_request(request.type));
		FUZZ_ASSERT(stun_parse(answer, answer_bytes, &msg) == STUN_OK);
		FUZZ_ASSERT((msg.type & ~0x0110) == request.type && (msg.type & 0x0100));
		FUZZ_ASSERT(memcmp(msg.transaction_id, request.transaction_id, 12) == 0);
		FUZZ_ASSERT(has_key || (msg.type & 0x0010));
	}
	FUZZ_ASSERT(turn_server_n_allocations(server) <= ALLOCATIONS_MAX);
	// Without a key state only shrinks, by what has expired.
	if (!has_key) {
		FUZZ_ASSERT(turn_server_n_allocations(server) <= n_allocations);
		FUZZ_ASSERT(turn_server_n_permissions(server) <= n_permissions);
		FUZZ_ASSERT(turn_server_n_channels(server) <= n_channels);
		FUZZ_ASSERT(turn_tcp_relay_n_connections(tcp.relay) <= n_connections);
	}
}

static void message(const struct sender *from, uint8_t what, const uint8_t **at, const uint8_t *end)
{
	static const uint16_t types[] = { TURN_ALLOCATE_REQUEST,          TURN_REFRESH_REQUEST,
					  TURN_CREATE_PERMISSION_REQUEST, TURN_CHANNEL_BIND_REQUEST,
					  STUN_BINDING_REQUEST,           TURN_SEND_INDICATION,
					  TURN_CONNECT_REQUEST,           TURN_ALLOCATE_REQUEST };
	static const uint8_t wrong_key[16];
	uint8_t n_attributes = take(at, end);
	const char *signer = NULL;
	uint8_t transaction_id[12] = { 0 };
	uint8_t bytes[1600];
	struct stun_builder b;
	uint32_t user;
	size_t n;

	transaction_id[0] = n_attributes >> 4;
	stun_build_begin(&b, bytes, sizeof(bytes), types[what >> 2 & 7], transaction_id);
	for (uint8_t i = 0; i < (n_attributes & 15); i++)
		add_attribute(&b, at, end);
	switch (what >> 5) {
	case 0:
		break;
	case 1:
		sign(&b, &from->client, (struct signer){ "a", wrong_key });
		break;
	case 2:
		sign(&b, &from->client, (struct signer){ "nobody", user_key[0] });
		break;
	default:
		user = what & 0x80 ? 0 : 1;
		signer = user_name[user];
		sign(&b, &from->client, (struct signer){ signer, user_key[user] });
	}
	if (n_attributes & 0x80)
		stun_build_fingerprint(&b);
	n = stun_build_end(&b);
	// One damaged byte, now and then; a damaged request has no valid signature, but bytes behind it are not covered.
	if (n > 0 && (n_attributes & 0x40))
		bytes[take(at, end) % n] ^= take(at, end);
	handle(from, bytes, n, signer);
}

// ---- TCP relaying: whole requests that the server has a reason to grant, and what happens on sockets

enum tcp_step {
	STEP_ALLOCATE = 0, // stream, with its user
	STEP_CONNECT,      // stream, peer
	STEP_BIND,         // stream, connection
	STEP_PERMIT,       // stream, peer
	STEP_REFRESH,      // stream, lifetime
	STEP_CONNECTED,    // connection
	STEP_FAILED,       // connection
	STEP_ACCEPTED,     // allocation, peer
	STEP_MOVED,        // connection, bytes
	STEP_CLOSED,       // stream
	STEP_BREAK,        // what fails next
	STEP_RULES,        // what policy denies
	STEP_KILL,         // allocation
	STEP_MESSAGE,      // stream, any message as it comes over UDP
	STEP_COUNT
};

static void tcp_request(enum tcp_step step, uint8_t which, uint8_t arg)
{
	static const uint16_t types[] = { TURN_ALLOCATE_REQUEST, TURN_CONNECT_REQUEST,
					  TURN_CONNECTION_BIND_REQUEST,
					  TURN_CREATE_PERMISSION_REQUEST, TURN_REFRESH_REQUEST };
	static uint32_t n_requests;
	struct sender from = sender_on(1 + (which & 7) % TCP_STREAMS);
	uint32_t user = which >> 7;
	uint8_t transaction_id[12] = { 0 };
	uint8_t bytes[512];
	struct ip_endpoint peer = peer_of(arg);
	struct stun_builder b;

	n_requests++;
	memcpy(transaction_id, &n_requests, sizeof(n_requests));
	stun_build_begin(&b, bytes, sizeof(bytes), types[step], transaction_id);
	if (step == STEP_ALLOCATE) {
		stun_build_u32(&b, TURN_ATTR_REQUESTED_TRANSPORT,
			       (uint32_t)TURN_TRANSPORT_TCP << 24);
		if (which & 0x40)
			stun_build_u32(&b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY,
				       (uint32_t)STUN_FAMILY_IPV6 << 24);
	} else if (step == STEP_REFRESH) {
		stun_build_u32(&b, TURN_ATTR_LIFETIME, arg * 16u);
	} else if (step == STEP_BIND) {
		// Rarely one that was never given out.
		stun_build_u32(&b, TURN_ATTR_CONNECTION_ID,
			       tcp.peer[tcp.connection_named[arg % TCP_CONNECTIONS]].id ^
				       (arg & 0x80 ? 0x10000u : 0));
	} else {
		stun_build_xor_address(&b, TURN_ATTR_XOR_PEER_ADDRESS, &peer);
	}
	sign(&b, &from.client, (struct signer){ user_name[user], user_key[user] });
	handle(&from, bytes, stun_build_end(&b), user_name[user]);
}

// Denies a peer, or allows it again, as a change of the rules in the shared store does.
static void change_rules(bool denies)
{
	struct config_peer_rule rule = { .action = SHM_PEER_DENY };
	struct ip_endpoint peer = peer_of(0);
	char error[320];

	rule.prefix = (struct ip_prefix){ .address = peer.address, .length_bits = 128 };
	FUZZ_ASSERT(table_writer_publish_rules(&tables, &config, &rule, denies, error,
					       sizeof(error)) == 0);
	turn_server_rules_changed(server);
	tcp_check_policy(&tcp);
}

static void tcp_step(const uint8_t **at, const uint8_t *end)
{
	uint8_t step = take(at, end) % STEP_COUNT;
	uint8_t which = take(at, end);
	uint32_t connection = tcp.connection_named[which % TCP_CONNECTIONS];
	uint32_t allocation_idx = tcp.allocation_named[which % ALLOCATIONS_MAX];
	struct ip_endpoint peer;
	struct sender from;

	switch ((enum tcp_step)step) {
	case STEP_ALLOCATE:
		tcp_request(STEP_ALLOCATE, which, 0);
		break;
	case STEP_CONNECT:
	case STEP_BIND:
	case STEP_PERMIT:
	case STEP_REFRESH:
		tcp_request(step, which, take(at, end));
		break;
	case STEP_CONNECTED:
		tcp_connected(&tcp, connection);
		break;
	case STEP_FAILED:
		tcp_failed(&tcp, connection);
		break;
	case STEP_ACCEPTED:
		peer = peer_of(take(at, end));
		tcp_accepted(&tcp, allocation_idx, &peer);
		break;
	case STEP_MOVED:
		tcp_moved(&tcp, connection, take(at, end));
		break;
	case STEP_CLOSED:
		tcp_stream_close(&tcp, 1 + which % TCP_STREAMS);
		break;
	case STEP_BREAK:
		tcp.listen_fails = which & 1;
		tcp.connect_fails = which & 2;
		tcp.join_fails = which & 4;
		tcp.client_does_not_read = which & 8;
		break;
	case STEP_RULES:
		change_rules(which & 1);
		break;
	case STEP_KILL:
		if (allocation_idx != 0)
			turn_allocation_kill(server, allocation_idx, now_ns);
		break;
	case STEP_MESSAGE:
		from = sender_on(1 + which % TCP_STREAMS);
		message(&from, take(at, end), at, end);
		break;
	case STEP_COUNT:
		break;
	}
}

static void pass_time(uint8_t how_long)
{
	now_ns += how_long * 8 * NS_PER_S;
	wall_ns += how_long * 8 * NS_PER_S;
	if (how_long & 1) {
		turn_server_expire(server, now_ns);
		tcp_check_expired(&tcp);
	}
	table_writer_reclaim(&tables, now_ns);
}

// Nothing may be left of what an input did.
static void finish(void)
{
	for (uint32_t idx = 1; idx <= ALLOCATIONS_MAX; idx++)
		turn_allocation_kill(server, idx, now_ns);
	// Reserved ports come back with time alone.
	pass_time(5);
	table_writer_reclaim(&tables, now_ns);
	FUZZ_ASSERT(turn_server_n_allocations(server) == 0);
	FUZZ_ASSERT(turn_server_n_permissions(server) == 0);
	FUZZ_ASSERT(turn_server_n_channels(server) == 0);
	FUZZ_ASSERT(tables.flows.n_free == tables.n_entries - 1);
	FUZZ_ASSERT(tables.n_free_allocations == ALLOCATIONS_MAX);
	FUZZ_ASSERT(turn_server_free_ports(server, 0) == 2);
	FUZZ_ASSERT(turn_server_free_ports(server, 1) == 2);
	FUZZ_ASSERT(turn_server_user_allocations(server, "a", 1) == 0);
	tcp_check_empty(&tcp);
	if (tables.n_shared_rules > 0)
		change_rules(false);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;
	uint8_t raw[64];

	if (server == NULL)
		start();
	for (uint32_t steps = 0; data < end && steps < 64; steps++) {
		uint8_t what = take(&data, end);
		struct sender from = sender_at(what);
		uint8_t length;

		if (what == 0xff) {
			pass_time(take(&data, end));
		} else if (what == 0xfe) {
			length = take(&data, end) % sizeof(raw);
			for (uint8_t i = 0; i < length; i++)
				raw[i] = take(&data, end);
			handle(&from, raw, length, NULL);
		} else if (what == 0xfd) {
			tcp_step(&data, end);
		} else {
			message(&from, what, &data, end);
		}
		tcp_check(&tcp);
	}
	finish();
}
