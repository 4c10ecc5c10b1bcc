// DATA_CHANNEL_OPEN and _ACK, byte for byte.
#include <criterion/criterion.h>

#include "controlplane/sfu/dcep.h"
#include "tests/unit/wire/guarded.h"

// "pos" with protocol "v1": unordered, at most 3 retransmissions, priority 256.
static const uint8_t published[] = { 0x03, 0x81, 0x01, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00,
				     0x03, 0x00, 0x02, 'p',  'o',  's',  'v',  '1' };

static enum dcep_kind parse(const uint8_t *bytes, size_t n, struct dcep_open *open)
{
	return dcep_parse(guarded_copy(bytes, n), n, open);
}

Test(dcep, rfc8832_5_1_open)
{
	uint8_t built[sizeof(published)];
	struct dcep_open open;

	cr_assert_eq(parse(published, sizeof(published), &open), DCEP_OPEN);
	cr_assert(open.is_unordered);
	cr_assert_eq(open.reliability, SCTP_RETRANSMITS);
	cr_assert_eq(open.reliability_value, 3);
	cr_assert_eq(open.priority, 256);
	cr_assert_eq(open.label_bytes, 3);
	cr_assert_eq(memcmp(open.label, "pos", 3), 0);
	cr_assert_eq(open.protocol_bytes, 2);
	cr_assert_eq(memcmp(open.protocol, "v1", 2), 0);
	cr_assert_eq(dcep_open_build(&open, built, sizeof(built)), sizeof(published));
	cr_assert_eq(memcmp(built, published, sizeof(published)), 0);
	for (size_t n = 0; n < sizeof(published); n++)
		cr_assert_eq(dcep_open_build(&open, built, n), 0);
}

Test(dcep, rfc8832_5_1_every_channel_type)
{
	uint8_t bytes[sizeof(published)];
	struct dcep_open open;

	memcpy(bytes, published, sizeof(bytes));
	for (uint32_t type = 0; type < 256; type++) {
		bool is_known = (type & 0x7f) <= 2;

		bytes[1] = (uint8_t)type;
		cr_assert_eq(parse(bytes, sizeof(bytes), &open),
			     is_known ? DCEP_OPEN : DCEP_MALFORMED);
		if (is_known) {
			cr_assert_eq(open.is_unordered, type >= 0x80);
			cr_assert_eq(open.reliability, type & 0x7f);
			// Of a reliable channel the parameter is ignored.
			cr_assert_eq(open.reliability_value, (type & 0x7f) == 0 ? 0 : 3);
		}
	}
}

Test(dcep, rfc8832_5_1_lengths_must_fit)
{
	uint8_t bytes[sizeof(published) + 1];
	struct dcep_open open;

	memcpy(bytes, published, sizeof(published));
	bytes[sizeof(published)] = 'x';
	for (size_t n = 0; n <= sizeof(bytes); n++)
		if (n != sizeof(published))
			cr_assert_eq(parse(bytes, n, &open), DCEP_MALFORMED, "%zu", n);
	bytes[8] = 0xff;
	cr_assert_eq(parse(bytes, sizeof(published), &open), DCEP_MALFORMED);
	bytes[8] = 0;
	bytes[11] = 3;
	cr_assert_eq(parse(bytes, sizeof(published), &open), DCEP_MALFORMED);
}

Test(dcep, names_are_bounded)
{
	static uint8_t bytes[DCEP_OPEN_HEADER_BYTES + DCEP_NAME_BYTES_MAX + 1] = { 3 };
	static uint8_t built[sizeof(bytes)];
	struct dcep_open open;

	bytes[8] = DCEP_NAME_BYTES_MAX >> 8;
	cr_assert_eq(parse(bytes, sizeof(bytes) - 1, &open), DCEP_OPEN);
	cr_assert_eq(dcep_open_build(&open, built, sizeof(built)), sizeof(bytes) - 1);
	bytes[9] = 1;
	cr_assert_eq(parse(bytes, sizeof(bytes), &open), DCEP_MALFORMED);
	open.label_bytes++;
	cr_assert_eq(dcep_open_build(&open, built, sizeof(built)), 0);
}

Test(dcep, rfc8832_5_2_ack)
{
	const uint8_t ack = dcep_ack();
	const uint8_t longer[2] = { 2, 0 };
	struct dcep_open open;

	cr_assert_eq(ack, 2);
	cr_assert_eq(parse(&ack, 1, &open), DCEP_ACK);
	cr_assert_eq(parse(longer, 2, &open), DCEP_MALFORMED);
}
