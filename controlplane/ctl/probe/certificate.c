// What TLS or DTLS agreed upon, and the certificate: chain, names, days left. See probe.h.
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "controlplane/ctl/probe/probe.h"

#define DAYS_SOON 21

static const char *chain_remedy(long error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "renew the certificate and reload the server";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "check the clocks here and where the certificate was made";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "clients will refuse it: use a certificate of a public authority, or give "
		       "the "
		       "authority's own with --ca FILE";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "the server must send the intermediate certificates too (fullchain.pem), or "
		       "give the authority's own with --ca FILE";
	default:
		return "make a new certificate";
	}
}

// The names that the certificate is for, as "a, b".
static void list_names(X509 *certificate, char *out, size_t out_bytes)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names) && n < out_bytes; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS) {
			n += (size_t)snprintf(out + n, out_bytes - n, "%s%.*s", n ? ", " : "",
					      ASN1_STRING_length(name->d.dNSName),
					      ASN1_STRING_get0_data(name->d.dNSName));
		} else if (name->type == GEN_IPADD) {
			int bytes = ASN1_STRING_length(name->d.iPAddress);
			const uint8_t *at = ASN1_STRING_get0_data(name->d.iPAddress);
			struct ip_address a;
			char text[IP_ENDPOINT_TEXT_MAX];

			if (bytes != 4 && bytes != 16)
				continue;
			a = bytes == 4 ? ip_address_from_v4(at) : ip_address_from_v6(at);
			n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", n ? ", " : "",
					      ip_address_format(&a, text, sizeof(text)));
		}
	}
	GENERAL_NAMES_free(names);
}

static void check_name(struct probe *p, X509 *certificate)
{
	char names[300];
	bool fits = p->url.is_numeric ? X509_check_ip_asc(certificate, p->url.host, 0) == 1
				      : X509_check_host(certificate, p->url.host, 0, 0, NULL) == 1;
	json_t *values;

	list_names(certificate, names, sizeof(names));
	values = json_pack("{s:s}", "names", names);
	if (fits)
		probe_ok(&p->report, "tls name", values, "the certificate is for %s", p->url.host);
	else
		probe_failed(&p->report, "tls name", values,
			     "use a name of the certificate in the URL, or make one for this name",
			     "the certificate is not for %s, but for: %s", p->url.host,
			     *names ? names : "nobody");
}

static void check_dates(struct probe *p, X509 *certificate)
{
	int days = 0, seconds = 0;
	json_t *values;

	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
		return;
	values = json_pack("{s:i}", "days_left", days);
	if (days < 0 || seconds < 0)
		probe_failed(&p->report, "tls expiry", values,
			     "renew the certificate and reload the server",
			     "the certificate expired %d days ago", -days);
	else if (days < DAYS_SOON)
		probe_note(&p->report, "tls expiry", values,
			   "the certificate expires in %d days: renew it soon", days);
	else
		probe_ok(&p->report, "tls expiry", values, "%d days left", days);
}

void probe_certificate(struct probe *p, const struct probe_link *l)
{
	X509 *certificate = SSL_get1_peer_certificate(l->ssl);
	long error = SSL_get_verify_result(l->ssl);
	const unsigned char *alpn;
	unsigned alpn_bytes;
	char issuer[200] = "";

	SSL_get0_alpn_selected(l->ssl, &alpn, &alpn_bytes);
	probe_ok(&p->report, "tls",
		 json_pack("{s:s, s:s, s:s%}", "version", SSL_get_version(l->ssl), "cipher",
			   SSL_get_cipher(l->ssl), "alpn", alpn ? (const char *)alpn : "",
			   (size_t)alpn_bytes),
		 "%s, %s, ALPN %.*s", SSL_get_version(l->ssl), SSL_get_cipher(l->ssl),
		 alpn_bytes ? (int)alpn_bytes : 4, alpn_bytes ? (const char *)alpn : "none");
	if (!certificate) {
		probe_failed(&p->report, "tls chain", NULL, "configure a certificate",
			     "the server shows no certificate");
		return;
	}
	X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof(issuer));
	if (error == X509_V_OK)
		probe_ok(&p->report, "tls chain", json_pack("{s:s}", "issuer", issuer),
			 "trusted, issued by %s", issuer);
	else
		probe_failed(&p->report, "tls chain", json_pack("{s:s}", "issuer", issuer),
			     chain_remedy(error), "not trusted: %s (issued by %s)",
			     X509_verify_cert_error_string(error), issuer);
	check_name(p, certificate);
	check_dates(p, certificate);
	X509_free(certificate);
}
