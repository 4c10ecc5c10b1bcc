// Parses requests, runs verbs, writes answers. Control plane's loop thread.
#include "controlplane/ops/ctl_request.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ops/ctl_server.h"
#include "controlplane/ops/ctl_verbs.h"

const struct ctl_verb ctl_verbs[] = {
	{ "status", ctl_status, "" },
	{ "allocations", ctl_allocations, "user peer client limit" },
	{ "allocation show", ctl_allocation_show, "id" },
	{ "allocation kill", ctl_allocation_kill, "id" },
	{ "workers", ctl_workers, "" },
	{ "drops", ctl_drops, "" },
	{ "stats", ctl_stats, "" },
	{ "filter", ctl_filter, "" },
	{ "explain", ctl_explain, "client peer channel listener relayed" },
	{ "rooms", ctl_rooms, "limit" },
	{ "sessions", ctl_sessions, "room limit" },
	{ "session kill", ctl_session_kill, "id" },
	{ "why", ctl_why, "id" },
	{ "user list", ctl_user_list, "realm limit" },
	{ "user show", ctl_user_show, "id realm" },
	{ "user kill", ctl_user_kill, "id realm" },
	{ "user forget", ctl_user_forget, "id realm" },
	{ "config show", ctl_config_show, "" },
	{ "reload", ctl_reload, "" },
	{ "drain on", ctl_drain_on, "" },
	{ "drain off", ctl_drain_off, "" },
	{ "version", ctl_version, "" },
	{ NULL, NULL, NULL },
};

json_t *ctl_refuse(struct ctl_call *call, const char *code, const char *remedy, const char *format,
		   ...)
{
	va_list args;

	snprintf(call->error_code, sizeof(call->error_code), "%s", code);
	snprintf(call->error_remedy, sizeof(call->error_remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(call->error_message, sizeof(call->error_message), format, args);
	va_end(args);
	return NULL;
}

// ---- arguments

int ctl_arg_text(struct ctl_call *call, const char *name, const char **out)
{
	const json_t *v = json_object_get(call->args, name);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v)) {
		ctl_refuse(call, "bad_argument", "put it in quotation marks",
			   "argument '%s' is no text", name);
		return -EINVAL;
	}
	*out = json_string_value(v);
	return 0;
}

int ctl_arg_number(struct ctl_call *call, const char *name, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(call->args, name);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max) {
		ctl_refuse(call, "bad_argument", "give a whole number within that range",
			   "argument '%s' is no number from 0 to %lu", name, (unsigned long)max);
		return -EINVAL;
	}
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

int ctl_arg_endpoint(struct ctl_call *call, const char *name, struct ip_endpoint *out,
		     bool *is_given)
{
	const char *text = NULL;

	*is_given = false;
	if (ctl_arg_text(call, name, &text) < 0)
		return -EINVAL;
	if (!text)
		return 0;
	if (ip_endpoint_parse(text, out) < 0) {
		ctl_refuse(call, "bad_argument", "write it as 192.0.2.1:3478 or [2001:db8::1]:3478",
			   "argument '%s' is no IP:PORT", name);
		return -EINVAL;
	}
	*is_given = true;
	return 0;
}

// ---- values

json_t *ctl_text(const char *bytes, size_t n_bytes)
{
	json_t *v = json_stringn(bytes, n_bytes);
	char *escaped, *at;

	if (v)
		return v;
	escaped = malloc(4 * n_bytes + 1);
	if (!escaped)
		return NULL;
	at = escaped;
	for (size_t i = 0; i < n_bytes; i++) {
		unsigned char c = (unsigned char)bytes[i];

		at += sprintf(at, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
	}
	v = json_stringn(escaped, (size_t)(at - escaped));
	free(escaped);
	return v;
}

json_t *ctl_endpoint(const struct ip_endpoint *e)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	return json_string(ip_endpoint_format(e, text, sizeof(text)));
}

json_t *ctl_address(const struct ip_address *a)
{
	char text[IP_ENDPOINT_TEXT_MAX];

	return json_string(ip_address_format(a, text, sizeof(text)));
}

json_t *ctl_mac(const uint8_t mac[6])
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			    mac[5]);
}

