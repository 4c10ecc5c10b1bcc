// The handlers' copy of the configuration. Control plane's loop thread.
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/signaling/signaling_private.h"

static void wipe_text(char *text)
{
	if (text != NULL)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static void wipe_list(char **list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		wipe_text(list[i]);
	free(list);
}

static int copy_list(const char *const *from, uint32_t n, char ***out, uint32_t *out_n)
{
	if (n == 0)
		return 0;
	*out = calloc(n, sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	for (; *out_n < n; (*out_n)++) {
		(*out)[*out_n] = strdup(from[*out_n]);
		if ((*out)[*out_n] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int copy_text(const char *from, char **out)
{
	*out = from != NULL ? strdup(from) : NULL;
	return from == NULL || *out != NULL ? 0 : -ENOMEM;
}

int signaling_settings_copy(const struct signaling_config *c, struct signaling_settings *out)
{
	memset(out, 0, sizeof(*out));
	out->requires_tokens = c->requires_tokens;
	out->turn_lifetime_s = c->turn_lifetime_s;
	if (copy_list(c->token_secrets, c->n_token_secrets, &out->token_secrets,
		      &out->n_token_secrets) < 0 ||
	    copy_list(c->turn_urls, c->n_turn_urls, &out->turn_urls, &out->n_turn_urls) < 0 ||
	    copy_list(c->allow_origins, c->n_allow_origins, &out->allow_origins,
		      &out->n_allow_origins) < 0 ||
	    copy_text(c->turn_secret, &out->turn_secret) < 0 ||
	    copy_text(c->redirect, &out->redirect) < 0) {
		signaling_settings_wipe(out);
		return -ENOMEM;
	}
	return 0;
}

void signaling_settings_wipe(struct signaling_settings *settings)
{
	wipe_list(settings->token_secrets, settings->n_token_secrets);
	wipe_list(settings->turn_urls, settings->n_turn_urls);
	wipe_list(settings->allow_origins, settings->n_allow_origins);
	wipe_text(settings->turn_secret);
	wipe_text(settings->redirect);
	memset(settings, 0, sizeof(*settings));
}
