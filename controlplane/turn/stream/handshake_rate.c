// The rates of TLS handshakes. Control plane's loop thread.
#include "controlplane/turn/stream/handshake_rate.h"

#include "dataplane/contract/wire/bytes.h"
#include "dataplane/contract/wire/challenge.h"

#define NS_PER_S       1000000000ull
#define SOURCE_BURST_S 3
#define BURST_S        1

// Whether one more fits; 0 per second is no limit.
static bool fits(uint64_t paid_until_ns, uint32_t per_s, uint64_t burst_s, uint64_t now_ns)
{
	return per_s == 0 || paid_until_ns < now_ns + burst_s * NS_PER_S;
}

static void pay(uint64_t *paid_until_ns, uint32_t per_s, uint64_t now_ns)
{
	if (per_s == 0)
		return;
	if (*paid_until_ns < now_ns)
		*paid_until_ns = now_ns;
	*paid_until_ns += NS_PER_S / per_s;
}

bool turn_handshake_rate_take(struct turn_handshake_rate *r, const struct config_streams *limits,
			      const uint8_t key[16], const struct ip_address *source,
			      uint64_t now_ns)
{
	uint64_t *of_source;
	uint8_t hash[16];

	siphash128(key, source->bytes, ip_address_is_v4(source) ? 16 : 8, hash);
	of_source = &r->source_paid_until_ns[bytes_get_be16(hash) % TURN_HANDSHAKE_SOURCES];
	if (!fits(*of_source, limits->handshakes_per_source_per_s, SOURCE_BURST_S, now_ns) ||
	    !fits(r->paid_until_ns, limits->handshakes_per_s, BURST_S, now_ns))
		return false;
	pay(of_source, limits->handshakes_per_source_per_s, now_ns);
	pay(&r->paid_until_ns, limits->handshakes_per_s, now_ns);
	return true;
}
