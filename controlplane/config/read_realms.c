// Reads the realms beside the default one: each with users, secrets and quotas of its own. Their
// rules about peers are read with the others. Main thread.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"

static int read_realm(struct config_reader *r, uint32_t i)
{
	const struct file_realm *f = &r->file->realms[i];
	struct config *c = r->config;
	struct config_realm *realm = &c->realms[i];
	char prefix[32], quoted[CONFIG_QUOTE_BYTES];
	int ret;

	c->n_realms = i + 1; // now, so that keys are wiped whatever fails
	config_at(r, "realms[%u].name", i);
	ret = config_realm_name(r, f->name, &realm->name);
	if (ret < 0)
		return ret;
	for (uint32_t j = 0; j <= i; j++) {
		const char *other = j == 0 ? c->realm : c->realms[j - 1].name;

		if (strcmp(other, realm->name) == 0)
			return config_fail(r, "%s is %s; give each realm a name of its own",
					   config_quote(f->name, quoted),
					   j == 0 ? "the default realm" : "listed twice");
	}
	config_at(r, "realms[%u]", i);
	if (f->n_users == 0 && f->n_rest_secrets == 0 && !r->file->redis)
		return config_fail(r, "nobody could allocate in it; add 'users', 'rest_secrets' or "
				      "the section 'redis'");
	snprintf(prefix, sizeof(prefix), "realms[%u].", i);
	ret = config_realm_credentials(r, prefix, f->users, f->n_users, f->rest_secrets,
				       f->n_rest_secrets, realm);
	if (ret < 0 || !f->quota)
		return ret;
	config_at(r, "realms[%u].quota.total", i);
	ret = config_number(r, f->quota->total, 0, 0, UINT32_MAX, &realm->quota_total);
	if (ret < 0)
		return ret;
	config_at(r, "realms[%u].quota.per_user", i);
	return config_number(r, f->quota->per_user, 0, 0, UINT32_MAX, &realm->quota_per_user);
}

int config_read_realms(struct config_reader *r)
{
	uint32_t n = r->file->n_realms;

	if (n == 0)
		return 0;
	config_at(r, "realms");
	if (n >= SHM_REALMS_MAX)
		return config_fail(r, "%u realms; at most %d beside the default one are possible",
				   n, SHM_REALMS_MAX - 1);
	r->config->realms = calloc(n, sizeof(*r->config->realms));
	if (!r->config->realms)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int ret = read_realm(r, i);

		if (ret < 0)
			return ret;
	}
	return 0;
}

int config_realm_find(struct config_reader *r, const char *name, uint8_t *out)
{
	const struct config *c = r->config;
	char quoted[CONFIG_QUOTE_BYTES];

	*out = 0;
	if (!name || strcmp(name, c->realm) == 0)
		return 0;
	for (uint32_t i = 0; i < c->n_realms; i++) {
		if (strcmp(name, c->realms[i].name) == 0) {
			*out = (uint8_t)(i + 1);
			return 0;
		}
	}
	return config_fail(r, "%s is neither the default realm nor one of 'realms'; add it there",
			   config_quote(name, quoted));
}
