// Mobility tickets (RFC 8016). A ticket names an allocation and is sealed, so that nobody else makes or
// reads one; which of the allocation's tickets counts says mobility_serial in its record. The key
// comes from the nonces' secret: it is a fleet's, or lives as long as the tables do. Control plane's
// loop thread.
//
// ticket: 12 bytes of IV, sealed{ be16 node, be32 slot, be32 serial, be32 mobility serial }, 16 bytes of tag
#include "controlplane/turn/mobility.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

#include "controlplane/turn/state.h"

#define IV_BYTES    12
#define PLAIN_BYTES 14
#define TAG_BYTES   16

static_assert(IV_BYTES + PLAIN_BYTES + TAG_BYTES == TURN_TICKET_BYTES, "no padding");

void turn_mobility_set_secret(struct turn_mobility *m, const uint8_t secret[16])
{
	static const uint8_t label[] = "turnpike mobility ticket";
	uint8_t key[TURN_TICKET_KEY_BYTES];
	unsigned int key_bytes = sizeof(key);

	if (HMAC(EVP_sha256(), secret, 16, label, sizeof(label) - 1, key, &key_bytes) == NULL)
		return;
	if (CRYPTO_memcmp(m->key, key, sizeof(key)) != 0) {
		// Tickets that are out go on opening.
		memcpy(m->old_key, m->key, sizeof(m->key));
		memcpy(m->key, key, sizeof(key));
	}
	OPENSSL_cleanse(key, sizeof(key));
}

void turn_mobility_wipe(struct turn_mobility *m)
{
	OPENSSL_cleanse(m, sizeof(*m));
}

