// ICE passwords and SRTP keys. A record is void while it is changed: its serial goes to 0 before and comes back behind the last
// store. Control plane's loop thread; writes `srtp`, and the ufrags in `sfu`.
#include <openssl/crypto.h>
#include <string.h>

#include "controlplane/table_writer_sfu_private.h"

static struct shm_srtp_keys *record(const struct table_writer *w, uint32_t transport_idx)
{
	return shm_srtp_record(w->srtp_segment.base, transport_idx);
}

static void change_begin(uint32_t *serial)
{
	__atomic_store_n(serial, 0, __ATOMIC_RELAXED);
	// No later store is seen before.
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static uint8_t put_text(char *out, size_t out_bytes, const char *text)
{
	size_t n = strnlen(text, out_bytes);

	memset(out, 0, out_bytes);
	memcpy(out, text, n);
	return (uint8_t)n;
}

void table_writer_ice_set(struct table_writer *w, uint32_t transport_idx, uint32_t serial,
			  const char *pwd)
{
	struct shm_srtp_keys *k = record(w, transport_idx);

	change_begin(&k->ice_serial);
	change_begin(&k->srtp_serial);
	k->srtp_generation = 0;
	k->ice_version++;
	k->ice_pwd_bytes = put_text(k->ice_pwd, sizeof(k->ice_pwd), pwd);
	k->old_ice_pwd_bytes = k->old_ufrag_bytes = 0;
	__atomic_store_n(&k->ice_serial, serial, __ATOMIC_RELEASE);
}

void table_writer_keys_wipe(struct table_writer *w, uint32_t transport_idx)
{
	struct shm_srtp_keys *k = record(w, transport_idx);
	uint32_t version = k->ice_version;

	change_begin(&k->ice_serial);
	change_begin(&k->srtp_serial);
	OPENSSL_cleanse(k, sizeof(*k));
	// Goes on counting: a reader in the middle of its copy sees that something changed.
	__atomic_store_n(&k->ice_version, version + 1, __ATOMIC_RELEASE);
}

void table_writer_ice_restart(struct table_writer *w, uint32_t transport_idx, const char *ufrag,
			      const char *pwd)
{
	struct shm_srtp_keys *k = record(w, transport_idx);
	struct shm_sfu_transport *t = &w->sfu->transport[transport_idx];

	change_begin(&k->ice_serial);
	memset(k->old_ufrag, 0, sizeof(k->old_ufrag));
	memcpy(k->old_ufrag, t->ufrag, sizeof(t->ufrag));
	k->old_ufrag_bytes = t->ufrag_bytes;
	memcpy(k->old_ice_pwd, k->ice_pwd, sizeof(k->old_ice_pwd));
	k->old_ice_pwd_bytes = k->ice_pwd_bytes;
	k->ice_pwd_bytes = put_text(k->ice_pwd, sizeof(k->ice_pwd), pwd);
	t->ufrag_bytes = put_text(t->ufrag, sizeof(t->ufrag), ufrag);
	__atomic_store_n(&t->is_ice_restarted, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&k->ice_version, k->ice_version + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&k->ice_serial, t->serial, __ATOMIC_RELEASE);
}

void table_writer_ice_settle(struct table_writer *w, uint32_t transport_idx)
{
	struct shm_srtp_keys *k = record(w, transport_idx);
	struct shm_sfu_transport *t = &w->sfu->transport[transport_idx];

	if (!t->is_ice_restarted)
		return;
	change_begin(&k->ice_serial);
	OPENSSL_cleanse(k->old_ice_pwd, sizeof(k->old_ice_pwd));
	memset(k->old_ufrag, 0, sizeof(k->old_ufrag));
	k->old_ice_pwd_bytes = k->old_ufrag_bytes = 0;
	__atomic_store_n(&t->is_ice_restarted, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&k->ice_version, k->ice_version + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&k->ice_serial, t->serial, __ATOMIC_RELEASE);
}

void table_writer_srtp_set(struct table_writer *w, uint32_t transport_idx,
			   const struct table_writer_srtp *keys)
{
	struct shm_srtp_keys *k = record(w, transport_idx);

	change_begin(&k->srtp_serial);
	memset(k->rx_key, 0, sizeof(k->rx_key));
	memset(k->tx_key, 0, sizeof(k->tx_key));
	memset(k->rx_salt, 0, sizeof(k->rx_salt));
	memset(k->tx_salt, 0, sizeof(k->tx_salt));
	memcpy(k->rx_key, keys->rx_key, keys->key_bytes);
	memcpy(k->tx_key, keys->tx_key, keys->key_bytes);
	memcpy(k->rx_salt, keys->rx_salt, keys->salt_bytes);
	memcpy(k->tx_salt, keys->tx_salt, keys->salt_bytes);
	k->profile = keys->profile;
	__atomic_store_n(&k->srtp_generation, k->srtp_generation + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&k->srtp_serial, w->sfu->transport[transport_idx].serial,
			 __ATOMIC_RELEASE);
}

uint32_t table_writer_srtp_generation(const struct table_writer *w, uint32_t transport_idx)
{
	const struct shm_srtp_keys *k = record(w, transport_idx);

	return k->srtp_serial != 0 && k->srtp_serial == w->sfu->transport[transport_idx].serial
		       ? k->srtp_generation
		       : 0;
}
