// The certificate on disk: kept, private, replaced when it may not be used.
#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/sfu/dtls.h"
#include "controlplane/sfu/dtls_certificate.h"

static char dir[64];
static char path[128];

static void dir_make(void)
{
	strcpy(dir, "/tmp/turnpike-dtls-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/" DTLS_CERTIFICATE_FILE, dir);
}

static void dir_remove(void)
{
	unlink(path);
	rmdir(dir);
}

TestSuite(dtls_certificate, .init = dir_make, .fini = dir_remove);

static bool load(uint8_t fingerprint[DTLS_SHA256_BYTES])
{
	X509 *certificate;
	unsigned int n;
	EVP_PKEY *key;
	char group[32];
	bool is_new;

	cr_assert_eq(dtls_certificate_load(dir, &key, &certificate, &is_new), 0);
	cr_assert_eq(X509_check_private_key(certificate, key), 1);
	cr_assert_eq(EVP_PKEY_get_group_name(key, group, sizeof(group), NULL), 1);
	cr_assert_str_eq(group, "prime256v1");
	X509_digest(certificate, EVP_sha256(), fingerprint, &n);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return is_new;
}

static void is_replaced(const uint8_t old[DTLS_SHA256_BYTES])
{
	uint8_t fingerprint[DTLS_SHA256_BYTES];
	struct stat st;

	cr_assert(load(fingerprint));
	cr_assert_neq(memcmp(fingerprint, old, DTLS_SHA256_BYTES), 0);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(dtls_certificate, is_kept_across_restarts_and_private)
{
	uint8_t first[DTLS_SHA256_BYTES];
	uint8_t again[DTLS_SHA256_BYTES];
	struct dtls_context *c;
	struct stat st;

	umask(0);
	cr_assert(load(first));
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_not(load(again));
	cr_assert_eq(memcmp(first, again, sizeof(first)), 0);
	cr_assert_eq(dtls_context_new(dir, &c), 0);
	cr_assert_eq(memcmp(dtls_context_fingerprint(c), first, sizeof(first)), 0);
	dtls_context_free(c);
}

Test(dtls_certificate, what_others_may_read_is_replaced)
{
	uint8_t first[DTLS_SHA256_BYTES];

	cr_assert(load(first));
	cr_assert_eq(chmod(path, 0640), 0);
	is_replaced(first);
}

Test(dtls_certificate, what_is_broken_is_replaced)
{
	uint8_t first[DTLS_SHA256_BYTES];

	cr_assert(load(first));
	cr_assert_eq(truncate(path, 100), 0);
	is_replaced(first);
}

Test(dtls_certificate, what_expires_soon_is_replaced)
{
	uint8_t first[DTLS_SHA256_BYTES];
	X509 *certificate;
	EVP_PKEY *key;
	bool is_new;
	FILE *file;

	cr_assert_eq(dtls_certificate_load(dir, &key, &certificate, &is_new), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 29l * 86400);
	X509_sign(certificate, key, EVP_sha256());
	X509_digest(certificate, EVP_sha256(), first, NULL);
	file = fopen(path, "w");
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	PEM_write_X509(file, certificate);
	fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
	is_replaced(first);
}

Test(dtls_certificate, a_link_is_not_followed)
{
	char target[160];
	uint8_t first[DTLS_SHA256_BYTES];

	cr_assert(load(first));
	snprintf(target, sizeof(target), "%s.moved", path);
	cr_assert_eq(rename(path, target), 0);
	cr_assert_eq(symlink(target, path), 0);
	is_replaced(first);
	unlink(target);
}

Test(dtls_certificate, no_such_directory)
{
	X509 *certificate;
	EVP_PKEY *key;
	bool is_new;

	cr_assert_eq(dtls_certificate_load("/nonexistent", &key, &certificate, &is_new), -ENOENT);
	cr_assert_null(key);
	cr_assert_null(certificate);
}
