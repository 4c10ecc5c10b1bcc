// The neighbour table: found by {next hop, interface}, counted by the flows that name it. Control
// plane's loop thread; writes shm_tables.neighbour.
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include "controlplane/table_writer_private.h"
#include "dataplane/contract/wire/challenge.h"

#define BUCKETS 65536u

static uint32_t bucket_of(const struct table_writer *w, const struct ip_address *a,
			  uint32_t ifindex)
{
	uint8_t message[20];
	uint8_t hash[16];
	uint32_t v;

	memcpy(message, a->bytes, 16);
	memcpy(message + 16, &ifindex, 4);
	siphash128((const uint8_t *)w->neighbour_seed, message, sizeof(message), hash);
	memcpy(&v, hash, sizeof(v));
	return v % BUCKETS;
}

static void index_clear(struct table_writer *w)
{
	memset(w->neighbour_bucket, 0, BUCKETS * sizeof(*w->neighbour_bucket));
	w->n_free_neighbours = 0;
}

static void index_add(struct table_writer *w, uint16_t idx)
{
	const struct shm_neighbour *n = &w->tables->neighbour[idx];
	struct ip_address a;
	uint32_t b;

	memcpy(a.bytes, n->address, 16);
	b = bucket_of(w, &a, n->ifindex);
	w->neighbour_next[idx] = w->neighbour_bucket[b];
	w->neighbour_bucket[b] = idx;
}

int table_writer_neighbours_init(struct table_writer *w)
{
	w->neighbour_bucket = calloc(BUCKETS, sizeof(*w->neighbour_bucket));
	w->neighbour_next = calloc(SHM_NEIGHBOURS_MAX, sizeof(*w->neighbour_next));
	w->free_neighbour = calloc(SHM_NEIGHBOURS_MAX, sizeof(*w->free_neighbour));
	if (w->neighbour_bucket == NULL || w->neighbour_next == NULL || w->free_neighbour == NULL)
		return -ENOMEM;
	if (RAND_bytes((unsigned char *)w->neighbour_seed, sizeof(w->neighbour_seed)) != 1)
		return -EIO;
	table_writer_neighbours_recount(w);
	return 0;
}

void table_writer_neighbours_fini(struct table_writer *w)
{
	free(w->neighbour_bucket);
	free(w->neighbour_next);
	free(w->free_neighbour);
}

static void count_user(void *arg, uint32_t idx, const struct shm_flow *f)
{
	struct table_writer *w = arg;

	if (f->neighbour_idx != 0)
		w->tables->neighbour[f->neighbour_idx].n_users++;
	if (f->peer_neighbour_idx != 0)
		w->tables->neighbour[f->peer_neighbour_idx].n_users++;
}

void table_writer_neighbours_recount(struct table_writer *w)
{
	index_clear(w);
	if (w->origin != TABLE_WRITER_ADOPTED) {
		// Fresh memory: nothing to read, so nothing is touched.
		for (uint32_t i = SHM_NEIGHBOURS_MAX - 1; i > 0; i--)
			w->free_neighbour[w->n_free_neighbours++] = (uint16_t)i;
		return;
	}
	for (uint32_t i = 1; i < SHM_NEIGHBOURS_MAX; i++) {
		if (w->tables->neighbour[i].n_users != 0)
			w->tables->neighbour[i].n_users = 0;
	}
	shm_flow_each(&w->flows, count_user, w);
	for (uint32_t i = SHM_NEIGHBOURS_MAX - 1; i > 0; i--) {
		struct shm_neighbour *n = &w->tables->neighbour[i];

		if (n->n_users > 0) {
			index_add(w, (uint16_t)i);
			continue;
		}
		if (n->word != 0)
			__atomic_store_n(&n->word, 0, __ATOMIC_RELEASE);
		w->free_neighbour[w->n_free_neighbours++] = (uint16_t)i;
	}
}

uint16_t table_writer_neighbour_find(const struct table_writer *w,
				     const struct ip_address *next_hop, uint32_t ifindex)
{
	uint32_t i = w->neighbour_bucket[bucket_of(w, next_hop, ifindex)];

	for (; i != 0; i = w->neighbour_next[i]) {
		const struct shm_neighbour *n = &w->tables->neighbour[i];

		if (n->ifindex == ifindex && memcmp(n->address, next_hop->bytes, 16) == 0)
			return (uint16_t)i;
	}
	return 0;
}

uint16_t table_writer_neighbour_acquire(struct table_writer *w, const struct ip_address *next_hop,
					uint32_t ifindex)
{
	uint16_t idx = table_writer_neighbour_find(w, next_hop, ifindex);
	struct shm_neighbour *n;

	if (idx != 0) {
		w->tables->neighbour[idx].n_users++;
		return idx;
	}
	if (w->n_free_neighbours == 0)
		return 0;
	idx = w->free_neighbour[--w->n_free_neighbours];
	n = &w->tables->neighbour[idx];
	__atomic_store_n(&n->word, 0, __ATOMIC_RELEASE);
	memcpy(n->address, next_hop->bytes, 16);
	n->ifindex = ifindex;
	n->n_users = 1;
	index_add(w, idx);
	return idx;
}

void table_writer_neighbour_ref(struct table_writer *w, uint16_t idx)
{
	if (idx != 0)
		w->tables->neighbour[idx].n_users++;
}

void table_writer_neighbour_unref(struct table_writer *w, uint16_t idx)
{
	struct shm_neighbour *n = &w->tables->neighbour[idx];
	struct ip_address a;
	uint32_t *link;

	if (idx == 0 || n->n_users == 0 || --n->n_users > 0)
		return;
	memcpy(a.bytes, n->address, 16);
	link = &w->neighbour_bucket[bucket_of(w, &a, n->ifindex)];
	while (*link != 0 && *link != idx)
		link = &w->neighbour_next[*link];
	if (*link == idx)
		*link = w->neighbour_next[idx];
	// A worker that still holds a withdrawn flow of it drops the packet as unresolved, or sends
	// it to the slot's next user's MAC for the rest of that burst; the flow was gone anyway.
	__atomic_store_n(&n->word, 0, __ATOMIC_RELEASE);
	w->free_neighbour[w->n_free_neighbours++] = idx;
}

void table_writer_neighbour_set_word(struct table_writer *w, uint16_t idx, uint64_t word)
{
	if (idx != 0 && w->tables->neighbour[idx].word != word)
		__atomic_store_n(&w->tables->neighbour[idx].word, word, __ATOMIC_RELEASE);
}
