// The generator judges itself first: a frame it built is good, and the same frame with any one bit changed is not.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "bench/blast/frame.h"
#include "bench/blast/mix.h"
#include "bench/blast/tally.h"
#include "dataplane/contract/wire/ip_udp.h"

struct shape {
	char family[8]; // parameters are copied to another process
	bool use_indications;
	bool is_down;
	uint32_t frame_bytes;
};

ParameterizedTestParameters(frame, every_bit_counts)
{
	static struct shape shapes[] = {
		{ "v4", false, false, 64 },   { "v4", false, true, 64 },
		{ "v4", true, false, 122 },   { "v6", false, false, 90 },
		{ "v6", false, true, 201 },   { "v6", true, false, 302 },
		{ "v4", false, false, 1200 }, { "v6v4", false, true, 173 },
	};

	return cr_make_param_array(struct shape, shapes, sizeof(shapes) / sizeof(shapes[0]));
}

// Not covered by any checksum, and rewritten by each router: MACs; IPv6 traffic class, flow label, Hop Limit.
static bool bit_is_free(const struct frame_path *p, uint32_t byte, uint32_t bit)
{
	if (byte < 12)
		return true;
	if (p->tx_is_v4)
		return false;
	return (byte == 14 && bit < 4) || (byte > 14 && byte < 18) || byte == 21;
}

ParameterizedTest(struct shape *s, frame, every_bit_counts)
{
	static uint8_t buffer[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
	static uint8_t changed[sizeof(buffer)];
	const struct frame_use use = {
		.use_indications = s->use_indications,
		.is_echo = true,
		.ttl = 64,
	};
	static const struct frame_macs macs;
	struct flow_plan plan = { .n_flows = 3 };
	struct frame_path paths[3];
	struct frame_arrival arrival;
	uint8_t *payload = buffer + FRAME_HEADER_MAX;
	uint8_t *frame;
	uint16_t n;

	frame_pattern_init();
	cr_assert_eq(flow_plan_family_parse(s->family, &plan), 0);
	for (uint32_t i = 0; i < 3; i++) {
		struct flow_addresses a;

		flow_plan_addresses(&plan, i, &a);
		frame_path_init(&paths[i], &a, NULL, s->is_down, &use, &macs);
	}
	memcpy(payload, frame_pattern, FRAME_PAYLOAD_MAX);
	n = frame_write(&paths[1], 1, payload, frame_payload_bytes(&paths[1], s->frame_bytes),
			12345);
	frame = payload - paths[1].header_bytes;
	cr_assert_eq(n, s->frame_bytes);
	cr_assert_eq(frame_verify(frame, n, paths, paths, 3, &arrival), FRAME_OK);
	cr_assert_eq(arrival.flow_idx, 1);
	cr_assert_eq(arrival.sent_tsc, 12345);
	cr_assert_eq(arrival.is_down, s->is_down);

	for (uint32_t bit = 0; bit < n * 8u; bit++) {
		memcpy(changed, frame, n);
		changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!bit_is_free(&paths[1], bit / 8, bit % 8))
			cr_expect_neq(frame_verify(changed, n, paths, paths, 3, &arrival), FRAME_OK,
				      "byte %u, bit %u", bit / 8, bit % 8);
	}
	for (uint32_t shorter = 0; shorter < n; shorter++)
		cr_expect_neq(frame_verify(frame, shorter, paths, paths, 3, &arrival), FRAME_OK,
			      "%u of %u bytes", shorter, n);
}

