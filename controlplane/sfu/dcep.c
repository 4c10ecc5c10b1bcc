// DATA_CHANNEL_OPEN and DATA_CHANNEL_ACK (RFC 8832 §5.1, §5.2). Pure, any thread.
#include "controlplane/sfu/dcep.h"

#include "dataplane/contract/wire/bytes.h"

#define TYPE_ACK          0x02
#define TYPE_OPEN         0x03
#define CHANNEL_UNORDERED 0x80

enum dcep_kind dcep_parse(const uint8_t *message, size_t n_bytes, struct dcep_open *open)
{
	struct bytes_reader r = bytes_reader_init(message, n_bytes);
	const uint8_t *header;

	// RFC 8832 §5.2: an ACK is the type alone.
	if (n_bytes == 1 && message[0] == TYPE_ACK)
		return DCEP_ACK;
	header = bytes_take(&r, DCEP_OPEN_HEADER_BYTES);
	if (header == NULL || header[0] != TYPE_OPEN ||
	    (header[1] & ~CHANNEL_UNORDERED) >= SCTP_RELIABILITY_COUNT)
		return DCEP_MALFORMED;
	open->reliability = (enum sctp_reliability)(header[1] & ~CHANNEL_UNORDERED);
	open->is_unordered = (header[1] & CHANNEL_UNORDERED) != 0;
	open->priority = bytes_get_be16(header + 2);
	// RFC 8832 §5.1: of no meaning for reliable channels.
	open->reliability_value =
		open->reliability == SCTP_RELIABLE ? 0 : bytes_get_be32(header + 4);
	open->label_bytes = bytes_get_be16(header + 8);
	open->protocol_bytes = bytes_get_be16(header + 10);
	if (open->label_bytes + open->protocol_bytes > DCEP_NAME_BYTES_MAX)
		return DCEP_MALFORMED;
	open->label = bytes_take(&r, open->label_bytes);
	open->protocol = open->label != NULL ? bytes_take(&r, open->protocol_bytes) : NULL;
	if (open->protocol == NULL || bytes_left(&r) != 0)
		return DCEP_MALFORMED;
	return DCEP_OPEN;
}

size_t dcep_open_build(const struct dcep_open *open, uint8_t *out, size_t out_bytes)
{
	struct bytes_writer w = bytes_writer_init(out, out_bytes);
	size_t name_bytes = (size_t)open->label_bytes + open->protocol_bytes;
	uint8_t *at = bytes_grow(&w, DCEP_OPEN_HEADER_BYTES + name_bytes);

	if (at == NULL || name_bytes > DCEP_NAME_BYTES_MAX)
		return 0;
	at[0] = TYPE_OPEN;
	at[1] = (uint8_t)(open->reliability | (open->is_unordered ? CHANNEL_UNORDERED : 0));
	bytes_put_be16(at + 2, open->priority);
	bytes_put_be32(at + 4, open->reliability == SCTP_RELIABLE ? 0 : open->reliability_value);
	bytes_put_be16(at + 8, open->label_bytes);
	bytes_put_be16(at + 10, open->protocol_bytes);
	if (open->label_bytes > 0)
		memcpy(at + DCEP_OPEN_HEADER_BYTES, open->label, open->label_bytes);
	if (open->protocol_bytes > 0)
		memcpy(at + DCEP_OPEN_HEADER_BYTES + open->label_bytes, open->protocol,
		       open->protocol_bytes);
	return w.len_bytes;
}

uint8_t dcep_ack(void)
{
	return TYPE_ACK;
}
