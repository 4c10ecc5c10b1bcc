// Reads the DPDK ports and the workers that poll them, and builds the device strings of DPDK. Main
// thread.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/reader.h"

#define MTU_BYTES      1500
#define MTU_BYTES_MIN  576 // RFC 1122 §3.3.2
#define MTU_BYTES_MAX  9000
#define MEMORY_MB      256
#define MEMORY_MB_MIN  64
#define MEMORY_MB_MAX  1048576
#define CPU_MAX        4095
#define INTERFACE_MAX  15 // IFNAMSIZ without its NUL
#define MAC_TEXT_BYTES 17

int config_read_workers(struct config_reader *r)
{
	static const struct file_workers none;
	const struct file_workers *f = r->file->workers ? r->file->workers : &none;
	struct config *c = r->config;
	char quoted[CONFIG_QUOTE_BYTES];
	int ret;

	config_at(r, "workers.count");
	ret = config_number(r, f->count, f->n_cpus > 0 ? f->n_cpus : 1, 1, SHM_WORKERS_MAX,
			    &c->n_workers);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		c->worker_cpu[i] = UINT32_MAX;
	config_at(r, "workers.cpus");
	if (f->n_cpus > 0 && f->n_cpus != c->n_workers)
		return config_fail(r, "%u CPUs for %u workers; name one CPU for each worker",
				   f->n_cpus, c->n_workers);
	for (uint32_t i = 0; i < f->n_cpus; i++) {
		config_at(r, "workers.cpus[%u]", i);
		ret = config_number(r, &f->cpus[i], 0, 0, CPU_MAX, &c->worker_cpu[i]);
		if (ret < 0)
			return ret;
		for (uint32_t j = 0; j < i; j++)
			if (c->worker_cpu[i] == c->worker_cpu[j])
				return config_fail(r,
						   "CPU %u is named twice; two workers would "
						   "starve each other on it",
						   c->worker_cpu[i]);
	}
	config_at(r, "workers.idle");
	if (!f->idle || strcmp(f->idle, "adaptive") == 0)
		c->idle = SHM_IDLE_ADAPTIVE;
	else if (strcmp(f->idle, "poll") == 0)
		c->idle = SHM_IDLE_POLL;
	else
		return config_fail(r,
				   "%s is unknown; use 'adaptive' (sleeps when idle) or 'poll' "
				   "(never sleeps)",
				   config_quote(f->idle, quoted));
	config_at(r, "memory_mb");
	return config_number(r, r->file->memory_mb, MEMORY_MB, MEMORY_MB_MIN, MEMORY_MB_MAX,
			     &c->memory_mb);
}

// "0000:01:00.0", or "01:00.0" as lspci prints it.
static bool is_pci_address(const char *text)
{
	static const char *const shapes[] = { "hhhh:hh:hh.h", "hh:hh.h" };

	for (size_t s = 0; s < 2; s++) {
		size_t i = 0;

		for (; shapes[s][i] && text[i]; i++)
			if (shapes[s][i] == 'h' ? !strchr("0123456789abcdefABCDEF", text[i])
						: shapes[s][i] != text[i])
				break;
		if (!shapes[s][i] && !text[i])
			return true;
	}
	return false;
}

