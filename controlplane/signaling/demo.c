// The demo pages, which are part of the program. Control plane's loop thread.
#include <stdlib.h>
#include <string.h>

#include "controlplane/signaling/demo_files.h"
#include "controlplane/signaling/signaling_private.h"

// Nothing from elsewhere, nothing inline; calls may go to any WHIP server over HTTPS.
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "          \
	"media-src 'self' blob: mediastream:; connect-src 'self' https:; base-uri 'none'; "        \
	"form-action 'none'; frame-ancestors 'none'"

static const struct demo_file *find(const char *name)
{
	for (size_t i = 0; i < demo_n_files; i++)
		if (strcmp(demo_files[i].name, name) == 0)
			return &demo_files[i];
	return NULL;
}

void signaling_demo(const struct http_request *request, struct http_response *response)
{
	const struct demo_file *file = find(request->path + strlen("/demo/"));
	char *body;

	if (file == NULL) {
		http_response_text(response, 404, "there is no such page; begin at /demo/");
		return;
	}
	if (!http_is_read(request, response))
		return;
	body = malloc(file->n_bytes + 1);
	if (body == NULL) {
		http_response_text(response, 503, "out of memory; try again");
		return;
	}
	memcpy(body, file->bytes, file->n_bytes);
	http_response_body(response, 200, file->content_type, body, file->n_bytes);
	// Pages change with the program only, but nobody should have to think of that.
	http_response_add(response, "Cache-Control", "no-cache");
	http_response_add(response, "Content-Security-Policy", POLICY);
	http_response_add(response, "Referrer-Policy", "no-referrer");
	http_response_add(response, "Permissions-Policy", "camera=(self), microphone=(self)");
}
