// See waiting.h. Control plane's loop thread.
#include "controlplane/turn/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/turn/source.h"

struct turn_waiting_request {
	struct turn_waiting_request *next;
	struct turn_request in; // its bytes stand behind it
	uint8_t bytes[];
};

void turn_waiting_fini(struct turn_waiting *w)
{
	while (w->oldest != NULL) {
		struct turn_waiting_request *r = w->oldest;

		w->oldest = r->next;
		free(r);
	}
	memset(w, 0, sizeof(*w));
}

static uint32_t n_of_source(const struct turn_waiting *w, const struct ip_address *source)
{
	uint32_t n = 0;

	for (const struct turn_waiting_request *r = w->oldest; r != NULL; r = r->next)
		n += turn_is_same_source(&r->in.client.address, source);
	return n;
}

void turn_waiting_keep(struct turn_waiting *w, const struct turn_request *in)
{
	struct turn_waiting_request *r;

	if (in->waiting_since_ns != 0 && in->now_ns - in->waiting_since_ns > TURN_WAITING_NS) {
		w->n_dropped_late++;
		return;
	}
	if (n_of_source(w, &in->client.address) >= TURN_WAITING_PER_SOURCE_MAX) {
		w->n_dropped_source++;
		return;
	}
	if (in->again == NULL || w->n >= TURN_WAITING_MAX ||
	    in->len_bytes > TURN_WAITING_BYTES_MAX ||
	    (r = malloc(sizeof(*r) + in->len_bytes)) == NULL) {
		w->n_dropped_full++;
		return;
	}
	r->next = NULL;
	r->in = *in;
	r->in.bytes = r->bytes;
	memcpy(r->bytes, in->bytes, in->len_bytes);
	if (in->waiting_since_ns == 0) {
		r->in.waiting_since_ns = in->now_ns;
		w->n_kept++;
	}
	if (w->newest != NULL)
		w->newest->next = r;
	else
		w->oldest = r;
	w->newest = r;
	w->n++;
}

void turn_waiting_run(struct turn_waiting *w, uint64_t now_ns, uint64_t wall_ns)
{
	struct turn_waiting_request *r = w->oldest;

	// Those that have to wait again are kept anew, behind these.
	w->oldest = w->newest = NULL;
	w->n = 0;
	while (r != NULL) {
		struct turn_waiting_request *next = r->next;

		r->in.now_ns = now_ns;
		r->in.wall_ns = wall_ns;
		r->in.again(r->in.again_arg, &r->in);
		free(r);
		r = next;
	}
}
