// The one usrsctp stack of the process: its settings, its timers, its output. The control plane's loop thread.
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/sfu/sctp_private.h"

#define SLOT_IDX_LOG 32

static struct {
	uint32_t n_opened;
	struct event *timer;
	uint64_t ticked_ms;
	struct sctp_association **slots; // by the low half of a handle, less 1
	uint32_t *generations;
	uint32_t n_slots;
	uint32_t n_associations;
	struct sctp_association *ready;
	bool is_running_ready;
} stack;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct sctp_association *find(void *handle)
{
	uint64_t v = (uintptr_t)handle;
	uint32_t idx = (uint32_t)v - 1;

	if (idx >= stack.n_slots || stack.generations[idx] != v >> SLOT_IDX_LOG)
		return NULL;
	return stack.slots[idx];
}

static int on_output(void *handle, void *packet, size_t n_bytes, uint8_t tos, uint8_t set_df)
{
	struct sctp_association *a = find(handle);

	if (a != NULL && n_bytes <= SCTP_PACKET_BYTES_MAX)
		a->callbacks.send(a->context, packet, n_bytes);
	return 0;
}

static void on_timer(evutil_socket_t fd, short events, void *unused)
{
	uint64_t ms = now_ms();

	sctp_stack_tick((uint32_t)(ms - stack.ticked_ms));
	stack.ticked_ms = ms;
}

static void timer_start(void)
{
	static const struct timeval interval = { .tv_usec = SCTP_TICK_MS * 1000 };

	if (stack.timer == NULL || evtimer_pending(stack.timer, NULL))
		return;
	stack.ticked_ms = now_ms();
	event_add(stack.timer, &interval);
}

int sctp_stack_open(struct event_base *base)
{
	if (base != NULL && stack.timer == NULL) {
		stack.timer = event_new(base, -1, EV_PERSIST, on_timer, NULL);
		if (stack.timer == NULL)
			return -ENOMEM;
	}
	if (stack.n_opened++ > 0)
		return 0;
	usrsctp_init_nothreads(0, on_output, NULL);
	// There is one path and no other address, and DTLS authenticates.
	usrsctp_sysctl_set_sctp_asconf_enable(0);
	usrsctp_sysctl_set_sctp_auth_enable(0);
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	usrsctp_sysctl_set_sctp_nrsack_enable(0);
	usrsctp_sysctl_set_sctp_pktdrop_enable(0);
	usrsctp_sysctl_set_sctp_pr_enable(1);
	usrsctp_sysctl_set_sctp_reconfig_enable(1);
	// Interactive rather than bulk: a lost message shall not wait a second.
	usrsctp_sysctl_set_sctp_rto_min_default(200);
	usrsctp_sysctl_set_sctp_rto_initial_default(500);
	usrsctp_sysctl_set_sctp_rto_max_default(5000);
	usrsctp_sysctl_set_sctp_delayed_sack_time_default(20);
	return 0;
}

void sctp_stack_close(void)
{
	if (stack.n_opened == 0 || --stack.n_opened > 0)
		return;
	if (stack.timer != NULL)
		event_free(stack.timer);
	stack.timer = NULL;
	usrsctp_finish();
	free(stack.slots);
	free(stack.generations);
	stack.slots = NULL;
	stack.generations = NULL;
	stack.n_slots = 0;
}

static int grow(void)
{
	uint32_t n = stack.n_slots == 0 ? 64 : stack.n_slots * 2;
	uint32_t *generations = realloc(stack.generations, n * sizeof(*generations));
	struct sctp_association **slots;

	if (generations == NULL)
		return -ENOMEM;
	stack.generations = generations;
	slots = realloc(stack.slots, n * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	stack.slots = slots;
	for (uint32_t i = stack.n_slots; i < n; i++) {
		slots[i] = NULL;
		generations[i] = 0;
	}
	stack.n_slots = n;
	return 0;
}

void *sctp_stack_register(struct sctp_association *a)
{
	uint32_t idx;

	for (idx = 0; idx < stack.n_slots && stack.slots[idx] != NULL; idx++)
		;
	if (idx == stack.n_slots && grow() < 0)
		return NULL;
	stack.slots[idx] = a;
	stack.n_associations++;
	timer_start();
	a->handle = (void *)((uintptr_t)stack.generations[idx] << SLOT_IDX_LOG | (idx + 1));
	usrsctp_register_address(a->handle);
	return a->handle;
}

void sctp_stack_unregister(struct sctp_association *a)
{
	uint32_t idx = (uint32_t)(uintptr_t)a->handle - 1;
	struct sctp_association **link = &stack.ready;

	usrsctp_deregister_address(a->handle);
	stack.slots[idx] = NULL;
	stack.generations[idx]++;
	if (--stack.n_associations == 0 && stack.timer != NULL)
		event_del(stack.timer);
	for (; *link != NULL; link = &(*link)->next_ready) {
		if (*link == a) {
			*link = a->next_ready;
			break;
		}
	}
}

void sctp_stack_upcall(struct socket *socket, void *association, int unused)
{
	struct sctp_association *a = association;

	if (a->is_ready)
		return;
	a->is_ready = true;
	a->next_ready = stack.ready;
	stack.ready = a;
}

void sctp_stack_run_ready(void)
{
	// What callbacks send may note more associations; the outermost call tells them all.
	if (stack.is_running_ready)
		return;
	stack.is_running_ready = true;
	while (stack.ready != NULL) {
		struct sctp_association *a = stack.ready;

		stack.ready = a->next_ready;
		a->is_ready = false;
		sctp_association_drain(a);
	}
	stack.is_running_ready = false;
}

void sctp_stack_tick(uint32_t elapsed_ms)
{
	usrsctp_handle_timers(elapsed_ms);
	sctp_stack_run_ready();
}
