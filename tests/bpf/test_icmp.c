// ICMP at the filter (RFC 8656 §11.5): errors about what a relayed port sent go to a worker, all other ICMP is the
// kernel's, and the guard agrees.
#include <netinet/in.h>

#include "dataplane/contract/wire/icmp.h"
#include "tests/bpf/harness.h"

TestSuite(icmp, .init = harness_open, .fini = harness_close);

// An error from the client's address; zero: port unreachable about a datagram from RELAYED_V4 or RELAYED_V6.
struct error_spec {
	bool v6;
	uint8_t type;             // 0: unreachable
	uint8_t protocol;         // of the error; 0: ICMP of the family
	const char *destination;  // of the error, any port; NULL: the relayed address
	const char *source;       // of the datagram; NULL: the relayed address
	uint8_t enclosed_version; // 0: that of the family
	uint8_t enclosed_protocol;
	uint16_t enclosed_fragment; // IPv4: the field; IPv6: offset and M of a fragment header
	const uint8_t *extensions;  // of the enclosed IPv6 packet
	uint32_t n_extensions;
	uint32_t enclosed_options_bytes;
	uint32_t enclosed_cut_bytes; // off the end
	struct frame_spec outer;
};

static uint32_t enclose(uint8_t *out, const struct error_spec *e)
{
	struct frame_spec spec = {
		.source = e->source ? e->source
			  : e->v6   ? RELAYED_V6
				    : RELAYED_V4,
		.destination = e->v6 ? "[2001:db8::9]:6000" : "203.0.113.20:6000",
		.protocol = e->enclosed_protocol,
		.options_bytes = e->enclosed_options_bytes,
		.extensions = e->extensions,
		.n_extensions = e->n_extensions,
		.fragment = e->enclosed_fragment,
		.has_fragment_header = e->v6 && e->enclosed_fragment,
	};
	struct frame f;

	frame_build(&f, &spec);
	memcpy(out, f.bytes + 14, f.n_bytes - 14);
	if (e->enclosed_version)
		out[0] = (uint8_t)(e->enclosed_version << 4 | (out[0] & 15));
	return f.n_bytes - 14 - e->enclosed_cut_bytes;
}

static struct frame error_build(const struct error_spec *e)
{
	const char *destination = e->destination ? e->destination : e->v6 ? RELAYED_V6 : RELAYED_V4;
	struct frame_spec outer = e->outer;
	uint8_t message[512] = { 0 };
	struct frame f;

	message[0] = e->type ? e->type : e->v6 ? 1 : 3;
	message[1] = e->v6 ? 4 : 3;
	outer.destination = destination;
	outer.protocol = e->protocol ? e->protocol : e->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	outer.no_udp_header = true;
	outer.payload = message;
	outer.payload_bytes = 8 + enclose(message + 8, e);
	frame_build(&f, &outer);
	return f;
}

static void expect_steered(struct error_spec e)
{
	struct frame f = error_build(&e);

	harness_expect_steered(&f, XDP_COUNTER_STEERED_ICMP);
	cr_assert(harness_guard_shoots(&f));
}

static void expect_kernels(struct error_spec e)
{
	struct frame f = error_build(&e);

	harness_expect_passed(&f, XDP_COUNTER_PASSED_NOT_UDP);
	cr_assert_not(harness_guard_shoots(&f));
}

Test(icmp, rfc8656_11_5_types_3_and_11_of_icmpv4_are_steered)
{
	for (uint32_t type = 1; type < 256; type++) {
		if (type == 3 || type == 11)
			expect_steered((struct error_spec){ .type = (uint8_t)type });
		else
			expect_kernels((struct error_spec){ .type = (uint8_t)type });
	}
}

Test(icmp, rfc8656_11_5_types_1_2_and_3_of_icmpv6_are_steered)
{
	for (uint32_t type = 1; type < 256; type++) {
		if (type <= 3)
			expect_steered((struct error_spec){ .v6 = true, .type = (uint8_t)type });
		else
			expect_kernels((struct error_spec){ .v6 = true, .type = (uint8_t)type });
	}
}

Test(icmp, only_relayed_ports_count)
{
	static const char *const ours[] = { "198.18.0.2:49152", "198.18.0.2:65535",
					    "[fd00:18::2]:49152", "[fd00:18::2]:65535" };
	static const char *const kernels[] = { "198.18.0.2:49151", RELAY_V4, "198.18.0.2:53",
					       "[fd00:18::2]:49151", RELAY_V6 };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		expect_steered((struct error_spec){
			.v6 = ours[i][0] == '[', .source = ours[i], .destination = ours[i] });
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		expect_kernels((struct error_spec){ .v6 = kernels[i][0] == '[',
						    .source = kernels[i],
						    .destination = kernels[i] });
}

Test(icmp, the_error_must_come_to_whom_the_datagram_was_from)
{
	expect_kernels((struct error_spec){ .source = "198.18.0.2:50000" });
	expect_kernels((struct error_spec){ .source = "192.0.2.1:50000" });
	expect_kernels((struct error_spec){ .v6 = true, .source = "[fd00:18::9]:50000" });
}

