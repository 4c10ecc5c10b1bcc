// See turn_rig.h.
#include "tests/unit/controlplane/turn_rig.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/contract/shm/segment.h"

#define INSTANCE "unit"

static void key_of(const char *user, const char *password, uint8_t key[16])
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s:" RIG_REALM ":%s", user, password);

	cr_assert(EVP_Digest(text, (size_t)n, key, NULL, EVP_md5(), NULL) == 1);
}

struct ip_endpoint rig_endpoint(const char *text)
{
	struct ip_endpoint e;

	cr_assert(ip_endpoint_parse(text, &e) == 0, "endpoint %s", text);
	return e;
}

void rig_config_add_user(struct config *c, const char *name, const char *password)
{
	c->users = realloc(c->users, (c->n_users + 1) * sizeof(*c->users));
	memset(&c->users[c->n_users], 0, sizeof(*c->users));
	c->users[c->n_users].name = strdup(name);
	key_of(name, password, c->users[c->n_users].key);
	c->n_users++;
}

void rig_config_add_rule(struct config *c, const char *prefix, uint8_t action)
{
	c->peer_rules = realloc(c->peer_rules, (c->n_peer_rules + 1) * sizeof(*c->peer_rules));
	memset(&c->peer_rules[c->n_peer_rules], 0, sizeof(*c->peer_rules));
	cr_assert(ip_prefix_parse(prefix, &c->peer_rules[c->n_peer_rules].prefix) == 0);
	c->peer_rules[c->n_peer_rules++].action = action;
}

struct config *rig_config(void)
{
	struct config *c = calloc(1, sizeof(*c));

	strcpy(c->instance, INSTANCE);
	c->realm = strdup(RIG_REALM);
	c->software_attribute = true;
	c->listeners = calloc(1, sizeof(*c->listeners));
	c->listeners[0].endpoint = rig_endpoint(RIG_LISTENER);
	c->n_listeners = 1;
	c->relays = calloc(2, sizeof(*c->relays));
	cr_assert(ip_address_parse("198.51.100.1", &c->relays[0].address) == 0);
	cr_assert(ip_address_parse("2001:4860::1", &c->relays[1].address) == 0);
	c->n_relays = 2;
	c->relay_port_min = 50000;
	c->relay_port_max = 50099;
	rig_config_add_user(c, "lab", RIG_PASSWORD);
	rig_config_add_user(c, "other", "other-secret");
	c->rest_secrets = calloc(1, sizeof(*c->rest_secrets));
	c->rest_secrets[0] = strdup(RIG_SECRET);
	c->n_rest_secrets = 1;
	c->lifetime_max_s = 3600;
	c->ports = calloc(1, sizeof(*c->ports));
	strcpy(c->ports[0].settings.device, "net_null0");
	c->ports[0].settings.n_queues = 1;
	c->ports[0].settings.mtu_bytes = 1500;
	c->ports[0].has_gateway_mac = true;
	memcpy(c->ports[0].gateway_mac, "\x02\0\0\0\0\x01", 6);
	c->n_ports = 1;
	c->n_workers = 1;
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		c->worker_cpu[i] = UINT32_MAX;
	c->memory_mb = 256;
	c->max_allocations = 256;
	c->max_flows = 1024;
	c->punt_per_source_per_sec = 100;
	c->punt_burst_pkts = 100;
	return c;
}

void rig_reopen(struct rig *r, struct config *config)
{
	char error[320];

	cr_assert(engine_open(&r->engine, config, error, sizeof(error)) == 0, "%s", error);
}

void rig_open(struct rig *r, struct config *config)
{
	memset(r, 0, sizeof(*r));
	strcpy(r->directory, "/tmp/turnpike-unit-XXXXXX");
	cr_assert(mkdtemp(r->directory) != NULL);
	setenv("TURNPIKE_SHM_DIR", r->directory, 1);
	setenv("TURNPIKE_RUN_DIR", r->directory, 1);
	rig_reopen(r, config);
	r->now_ns = engine_now_ns();
	r->wall_ns = engine_wall_ns();
}

void rig_leave(struct rig *r)
{
	engine_close(&r->engine);
}

void rig_close(struct rig *r)
{
	rig_leave(r);
	shm_instance_remove(INSTANCE);
	rmdir(r->directory);
}

void rig_advance(struct rig *r, uint64_t seconds)
{
	r->now_ns += seconds * RIG_S;
	r->wall_ns += seconds * RIG_S;
}

struct rig_client rig_client(const char *endpoint, const char *user, const char *password)
{
	struct rig_client c = { .user = user, .password = password };

	c.endpoint = rig_endpoint(endpoint);
	key_of(user, password, c.key);
	return c;
}

