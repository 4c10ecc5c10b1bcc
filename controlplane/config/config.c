// Loads the configuration file: bytes, tree, schema, then theme by theme. Main thread.
#include "controlplane/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/config/reader.h"

#define FILE_BYTES_MAX (64u << 20)

void config_at(struct config_reader *r, const char *key_format, ...)
{
	va_list args;

	va_start(args, key_format);
	vsnprintf(r->fault->key, sizeof(r->fault->key), key_format, args);
	va_end(args);
}

int config_fail(struct config_reader *r, const char *format, ...)
{
	va_list args;

	r->fault->line = config_document_line(r->document, r->fault->key);
	va_start(args, format);
	vsnprintf(r->fault->text, sizeof(r->fault->text), format, args);
	va_end(args);
	return -EINVAL;
}

const char *config_quote(const char *text, char out[CONFIG_QUOTE_BYTES])
{
	size_t n = 0;

	out[n++] = '\'';
	for (; *text && n < CONFIG_QUOTE_BYTES - 5; text++)
		out[n++] = iscntrl((unsigned char)*text) ? '?' : *text;
	strcpy(out + n, *text ? "...'" : "'");
	return out;
}

int config_number(struct config_reader *r, const uint32_t *given, uint32_t fallback, uint32_t min,
		  uint32_t max, uint32_t *out)
{
	*out = given ? *given : fallback;
	if (*out >= min && *out <= max)
		return 0;
	return config_fail(r, "%u is out of range; use %u to %u", *out, min, max);
}

static int read_bytes(const char *path, uint8_t **out, size_t *out_bytes,
		      struct config_fault *fault)
{
	uint8_t *bytes = NULL;
	struct stat st;
	size_t n = 0;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		snprintf(fault->text, sizeof(fault->text), "cannot be read (%s); %s",
			 strerror(-ret),
			 ret == -ENOENT ? "give its path with --config"
					: "check its owner and mode");
		return ret;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		snprintf(fault->text, sizeof(fault->text),
			 "no regular file below %u MiB; give the path of the YAML file",
			 FILE_BYTES_MAX >> 20);
		ret = -EINVAL;
		goto fail_close;
	}
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes) {
		ret = -ENOMEM;
		goto fail_close;
	}
	while (n < (size_t)st.st_size) {
		ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ret = -errno;
			goto fail_free;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	*out = bytes;
	*out_bytes = n;
	return 0;

fail_free:
	free(bytes);
fail_close:
	close(fd);
	return ret;
}

// libcyaml's allocations hold secrets while the file is read, so they are wiped before they are
// freed. It tells no sizes when it frees; a word in front of each block keeps them.
static void *wiping_realloc(void *ctx, void *ptr, size_t size)
{
	size_t *old = ptr ? (size_t *)ptr - 2 : NULL;
	size_t *block = NULL;

	if (size > 0) {
		block = malloc(size + 2 * sizeof(size_t));
		if (!block)
			return NULL;
		block[0] = size;
		if (old)
			memcpy(block + 2, ptr, *old < size ? *old : size);
	}
	if (old) {
		OPENSSL_cleanse(ptr, *old);
		free(old);
	}
	return block ? block + 2 : NULL;
}

static const cyaml_config_t cyaml_settings = {
	.log_fn = NULL, // the document's own check says what is wrong, with its line
	.mem_fn = wiping_realloc,
	.log_level = CYAML_LOG_ERROR,
	.flags = CYAML_CFG_NO_ALIAS,
};

static int read_all(struct config_reader *r)
{
	static int (*const readers[])(struct config_reader *) = {
		config_read_names,         config_read_credentials, config_read_realms,
		config_read_redis,         config_read_listeners,   config_read_relay,
		config_read_peers,         config_read_workers,     config_read_ports,
		config_read_limits,        config_read_sfu,         config_read_auth,
		config_read_http,          config_read_streams,     config_read_tcp_relay,
		config_read_nat_discovery, config_read_alternates,
	};

	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		int ret = readers[i](r);

		if (ret < 0)
			return ret;
	}
	return 0;
}

static int parse(const uint8_t *bytes, size_t n_bytes, struct config **out,
		 struct config_fault *fault)
{
	struct config_document *document = NULL;
	struct file_config *file = NULL;
	struct config_reader r;
	cyaml_err_t err;
	int ret;

