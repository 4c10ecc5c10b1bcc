// ICE and DTLS attributes (RFC 8839, 8122, 4145) and candidates. Pure, any thread.
#include "controlplane/sfu/sdp/parser.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int sdp_parse_ice_ufrag(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_transport *t = p->transport;

	// RFC 8839 §5.4: at least 24 bits, which is 4 characters.
	if (!sdp_text_is_ice(value) || value.n < 4 || value.n > 256)
		return SDP_REFUSE(p, "ice-ufrag is not 4 to 256 ice-chars");
	t->ufrag = value;
	t->ufrag_line = p->line;
	return 0;
}

int sdp_parse_ice_pwd(struct sdp_parser *p, struct sdp_text value)
{
	// At least 128 bits, which is 22 characters.
	if (!sdp_text_is_ice(value) || value.n < 22 || value.n > 256)
		return SDP_REFUSE(p, "ice-pwd is not 22 to 256 ice-chars");
	p->transport->pwd = value;
	return 0;
}

int sdp_parse_ice_options(struct sdp_parser *p, struct sdp_text value)
{
	if (value.n == 0)
		return SDP_REFUSE(p, "ice-options lists nothing");
	while (value.n > 0)
		if (sdp_text_is(sdp_text_cut(&value, ' '), "trickle"))
			p->transport->has_trickle = true;
	return 0;
}

// a=fingerprint:<hash> <hex>:<hex>… (RFC 8122 §5)
int sdp_parse_fingerprint(struct sdp_parser *p, struct sdp_text value)
{
	static const struct {
		const char *name;
		uint8_t n_bytes;
	} hashes[SDP_HASH_COUNT] = {
		{ "sha-1", 20 },   { "sha-224", 28 }, { "sha-256", 32 },
		{ "sha-384", 48 }, { "sha-512", 64 },
	};
	struct sdp_transport *t = p->transport;
	struct sdp_text name = sdp_text_cut(&value, ' ');
	struct sdp_fingerprint f = { 0 };

	if (!sdp_text_is_token(name) || value.n == 0)
		return SDP_REFUSE(p, "fingerprint has no hash or no value");
	while (!sdp_text_is_nocase(name, hashes[f.hash].name))
		if (++f.hash == SDP_HASH_COUNT) // another hash: left out
			return 0;
	f.n_bytes = hashes[f.hash].n_bytes;
	if (value.n != f.n_bytes * 3u - 1)
		return SDP_REFUSE(p, "fingerprint has not the %u bytes of %s", f.n_bytes,
				  hashes[f.hash].name);
	for (uint32_t i = 0; i < f.n_bytes; i++) {
		int high = sdp_hex_digit(value.at[3 * i]);
		int low = sdp_hex_digit(value.at[3 * i + 1]);

		if (high < 0 || low < 0 || (i + 1 < f.n_bytes && value.at[3 * i + 2] != ':'))
			return SDP_REFUSE(p, "fingerprint is not hexadecimal");
		f.bytes[i] = (uint8_t)(high << 4 | low);
	}
	if (t->n_fingerprints == SDP_FINGERPRINTS_MAX)
		return SDP_REFUSE(p, "more than %d fingerprints", SDP_FINGERPRINTS_MAX);
	t->fingerprints[t->n_fingerprints++] = f;
	t->fingerprint_line = p->line;
	return 0;
}

int sdp_parse_setup(struct sdp_parser *p, struct sdp_text value)
{
	static const char *const names[SDP_SETUP_COUNT] = { "", "actpass", "active", "passive",
							    "holdconn" };
	struct sdp_transport *t = p->transport;

	t->setup_line = p->line;
	for (uint32_t i = SDP_SETUP_ACTPASS; i < SDP_SETUP_COUNT; i++)
		if (sdp_text_is(value, names[i])) {
			t->setup = (enum sdp_setup)i;
			return 0;
		}
	return SDP_REFUSE(p, "setup is none of actpass, active, passive, holdconn");
}

// A name is kept out of ICE, but it must be one: an address that cannot be read is refused.
static bool is_host_name(struct sdp_text text)
{
	bool has_letter = false;

	for (uint32_t i = 0; i < text.n; i++) {
		char c = text.at[i];
		bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		has_letter |= is_letter;
		if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_')
			return false;
	}
	return has_letter && text.n <= 255;
}

static bool read_address(struct sdp_text word, struct sdp_candidate *out)
{
	char text[INET6_ADDRSTRLEN];

	if (word.n > 0 && word.n < sizeof(text)) {
		memcpy(text, word.at, word.n);
		text[word.n] = '\0';
		if (ip_address_parse(text, &out->endpoint.address) == 0)
			return true;
	}
	out->is_name = true;
	return is_host_name(word);
}

int sdp_candidate_read(struct sdp_text value, uint32_t line, struct sdp_candidate *out,
		       struct sdp_error *error)
{
	struct sdp_text word;
	uint64_t number;

	*out = (struct sdp_candidate){ .foundation = sdp_text_cut(&value, ' ') };
	if (!sdp_text_is_ice(out->foundation) || out->foundation.n > 32)
		return sdp_refuse(error, line,
				  "the candidate's foundation is not 1 to 32 ice-chars");
	if (!sdp_text_number(sdp_text_cut(&value, ' '), 1, 256, &number))
		return sdp_refuse(error, line, "the candidate's component is not from 1 to 256");
	out->component = (uint16_t)number;
	word = sdp_text_cut(&value, ' ');
	if (!sdp_text_is_token(word))
		return sdp_refuse(error, line, "the candidate has no transport");
	out->is_udp = sdp_text_is_nocase(word, "udp");
	if (!sdp_text_number(sdp_text_cut(&value, ' '), 0, UINT32_MAX, &number))
		return sdp_refuse(error, line, "the candidate has no priority");
	out->priority = (uint32_t)number;
	word = sdp_text_cut(&value, ' ');
	if (!read_address(word, out))
		return sdp_refuse(error, line, "the candidate's address cannot be read");
	if (!sdp_text_number(sdp_text_cut(&value, ' '), 0, UINT16_MAX, &number))
		return sdp_refuse(error, line, "the candidate's port is not from 0 to 65535");
	out->endpoint.port_be = htons((uint16_t)number);
	if (!sdp_text_is(sdp_text_cut(&value, ' '), "typ"))
		return sdp_refuse(error, line, "\"typ\" does not follow the candidate's port");
	out->type = sdp_text_cut(&value, ' ');
	if (!sdp_text_is_token(out->type))
		return sdp_refuse(error, line, "the candidate has no type");
	while (value.n > 0) { // raddr, rport and extensions: pairs of a name and a value
		word = sdp_text_cut(&value, ' ');
		if (word.n == 0 || value.n == 0)
			return sdp_refuse(error, line,
					  "the candidate's extensions are not pairs of words");
		if (sdp_text_is(word, "ufrag")) {
			out->ufrag = sdp_text_cut(&value, ' ');
			if (!sdp_text_is_ice(out->ufrag))
				return sdp_refuse(error, line,
						  "the candidate's ufrag is not ice-chars");
		} else {
			sdp_text_cut(&value, ' ');
		}
	}
	return 0;
}

int sdp_parse_candidate(struct sdp_parser *p, struct sdp_text value)
{
	struct sdp_media *m = p->media;
	struct sdp_candidate c;
	int ret = sdp_candidate_read(value, p->line, &c, p->error);

	if (ret == 0 && m->n_candidates < SDP_CANDIDATES_MAX)
		m->candidates[m->n_candidates++] = c;
	return ret;
}