struct rig_client rig_rest_client(const char *endpoint, const char *name, const char *secret,
				  char password_out[32])
{
	uint8_t mac[20];
	unsigned int mac_bytes = sizeof(mac);

	cr_assert(HMAC(EVP_sha1(), secret, (int)strlen(secret), (const uint8_t *)name, strlen(name),
		       mac, &mac_bytes) != NULL);
	EVP_EncodeBlock((unsigned char *)password_out, mac, sizeof(mac));
	return rig_client(endpoint, name, password_out);
}

void rig_begin(struct rig_request *q, struct rig_client *c, uint16_t type)
{
	memset(q->transaction_id, 0xa5, sizeof(q->transaction_id));
	c->serial++;
	memcpy(q->transaction_id, &c->serial, sizeof(c->serial));
	memcpy(q->transaction_id + 2, &c->endpoint.port_be, 2);
	stun_build_begin(&q->b, q->bytes, sizeof(q->bytes), type, q->transaction_id);
}

void rig_add_peer(struct rig_request *q, const char *endpoint)
{
	struct ip_endpoint e = rig_endpoint(endpoint);

	stun_build_xor_address(&q->b, TURN_ATTR_XOR_PEER_ADDRESS, &e);
}

void rig_add_u32(struct rig_request *q, uint16_t type, uint32_t value)
{
	stun_build_u32(&q->b, type, value);
}

static bool is_signed_by(const uint8_t key[16], const struct rig_answer *a)
{
	struct stun_view msg;
	uint8_t copy[sizeof(a->bytes)], tag[20];
	unsigned int tag_bytes = sizeof(tag);
	struct stun_attr mi;

	if (stun_parse(a->bytes, a->length_bytes, &msg) != STUN_OK ||
	    !stun_attr_find(&msg, STUN_ATTR_MESSAGE_INTEGRITY, &mi) || mi.length_bytes != 20)
		return false;
	memcpy(copy, a->bytes, mi.offset_bytes);
	bytes_put_be16(copy + 2, (uint16_t)(mi.offset_bytes + 24 - 20));
	HMAC(EVP_sha1(), key, 16, copy, mi.offset_bytes, tag, &tag_bytes);
	return memcmp(tag, mi.value, 20) == 0;
}

struct rig_answer rig_send_bytes(struct rig *r, const struct rig_client *c, const void *bytes,
				 size_t length_bytes)
{
	struct rig_answer a = { .length_bytes = 0 };
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct turn_request in = {
		.client = c->endpoint,
		.local_idx = (uint8_t)table_writer_local_find(&r->engine.tables, &listener.address),
		.local_port_be = listener.port_be,
		.bytes = bytes,
		.len_bytes = length_bytes,
		.now_ns = r->now_ns,
		.wall_ns = r->wall_ns,
	};
	struct stun_view msg;
	struct stun_attr code;

	in.transport = c->transport;
	if (c->transport != SHM_TRANSPORT_UDP) {
		in.stream.idx = c->stream_idx;
		in.stream.serial = c->stream_serial;
		in.local_idx = SHM_LOCAL_STREAM;
		in.local_port_be = 0;
	}
	a.length_bytes = turn_server_handle(r->engine.turn, &in, a.bytes, TURN_ANSWER_BYTES_MAX);
	if (a.length_bytes == 0)
		return a;
	cr_assert(stun_parse(a.bytes, a.length_bytes, &msg) == STUN_OK);
	a.type = msg.type;
	if (stun_attr_find(&msg, STUN_ATTR_ERROR_CODE, &code))
		a.code = (uint16_t)((code.value[2] & 7) * 100 + code.value[3]);
	a.is_signed = is_signed_by(c->key, &a);
	return a;
}

bool rig_get(const struct rig_answer *a, uint16_t type, struct stun_attr *out)
{
	struct stun_view msg;

	if (a->length_bytes == 0 || stun_parse(a->bytes, a->length_bytes, &msg) != STUN_OK)
		return false;
	return stun_attr_find(&msg, type, out);
}

uint32_t rig_get_u32(const struct rig_answer *a, uint16_t type)
{
	struct stun_attr attr;

	cr_assert(rig_get(a, type, &attr) && attr.length_bytes == 4, "attribute 0x%04x", type);
	return bytes_get_be32(attr.value);
}

struct ip_endpoint rig_get_address(const struct rig_answer *a, uint16_t type)
{
	struct ip_endpoint e;
	struct stun_view msg;
	struct stun_attr attr;

	cr_assert(stun_parse(a->bytes, a->length_bytes, &msg) == STUN_OK);
	cr_assert(stun_attr_find(&msg, type, &attr), "attribute 0x%04x", type);
	cr_assert(stun_xor_address_get(&msg, &attr, &e) == 0);
	return e;
}

