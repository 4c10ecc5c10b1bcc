// What an offer must hold for all of it to share one transport (RFC 9143, 5761, 8858, 8842). Pure, any thread.
#include "controlplane/sfu/sdp/negotiate_private.h"

#include <errno.h>

static bool same_codec(const struct sdp_codec *a, const struct sdp_codec *b)
{
	return a->name.n == b->name.n && a->clock_rate == b->clock_rate &&
	       a->channels == b->channels && sdp_text_equal(a->fmtp, b->fmtp) &&
	       (a->name.n == 0 || sdp_text_equal(a->name, b->name));
}

// RFC 9143 §9.1: a payload type means the same codec and configuration in every section;
// RFC 8285 §5: an id means the same extension.
static int check_same(const struct sdp_media *a, const struct sdp_media *b, struct sdp_error *error)
{
	for (uint32_t i = 0; i < b->n_codecs; i++) {
		const struct sdp_codec *other = sdp_media_codec(a, b->codecs[i].pt);

		if (other != NULL && !same_codec(other, &b->codecs[i]))
			return sdp_refuse(error, b->codecs[i].line,
					  "payload type %u is another codec at line %u",
					  b->codecs[i].pt, other->line);
	}
	for (uint32_t i = 0; i < b->n_extmaps; i++)
		for (uint32_t j = 0; j < a->n_extmaps; j++)
			if (a->extmaps[j].id == b->extmaps[i].id &&
			    !sdp_text_equal(a->extmaps[j].uri, b->extmaps[i].uri))
				return sdp_refuse(error, b->extmaps[i].line,
						  "extension id %u is another URI at line %u",
						  b->extmaps[i].id, a->extmaps[j].line);
	return 0;
}

static int check_section(const struct sdp_session *offer, uint32_t index, struct sdp_error *error)
{
	const struct sdp_media *m = &offer->media[index];

	if (!sdp_media_is_offered(m))
		return 0;
	if (m->mid.n == 0)
		return sdp_refuse(error, m->line, "the section has no mid");
	if (!m->is_bundled)
		return sdp_refuse(error, m->line, "the section is not in the BUNDLE group");
	if (m->proto != SDP_PROTO_RTP)
		return 0;
	if (!m->has_rtcp_mux)
		return sdp_refuse(error, m->line,
				  m->has_rtcp_mux_only ? "rtcp-mux-only without rtcp-mux"
						       : "the section is without rtcp-mux");
	for (uint32_t i = 0; i < m->n_codecs; i++)
		if (m->codecs[i].pt >= 64 && m->codecs[i].pt <= 95)
			return sdp_refuse(error, m->codecs[i].line,
					  "payload type %u is RTCP's where RTCP is multiplexed",
					  m->codecs[i].pt);
	for (uint32_t j = 0; j < index; j++) {
		const struct sdp_media *other = &offer->media[j];
		int ret = 0;

		if (sdp_media_is_offered(other) && other->proto == SDP_PROTO_RTP)
			ret = check_same(other, m, error);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int keep_transport(const struct sdp_transport *t, uint32_t line, struct sdp_negotiated *out,
			  struct sdp_error *error)
{
	enum sdp_hash strongest = SDP_HASH_SHA1;

	if (t->ufrag.n == 0 || t->pwd.n == 0)
		return sdp_refuse(error, line, "the section has no ice-ufrag or no ice-pwd");
	if (t->n_fingerprints == 0)
		return sdp_refuse(error, line, "the section has no fingerprint of a known hash");
	for (uint32_t i = 0; i < t->n_fingerprints; i++)
		if (t->fingerprints[i].hash > strongest)
			strongest = t->fingerprints[i].hash;
	if (strongest < SDP_HASH_SHA256)
		return sdp_refuse(error, t->fingerprint_line,
				  "the fingerprint's hash is weaker than sha-256");
	switch (t->setup) {
	case SDP_SETUP_ACTPASS: // RFC 8842 §5.3; passive lets us choose the SRTP profile
	case SDP_SETUP_ACTIVE:
		out->setup = SDP_SETUP_PASSIVE;
		break;
	case SDP_SETUP_PASSIVE:
		out->setup = SDP_SETUP_ACTIVE;
		break;
	default:
		return sdp_refuse(error, t->setup_line != 0 ? t->setup_line : line,
				  "setup must be actpass, active or passive");
	}
	out->transport = t;
	out->hash = strongest;
	return 0;
}

int sdp_bundle_check(const struct sdp_session *offer, struct sdp_negotiated *out,
		     struct sdp_error *error)
{
	if (offer->n_media == 0)
		return sdp_refuse(error, 0, "the offer has no media section");
	if (offer->has_ice_lite)
		return sdp_refuse(error, 0, "the offer is ice-lite, and so are we");
	if (offer->bundle_line == 0)
		return sdp_refuse(error, 0, "the offer has no BUNDLE group");
	out->is_mixed = true;
	for (uint32_t i = 0; i < offer->n_media; i++) {
		const struct sdp_media *m = &offer->media[i];
		int ret = check_section(offer, i, error);

		if (ret < 0)
			return ret;
		if (m->proto == SDP_PROTO_RTP && sdp_media_is_offered(m))
			out->is_mixed &= m->has_extmap_allow_mixed;
	}
	return 0;
}

int sdp_transport_keep(struct sdp_negotiated *out, struct sdp_error *error)
{
	const struct sdp_session *offer = out->offer;
	bool is_anything_kept = false;

	// RFC 9143 §7.3.1: the first section of the group that has a port and is taken speaks for all.
	for (uint32_t i = 0; i < offer->n_bundle; i++)
		for (uint32_t j = 0; j < out->n_media; j++) {
			const struct sdp_media *m = out->media[j].offered;

			if (out->media[j].use == SDP_USE_REJECTED ||
			    !sdp_text_equal(m->mid, offer->bundle[i]))
				continue;
			is_anything_kept = true;
			if (m->port != 0)
				return keep_transport(&m->transport, m->line, out, error);
		}
	if (is_anything_kept)
		return sdp_refuse(error, offer->bundle_line,
				  "all that can be taken is bundle-only, with what cannot");
	return sdp_refuse(error, 0, "no section of the offer can be taken");
}
