// Answers: built, signed with the requester's key, with FINGERPRINT where the request had one (RFC
// 8489 §6.3.1, §9.2.4). Control plane's loop thread.
#include "controlplane/turn/state.h"
#include "dataplane/contract/wire/challenge.h"

static const char software[] = "turnpike";

void turn_answer_begin(const struct turn_call *c, struct stun_builder *b)
{
	stun_build_begin(b, c->out, c->out_bytes, c->msg.type | STUN_CLASS_SUCCESS,
			 c->msg.transaction_id);
}

// Signs with the key of the request; one that is not authenticated yet gets an unsigned answer.
static size_t finish(const struct turn_call *c, struct stun_builder *b)
{
	if (c->identity.username != NULL)
		turn_auth_sign(c->server->auth, &c->identity, b);
	if (c->has_fingerprint)
		stun_build_fingerprint(b);
	return stun_build_end(b);
}

// RFC 8656 §7.2, §8.2 recommend SOFTWARE in answers to Allocate and Refresh; an operator may switch
// it off.
static void add_software(const struct turn_call *c, struct stun_builder *b)
{
	if (c->server->config->software_attribute && c->identity.username != NULL &&
	    (c->msg.type == TURN_ALLOCATE_REQUEST || c->msg.type == TURN_REFRESH_REQUEST))
		stun_build_attr(b, STUN_ATTR_SOFTWARE, software, sizeof(software) - 1);
}

size_t turn_answer_end(const struct turn_call *c, struct stun_builder *b)
{
	add_software(c, b);
	c->server->counter[TURN_COUNTER_SUCCESS]++;
	return finish(c, b);
}

static void count_error(const struct turn_call *c, uint16_t code)
{
	static const struct {
		uint16_t code;
		uint16_t counter;
	} counters[] = {
		{ 300, TURN_COUNTER_ERROR_300 }, { 405, TURN_COUNTER_ERROR_405 },
		{ 400, TURN_COUNTER_ERROR_400 }, { 401, TURN_COUNTER_ERROR_401 },
		{ 403, TURN_COUNTER_ERROR_403 }, { 420, TURN_COUNTER_ERROR_420 },
		{ 437, TURN_COUNTER_ERROR_437 }, { 438, TURN_COUNTER_ERROR_438 },
		{ 440, TURN_COUNTER_ERROR_440 }, { 441, TURN_COUNTER_ERROR_441 },
		{ 442, TURN_COUNTER_ERROR_442 }, { 443, TURN_COUNTER_ERROR_443 },
		{ 446, TURN_COUNTER_ERROR_446 }, { 447, TURN_COUNTER_ERROR_447 },
		{ 486, TURN_COUNTER_ERROR_486 }, { 508, TURN_COUNTER_ERROR_508 },
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		if (counters[i].code == code)
			c->server->counter[counters[i].counter]++;
	}
}

// Reason phrases are for people at a packet trace; only who proved a key gets them, so that the
// first answer stays short.
static const char *reason_of(uint16_t code)
{
	switch (code) {
	case 300:
		return "Try Alternate";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 405:
		return "Mobility Forbidden";
	case 420:
		return "Unknown Attribute";
	case 437:
		return "Allocation Mismatch";
	case 440:
		return "Address Family not Supported";
	case 441:
		return "Wrong Credentials";
	case 442:
		return "Unsupported Transport Protocol";
	case 443:
		return "Peer Address Family Mismatch";
	case 446:
		return "Connection Already Exists";
	case 447:
		return "Connection Timeout or Failure";
	case 486:
		return "Allocation Quota Reached";
	case 508:
		return "Insufficient Capacity";
	default:
		return "";
	}
}

static void begin_error(const struct turn_call *c, struct stun_builder *b, uint16_t code)
{
	count_error(c, code);
	stun_build_begin(b, c->out, c->out_bytes, c->msg.type | STUN_CLASS_ERROR,
			 c->msg.transaction_id);
	stun_build_error_code(b, code, c->identity.username != NULL ? reason_of(code) : "");
}

size_t turn_answer_error(const struct turn_call *c, uint16_t code)
{
	struct stun_builder b;

	begin_error(c, &b, code);
	add_software(c, &b);
	return finish(c, &b);
}

size_t turn_answer_unknown(const struct turn_call *c, const uint16_t *types, uint32_t n)
{
	uint8_t value[2 * 16];
	struct stun_builder b;

	if (n > sizeof(value) / 2)
		n = sizeof(value) / 2;
	for (uint32_t i = 0; i < n; i++)
		bytes_put_be16(value + 2 * i, types[i]);
	begin_error(c, &b, 420);
	stun_build_attr(&b, STUN_ATTR_UNKNOWN_ATTRIBUTES, value, (uint16_t)(2 * n));
	return finish(c, &b);
}

size_t turn_answer_alternate(const struct turn_call *c, const struct config_alternate *a)
{
	bool is_tls =
		c->in->transport == SHM_TRANSPORT_TLS || c->in->transport == SHM_TRANSPORT_DTLS;
	struct ip_endpoint e = { a->address, is_tls ? a->tls_port_be : a->port_be };
	struct stun_builder b;

	begin_error(c, &b, 300);
	stun_build_address(&b, STUN_ATTR_ALTERNATE_SERVER, &e);
	// RFC 8489 §14.16: what the certificate there is for.
	if (is_tls && a->domain != NULL)
		stun_build_attr(&b, STUN_ATTR_ALTERNATE_DOMAIN, a->domain,
				(uint16_t)strlen(a->domain));
	add_software(c, &b);
	return finish(c, &b);
}

size_t turn_answer_challenge(const struct turn_call *c, uint16_t code)
{
	const struct shm_settings *settings = &c->server->tables->settings;
	uint8_t realm_idx = c->in->realm_idx < settings->n_realms ? c->in->realm_idx : 0;
	const struct shm_realm *realm = &settings->realm[realm_idx];
	struct challenge_offer offer = {
		.realm = realm->name,
		.realm_bytes = realm->name_bytes,
		.features = turn_challenge_features(settings),
		.oauth_name = settings->oauth_name,
		.oauth_name_bytes = settings->oauth_name_bytes,
	};
	bool is_v4 = ip_address_is_v4(&c->in->client.address);
	size_t limit_bytes = c->in->transport == SHM_TRANSPORT_UDP
				     ? challenge_limit_bytes(c->in->len_bytes, is_v4)
				     : CHALLENGE_UNLIMITED;

	count_error(c, code);
	return challenge_build(&c->msg, code, settings->challenge_secret, c->in->wall_ns,
			       &c->in->client, &offer, limit_bytes, c->out, c->out_bytes);
}
