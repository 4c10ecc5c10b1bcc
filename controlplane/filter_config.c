// Listeners, relay addresses and limits, as bpf/filter.h takes them. Control plane's loop thread.
#include "controlplane/filter_config.h"

#include <stdio.h>
#include <string.h>

#include "bpf/filter.h"
#include "controlplane/engine.h"
#include "controlplane/ops/log.h"

static bool needs_filter(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_ports; i++) {
		if (strncmp(config->ports[i].settings.device, "net_af_xdp", 10) == 0)
			return true;
	}
	return false;
}

static void fail(struct engine *e, const struct xdp_filter_error *why)
{
	e->filter_state = ENGINE_FILTER_FAILED;
	snprintf(e->filter_error, sizeof(e->filter_error), "%s", why->text);
	log_warning("XDP filter not configured: %s; AF_XDP ports get no traffic from it, and a "
		    "dataplane cannot start on them until this is mended",
		    why->text);
}

void filter_config_apply(struct engine *e)
{
	struct xdp_filter_config_listener listeners[SHM_LISTENERS_MAX];
	struct xdp_filter_config_relay relays[SHM_LOCALS_MAX];
	const struct config *config = e->config;
	struct xdp_filter_config filter = {
		.listeners = listeners,
		.relays = relays,
		.answer_binding = config->filter_answers_stun,
		.rate_per_sec = config->filter_stun_per_source_per_sec,
		.rate_burst = config->filter_stun_burst_pkts,
		.answer_credit_bytes = config->filter_answer_credit_bytes,
	};
	struct xdp_filter_error why = { 0 };

	if (e->filter == NULL)
		return;
	for (uint32_t i = 0; i < config->n_listeners && i < SHM_LISTENERS_MAX; i++) {
		const struct config_listener *l = &config->listeners[i];

		listeners[filter.n_listeners++] = (struct xdp_filter_config_listener){
			.endpoint = l->endpoint,
			.other = l->has_other ? config->listeners[l->other_idx].endpoint
					      : (struct ip_endpoint){ .port_be = 0 },
			// Channel numbers above RFC 8656's look like what RFC 9443 gives to QUIC. Checks
			// of ICE are STUN requests that only the worker can answer, and the filter leaves
			// all that carry a USERNAME to it.
			.accept = XDP_ACCEPT_TURN |
				  (config->rfc5766_channels ? XDP_ACCEPT_QUIC : 0) |
				  (config->tls.takes_dtls ? XDP_ACCEPT_DTLS : 0) |
				  (config->sfu.is_enabled ? XDP_ACCEPT_DTLS | XDP_ACCEPT_RTP : 0),
		};
	}
	for (uint32_t i = 0; i < config->n_relays && i < SHM_LOCALS_MAX; i++) {
		relays[filter.n_relays++] = (struct xdp_filter_config_relay){
			.address = config->relays[i].address,
			.port_min = config->relay_port_min,
			.port_max = config->relay_port_max,
		};
	}
	if (xdp_filter_configure(e->filter, &filter, &why) < 0) {
		fail(e, &why);
		return;
	}
	e->filter_state = ENGINE_FILTER_CONFIGURED;
	e->filter_error[0] = '\0';
}

void filter_config_start(struct engine *e)
{
	struct xdp_filter_error why = { 0 };

	if (!needs_filter(e->config))
		return;
	if (xdp_filter_mount(e->run_dir, &why) < 0 ||
	    xdp_filter_open(e->run_dir, &e->filter, &why) < 0) {
		e->filter = NULL;
		fail(e, &why);
		return;
	}
	filter_config_apply(e);
}

void filter_config_stop(struct engine *e)
{
	if (e->filter != NULL)
		xdp_filter_close(e->filter);
	e->filter = NULL;
}
