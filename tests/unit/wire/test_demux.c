// First-byte demultiplexing (RFC 7983 §7, RFC 9443 §3): every byte.
#include <criterion/criterion.h>

#include "dataplane/contract/wire/demux.h"

Test(demux, rfc7983_every_first_byte)
{
	static const struct {
		int first;
		int last;
		enum wire_kind kind;
	} ranges[] = {
		{ 0, 3, WIRE_KIND_STUN },      { 4, 15, WIRE_KIND_UNKNOWN },
		{ 16, 19, WIRE_KIND_ZRTP },    { 20, 63, WIRE_KIND_DTLS },
		{ 64, 79, WIRE_KIND_CHANNEL }, { 80, 127, WIRE_KIND_QUIC },
		{ 128, 191, WIRE_KIND_RTP },   { 192, 255, WIRE_KIND_QUIC },
	};
	int covered = 0;

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		for (int first = ranges[i].first; first <= ranges[i].last; first++, covered++)
			cr_assert_eq(wire_demux((uint8_t)first), ranges[i].kind, "%d", first);
	}
	cr_assert_eq(covered, 256);
}
