// A simulated path. Test code, one thread.
#include "link.h"

#include <string.h>

void link_init(struct link *l, uint64_t capacity_bps)
{
	memset(l, 0, sizeof(*l));
	l->capacity_bps = capacity_bps;
	l->queue_ns_max = 400 * MS;
	l->delay_ns = 20 * MS;
	l->feedback_ns = 50 * MS;
	l->random = 0x9e3779b97f4a7c15ULL;
}

double link_random(struct link *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return (double)(l->random >> 11) / (double)(1ULL << 53);
}

void link_send(struct link *l, uint64_t now_ns, uint16_t size_bytes, uint8_t flags)
{
	struct link_packet *p = &l->sent[l->n_sent++ % LINK_KEPT_PKTS];
	uint64_t begin_ns = l->idle_ns > now_ns ? l->idle_ns : now_ns;

	*p = (struct link_packet){ .send_ns = now_ns, .size_bytes = size_bytes, .flags = flags };
	if (begin_ns - now_ns > l->queue_ns_max || link_random(l) < l->loss) {
		l->n_lost++;
		return;
	}
	l->idle_ns = begin_ns + size_bytes * 8 * S / l->capacity_bps;
	p->arrival_ns =
		l->idle_ns + l->delay_ns + (uint64_t)(link_random(l) * (double)l->jitter_ns);
	if (p->arrival_ns < l->last_arrival_ns)
		p->arrival_ns = l->last_arrival_ns;
	l->last_arrival_ns = p->arrival_ns;
}

uint32_t link_feedback(struct link *l, uint64_t now_ns, struct bwe_packet *out, uint32_t max)
{
	uint64_t seen_ns = now_ns - l->delay_ns;
	uint64_t end = l->n_reported;
	uint32_t n = 0;

	if (now_ns < l->next_feedback_ns || now_ns < l->delay_ns)
		return 0;
	l->next_feedback_ns = now_ns + l->feedback_ns;
	// Up to the last that arrived; a loss is told by a packet behind it.
	for (uint64_t i = l->n_reported; i < l->n_sent; i++) {
		uint64_t arrival_ns = l->sent[i % LINK_KEPT_PKTS].arrival_ns;

		if (arrival_ns && arrival_ns <= seen_ns)
			end = i + 1;
	}
	for (; l->n_reported < end && n < max; l->n_reported++) {
		const struct link_packet *p = &l->sent[l->n_reported % LINK_KEPT_PKTS];

		out[n++] = (struct bwe_packet){
			.send_ns = p->send_ns,
			// Its clock is another one, and about to wrap.
			.arrival_ticks = (uint32_t)(p->arrival_ns / BWE_TICK_NS) + 0xffffff00,
			.size_bytes = p->size_bytes,
			.flags = p->flags | (p->arrival_ns ? 0 : BWE_PACKET_F_LOST),
		};
	}
	if (l->is_mute || link_random(l) < l->reverse_loss)
		return 0;
	return n;
}
