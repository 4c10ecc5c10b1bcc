// The filter's pinned maps: opening, configuring, reading. One thread at a time per handle.
#include "bpf/filter.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/filter_private.h"

#define RATE_PER_SEC_MAX  100000000ull // with the refill's bound of 60 s, tokens stay within 64 bits
#define RATE_BURST_MAX    1000000000ull // the same
#define ANSWER_CREDIT_MAX 1000000000u
#define RATE_PREFIX_V4    32
#define RATE_PREFIX_V6    64

enum { MAP_SETTINGS = 0, MAP_LOCALS, MAP_LISTENERS, MAP_COUNTERS, MAP_COUNT };

static const char *const map_names[MAP_COUNT] = { "tp_settings", "tp_locals", "tp_listeners",
						  "tp_counters" };

struct xdp_filter {
	int map_fd[MAP_COUNT];
	int n_cpus; // possible ones: values per counter
};

#define XDP_COUNTER_NAME(id, name, text) name,
#define XDP_COUNTER_TEXT(id, name, text) text,
static const char *const counter_names[XDP_COUNTER_COUNT] = { XDP_COUNTERS(XDP_COUNTER_NAME) };
static const char *const counter_texts[XDP_COUNTER_COUNT] = { XDP_COUNTERS(XDP_COUNTER_TEXT) };

const char *xdp_counter_name(uint32_t counter)
{
	return counter < XDP_COUNTER_COUNT ? counter_names[counter] : "unknown";
}

const char *xdp_counter_text(uint32_t counter)
{
	return counter < XDP_COUNTER_COUNT ? counter_texts[counter] : "no such counter";
}

static struct xdp_filter *filter_new(void)
{
	struct xdp_filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	for (int i = 0; i < MAP_COUNT; i++)
		f->map_fd[i] = -1;
	return f;
}

void xdp_filter_close(struct xdp_filter *f)
{
	if (!f)
		return;
	for (int i = 0; i < MAP_COUNT; i++) {
		if (f->map_fd[i] >= 0)
			close(f->map_fd[i]);
	}
	free(f);
}

// Says whether the maps speak this version; settings that nobody wrote yet do.
static int filter_finish_open(struct xdp_filter *f, struct xdp_filter_error *err)
{
	struct xdp_filter_settings settings;
	int ret;

	f->n_cpus = libbpf_num_possible_cpus();
	if (f->n_cpus < 0)
		return xdp_error_set(err, f->n_cpus, "cannot count CPUs: %s", strerror(-f->n_cpus));
	ret = xdp_filter_settings_read(f, &settings);
	if (ret < 0)
		return xdp_error_set(err, ret, "cannot read the filter's settings: %s",
				     strerror(-ret));
	if (settings.version != 0 && settings.version != XDP_FILTER_MAPS_VERSION)
		return xdp_error_set(
			err, -ESTALE,
			"the filter's maps are of version %u, this program speaks %u; stop both of "
			"the instance's processes, unmount its bpf directory and start again",
			settings.version, XDP_FILTER_MAPS_VERSION);
	return 0;
}

int xdp_filter_open(const char *run_dir, struct xdp_filter **out, struct xdp_filter_error *err)
{
	struct bpf_object *object;
	struct xdp_filter *f;
	int ret;

	xdp_error_clear(err);
	f = filter_new();
	if (!f)
		return xdp_error_set(err, -ENOMEM, "out of memory");
	// The program's own object says what the maps look like; loading it without its program
	// creates and pins them.
	ret = xdp_object_load(run_dir, XDP_FILTER_OBJECT, true, &object, err);
	if (ret < 0)
		goto fail_free;
	for (int i = 0; i < MAP_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(object, map_names[i]);

		f->map_fd[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (f->map_fd[i] < 0) {
			ret = -errno;
			xdp_error_set(err, ret, "cannot keep map %s: %s", map_names[i],
				      strerror(-ret));
			goto fail_object;
		}
	}
	bpf_object__close(object);
	ret = filter_finish_open(f, err);
	if (ret < 0)
		goto fail_free;
	*out = f;
	return 0;
fail_object:
	bpf_object__close(object);
fail_free:
	xdp_filter_close(f);
	return ret;
}

int xdp_filter_open_readonly(const char *run_dir, struct xdp_filter **out,
			     struct xdp_filter_error *err)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	char dir[PATH_MAX];
	struct xdp_filter *f;
	int ret;

	xdp_error_clear(err);
	ret = xdp_bpffs_path(run_dir, dir);
	if (ret < 0)
		return xdp_error_set(err, ret, "run directory %.64s…: path is too long", run_dir);
	f = filter_new();
	if (!f)
		return xdp_error_set(err, -ENOMEM, "out of memory");
	for (int i = 0; i < MAP_COUNT; i++) {
		char path[PATH_MAX + 32];

		snprintf(path, sizeof(path), "%s/%s", dir, map_names[i]);
		f->map_fd[i] = bpf_obj_get_opts(path, &opts);
		if (f->map_fd[i] >= 0)
			continue;
		ret = f->map_fd[i];
		if (ret == -ENOENT)
			xdp_error_set(err, ret,
				      "%s is not there: no filter runs here, or it was started in "
				      "another "
				      "mount namespace",
				      path);
		else
			xdp_error_set(err, ret, "cannot open %s: %s", path,
				      ret == -EPERM || ret == -EACCES ? "run as root (CAP_BPF)"
								      : strerror(-ret));
		goto fail_free;
	}
	ret = filter_finish_open(f, err);
	if (ret < 0)
		goto fail_free;
	*out = f;
	return 0;
fail_free:
	xdp_filter_close(f);
	return ret;
}

