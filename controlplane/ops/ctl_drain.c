// drain on, drain off: a host that is to be emptied takes no new allocations and sessions; those that
// are live go on. Control plane's loop thread.
#include <string.h>

#include "controlplane/drain.h"
#include "controlplane/ops/ctl_verbs.h"
#include "controlplane/ops/log.h"

static json_t *drain(struct ctl_call *call, bool is_draining)
{
	struct engine *e = call->engine;
	int ret;

	if (turn_server_is_draining(e->turn) != is_draining)
		log_info("draining is %s", is_draining ? "on" : "off");
	ret = drain_set(e, is_draining);
	if (ret < 0)
		log_error("cannot keep in %s that draining is %s: %s; a restart forgets it",
			  e->state_dir, is_draining ? "on" : "off", strerror(-ret));
	return json_pack("{s:b, s:b, s:I, s:I, s:b}", "draining", is_draining, "kept", ret == 0,
			 "allocations", (json_int_t)turn_server_n_allocations(e->turn),
			 "alternate_servers", (json_int_t)e->config->n_alternates, "sfu",
			 e->sfu != NULL);
}

json_t *ctl_drain_on(struct ctl_call *call)
{
	return drain(call, true);
}

json_t *ctl_drain_off(struct ctl_call *call)
{
	return drain(call, false);
}
