// RTP header extension elements (RFC 8285 §4). Pure, any thread.
#include "dataplane/contract/wire/rtp_extension.h"

#include <errno.h>

#define BLOCK_HEADER_BYTES 4

struct rtp_extension_reader rtp_extension_reader_init(const struct rtp_view *rtp)
{
	struct rtp_extension_reader r = { 0 };

	r.two_byte = rtp_extension_is_two_byte(rtp->extension_profile);
	if (rtp->extension == NULL ||
	    (!r.two_byte && rtp->extension_profile != RTP_EXTENSION_ONE_BYTE))
		return r;
	r.at = rtp->extension;
	r.end = rtp->extension + rtp->extension_bytes;
	return r;
}

static bool element_past_end(struct rtp_extension_reader *r)
{
	r->malformed = true;
	r->end = r->at;
	return false;
}

bool rtp_extension_next(struct rtp_extension_reader *r, struct rtp_extension *out)
{
	const uint8_t *p = r->at;

	while (p != r->end && *p == 0)
		p++;
	r->at = p;
	if (p == r->end)
		return false;
	if (r->two_byte) {
		if (r->end - p < 2 || p[1] > r->end - p - 2)
			return element_past_end(r);
		out->id = p[0];
		out->value_bytes = p[1];
		out->value = p + 2;
	} else {
		out->id = p[0] >> 4;
		out->value_bytes = (uint8_t)((p[0] & 0x0f) + 1);
		out->value = p + 1;
		if (out->id == 15 || out->id == 0) {
			r->end = p;
			return false;
		}
		if (out->value_bytes > r->end - p - 1)
			return element_past_end(r);
	}
	r->at = out->value + out->value_bytes;
	return true;
}

bool rtp_extension_find(const struct rtp_view *rtp, uint8_t id, struct rtp_extension *out)
{
	struct rtp_extension_reader r = rtp_extension_reader_init(rtp);

	while (rtp_extension_next(&r, out))
		if (out->id == id)
			return true;
	return false;
}

// The writable twin of a place in the block that `rtp` views.
static uint8_t *writable(uint8_t *packet, const struct rtp_view *rtp, const uint8_t *at)
{
	return packet + rtp->header_bytes - rtp->extension_bytes + (at - rtp->extension);
}

int rtp_extension_overwrite(uint8_t *packet, const struct rtp_view *rtp, uint8_t id,
			    const uint8_t *value, uint8_t value_bytes)
{
	struct rtp_extension e;

	if (!rtp_extension_find(rtp, id, &e))
		return -ENOENT;
	if (e.value_bytes != value_bytes)
		return -EMSGSIZE;
	if (value_bytes > 0)
		memcpy(writable(packet, rtp, e.value), value, value_bytes);
	return 0;
}

static bool id_fits(bool two_byte, uint8_t id)
{
	return id != 0 && (two_byte || id <= RTP_EXTENSION_ONE_BYTE_MAX);
}

static bool element_fits(bool two_byte, uint8_t id, uint8_t value_bytes)
{
	return id_fits(two_byte, id) && (two_byte || (value_bytes >= 1 && value_bytes <= 16));
}

int rtp_extension_renumber(uint8_t *packet, const struct rtp_view *rtp, uint8_t id, uint8_t new_id)
{
	bool two_byte = rtp_extension_is_two_byte(rtp->extension_profile);
	struct rtp_extension e;
	uint8_t *header;

	if (!rtp_extension_find(rtp, id, &e))
		return -ENOENT;
	if (!id_fits(two_byte, new_id))
		return -EINVAL;
	header = writable(packet, rtp, e.value) - (two_byte ? 2 : 1);
	*header = two_byte ? new_id : (uint8_t)(new_id << 4 | (*header & 0x0f));
	return 0;
}

static uint8_t *element_write(uint8_t *p, bool two_byte, uint8_t id, const uint8_t *value,
			      uint8_t value_bytes)
{
	if (two_byte) {
		*p++ = id;
		*p++ = value_bytes;
	} else {
		*p++ = (uint8_t)(id << 4 | (value_bytes - 1));
	}
	if (value != NULL && value_bytes > 0)
		memcpy(p, value, value_bytes);
	return p;
}