static int mac_parse(const char *text, uint8_t mac[6])
{
	if (strlen(text) != MAC_TEXT_BYTES)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		const char *p = text + 3 * i;
		char digits[3] = { p[0], p[1], '\0' };

		if (strspn(digits, "0123456789abcdefABCDEF") != 2 ||
		    (i < 5 && p[2] != ':' && p[2] != '-'))
			return -EINVAL;
		mac[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

static bool interface_name_fits(const char *name)
{
	return *name && strlen(name) <= INTERFACE_MAX && !strpbrk(name, "/ ,:\t") &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

// The device string for DPDK. For af_xdp without the path of the filter's object, which
// config_resolve_host adds.
static int read_device(struct config_reader *r, uint32_t i, uint8_t *default_kernel_path)
{
	const struct file_port *f = &r->file->ports[i];
	struct shm_port_settings *s = &r->config->ports[i].settings;
	char quoted[CONFIG_QUOTE_BYTES];

	config_at(r, "ports[%u].device", i);
	if (strcmp(f->device, "af_xdp") == 0) {
		*default_kernel_path = SHM_KERNEL_PATH_BESIDE;
		config_at(r, "ports[%u].interface", i);
		if (!f->interface)
			return config_fail(r, "missing; an af_xdp port needs the name of its "
					      "network interface (see: ip link)");
		snprintf(s->device, sizeof(s->device),
			 "net_af_xdp%u,iface=%s,start_queue=0,queue_count=%u,busy_budget=0", i,
			 f->interface, s->n_queues);
		return 0;
	}
	if (strlen(f->device) >= sizeof(s->device))
		return config_fail(r, "%zu bytes long; at most %zu are possible", strlen(f->device),
				   sizeof(s->device) - 1);
	if (is_pci_address(f->device)) {
		*default_kernel_path = SHM_KERNEL_PATH_TAP;
		// EAL knows devices by their full name.
		snprintf(s->device, sizeof(s->device), "%s%.12s",
			 f->device[2] == ':' ? "0000:" : "", f->device);
		return 0;
	}
	if (strncmp(f->device, "net_", 4) == 0 || strncmp(f->device, "virtio_user", 11) == 0 ||
	    strncmp(f->device, "eth_", 4) == 0) {
		*default_kernel_path = strncmp(f->device, "net_af_xdp", 10) == 0
					       ? SHM_KERNEL_PATH_BESIDE
					       : SHM_KERNEL_PATH_NONE;
		strcpy(s->device, f->device);
		return 0;
	}
	return config_fail(r,
			   "%s is no device; use af_xdp (with 'interface'), a PCI address such "
			   "as 0000:01:00.0, or a DPDK device such as net_memif0,…",
			   config_quote(f->device, quoted));
}

static int read_kernel_path(struct config_reader *r, uint32_t i, uint8_t fallback)
{
	const struct file_port *f = &r->file->ports[i];
	struct shm_port_settings *s = &r->config->ports[i].settings;
	char quoted[CONFIG_QUOTE_BYTES];

	config_at(r, "ports[%u].kernel_path", i);
	if (!f->kernel_path)
		s->kernel_path = fallback;
	else if (strcmp(f->kernel_path, "none") == 0)
		s->kernel_path = SHM_KERNEL_PATH_NONE;
	else if (strcmp(f->kernel_path, "beside") == 0)
		s->kernel_path = SHM_KERNEL_PATH_BESIDE;
	else if (strcmp(f->kernel_path, "tap") == 0)
		s->kernel_path = SHM_KERNEL_PATH_TAP;
	else
		return config_fail(r, "%s is unknown; use beside, tap or none",
				   config_quote(f->kernel_path, quoted));
	if (s->kernel_path == SHM_KERNEL_PATH_BESIDE && fallback != SHM_KERNEL_PATH_BESIDE)
		return config_fail(r, "'beside' is for af_xdp, where the kernel keeps the "
				      "interface; use tap or none with this device");
	if (s->kernel_path == SHM_KERNEL_PATH_TAP && fallback == SHM_KERNEL_PATH_BESIDE)
		return config_fail(r, "the kernel keeps an af_xdp interface, so it needs no TAP "
				      "twin; leave the key out");

	config_at(r, "ports[%u].interface", i);
	if (f->interface) {
		if (!interface_name_fits(f->interface))
			return config_fail(r,
					   "%s is no interface name; use at most %d "
					   "characters without '/', ':' or spaces",
					   config_quote(f->interface, quoted), INTERFACE_MAX);
		strcpy(s->interface, f->interface);
	} else if (s->kernel_path == SHM_KERNEL_PATH_TAP) {
		snprintf(s->interface, sizeof(s->interface), "turnpike%u", i % SHM_PORTS_MAX);
	} else if (s->kernel_path == SHM_KERNEL_PATH_BESIDE) {
		return config_fail(r, "missing; name the network interface beside this port");
	}
	for (uint32_t j = 0; j < i && s->interface[0]; j++)
		if (strcmp(s->interface, r->config->ports[j].settings.interface) == 0)
			return config_fail(r, "%s already belongs to ports[%u]; name another",
					   config_quote(s->interface, quoted), j);
	return 0;
}

static int read_port(struct config_reader *r, uint32_t i)
{
	const struct file_port *f = &r->file->ports[i];
	struct config_port *p = &r->config->ports[i];
	char quoted[CONFIG_QUOTE_BYTES];
	uint8_t kernel_path;
	uint32_t number;
	int ret;

	config_at(r, "ports[%u]", i);
	p->line = config_document_line(r->document, r->fault->key);
	config_at(r, "ports[%u].queues", i);
	ret = config_number(r, f->queues, r->config->n_workers, 1, SHM_WORKERS_MAX, &number);
	if (ret < 0)
		return ret;
	p->settings.n_queues = (uint16_t)number;
	config_at(r, "ports[%u].mtu", i);
	ret = config_number(r, f->mtu, MTU_BYTES, MTU_BYTES_MIN, MTU_BYTES_MAX, &number);
	if (ret < 0)
		return ret;
	p->settings.mtu_bytes = (uint16_t)number;
	config_at(r, "ports[%u].vlan", i);
	ret = config_number(r, f->vlan, 0, 0, 4094, &number);
	if (ret < 0)
		return ret;
	p->vlan_id = (uint16_t)number;

	ret = read_device(r, i, &kernel_path);
	if (ret < 0)
		return ret;
	ret = read_kernel_path(r, i, kernel_path);
	if (ret < 0)
		return ret;

	config_at(r, "ports[%u].gateway_mac", i);
	if (!f->gateway_mac) {
		if (p->settings.kernel_path == SHM_KERNEL_PATH_NONE)
			return config_fail(r,
					   "missing; without a kernel on this port nobody "
					   "resolves its router, so give the router's MAC address");
		return 0;
	}
	if (mac_parse(f->gateway_mac, p->gateway_mac) < 0)
		return config_fail(r, "%s is no MAC address; write it as in 02:00:5e:10:00:01",
				   config_quote(f->gateway_mac, quoted));
	if (p->gateway_mac[0] & 1 || memcmp(p->gateway_mac, (uint8_t[6]){ 0 }, 6) == 0)
		return config_fail(r,
				   "%s belongs to no single station; give the router's own "
				   "address",
				   config_quote(f->gateway_mac, quoted));
	p->has_gateway_mac = true;
	return 0;
}

int config_read_ports(struct config_reader *r)
{
	const struct file_config *f = r->file;
	int ret;

	config_at(r, "ports");
	if (f->n_ports == 0)
		return config_fail(r, "the list is empty; add '- device: af_xdp' with 'interface'");
	if (f->n_ports > SHM_PORTS_MAX)
		return config_fail(r, "%u ports; at most %d are possible", f->n_ports,
				   SHM_PORTS_MAX);
	r->config->ports = calloc(f->n_ports, sizeof(*r->config->ports));
	if (!r->config->ports)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_ports; i++) {
		ret = read_port(r, i);
		if (ret < 0)
			return ret;
		for (uint32_t j = 0; j < i; j++)
			if (strcmp(r->config->ports[i].settings.device,
				   r->config->ports[j].settings.device) == 0) {
				config_at(r, "ports[%u].device", i);
				return config_fail(r, "the same device as ports[%u]; remove one",
						   j);
			}
		r->config->n_ports = i + 1;
	}
	return 0;
}
