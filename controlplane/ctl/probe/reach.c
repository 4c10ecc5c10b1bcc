// Is the server there, over each transport: Binding requests (RFC 8489 §12), their round trips, and the address that the
// server sees. See probe.h.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/ctl/probe/probe.h"

#define N_BINDINGS 20

int probe_open(struct probe *p, enum probe_transport t, struct probe_link *l, char *why,
	       size_t why_bytes)
{
	SSL_CTX **tls = t == PROBE_DTLS ? &p->dtls : &p->tls;

	l->fd = -1;
	l->ssl = NULL;
	if ((t == PROBE_TLS || t == PROBE_DTLS) && !*tls) {
		*tls = probe_tls_context(t, p->ca, p->url.is_turn, why, why_bytes);
		if (!*tls)
			return -EINVAL;
	}
	return probe_link_open(l, t, &p->server, p->url.is_numeric ? NULL : p->url.host, *tls, why,
			       why_bytes);
}

static const char *unreachable_remedy(enum probe_transport t, int error)
{
	if (error == -ECONNREFUSED)
		return "nothing listens on that port: is the server running, and is the port "
		       "right?";
	if (error == -ENETUNREACH || error == -EHOSTUNREACH)
		return "this host has no route there: try a host with that kind of address (IPv4 "
		       "or "
		       "IPv6), or another address of the server";
	if (error == -EPROTO)
		return t == PROBE_DTLS
			       ? "the server speaks no DTLS there; use TLS (turns: over TCP)"
			       : "the port speaks no TLS: check the listener, and whatever "
				 "stands before it";
	if (error == -EINVAL)
		return "give --ca a file of PEM certificates";
	return "see whether a firewall, here or there, keeps the packets off: open the port for "
	       "that "
	       "transport";
}

static void unreachable(struct probe *p, enum probe_transport t, bool is_asked, const char *check,
			int error, const char *why)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	ip_endpoint_format(&p->server, text, sizeof(text));
	if (is_asked)
		probe_failed(&p->report, check, NULL, unreachable_remedy(t, error),
			     "%s over %s: %s", text, probe_transport_name(t), why);
	else
		probe_note(&p->report, check, NULL, "%s over %s: %s (not asked for)", text,
			   probe_transport_name(t), why);
}

static bool answered(struct probe *p, const struct probe_link *l, const char *check,
		     const struct stun_view *answer, uint64_t *rtt_ns, uint32_t n)
{
	char mapped_text[IP_ENDPOINT_TEXT_MAX], local_text[IP_ENDPOINT_TEXT_MAX],
		server_text[IP_ENDPOINT_TEXT_MAX];
	struct ip_endpoint mapped;
	struct stun_attr a;
	json_t *values;

	ip_endpoint_format(&p->server, server_text, sizeof(server_text));
	if (answer->type != STUN_BINDING_SUCCESS ||
	    !stun_attr_find(answer, STUN_ATTR_XOR_MAPPED_ADDRESS, &a) ||
	    stun_xor_address_get(answer, &a, &mapped) < 0) {
		probe_failed(&p->report, check, NULL, "is it a STUN server? see its log",
			     "%s answers Binding with error %u", server_text,
			     probe_error_code(answer));
		return false;
	}
	ip_endpoint_format(&mapped, mapped_text, sizeof(mapped_text));
	ip_endpoint_format(&l->local, local_text, sizeof(local_text));
	values = probe_percentiles(rtt_ns, n);
	json_object_set_new(values, "server", json_string(server_text));
	json_object_set_new(values, "local", json_string(local_text));
	json_object_set_new(values, "mapped", json_string(mapped_text));
	json_object_set_new(values, "answers", json_integer(n));
	probe_ok(&p->report, check, values,
		 "%s over %s answers in %.3f ms (p50; p90 %.3f, max %.3f), sees us as %s%s",
		 server_text, probe_transport_name(l->transport),
		 json_number_value(json_object_get(values, "p50_ms")),
		 json_number_value(json_object_get(values, "p90_ms")),
		 json_number_value(json_object_get(values, "max_ms")), mapped_text,
		 ip_endpoint_equal(&mapped, &l->local) ? ", which we are" : "");
	return true;
}

bool probe_reach(struct probe *p, enum probe_transport t, bool is_asked)
{
	static const char *const name[] = { "reach udp", "reach tcp", "reach tls", "reach dtls" };
	uint8_t message[PROBE_BINDING_MAX], buffer[PROBE_MESSAGE_MAX], id[12];
	uint64_t rtt_ns[N_BINDINGS];
	struct probe_link link;
	struct stun_view answer;
	uint32_t n = 0;
	char why[160] = "";
	bool works;
	int ret;

	ret = probe_open(p, t, &link, why, sizeof(why));
	if (ret < 0) {
		unreachable(p, t, is_asked, name[t], ret, why);
		return false;
	}
	while (n < N_BINDINGS) {
		ret = probe_transact(&link, message, probe_binding_build(0, id, message), buffer,
				     sizeof(buffer), &answer, &rtt_ns[n]);
		if (ret < 0)
			break;
		n++;
	}
	if (n > 0) {
		works = answered(p, &link, name[t], &answer, rtt_ns, n);
		if (is_asked && link.ssl)
			probe_certificate(p, &link);
	} else {
		unreachable(p, t, is_asked, name[t], ret,
			    ret == -ETIMEDOUT ? "no answer to STUN Binding" : strerror(-ret));
		works = false;
	}
	probe_link_close(&link);
	return works;
}