static bool ticket_seal(const uint8_t key[TURN_TICKET_KEY_BYTES], const uint8_t plain[PLAIN_BYTES],
			uint8_t out[TURN_TICKET_BYTES])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *sealed = out + IV_BYTES;
	int n = 0;
	bool ok;

	ok = ctx != NULL && RAND_bytes(out, IV_BYTES) == 1 &&
	     EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, out) == 1 &&
	     EVP_EncryptUpdate(ctx, sealed, &n, plain, PLAIN_BYTES) == 1 && n == PLAIN_BYTES &&
	     EVP_EncryptFinal_ex(ctx, sealed + PLAIN_BYTES, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, sealed + PLAIN_BYTES) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static bool ticket_open(const uint8_t key[TURN_TICKET_KEY_BYTES],
			const uint8_t ticket[TURN_TICKET_BYTES], uint8_t plain[PLAIN_BYTES])
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const uint8_t *sealed = ticket + IV_BYTES;
	uint8_t tag[TAG_BYTES];
	int n = 0;
	bool ok;

	memcpy(tag, sealed + PLAIN_BYTES, sizeof(tag));
	ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, ticket) == 1 &&
	     EVP_DecryptUpdate(ctx, plain, &n, sealed, PLAIN_BYTES) == 1 && n == PLAIN_BYTES &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
	     EVP_DecryptFinal_ex(ctx, plain + PLAIN_BYTES, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

void turn_mobility_add_ticket(const struct turn_call *c, uint32_t idx, struct stun_builder *b)
{
	const struct shm_allocation *r = turn_record(c->server, idx);
	uint8_t plain[PLAIN_BYTES], ticket[TURN_TICKET_BYTES];

	bytes_put_be16(plain, c->server->node_id);
	bytes_put_be32(plain + 2, idx);
	bytes_put_be32(plain + 6, r->serial);
	bytes_put_be32(plain + 10, r->mobility_serial);
	if (ticket_seal(c->server->mobility.key, plain, ticket))
		stun_build_attr(b, TURN_ATTR_MOBILITY_TICKET, ticket, sizeof(ticket));
}

// The allocation that a ticket is good for, 0 when there is none.
static uint32_t ticket_find(const struct turn_server *s, const struct stun_attr *ticket)
{
	uint8_t plain[PLAIN_BYTES + TAG_BYTES];
	const struct shm_allocation *r;
	uint32_t idx, serial;

	if (ticket->length_bytes != TURN_TICKET_BYTES ||
	    (!ticket_open(s->mobility.key, ticket->value, plain) &&
	     !ticket_open(s->mobility.old_key, ticket->value, plain)))
		return 0;
	idx = bytes_get_be32(plain + 2);
	serial = bytes_get_be32(plain + 10);
	if (bytes_get_be16(plain) != s->node_id || idx == 0 || idx > s->tables->n_allocations_max ||
	    s->allocations[idx].user == NULL)
		return 0;
	r = turn_record(s, idx);
	if (r->serial != bytes_get_be32(plain + 6) || !(r->flags & SHM_ALLOCATION_F_MOBILE))
		return 0;
	// The one before counts until the client is known to have the new one.
	if (serial != r->mobility_serial &&
	    !(s->allocations[idx].has_old_ticket && serial + 1 == r->mobility_serial))
		return 0;
	return idx;
}

void turn_mobility_find(struct turn_call *c)
{
	struct stun_attr ticket;
	uint32_t idx;

	if (c->msg.type != TURN_REFRESH_REQUEST ||
	    !stun_attr_find(&c->msg, TURN_ATTR_MOBILITY_TICKET, &ticket))
		return;
	c->has_ticket = true;
	idx = c->server->config->mobility ? ticket_find(c->server, &ticket) : 0;
	// One that was to move may have expired, and nobody looked yet.
	if (idx != 0 && turn_allocation_expire(c->server, idx, c->in->now_ns) &&
	    c->server->allocations[idx].user == NULL)
		idx = 0;
	if (idx == 0)
		return;
	c->is_ticket_good = c->allocation_idx == 0 || c->allocation_idx == idx;
	if (c->allocation_idx == 0) {
		c->allocation_idx = idx;
		c->is_moving = true;
	}
}

uint16_t turn_mobility_check(const struct turn_call *c)
{
	if (!c->has_ticket || c->is_ticket_good)
		return 0;
	return c->server->config->mobility ? 400 : 405;
}

uint16_t turn_mobility_check_allocate(const struct turn_call *c, bool *is_mobile)
{
	struct stun_attr ticket;

	*is_mobile = stun_attr_find(&c->msg, TURN_ATTR_MOBILITY_TICKET, &ticket);
	if (!*is_mobile)
		return 0;
	if (ticket.length_bytes != 0)
		return 400;
	return c->server->config->mobility ? 0 : 405;
}

void turn_mobility_begin(const struct turn_call *c, uint32_t idx)
{
	struct shm_allocation *r = turn_record(c->server, idx);

	r->flags |= SHM_ALLOCATION_F_MOBILE;
	r->mobility_serial = 1;
}

uint16_t turn_mobility_refresh(struct turn_call *c)
{
	struct turn_allocation *a = &c->server->allocations[c->allocation_idx];

	// The answer was lost and the client asks again.
	if (memcmp(a->ticket_transaction_id, c->msg.transaction_id,
		   sizeof(a->ticket_transaction_id)) == 0)
		return 0;
	if (!c->is_moving)
		turn_record(c->server, c->allocation_idx)->mobility_serial++;
	else if (turn_move_start(c, c->allocation_idx) < 0)
		return 508;
	a->has_old_ticket = true;
	memcpy(a->ticket_transaction_id, c->msg.transaction_id, sizeof(a->ticket_transaction_id));
	return 0;
}

void turn_mobility_heard(const struct turn_call *c)
{
	struct turn_allocation *a = &c->server->allocations[c->allocation_idx];
	struct turn_path path = turn_path_of_request(c->in);

	if (c->is_moving || memcmp(a->ticket_transaction_id, c->msg.transaction_id,
				   sizeof(a->ticket_transaction_id)) == 0)
		return;
	if (a->move != NULL && turn_path_equal(&path, &a->move->old_path))
		return;
	if (turn_move_finish(c->server, c->allocation_idx))
		a->has_old_ticket = false;
}
