// Key derivation with OpenSSL's AES-CTR. Any thread.
#include "dataplane/srtp/derive.h"

#include <errno.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { LABEL_RTP_KEY, LABEL_RTP_AUTH, LABEL_RTP_SALT, LABELS_PER_KIND };

int dp_srtp_derive(const uint8_t *master_key, uint32_t key_bytes, const uint8_t *master_salt,
		   uint32_t salt_bytes, uint8_t label, uint8_t *out, uint32_t n_bytes)
{
	const EVP_CIPHER *cipher = key_bytes == 16   ? EVP_aes_128_ctr()
				   : key_bytes == 32 ? EVP_aes_256_ctr()
						     : NULL;
	EVP_CIPHER_CTX *ctx;
	uint8_t iv[16] = { 0 };
	int n;
	int ret = -EIO;

	if (cipher == NULL || salt_bytes > DP_SRTP_SALT_BYTES_MAX)
		return -EINVAL;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		return -ENOMEM;
	// x = key_id XOR master_salt, where key_id = label || r and r, of 48 bits, is 0.
	memcpy(iv, master_salt, salt_bytes);
	iv[7] ^= label;
	memset(out, 0, n_bytes);
	if (EVP_EncryptInit_ex(ctx, cipher, NULL, master_key, iv) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &n, out, (int)n_bytes) == 1)
		ret = 0;
	EVP_CIPHER_CTX_free(ctx);
	OPENSSL_cleanse(iv, sizeof(iv));
	return ret;
}

static int derive_set(const struct dp_srtp_profile_info *info, const uint8_t *master_key,
		      const uint8_t *master_salt, uint8_t first_label,
		      struct dp_srtp_session_keys *out)
{
	int ret;

	memset(out, 0, sizeof(*out));
	ret = dp_srtp_derive(master_key, info->key_bytes, master_salt, info->salt_bytes,
			     first_label + LABEL_RTP_KEY, out->key, info->key_bytes);
	if (ret == 0 && info->auth_key_bytes > 0)
		ret = dp_srtp_derive(master_key, info->key_bytes, master_salt, info->salt_bytes,
				     first_label + LABEL_RTP_AUTH, out->auth_key,
				     info->auth_key_bytes);
	if (ret == 0)
		ret = dp_srtp_derive(master_key, info->key_bytes, master_salt, info->salt_bytes,
				     first_label + LABEL_RTP_SALT, out->salt, info->salt_bytes);
	return ret;
}

int dp_srtp_derive_session(uint32_t profile, const uint8_t *master_key, const uint8_t *master_salt,
			   struct dp_srtp_session_keys *rtp, struct dp_srtp_session_keys *rtcp)
{
	const struct dp_srtp_profile_info *info = dp_srtp_profile_info(profile);
	int ret;

	if (info == NULL)
		return -EINVAL;
	ret = derive_set(info, master_key, master_salt, 0, rtp);
	if (ret == 0)
		ret = derive_set(info, master_key, master_salt, LABELS_PER_KIND, rtcp);
	if (ret < 0) {
		OPENSSL_cleanse(rtp, sizeof(*rtp));
		OPENSSL_cleanse(rtcp, sizeof(*rtcp));
	}
	return ret;
}