	ret = config_document_parse(bytes, n_bytes, &document, fault);
	if (ret < 0)
		return ret;
	ret = config_document_check(document, &config_schema, fault);
	if (ret < 0)
		goto out_document;
	err = cyaml_load_data(bytes, n_bytes, &cyaml_settings, &config_schema,
			      (cyaml_data_t **)&file, NULL);
	if (err != CYAML_OK) {
		fault->line = 1;
		snprintf(fault->text, sizeof(fault->text),
			 "does not fit the schema (%s); compare it with turnpike.yaml(5)",
			 cyaml_strerror(err));
		ret = err == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
		goto out_document;
	}
	r = (struct config_reader){ .document = document, .file = file, .fault = fault };
	r.config = calloc(1, sizeof(*r.config));
	ret = r.config ? read_all(&r) : -ENOMEM;
	if (ret < 0) {
		config_free(r.config);
		goto out_file;
	}
	*out = r.config;

out_file:
	cyaml_free(&cyaml_settings, &config_schema, file, 0);
out_document:
	config_document_free(document);
	return ret;
}

// What a fault quotes of the file stays on its one line, whatever a quoted key or value holds.
static void keep_on_one_line(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

int config_parse(const char *path, struct config **out, char *error, size_t error_bytes)
{
	struct config_fault fault = { .line = 0 };
	uint8_t *bytes = NULL;
	size_t n_bytes = 0;
	int ret;

	*out = NULL;
	ret = read_bytes(path, &bytes, &n_bytes, &fault);
	if (ret == 0) {
		ret = parse(bytes, n_bytes, out, &fault);
		OPENSSL_cleanse(bytes, n_bytes);
		free(bytes);
	}
	if (ret == -ENOMEM)
		snprintf(error, error_bytes, "%s: out of memory while reading it", path);
	else if (ret < 0 && fault.line == 0)
		snprintf(error, error_bytes, "%s: %s", path, fault.text);
	else if (ret < 0)
		snprintf(error, error_bytes, "%s:%u: %s%s%s", path, fault.line, fault.key,
			 *fault.key ? ": " : "", fault.text);
	if (ret < 0)
		keep_on_one_line(error);
	return ret;
}

int config_load(const char *path, struct config **out, char *error, size_t error_bytes)
{
	int ret;

	ret = config_parse(path, out, error, error_bytes);
	if (ret < 0)
		return ret;
	ret = config_resolve_host(*out, path, error, error_bytes);
	if (ret < 0) {
		config_free(*out);
		*out = NULL;
	}
	return ret;
}

static void free_secret(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

static void free_texts(char **texts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free_secret(texts[i]);
	free(texts);
}

static void free_http(struct config_http *c)
{
	free_texts(c->token_secrets, c->n_token_secrets);
	free_texts(c->allow_origins, c->n_allow_origins);
	free_texts(c->turn_urls, c->n_turn_urls);
	free(c->listeners);
	free(c->certificate);
	free(c->key);
	free(c->redirect);
}

static void free_users(struct config_user *users, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		free(users[i].name);
	if (users)
		OPENSSL_cleanse(users, n * sizeof(*users));
	free(users);
}

static void free_realms(struct config *c)
{
	free_users(c->users, c->n_users);
	free_texts(c->rest_secrets, c->n_rest_secrets);
	free(c->realm);
	for (uint32_t i = 0; i < c->n_realms; i++) {
		free_users(c->realms[i].users, c->realms[i].n_users);
		free_texts(c->realms[i].rest_secrets, c->realms[i].n_rest_secrets);
		free(c->realms[i].name);
	}
	free(c->realms);
}

static void free_redis(struct config_redis *c)
{
	free(c->path);
	free(c->host);
	free(c->user);
	free_secret(c->password);
}

static void free_oauth(struct config_oauth *c)
{
	for (uint32_t i = 0; i < c->n_keys; i++)
		free(c->keys[i].kid);
	if (c->keys)
		OPENSSL_cleanse(c->keys, c->n_keys * sizeof(*c->keys));
	free(c->keys);
	free(c->server_name);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	free_realms(c);
	free_redis(&c->redis);
	free_secret(c->nonce_secret);
	free_oauth(&c->oauth);
	free(c->listeners);
	free(c->stream_listeners);
	free(c->tls.certificate);
	free(c->tls.key);
	for (uint32_t i = 0; i < c->n_alternates; i++)
		free(c->alternates[i].domain);
	free(c->alternates);
	free(c->relays);
	free(c->peer_rules);
	free(c->ports);
	free_http(&c->http);
	free(c);
}
