// filter: what the XDP filter is configured to do, where it is attached, and what it counted.
// Control plane's loop thread.
#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "bpf/filter.h"
#include "controlplane/ops/ctl_verbs.h"

static json_t *attachments_array(const struct engine *e)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < e->tables.settings.n_ports; i++) {
		const struct shm_port_settings *p = &e->tables.settings.port[i];
		struct xdp_filter_attachment a = { .mode = XDP_FILTER_MODE_NONE };
		uint32_t ifindex;

		if (p->kernel_path != SHM_KERNEL_PATH_BESIDE)
			continue;
		ifindex = if_nametoindex(p->interface);
		if (ifindex)
			xdp_filter_query(e->run_dir, (int)ifindex, &a);
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:b, s:b, s:b, s:I}", "interface",
					 p->interface, "mode", xdp_filter_mode_name(a.mode), "ours",
					 a.is_ours, "instances", a.is_instances, "guard",
					 a.guard_attached, "program_id", (json_int_t)a.program_id));
	}
	return array;
}

static json_t *settings_object(struct xdp_filter *f)
{
	struct xdp_filter_settings s;

	if (xdp_filter_settings_read(f, &s) < 0)
		return json_null();
	return json_pack("{s:b, s:o, s:o, s:i, s:i}", "answers_binding",
			 (s.flags & XDP_FILTER_F_ANSWER_BINDING) != 0, "rate_per_sec",
			 ctl_counter(s.rate_per_sec), "rate_burst", ctl_counter(s.rate_burst),
			 "rate_prefix_v4", (int)s.rate_prefix_v4, "rate_prefix_v6",
			 (int)s.rate_prefix_v6);
}

json_t *ctl_filter(struct ctl_call *call)
{
	const struct engine *e = call->engine;
	uint64_t counter[XDP_COUNTER_COUNT];
	json_t *counters;

	if (e->filter_state == ENGINE_FILTER_UNUSED)
		return ctl_refuse(
			call, "not_used",
			"the filter stands in front of af_xdp ports; see: turnpikectl status",
			"no port of this instance has an XDP filter");
	if (!e->filter)
		return ctl_refuse(call, "filter_failed", "restart the control plane as root",
				  "the filter's maps are not open: %s", e->filter_error);
	if (xdp_filter_counters_read(e->filter, counter) < 0)
		return ctl_refuse(call, "filter_failed", "restart the control plane",
				  "the filter's counters cannot be read");
	counters = json_array();
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++)
		json_array_append_new(counters,
				      json_pack("{s:s, s:s, s:o}", "counter", xdp_counter_name(i),
						"text", xdp_counter_text(i), "pkts",
						ctl_counter(counter[i])));
	return json_pack("{s:o, s:o, s:o}", "interfaces", attachments_array(e), "settings",
			 settings_object(e->filter), "counters", counters);
}
