// RTP headers toward watchers: which extensions of the publisher's packet stand in them, and under which ids.
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/contract/wire/rtp_extension.h"
#include "dataplane/sfu/egress_header.h"

static uint8_t packet[64];
static struct dp_sfu_media media;
static union dp_sfu_map map;
static struct dp_sfu_header header;

// The publisher's values lie one behind the other; where they come from matters no more than their ids.
static void sent(enum shm_sfu_extension which, const char *value, uint8_t n_bytes)
{
	static uint8_t at;

	at = which == SHM_SFU_EXT_AUDIO_LEVEL ? 16 : (uint8_t)(at + 8);
	memcpy(packet + at, value, n_bytes);
	media.extension_offset[which] = at;
	media.extension_bytes[which] = n_bytes;
}

static void setup(void)
{
	media = (struct dp_sfu_media){ .flags = DP_SFU_MEDIA_F_MARKER };
	map = (union dp_sfu_map){ 0 };
	sent(SHM_SFU_EXT_AUDIO_LEVEL, "\x85", 1);
	sent(SHM_SFU_EXT_VIDEO_ORIENTATION, "\x01", 1);
	sent(SHM_SFU_EXT_PLAYOUT_DELAY, "\x01\x20\x03", 3);
	sent(SHM_SFU_EXT_ABS_CAPTURE_TIME, "\1\2\3\4\5\6\7\x08", 8);
}

TestSuite(sfu_header, .init = setup);

static void build(void)
{
	memset(&header, 0, sizeof(header));
	dp_sfu_header_build(&header, &map, packet, &media, "0", 1, NULL, 0);
}

// The extension with that id has this value; n_bytes 0: there is none.
static void expect(uint8_t id, const char *value, uint8_t n_bytes)
{
	struct rtp_extension e;
	struct rtp_view rtp;

	cr_assert_eq(rtp_parse(header.bytes, header.n_bytes, &rtp), 0);
	cr_assert_eq(rtp_extension_find(&rtp, id, &e), n_bytes > 0, "%u", id);
	if (n_bytes == 0)
		return;
	cr_assert_eq(e.value_bytes, n_bytes, "%u", id);
	cr_assert_arr_eq(e.value, value, n_bytes);
}

Test(sfu_header, extensions_of_the_publisher_go_under_the_watchers_ids)
{
	map.id[SHM_SFU_EXT_MID] = 9;
	map.id[SHM_SFU_EXT_ABS_SEND_TIME] = 8;
	map.id[SHM_SFU_EXT_AUDIO_LEVEL] = 7;
	map.id[SHM_SFU_EXT_VIDEO_ORIENTATION] = 6;
	map.id[SHM_SFU_EXT_PLAYOUT_DELAY] = 5;
	map.id[SHM_SFU_EXT_ABS_CAPTURE_TIME] = 4;
	build();
	expect(9, "0", 1);
	expect(8, "\0\0\0", 3);
	expect(7, "\x85", 1);
	expect(6, "\x01", 1);
	expect(5, "\x01\x20\x03", 3);
	expect(4, "\1\2\3\4\5\6\7\x08", 8);
	cr_assert_gt(header.send_time_at, 12, "for the stamp");
	cr_assert_eq(header.bytes[1] & 0x80, 0x80, "the marker");
}

Test(sfu_header, what_the_watcher_did_not_offer_is_left_out)
{
	map.id[SHM_SFU_EXT_AUDIO_LEVEL] = 7;
	build();
	expect(7, "\x85", 1);
	for (uint8_t id = 1; id < 15; id++) {
		if (id != 7)
			expect(id, NULL, 0);
	}
	map.id[SHM_SFU_EXT_AUDIO_LEVEL] = 0;
	build();
	cr_assert_eq(header.n_bytes, 12, "no block");
	cr_assert_eq(header.bytes[0], 0x80);
}

// Without extmap-allow-mixed only what the one-byte form holds.
Test(sfu_header, rfc8285_4_3_the_two_byte_form_needs_allow_mixed)
{
	map.id[SHM_SFU_EXT_AUDIO_LEVEL] = 7;
	map.id[SHM_SFU_EXT_VIDEO_ORIENTATION] = 15;
	build();
	cr_assert_arr_eq(header.bytes + 12, "\xbe\xde", 2);
	expect(7, "\x85", 1);
	expect(15, NULL, 0);
	map.is_mixed = 1;
	build();
	cr_assert_arr_eq(header.bytes + 12, "\x10\x00", 2);
	expect(7, "\x85", 1);
	expect(15, "\x01", 1);
}
