// SRTP keys out of a DTLS handshake (RFC 5764 §4.2). The control plane's loop thread; the caller wipes what it
// gets.
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "controlplane/sfu/dtls_private.h"

#define EXPORTER "EXTRACTOR-dtls_srtp"

int dtls_keys_export(SSL *ssl, enum dtls_role role, struct dtls_keys *out)
{
	const SRTP_PROTECTION_PROFILE *agreed = SSL_get_selected_srtp_profile(ssl);
	uint8_t material[2 * (DP_SRTP_KEY_BYTES_MAX + DP_SRTP_SALT_BYTES_MAX)];
	const struct dp_srtp_profile_info *info;
	const uint8_t *client_key;
	const uint8_t *server_key;
	const uint8_t *client_salt;
	const uint8_t *server_salt;
	bool is_server = role == DTLS_ROLE_SERVER;

	memset(out, 0, sizeof(*out));
	if (agreed == NULL)
		return 0;
	out->profile = (uint8_t)dp_srtp_profile_by_dtls_id((uint16_t)agreed->id);
	info = dp_srtp_profile_info(out->profile);
	if (info == NULL)
		return -EIO;
	if (SSL_export_keying_material(ssl, material,
				       2 * ((size_t)info->key_bytes + info->salt_bytes), EXPORTER,
				       sizeof(EXPORTER) - 1, NULL, 0, 0) != 1)
		return -EIO;
	client_key = material;
	server_key = client_key + info->key_bytes;
	client_salt = server_key + info->key_bytes;
	server_salt = client_salt + info->salt_bytes;
	memcpy(out->rx_key, is_server ? client_key : server_key, info->key_bytes);
	memcpy(out->tx_key, is_server ? server_key : client_key, info->key_bytes);
	memcpy(out->rx_salt, is_server ? client_salt : server_salt, info->salt_bytes);
	memcpy(out->tx_salt, is_server ? server_salt : client_salt, info->salt_bytes);
	OPENSSL_cleanse(material, sizeof(material));
	return 0;
}
