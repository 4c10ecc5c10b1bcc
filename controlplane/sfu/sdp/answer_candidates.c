// The transport's lines of an answer, and the fragment that answers an ICE restart. Pure, any thread.
#include "controlplane/sfu/sdp/answer_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void sdp_write_line(struct sdp_writer *w, const char *format, ...)
{
	size_t room = w->capacity_bytes - w->n_bytes;
	va_list args;
	int n;

	if (w->is_full)
		return;
	va_start(args, format);
	n = vsnprintf(w->out + w->n_bytes, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n + 2 >= room) {
		w->is_full = true;
		return;
	}
	w->n_bytes += (size_t)n;
	w->out[w->n_bytes++] = '\r';
	w->out[w->n_bytes++] = '\n';
}

int sdp_write_end(struct sdp_writer *w)
{
	if (w->is_full || w->capacity_bytes == 0)
		return -ENOSPC;
	w->out[w->n_bytes] = '\0';
	return (int)w->n_bytes;
}

const struct sdp_kept_media *sdp_tagged_media(const struct sdp_negotiated *n)
{
	for (uint32_t i = 0; i < n->n_media; i++)
		if (n->media[i].use != SDP_USE_REJECTED)
			return &n->media[i];
	return NULL;
}

void sdp_write_bundle(struct sdp_writer *w, const struct sdp_negotiated *n)
{
	char mids[SDP_MEDIA_MAX * (SDP_MID_BYTES_MAX + 1) + 1] = "";
	size_t n_bytes = 0;

	for (uint32_t i = 0; i < n->n_media; i++)
		if (n->media[i].use != SDP_USE_REJECTED)
			n_bytes += (size_t)snprintf(mids + n_bytes, sizeof(mids) - n_bytes, " %.*s",
						    SDP_TEXT_ARGS(n->media[i].offered->mid));
	sdp_write_line(w, "a=group:BUNDLE%s", mids);
}

// The payload types of the m= line, RTX behind the codec it repairs.
static void format_payload_types(const struct sdp_kept_media *m, char *out, size_t out_bytes)
{
	size_t n = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < m->n_codecs; i++) {
		n += (size_t)snprintf(out + n, out_bytes - n, " %u", m->codecs[i].offered->pt);
		if (m->codecs[i].rtx != NULL)
			n += (size_t)snprintf(out + n, out_bytes - n, " %u", m->codecs[i].rtx->pt);
	}
}

void sdp_write_media(struct sdp_writer *w, const struct sdp_kept_media *m,
		     const struct sdp_answer_params *params)
{
	const struct sdp_media *offered = m->offered;
	const struct ip_address *address = NULL;
	char payload_types[SDP_KEPT_CODECS_MAX * 2 * 4 + 1] = "";
	char text[IP_ENDPOINT_TEXT_MAX];
	unsigned int port = 9; // "discard", where there is no candidate

	if (params->n_candidates > 0) {
		address = &params->candidates[0].address;
		port = ntohs(params->candidates[0].port_be);
	}
	format_payload_types(m, payload_types, sizeof(payload_types));
	if (m->use == SDP_USE_RTP)
		sdp_write_line(w, "m=%.*s %u %.*s%s", SDP_TEXT_ARGS(offered->kind_text), port,
			       SDP_TEXT_ARGS(offered->proto_text), payload_types);
	else
		sdp_write_line(w, "m=%.*s %u %.*s %.*s", SDP_TEXT_ARGS(offered->kind_text),
			       m->use == SDP_USE_REJECTED ? 0 : port,
			       SDP_TEXT_ARGS(offered->proto_text), SDP_TEXT_ARGS(offered->formats));
	if (address == NULL || m->use == SDP_USE_REJECTED)
		sdp_write_line(w, "c=IN IP4 0.0.0.0");
	else
		sdp_write_line(w, "c=IN %s %s", ip_address_is_v4(address) ? "IP4" : "IP6",
			       ip_address_format(address, text, sizeof(text)));
}

void sdp_write_credentials(struct sdp_writer *w, const struct sdp_answer_params *params)
{
	sdp_write_line(w, "a=ice-ufrag:%s", params->ufrag);
	sdp_write_line(w, "a=ice-pwd:%s", params->pwd);
}

void sdp_write_candidates(struct sdp_writer *w, const struct sdp_answer_params *params)
{
	for (uint32_t i = 0; i < params->n_candidates; i++) {
		const struct ip_endpoint *c = &params->candidates[i];
		char text[IP_ENDPOINT_TEXT_MAX];
		// RFC 8445 §5.1.2.1: host candidates, each with its own local preference.
		uint32_t priority = 126u << 24 | (UINT16_MAX - i % UINT16_MAX) << 8 | 255;

		sdp_write_line(w, "a=candidate:%u 1 udp %u %s %u typ host", i + 1, priority,
			       ip_address_format(&c->address, text, sizeof(text)),
			       ntohs(c->port_be));
	}
	sdp_write_line(w, "a=end-of-candidates");
}

int sdp_answer_fragment_write(const struct sdp_negotiated *n,
			      const struct sdp_answer_params *params, char *out, size_t out_bytes)
{
	struct sdp_writer w = { .out = out, .capacity_bytes = out_bytes };
	const struct sdp_kept_media *tagged = sdp_tagged_media(n);

	sdp_write_line(&w, "a=ice-lite");
	sdp_write_line(&w, "a=ice-options:trickle ice2");
	sdp_write_bundle(&w, n);
	if (tagged != NULL) {
		const struct sdp_media *offered = tagged->offered;

		// RFC 8840 §9: pseudo m= lines, to be read for their mid alone.
		sdp_write_line(&w, "m=%.*s 9 %.*s %.*s", SDP_TEXT_ARGS(offered->kind_text),
			       SDP_TEXT_ARGS(offered->proto_text), SDP_TEXT_ARGS(offered->formats));
		sdp_write_line(&w, "a=mid:%.*s", SDP_TEXT_ARGS(offered->mid));
		sdp_write_credentials(&w, params);
		sdp_write_candidates(&w, params);
	}
	return sdp_write_end(&w);
}
