// NAT behaviour discovery (RFC 5780 §6, §7), see nat_discovery.h. Pure, any thread.
#include "dataplane/contract/wire/nat_discovery.h"

#define IPV4_UDP_BYTES    28
#define IPV6_UDP_BYTES    48
#define FINGERPRINT_BYTES 8

uint16_t nat_discovery_parse(const struct stun_view *request, struct nat_discovery_request *out)
{
	struct stun_attr a;

	memset(out, 0, sizeof(*out));
	if (stun_attr_find(request, STUN_ATTR_CHANGE_REQUEST, &a)) {
		uint32_t flags;

		if (a.length_bytes != 4)
			return 400;
		flags = bytes_get_be32(a.value);
		out->changes_address = (flags & CHANGE_REQUEST_ADDRESS) != 0;
		out->changes_port = (flags & CHANGE_REQUEST_PORT) != 0;
	}
	// RFC 5780 §7.5: a port and two bytes of padding, which some count and some do not.
	if (stun_attr_find(request, STUN_ATTR_RESPONSE_PORT, &a)) {
		if (a.length_bytes != 2 && a.length_bytes != 4)
			return 400;
		memcpy(&out->response_port_be, a.value, sizeof(out->response_port_be));
		if (out->response_port_be == 0)
			return 400;
	}
	if (stun_attr_find(request, STUN_ATTR_PADDING, &a)) {
		if (out->response_port_be != 0)
			return 400;
		out->is_padded = true;
	}
	return 0;
}

// The longest message that may answer the request.
static size_t message_bytes_max(const struct stun_view *request,
				const struct nat_discovery_request *asked,
				const struct ip_endpoint *mapped)
{
	size_t headers_bytes = ip_address_is_v4(&mapped->address) ? IPV4_UDP_BYTES : IPV6_UDP_BYTES;

	if (asked->is_padded || asked->response_port_be != 0)
		return request->length_bytes;
	return (headers_bytes + request->length_bytes) * NAT_DISCOVERY_TENTHS_MAX / 10 -
	       headers_bytes;
}

static void build_if_it_fits(struct stun_builder *b, size_t max_bytes, uint16_t type,
			     const struct ip_endpoint *e)
{
	size_t value_bytes = ip_address_is_v4(&e->address) ? 8 : 20;

	if (b->w.len_bytes + STUN_ATTR_HEADER_BYTES + value_bytes <= max_bytes)
		stun_build_address(b, type, e);
}

static void pad(struct stun_builder *b, size_t max_bytes)
{
	size_t left_bytes = max_bytes > b->w.len_bytes ? max_bytes - b->w.len_bytes : 0;
	uint8_t *at;

	// One byte at least, which takes four; no more than an attribute can hold.
	if (left_bytes < STUN_ATTR_HEADER_BYTES + 4)
		return;
	left_bytes = (left_bytes - STUN_ATTR_HEADER_BYTES) & ~(size_t)3;
	at = bytes_grow(&b->w, STUN_ATTR_HEADER_BYTES + left_bytes);
	if (at == NULL)
		return;
	bytes_put_be16(at, STUN_ATTR_PADDING);
	bytes_put_be16(at + 2, (uint16_t)left_bytes);
	memset(at + STUN_ATTR_HEADER_BYTES, 0, left_bytes);
}

size_t nat_discovery_build(const struct stun_view *request,
			   const struct nat_discovery_request *asked,
			   const struct nat_discovery_addresses *addresses, void *out,
			   size_t out_bytes)
{
	size_t max_bytes = message_bytes_max(request, asked, &addresses->mapped);
	struct stun_attr fingerprint;
	bool has_fingerprint = stun_attr_find(request, STUN_ATTR_FINGERPRINT, &fingerprint);
	struct stun_builder b;

	if (max_bytes > out_bytes)
		max_bytes = out_bytes;
	if (has_fingerprint)
		max_bytes = max_bytes > FINGERPRINT_BYTES ? max_bytes - FINGERPRINT_BYTES : 0;
	stun_build_begin(&b, out, out_bytes, STUN_BINDING_SUCCESS, request->transaction_id);
	stun_build_xor_address(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, &addresses->mapped);
	build_if_it_fits(&b, max_bytes, STUN_ATTR_OTHER_ADDRESS, &addresses->other);
	build_if_it_fits(&b, max_bytes, STUN_ATTR_RESPONSE_ORIGIN, &addresses->origin);
	build_if_it_fits(&b, max_bytes, STUN_ATTR_MAPPED_ADDRESS, &addresses->mapped);
	if (asked->is_padded)
		pad(&b, max_bytes);
	if (has_fingerprint)
		stun_build_fingerprint(&b);
	return stun_build_end(&b);
}
