// A writer of the flow table dies by SIGKILL at any moment, hundreds of times; the next one takes over the memory, and
// readers never notice: no key that stays published is lost, no slot is left that names nothing, no entry leaks.
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/contract/shm/turn_bucket.h"
#include "tests/unit/shm/table_fixture.h"

#define N_ENTRIES 512
#define N_STABLE  100
#define N_CHURNED 700
#define N_CRASHES 300

static struct table_fixture table;
static uint32_t *n_done; // operations of the writer, shared

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			printf("line %d: %s\n", __LINE__, #what);                                  \
			return false;                                                              \
		}                                                                                  \
	} while (0)

static int publish(uint32_t number, uint32_t *idx)
{
	struct shm_flow f = table_fixture_flow(table_fixture_key(number));

	return shm_flow_publish(&table.writer, &f, 1, idx);
}

// What the writer does until it is killed: random keys come and go, as fast as they can.
static void churn(uint64_t seed)
{
	for (;;) {
		uint32_t number = N_STABLE + (uint32_t)(table_fixture_random(&seed) % N_CHURNED);
		struct shm_flow_key key = table_fixture_key(number);
		const struct shm_flow *f = shm_flow_lookup(&table.view, &key);
		uint32_t idx;

		if (f)
			shm_flow_unpublish(&table.writer, (uint32_t)(f - table.view.entries), 0);
		else
			publish(number, &idx);
		shm_flow_reclaim(&table.writer, table.tables->grace_generation);
		__atomic_fetch_add(n_done, 1, __ATOMIC_RELAXED);
	}
}

static bool stable_keys_are_found(void)
{
	for (uint32_t i = 0; i < N_STABLE; i++) {
		struct shm_flow_key key = table_fixture_key(i);
		struct shm_flow want = table_fixture_flow(key);
		const struct shm_flow *f = shm_flow_lookup(&table.view, &key);

		CHECK(f != NULL);
		CHECK(memcmp(f, &want, sizeof(want)) == 0);
	}
	return true;
}

// After a take-over everything agrees with everything.
static bool table_is_sound(void)
{
	static uint32_t passed[1 << 10];
	static bool named[N_ENTRIES];
	uint32_t n_buckets = table.view.bucket_mask + 1, n_named = 0;

	memset(passed, 0, sizeof(passed));
	memset(named, 0, sizeof(named));
	for (uint32_t i = 0; i < n_buckets; i++) {
		for (uint32_t s = 0; s < SHM_BUCKET_SLOTS; s++) {
			uint64_t word = table.writer.buckets[i].slot[s];
			const struct shm_flow *f;
			struct shm_flow want;
			uint64_t hash;

			if (word == 0)
				continue;
			CHECK((uint32_t)word > 0 && (uint32_t)word < N_ENTRIES);
			CHECK(!named[(uint32_t)word]);
			named[(uint32_t)word] = true;
			n_named++;
			f = &table.view.entries[(uint32_t)word];
			want = table_fixture_flow(f->key);
			CHECK(memcmp(f, &want, sizeof(want)) == 0);
			CHECK(shm_flow_lookup(&table.view, &f->key) == f);
			hash = shm_flow_hash(&table.view, &f->key);
			CHECK(word >> 32 == shm_flow_tag(hash));
			for (uint32_t at = (uint32_t)hash; (at & table.view.bucket_mask) != i; at++)
				passed[at & table.view.bucket_mask]++;
		}
	}
	for (uint32_t i = 0; i < n_buckets; i++)
		CHECK(table.writer.buckets[i].overflow == passed[i]);
	CHECK(table.tables->turn.n_used == n_named);
	CHECK(n_named + table.writer.n_free + table.writer.n_retired == N_ENTRIES - 1);
	return true;
}

// Forks a writer, lets it run for a moment that differs each time, kills it, takes over.
static bool crash_once(uint32_t round)
{
	uint32_t before = *n_done;
	struct timespec pause = { .tv_nsec = 200000 + (round * 7919 % 3000) * 1000 };
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		churn(round * 2654435761u + 1);
		_exit(0);
	}
	while (__atomic_load_n(n_done, __ATOMIC_RELAXED) == before)
		CHECK(waitpid(pid, &status, WNOHANG) == 0);
	nanosleep(&pause, NULL);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	// The dataplane goes on reading what the dead one left ...
	CHECK(stable_keys_are_found());
	// ... and the heir mends it.
	CHECK(table_fixture_adopt(&table) == 0);
	CHECK(stable_keys_are_found());
	return table_is_sound();
}

int main(void)
{
	size_t bytes;
	void *shared;
	uint32_t idx;

	if (table_fixture_init(&table, N_ENTRIES) < 0)
		return 1;
	// The same bytes where the writer's death leaves them to us.
	bytes = table.size_bytes;
	shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	n_done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || n_done == MAP_FAILED)
		return 1;
	memcpy(shared, table.tables, bytes);
	free(table.tables);
	table.tables = shared;
	if (table_fixture_adopt(&table) < 0 ||
	    shm_flow_view_init(&table.view, shared, bytes, &table.tables->turn) < 0)
		return 1;
	for (uint32_t i = 0; i < N_STABLE; i++)
		if (publish(i, &idx) < 0)
			return 1;
	for (uint32_t round = 0; round < N_CRASHES; round++) {
		if (!crash_once(round)) {
			printf("in crash %u\n", round);
			return 1;
		}
	}
	printf("%u crashes after %u operations\n", N_CRASHES, *n_done);
	free(table.free_idx);
	free(table.retired);
	return 0;
}
