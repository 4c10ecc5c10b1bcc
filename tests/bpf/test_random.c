// Random and mutated frames: none may stop the filter, each moves exactly one counter, the verdict
// is that counter's, and what is passed or steered stays as it was. The seed is fixed and printed
// by a failure.
#include <stdlib.h>

#include "dataplane/contract/wire/stun.h"
#include "tests/bpf/harness.h"

#define N_RANDOM  100000
#define N_MUTATED 100000
#define SEEDS     10

TestSuite(random, .init = harness_open, .fini = harness_close);

static uint64_t state;

static uint32_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

// Runs a frame and checks what must hold for any frame.
static void run_any(const struct frame *in, uint32_t n)
{
	struct frame out;
	uint32_t verdict = harness_run(in, &out);

	cr_assert(verdict == XDP_PASS || verdict == XDP_DROP || verdict == XDP_TX ||
			  verdict == XDP_REDIRECT,
		  "frame %u: verdict %u", n, verdict);
	if (verdict == XDP_PASS || verdict == XDP_REDIRECT) {
		cr_assert_eq(out.n_bytes, in->n_bytes, "frame %u", n);
		cr_assert_arr_eq(out.bytes, in->bytes, in->n_bytes, "frame %u", n);
	}
	if (verdict == XDP_TX) {
		struct ip_udp_view view;
		struct stun_view message;

		cr_assert_eq(ip_udp_parse(out.bytes, out.n_bytes, &view), IP_UDP_OK, "frame %u", n);
		cr_assert_eq(
			stun_parse(out.bytes + view.payload_offset, view.payload_bytes, &message),
			STUN_OK, "frame %u", n);
		cr_assert_eq(view.udp_checksum_be,
			     udp_checksum(&view.source.address, &view.destination.address,
					  out.bytes + view.l4_offset,
					  (uint16_t)(view.payload_bytes + 8)),
			     "frame %u", n);
	}
}

static void expect_total(uint64_t n)
{
	uint64_t now[XDP_COUNTER_COUNT];

	cr_assert_eq(harness_counters_total(), n, "a frame went uncounted or was counted twice");
	cr_assert_eq(xdp_filter_counters_read(harness.filter, now), 0);
	cr_assert_eq(now[XDP_COUNTER_DROPPED_NO_ROOM], 0);
}

Test(random, bytes)
{
	state = 0x9e3779b97f4a7c15;
	for (uint32_t n = 0; n < N_RANDOM; n++) {
		struct frame f;

		f.n_bytes = 14 + next_random() % 200;
		for (uint32_t i = 0; i < f.n_bytes; i++)
			f.bytes[i] = (uint8_t)next_random();
		// Most of them far enough in to be looked at.
		if (n % 4) {
			bytes_put_be16(f.bytes + 12, n & 1 ? 0x0800 : 0x86dd);
			f.bytes[14] = n & 1 ? 0x45 : 0x60;
			if (n & 1 && f.n_bytes >= 34) {
				memcpy(f.bytes + 30, "\xc6\x12\x00\x02", 4);
				f.bytes[23] = 17;
			} else if (f.n_bytes >= 54) {
				memcpy(f.bytes + 38, "\xfd\x00\x00\x18\0\0\0\0\0\0\0\0\0\0\0\x02",
				       16);
				f.bytes[20] = n & 2 ? 17 : 44;
			}
		}
		run_any(&f, n);
	}
	expect_total(N_RANDOM);
}

// Said of a datagram from a relayed port.
static struct frame port_unreachable(bool v6)
{
	uint8_t message[128] = { v6 ? 1 : 3, v6 ? 4 : 3 };
	struct frame_spec about = {
		.source = v6 ? RELAYED_V6 : RELAYED_V4,
		.destination = v6 ? CLIENT_V6 : CLIENT_V4,
	};
	struct frame_spec spec = {
		.destination = about.source,
		.protocol = v6 ? 58 : 1,
		.no_udp_header = true,
		.payload = message,
	};
	struct frame f;

	frame_build(&f, &about);
	memcpy(message + 8, f.bytes + 14, f.n_bytes - 14);
	spec.payload_bytes = 8 + f.n_bytes - 14;
	frame_build(&f, &spec);
	return f;
}

// Valid frames of every kind, the seeds of mutation.
static uint32_t seeds(struct frame out[SEEDS])
{
	static const uint8_t channel_data[] = { 0x40, 0, 0, 4, 'd', 'a', 't', 'a' };
	static const uint8_t extensions[] = { 0, 60 };
	struct message binding, allocate;
	uint32_t n = 0;

	message_binding(&binding);
	message_attr(&binding, STUN_ATTR_SOFTWARE, "abc", 3);
	message_fingerprint(&binding);
	message_begin(&allocate, TURN_ALLOCATE_REQUEST);
	for (int v6 = 0; v6 < 2; v6++) {
		struct frame_spec spec = { .destination = v6 ? RELAY_V6 : RELAY_V4 };

		spec.payload = binding.bytes;
		spec.payload_bytes = binding.n_bytes;
		frame_build(&out[n++], &spec);
		spec.n_vlan_tags = 1;
		frame_build(&out[n++], &spec);
		spec.payload = allocate.bytes;
		spec.payload_bytes = allocate.n_bytes;
		spec.options_bytes = v6 ? 0 : 8;
		spec.extensions = extensions;
		spec.n_extensions = v6 ? 2 : 0;
		frame_build(&out[n++], &spec);
		spec.payload = channel_data;
		spec.payload_bytes = sizeof(channel_data);
		spec.n_vlan_tags = 0;
		spec.has_fragment_header = v6;
		spec.fragment = v6 ? 1 : 0x2000;
		frame_build(&out[n++], &spec);
		out[n++] = port_unreachable(v6);
	}
	return n;
}

Test(random, mutated)
{
	struct frame seed[SEEDS];
	uint32_t n_seeds = seeds(seed);

	state = 0xd1b54a32d192ed03;
	for (uint32_t n = 0; n < N_MUTATED; n++) {
		struct frame f = seed[n % n_seeds];
		uint32_t n_changes = 1 + next_random() % 4;

		for (uint32_t i = 0; i < n_changes; i++) {
			uint32_t at = 12 + next_random() % (f.n_bytes - 12);

			switch (next_random() % 4) {
			case 0:
				f.bytes[at] ^= (uint8_t)(1u << next_random() % 8);
				break;
			case 1:
				f.bytes[at] = (uint8_t)next_random();
				break;
			case 2:
				f.bytes[at] = next_random() & 1 ? 0xff : 0;
				break;
			default:
				f.n_bytes = 14 + next_random() % (f.n_bytes - 13);
				break;
			}
		}
		run_any(&f, n);
	}
	expect_total(N_MUTATED);
}

Test(random, every_kind_truncated_at_every_length)
{
	struct frame seed[SEEDS];
	uint32_t n_seeds = seeds(seed);
	uint64_t total = 0;

	for (uint32_t i = 0; i < n_seeds; i++) {
		for (uint32_t n = 14; n <= seed[i].n_bytes; n++) {
			struct frame cut = seed[i];

			cut.n_bytes = n;
			run_any(&cut, n);
			total++;
		}
	}
	expect_total(total);
}
