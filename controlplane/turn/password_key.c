// See password_key.h.
#include "controlplane/turn/password_key.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

static int digest_of_parts(const EVP_MD *md, const char *const part[], const size_t part_bytes[],
			   uint32_t n_parts, uint8_t *out)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int ret = -ENOMEM;

	if (context == NULL || EVP_DigestInit_ex(context, md, NULL) != 1)
		goto out;
	for (uint32_t i = 0; i < n_parts; i++) {
		if (i > 0 && EVP_DigestUpdate(context, ":", 1) != 1)
			goto out;
		if (EVP_DigestUpdate(context, part[i], part_bytes[i]) != 1)
			goto out;
	}
	if (EVP_DigestFinal_ex(context, out, NULL) == 1)
		ret = 0;
out:
	EVP_MD_CTX_free(context);
	return ret;
}

int turn_password_key(enum turn_password_algorithm algorithm, const char *name, size_t name_bytes,
		      const char *realm, const char *password, size_t password_bytes,
		      uint8_t key[TURN_KEY_BYTES_MAX])
{
	const char *const part[] = { name, realm, password };
	const size_t part_bytes[] = { name_bytes, strlen(realm), password_bytes };

	return digest_of_parts(algorithm == TURN_PASSWORD_SHA256 ? EVP_sha256() : EVP_md5(), part,
			       part_bytes, 3, key);
}

int turn_userhash(const char *name, size_t name_bytes, const char *realm, uint8_t out[32])
{
	const char *const part[] = { name, realm };
	const size_t part_bytes[] = { name_bytes, strlen(realm) };

	return digest_of_parts(EVP_sha256(), part, part_bytes, 2, out);
}
