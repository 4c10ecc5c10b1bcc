// drain on, drain off: a host that is to be emptied takes no new allocations and sessions; those that
// are live go on. Control plane's loop thread.
#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/ops/log.h"
#include "controlplane/sfu/sfu.h"

static json_t *drain(struct ctl_call *call, bool is_draining)
{
	const struct engine *e = call->engine;

	if (turn_server_is_draining(e->turn) != is_draining)
		log_info("draining is %s", is_draining ? "on" : "off");
	turn_server_drain(e->turn, is_draining);
	if (e->sfu != NULL)
		sfu_drain(e->sfu, is_draining);
	return json_pack("{s:b, s:I, s:I, s:b}", "draining", is_draining, "allocations",
			 (json_int_t)turn_server_n_allocations(e->turn), "alternate_servers",
			 (json_int_t)e->config->n_alternates, "sfu", e->sfu != NULL);
}

json_t *ctl_drain_on(struct ctl_call *call)
{
	return drain(call, true);
}

json_t *ctl_drain_off(struct ctl_call *call)
{
	return drain(call, false);
}