int xdp_filter_settings_read(struct xdp_filter *f, struct xdp_filter_settings *out)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(f->map_fd[MAP_SETTINGS], &zero, out);
}

int xdp_filter_counters_read(struct xdp_filter *f, uint64_t out[XDP_COUNTER_COUNT])
{
	uint64_t *per_cpu = calloc((size_t)f->n_cpus, sizeof(*per_cpu));
	int ret = 0;

	if (!per_cpu)
		return -ENOMEM;
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++) {
		ret = bpf_map_lookup_elem(f->map_fd[MAP_COUNTERS], &i, per_cpu);
		if (ret < 0)
			break;
		out[i] = 0;
		for (int cpu = 0; cpu < f->n_cpus; cpu++)
			out[i] += per_cpu[cpu];
	}
	free(per_cpu);
	return ret;
}

int xdp_filter_lookup(struct xdp_filter *f, const struct ip_endpoint *local,
		      struct xdp_filter_port *out)
{
	struct xdp_filter_listener_key key = { .port_be = local->port_be };
	struct xdp_filter_settings settings;
	struct xdp_filter_listener listener;
	struct xdp_filter_local entry;
	uint16_t port = ntohs(local->port_be);
	int ret;

	memset(out, 0, sizeof(*out));
	memcpy(key.address, local->address.bytes, sizeof(key.address));
	ret = bpf_map_lookup_elem(f->map_fd[MAP_LOCALS], key.address, &entry);
	if (ret < 0)
		return ret;
	ret = xdp_filter_settings_read(f, &settings);
	if (ret < 0)
		return ret;
	out->is_relayed = (entry.flags & XDP_LOCAL_F_RELAY) && port >= entry.relay_port_min &&
			  port <= entry.relay_port_max;
	if (bpf_map_lookup_elem(f->map_fd[MAP_LISTENERS], &key, &listener) == 0)
		out->accept = listener.accept;
	out->is_answered =
		(out->accept & XDP_ACCEPT_STUN) && (settings.flags & XDP_FILTER_F_ANSWER_BINDING);
	return 0;
}

// What configure wants to stand in the hashes.
struct wanted {
	struct xdp_filter_address local_key[XDP_FILTER_LOCALS_MAX];
	struct xdp_filter_local local[XDP_FILTER_LOCALS_MAX];
	uint32_t n_locals;
	struct xdp_filter_listener_key listener_key[XDP_FILTER_LISTENERS_MAX];
	struct xdp_filter_listener listener[XDP_FILTER_LISTENERS_MAX];
	uint32_t n_listeners;
};

static struct xdp_filter_local *wanted_local(struct wanted *w, const struct ip_address *address)
{
	for (uint32_t i = 0; i < w->n_locals; i++) {
		if (memcmp(&w->local_key[i], address->bytes, sizeof(w->local_key[i])) == 0)
			return &w->local[i];
	}
	if (w->n_locals == XDP_FILTER_LOCALS_MAX)
		return NULL;
	memcpy(&w->local_key[w->n_locals], address->bytes, sizeof(w->local_key[0]));
	return &w->local[w->n_locals++];
}

static int wanted_fill(struct wanted *w, const struct xdp_filter_config *config,
		       struct xdp_filter_error *err)
{
	char text[IP_ENDPOINT_TEXT_MAX];
	struct xdp_filter_local *local;

