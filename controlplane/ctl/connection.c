// Talks to the control plane over its unix socket; blocking, with a time limit.
#include "controlplane/ctl/connection.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/ops/ctl_request.h"

#define ANSWER_TIMEOUT_S 10
#define ANSWER_BYTES_MAX (256u << 20)

static const char *run_root(void)
{
	const char *root = getenv("TURNPIKE_RUN_DIR");

	return root && *root ? root : "/run/turnpike";
}

int ctl_path(const char *instance, const char *file, char out[CTL_PATH_BYTES])
{
	int n = snprintf(out, CTL_PATH_BYTES, "%s/%s/%s", run_root(), instance, file);

	return n > 0 && n < CTL_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

// "; instances here: a, b" when others have a socket, else "".
static void list_instances(const char *but, char *out, size_t out_bytes)
{
	DIR *dir = opendir(run_root());
	const struct dirent *entry;
	size_t n = 0;

	out[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		char path[CTL_PATH_BYTES];

		if (entry->d_name[0] == '.' || strcmp(entry->d_name, but) == 0 ||
		    ctl_path(entry->d_name, "ctl.sock", path) < 0 || access(path, F_OK) < 0)
			continue;
		if (n < out_bytes)
			n += (size_t)snprintf(
				out + n, out_bytes - n, "%s%s",
				n ? ", " : "; with --instance there is: ", entry->d_name);
	}
	if (dir)
		closedir(dir);
}

int ctl_connect(const char *path, const char *instance, char *error, size_t error_bytes)
{
	const struct timeval limit = { .tv_sec = ANSWER_TIMEOUT_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char others[256];
	int fd, ret;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, error_bytes, "the socket's path is longer than %zu bytes: %s",
			 sizeof(address.sun_path) - 1, path);
		return -ENAMETOOLONG;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		ret = -errno;
		snprintf(error, error_bytes, "no socket: %s", strerror(-ret));
		return ret;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		ret = -errno;
		close(fd);
		if (ret == -EACCES || ret == -EPERM) {
			snprintf(error, error_bytes,
				 "%s may not be opened by this user; run as root (sudo turnpikectl "
				 "...)",
				 path);
			return ret;
		}
		list_instances(instance, others, sizeof(others));
		snprintf(
			error, error_bytes,
			"no control plane answers at %s (%s); is it running? see: systemctl status "
			"turnpike-controlplane%s",
			path, strerror(-ret), others);
		return ret;
	}
	return fd;
}

static int send_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -errno;
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

// Reads up to the newline. The caller frees *out also after failure.
static int receive_line(int fd, char **out, size_t *out_bytes)
{
	size_t capacity = 0, n = 0;

	for (;;) {
		ssize_t got;
		char *newline;

		if (n == capacity) {
			char *grown;

			capacity = capacity ? 2 * capacity : 65536;
			if (capacity > ANSWER_BYTES_MAX)
				return -EMSGSIZE;
			grown = realloc(*out, capacity);
			if (!grown)
				return -ENOMEM;
			*out = grown;
		}
		got = recv(fd, *out + n, capacity - n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -ECONNRESET;
		newline = memchr(*out + n, '\n', (size_t)got);
		n += (size_t)got;
		if (newline) {
			*out_bytes = (size_t)(newline - *out);
			return 0;
		}
	}
}

int ctl_request(int fd, const char *verb, json_t *args, json_t **answer, char *error,
		size_t error_bytes)
{
	json_t *request = json_pack("{s:i, s:s, s:O}", "version", CTL_PROTOCOL_VERSION, "verb",
				    verb, "args", args);
	char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	char *received = NULL;
	size_t n_bytes = 0;
	int ret = -ENOMEM;

	json_decref(request);
	*answer = NULL;
	if (!line)
		goto out;
	ret = send_all(fd, line, strlen(line));
	if (ret == 0)
		ret = send_all(fd, "\n", 1);
	if (ret == 0)
		ret = receive_line(fd, &received, &n_bytes);
	if (ret < 0)
		goto out;
	*answer = json_loadb(received, n_bytes, 0, NULL);
	if (!json_is_object(*answer) || !json_is_boolean(json_object_get(*answer, "ok"))) {
		json_decref(*answer);
		*answer = NULL;
		ret = -EPROTO;
	}
out:
	if (ret == -EAGAIN)
		snprintf(error, error_bytes,
			 "the control plane did not answer within %d s; it is stuck or overloaded, "
			 "see its log",
			 ANSWER_TIMEOUT_S);
	else if (ret == -EPROTO)
		snprintf(error, error_bytes,
			 "what answers is no control plane of this version; check --socket");
	else if (ret < 0)
		snprintf(error, error_bytes, "the connection to the control plane broke: %s",
			 strerror(-ret));
	free(line);
	free(received);
	return ret;
}
