// Reads the section redis: where the shared store of users stands. Main thread.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "controlplane/config/reader.h"

#define PORT               6379
#define DATABASES_MOST     65535
#define CACHE_S            60
#define STATISTICS_S       10
#define PASSWORD_BYTES_MAX 512

// "unix:/PATH", "redis://HOST[:PORT][/DATABASE]" or "HOST[:PORT]"; a password does not belong there.
static int read_url(struct config_reader *r, const char *url, struct config_redis *out)
{
	const char *host = url, *end, *port = NULL;
	unsigned long n;
	char *rest;

	config_at(r, "redis.url");
	if (strchr(url, '@'))
		return config_fail(r, "it holds a user or password; give them as 'user' and "
				      "'password_file'");
	if (strncmp(url, "unix:", 5) == 0) {
		if (url[5] != '/' || strlen(url + 5) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return config_fail(r,
					   "the path of the socket must start with / and have at "
					   "most 107 bytes");
		out->path = strdup(url + 5);
		return out->path ? 0 : -ENOMEM;
	}
	if (strncmp(url, "redis://", 8) == 0)
		host += 8;
	else if (strstr(url, "://"))
		return config_fail(r, "only redis:// and unix: are understood");
	if (*host == '[') {
		end = strchr(++host, ']');
		if (!end)
			return config_fail(r, "the address lacks its ]");
		port = end[1] == ':' ? end + 2 : NULL;
		rest = (char *)end + 1;
	} else {
		end = host + strcspn(host, ":/");
		port = *end == ':' ? end + 1 : NULL;
		rest = (char *)end;
	}
	out->port = PORT;
	if (port) {
		n = strtoul(port, &rest, 10);
		if (rest == port || n == 0 || n > 65535)
			return config_fail(r, "the port must be 1 to 65535");
		out->port = (uint16_t)n;
	}
	if (*rest == '/' && rest[1]) {
		const char *digits = rest + 1;

		n = strtoul(digits, &rest, 10);
		if (rest == digits || n > DATABASES_MOST)
			return config_fail(r, "the database behind / must be a number");
		out->database = (uint32_t)n;
	} else if (*rest == '/') {
		rest++;
	}
	if (*rest || end == host || !config_is_printable(url))
		return config_fail(r,
				   "write it as redis://127.0.0.1:6379/0 or unix:/run/redis.sock");
	out->host = strndup(host, (size_t)(end - host));
	return out->host ? 0 : -ENOMEM;
}

// The first line of the file.
static int read_password(struct config_reader *r, const char *path, struct config_redis *out)
{
	char line[PASSWORD_BYTES_MAX + 2], quoted[CONFIG_QUOTE_BYTES];
	FILE *file;
	int ret = 0;

	config_at(r, "redis.password_file");
	file = fopen(path, "re");
	if (!file)
		return config_fail(r, "%s cannot be read (%s); check its path, owner and mode",
				   config_quote(path, quoted), strerror(errno));
	setvbuf(file, NULL, _IONBF, 0); // no copy in a buffer of stdio's
	if (!fgets(line, sizeof(line), file) || line[0] == '\n')
		ret = config_fail(r, "%s is empty; its first line is the password",
				  config_quote(path, quoted));
	fclose(file);
	if (ret == 0) {
		line[strcspn(line, "\r\n")] = '\0';
		out->password = strdup(line);
		ret = out->password ? 0 : -ENOMEM;
	}
	explicit_bzero(line, sizeof(line));
	return ret;
}

int config_read_redis(struct config_reader *r)
{
	const struct file_redis *f = r->file->redis;
	struct config_redis *c = &r->config->redis;
	int ret;

	if (!f)
		return 0;
	c->is_enabled = true;
	ret = read_url(r, f->url, c);
	if (ret < 0)
		return ret;
	if (f->database) {
		config_at(r, "redis.database");
		ret = config_number(r, f->database, 0, 0, DATABASES_MOST, &c->database);
		if (ret < 0)
			return ret;
	}
	if (f->user) {
		config_at(r, "redis.user");
		if (!f->password_file)
			return config_fail(r, "a user needs a password; add 'password_file'");
		c->user = strdup(f->user);
		if (!c->user)
			return -ENOMEM;
	}
	if (f->password_file) {
		ret = read_password(r, f->password_file, c);
		if (ret < 0)
			return ret;
	}
	config_at(r, "redis.cache_seconds");
	ret = config_number(r, f->cache_seconds, CACHE_S, 1, 86400, &c->cache_s);
	if (ret < 0)
		return ret;
	config_at(r, "redis.statistics_seconds");
	ret = config_number(r, f->statistics_seconds, STATISTICS_S, 1, 3600, &c->statistics_s);
	if (ret < 0)
		return ret;
	c->publishes_statistics = f->statistics && *f->statistics;
	return 0;
}
