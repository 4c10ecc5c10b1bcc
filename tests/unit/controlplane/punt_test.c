// Requests from the punt ring, answers into the inject ring.
#include "tests/unit/controlplane/turn_rig.h"

#include "controlplane/turn/state.h"

#include <event2/event.h>
#include <string.h>

static struct rig r;
static struct rig_client c;
static struct punt *p;

static void setup(void)
{
	rig_open(&r, rig_config());
	c = rig_client("203.0.113.5:40000", "lab", RIG_PASSWORD);
	cr_assert_eq(punt_new(NULL, &r.engine.tables, r.engine.turn, "unit", &p), 0);
}

static void teardown(void)
{
	punt_free(p);
	rig_close(&r);
}

TestSuite(punt, .init = setup, .fini = teardown);

// Puts a datagram into the ring as a worker does.
static bool punt_one(const void *bytes, size_t n, uint8_t local_idx, uint64_t l2_word)
{
	struct ip_endpoint listener = rig_endpoint(RIG_LISTENER);
	struct shm_ring *ring = table_writer_ring(&r.engine.tables, 0, SHM_RING_PUNT);
	struct shm_datagram *d = shm_ring_reserve(ring);

	if (d == NULL)
		return false;
	memset(d, 0, sizeof(*d));
	memcpy(d->remote_address, c.endpoint.address.bytes, 16);
	d->remote_port_be = c.endpoint.port_be;
	d->local_port_be = listener.port_be;
	d->local_idx = local_idx;
	d->kind = SHM_DATAGRAM_STUN;
	d->l2_word = l2_word;
	d->length_bytes = (uint16_t)n;
	memcpy(d->data, bytes, n);
	shm_ring_commit(ring);
	return true;
}

static size_t request(struct rig_request *q)
{
	rig_begin(q, &c, TURN_ALLOCATE_REQUEST);
	rig_add_u32(q, TURN_ATTR_REQUESTED_TRANSPORT, 17u << 24);
	return rig_sign(&r, &c, q, false);
}

Test(punt, answers_go_back_on_the_path_that_the_request_came_on)
{
	struct rig_request q;
	const struct shm_datagram *d;
	struct stun_view msg;
	uint16_t n;

	cr_assert(punt_one(q.bytes, request(&q), 0, 0x0a0b0c0d0e0f0010));
	cr_assert_eq(punt_drain(p, r.now_ns, r.wall_ns), 1);
	d = shm_ring_peek(table_writer_ring(&r.engine.tables, 0, SHM_RING_INJECT), &n);
	cr_assert_not_null(d);
	cr_assert(memcmp(d->remote_address, c.endpoint.address.bytes, 16) == 0);
	cr_assert(d->remote_port_be == c.endpoint.port_be && d->local_idx == 0);
	cr_assert_eq(d->l2_word, 0x0a0b0c0d0e0f0010);
	cr_assert_eq(stun_parse(d->data, n, &msg), STUN_OK);
	cr_assert_eq(msg.type, TURN_ALLOCATE_REQUEST | STUN_CLASS_SUCCESS);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 1);
}

Test(punt, datagrams_that_name_nothing_of_ours_are_counted_and_ignored)
{
	struct rig_request q;
	size_t n = request(&q);

	cr_assert(punt_one(q.bytes, n, 1, 1)); // relay address without listener
	cr_assert(punt_one(q.bytes, n, 255, 1));
	cr_assert_eq(punt_drain(p, r.now_ns, r.wall_ns), 2);
	cr_assert_eq(punt_stats(p)->n_invalid, 2);
	cr_assert_eq(turn_server_n_allocations(r.engine.turn), 0);
}

Test(punt, a_full_ring_is_taken_in_batches)
{
	uint32_t n_all = 0, n;

	while (punt_one("\x01\x02", 2, 0, 1))
		n_all++;
	cr_assert(n_all >= 1000);
	n = punt_drain(p, r.now_ns, r.wall_ns);
	cr_assert_eq(n, PUNT_BATCH);
	while ((n = punt_drain(p, r.now_ns, r.wall_ns)) > 0)
		n_all -= n;
	cr_assert_eq(n_all, PUNT_BATCH);
	cr_assert_eq(punt_stats(p)->n_answers, 0);
}

// A flood must not keep the loop from its timers: those that give back withdrawn entries, end
// allocations and tell that we live.
Test(punt, timers_have_their_turn_between_two_batches)
{
	struct event_base *base = event_base_new();
	uint32_t n_turns = 0;
	struct punt *flooded;

	cr_assert_eq(punt_new(base, &r.engine.tables, r.engine.turn, "unit", &flooded), 0);
	while (punt_one("\x01\x02", 2, 0, 1))
		;
	while (punt_stats(flooded)->n_datagrams < 10 * PUNT_BATCH && n_turns < 100) {
		cr_assert_eq(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK), 0);
		n_turns++;
	}
	cr_assert_geq(n_turns, 10, "%u datagrams in %u turns of the loop",
		      (unsigned)punt_stats(flooded)->n_datagrams, n_turns);
	punt_free(flooded);
	event_base_free(base);
}

Test(punt, a_full_inject_ring_loses_the_answer_and_counts_it)
{
	struct rig_request q;
	uint32_t n_all = 0;

	for (; n_all < 1200; n_all++) {
		rig_begin(&q, &c, TURN_REFRESH_REQUEST);
		cr_assert(punt_one(q.bytes, rig_sign(&r, &c, &q, false), 0, 1));
		punt_drain(p, r.now_ns, r.wall_ns);
	}
	cr_assert(punt_stats(p)->n_inject_full > 0);
	cr_assert_eq(punt_stats(p)->n_inject_full + punt_stats(p)->n_answers, n_all);
}

static uint16_t no_hop_and_empty_ring(void *arg, const struct ip_address *client, uint64_t l2_word)
{
	uint16_t n;

	cr_assert_null(shm_ring_peek(table_writer_ring(&r.engine.tables, 0, SHM_RING_PUNT), &n));
	*(bool *)arg = true;
	return 0;
}

Test(punt, a_request_is_out_of_the_ring_before_it_is_handled)
{
	struct rig_request q;
	size_t n = request(&q);
	bool was_asked = false;

	r.engine.turn->hops.client = no_hop_and_empty_ring;
	r.engine.turn->hops.arg = &was_asked;
	cr_assert(punt_one(q.bytes, n, 0, 1));
	cr_assert_eq(punt_drain(p, r.now_ns, r.wall_ns), 1);
	cr_assert(was_asked);
}

Test(punt_workers, rings_of_workers_that_are_not_configured_any_more_are_read)
{
	struct config *config = rig_config();
	struct shm_datagram *d;

	config->n_workers = 2;
	rig_open(&r, config);
	rig_leave(&r);
	rig_reopen(&r, rig_config());
	cr_assert_eq(punt_new(NULL, &r.engine.tables, r.engine.turn, "unit", &p), 0);
	d = shm_ring_reserve(table_writer_ring(&r.engine.tables, 1, SHM_RING_PUNT));
	memset(d, 0, sizeof(*d));
	shm_ring_commit(table_writer_ring(&r.engine.tables, 1, SHM_RING_PUNT));
	cr_assert_eq(punt_drain(p, r.now_ns, r.wall_ns), 1);
	teardown();
}
