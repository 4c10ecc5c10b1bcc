// One writer churns the flow table while readers look keys up. Built twice: with ThreadSanitizer, and as it is shipped.
//
// A key that stays published is always found; an entry that is found is whole, has the key that was asked for, and stays
// so until the reader says that it holds nothing.
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "tests/unit/shm/table_fixture.h"

#define N_ENTRIES   256
#define N_STABLE    60  // keys that are never withdrawn
#define N_CHURNED   400 // keys that come and go
#define N_READERS   2
#define BURST       32
#define DURATION_MS 2500

static struct table_fixture table;
static struct shm_workers *workers;
static uint32_t stop; // atomic

struct reader {
	pthread_t thread;
	uint32_t number;
	uint64_t n_found;
	uint64_t n_missed;
	const char *failure;
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

// Whether the entry is what the writer publishes under that key.
static bool is_whole(const struct shm_flow *f, const struct shm_flow_key *key)
{
	struct shm_flow want = table_fixture_flow(*key);

	return memcmp(&f->key, key, sizeof(*key)) == 0 &&
	       memcmp(f->to_address, want.to_address, sizeof(want.to_address)) == 0 &&
	       f->to_port_be == want.to_port_be && f->allocation_idx == want.allocation_idx &&
	       __atomic_load_n(&f->expires_at_ns, __ATOMIC_RELAXED) != 0;
}

static const char *look_up_burst(struct reader *r, uint64_t *seed)
{
	struct shm_flow_key key[BURST];
	const struct shm_flow_key *keys[BURST];
	const struct shm_flow *found[BURST];
	bool stable[BURST];

	for (uint32_t i = 0; i < BURST; i++) {
		uint32_t number = (uint32_t)(table_fixture_random(seed) % (N_STABLE + N_CHURNED));

		stable[i] = number < N_STABLE;
		key[i] = table_fixture_key(number);
		keys[i] = &key[i];
	}
	if (r->number & 1) {
		for (uint32_t i = 0; i < BURST; i++)
			found[i] = shm_flow_lookup(&table.view, keys[i]);
	} else {
		shm_flow_lookup_bulk(&table.view, keys, BURST, found);
	}
	// Twice: once at once, and once at the end of what a worker does with a burst.
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < BURST; i++) {
			if (stable[i] && !found[i])
				return "a key that stays published was not found";
			if (found[i] && !is_whole(found[i], keys[i]))
				return round ? "an entry changed while a reader held it"
					     : "an entry is torn or has another key";
			if (round == 0 && !stable[i]) {
				r->n_found += found[i] != NULL;
				r->n_missed += found[i] == NULL;
			}
		}
	}
	return NULL;
}

static void *read_table(void *arg)
{
	struct reader *r = arg;
	struct shm_worker *w = &workers->worker[r->number];
	uint64_t seed = 77 + r->number;

	shm_grace_enter(w, table.tables);
	for (uint32_t n = 1; !r->failure && !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
		r->failure = look_up_burst(r, &seed);
		shm_grace_quiesce(w, table.tables);
		// Now and then a worker goes away and comes back.
		if (n % 1000 == 0) {
			shm_grace_leave(w);
			shm_grace_enter(w, table.tables);
		}
	}
	shm_grace_leave(w);
	return NULL;
}

static int publish(uint32_t number, uint32_t *idx)
{
	struct shm_flow f = table_fixture_flow(table_fixture_key(number));

	return shm_flow_publish(&table.writer, &f, 1, idx);
}

// Returns how often an entry was handed out again.
static uint64_t churn(void)
{
	static uint32_t published[N_CHURNED];
	static bool used[N_ENTRIES];
	uint64_t seed = 5, end_ms = now_ms() + DURATION_MS, n_reused = 0;

	for (uint32_t n = 0; n % 256 != 0 || now_ms() < end_ms; n++) {
		uint32_t i = (uint32_t)(table_fixture_random(&seed) % N_CHURNED);

		// Many are withdrawn at a time, but not so many that readers find nothing.
		if (published[i] && (n % 4 == 0 || table.writer.n_retired > N_ENTRIES / 4)) {
			shm_flow_set_expiry(&table.writer, published[i], n + 1, n + 1);
		} else if (published[i]) {
			shm_flow_unpublish(&table.writer, published[i], 0);
			published[i] = 0;
		} else if (publish(N_STABLE + i, &published[i]) == 0) {
			n_reused += used[published[i]];
			used[published[i]] = true;
		}
		if (n % 4 == 0)
			shm_flow_reclaim(&table.writer, shm_grace_passed(workers, true));
	}
	return n_reused;
}

int main(void)
{
	static struct reader reader[N_READERS];
	uint64_t n_reused, n_found = 0, n_missed = 0;
	uint32_t idx;
	int ret = 0;

	workers = aligned_alloc(64, sizeof(*workers));
	if (!workers || table_fixture_init(&table, N_ENTRIES) < 0)
		return 1;
	memset(workers, 0, sizeof(*workers));
	for (uint32_t i = 0; i < N_STABLE; i++)
		if (publish(i, &idx) < 0)
			return 1;
	for (uint32_t i = 0; i < N_READERS; i++) {
		reader[i].number = i;
		if (pthread_create(&reader[i].thread, NULL, read_table, &reader[i]) != 0)
			return 1;
	}
	n_reused = churn();
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < N_READERS; i++) {
		pthread_join(reader[i].thread, NULL);
		n_found += reader[i].n_found;
		n_missed += reader[i].n_missed;
		if (reader[i].failure) {
			printf("reader %u: %s\n", i, reader[i].failure);
			ret = 1;
		}
	}
	printf("%lu found, %lu missed, %lu entries used again\n", (unsigned long)n_found,
	       (unsigned long)n_missed, (unsigned long)n_reused);
	// What did not happen was not tested.
	if (n_found < 1000 || n_missed < 1000 || n_reused < 300) {
		printf("too little happened\n");
		ret = 1;
	}
	free(workers);
	table_fixture_free(&table);
	return ret;
}
