// Builds and signs requests as a client does (RFC 8489 §9.2.3) and hands them to the TURN server.
#include "tests/unit/ops/engine_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/turn/state.h"
#include "dataplane/contract/wire/challenge.h"
#include "dataplane/contract/wire/stun.h"
#include "dataplane/contract/wire/stun_numbers.h"

#define CLIENT_L2 0x0200000000020000ull // 02:00:00:00:00:02, untagged, port 0

static char root[64];

static const char base[] = "instance: unit\n"
			   "realm: lab.turnpike\n"
			   "listeners: [{address: 198.18.0.2}, {address: 'fd00:18::2'}]\n"
			   "relay: {addresses: [198.18.0.3, 'fd00:18::2']}\n"
			   "users: [{name: lab, password: lab-secret}]\n"
			   "peers:\n"
			   "  allow: [198.18.0.0/15, 'fd00:18::/32']\n"
			   "  deny: [198.18.7.0/24]\n"
			   "ports: [{device: net_null0, gateway_mac: 02:00:00:00:00:01}]\n";

void fixture_open(struct engine *e, const char *more)
{
	char path[96], error[512] = "";
	struct config *config = NULL;
	FILE *f;

	snprintf(root, sizeof(root), "/dev/shm/turnpike-unit-%d", (int)getpid());
	setenv("TURNPIKE_SHM_DIR", root, 1);
	setenv("TURNPIKE_RUN_DIR", root, 1);
	setenv("TURNPIKE_STATE_DIR", root, 1);
	snprintf(path, sizeof(path), "/tmp/turnpike-unit-%d.yaml", (int)getpid());
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(base, f);
	if (!strstr(more, "tables:"))
		fputs("tables: {max_allocations: 64, max_flows: 256}\n", f);
	fputs(more, f);
	fclose(f);
	cr_assert_eq(config_load(path, &config, error, sizeof(error)), 0, "%s", error);
	cr_assert_eq(engine_open(e, config, error, sizeof(error)), 0, "%s", error);
	snprintf(e->config_path, sizeof(e->config_path), "%s", path);
	fixture_dataplane(e, SHM_DATAPLANE_RUNNING, engine_now_ns());
}

void fixture_close(struct engine *e)
{
	char command[128];

	unlink(e->config_path);
	engine_close(e);
	shm_instance_remove("unit");
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	cr_assert_eq(system(command), 0);
}

void fixture_dataplane(struct engine *e, uint32_t phase, uint64_t heartbeat_ns)
{
	struct shm_segment s;
	struct shm_workers *w;

	cr_assert_eq(shm_segment_attach("unit", SHM_SEGMENT_WORKERS, true, &s), SHM_ATTACH_READY);
	w = s.base;
	w->dataplane.pid = (uint32_t)getpid();
	w->dataplane.phase = phase;
	w->dataplane.heartbeat_ns = heartbeat_ns;
	w->dataplane.started_at_ns = heartbeat_ns;
	w->dataplane.n_workers = 1;
	w->dataplane.n_ports = 1;
	strcpy(w->dataplane.version, "0.0.0");
	strcpy(w->dataplane.port[0].driver, "net_null");
	w->worker[0].online = phase == SHM_DATAPLANE_RUNNING;
	w->worker[0].heartbeat_ns = heartbeat_ns;
	w->worker[0].counter[0] = 1000;
	shm_segment_detach(&s);
}

struct ip_endpoint fixture_endpoint(const char *text)
{
	struct ip_endpoint e;

	cr_assert_eq(ip_endpoint_parse(text, &e), 0, "%s", text);
	return e;
}

// ---- requests

struct message {
	uint8_t bytes[600];
	struct stun_builder b;
};

static void begin(struct message *m, uint16_t type)
{
	static uint32_t n;
	uint8_t id[12] = { 0 };

	n++;
	memcpy(id, &n, sizeof(n));
	stun_build_begin(&m->b, m->bytes, sizeof(m->bytes), type, id);
}

static uint32_t stream_idx;

void fixture_use_stream(uint32_t idx)
{
	stream_idx = idx;
}

