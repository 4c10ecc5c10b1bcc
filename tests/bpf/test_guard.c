// The tc ingress guard: it shoots what the filter would take, and lets everything else on.
#include <netinet/in.h>

#include "dataplane/contract/wire/stun.h"
#include "tests/bpf/harness.h"

TestSuite(guard, .init = harness_open, .fini = harness_close);

static const uint8_t payload[] = { 0x40, 0, 0, 4, 'd', 'a', 't', 'a' };

static bool shoots(struct frame_spec spec)
{
	struct frame f;

	spec.payload = payload;
	spec.payload_bytes = sizeof(payload);
	frame_build(&f, &spec);
	return harness_guard_shoots(&f);
}

Test(guard, our_ports_are_shot)
{
	static const char *const ours[] = { RELAY_V4, RELAY_V6, RELAYED_V4, RELAYED_V6 };

	for (int i = 0; i < 4; i++)
		cr_assert(shoots((struct frame_spec){ .destination = ours[i] }), "%s", ours[i]);
}

Test(guard, fragments_options_and_malformed_udp_of_ours_are_shot)
{
	static const uint8_t extensions[] = { 0, 60 };

	cr_assert(shoots((struct frame_spec){ .options_bytes = 40 }));
	cr_assert(shoots((struct frame_spec){
		.destination = RELAY_V6, .extensions = extensions, .n_extensions = 2 }));
	cr_assert(shoots((struct frame_spec){ .fragment = 0x2000 }));
	cr_assert(shoots((struct frame_spec){ .fragment = 0x0003, .no_udp_header = true }));
	cr_assert(shoots((struct frame_spec){ .udp_length_error = 100 }));
	cr_assert(shoots((struct frame_spec){ .source = "198.18.0.10:0" }));
}

Test(guard, the_kernels_traffic_goes_on)
{
	cr_assert_not(shoots((struct frame_spec){ .destination = "198.18.0.2:53" }));
	cr_assert_not(shoots((struct frame_spec){ .destination = "198.18.0.9:3478" }));
	cr_assert_not(shoots((struct frame_spec){ .destination = "[fd00:18::2]:53" }));
	cr_assert_not(shoots((struct frame_spec){ .protocol = IPPROTO_TCP }));
	cr_assert_not(shoots((struct frame_spec){ .protocol = IPPROTO_ICMP }));
	cr_assert_not(shoots((struct frame_spec){ .ethertype = 0x0806 }));
}

// Filter and guard must agree on every frame, or one lets out what the other holds.
Test(guard, agrees_with_the_filter_on_mutated_frames)
{
	uint64_t state = 88172645463325252ull;
	uint32_t n_shot = 0;

	for (uint32_t n = 0; n < 20000; n++) {
		struct frame_spec spec = { .destination = n & 1 ? RELAY_V4 : RELAYED_V6,
					   .payload = payload,
					   .payload_bytes = sizeof(payload) };
		struct frame f;
		uint32_t verdict;

		frame_build(&f, &spec);
		for (int i = 0; i < 2; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			f.bytes[14 + state % (f.n_bytes - 14)] = (uint8_t)(state >> 32);
		}
		verdict = harness_run(&f, NULL);
		cr_assert_eq(xdp_filter_counters_read(harness.filter, harness.counted), 0);
		bool shot = harness_guard_shoots(&f);

		cr_assert_eq(shot, verdict != XDP_PASS, "frame %u: filter %u, guard %d", n, verdict,
			     shot);
		n_shot += shot;
	}
	cr_assert(n_shot > 1000 && n_shot < 19000, "%u of 20000 shot", n_shot);
}
