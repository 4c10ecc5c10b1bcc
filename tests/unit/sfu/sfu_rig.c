// See sfu_rig.h.
#include "tests/unit/sfu/sfu_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INSTANCE "unit"

static char directory[64];

struct config *sfu_rig_config(void)
{
	struct config *c = calloc(1, sizeof(*c));

	strcpy(c->instance, INSTANCE);
	c->realm = strdup("lab.turnpike");
	c->listeners = calloc(2, sizeof(*c->listeners));
	cr_assert_eq(ip_endpoint_parse("198.51.100.1:3478", &c->listeners[0].endpoint), 0);
	cr_assert_eq(ip_endpoint_parse("[2001:4860::1]:3478", &c->listeners[1].endpoint), 0);
	c->n_listeners = 2;
	c->relays = calloc(1, sizeof(*c->relays));
	cr_assert_eq(ip_address_parse("198.51.100.1", &c->relays[0].address), 0);
	c->n_relays = 1;
	c->relay_port_min = 50000;
	c->relay_port_max = 50099;
	c->lifetime_max_s = 3600;
	c->ports = calloc(1, sizeof(*c->ports));
	strcpy(c->ports[0].settings.device, "net_null0");
	c->ports[0].settings.n_queues = 2;
	c->ports[0].settings.mtu_bytes = 1500;
	c->ports[0].has_gateway_mac = true;
	memcpy(c->ports[0].gateway_mac, "\x02\0\0\0\0\x01", 6);
	c->n_ports = 1;
	c->n_workers = 2;
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		c->worker_cpu[i] = UINT32_MAX;
	c->memory_mb = 256;
	c->max_allocations = 16;
	c->max_flows = 16;
	c->punt_per_source_per_sec = 100;
	c->punt_burst_pkts = 100;
	c->sfu = (struct config_sfu){
		.is_enabled = true,
		.node_id = 7,
		.codecs = { SHM_SFU_VP8, SHM_SFU_H264, SHM_SFU_VP9, SHM_SFU_AV1 },
		.n_codecs = 4,
		.max_sessions = SFU_RIG_SESSIONS,
		.max_tracks = 2 * SFU_RIG_SESSIONS,
		.max_subscriptions = SFU_RIG_SUBSCRIPTIONS,
		.max_publishers_per_room = 8,
		.max_watchers_per_room = 16,
		.retransmit_ms = 1000,
		.session_timeout_s = 30,
		.start_kbps = 1000,
		.max_kbps = 20000,
	};
	return c;
}

void sfu_rig_tables_open_again(struct table_writer *w, struct config *c)
{
	char error[320] = "";

	cr_assert_eq(table_writer_open(w, c, error, sizeof(error)), 0, "%s", error);
}

void sfu_rig_tables_open(struct table_writer *w, struct config *c)
{
	strcpy(directory, "/tmp/turnpike-unit-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	setenv("TURNPIKE_SHM_DIR", directory, 1);
	setenv("TURNPIKE_RUN_DIR", directory, 1);
	sfu_rig_tables_open_again(w, c);
}

void sfu_rig_tables_reopen(struct table_writer *w, struct config *c)
{
	table_writer_close(w);
	sfu_rig_tables_open_again(w, c);
}

void sfu_rig_tables_close(struct table_writer *w)
{
	char command[128];

	table_writer_close(w);
	shm_instance_remove(INSTANCE);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	cr_assert_eq(system(command), 0);
}

struct shm_workers *sfu_rig_workers(void)
{
	struct shm_segment segment;

	cr_assert_eq(shm_segment_attach(INSTANCE, SHM_SEGMENT_WORKERS, true, &segment),
		     SHM_ATTACH_READY);
	return segment.base;
}

struct shm_sfu_state_view sfu_rig_state(const struct table_writer *w)
{
	struct shm_sfu_state_view view;
	struct shm_segment segment;

	cr_assert_eq(shm_segment_attach(INSTANCE, SHM_SEGMENT_SFU_STATE, true, &segment),
		     SHM_ATTACH_READY);
	cr_assert_eq(shm_sfu_state_view_init(&view, segment.base, segment.size_bytes,
					     table_writer_sfu_view(w)),
		     0);
	return view;
}
