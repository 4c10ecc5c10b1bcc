// Configuration files of any bytes: each is accepted or refused with one line that begins with the
// file's name, and what is accepted keeps the bounds that the rest of the control plane relies on.
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/config/config.h"
#include "tests/fuzz/fuzz.h"

// Beyond this an input only costs time.
#define INPUT_BYTES_MAX 4096

// What only a host can answer is left out: config_parse does not ask.
int config_resolve_host(struct config *c, const char *path, char *error, size_t error_bytes)
{
	return -ENOSYS;
}

static void check_accepted(const struct config *c)
{
	FUZZ_ASSERT(c->realm != NULL && strlen(c->realm) > 0);
	FUZZ_ASSERT(memchr(c->instance, 0, sizeof(c->instance)) != NULL);
	FUZZ_ASSERT(c->n_listeners >= 1 && c->n_relays >= 1 && c->n_ports >= 1);
	FUZZ_ASSERT(c->n_ports <= SHM_PORTS_MAX && c->n_listeners <= SHM_LISTENERS_MAX);
	FUZZ_ASSERT(c->n_peer_rules <= SHM_PEER_RULES_MAX);
	FUZZ_ASSERT(c->n_workers >= 1 && c->n_workers <= SHM_WORKERS_MAX);
	FUZZ_ASSERT(c->relay_port_min > 0 && c->relay_port_min <= c->relay_port_max);
	FUZZ_ASSERT(c->max_allocations >= 1 && c->max_flows >= 1);
}

static void fuzz_one(const uint8_t *data, size_t n)
{
	static char path[32];
	static int fd = -1;
	struct config *config = NULL;
	char error[512] = "";
	int ret;

	if (n > INPUT_BYTES_MAX)
		return;
	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		FUZZ_ASSERT(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	FUZZ_ASSERT(ftruncate(fd, 0) == 0 && pwrite(fd, data, n, 0) == (ssize_t)n);
	ret = config_parse(path, &config, error, sizeof(error));
	if (ret < 0) {
		FUZZ_ASSERT(config == NULL);
		FUZZ_ASSERT(strncmp(error, path, strlen(path)) == 0);
		FUZZ_ASSERT(strchr(error, '\n') == NULL);
		return;
	}
	FUZZ_ASSERT(config != NULL && error[0] == '\0');
	check_accepted(config);
	config_free(config);
}
