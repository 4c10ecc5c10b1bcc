// user key, user add, user remove: keys of users as the file and the shared store hold them. The password comes from
// standard input, never from the command line, where everybody sees it.
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "controlplane/config/config.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/connection.h"
#include "controlplane/ctl/shared_store.h"
#include "controlplane/turn/password_key.h"
#include "dataplane/contract/shm/allocation_table.h"

#define PASSWORD_BYTES_MAX 512
#define HEX_BYTES_MAX      (2 * TURN_KEY_BYTES_MAX + 1)

// One line, without echo where a person types. 0, or -1 after a message.
static int read_password(char out[PASSWORD_BYTES_MAX])
{
	bool is_person = isatty(STDIN_FILENO), is_good;
	struct termios before, silent;

	if (is_person && tcgetattr(STDIN_FILENO, &before) == 0) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		fputs("password: ", stderr);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	} else {
		is_person = false;
	}
	setvbuf(stdin, NULL, _IONBF, 0); // no copy in a buffer of stdio's
	is_good = fgets(out, PASSWORD_BYTES_MAX, stdin) != NULL;
	if (is_person) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	if (is_good)
		out[strcspn(out, "\r\n")] = '\0';
	if (is_good && *out)
		return 0;
	fail(0, "no password came on standard input");
	return -1;
}

static int make_key(enum turn_password_algorithm algorithm, const char *name, const char *realm,
		    const char *password, char out[HEX_BYTES_MAX])
{
	uint8_t key[TURN_KEY_BYTES_MAX];
	size_t n = turn_password_key_bytes(algorithm);

	if (turn_password_key(algorithm, name, strlen(name), realm, password, strlen(password),
			      key) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", key[i]);
	OPENSSL_cleanse(key, sizeof(key));
	return 0;
}

static int print_json(json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(v);
	return 0;
}

// NULL after a message.
static struct config *load(const struct command *c)
{
	const char *path = c->config ? c->config : CTL_CONFIG_PATH;
	struct config *config = NULL;
	char error[512];

	if (config_parse(path, &config, error, sizeof(error)) < 0)
		fail(0, "%s", error);
	return config;
}

static bool name_is_good(const char *name)
{
	if (*name && strlen(name) <= SHM_USERNAME_MAX)
		return true;
	fail(0, "a name has 1 to %d bytes", SHM_USERNAME_MAX);
	return false;
}

int run_user_key(const struct command *c)
{
	char password[PASSWORD_BYTES_MAX], md5[HEX_BYTES_MAX], sha256[HEX_BYTES_MAX];
	struct config *config = c->realm ? NULL : load(c);
	int code = EXIT_WRONG_USE;
	const char *realm;

	if ((!c->realm && !config) || !name_is_good(c->operand) || read_password(password) < 0)
		goto out;
	realm = c->realm ? c->realm : config->realm;
	code = EXIT_VERB_FAILED;
	if (make_key(TURN_PASSWORD_MD5, c->operand, realm, password, md5) < 0 ||
	    make_key(TURN_PASSWORD_SHA256, c->operand, realm, password, sha256) < 0) {
		fail(0, "OpenSSL makes no MD5 or no SHA-256");
	} else {
		code = 0;
		if (c->is_json)
			print_json(json_pack("{s:s, s:s, s:s, s:s}", "name", c->operand, "realm",
					     realm, "md5", md5, "sha256", sha256));
		else
			puts(md5);
	}
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(md5, sizeof(md5));
	OPENSSL_cleanse(sha256, sizeof(sha256));
out:
	config_free(config);
	return code;
}

// A running control plane would else believe for a while what it was told before. Without one nothing is lost.
static void make_forget(const struct command *c, const char *realm)
{
	json_t *args = json_pack("{s:s, s:s}", "id", c->operand, "realm", realm), *answer = NULL;
	char path[CTL_PATH_BYTES], error[512];
	int fd = -1;

	if (c->socket || ctl_path(c->instance, "ctl.sock", path) == 0)
		fd = ctl_connect(c->socket ? c->socket : path, c->instance, error, sizeof(error));
	if (fd >= 0) {
		ctl_request(fd, "user forget", args, &answer, error, sizeof(error));
		close(fd);
	}
	json_decref(answer);
	json_decref(args);
}

// The configuration with a shared store, and the realm. NULL after a message.
static struct config *load_with_store(const struct command *c, const char **realm)
{
	struct config *config = load(c);
	int realm_idx;

	if (!config)
		return NULL;
	realm_idx = ctl_realm_find(c, config);
	if (realm_idx >= 0 && config->redis.is_enabled && name_is_good(c->operand)) {
		*realm = ctl_realm_name(config, realm_idx);
		return config;
	}
	if (realm_idx >= 0 && !config->redis.is_enabled)
		fail(0,
		     "users stand in the file: edit 'users' there (a key is made with: "
		     "turnpikectl user key %s) and run: turnpikectl reload",
		     c->operand);
	config_free(config);
	return NULL;
}

static int say(const struct command *c, const char *what, const char *realm, bool was_there)
{
	if (c->is_json)
		return print_json(json_pack("{s:s, s:s, s:s, s:b}", "name", c->operand, "realm",
					    realm, "done", what, "was_there", was_there));
	printf("%s %s in realm %s\n", what, c->operand, realm);
	return 0;
}

int run_user_add(const struct command *c)
{
	char password[PASSWORD_BYTES_MAX], key[HEX_BYTES_MAX];
	const char *realm;
	struct config *config = load_with_store(c, &realm);
	int code = EXIT_WRONG_USE;
	bool was_there = false;

	if (!config)
		return code;
	if (read_password(password) < 0)
		goto out;
	code = EXIT_VERB_FAILED;
	if (make_key(TURN_PASSWORD_MD5, c->operand, realm, password, key) < 0)
		fail(0, "OpenSSL makes no MD5");
	else if (shared_store_key_set(&config->redis, realm, c->operand, key, &was_there) == 0)
		code = say(c, was_there ? "changed" : "added", realm, was_there);
	if (code == 0)
		make_forget(c, realm);
	OPENSSL_cleanse(password, sizeof(password));
	OPENSSL_cleanse(key, sizeof(key));
out:
	config_free(config);
	return code;
}

int run_user_remove(const struct command *c)
{
	const char *realm;
	struct config *config = load_with_store(c, &realm);
	bool was_there = false;
	int code = EXIT_WRONG_USE;

	if (!config)
		return code;
	code = EXIT_VERB_FAILED;
	if (shared_store_key_delete(&config->redis, realm, c->operand, &was_there) == 0) {
		make_forget(c, realm);
		if (was_there)
			code = say(c, "removed", realm, true);
		else
			fail(0, "realm %s has no user %s in Redis", realm, c->operand);
	}
	config_free(config);
	return code;
}