// Where the last element ends, relative to the block; -EINVAL when nothing can be put behind it.
static int block_used_bytes(const struct rtp_view *rtp)
{
	struct rtp_extension_reader r = rtp_extension_reader_init(rtp);
	const uint8_t *end = rtp->extension;
	struct rtp_extension e;

	if (r.at == NULL)
		return -EINVAL;
	while (rtp_extension_next(&r, &e))
		end = e.value + e.value_bytes;
	if (r.malformed || r.end != rtp->extension + rtp->extension_bytes)
		return -EINVAL;
	return (int)(end - rtp->extension);
}

int rtp_extension_append(uint8_t *packet, size_t headroom_bytes, const struct rtp_view *rtp,
			 uint8_t id, const uint8_t *value, uint8_t value_bytes, uint8_t **out)
{
	bool has_block = rtp->extension != NULL;
	bool two_byte = has_block ? rtp_extension_is_two_byte(rtp->extension_profile)
				  : !element_fits(false, id, value_bytes);
	uint32_t used_bytes = 0, old_bytes, new_bytes, grow_bytes, moved_bytes;
	uint8_t *block;

	if (!element_fits(two_byte, id, value_bytes))
		return -EINVAL;
	if (has_block) {
		int used = block_used_bytes(rtp);

		if (used < 0)
			return used;
		used_bytes = (uint32_t)used;
	}
	old_bytes = rtp->extension_bytes;
	new_bytes = (used_bytes + (two_byte ? 2 : 1) + value_bytes + 3) & ~3u;
	if (new_bytes < old_bytes)
		new_bytes = old_bytes;
	grow_bytes = new_bytes - old_bytes + (has_block ? 0 : BLOCK_HEADER_BYTES);
	if (grow_bytes > headroom_bytes || new_bytes / 4 > UINT16_MAX ||
	    rtp->header_bytes + grow_bytes > UINT16_MAX)
		return -ENOSPC;
	// Everything up to the end of the last element goes down; the gap opens behind it.
	moved_bytes = rtp->header_bytes - old_bytes + used_bytes;
	*out = packet - grow_bytes;
	if (grow_bytes > 0)
		memmove(*out, packet, moved_bytes);
	block = *out + rtp->header_bytes + grow_bytes - new_bytes;
	(*out)[0] |= 0x10;
	if (!has_block)
		bytes_put_be16(block - 4,
			       two_byte ? RTP_EXTENSION_TWO_BYTE : RTP_EXTENSION_ONE_BYTE);
	bytes_put_be16(block - 2, (uint16_t)(new_bytes / 4));
	memset(block + used_bytes, 0, new_bytes - used_bytes);
	element_write(block + used_bytes, two_byte, id, value, value_bytes);
	return 0;
}

struct rtp_extension_writer rtp_extension_writer_init(void *buf, size_t capacity_bytes,
						      bool two_byte)
{
	struct rtp_extension_writer w = { .bytes = bytes_writer_init(buf, capacity_bytes),
					  .two_byte = two_byte };

	bytes_grow(&w.bytes, BLOCK_HEADER_BYTES);
	return w;
}

uint8_t *rtp_extension_put(struct rtp_extension_writer *w, uint8_t id, const uint8_t *value,
			   uint8_t value_bytes)
{
	uint8_t *p;

	if (!element_fits(w->two_byte, id, value_bytes)) {
		w->invalid = true;
		return NULL;
	}
	p = bytes_grow(&w->bytes, (w->two_byte ? 2u : 1u) + value_bytes);
	return p == NULL ? NULL : element_write(p, w->two_byte, id, value, value_bytes);
}

int rtp_extension_finish(struct rtp_extension_writer *w)
{
	size_t padding_bytes = -w->bytes.len_bytes & 3;
	uint8_t *p;

	if (w->invalid)
		return -EINVAL;
	if (w->bytes.len_bytes == BLOCK_HEADER_BYTES)
		return 0;
	p = bytes_grow(&w->bytes, padding_bytes);
	if (p == NULL || w->bytes.len_bytes > BLOCK_HEADER_BYTES + 4u * UINT16_MAX)
		return -ENOSPC;
	memset(p, 0, padding_bytes);
	bytes_put_be16(w->bytes.base,
		       w->two_byte ? RTP_EXTENSION_TWO_BYTE : RTP_EXTENSION_ONE_BYTE);
	bytes_put_be16(w->bytes.base + 2,
		       (uint16_t)((w->bytes.len_bytes - BLOCK_HEADER_BYTES) / 4));
	return (int)w->bytes.len_bytes;
}
