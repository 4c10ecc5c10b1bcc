// TURN with credentials: challenge, allocation, then relaying and the clock. See probe.h.
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controlplane/ctl/probe/probe.h"

#define REST_LIFETIME_S 3600

const char *probe_cause(int code, char *out, size_t out_bytes)
{
	static const struct {
		int code;
		const char *text;
	} known[] = {
		{ 300, "the server sends its clients elsewhere (it is draining or balancing)" },
		{ 400, "the server calls the request malformed" },
		{ 401, "the server refuses user and password" },
		{ 403, "the server forbids it" },
		{ 420, "the server does not know an attribute of the request" },
		{ 437, "the server has no such allocation" },
		{ 438, "the server calls every nonce stale" },
		{ 440, "the server relays no addresses of that family" },
		{ 441, "the allocation is another user's" },
		{ 442, "the server relays no UDP" },
		{ 443, "the peer's address is of another family than the relayed one" },
		{ 446, "there is a connection to that peer already" },
		{ 486, "the user's quota of allocations is used up" },
		{ 500, "the server failed" },
		{ 508, "the server is out of capacity (ports or table entries)" },
		{ -ETIMEDOUT, "no answer" },
		{ -ECONNREFUSED, "the port is closed" },
		{ -EPIPE, "the server closed the connection" },
		{ -EBADMSG, "the answer is malformed" },
		{ PROBE_INTEGRITY_WRONG, "the answer's integrity is wrong" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].code != code)
			continue;
		snprintf(out, out_bytes, code > 0 ? "%s (error %d)" : "%s", known[i].text, code);
		return out;
	}
	if (code > 0)
		snprintf(out, out_bytes, "error %d", code);
	else
		snprintf(out, out_bytes, "%s", strerror(-code));
	return out;
}

const char *probe_remedy(int code)
{
	switch (code) {
	case 300:
		return "probe the server that it names, or wait until it is back";
	case 401:
		return "check user, password (or secret) and realm";
	case 403:
		return "see the server's peer policy";
	case 437:
	case -EBADMSG:
	case 500:
		return "see the server's log";
	case 440:
	case 442:
		return "see the server's relay addresses";
	case 486:
		return "end allocations of that user, or raise the quota";
	case 508:
		return "free ports: widen the relay range, or wait for allocations to expire";
	case PROBE_INTEGRITY_WRONG:
		return "somebody in between answers for the server, or it holds another password";
	case -ETIMEDOUT:
		return "STUN Binding was answered: see the server's log and its rate limits";
	default:
		return "see the server's log";
	}
}

int probe_allocate(struct probe *p, const char *user, const char *password,
		   struct probe_allocation *a, char *why, size_t why_bytes)
{
	struct probe_request r = { .type = TURN_ALLOCATE_REQUEST };
	uint8_t buffer[PROBE_MESSAGE_MAX];
	struct stun_view answer;
	struct stun_attr attr;
	int ret;

	memset(&a->credentials, 0, sizeof(a->credentials));
	a->credentials.user = user;
	a->credentials.password = password;
	ret = probe_open(p, p->url.transport, &a->link, why, why_bytes);
	if (ret < 0)
		return ret;
	ret = probe_request(&a->link, &a->credentials, &r, buffer, sizeof(buffer), &answer);
	if (ret == 440) {
		r.family = STUN_FAMILY_IPV6;
		ret = probe_request(&a->link, &a->credentials, &r, buffer, sizeof(buffer), &answer);
	}
	if (ret != 0)
		goto fail_close;
	ret = -EBADMSG;
	if (!stun_attr_find(&answer, TURN_ATTR_XOR_RELAYED_ADDRESS, &attr) ||
	    stun_xor_address_get(&answer, &attr, &a->relayed) < 0 ||
	    !stun_attr_find(&answer, STUN_ATTR_XOR_MAPPED_ADDRESS, &attr) ||
	    stun_xor_address_get(&answer, &attr, &a->mapped) < 0)
		goto fail_close;
	a->lifetime_s = stun_attr_find(&answer, TURN_ATTR_LIFETIME, &attr) && attr.length_bytes == 4
				? bytes_get_be32(attr.value)
				: 0;
	return 0;

fail_close:
	probe_cause(ret, why, why_bytes);
	probe_link_close(&a->link);
	return ret;
}

