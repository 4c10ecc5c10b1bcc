// Certificates that the benches' clients and servers sign themselves. Any thread.
#include "bench/own_certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static X509 *certificate_make(EVP_PKEY *key, const char *common_name)
{
	X509 *x = X509_new();
	X509_NAME *name;

	if (!x)
		return NULL;
	name = X509_get_subject_name(x);
	if (X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
	    X509_gmtime_adj(X509_getm_notAfter(x), 86400L * 30) &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common_name, -1,
				       -1, 0) == 1 &&
	    X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

bool own_certificate_use(SSL_CTX *context, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = key ? certificate_make(key, name) : NULL;
	bool ok = x && SSL_CTX_use_certificate(context, x) == 1 &&
		  SSL_CTX_use_PrivateKey(context, key) == 1;

	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}
