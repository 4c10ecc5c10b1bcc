// RTP header extensions: elements lie within the block, a block built of them yields them again, and an appended element is found
// behind all the others while the payload stays.
#include "dataplane/contract/wire/rtp_extension_values.h"
#include "tests/fuzz/fuzz.h"

static void values_read(const struct rtp_extension *e)
{
	struct rtp_audio_level level;
	const char *text;
	uint32_t time;
	uint16_t sequence;
	uint8_t n_chars;

	rtp_audio_level_read(e, &level);
	rtp_abs_send_time_read(e, &time);
	rtp_twcc_sequence_read(e, &sequence);
	if (rtp_rid_read(e, &text, &n_chars))
		FUZZ_ASSERT(n_chars == e->value_bytes && rtp_mid_read(e, &text, &n_chars));
}

static void same_elements(const struct rtp_view *a, const struct rtp_view *b, bool one_more)
{
	struct rtp_extension_reader ra = rtp_extension_reader_init(a);
	struct rtp_extension_reader rb = rtp_extension_reader_init(b);
	struct rtp_extension x, y;

	while (rtp_extension_next(&ra, &x)) {
		FUZZ_ASSERT(rtp_extension_next(&rb, &y));
		FUZZ_ASSERT(x.id == y.id && x.value_bytes == y.value_bytes);
		FUZZ_ASSERT(memcmp(x.value, y.value, x.value_bytes) == 0);
	}
	FUZZ_ASSERT(rtp_extension_next(&rb, &y) == one_more);
}

static void append_one(const uint8_t *data, size_t n, const struct rtp_view *v)
{
	static const uint8_t value[] = { 1, 2, 3 };
	uint8_t *room = malloc(16 + n), *out;
	struct rtp_view before, after;

	FUZZ_ASSERT(room != NULL);
	memcpy(room + 16, data, n);
	FUZZ_ASSERT(rtp_parse(room + 16, n, &before) == 0);
	if (rtp_extension_append(room + 16, 16, &before, 14, value, 3, &out) == 0) {
		FUZZ_ASSERT(rtp_parse(out, (size_t)(room + 16 + n - out), &after) == 0);
		FUZZ_ASSERT(after.payload_bytes == v->payload_bytes);
		FUZZ_ASSERT(memcmp(after.payload, v->payload, v->payload_bytes) == 0);
		same_elements(v, &after, true);
	} else {
		FUZZ_ASSERT(memcmp(room + 16, data, n) == 0);
	}
	free(room);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	struct rtp_extension_reader r;
	struct rtp_extension_writer w;
	struct rtp_extension e, found;
	struct rtp_view v, built = { 0 };
	uint8_t *buf;
	int len_bytes;

	if (rtp_parse(data, n, &v) != 0)
		return;
	buf = malloc(n);
	FUZZ_ASSERT(buf != NULL);
	w = rtp_extension_writer_init(buf, n, rtp_extension_is_two_byte(v.extension_profile));
	r = rtp_extension_reader_init(&v);
	while (rtp_extension_next(&r, &e)) {
		FUZZ_ASSERT(e.value > v.extension);
		FUZZ_ASSERT(e.value + e.value_bytes <= v.extension + v.extension_bytes);
		FUZZ_ASSERT(rtp_extension_find(&v, e.id, &found) && found.value <= e.value);
		FUZZ_ASSERT(rtp_extension_put(&w, e.id, e.value, e.value_bytes) != NULL);
		values_read(&e);
	}
	len_bytes = rtp_extension_finish(&w);
	FUZZ_ASSERT(len_bytes >= 0 && len_bytes <= v.extension_bytes + 4);
	if (len_bytes > 0) {
		built.extension_profile = bytes_get_be16(buf);
		built.extension = buf + 4;
		built.extension_bytes = (uint16_t)(len_bytes - 4);
	}
	same_elements(&v, &built, false);
	free(buf);
	if (n < UINT16_MAX - 16)
		append_one(data, n, &v);
}
