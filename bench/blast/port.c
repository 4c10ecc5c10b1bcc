// EAL and port set-up of the generator. Cold but for blast_port_send_copy; main thread.
#include "bench/blast/port.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>

#define POOL_MBUFS        8191
#define POOL_CACHE        256
#define MEMORY_MB_DEFAULT 512
#define EAL_ARGS_MAX      32
#define SEND_TRIES        1000

// Whether the pool of large pages holds that much; one that holds less is of no use to EAL.
static bool hugepages_suffice(uint32_t memory_mb)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned n = 0;

	if (f == NULL)
		return false;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	fclose(f);
	return (uint64_t)n * 2 >= memory_mb;
}

int blast_eal_start(const struct port_options *o, const char *const *devices, uint32_t n_devices)
{
	uint32_t memory_mb = o->memory_mb == 0 ? MEMORY_MB_DEFAULT : o->memory_mb;
	char lcores[32];
	char memory[16];
	char prefix[64];
	char device[EAL_ARGS_MAX][320];
	char *args[EAL_ARGS_MAX];
	int n = 0;

	snprintf(lcores, sizeof(lcores), "--lcores=0@%u", o->cpu);
	snprintf(memory, sizeof(memory), "%u", memory_mb);
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s",
		 o->file_prefix == NULL ? "blast" : o->file_prefix);
	args[n++] = (char *)"blast";
	args[n++] = lcores;
	args[n++] = (char *)"-m";
	args[n++] = memory;
	args[n++] = (char *)"--iova-mode=va";
	args[n++] = (char *)"--no-telemetry";
	args[n++] = (char *)"--log-level=lib.eal:4";
	args[n++] = prefix;
	if (hugepages_suffice(memory_mb)) {
		args[n++] = (char *)"--in-memory";
		args[n++] = (char *)"--single-file-segments";
	} else {
		args[n++] = (char *)"--no-huge";
		args[n++] = (char *)"--no-shconf";
	}
	if (n_devices > 8)
		return -E2BIG;
	for (uint32_t i = 0; i < n_devices; i++) {
		// A name that begins with a number is a PCI address.
		bool is_pci = devices[i][0] >= '0' && devices[i][0] <= '9';

		snprintf(device[i], sizeof(device[i]), "--%s=%s", is_pci ? "allow" : "vdev",
			 devices[i]);
		args[n++] = device[i];
	}
	if (n_devices == 0 || !(devices[0][0] >= '0' && devices[0][0] <= '9'))
		args[n++] = (char *)"--no-pci";
	if (rte_eal_init(n, args) < 0) {
		fprintf(stderr, "blast: EAL does not start: %s\n", rte_strerror(rte_errno));
		return -EIO;
	}
	return 0;
}

static void pattern_fill(struct rte_mempool *pool, void *arg, void *object, unsigned idx)
{
	struct rte_mbuf *m = object;

	memcpy(blast_port_payload(m), frame_pattern, FRAME_PAYLOAD_MAX);
}

int blast_port_start(uint16_t ethdev, const struct port_options *o, struct blast_port *out)
{
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	uint16_t n_rx = (uint16_t)(o->ring == 0 ? 2048 : o->ring);
	uint16_t n_tx = n_rx;
	char name[32];
	int ret;

	memset(out, 0, sizeof(*out));
	out->ethdev = ethdev;
	snprintf(name, sizeof(name), "blast_tx%u", ethdev);
	out->tx_pool = rte_pktmbuf_pool_create(name, POOL_MBUFS, POOL_CACHE, 0,
					       RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	snprintf(name, sizeof(name), "blast_rx%u", ethdev);
	out->rx_pool = rte_pktmbuf_pool_create(name, POOL_MBUFS, POOL_CACHE, 0,
					       RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (out->tx_pool == NULL || out->rx_pool == NULL) {
		fprintf(stderr,
			"blast: no memory for packet buffers; give more with --memory-mb\n");
		return -ENOMEM;
	}
	rte_mempool_obj_iter(out->tx_pool, pattern_fill, NULL);
	ret = rte_eth_dev_info_get(ethdev, &info);
	if (ret == 0)
		ret = rte_eth_dev_configure(ethdev, 1, 1, &conf);
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(ethdev, &n_rx, &n_tx);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(ethdev, 0, n_rx, SOCKET_ID_ANY, NULL, out->rx_pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(ethdev, 0, n_tx, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(ethdev);
	if (ret != 0) {
		fprintf(stderr, "blast: port %s does not start: %s\n", o->device, strerror(-ret));
		return ret;
	}
	rte_eth_promiscuous_enable(ethdev); // virtual ports take everything anyway and may refuse
	return 0;
}

int blast_port_open(const struct port_options *o, uint32_t wait_seconds, struct blast_port *out)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	struct rte_eth_link link = { 0 };
	int ret = blast_eal_start(o, &o->device, 1);

	if (ret < 0)
		return ret;
	if (rte_eth_dev_count_avail() != 1) {
		fprintf(stderr, "blast: %s gives no port\n", o->device);
		return -ENODEV;
	}
	ret = blast_port_start(rte_eth_find_next(0), o, out);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < wait_seconds * 50; i++) {
		if (rte_eth_link_get_nowait(out->ethdev, &link) == 0 &&
		    link.link_status == RTE_ETH_LINK_UP)
			return 0;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "blast: the link of %s did not come up in %u s; is the other end there?\n",
		o->device, wait_seconds);
	return -ENETDOWN;
}

void blast_port_close(struct blast_port *p)
{
	rte_eth_dev_stop(p->ethdev);
	rte_eth_dev_close(p->ethdev);
	rte_eal_cleanup();
}

int blast_port_send_copy(struct blast_port *p, const void *frame, uint16_t frame_bytes)
{
	// From the receive pool: its payload does not matter.
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->rx_pool);

	if (m == NULL)
		return -ENOBUFS;
	memcpy(rte_pktmbuf_mtod(m, void *), frame, frame_bytes);
	m->data_len = frame_bytes;
	m->pkt_len = frame_bytes;
	for (uint32_t i = 0; i < SEND_TRIES; i++) {
		if (rte_eth_tx_burst(p->ethdev, 0, &m, 1) == 1)
			return 0;
		rte_pause();
	}
	rte_pktmbuf_free(m);
	return -ENOBUFS;
}
