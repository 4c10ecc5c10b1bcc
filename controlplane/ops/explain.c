// The verb `explain`: reads the question, walks the steps, says the verdict. Control plane's loop
// thread.
#include "controlplane/ops/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void note(struct explain *x, unsigned directions, const char *step, bool is_ok,
		 const char *reason, const char *text)
{
	static const char *const names[] = { "", "up", "down", "both" };

	json_array_append_new(x->steps,
			      json_pack("{s:s, s:s, s:b, s:s?, s:o}", "step", step, "direction",
					names[directions & 3], "ok", is_ok, "reason", reason,
					"text", ctl_text(text, strlen(text))));
}

void explain_pass(struct explain *x, unsigned directions, const char *step, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note(x, directions, step, true, NULL, text);
}

void explain_drop(struct explain *x, unsigned directions, const char *step, const char *reason,
		  const char *counter, const char *remedy, const char *format, ...)
{
	struct explain_outcome *outcome[] = { &x->up, &x->down };
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note(x, directions, step, false, reason, text);
	for (unsigned i = 0; i < 2; i++) {
		if (!(directions & 1u << i) || outcome[i]->reason)
			continue;
		outcome[i]->reason = reason;
		outcome[i]->counter = counter;
		snprintf(outcome[i]->text, sizeof(outcome[i]->text), "%s", text);
		snprintf(outcome[i]->remedy, sizeof(outcome[i]->remedy), "%s", remedy);
	}
}

// "IP" or "IP:PORT".
static int read_peer(struct ctl_call *call, struct explain *x)
{
	const char *text = NULL;

	if (ctl_arg_text(call, "peer", &text) < 0)
		return -1;
	if (!text)
		return 0;
	x->has_peer = ip_endpoint_parse(text, &x->peer) == 0 ||
		      ip_address_parse(text, &x->peer.address) == 0;
	if (x->has_peer)
		return 0;
	ctl_refuse(call, "bad_argument", "write it as 192.0.2.1:5000 or 192.0.2.1",
		   "argument 'peer' is neither IP:PORT nor an IP address");
	return -1;
}

static int read_question(struct ctl_call *call, struct explain *x)
{
	uint64_t channel = 0;

	if (ctl_arg_endpoint(call, "client", &x->client, &x->has_client) < 0 ||
	    ctl_arg_endpoint(call, "listener", &x->listener, &x->has_listener) < 0 ||
	    ctl_arg_endpoint(call, "relayed", &x->relayed, &x->has_relayed) < 0 ||
	    read_peer(call, x) < 0 || ctl_arg_number(call, "channel", 0xffff, &channel) < 0)
		return -1;
	x->channel = (uint16_t)channel;
	if (!x->has_client && !x->has_relayed) {
		ctl_refuse(call, "bad_argument", "name the client's IP:PORT as the relay sees it",
			   "neither 'client' nor 'relayed' is given");
		return -1;
	}
	return 0;
}

static json_t *outcome_object(const struct explain_outcome *o)
{
	return json_pack("{s:s, s:s?, s:s?, s:o, s:s?}", "verdict",
			 o->reason ? "dropped" : "relayed", "reason", o->reason, "counter",
			 o->counter, "text", ctl_text(o->text, strlen(o->text)), "remedy",
			 o->reason ? o->remedy : NULL);
}

static json_t *answer(struct explain *x)
{
	// What goes up comes first: without it the peer hardly ever learns where to answer.
	const struct explain_outcome *first = x->up.reason ? &x->up : &x->down;
	bool is_dropped = x->up.reason || x->down.reason;
	const char *direction = x->up.reason && x->down.reason ? "both"
				: x->up.reason                 ? "up"
							       : "down";
	const char *verdict = is_dropped ? "dropped" : x->has_peer ? "relayed" : "allocated";

	return json_pack(
		"{s:s, s:s?, s:s?, s:s?, s:o, s:s?, s:o, s:o, s:s?, s:o, s:o}", "verdict", verdict,
		"direction", is_dropped ? direction : NULL, "reason", first->reason, "counter",
		first->counter, "text",
		is_dropped ? ctl_text(first->text, strlen(first->text))
			   : json_string(x->has_peer ? "datagrams pass in both directions"
						     : "the allocation is alive; name a peer to "
						       "follow a datagram"),
		"remedy", is_dropped ? first->remedy : NULL, "up", outcome_object(&x->up), "down",
		outcome_object(&x->down), "allocation", x->has_allocation ? x->allocation.id : NULL,
		"relayed", x->has_allocation ? ctl_endpoint(&x->allocation.relayed) : json_null(),
		"steps", x->steps);
}

json_t *ctl_explain(struct ctl_call *call)
{
	struct explain x = { .call = call, .engine = call->engine, .now_ns = call->now_ns };

	if (read_question(call, &x) < 0)
		return NULL;
	x.steps = json_array();
	if (!x.steps)
		return NULL;
	explain_reception(&x);
	if (explain_allocation(&x))
		explain_peer(&x);
	return answer(&x);
}
