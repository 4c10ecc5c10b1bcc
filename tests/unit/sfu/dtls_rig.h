// A session of ours against an OpenSSL endpoint: the rig carries, drops or repeats the datagrams in between.
#ifndef TP_TESTS_DTLS_RIG_H
#define TP_TESTS_DTLS_RIG_H

#include <criterion/criterion.h>

#include "controlplane/sfu/dtls.h"
#include "tests/dtls/peer.h"

#define RIG_DATAGRAM_BYTES_MAX 4096
#define RIG_QUEUE_MAX          256

struct rig_datagram {
	size_t n_bytes;
	uint8_t bytes[RIG_DATAGRAM_BYTES_MAX];
};

struct dtls_rig {
	char state_dir[64];
	struct dtls_context *context;
	struct dtls_session *session;
	enum dtls_role role; // ours

	struct dtls_peer peer;
	bool has_peer_failed;
	uint8_t peer_data[4096];
	int n_peer_data_bytes;

	struct rig_datagram to_peer[RIG_QUEUE_MAX]; // sent by us, not yet carried
	uint32_t n_to_peer;
	size_t longest_to_peer_bytes;

	// Faults, by the number of the datagram among those of both directions.
	bool (*is_lost)(const struct dtls_rig *rig, uint32_t datagram_idx);
	uint32_t fault_idx;
	bool repeats_all;
	uint32_t n_carried;
	uint32_t n_from_peer;

	uint32_t n_keys;
	struct dtls_keys keys;
	uint8_t data[4096];
	size_t n_data_bytes;
	uint32_t n_closed;
	enum dtls_close_reason closed;
};

// `profiles`: what the peer offers or accepts, NULL for none.
void dtls_rig_open(struct dtls_rig *rig, enum dtls_role role, const char *profiles);
void dtls_rig_close(struct dtls_rig *rig);
// The fingerprint of the peer's certificate.
struct sdp_fingerprint dtls_rig_fingerprint(struct dtls_rig *rig, enum sdp_hash hash);
// Makes the session, expecting these; NULL: the peer's SHA-256.
void dtls_rig_session(struct dtls_rig *rig, const struct sdp_fingerprint *fingerprints, uint32_t n);
// Carries datagrams and runs timers until both are connected, one side gave up, or `budget_ms` are over.
// True if both are connected.
bool dtls_rig_handshake(struct dtls_rig *rig, uint32_t budget_ms);
// Carries what there is, without waiting for timers.
void dtls_rig_carry(struct dtls_rig *rig);
// Asserts that what the peer exports is what we were told.
void dtls_rig_keys_agree(struct dtls_rig *rig);

#endif
