// Reads what the instance and its realm are called. Main thread.
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "controlplane/config/reader.h"

bool config_is_printable(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			return false;
	return true;
}

int config_realm_name(struct config_reader *r, const char *text, char **out)
{
	if (!*text || strlen(text) > CONFIG_REALM_BYTES_MAX || !config_is_printable(text))
		return config_fail(r,
				   "the realm has %zu bytes; use 1 to %d printable ones, "
				   "usually the domain name",
				   strlen(text), CONFIG_REALM_BYTES_MAX);
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

int config_read_names(struct config_reader *r)
{
	const struct file_config *f = r->file;
	const char *instance = f->instance ? f->instance : "default";
	char quoted[CONFIG_QUOTE_BYTES];
	int ret;

	config_at(r, "instance");
	if (!*instance || strlen(instance) >= sizeof(r->config->instance) ||
	    instance[strspn(instance, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-")])
		return config_fail(r, "%s is no name; use 1 to %zu letters, digits, '-' and '_'",
				   config_quote(instance, quoted), sizeof(r->config->instance) - 1);
	strcpy(r->config->instance, instance);

	config_at(r, "realm");
	ret = config_realm_name(r, f->realm, &r->config->realm);
	if (ret < 0)
		return ret;
	r->config->software_attribute = f->software_attribute ? *f->software_attribute : true;
	r->config->rfc5766_channels = f->rfc5766_channels && *f->rfc5766_channels;
	return 0;
}
