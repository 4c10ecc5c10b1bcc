// ICE credentials and host candidates. Any thread; no state.
#include "controlplane/sfu/ice.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

int ice_credentials_make(uint32_t transport_idx, uint16_t node_id, struct ice_credentials *out)
{
	uint8_t random[ICE_UFRAG_RANDOM_BYTES + ICE_PWD_RANDOM_BYTES];
	int ret;

	if (RAND_priv_bytes(random, sizeof(random)) != 1)
		return -EIO;
	ret = ice_ufrag_make(transport_idx, node_id, random, out->ufrag);
	if (ret == 0)
		ice_pwd_make(random + ICE_UFRAG_RANDOM_BYTES, out->pwd);
	OPENSSL_cleanse(random, sizeof(random));
	return ret;
}

static bool is_candidate(const struct ip_address *a)
{
	static const uint8_t zeros[12];

	if (!ip_address_is_v4(a)) {
		// fec0::/10, site-local, and ::/96, IPv4-compatible: both long deprecated.
		if (a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0xc0)
			return false;
		if (memcmp(a->bytes, zeros, sizeof(zeros)) == 0)
			return false;
	}
	switch (ip_address_classify(a)) {
	case IP_CLASS_UNSPECIFIED:
	case IP_CLASS_LOOPBACK:
	case IP_CLASS_LINK_LOCAL:
	case IP_CLASS_MULTICAST:
	case IP_CLASS_BROADCAST:
		return false;
	default:
		return true;
	}
}

static bool is_among(const struct ip_endpoint *e, const struct ip_endpoint *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (ip_endpoint_equal(e, &list[i]))
			return true;
	return false;
}

// The next listener of that family from *at on that makes a candidate not yet in `out`; NULL at the end.
static const struct ip_endpoint *next_of(const struct ip_endpoint *listeners, uint32_t n_listeners,
					 bool is_v4, uint32_t *at, const struct ip_endpoint *out,
					 uint32_t n_out)
{
	while (*at < n_listeners) {
		const struct ip_endpoint *e = &listeners[(*at)++];

		if (ip_address_is_v4(&e->address) == is_v4 && is_candidate(&e->address) &&
		    !is_among(e, out, n_out))
			return e;
	}
	return NULL;
}

uint32_t ice_host_candidates(const struct ip_endpoint *listeners, uint32_t n_listeners,
			     struct ip_endpoint *out, uint32_t max)
{
	uint32_t at_v6 = 0;
	uint32_t at_v4 = 0;
	uint32_t n = 0;

	for (;;) {
		const struct ip_endpoint *v6 =
			next_of(listeners, n_listeners, false, &at_v6, out, n);
		const struct ip_endpoint *v4 =
			next_of(listeners, n_listeners, true, &at_v4, out, n);

		if (v6 == NULL && v4 == NULL)
			return n;
		if (v6 != NULL && n < max)
			out[n++] = *v6;
		if (v4 != NULL && n < max)
			out[n++] = *v4;
		if (n == max)
			return n;
	}
}