	if (config->n_listeners > XDP_FILTER_LISTENERS_MAX)
		return xdp_error_set(err, -EINVAL, "%u listeners; the filter holds at most %u",
				     config->n_listeners, XDP_FILTER_LISTENERS_MAX);
	for (uint32_t i = 0; i < config->n_relays; i++) {
		const struct xdp_filter_config_relay *relay = &config->relays[i];

		ip_address_format(&relay->address, text, sizeof(text));
		local = wanted_local(w, &relay->address);
		if (!local)
			goto too_many;
		if (local->flags & XDP_LOCAL_F_RELAY)
			return xdp_error_set(err, -EINVAL, "relay address %s is given twice", text);
		if (relay->port_min == 0 || relay->port_min > relay->port_max)
			return xdp_error_set(err, -EINVAL,
					     "relay address %s: port range %u-%u is empty", text,
					     relay->port_min, relay->port_max);
		local->flags |= XDP_LOCAL_F_RELAY;
		local->relay_port_min = relay->port_min;
		local->relay_port_max = relay->port_max;
	}
	for (uint32_t i = 0; i < config->n_listeners; i++) {
		const struct ip_endpoint *endpoint = &config->listeners[i].endpoint;
		struct xdp_filter_listener_key *key = &w->listener_key[i];
		uint16_t port = ntohs(endpoint->port_be);

		ip_endpoint_format(endpoint, text, sizeof(text));
		local = wanted_local(w, &endpoint->address);
		if (!local)
			goto too_many;
		if (port == 0)
			return xdp_error_set(err, -EINVAL, "listener %s has no port", text);
		if ((local->flags & XDP_LOCAL_F_RELAY) && port >= local->relay_port_min &&
		    port <= local->relay_port_max)
			return xdp_error_set(
				err, -EINVAL,
				"listener %s lies in the relay range %u-%u of the same address; "
				"move one of them",
				text, local->relay_port_min, local->relay_port_max);
		local->flags |= XDP_LOCAL_F_LISTENER;
		memcpy(key->address, endpoint->address.bytes, sizeof(key->address));
		key->port_be = endpoint->port_be;
		w->listener[i].accept = config->listeners[i].accept;
		if (config->listeners[i].other.port_be == 0)
			continue;
		if (ip_address_is_v4(&config->listeners[i].other.address) !=
		    ip_address_is_v4(&endpoint->address))
			return xdp_error_set(
				err, -EINVAL,
				"listener %s: its other address is of the other family", text);
		w->listener[i].other_port_be = config->listeners[i].other.port_be;
		memcpy(w->listener[i].other_address, config->listeners[i].other.address.bytes,
		       sizeof(w->listener[i].other_address));
	}
	w->n_listeners = config->n_listeners;
	return 0;
too_many:
	return xdp_error_set(err, -EINVAL, "more than %u local addresses; the filter holds no more",
			     XDP_FILTER_LOCALS_MAX);
}

static void prefix_mask(uint32_t bits, uint8_t *out, size_t out_bytes)
{
	for (size_t i = 0; i < out_bytes; i++) {
		uint32_t here = bits > 8 ? 8 : bits;

		out[i] = (uint8_t)(0xff00u >> here);
		bits -= here;
	}
}

static int settings_fill(struct xdp_filter_settings *s, const struct xdp_filter_config *config,
			 struct xdp_filter_error *err)
{
	size_t software_length = config->software ? strlen(config->software) : 0;

