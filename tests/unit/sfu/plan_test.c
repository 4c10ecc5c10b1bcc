// The plan alone: from who is there to operations on slots and lists.
#include <criterion/criterion.h>
#include <string.h>

#include "controlplane/sfu/plan.h"

#define TAKES_ALL                                                                                  \
	{                                                                                          \
		96, 96, 96, 96, 96, 96, 96, 96                                                     \
	}

static const uint8_t takes_all[SHM_SFU_CODEC_COUNT] = TAKES_ALL;
static const uint8_t takes_no_vp8[SHM_SFU_CODEC_COUNT] = { 96, 96, 0xff, 96, 96, 96, 96, 96 };

static struct sfu_plan_publisher publishers[4];
static struct sfu_plan_slot slots[8];
static struct sfu_plan_watcher watchers[4];
static struct sfu_plan_input in;
static struct sfu_plan plan;

// Publisher i sends audio on track 10 * (i + 1) and video on one more.
static void publish(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		publishers[i].track[SHM_SFU_AUDIO].idx = 10 * (i + 1);
		publishers[i].track[SHM_SFU_AUDIO].codec = SHM_SFU_OPUS;
		publishers[i].track[SHM_SFU_VIDEO].idx = 10 * (i + 1) + 1;
		publishers[i].track[SHM_SFU_VIDEO].codec = SHM_SFU_VP8;
		publishers[i].rank = i;
		publishers[i].is_video_shown = true;
	}
	in.publishers = publishers;
	in.n_publishers = n;
}

// A watcher with so many pairs of slots, the first audio being slot 100 * (w + 1).
static void watch(uint32_t w, uint32_t first_slot, uint32_t n_pairs, uint32_t owner)
{
	for (uint32_t i = 0; i < 2 * n_pairs; i++)
		slots[first_slot + i] = (struct sfu_plan_slot){
			.idx = 100 * (w + 1) + i,
			.kind = i % 2 == 0 ? SHM_SFU_AUDIO : SHM_SFU_VIDEO,
			.payload_type = takes_all,
		};
	watchers[w] = (struct sfu_plan_watcher){
		.slots = &slots[first_slot],
		.n_slots = 2 * n_pairs,
		.wanted = SFU_PLAN_ANY,
		.owner = owner,
	};
	in.watchers = watchers;
	in.n_watchers = w + 1;
}

static void make(void)
{
	sfu_plan_free(&plan);
	cr_assert_eq(sfu_plan_make(&in, &plan), 0);
}

static int op_at(enum sfu_op_kind kind, uint32_t track_idx, uint32_t key, int from)
{
	for (uint32_t i = (uint32_t)from; i < plan.n_ops; i++) {
		const struct sfu_op *op = &plan.ops[i];

		if (op->kind == kind && op->track_idx == track_idx &&
		    key == (kind == SFU_OP_LIST ? op->worker_idx : op->subscription_idx))
			return (int)i;
	}
	return -1;
}

static void teardown(void)
{
	sfu_plan_free(&plan);
}

TestSuite(plan, .fini = teardown);

Test(plan, an_empty_room_needs_nothing)
{
	make();
	cr_assert_eq(plan.n_ops, 0);
}

Test(plan, a_watcher_sees_the_publishers_in_the_order_of_joining)
{
	int at;

	publish(2);
	watch(0, 0, 2, 3);
	make();
	cr_assert_eq(plan.n_ops, 8);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 10, 100, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 11, 101, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 20, 102, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 21, 103, 0), 0);
	at = op_at(SFU_OP_LIST, 21, 2, 0);
	cr_assert_geq(at, 4, "slots are told before lists grow");
	cr_assert_eq(plan.ops[at].n_list, 1);
	cr_assert_eq(plan.ops[at].list[0], 103);
}

Test(plan, what_the_tables_say_already_gives_no_operations)
{
	static const uint32_t audio[] = { 100 }, video[] = { 101 };

	publish(1);
	watch(0, 0, 1, 1);
	slots[0].track_idx = 10;
	slots[1].track_idx = 11;
	publishers[0].track[SHM_SFU_AUDIO].list[0] = (struct sfu_plan_list){ audio, 1 };
	publishers[0].track[SHM_SFU_VIDEO].list[0] = (struct sfu_plan_list){ video, 1 };
	make();
	cr_assert_eq(plan.n_ops, 0);
}

Test(plan, nobody_sends_to_a_watcher_without_an_owner)
{
	publish(1);
	watch(0, 0, 1, 0);
	make();
	cr_assert_eq(plan.n_ops, 2);
	cr_assert_eq(op_at(SFU_OP_LIST, 10, 0, 0), -1);
}

Test(plan, a_new_owner_moves_the_subscription_to_its_list_and_out_of_the_old_one_first)
{
	static const uint32_t audio[] = { 7, 100, 8 };
	int leave, join;

	publish(1);
	watch(0, 0, 1, 2);
	slots[0].track_idx = 10;
	publishers[0].track[SHM_SFU_AUDIO].list[0] = (struct sfu_plan_list){ audio, 3 };
	make();
	leave = op_at(SFU_OP_LIST, 10, 0, 0);
	join = op_at(SFU_OP_LIST, 10, 1, 0);
	cr_assert_geq(leave, 0);
	cr_assert_gt(join, leave);
	cr_assert_eq(plan.ops[leave].n_list, 0, "7 and 8 are nobody's");
	cr_assert_eq(plan.ops[join].n_list, 1);
}

