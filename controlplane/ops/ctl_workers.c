// workers, drops, stats: what the workers counted. Control plane's loop thread; reads the counters
// that workers write without stopping them, so sums are a moment's worth apart.
#include <string.h>

#include "controlplane/ops/ctl_verbs.h"
#include "dataplane/drop_reason.h"

static uint32_t n_workers(const struct engine *e)
{
	uint32_t n = e->tables.workers->dataplane.n_workers;

	return n <= SHM_WORKERS_MAX ? n : SHM_WORKERS_MAX;
}

static uint64_t read_u64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

// Counters of workers of an earlier start stay in the segment and count.
static void sum_counters(const struct engine *e, uint64_t out[DP_COUNTER_COUNT])
{
	memset(out, 0, sizeof(out[0]) * DP_COUNTER_COUNT);
	for (uint32_t w = 0; w < SHM_WORKERS_MAX; w++)
		for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++)
			out[i] += read_u64(&e->tables.workers->worker[w].counter[i]);
}

static void sum_latency(const struct engine *e, uint32_t first, uint32_t end,
			uint64_t out[SHM_LATENCY_BUCKETS])
{
	memset(out, 0, sizeof(out[0]) * SHM_LATENCY_BUCKETS);
	for (uint32_t w = first; w < end; w++)
		for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
			out[i] += read_u64(&e->tables.workers->worker[w].latency[i]);
}

// Upper bound in ns of the bucket where the share lies; 0 without samples.
static uint64_t latency_quantile(const uint64_t bucket[SHM_LATENCY_BUCKETS], double share)
{
	uint64_t n = 0, seen = 0;

	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		n += bucket[i];
	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++) {
		seen += bucket[i];
		if (seen > 0 && (double)seen >= share * (double)n) {
			uint32_t next = i + 1;

			return (uint64_t)((double)(1ull << (next / 4)) *
					  (1 + (double)(next % 4) / 4));
		}
	}
	return 0;
}

static json_t *latency_object(const uint64_t bucket[SHM_LATENCY_BUCKETS])
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SHM_LATENCY_BUCKETS; i++)
		n += bucket[i];
	return json_pack("{s:o, s:o, s:o, s:o}", "samples", ctl_counter(n), "p50_ns",
			 ctl_counter(latency_quantile(bucket, 0.5)), "p99_ns",
			 ctl_counter(latency_quantile(bucket, 0.99)), "p999_ns",
			 ctl_counter(latency_quantile(bucket, 0.999)));
}

static json_t *worker_object(const struct ctl_call *call, uint32_t idx)
{
	const struct shm_worker *w = &call->engine->tables.workers->worker[idx];
	uint64_t latency[SHM_LATENCY_BUCKETS], drops = 0;
	uint64_t total = read_u64(&w->total_tsc), beat = read_u64(&w->heartbeat_ns);
	uint64_t now_ns = call->now_ns;

	for (uint32_t i = DP_DROP_FIRST; i < DP_COUNTER_COUNT; i++)
		drops += read_u64(&w->counter[i]);
	sum_latency(call->engine, idx, idx + 1, latency);
	return json_pack(
		"{s:I, s:I, s:b, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"index", (json_int_t)idx, "cpu", (json_int_t)w->cpu, "online",
		__atomic_load_n(&w->online, __ATOMIC_RELAXED) == 1 &&
			table_writer_dataplane_alive(&call->engine->tables, now_ns),
		"heartbeat_age_ms", ctl_counter(beat < now_ns ? (now_ns - beat) / 1000000 : 0),
		"busy_share", total ? (double)read_u64(&w->busy_tsc) / (double)total : 0.0,
		"busy_tsc", ctl_counter(read_u64(&w->busy_tsc)), "total_tsc", ctl_counter(total),
		"sleeps", ctl_counter(read_u64(&w->n_sleeps)), "rx_pkts",
		ctl_counter(read_u64(&w->counter[DP_COUNTER_RX_PKTS])), "rx_bytes",
		ctl_counter(read_u64(&w->counter[DP_COUNTER_RX_BYTES])), "tx_pkts",
		ctl_counter(read_u64(&w->counter[DP_COUNTER_TX_PKTS])), "tx_bytes",
		ctl_counter(read_u64(&w->counter[DP_COUNTER_TX_BYTES])), "punted",
		ctl_counter(read_u64(&w->counter[DP_COUNTER_PUNT])), "drops", ctl_counter(drops),
		"latency", latency_object(latency));
}

