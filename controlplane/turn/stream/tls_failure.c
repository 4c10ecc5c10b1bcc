// Why TLS failed, in words that an operator can act on. Any thread.
#include <openssl/err.h>

#include "controlplane/turn/stream/connection.h"

enum turn_tls_failure turn_tls_failure_of(unsigned long openssl_error)
{
	if (ERR_GET_LIB(openssl_error) != ERR_LIB_SSL)
		return TURN_TLS_FAILURE_OTHER;
	switch (ERR_GET_REASON(openssl_error)) {
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_WRONG_VERSION_NUMBER: // of the record's header: OpenSSL says it of anything else too
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_RECORD_LENGTH_MISMATCH:
		return TURN_TLS_FAILURE_NOT_TLS;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_UNKNOWN_PROTOCOL:
		return TURN_TLS_FAILURE_VERSION;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_GROUPS:
		return TURN_TLS_FAILURE_CIPHER;
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
		return TURN_TLS_FAILURE_CERTIFICATE;
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
	case SSL_R_DATA_LENGTH_TOO_LONG:
	case SSL_R_BAD_RECORD_TYPE:
		return TURN_TLS_FAILURE_RECORD;
	default:
		// Reasons from 1000 on are alerts of the other side.
		return ERR_GET_REASON(openssl_error) >= SSL_AD_REASON_OFFSET
			       ? TURN_TLS_FAILURE_ALERT
			       : TURN_TLS_FAILURE_OTHER;
	}
}

const char *turn_tls_failure_name(enum turn_tls_failure f)
{
	static const char *const names[TURN_TLS_FAILURE_COUNT] = {
		[TURN_TLS_FAILURE_NOT_TLS] = "not_tls",
		[TURN_TLS_FAILURE_VERSION] = "no_common_version",
		[TURN_TLS_FAILURE_CIPHER] = "no_common_cipher",
		[TURN_TLS_FAILURE_CERTIFICATE] = "certificate_refused",
		[TURN_TLS_FAILURE_ALERT] = "client_alert",
		[TURN_TLS_FAILURE_RECORD] = "bad_record",
		[TURN_TLS_FAILURE_OTHER] = "other",
	};

	return f < TURN_TLS_FAILURE_COUNT ? names[f] : "unknown";
}
