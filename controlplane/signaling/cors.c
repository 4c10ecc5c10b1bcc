// Cross-origin requests as the Fetch standard has them (RFC 9725 §4.1 asks for it): which origins may read responses,
// and the preflight's permissions. No cookies are ever used, so credentials mode is not offered. Control plane's
// loop thread.
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

#define PREFLIGHT_AGE_S "600"

// "*", the origin itself if it is on the list, or NULL.
static const char *allowed_origin(const struct signaling_settings *settings, const char *origin)
{
	for (uint32_t i = 0; i < settings->n_allow_origins; i++) {
		if (strcmp(settings->allow_origins[i], "*") == 0)
			return "*";
		if (origin != NULL && strcmp(settings->allow_origins[i], origin) == 0)
			return settings->allow_origins[i];
	}
	return NULL;
}

void signaling_cors(const struct signaling *s, const struct http_request *request,
		    struct http_response *response)
{
	const char *origin = allowed_origin(&s->settings, request->origin);
	const char *allow = http_response_header(response, "Allow");

	if (origin == NULL || strcmp(origin, "*") != 0)
		http_response_add(response, "Vary", "Origin");
	if (origin == NULL)
		return;
	http_response_add(response, "Access-Control-Allow-Origin", "%s", origin);
	if (request->method == HTTP_METHOD_OPTIONS && allow != NULL) {
		http_response_add(response, "Access-Control-Allow-Methods", "%s", allow);
		http_response_add(response, "Access-Control-Allow-Headers",
				  "Authorization, Content-Type, If-Match");
		http_response_add(response, "Access-Control-Max-Age", PREFLIGHT_AGE_S);
	}
	http_response_add(response, "Access-Control-Expose-Headers",
			  "Location, Link, ETag, Accept-Patch, Accept-Post, Retry-After, "
			  "WWW-Authenticate");
}
