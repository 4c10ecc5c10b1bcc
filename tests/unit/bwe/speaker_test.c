// Active speaker and last-N from RFC 6464 levels.
#include <criterion/criterion.h>

#include "controlplane/sfu/bwe/speaker.h"
#include "link.h"

static struct speaker sp;
static struct speaker_source src[4];
static uint64_t now_ns;
static uint32_t n_changes;

static void begin(void)
{
	speaker_init(&sp);
	now_ns = 1000 * S;
	n_changes = 0;
	for (uint32_t i = 0; i < 4; i++)
		speaker_source_init(&src[i]);
}

// Everybody's level every 20 ms; 255: sends nothing.
static void talk(uint8_t a, uint8_t b, uint8_t c, uint64_t for_ns)
{
	const uint8_t levels[3] = { a, b, c };
	uint64_t end_ns = now_ns + for_ns;

	for (uint32_t step = 0; now_ns < end_ns; step++) {
		now_ns += 20 * MS;
		for (uint32_t i = 0; i < 3; i++)
			if (levels[i] != 255)
				speaker_level(&src[i], levels[i], true, now_ns);
		if (step % 5 == 0)
			n_changes += speaker_update(&sp, src, 4, now_ns);
	}
}

Test(bwe_speaker, rfc6464_who_speaks_is_found_within_a_second)
{
	begin();
	talk(127, 127, 127, S);
	cr_assert_eq(sp.active, SPEAKER_NONE);
	talk(127, 25, 127, S);
	cr_assert_eq(sp.active, 1);
	cr_assert(src[1].is_speaking);
	cr_assert_not(src[0].is_speaking);
}

Test(bwe_speaker, a_cough_does_not_take_the_floor)
{
	begin();
	talk(30, 127, 127, 3 * S);
	cr_assert_eq(sp.active, 0);
	talk(30, 10, 127, 140 * MS);
	talk(30, 127, 127, 2 * S);
	cr_assert_eq(sp.active, 0);
	cr_assert_eq(n_changes, 1);
}

Test(bwe_speaker, short_pauses_keep_the_floor)
{
	begin();
	for (uint32_t i = 0; i < 10; i++) {
		talk(30, 127, 127, S);
		talk(127, 127, 127, 500 * MS);
	}
	cr_assert_eq(n_changes, 1);
	talk(127, 127, 127, 5 * S);
	cr_assert_eq(sp.active, 0, "the last one stays in the picture");
}

Test(bwe_speaker, two_at_once_do_not_flap)
{
	begin();
	for (uint32_t i = 0; i < 50; i++) {
		talk(30, 33, 127, 300 * MS);
		talk(33, 30, 127, 300 * MS);
	}
	cr_assert_leq(n_changes, 2, "%u changes", n_changes);
	talk(127, 33, 127, 2 * S);
	cr_assert_eq(sp.active, 1);
}

Test(bwe_speaker, noise_without_the_voice_bit_is_no_speech)
{
	begin();
	for (uint32_t i = 0; i < 200; i++) {
		now_ns += 20 * MS;
		speaker_level(&src[0], 45, false, now_ns);
		speaker_update(&sp, src, 4, now_ns);
	}
	cr_assert_eq(sp.active, SPEAKER_NONE);
}

Test(bwe_speaker, last_n_is_sorted_by_who_spoke_last)
{
	uint32_t out[4];

	begin();
	talk(30, 127, 127, 2 * S);
	talk(127, 127, 30, 4 * S);
	talk(127, 30, 127, 4 * S);
	cr_assert_eq(speaker_last_n(&sp, src, 4, out, 4), 4);
	cr_assert_eq(out[0], 1);
	cr_assert_eq(out[1], 2);
	cr_assert_eq(out[2], 0);
	cr_assert_eq(out[3], 3);
	src[1].is_present = false;
	cr_assert_eq(speaker_last_n(&sp, src, 4, out, 2), 2);
	cr_assert_eq(out[0], 2);
	talk(127, 127, 127, S);
	cr_assert_eq(sp.active, SPEAKER_NONE, "who left speaks no more");
}

Test(bwe_speaker, without_packets_a_source_falls_silent)
{
	begin();
	talk(127, 30, 127, 2 * S);
	talk(35, 255, 127, 3 * S);
	cr_assert_eq(sp.active, 0);
	cr_assert_not(src[1].is_speaking);
}

Test(bwe_speaker, levels_beyond_the_field_count_as_silence)
{
	begin();
	for (uint32_t i = 0; i < 100; i++) {
		now_ns += 20 * MS;
		speaker_level(&src[0], 255, true, now_ns);
	}
	speaker_update(&sp, src, 4, now_ns);
	cr_assert_eq(sp.active, SPEAKER_NONE);
}