Test(plan, lists_keep_their_order_and_holes_are_no_entries)
{
	static const uint32_t audio[] = { 200, 0, 100 };
	int at;

	publish(1);
	watch(0, 0, 1, 1);
	watch(1, 2, 1, 1);
	watch(2, 4, 1, 1);
	slots[0].track_idx = slots[2].track_idx = 10;
	publishers[0].track[SHM_SFU_AUDIO].list[0] = (struct sfu_plan_list){ audio, 3 };
	make();
	at = op_at(SFU_OP_LIST, 10, 0, 0);
	cr_assert_geq(at, 0);
	cr_assert_eq(plan.ops[at].n_list, 3);
	cr_assert_eq(plan.ops[at].list[0], 200);
	cr_assert_eq(plan.ops[at].list[1], 100);
	cr_assert_eq(plan.ops[at].list[2], 300);
}

Test(plan, who_sits_stays_when_others_leave_and_come)
{
	publish(3);
	watch(0, 0, 2, 1);
	// The second pair shows the third publisher; the first has left its pair.
	slots[2].track_idx = 30;
	slots[3].track_idx = 31;
	in.publishers = publishers + 1;
	in.n_publishers = 2;
	make();
	cr_assert_eq(op_at(SFU_OP_SLOT_TRACK, 30, 102, 0), -1, "it has it");
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 20, 100, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 21, 101, 0), 0);
}

Test(plan, with_too_few_seats_the_speaker_takes_one)
{
	int told;

	publish(2);
	watch(0, 0, 1, 1);
	slots[0].track_idx = 10;
	slots[1].track_idx = 11;
	publishers[0].rank = 1;
	publishers[1].rank = 0;
	make();
	told = op_at(SFU_OP_SLOT_TRACK, 21, 101, 0);
	cr_assert_geq(told, 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 20, 100, 0), 0, "with its sound");
	cr_assert_gt(op_at(SFU_OP_LIST, 21, 0, 0), told);
}

Test(plan, a_swap_leaves_both_lists_before_it_joins_either)
{
	static const uint32_t first[] = { 101 }, second[] = { 201 };
	int last_leave, first_join;

	publish(2);
	watch(0, 0, 1, 1);
	watch(1, 2, 1, 1);
	watchers[0].wanted = 1;
	watchers[1].wanted = 0;
	slots[1].track_idx = 11;
	slots[3].track_idx = 21;
	publishers[0].track[SHM_SFU_VIDEO].list[0] = (struct sfu_plan_list){ first, 1 };
	publishers[1].track[SHM_SFU_VIDEO].list[0] = (struct sfu_plan_list){ second, 1 };
	make();
	last_leave = op_at(SFU_OP_LIST, 21, 0, 0);
	cr_assert_geq(last_leave, 0);
	cr_assert_eq(plan.ops[last_leave].n_list, 0);
	first_join = op_at(SFU_OP_LIST, 11, 0, op_at(SFU_OP_LIST, 11, 0, 0) + 1);
	cr_assert_gt(first_join, last_leave);
	cr_assert_eq(plan.ops[first_join].list[0], 201);
}

Test(plan, a_wanted_publisher_is_the_only_one_that_is_seen)
{
	publish(2);
	watch(0, 0, 2, 1);
	watchers[0].wanted = 1;
	make();
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 20, 100, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 21, 101, 0), 0);
	cr_assert_eq(plan.n_ops, 4);
	watchers[0].wanted = SFU_PLAN_ANY;
	watchers[0].is_wanted_absent = true;
	make();
	cr_assert_eq(plan.n_ops, 0);
}

Test(plan, outside_the_last_n_only_the_voice_is_sent)
{
	publish(2);
	watch(0, 0, 2, 1);
	publishers[1].is_video_shown = false;
	make();
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 20, 102, 0), 0);
	cr_assert_eq(op_at(SFU_OP_SLOT_TRACK, 21, 103, 0), -1);
}

Test(plan, a_codec_that_is_not_taken_is_left_out_and_counted)
{
	publish(1);
	watch(0, 0, 1, 1);
	slots[1].payload_type = takes_no_vp8;
	make();
	cr_assert_eq(plan.n_left_out, 1);
	cr_assert_eq(op_at(SFU_OP_SLOT_TRACK, 11, 101, 0), -1);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 10, 100, 0), 0);
}

Test(plan, more_voices_than_pictures_do_without_pairs)
{
	publish(3);
	watch(0, 0, 1, 1);
	for (uint32_t i = 2; i < 4; i++)
		slots[i] = (struct sfu_plan_slot){
			.idx = 100 + i,
			.kind = SHM_SFU_AUDIO,
			.payload_type = takes_all,
		};
	watchers[0].n_slots = 4;
	publishers[2].rank = 0;
	publishers[0].rank = 2;
	make();
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 31, 101, 0), 0, "who is shown first");
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 10, 100, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 20, 102, 0), 0);
	cr_assert_geq(op_at(SFU_OP_SLOT_TRACK, 30, 103, 0), 0);
}