static void fetch_nonce(struct rig *r, struct rig_client *c)
{
	struct rig_request q;
	struct rig_answer a;
	struct stun_attr nonce;

	rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
	a = rig_send_bytes(r, c, q.bytes, stun_build_end(&q.b));
	cr_assert(a.code == 401 && rig_get(&a, STUN_ATTR_NONCE, &nonce));
	cr_assert(nonce.length_bytes < sizeof(c->nonce));
	memcpy(c->nonce, nonce.value, nonce.length_bytes);
	c->nonce[nonce.length_bytes] = '\0';
}

size_t rig_sign(struct rig *r, struct rig_client *c, struct rig_request *q, bool fingerprint)
{
	unsigned int tag_bytes = 20;
	size_t covered_bytes;
	uint8_t *tag;

	if (c->nonce[0] == '\0')
		fetch_nonce(r, c);
	stun_build_attr(&q->b, STUN_ATTR_USERNAME, c->user, (uint16_t)strlen(c->user));
	stun_build_attr(&q->b, STUN_ATTR_REALM, RIG_REALM, sizeof(RIG_REALM) - 1);
	stun_build_attr(&q->b, STUN_ATTR_NONCE, c->nonce, (uint16_t)strlen(c->nonce));
	tag = stun_build_integrity(&q->b, STUN_ATTR_MESSAGE_INTEGRITY, 20, &covered_bytes);
	cr_assert(tag != NULL);
	HMAC(EVP_sha1(), c->key, 16, q->b.w.base, covered_bytes, tag, &tag_bytes);
	if (fingerprint)
		stun_build_fingerprint(&q->b);
	return stun_build_end(&q->b);
}

struct rig_answer rig_send(struct rig *r, struct rig_client *c, struct rig_request *q)
{
	return rig_send_bytes(r, c, q->bytes, rig_sign(r, c, q, false));
}

struct rig_answer rig_allocate_family(struct rig *r, struct rig_client *c, uint8_t family)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, (uint32_t)TURN_TRANSPORT_UDP << 24);
	if (family != 0)
		rig_add_u32(&q, TURN_ATTR_REQUESTED_ADDRESS_FAMILY, (uint32_t)family << 24);
	return rig_send(r, c, &q);
}

struct rig_answer rig_allocate(struct rig *r, struct rig_client *c)
{
	return rig_allocate_family(r, c, 0);
}

struct rig_answer rig_refresh(struct rig *r, struct rig_client *c, uint32_t lifetime_s)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_REFRESH_REQUEST);
	rig_add_u32(&q, TURN_ATTR_LIFETIME, lifetime_s);
	return rig_send(r, c, &q);
}

struct rig_answer rig_permit(struct rig *r, struct rig_client *c, const char *peer)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_CREATE_PERMISSION_REQUEST);
	rig_add_peer(&q, peer);
	return rig_send(r, c, &q);
}

struct rig_answer rig_bind(struct rig *r, struct rig_client *c, uint16_t channel, const char *peer)
{
	struct rig_request q;

	rig_begin(&q, c, TURN_CHANNEL_BIND_REQUEST);
	rig_add_u32(&q, TURN_ATTR_CHANNEL_NUMBER, (uint32_t)channel << 16);
	rig_add_peer(&q, peer);
	return rig_send(r, c, &q);
}

const struct shm_flow *rig_stream_flow(const struct rig *r, const struct rig_client *c,
				       uint16_t channel)
{
	struct shm_flow_key key = {
		.local_idx = SHM_LOCAL_STREAM,
		.kind = channel != 0 ? SHM_FLOW_CHANNEL : SHM_FLOW_ALLOCATION,
		.channel_be = __builtin_bswap16(channel),
	};
	const struct shm_flow *f;

	shm_stream_address(c->stream_idx, c->stream_serial, key.address);
	f = shm_flow_lookup(&r->engine.tables.flows.view, &key);
	return f != NULL && f->expires_at_ns > r->now_ns ? f : NULL;
}

const struct shm_flow *rig_flow(const struct rig *r, uint8_t kind, const char *far,
				const struct ip_endpoint *own, uint16_t channel)
{
	struct ip_endpoint e = rig_endpoint(far);
	struct shm_flow_key key = {
		.port_be = kind == SHM_FLOW_PERMISSION ? 0 : e.port_be,
		.local_port_be = own->port_be,
		.local_idx = (uint8_t)table_writer_local_find(&r->engine.tables, &own->address),
		.kind = kind,
		.channel_be = __builtin_bswap16(channel),
	};
	const struct shm_flow *f;

	memcpy(key.address, e.address.bytes, 16);
	f = shm_flow_lookup(&r->engine.tables.flows.view, &key);
	return f != NULL && f->expires_at_ns > r->now_ns ? f : NULL;
}