json_t *ctl_workers(struct ctl_call *call)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < n_workers(call->engine); i++)
		json_array_append_new(array, worker_object(call, i));
	return json_pack("{s:o}", "workers", array);
}

json_t *ctl_drops(struct ctl_call *call)
{
	json_t *array = json_array();
	uint64_t sum[DP_COUNTER_COUNT], total = 0;

	sum_counters(call->engine, sum);
	for (uint32_t i = DP_DROP_FIRST; i < DP_COUNTER_COUNT; i++) {
		json_t *per_worker = json_array();

		for (uint32_t w = 0; w < n_workers(call->engine); w++)
			json_array_append_new(
				per_worker,
				ctl_counter(read_u64(
					&call->engine->tables.workers->worker[w].counter[i])));
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:o, s:o}", "reason", dp_counter_info[i].name,
					 "text", dp_counter_info[i].text, "pkts",
					 ctl_counter(sum[i]), "per_worker", per_worker));
		total += sum[i];
	}
	return json_pack("{s:o, s:o}", "drops", array, "total", ctl_counter(total));
}

static json_t *turn_object(const struct engine *e)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < TURN_COUNTER_COUNT; i++)
		json_object_set_new(object, turn_counter_name(i),
				    ctl_counter(turn_server_counter(e->turn, i)));
	return object;
}

static json_t *punt_object(const struct engine *e)
{
	const struct punt_stats *p;

	if (!e->punt)
		return json_null();
	p = punt_stats(e->punt);
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "wakes", ctl_counter(p->n_wakes), "datagrams",
			 ctl_counter(p->n_datagrams), "answers", ctl_counter(p->n_answers),
			 "inject_full", ctl_counter(p->n_inject_full), "invalid",
			 ctl_counter(p->n_invalid));
}

static json_t *route_object(const struct engine *e)
{
	const struct next_hops_stats *n = next_hops_stats(e->hops);

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "lookups", ctl_counter(n->n_route_lookups),
			 "cache_hits", ctl_counter(n->n_route_cache_hits), "failures",
			 ctl_counter(n->n_route_failures), "neighbour_events",
			 ctl_counter(n->n_neighbour_events), "sweeps", ctl_counter(n->n_sweeps));
}

json_t *ctl_stats(struct ctl_call *call)
{
	json_t *counters = json_object();
	uint64_t sum[DP_COUNTER_COUNT], latency[SHM_LATENCY_BUCKETS], drops = 0;

	sum_counters(call->engine, sum);
	sum_latency(call->engine, 0, SHM_WORKERS_MAX, latency);
	for (uint32_t i = 0; i < DP_COUNTER_COUNT; i++) {
		if (i >= DP_DROP_FIRST)
			drops += sum[i];
		else
			json_object_set_new(counters, dp_counter_info[i].name, ctl_counter(sum[i]));
	}
	json_object_set_new(counters, "drops", ctl_counter(drops));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "at_ns",
			 ctl_counter(call->now_ns), "dataplane", counters, "turn",
			 turn_object(call->engine), "sfu", ctl_sfu_counters(call->engine), "store",
			 ctl_store_counters(call->engine), "streams",
			 ctl_stream_counters(call->engine), "punt", punt_object(call->engine),
			 "routes", route_object(call->engine), "latency", latency_object(latency),
			 "allocations", (json_int_t)turn_server_n_allocations(call->engine->turn),
			 "flows", (json_int_t)call->engine->tables.tables->turn.n_used);
}
