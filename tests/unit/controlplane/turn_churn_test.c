// A day of clients that come and go, at a clock that runs ahead: they allocate one address or two, by UDP or by streams, bind,
// refresh, and then delete, hang up, are killed, or are never heard of again. Nothing of them is left: no port, no slot, no memory.
#include <malloc.h>
#include <stdio.h>

#include "tests/unit/controlplane/turn_rig.h"

#define DAY_S      86400
#define STEP_S     10
#define PER_STEP   8
#define ENDS_MAX   4096  // clients that wait for their end
#define SETTLED_S  28800 // every entry of every table was in use once
#define SLACK_KB   512   // hashed arrays are touched page by page
#define EXPIRE_MAX 1000

struct ending {
	struct rig_client client;
	uint64_t at_s;
	int how; // 0: deletes, 1: hangs up or is killed, 2: silence
};

static struct rig r;
static struct ending ends[ENDS_MAX];
static uint32_t n_ends;
static uint64_t n_born;
static uint64_t now_s;

static void open_rig(void)
{
	struct config *c = rig_config();

	c->max_allocations = 2048;
	c->max_flows = 8192;
	c->relay_port_max = 52047;
	rig_open(&r, c);
}

static void close_rig(void)
{
	rig_close(&r);
}

TestSuite(turn_churn, .init = open_rig, .fini = close_rig, .timeout = 300);

static struct rig_client client_make(uint64_t n)
{
	struct rig_client c;
	char text[64];

	snprintf(text, sizeof(text), "203.0.%u.%u:%u", 114 + (uint32_t)(n / 65536 % 32),
		 (uint32_t)(n / 256 % 256), 1024 + (uint32_t)(n % 256));
	c = rig_client(text, "lab", RIG_PASSWORD);
	if (n % 4 == 3) {
		c.transport = SHM_TRANSPORT_TLS;
		c.stream_idx = 1 + (uint32_t)(n % 4096);
		c.stream_serial = (uint32_t)(n / 4096) + 1;
	}
	return c;
}

static void born(void)
{
	uint64_t n = n_born++;
	struct ending *e = &ends[n_ends];
	struct rig_request q;

	cr_assert_lt(n_ends, ENDS_MAX);
	e->client = client_make(n);
	e->how = (int)(n / 4 % 3);
	e->at_s = now_s + 20 + n % 700;
	rig_begin(&q, &e->client, TURN_ALLOCATE_REQUEST);
	rig_add_u32(&q, TURN_ATTR_REQUESTED_TRANSPORT, (uint32_t)TURN_TRANSPORT_UDP << 24);
	if (n % 5 == 0)
		rig_add_u32(&q, TURN_ATTR_ADDITIONAL_ADDRESS_FAMILY,
			    (uint32_t)STUN_FAMILY_IPV6 << 24);
	cr_assert_eq(rig_send(&r, &e->client, &q).code, 0, "at %lu s", now_s);
	cr_assert_eq(rig_permit(&r, &e->client, "9.9.9.8:1").code, 0);
	cr_assert_eq(rig_bind(&r, &e->client, 0x4000, "9.9.9.9:1").code, 0);
	if (n % 7 == 0)
		cr_assert_eq(rig_refresh(&r, &e->client, 600 + (uint32_t)(n % 600)).code, 0);
	n_ends++;
}

static void ended(struct ending *e)
{
	uint32_t idx;

	// It may have expired: nobody refreshed it.
	if (e->how == 0) {
		uint16_t code = rig_refresh(&r, &e->client, 0).code;

		cr_assert(code == 0 || code == 437, "%u", code);
	} else if (e->how == 1 && e->client.stream_idx != 0) {
		turn_server_stream_closed(r.engine.turn, e->client.stream_idx,
					  e->client.stream_serial, r.now_ns);
	} else if (e->how == 1 && turn_allocation_find_client(r.engine.turn, &e->client.endpoint,
							      NULL, &idx) == 0) {
		turn_allocation_kill(r.engine.turn, idx, r.now_ns);
	}
}

static void step(void)
{
	for (uint32_t i = 0; i < PER_STEP; i++)
		born();
	for (uint32_t i = 0; i < n_ends;) {
		if (ends[i].at_s > now_s) {
			i++;
			continue;
		}
		ended(&ends[i]);
		ends[i] = ends[--n_ends];
	}
	rig_advance(&r, STEP_S);
	now_s += STEP_S;
	for (uint32_t i = 0; i < EXPIRE_MAX && turn_server_expire(r.engine.turn, r.now_ns); i++)
		;
	table_writer_reclaim(&r.engine.tables, r.now_ns);
}

// Without the tables, whose pages are touched one after another.
static size_t resident_kb(void)
{
	size_t kb = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	cr_assert_not_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "RssAnon: %zu kB", &kb) == 1)
			break;
	}
	fclose(f);
	cr_assert_gt(kb, 0);
	return kb;
}

Test(turn_churn, a_day_of_it_leaves_nothing_behind)
{
	uint32_t n_free = r.engine.tables.flows.n_free;
	size_t heap_before = 0;
	size_t resident_before = 0;

	for (uint64_t end_s = DAY_S; now_s < end_s;) {
		step();
		if (now_s == SETTLED_S) {
			heap_before = mallinfo2().uordblks;
			resident_before = resident_kb();
		}
	}
	cr_log_info("%lu allocations; heap %zu, then %zu bytes; resident %zu, then %zu KiB", n_born,
		    heap_before, mallinfo2().uordblks, resident_before, resident_kb());
	cr_expect_leq(mallinfo2().uordblks, heap_before + 4096);
#ifndef __SANITIZE_ADDRESS__
	cr_expect_leq(resident_kb(), resident_before + SLACK_KB);
#endif
	// An hour without anybody new.
	n_ends = 0;
	for (uint32_t i = 0; i < 3600 / STEP_S; i++) {
		rig_advance(&r, STEP_S);
		for (uint32_t k = 0; k < EXPIRE_MAX && turn_server_expire(r.engine.turn, r.now_ns);
		     k++)
			;
		table_writer_reclaim(&r.engine.tables, r.now_ns);
	}
	cr_expect_eq(turn_server_n_allocations(r.engine.turn), 0);
	cr_expect_eq(turn_server_n_permissions(r.engine.turn), 0);
	cr_expect_eq(turn_server_n_channels(r.engine.turn), 0);
	cr_expect_eq(r.engine.tables.flows.n_free, n_free);
	cr_expect_eq(r.engine.tables.n_free_allocations, 2048);
	for (uint32_t i = 0; i < r.engine.tables.settings.n_locals; i++) {
		if (r.engine.tables.settings.local[i].flags & SHM_LOCAL_F_RELAY)
			cr_expect_eq(turn_server_free_ports(r.engine.turn, (uint8_t)i), 2048);
	}
	for (uint32_t i = 1; i < SHM_NEIGHBOURS_MAX; i++)
		cr_expect_eq(r.engine.tables.tables->neighbour[i].n_users, 0);
}