void probe_allocation_end(struct probe_allocation *a)
{
	struct probe_request r = { .type = TURN_REFRESH_REQUEST, .has_lifetime = true };
	uint8_t buffer[PROBE_MESSAGE_MAX];
	struct stun_view answer;

	if (a->link.fd < 0)
		return;
	(void)probe_request(&a->link, &a->credentials, &r, buffer, sizeof(buffer), &answer);
	probe_link_close(&a->link);
	probe_credentials_wipe(&a->credentials);
}

// Without credentials: does it ask for them, and which does it take?
static void check_challenge(struct probe *p)
{
	struct probe_credentials c = { .user = "", .password = "" };
	struct probe_request r = { .type = TURN_ALLOCATE_REQUEST };
	uint8_t message[PROBE_MESSAGE_MAX], buffer[PROBE_MESSAGE_MAX];
	static const uint8_t id[12] = "probe-turn-1";
	struct probe_link link;
	struct stun_view answer;
	char why[160];
	int ret = probe_open(p, p->url.transport, &link, why, sizeof(why));
	size_t n;

	if (ret < 0) {
		probe_failed(&p->report, "turn", NULL, probe_remedy(ret), "%s", why);
		return;
	}
	n = probe_request_build(&r, NULL, id, message, sizeof(message));
	ret = probe_transact(&link, message, n, buffer, sizeof(buffer), &answer, NULL);
	if (ret == 0)
		ret = (answer.type & STUN_CLASS_ERROR) == STUN_CLASS_ERROR
			      ? probe_error_code(&answer)
			      : 0;
	if (ret == 401 && probe_credentials_challenged(&c, &answer) == 0)
		probe_ok(&p->report, "turn",
			 json_pack("{s:s, s:b}", "realm", c.realm, "sha256", c.is_sha256),
			 "asks for credentials of realm %s, %s", c.realm,
			 c.is_sha256 ? "with SHA-256 (RFC 8489)" : "with MD5 and SHA-1");
	else if (ret == 0)
		probe_failed(&p->report, "turn", NULL,
			     "let it ask for credentials: an open relay is abused within days",
			     "allocates without asking for credentials");
	else
		probe_failed(&p->report, "turn", NULL, "is TURN enabled on that port?",
			     "%s instead of a challenge", probe_cause(ret, why, sizeof(why)));
	probe_credentials_wipe(&c);
	probe_link_close(&link);
}

// True when the allocation stands.
static bool check_allocate(struct probe *p, const char *user, const char *password,
			   struct probe_allocation *a)
{
	char why[160] = "", relayed_text[IP_ENDPOINT_TEXT_MAX];
	uint64_t began_ns = probe_now_ns();
	int ret = probe_allocate(p, user, password, a, why, sizeof(why));
	double took_ms = (double)(probe_now_ns() - began_ns) / 1e6;

	if (ret != 0) {
		probe_failed(&p->report, "allocate", json_pack("{s:i}", "code", ret),
			     probe_remedy(ret), "%s", why);
		if (p->secret)
			probe_clock(p, ret == 401);
		return false;
	}
	ip_endpoint_format(&a->relayed, relayed_text, sizeof(relayed_text));
	probe_ok(&p->report, "allocate",
		 json_pack("{s:s, s:f, s:i, s:b}", "relayed", relayed_text, "took_ms", took_ms,
			   "lifetime_s", (int)a->lifetime_s, "sha256", a->credentials.is_sha256),
		 "relayed address %s for %u s, after %.1f ms, %s", relayed_text, a->lifetime_s,
		 took_ms, a->credentials.is_sha256 ? "signed with SHA-256" : "signed with SHA-1");
	return true;
}

void probe_turn(struct probe *p)
{
	static struct probe_allocation a;
	char rest_user[48], rest_password[29];
	const char *user = p->user, *password = p->password;

	check_challenge(p);
	if (p->secret) {
		snprintf(rest_user, sizeof(rest_user), "%lld:%s",
			 (long long)time(NULL) + REST_LIFETIME_S, p->user ? p->user : "probe");
		probe_rest_password(p->secret, rest_user, rest_password);
		user = rest_user;
		password = rest_password;
	}
	if (!user || !password) {
		probe_note(&p->report, "allocate", NULL,
			   "not tried: give --user and --password, or --secret");
		return;
	}
	if (check_allocate(p, user, password, &a)) {
		probe_relay(p, &a, user, password);
		if (p->secret)
			probe_clock(p, false);
		probe_allocation_end(&a);
	}
	OPENSSL_cleanse(rest_password, sizeof(rest_password));
}
