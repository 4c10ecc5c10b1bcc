// The streams of a publisher's section: simulcast by rid, or SSRCs (RFC 8851, 8853, 5576). Pure, any thread.
#include "controlplane/sfu/sdp/negotiate_private.h"

static bool has_room(const struct sdp_policy *policy, const struct sdp_kept_media *m)
{
	return m->n_layers < policy->layers_max && m->n_layers < SDP_LAYERS_MAX;
}

static const struct sdp_rid *find_rid(const struct sdp_media *offered, struct sdp_text id)
{
	for (uint32_t i = 0; i < offered->n_rids; i++)
		if (offered->rids[i].is_send && sdp_text_equal(offered->rids[i].id, id))
			return &offered->rids[i];
	return NULL;
}

// The kept codecs that may be in a stream of this rid, by index.
static uint16_t codecs_of(const struct sdp_kept_media *m, const struct sdp_rid *rid)
{
	uint16_t kept = 0;

	for (uint32_t i = 0; i < m->n_codecs; i++) {
		bool is_in = rid == NULL || rid->n_pts == 0;

		for (uint32_t j = 0; rid != NULL && j < rid->n_pts; j++)
			is_in |= rid->pts[j] == m->codecs[i].offered->pt;
		if (is_in)
			kept |= (uint16_t)(1u << i);
	}
	return kept;
}

static bool add_rid(struct sdp_kept_media *m, struct sdp_text id, bool is_paused)
{
	const struct sdp_rid *rid = find_rid(m->offered, id);
	uint16_t kept = rid != NULL ? codecs_of(m, rid) : 0;

	// RFC 8853 §5.2: a rid that is not there, or has no codec left, is none.
	if (kept == 0)
		return false;
	for (uint32_t i = 0; i < m->n_layers; i++)
		if (sdp_text_equal(m->layers[i].rid, id))
			return false;
	m->layers[m->n_layers++] =
		(struct sdp_layer){ .rid = id, .is_paused = is_paused, .pts_kept = kept };
	return true;
}

static void keep_rids(const struct sdp_policy *policy, struct sdp_kept_media *m)
{
	const struct sdp_simulcast *s = &m->offered->simulcast;

	for (uint32_t i = 0; i < s->n_send && has_room(policy, m); i++)
		for (uint32_t j = 0; j < s->send[i].n_alternatives; j++)
			if (add_rid(m, s->send[i].alternatives[j].rid,
				    s->send[i].alternatives[j].is_paused))
				break;
	m->is_simulcast = m->n_layers > 0;
	for (uint32_t i = 0; m->n_layers == 0 && i < m->offered->n_rids; i++)
		add_rid(m, m->offered->rids[i].id, false);
}

// The partner in an FID group of which `ssrc` is the first, or 0.
static uint32_t rtx_ssrc(const struct sdp_media *offered, uint32_t ssrc)
{
	for (uint32_t i = 0; i < offered->n_ssrc_groups; i++)
		if (sdp_text_is(offered->ssrc_groups[i].semantics, "FID") &&
		    offered->ssrc_groups[i].ssrcs[0] == ssrc)
			return offered->ssrc_groups[i].ssrcs[1];
	return 0;
}

static void add_ssrc(struct sdp_kept_media *m, uint32_t ssrc)
{
	m->layers[m->n_layers++] = (struct sdp_layer){
		.ssrc = ssrc,
		.rtx_ssrc = rtx_ssrc(m->offered, ssrc),
		.pts_kept = codecs_of(m, NULL),
	};
}

// Without rids: the SIM group in its order, else the first source.
static void keep_ssrcs(const struct sdp_policy *policy, struct sdp_kept_media *m)
{
	const struct sdp_media *offered = m->offered;

	for (uint32_t i = 0; i < offered->n_ssrc_groups && m->n_layers == 0; i++) {
		const struct sdp_ssrc_group *g = &offered->ssrc_groups[i];

		for (uint32_t j = 0; j < g->n_ssrcs && has_room(policy, m); j++)
			if (sdp_text_is(g->semantics, "SIM"))
				add_ssrc(m, g->ssrcs[j]);
	}
	if (m->n_layers == 0)
		add_ssrc(m, offered->n_ssrcs > 0 ? offered->ssrcs[0] : 0);
}

void sdp_layers_keep(const struct sdp_policy *policy, struct sdp_kept_media *m)
{
	// Rids are told by the header extension alone, once MID and RID have been mapped.
	if (sdp_kept_extension_id(m, SDP_EXT_RID) != 0)
		keep_rids(policy, m);
	if (m->n_layers == 0)
		keep_ssrcs(policy, m);
}
