// Makes a certificate with OpenSSL; X.509 as RFC 5280 has it. Control plane's loop thread; writes only its results.
#include "controlplane/signaling/certificate_make.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>

#define VALID_S (825l * 86400) // the longest that every browser takes

bool certificate_is_wildcard(const struct ip_address *a)
{
	static const uint8_t v4_any[4];

	if (ip_address_is_v4(a))
		return memcmp(ip_address_v4_bytes(a), v4_any, 4) == 0;
	for (int i = 0; i < 16; i++)
		if (a->bytes[i] != 0)
			return false;
	return true;
}

static bool add_name(GENERAL_NAMES *names, int type, const void *bytes, int n_bytes)
{
	ASN1_STRING *value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	GENERAL_NAME *name = GENERAL_NAME_new();

	if (name == NULL || value == NULL || ASN1_STRING_set(value, bytes, n_bytes) != 1) {
		ASN1_STRING_free(value);
		GENERAL_NAME_free(name);
		return false;
	}
	GENERAL_NAME_set0_value(name, type, value);
	if (sk_GENERAL_NAME_push(names, name) > 0)
		return true;
	GENERAL_NAME_free(name);
	return false;
}

static bool add_address(GENERAL_NAMES *names, const struct ip_address *a)
{
	if (ip_address_is_v4(a))
		return add_name(names, GEN_IPADD, ip_address_v4_bytes(a), 4);
	return add_name(names, GEN_IPADD, a->bytes, 16);
}

// Those of the interfaces in one family.
static bool add_host_addresses(GENERAL_NAMES *names, bool is_v4)
{
	struct ifaddrs *all = NULL;
	bool is_good = true;

	if (getifaddrs(&all) < 0)
		return true;
	for (const struct ifaddrs *i = all; i != NULL && is_good; i = i->ifa_next) {
		if (i->ifa_addr == NULL)
			continue;
		if (is_v4 && i->ifa_addr->sa_family == AF_INET)
			is_good = add_name(
				names, GEN_IPADD,
				&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr,
				4);
		if (!is_v4 && i->ifa_addr->sa_family == AF_INET6)
			is_good = add_name(names, GEN_IPADD,
					   &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)
						    ->sin6_addr,
					   16);
	}
	freeifaddrs(all);
	return is_good;
}

static bool add_names(X509 *certificate, const struct signaling_listener *listeners,
		      uint32_t n_listeners)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	char host[256] = "";
	bool is_good;

	if (names == NULL)
		return false;
	is_good = add_name(names, GEN_DNS, "localhost", 9);
	if (gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0')
		is_good = is_good && add_name(names, GEN_DNS, host, (int)strlen(host));
	for (uint32_t i = 0; i < n_listeners && is_good; i++) {
		const struct ip_address *a = &listeners[i].endpoint.address;

		if (!listeners[i].is_tls)
			continue;
		is_good = certificate_is_wildcard(a)
				  ? add_host_addresses(names, ip_address_is_v4(a))
				  : add_address(names, a);
	}
	is_good = is_good && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
	GENERAL_NAMES_free(names);
	return is_good;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool is_good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return is_good;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const struct signaling_listener *listeners,
		 uint32_t n_listeners)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	BIGNUM *serial = BN_new();
	bool is_good;

	is_good = serial != NULL &&
		  BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) != NULL &&
		  X509_set_version(certificate, X509_VERSION_3) == 1 &&
		  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) != NULL &&
		  X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) != NULL &&
		  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					     (const unsigned char *)"Turnpike", -1, -1, 0) == 1 &&
		  X509_set_issuer_name(certificate, name) == 1 &&
		  X509_set_pubkey(certificate, key) == 1 &&
		  add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
		  add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
		  add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
		  add_names(certificate, listeners, n_listeners) &&
		  X509_sign(certificate, key, EVP_sha256()) > 0;
	BN_free(serial);
	return is_good;
}

int certificate_make(const struct signaling_listener *listeners, uint32_t n_listeners,
		     EVP_PKEY **key, X509 **certificate)
{
	*key = EVP_EC_gen("P-256");
	*certificate = X509_new();
	if (*key != NULL && *certificate != NULL &&
	    fill(*certificate, *key, listeners, n_listeners))
		return 0;
	X509_free(*certificate);
	EVP_PKEY_free(*key);
	*certificate = NULL;
	*key = NULL;
	return -ENOMEM;
}