json_t *ctl_seconds(uint64_t from_ns, uint64_t to_ns)
{
	int64_t ms = (int64_t)(to_ns - from_ns) / 1000000;

	return json_real((double)ms / 1000);
}

json_t *ctl_counter(uint64_t value)
{
	// JSON numbers of ours are signed; a counter that reaches this stays there.
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

// ---- requests

// Takes over result.
static char *answer_ok(json_t *result)
{
	json_t *answer = json_pack("{s:i, s:b, s:o}", "version", CTL_PROTOCOL_VERSION, "ok", 1,
				   "result", result);
	char *line = answer ? json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

	json_decref(answer);
	return line;
}

static char *answer_error(const char *code, const char *message, const char *remedy)
{
	json_t *answer = json_pack("{s:i, s:b, s:{s:s, s:o, s:s}}", "version", CTL_PROTOCOL_VERSION,
				   "ok", 0, "error", "code", code, "message",
				   ctl_text(message, strlen(message)), "remedy", remedy);
	char *line = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	return line;
}

char *ctl_request_refuse_long(void)
{
	return answer_error("too_long", "the request is longer than 65536 bytes",
			    "send one JSON object per line");
}
_Static_assert(CTL_LINE_BYTES_MAX == 65536, "said in the sentence above");

static bool takes_argument(const struct ctl_verb *verb, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = verb->args; *p;) {
		size_t word = strcspn(p, " ");

		if (word == n && strncmp(p, name, n) == 0)
			return true;
		p += word + (p[word] == ' ');
	}
	return false;
}

static char *run(struct engine *engine, const struct ctl_verb *verb, json_t *args)
{
	struct ctl_call call = { .engine = engine, .args = args, .now_ns = engine_now_ns() };
	const char *name;
	json_t *value, *result;

	json_object_foreach(args, name, value)
	{
		char remedy[160];

		if (takes_argument(verb, name))
			continue;
		snprintf(remedy, sizeof(remedy), "it takes: %s",
			 *verb->args ? verb->args : "no arguments");
		return answer_error("bad_argument", "the verb does not take that argument", remedy);
	}
	result = verb->run(&call);
	if (result)
		return answer_ok(result);
	if (!call.error_code[0])
		return NULL;
	return answer_error(call.error_code, call.error_message, call.error_remedy);
}

static char *handle(struct engine *engine, json_t *request)
{
	const json_t *version = json_object_get(request, "version");
	const char *name = json_string_value(json_object_get(request, "verb"));
	json_t *args = json_object_get(request, "args");
	json_t *no_args = NULL;
	char *answer = NULL;

	if (!json_is_integer(version) || json_integer_value(version) != CTL_PROTOCOL_VERSION)
		return answer_error("version",
				    "this control plane speaks version 1 of the protocol",
				    "use the turnpikectl that was installed with it");
	if (!name)
		return answer_error("bad_request", "the request names no verb",
				    "send {\"version\":1,\"verb\":\"status\"}");
	if (args && !json_is_object(args))
		return answer_error("bad_request", "args is no object",
				    "send \"args\":{} or leave it out");
	if (!args)
		args = no_args = json_object();
	for (const struct ctl_verb *v = ctl_verbs; args && v->name; v++) {
		if (strcmp(v->name, name) != 0)
			continue;
		answer = run(engine, v, args);
		json_decref(no_args);
		return answer;
	}
	json_decref(no_args);
	return args ? answer_error("unknown_verb", "this control plane knows no such verb",
				   "see: turnpikectl --help")
		    : NULL;
}

char *ctl_request_handle(struct engine *engine, const char *line, size_t n_bytes)
{
	json_error_t error;
	json_t *request = json_loadb(line, n_bytes, JSON_REJECT_DUPLICATES, &error);
	char *answer;

	if (!request) {
		char message[JSON_ERROR_TEXT_LENGTH + 64];

		if (json_error_code(&error) == json_error_out_of_memory)
			return NULL;
		snprintf(message, sizeof(message), "no valid JSON at byte %d: %s", error.position,
			 error.text);
		return answer_error("bad_json", message, "send one JSON object per line");
	}
	if (json_is_object(request))
		answer = handle(engine, request);
	else
		answer = answer_error("bad_request", "the request is no JSON object",
				      "send {\"version\":1,\"verb\":\"status\"}");
	json_decref(request);
	return answer;
}
