// What waits to be sent on a connection: bounded by bytes, by age, and by what all connections hold.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/stream/output.h"

static const struct turn_output_limits limits = { .bytes = 1000,
						  .age_ns = 100,
						  .total_bytes = 1500 };
static struct turn_output_drops drops;
static uint64_t total;

static void push(struct turn_output *o, uint8_t mark, size_t n_bytes, uint64_t at_ns)
{
	uint8_t bytes[2000];

	memset(bytes, mark, sizeof(bytes));
	cr_assert_eq(turn_output_push(o, &limits, bytes, n_bytes, at_ns, &drops), 0);
}

// The first byte of the next one, 0 when nothing waits.
static uint8_t pop(struct turn_output *o)
{
	struct turn_output_message *m = turn_output_pop(o);
	uint8_t mark = m != NULL ? m->bytes[0] : 0;

	free(m);
	return mark;
}

Test(output, keeps_the_order_and_lets_answers_overtake)
{
	struct turn_output o;

	turn_output_init(&o, &total);
	push(&o, 'a', 10, 1);
	push(&o, 'b', 10, 2);
	push(&o, 'X', 10, 0);
	push(&o, 'Y', 10, 0);
	cr_expect_eq(total, 20);
	cr_expect_eq(pop(&o), 'X');
	cr_expect_eq(pop(&o), 'Y');
	cr_expect_eq(pop(&o), 'a');
	push(&o, 'c', 10, 3);
	cr_expect_eq(pop(&o), 'b');
	cr_expect_eq(pop(&o), 'c');
	cr_expect_eq(pop(&o), 0);
	cr_expect_eq(total, 0);
}

Test(output, the_oldest_data_goes_when_there_is_no_room)
{
	struct turn_output o;

	turn_output_init(&o, &total);
	for (uint8_t i = 0; i < 10; i++)
		push(&o, (uint8_t)('a' + i), 100, 1 + i);
	cr_expect_eq(drops.n_bytes, 0);
	push(&o, 'z', 150, 11);
	cr_expect_eq(drops.n_bytes, 2);
	cr_expect_leq(o.data.n_bytes, limits.bytes);
	cr_expect_eq(pop(&o), 'c');
	push(&o, 'w', 1001, 12);
	cr_expect_eq(drops.n_bytes, 3, "one that fits into no buffer takes nothing else with it");
	cr_expect_eq(pop(&o), 'd');
	turn_output_clear(&o);
	cr_expect_eq(total, 0);
}

Test(output, data_that_waits_too_long_goes)
{
	struct turn_output o;

	turn_output_init(&o, &total);
	push(&o, 'a', 10, 1000);
	push(&o, 'X', 10, 0);
	push(&o, 'b', 10, 1050);
	turn_output_expire(&o, &limits, 1100, &drops);
	cr_expect_eq(drops.n_age, 0);
	turn_output_expire(&o, &limits, 1101, &drops);
	cr_expect_eq(drops.n_age, 1);
	turn_output_expire(&o, &limits, 999999, &drops);
	cr_expect_eq(drops.n_age, 2);
	cr_expect_eq(pop(&o), 'X', "an answer does not age");
	cr_expect_eq(pop(&o), 0);
	cr_expect_eq(total, 0);
}

Test(output, all_connections_together_are_bounded)
{
	struct turn_output o, other;

	turn_output_init(&o, &total);
	turn_output_init(&other, &total);
	push(&o, 'a', 900, 1);
	push(&other, 'm', 300, 1);
	push(&other, 'n', 300, 2);
	cr_expect_eq(drops.n_total, 0);
	push(&other, 'o', 300, 3);
	cr_expect_eq(drops.n_total, 1);
	cr_expect_leq(total, limits.total_bytes);
	cr_expect_eq(pop(&other), 'n');
	turn_output_clear(&other);
	push(&o, 'b', 700, 4);
	cr_expect_eq(pop(&o), 'b');
	cr_expect_eq(total, 0);
}