// What contract/wire, written independently, says about the headers.
Test(frame, headers_are_what_the_relay_parses)
{
	static uint8_t buffer[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
	const struct frame_use use = { .ttl = 64 };
	static const struct frame_macs macs;
	uint8_t *payload = buffer + FRAME_HEADER_MAX;

	frame_pattern_init();
	memcpy(payload, frame_pattern, FRAME_PAYLOAD_MAX);
	for (uint32_t size = 64; size <= 1500; size += 7) {
		struct flow_plan plan = { .n_flows = 1, .peer_is_v6 = size & 1 };
		struct flow_addresses a;
		struct frame_path p;
		struct ip_udp_view view;
		uint8_t *frame;
		uint16_t n;

		flow_plan_addresses(&plan, 0, &a);
		frame_path_init(&p, &a, NULL, size % 3 == 0, &use, &macs);
		n = frame_write(&p, 0, payload, frame_payload_bytes(&p, size), 1);
		frame = payload - p.header_bytes;
		cr_assert_eq(ip_udp_parse(frame, n, &view), IP_UDP_OK);
		cr_assert(ip_endpoint_equal(&view.source, p.is_down ? &a.peer : &a.client));
		cr_assert(
			ip_endpoint_equal(&view.destination, p.is_down ? &a.relayed : &a.listener));
		cr_assert_eq(udp_checksum(&view.source.address, &view.destination.address,
					  frame + view.l4_offset,
					  (uint16_t)(8 + view.payload_bytes)),
			     view.udp_checksum_be);
	}
}

Test(tally, tells_loss_duplicates_and_reordering_apart)
{
	static struct tally t;
	struct frame_path p = { 0 };
	// 3 is lost; 5 overtaken by 6; 7 twice; 9 comes 70 late.
	static const uint32_t arrivals[] = { 0, 1, 2, 4, 6, 5, 7, 7, 8 };

	for (size_t i = 0; i < sizeof(arrivals) / sizeof(arrivals[0]); i++)
		tally_arrival(&t, &p, arrivals[i]);
	for (uint32_t seq = 10; seq < 80; seq++)
		tally_arrival(&t, &p, seq);
	tally_arrival(&t, &p, 9);
	t.sent = 80;
	cr_assert_eq(t.received, 79);
	cr_assert_eq(tally_lost(&t), 1);
	cr_assert_eq(t.reordered, 1);
	cr_assert_eq(t.duplicates, 1);
	cr_assert_eq(t.late, 1);
}

Test(histogram, quantiles_are_within_a_32nd)
{
	static struct histogram h;

	for (uint64_t v = 1; v <= 100000; v++)
		histogram_add(&h, v);
	for (uint32_t percent = 1; percent < 100; percent++) {
		double want = 1000.0 * percent;
		double got = (double)histogram_quantile(&h, percent / 100.0);

		cr_assert(got > want * 31 / 32 && got < want * 33 / 32, "p%u is %f", percent, got);
	}
	cr_assert_eq(histogram_quantile(&h, 1), 100000);
	for (uint32_t b = 0; b + 1 < HISTOGRAM_BUCKETS; b++)
		cr_assert_eq(histogram_bucket(histogram_bucket_floor(b)), b);
}

Test(mix, same_seed_same_traffic_and_every_flow_in_range)
{
	static const enum mix_order orders[] = { MIX_ROUND, MIX_UNIFORM, MIX_ZIPF };

	for (size_t k = 0; k < 3; k++) {
		const struct mix_options o = {
			.n_flows = 1000,
			.order = orders[k],
			.direction = MIX_BOTH,
			.size = "av",
			.seed = 7,
		};
		struct mix a;
		struct mix b;
		uint64_t n_down = 0;

		cr_assert_eq(mix_create(&o, &a), 0);
		cr_assert_eq(mix_create(&o, &b), 0);
		cr_assert_eq(a.n_items, b.n_items);
		cr_assert_eq(memcmp(a.items, b.items, a.n_items * sizeof(*a.items)), 0);
		for (uint32_t i = 0; i < a.n_items; i++) {
			cr_assert_lt(a.items[i].flow & ~MIX_DOWN, 1000);
			n_down += a.items[i].flow >> 31;
		}
		cr_assert(n_down > a.n_items / 2 - a.n_items / 50 &&
			  n_down < a.n_items / 2 + a.n_items / 50);
		mix_destroy(&a);
		mix_destroy(&b);
	}
}