// Adds credentials, sends, returns the code.
static int send_signed(struct engine *e, struct message *m, const char *client)
{
	const char *realm = e->config->realm;
	struct turn_request in = { .client = fixture_endpoint(client),
				   .local_port_be = htons(3478),
				   .l2_word = CLIENT_L2,
				   .now_ns = engine_now_ns(),
				   .wall_ns = engine_wall_ns() };
	struct ip_endpoint listener = fixture_endpoint(
		ip_address_is_v4(&in.client.address) ? FIXTURE_LISTENER : "[fd00:18::2]:3478");
	uint8_t answer[TURN_ANSWER_BYTES_MAX], key[16];
	char nonce[CHALLENGE_NONCE_CHARS_MAX];
	static const char secret[] = "lab:lab.turnpike:lab-secret";
	size_t covered, n, nonce_bytes;
	uint8_t *tag;

	nonce_bytes =
		challenge_nonce_write(e->tables.settings.challenge_secret, in.wall_ns, &in.client,
				      turn_challenge_features(&e->tables.settings), nonce);
	stun_build_attr(&m->b, STUN_ATTR_USERNAME, FIXTURE_USER, strlen(FIXTURE_USER));
	stun_build_attr(&m->b, STUN_ATTR_REALM, realm, (uint16_t)strlen(realm));
	stun_build_attr(&m->b, STUN_ATTR_NONCE, nonce, (uint16_t)nonce_bytes);
	tag = stun_build_integrity(&m->b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered);
	cr_assert_not_null(tag);
	EVP_Digest(secret, strlen(secret), key, NULL, EVP_md5(), NULL);
	HMAC(EVP_sha1(), key, sizeof(key), m->bytes, covered, tag, NULL);
	in.bytes = m->bytes;
	in.len_bytes = stun_build_end(&m->b);
	in.local_idx = (uint8_t)table_writer_local_find(&e->tables, &listener.address);
	if (stream_idx != 0) {
		in.transport = SHM_TRANSPORT_TLS;
		in.stream.idx = in.stream.serial = stream_idx;
		in.local_idx = SHM_LOCAL_STREAM;
		in.local_port_be = 0;
		in.l2_word = 0;
	}
	n = turn_server_handle(e->turn, &in, answer, sizeof(answer));
	cr_assert(n >= 20, "no answer");
	// Success responses have class 10: bit 8 of the type set, bit 4 clear.
	if ((answer[0] & 1) && !(answer[1] & 0x10))
		return 0;
	for (size_t i = 20; i + 8 <= n;) {
		uint16_t type = (uint16_t)(answer[i] << 8 | answer[i + 1]);
		uint16_t length = (uint16_t)(answer[i + 2] << 8 | answer[i + 3]);

		if (type == STUN_ATTR_ERROR_CODE)
			return answer[i + 6] * 100 + answer[i + 7];
		i += 4 + (size_t)((length + 3) & ~3);
	}
	return -1;
}

int fixture_allocate(struct engine *e, const char *client, bool is_v6)
{
	struct message m;

	begin(&m, TURN_ALLOCATE_REQUEST);
	stun_build_u32(&m.b, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	if (is_v6)
		stun_build_u32(&m.b, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, 2u << 24);
	return send_signed(e, &m, client);
}

int fixture_refresh(struct engine *e, const char *client, uint32_t lifetime_s)
{
	struct message m;

	begin(&m, TURN_REFRESH_REQUEST);
	stun_build_u32(&m.b, TURN_ATTR_LIFETIME, lifetime_s);
	return send_signed(e, &m, client);
}

int fixture_permit(struct engine *e, const char *client, const char *peer)
{
	struct ip_endpoint p = fixture_endpoint(peer);
	struct message m;

	begin(&m, TURN_CREATE_PERMISSION_REQUEST);
	stun_build_xor_address(&m.b, TURN_ATTR_XOR_PEER_ADDRESS, &p);
	return send_signed(e, &m, client);
}

int fixture_bind(struct engine *e, const char *client, uint16_t channel, const char *peer)
{
	struct ip_endpoint p = fixture_endpoint(peer);
	struct message m;

	begin(&m, TURN_CHANNEL_BIND_REQUEST);
	stun_build_u32(&m.b, TURN_ATTR_CHANNEL_NUMBER, (uint32_t)channel << 16);
	stun_build_xor_address(&m.b, TURN_ATTR_XOR_PEER_ADDRESS, &p);
	return send_signed(e, &m, client);
}

// ---- state

struct turn_allocation_info fixture_info(struct engine *e, const char *client)
{
	struct ip_endpoint c = fixture_endpoint(client);
	struct turn_allocation_info info;
	uint32_t idx;

	cr_assert_eq(turn_allocation_find_client(e->turn, &c, NULL, &idx), 0);
	cr_assert_eq(turn_allocation_info(e->turn, idx, &info), 0);
	return info;
}

uint32_t fixture_flow(struct engine *e, const char *client, uint8_t kind, const char *peer,
		      uint16_t channel)
{
	struct turn_allocation_info info = fixture_info(e, client);
	struct shm_flow_key key = { .kind = kind };

	if (kind == SHM_FLOW_CHANNEL) {
		memcpy(key.address, info.client.address.bytes, 16);
		key.port_be = info.client.port_be;
		key.local_port_be = info.server.port_be;
		key.local_idx = (uint8_t)table_writer_local_find(&e->tables, &info.server.address);
		key.channel_be = htons(channel);
	} else {
		struct ip_endpoint p = fixture_endpoint(peer);

		memcpy(key.address, p.address.bytes, 16);
		key.port_be = kind == SHM_FLOW_PEER ? p.port_be : 0;
		key.local_port_be = info.relayed.port_be;
		key.local_idx = (uint8_t)table_writer_local_find(&e->tables, &info.relayed.address);
	}
	return table_writer_flow_find(&e->tables, &key);
}
