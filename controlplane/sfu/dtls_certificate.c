// Making, storing and reading the DTLS certificate. Start of the control plane, one thread.
#include "controlplane/sfu/dtls_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALID_S     (365l * 86400)
#define RENEW_S     (30l * 86400)
#define BACKDATED_S 86400l // peers with a slow clock

static bool is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0;
}

static bool is_usable(EVP_PKEY *key, X509 *certificate)
{
	time_t renew_at = time(NULL) + RENEW_S;

	return EVP_PKEY_is_a(key, "EC") && X509_check_private_key(certificate, key) == 1 &&
	       X509_cmp_time(X509_get0_notAfter(certificate), &renew_at) > 0;
}

// A PEM that asks for a passphrase is refused rather than asked for on the terminal.
static int no_passphrase(char *buf, int size, int is_write, void *context)
{
	return -1;
}

static int read_stored(const char *path, EVP_PKEY **key, X509 **certificate)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *file;

	if (fd < 0)
		return -errno;
	file = is_private(fd) ? fdopen(fd, "r") : NULL;
	if (file == NULL) {
		close(fd);
		return -EPERM;
	}
	*key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	*certificate = PEM_read_X509(file, NULL, no_passphrase, NULL);
	fclose(file);
	if (*key != NULL && *certificate != NULL && is_usable(*key, *certificate))
		return 0;
	EVP_PKEY_free(*key);
	X509_free(*certificate);
	*key = NULL;
	*certificate = NULL;
	return -EINVAL;
}

static X509 *self_sign(EVP_PKEY *key)
{
	X509 *c = X509_new();
	BIGNUM *serial = BN_new();
	X509_NAME *name;

	// The name tells nothing; peers look at the fingerprint alone.
	if (c == NULL || serial == NULL || X509_set_version(c, X509_VERSION_3) != 1 ||
	    BN_rand(serial, 63, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) != 1 ||
	    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(c)) == NULL ||
	    X509_gmtime_adj(X509_getm_notBefore(c), -BACKDATED_S) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(c), VALID_S) == NULL ||
	    X509_set_pubkey(c, key) != 1 || (name = X509_get_subject_name(c)) == NULL ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"turnpike", -1,
				       -1, 0) != 1 ||
	    X509_set_issuer_name(c, name) != 1 || X509_sign(c, key, EVP_sha256()) == 0) {
		X509_free(c);
		c = NULL;
	}
	BN_free(serial);
	return c;
}

// A file of its own renamed into place: what is read is whole, also after a crash in between.
static int store(const char *path, EVP_PKEY *key, X509 *certificate)
{
	char draft[PATH_MAX];
	FILE *file;
	int ret;
	int fd;

	if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft))
		return -ENAMETOOLONG;
	if (unlink(draft) < 0 && errno != ENOENT)
		return -errno;
	fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (file == NULL) {
		ret = -errno;
		close(fd);
		goto fail_unlink;
	}
	ret = -EIO;
	if (PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_X509(file, certificate) != 1 || fflush(file) != 0 || fsync(fd) < 0)
		goto fail_close;
	fclose(file);
	if (rename(draft, path) == 0)
		return 0;
	ret = -errno;
	goto fail_unlink;

fail_close:
	fclose(file);
fail_unlink:
	unlink(draft);
	return ret;
}

int dtls_certificate_load(const char *state_dir, EVP_PKEY **key, X509 **certificate, bool *is_new)
{
	char path[PATH_MAX];
	int ret;

	*key = NULL;
	*certificate = NULL;
	*is_new = false;
	if (snprintf(path, sizeof(path), "%s/" DTLS_CERTIFICATE_FILE, state_dir) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	if (read_stored(path, key, certificate) == 0)
		return 0;
	*key = EVP_EC_gen("P-256");
	if (*key != NULL)
		*certificate = self_sign(*key);
	ret = *certificate != NULL ? store(path, *key, *certificate) : -EIO;
	if (ret < 0) {
		EVP_PKEY_free(*key);
		X509_free(*certificate);
		*key = NULL;
		*certificate = NULL;
		return ret;
	}
	*is_new = true;
	return 0;
}
