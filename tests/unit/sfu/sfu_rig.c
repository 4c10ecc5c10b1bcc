// See sfu_rig.h.
#include "tests/unit/sfu/sfu_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INSTANCE "unit"

static char directory[64];

// Each test is a process of its own; configurations live as long as it, because tests hold several at once.
#define CONFIGS_MAX 16
static struct config *configs[CONFIGS_MAX];
static uint32_t n_configs;

struct config *sfu_rig_config(void)
{
	struct config *c = calloc(1, sizeof(*c));

	cr_assert_lt(n_configs, CONFIGS_MAX);
	configs[n_configs++] = c;
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

static void attach(struct sfu_rig *r)
{
	r->workers = sfu_rig_workers();
	r->state = sfu_rig_state(&r->tables);
}

uint64_t sfu_rig_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void sfu_rig_open(struct sfu_rig *r, struct config *c)
{
	memset(r, 0, sizeof(*r));
	sfu_rig_tables_open(&r->tables, c);
	r->config = c;
	r->now_ns = sfu_rig_now_ns();
	cr_assert_eq(sfu_new(c, &r->tables, directory, r->now_ns, &r->sfu), 0);
	attach(r);
}

void sfu_rig_reopen(struct sfu_rig *r, struct config *c)
{
	sfu_free(r->sfu);
	sfu_rig_tables_reopen(&r->tables, c);
	r->config = c;
	cr_assert_eq(sfu_new(c, &r->tables, directory, r->now_ns, &r->sfu), 0);
	attach(r);
}

void sfu_rig_close(struct sfu_rig *r)
{
	sfu_free(r->sfu);
	sfu_rig_tables_close(&r->tables);
}

const char *sfu_rig_offer(const char *name)
{
	static char text[65536];
	char path[512];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.sdp", SDP_VECTORS, name);
	file = fopen(path, "r");
	cr_assert_not_null(file, "cannot open %s", path);
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	return text;
}

void sfu_rig_join(struct sfu_rig *r, enum sfu_role role, const char *room, const char *participant,
		  const char *offer_name, struct sfu_reply *out)
{
	const char *offer = sfu_rig_offer(offer_name);
	const struct sfu_join join = {
		.role = role,
		.room = room,
		.participant = participant,
		.offer = offer,
		.offer_bytes = strlen(offer),
	};

	sfu_join(r->sfu, &join, out);
}

uint32_t sfu_rig_joined(struct sfu_rig *r, enum sfu_role role, const char *room,
			const char *participant, const char *offer_name,
			char session_id[SFU_SESSION_ID_BYTES])
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->tables);
	struct sfu_reply reply;

	sfu_rig_join(r, role, room, participant, offer_name, &reply);
	cr_assert_eq(reply.status, SFU_CREATED, "%s", reply.reason);
	free(reply.body);
	if (session_id != NULL)
		strcpy(session_id, reply.session_id);
	for (uint32_t i = 1; i < v->n_transports; i++) {
		const struct shm_sfu_session *s = table_writer_session(&r->tables, i);

		if (s != NULL && strcmp(s->session_id, reply.session_id) == 0)
			return i;
	}
	cr_assert_fail("no transport");
	return 0;
}

void sfu_rig_punt(struct sfu_rig *r, uint32_t worker_idx, uint32_t transport_idx, uint8_t kind,
		  const void *bytes, size_t n_bytes)
{
	_Alignas(struct shm_datagram) uint8_t space[SHM_RING_SLOT_BYTES] = { 0 };
	struct shm_datagram *d = (struct shm_datagram *)space;

	d->kind = kind;
	d->transport_idx = transport_idx;
	d->length_bytes = (uint16_t)n_bytes;
	memcpy(d->data, bytes, n_bytes);
	sfu_handle_datagram(r->sfu, worker_idx, d, n_bytes, r->now_ns);
}

void sfu_rig_own(struct sfu_rig *r, uint32_t transport_idx, uint32_t worker_idx)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->tables);
	const uint8_t event = SHM_SFU_EVENT_CHECKED;

	r->state.transport[transport_idx].serial = v->transport[transport_idx].serial;
	r->state.transport[transport_idx].owner = worker_idx + 1;
	sfu_rig_punt(r, worker_idx, transport_idx, SHM_DATAGRAM_SFU_EVENT, &event, 1);
}

uint32_t sfu_rig_track(const struct sfu_rig *r, uint32_t transport_idx, uint8_t kind)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->tables);
	uint32_t idx = v->transport[transport_idx].first_track;

	while (idx != 0 && v->track[idx].kind != kind)
		idx = v->track[idx].next_track;
	cr_assert_neq(idx, 0, "no track of kind %u", kind);
	return idx;
}

uint32_t sfu_rig_slot(const struct sfu_rig *r, uint32_t transport_idx, uint32_t n)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->tables);
	uint32_t idx = v->transport[transport_idx].first_subscription;

	while (n-- > 0 && idx != 0)
		idx = v->subscription[idx].next_subscription;
	cr_assert_neq(idx, 0, "no such slot");
	return idx;
}

bool sfu_rig_lists(const struct sfu_rig *r, uint32_t track_idx, uint32_t worker_idx,
		   uint32_t subscription_idx)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->tables);
	const uint32_t *list = NULL;
	uint32_t n = shm_sfu_list(v, &v->track[track_idx], worker_idx, &list);

	for (uint32_t i = 0; i < n; i++) {
		if (list[i] == subscription_idx)
			return true;
	}
	return false;
}

uint32_t sfu_rig_count_lists(const struct sfu_rig *r, uint32_t subscription_idx)
{
	const struct shm_sfu_view *v = table_writer_sfu_view(&r->tables);
	uint32_t count = 0;

	for (uint32_t t = 1; t < v->n_tracks; t++) {
		for (uint32_t k = 0; k < SHM_WORKERS_MAX; k++)
			count += shm_sfu_track_get(v, t) != NULL &&
				 sfu_rig_lists(r, t, k, subscription_idx);
	}
	return count;
}
