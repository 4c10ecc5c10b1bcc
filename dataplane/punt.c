// Toward the control plane: requests of clients that hold a valid nonce, and DTLS records of TURN
// clients (RFC 7350). Worker thread; the producing end of its punt ring.
#include <unistd.h>

#include "dataplane/contract/shm/ring.h"
#include "dataplane/worker.h"

// Slots that are kept for clients with an allocation, so that a flood of newcomers cannot starve a
// Refresh.
#define RESERVED_SLOTS (SHM_RING_SLOTS / 2)
// Those that are left to them when clients with a DTLS association have taken theirs.
#define RESERVED_OF_DTLS (SHM_RING_SLOTS / 4)

// A record of an association carries data and costs the control plane a look into a table where a
// handshake costs it a signature: so many of them for one.
#define RECORDS_PER_HANDSHAKE 64

// RFC 6347 §4.1: type, version, epoch; handshakes begin in epoch 0. RFC 9147 §4: of DTLS 1.3 what is
// not plaintext has a header of another form, 001xxxxx.
static bool is_handshake(const struct dp_packet *p)
{
	const uint8_t *record = p->frame + p->view.payload_offset;

	if (p->view.payload_bytes >= 5 && record[0] >= 0x20 && record[0] <= 0x3f)
		return false;
	return p->view.payload_bytes < 5 || bytes_get_be16(record + 3) == 0;
}

// Within the rate of its source. Nothing that DTLS says at this point proves where it came from.
static bool may_punt_dtls(struct dp_worker *w, const struct dp_packet *p, bool handshake)
{
	struct dp_source *s = dp_source_get(&w->sources, &p->view.source.address, w->now_ns,
					    w->settings.punt_per_sec, w->settings.punt_burst_pkts);

	if (handshake)
		return dp_source_may_punt(s, w->settings.punt_per_sec);
	return dp_source_may_punt_part(s, w->settings.punt_per_sec, RECORDS_PER_HANDSHAKE);
}

static bool has_allocation(const struct dp_worker *w, const struct dp_packet *p)
{
	struct shm_flow_key key = {
		.port_be = p->view.source.port_be,
		.local_port_be = p->view.destination.port_be,
		.local_idx = p->local_idx,
		.kind = SHM_FLOW_ALLOCATION,
	};
	const struct shm_flow *f;

	memcpy(key.address, p->view.source.address.bytes, sizeof(key.address));
	f = shm_flow_lookup(&w->shared->flows, &key);
	return f != NULL && dp_flow_is_live(w, f);
}

static void ring_put(struct dp_worker *w, struct dp_packet *p, struct shm_datagram *d, uint8_t kind,
		     uint8_t flags)
{
	*d = (struct shm_datagram){
		.remote_port_be = p->view.source.port_be,
		.local_port_be = p->view.destination.port_be,
		.local_idx = p->local_idx,
		.kind = kind,
		.flags = flags,
		.l2_word = dp_answer_l2_word(p),
		.at_ns = w->now_ns,
		.length_bytes = p->view.payload_bytes,
	};
	memcpy(d->remote_address, p->view.source.address.bytes, sizeof(d->remote_address));
	memcpy(d->data, p->frame + p->view.payload_offset, p->view.payload_bytes);
	shm_ring_commit(w->punt);
	dp_done(w, p);
}

static bool punt_dtls(struct dp_worker *w, struct dp_packet *p)
{
	bool handshake = is_handshake(p);
	struct shm_datagram *d = NULL;

	if (p->view.payload_bytes > SHM_DATAGRAM_BYTES_MAX) {
		dp_drop(w, p, DP_DROP_PUNT_TOO_BIG);
		return false;
	}
	if (!may_punt_dtls(w, p, handshake)) {
		dp_drop(w, p, DP_DROP_PUNT_RATE);
		return false;
	}
	if (shm_ring_room(w->punt) > (handshake ? RESERVED_SLOTS : RESERVED_OF_DTLS))
		d = shm_ring_reserve(w->punt);
	if (d == NULL) {
		dp_drop(w, p, DP_DROP_PUNT_FULL);
		return false;
	}
	ring_put(w, p, d, SHM_DATAGRAM_DTLS, 0);
	w->count[DP_COUNTER_TURN_DTLS]++;
	return true;
}

static bool punt_one(struct dp_worker *w, struct dp_packet *p)
{
	bool established = has_allocation(w, p);
	struct shm_datagram *d = NULL;
	struct dp_source *s;

	if (p->view.payload_bytes > SHM_DATAGRAM_BYTES_MAX) {
		dp_drop(w, p, DP_DROP_PUNT_TOO_BIG);
		return false;
	}
	s = dp_source_get(&w->sources, &p->view.source.address, w->now_ns, w->settings.punt_per_sec,
			  w->settings.punt_burst_pkts);
	dp_source_prove(s, p->view.payload_bytes + dp_source_header_bytes(p->view.is_v4));
	if (!dp_source_may_punt(s, w->settings.punt_per_sec)) {
		dp_drop(w, p, DP_DROP_PUNT_RATE);
		return false;
	}
	if (established || shm_ring_room(w->punt) > RESERVED_SLOTS)
		d = shm_ring_reserve(w->punt);
	if (d == NULL) {
		dp_drop(w, p, DP_DROP_PUNT_FULL);
		return false;
	}
	ring_put(w, p, d, SHM_DATAGRAM_STUN, established ? SHM_DATAGRAM_F_ESTABLISHED : 0);
	w->count[DP_COUNTER_PUNT]++;
	return true;
}

void dp_ring_wake(struct dp_worker *w, struct shm_ring *ring)
{
	if (w->shared->wake_fd >= 0 && shm_ring_needs_wake(ring)) {
		// A full FIFO means that a wake-up is under way already.
		if (write(w->shared->wake_fd, "", 1) < 0)
			return;
	}
}

void dp_punt_wake(struct dp_worker *w)
{
	dp_ring_wake(w, w->punt);
}

void dp_punt_burst(struct dp_worker *w, struct dp_packet **in, uint32_t n)
{
	bool any = false;

	for (uint32_t i = 0; i < n; i++)
		any |= in[i]->kind == DP_KIND_DTLS ? punt_dtls(w, in[i]) : punt_one(w, in[i]);
	if (any)
		dp_punt_wake(w);
}
