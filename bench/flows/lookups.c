// Lookups at uniformly random access, ours and the rival's in turn, so that both meet the same moments of the machine.
#include "bench/flows/flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the measured loops work on.
struct contest {
	struct shm_flow_view view;
	struct flows_rival *rival;
	struct shm_flow_key *
		keys; // published ones, in random order; read in a row, so that their own misses do not count
	struct shm_flow_key *absent; // keys of none
	uint32_t n;
	uint64_t sum; // of what was read, so that it is read
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint32_t bulk(struct contest *c, const struct shm_flow_key *keys, bool read)
{
	const struct shm_flow_key *key_burst[FLOWS_BURST];
	const struct shm_flow *found[FLOWS_BURST];
	uint32_t n_found = 0;

	for (uint32_t i = 0; i < c->n; i += FLOWS_BURST) {
		for (uint32_t j = 0; j < FLOWS_BURST; j++)
			key_burst[j] = &keys[i + j];
		shm_flow_lookup_bulk(&c->view, key_burst, FLOWS_BURST, found);
		for (uint32_t j = 0; j < FLOWS_BURST; j++) {
			n_found += found[j] != NULL;
			if (read && found[j])
				c->sum +=
					__atomic_load_n(&found[j]->expires_at_ns, __ATOMIC_RELAXED);
		}
	}
	return n_found;
}

static uint32_t single(struct contest *c)
{
	uint32_t n_found = 0;

	for (uint32_t i = 0; i < c->n; i++)
		n_found += shm_flow_lookup(&c->view, &c->keys[i]) != NULL;
	return n_found;
}

static uint32_t run(struct contest *c, enum flows_measure what)
{
	switch (what) {
	case FLOWS_BULK:
		return bulk(c, c->keys, false);
	case FLOWS_BULK_READ:
		return bulk(c, c->keys, true);
	case FLOWS_SINGLE:
		return single(c);
	case FLOWS_BULK_MISS:
		return bulk(c, c->absent, false);
	case FLOWS_RIVAL_BULK:
		return flows_rival_bulk(c->rival, c->keys, c->n, false, &c->sum);
	case FLOWS_RIVAL_BULK_READ:
		return flows_rival_bulk(c->rival, c->keys, c->n, true, &c->sum);
	case FLOWS_RIVAL_SINGLE:
		return flows_rival_single(c->rival, c->keys, c->n);
	case FLOWS_RIVAL_BULK_MISS:
		return flows_rival_bulk(c->rival, c->absent, c->n, false, &c->sum);
	case FLOWS_MEASURE_COUNT:
		break;
	}
	return 0;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, uint32_t n)
{
	double sorted[FLOWS_ROUNDS_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare_doubles);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double median_ratio(const struct flows_series *over, const struct flows_series *under,
			   uint32_t n)
{
	double ratio[FLOWS_ROUNDS_MAX];

	for (uint32_t i = 0; i < n; i++)
		ratio[i] = over->ns[i] / under->ns[i];
	return median(ratio, n);
}

static int measure(struct contest *c, struct flows_lookups *out)
{
	static struct flows_series series[FLOWS_MEASURE_COUNT];
	uint32_t n_measures = out->has_rival ? FLOWS_MEASURE_COUNT : FLOWS_RIVAL_BULK;

	// Round 0 warms caches up and is forgotten.
	for (uint32_t round = 0; round <= out->n_rounds; round++) {
		for (uint32_t i = 0; i < n_measures; i++) {
			// Each goes first now and then.
			enum flows_measure what = (enum flows_measure)((i + round) % n_measures);
			bool misses = what == FLOWS_BULK_MISS || what == FLOWS_RIVAL_BULK_MISS;
			double start_s = flows_now_s();
			uint32_t n_found = run(c, what);
			double ns = (flows_now_s() - start_s) * 1e9 / c->n;

			if (n_found != (misses ? 0 : c->n)) {
				fprintf(stderr, "flows: measure %d found %u of %u\n", (int)what,
					n_found, c->n);
				return -EIO;
			}
			if (round > 0)
				series[what].ns[round - 1] = ns;
		}
	}
	for (uint32_t i = 0; i < n_measures; i++)
		out->median_ns[i] = median(series[i].ns, out->n_rounds);
	if (!out->has_rival)
		return 0;
	out->ratio_bulk =
		median_ratio(&series[FLOWS_RIVAL_BULK], &series[FLOWS_BULK], out->n_rounds);
	out->ratio_bulk_read = median_ratio(&series[FLOWS_RIVAL_BULK_READ],
					    &series[FLOWS_BULK_READ], out->n_rounds);
	out->ratio_single =
		median_ratio(&series[FLOWS_RIVAL_SINGLE], &series[FLOWS_SINGLE], out->n_rounds);
	out->ratio_bulk_miss = median_ratio(&series[FLOWS_RIVAL_BULK_MISS],
					    &series[FLOWS_BULK_MISS], out->n_rounds);
	return 0;
}

// The view through a mapping of its own, read-only, as a dataplane has it.
static int attach_reader(struct shm_segment *s, struct shm_flow_view *v)
{
	const struct shm_tables *t;

	if (shm_segment_attach(flows_instance(), SHM_SEGMENT_TABLES, false, s) != SHM_ATTACH_READY)
		return -EIO;
	t = s->base;
	return shm_flow_view_init(v, t, s->size_bytes, &t->turn);
}

int flows_measure_lookups(uint32_t n_entries, uint32_t n_lookups, uint32_t n_rounds,
			  bool with_rival, struct flows_lookups *out)
{
	struct contest c = { .n = n_lookups / FLOWS_BURST * FLOWS_BURST };
	struct flows_programmed programmed;
	struct shm_segment reader = { 0 };
	struct table_writer w;
	uint64_t seed = 88172645463325252ull;
	int ret;

	memset(out, 0, sizeof(*out));
	ret = flows_program(&w, n_entries / (1 + 3 * FLOWS_CHANNELS_PER), &programmed);
	if (ret < 0)
		return ret;
	out->n_entries = programmed.n_entries;
	out->n_rounds = n_rounds < FLOWS_ROUNDS_MAX ? n_rounds : FLOWS_ROUNDS_MAX;
	ret = attach_reader(&reader, &c.view);
	if (ret < 0)
		goto out_remove;
	ret = -ENOMEM;
	c.keys = calloc(c.n, sizeof(*c.keys));
	c.absent = calloc(c.n, sizeof(*c.absent));
	if (!c.keys || !c.absent)
		goto out_remove;
	// A fresh table hands entries out from 1 upward.
	for (uint32_t i = 0; i < c.n; i++) {
		c.keys[i] = c.view.entries[1 + random_next(&seed) % out->n_entries].key;
		c.absent[i] = c.keys[i];
		c.absent[i].address[12] ^= 0x80;
	}
	if (with_rival) {
		c.rival = flows_rival_create(c.view.entries, out->n_entries);
		if (!c.rival)
			goto out_remove;
		out->has_rival = true;
	}
	ret = measure(&c, out);
	if (c.sum == 1)
		puts("");
out_remove:
	if (ret < 0)
		fprintf(stderr, "flows: lookups over %u entries: %s\n", n_entries, strerror(-ret));
	flows_rival_free(c.rival);
	free(c.keys);
	free(c.absent);
	shm_segment_detach(&reader);
	flows_remove(&w);
	return ret;
}