Test(icmp, of_other_addresses_it_is_not_looked_at)
{
	struct error_spec e = { .destination = "198.18.0.4:1", .source = "198.18.0.4:50000" };
	struct frame f = error_build(&e);

	harness_expect_passed(&f, XDP_COUNTER_PASSED_NOT_LOCAL);
}

Test(icmp, options_extensions_and_first_fragments_are_seen_through)
{
	static const uint8_t extensions[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					      IPPROTO_DSTOPTS, IPPROTO_DSTOPTS };

	for (uint32_t bytes = 0; bytes <= 40; bytes += 4) {
		expect_steered((struct error_spec){ .enclosed_options_bytes = bytes });
		expect_steered((struct error_spec){ .outer = { .options_bytes = bytes } });
	}
	for (uint32_t n = 0; n <= 4; n++) {
		expect_steered((struct error_spec){
			.v6 = true, .extensions = extensions, .n_extensions = n });
		expect_steered((struct error_spec){
			.v6 = true, .outer = { .extensions = extensions, .n_extensions = n } });
	}
	expect_kernels(
		(struct error_spec){ .v6 = true, .extensions = extensions, .n_extensions = 5 });
	expect_steered((struct error_spec){ .enclosed_fragment = 0x2000 });
	expect_steered((struct error_spec){ .v6 = true, .enclosed_fragment = 1 });
	expect_steered((struct error_spec){ .outer = { .n_vlan_tags = 1 } });
	expect_steered((struct error_spec){ .v6 = true, .outer = { .n_vlan_tags = 1 } });
}

Test(icmp, what_encloses_no_udp_header_is_the_kernels)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_ESP };

	for (size_t i = 0; i < sizeof(protocols); i++) {
		expect_kernels((struct error_spec){ .enclosed_protocol = protocols[i] });
		expect_kernels(
			(struct error_spec){ .v6 = true, .enclosed_protocol = protocols[i] });
	}
	expect_kernels((struct error_spec){ .enclosed_fragment = 0x2001 });
	expect_kernels((struct error_spec){ .v6 = true, .enclosed_fragment = 9 });
	for (uint32_t n = 1; n <= 28; n++)
		expect_kernels((struct error_spec){ .enclosed_cut_bytes = n });
	for (uint32_t n = 1; n <= 48; n++)
		expect_kernels((struct error_spec){ .v6 = true, .enclosed_cut_bytes = n });
}

Test(icmp, families_do_not_mix)
{
	expect_kernels((struct error_spec){ .protocol = IPPROTO_ICMPV6 });
	expect_kernels((struct error_spec){ .v6 = true, .protocol = IPPROTO_ICMP });
	expect_kernels((struct error_spec){ .enclosed_version = 6 });
	expect_kernels((struct error_spec){ .v6 = true, .enclosed_version = 4 });
}

Test(icmp, fragments_of_errors_are_the_kernels)
{
	expect_kernels((struct error_spec){ .outer = { .fragment = 0x2000 } });
	expect_kernels((struct error_spec){ .outer = { .fragment = 0x0003 } });
	expect_kernels((struct error_spec){
		.v6 = true, .outer = { .has_fragment_header = true, .fragment = 1 } });
}

Test(icmp, without_a_worker_it_is_dropped)
{
	struct error_spec e = { 0 };
	struct frame f = error_build(&e);

	harness_attach_worker(false);
	harness_expect_dropped(&f, XDP_COUNTER_DROPPED_NO_WORKER);
}

// The filter steers what the worker's parser takes, checksums aside.
Test(icmp, the_worker_reads_the_same)
{
	uint64_t state = 88172645463325252ull;
	uint32_t n_steered = 0;

	for (uint32_t n = 0; n < 20000; n++) {
		struct error_spec e = { .v6 = n & 1 };
		struct frame f = error_build(&e);
		struct ip_udp_view v;
		struct icmp_error read;
		enum icmp_verdict verdict;

		for (int i = 0; i < 2; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			f.bytes[14 + state % (f.n_bytes - 14)] = (uint8_t)(state >> 32);
		}
		if (harness_run(&f, NULL) != XDP_REDIRECT)
			continue;
		// A frame whose outer header turned into UDP or a bad one is not of this test.
		if (ip_udp_parse(f.bytes, f.n_bytes, &v) != IP_UDP_OTHER_PROTOCOL)
			continue;
		verdict = icmp_error_parse(f.bytes, &v, &read);
		cr_assert(verdict == ICMP_OK || verdict == ICMP_BAD_CHECKSUM ||
				  bytes_get_be16(f.bytes + (n & 1 ? 18 : 16)) <
					  f.n_bytes - (n & 1 ? 54u : 14u),
			  "frame %u: verdict %d", n, verdict);
		n_steered++;
	}
	cr_assert_gt(n_steered, 1000);
}