	if (config->rate_per_sec > RATE_PER_SEC_MAX || config->rate_burst > RATE_BURST_MAX)
		return xdp_error_set(
			err, -EINVAL, "rate limit %llu/s, burst %llu: at most %llu/s and %llu",
			(unsigned long long)config->rate_per_sec,
			(unsigned long long)config->rate_burst, RATE_PER_SEC_MAX, RATE_BURST_MAX);
	if (config->rate_prefix_v4 > 32 || config->rate_prefix_v6 > 128)
		return xdp_error_set(err, -EINVAL,
				     "rate limit prefixes /%u and /%u: at most /32 and /128",
				     config->rate_prefix_v4, config->rate_prefix_v6);
	if (config->answer_credit_bytes > ANSWER_CREDIT_MAX)
		return xdp_error_set(err, -EINVAL, "a credit of %u bytes: at most %u",
				     config->answer_credit_bytes, ANSWER_CREDIT_MAX);
	if (software_length > XDP_FILTER_SOFTWARE_MAX)
		return xdp_error_set(err, -EINVAL, "SOFTWARE has %zu bytes; at most %u fit",
				     software_length, XDP_FILTER_SOFTWARE_MAX);
	s->version = XDP_FILTER_MAPS_VERSION;
	s->flags = config->answer_binding ? XDP_FILTER_F_ANSWER_BINDING : 0;
	for (uint32_t i = 0; i < config->n_listeners; i++)
		if (config->listeners[i].other.port_be != 0)
			s->flags |= XDP_FILTER_F_NAT_DISCOVERY;
	s->answer_credit = config->answer_credit_bytes;
	s->rate_per_sec = config->rate_per_sec;
	s->rate_burst = config->rate_burst ? config->rate_burst : config->rate_per_sec;
	s->rate_prefix_v4 = config->rate_prefix_v4 ? config->rate_prefix_v4 : RATE_PREFIX_V4;
	s->rate_prefix_v6 = config->rate_prefix_v6 ? config->rate_prefix_v6 : RATE_PREFIX_V6;
	prefix_mask(s->rate_prefix_v4, (uint8_t *)&s->rate_mask_v4, sizeof(s->rate_mask_v4));
	prefix_mask(s->rate_prefix_v6, (uint8_t *)s->rate_mask_v6, sizeof(s->rate_mask_v6));
	s->software_length = (uint16_t)software_length;
	s->software_bytes = (uint32_t)(software_length + 3) & ~3u;
	if (software_length)
		memcpy(s->software, config->software, software_length);
	return 0;
}

static int map_put_all(int fd, const void *keys, size_t key_bytes, const void *values,
		       size_t value_bytes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		int ret = bpf_map_update_elem(fd, (const char *)keys + i * key_bytes,
					      (const char *)values + i * value_bytes, BPF_ANY);

		if (ret < 0)
			return ret;
	}
	return 0;
}

// Deletes every key of the map that is not among the wanted ones.
static int map_keep_only(int fd, const char *keys, size_t key_bytes, uint32_t n)
{
	char key[sizeof(struct xdp_filter_listener_key)];
	char next[sizeof(struct xdp_filter_listener_key)];
	int ret = bpf_map_get_next_key(fd, NULL, next);

	while (ret == 0) {
		uint32_t i = 0;

		memcpy(key, next, key_bytes);
		ret = bpf_map_get_next_key(fd, key, next); // before the delete, which ends the walk
		while (i < n && memcmp(keys + i * key_bytes, key, key_bytes) != 0)
			i++;
		if (i == n && bpf_map_delete_elem(fd, key) < 0 && errno != ENOENT)
			return -errno;
	}
	return ret == -ENOENT ? 0 : ret;
}

int xdp_filter_configure(struct xdp_filter *f, const struct xdp_filter_config *config,
			 struct xdp_filter_error *err)
{
	struct xdp_filter_settings settings = {};
	struct wanted *w;
	uint32_t zero = 0;
	int ret;

	xdp_error_clear(err);
	w = calloc(1, sizeof(*w));
	if (!w)
		return xdp_error_set(err, -ENOMEM, "out of memory");
	ret = settings_fill(&settings, config, err);
	if (ret < 0)
		goto out_free;
	ret = wanted_fill(w, config, err);
	if (ret < 0)
		goto out_free;

	// Listeners before the addresses that make them seen, and away only behind them: at no
	// moment does a port that stays look like the kernel's.
	ret = bpf_map_update_elem(f->map_fd[MAP_SETTINGS], &zero, &settings, BPF_ANY);
	if (ret == 0)
		ret = map_put_all(f->map_fd[MAP_LISTENERS], w->listener_key,
				  sizeof(w->listener_key[0]), w->listener, sizeof(w->listener[0]),
				  w->n_listeners);
	if (ret == 0)
		ret = map_put_all(f->map_fd[MAP_LOCALS], w->local_key, sizeof(w->local_key[0]),
				  w->local, sizeof(w->local[0]), w->n_locals);
	if (ret == 0)
		ret = map_keep_only(f->map_fd[MAP_LOCALS], (const char *)w->local_key,
				    sizeof(w->local_key[0]), w->n_locals);
	if (ret == 0)
		ret = map_keep_only(f->map_fd[MAP_LISTENERS], (const char *)w->listener_key,
				    sizeof(w->listener_key[0]), w->n_listeners);
	if (ret < 0)
		xdp_error_set(err, ret, "cannot write the filter's maps: %s", strerror(-ret));
out_free:
	free(w);
	return ret;
}
