// token new: signs a token with the first token secret of a configuration. Needs no control plane, but whoever may read
// the secrets.
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/config/config.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/lifetime.h"
#include "controlplane/signaling/token.h"

#define LIFETIME_S 3600

// 0, or the exit code after a message.
static int read_claims(const struct command *c, int64_t now_s, struct token_claims *out)
{
	long long lifetime_s = c->lifetime ? ctl_lifetime(c->lifetime) : LIFETIME_S;

	memset(out, 0, sizeof(*out));
	if (!c->room || (strcmp(c->room, "*") != 0 && !token_name_is_good(c->room)))
		return fail(EXIT_WRONG_USE,
			    "give --room NAME, of 1 to 63 letters, digits, '_', '.' and '-', or "
			    "--room '*' for all");
	if (c->participant && !token_name_is_good(c->participant))
		return fail(EXIT_WRONG_USE,
			    "--participant must be 1 to 63 letters, digits, '_', '.' and '-'");
	if (!c->may_publish && !c->is_watching)
		return fail(EXIT_WRONG_USE, "the token would grant nothing; give --publish, "
					    "--watch or both");
	if (lifetime_s < 0)
		return fail(EXIT_WRONG_USE,
			    "--lifetime %s is no time; write it as in 3600, 90m, 12h or 30d, at "
			    "most ten years",
			    c->lifetime);
	strcpy(out->room, c->room);
	if (c->participant)
		strcpy(out->participant, c->participant);
	out->may_publish = c->may_publish;
	out->may_watch = c->is_watching;
	out->expires_at_s = now_s + lifetime_s;
	return 0;
}

static void print(const struct command *c, const char *token, const struct token_claims *claims)
{
	json_t *all;

	if (!c->is_json) {
		puts(token);
		return;
	}
	all = json_pack("{s:s, s:s, s:s?, s:b, s:b, s:I}", "token", token, "room", claims->room,
			"participant", c->participant, "publish", claims->may_publish, "watch",
			claims->may_watch, "expires_at", (json_int_t)claims->expires_at_s);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int run_token_new(const struct command *c)
{
	const char *path = c->config ? c->config : CTL_CONFIG_PATH;
	int64_t now_s = time(NULL);
	struct token_claims claims;
	struct config *config = NULL;
	char error[512], *token = NULL;
	int code;

	code = read_claims(c, now_s, &claims);
	if (code != 0)
		return code;
	if (config_parse(path, &config, error, sizeof(error)) < 0)
		return fail(EXIT_WRONG_USE, "%s", error);
	code = EXIT_WRONG_USE;
	if (config->http.n_token_secrets == 0) {
		fail(code,
		     "%s: http.token_secrets is empty; add a secret (make one with: openssl "
		     "rand -hex 32) and reload",
		     path);
		goto out;
	}
	if (token_make(config->http.token_secrets[0], &claims, now_s, &token) < 0) {
		code = fail(EXIT_VERB_FAILED, "out of memory");
		goto out;
	}
	print(c, token, &claims);
	code = 0;
	OPENSSL_cleanse(token, strlen(token));
out:
	free(token);
	config_free(config);
	return code;
}
