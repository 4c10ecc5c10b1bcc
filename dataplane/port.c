// Bringing ports up and down. Main thread, before and after the workers run.
#include "dataplane/port.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dataplane/driver_log.h"
#include "dataplane/filter_port.h"
#include "dataplane/log.h"

#define RX_DESCRIPTORS 2048
#define TX_DESCRIPTORS 2048
// In flight per queue: both rings, and what the AF_XDP fill and completion rings hold besides.
#define MBUFS_PER_QUEUE (2 * (RX_DESCRIPTORS + TX_DESCRIPTORS))
// Fragments that wait, and bursts in work.
#define MBUFS_PER_WORKER 4096
#define MBUFS_MIN        2047
#define MBUF_CACHE       256
#define MBUF_OVERHEAD    256 // header, mbuf struct and object header
// AF_XDP refuses other sizes (PERF: umem creation fails).
#define DATA_ROOM_BYTES 2176

static int fail(struct dp_port_error *err, int ret, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(struct dp_port_error *err, int ret, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return ret;
}

static uint32_t data_room_of(const struct shm_settings *s)
{
	uint32_t room = DATA_ROOM_BYTES;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		uint32_t need = RTE_PKTMBUF_HEADROOM + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN +
				s->port[i].mtu_bytes + 64;

		if (need > room)
			room = RTE_ALIGN_CEIL(need, 64);
	}
	return RTE_MIN(room, (uint32_t)UINT16_MAX);
}

struct rte_mempool *dp_port_pool_create(const struct shm_settings *s, struct dp_port_error *err)
{
	uint32_t room_bytes = data_room_of(s);
	uint64_t affordable = ((uint64_t)s->memory_mb << 20) / (room_bytes + MBUF_OVERHEAD);
	uint64_t wanted = (uint64_t)s->n_workers * MBUFS_PER_WORKER;
	struct rte_mempool *pool;

	for (uint32_t i = 0; i < s->n_ports; i++) {
		wanted += (uint64_t)s->port[i].n_queues * MBUFS_PER_QUEUE;
		// A pcap source that repeats holds its whole file in packet buffers: all that there
		// is room for.
		if (strstr(s->port[i].device, "infinite_rx=1") != NULL)
			wanted = RTE_MAX(wanted, affordable);
	}
	if (s->memory_mb != 0 && affordable < wanted) {
		if (affordable < wanted / 3)
			dp_log(DP_LOG_WARNING,
			       "memory_mb %u holds %lu packet buffers where the queues can take "
			       "%lu; packets may be lost under load",
			       s->memory_mb, (unsigned long)affordable, (unsigned long)wanted);
		wanted = RTE_MAX(affordable, (uint64_t)MBUFS_MIN);
	}
	pool = rte_pktmbuf_pool_create("packets", (unsigned int)wanted, MBUF_CACHE, 0,
				       (uint16_t)room_bytes, SOCKET_ID_ANY);
	if (pool == NULL)
		fail(err, -ENOMEM,
		     "no memory for %lu packet buffers of %u bytes (%s); raise memory_mb or lower "
		     "the number of queues",
		     (unsigned long)wanted, room_bytes, rte_strerror(rte_errno));
	return pool;
}

// The device's name is its string up to the first comma.
static int probe(struct dp_port *p, const char *device, struct dp_port_error *err)
{
	char name[RTE_DEV_NAME_MAX_LEN];
	int ret;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(device, ","), device);
	if (rte_eth_dev_get_port_by_name(name, &p->ethdev) == 0)
		return 0;
	ret = rte_dev_probe(device);
	if (ret == 0)
		ret = rte_eth_dev_get_port_by_name(name, &p->ethdev);
	if (ret == 0)
		return 0;
	if (strchr(name, ':') != NULL)
		return fail(err, -ENODEV,
			    "no driver of DPDK took the device %s; bind it to vfio-pci "
			    "(dpdk-devbind.py --bind=vfio-pci %s) or correct ports[].device",
			    name, name);
	return fail(err, -ENODEV, "device \"%s\" cannot be opened; correct ports[].device", device);
}

// Receive queues of a kernel interface, 0 where it does not tell.
static uint32_t channels_of(const char *interface)
{
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq request = { .ifr_data = (char *)&channels };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return 0;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	ret = ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return ret < 0 ? 0 : channels.combined_count + channels.rx_count;
}

// What a NIC spreads to a queue that nobody reads is lost.
static int check_channels(const struct dp_port *p, const struct shm_port_settings *s,
			  struct dp_port_error *err)
{
	uint32_t n_channels = channels_of(s->interface);

	if (n_channels <= p->n_queues)
		return 0;
	return fail(err, -EINVAL,
		    "%s spreads packets over %u queues and %u are read here, so the others' would "
		    "be lost; ethtool -L %s combined %u, or raise ports[].queues and workers.count",
		    s->interface, n_channels, p->n_queues, s->interface, p->n_queues);
}

static int configure(struct dp_port *p, const struct shm_port_settings *s, uint32_t n_workers,
		     struct rte_mempool *pool, struct dp_port_error *err)
{
	struct rte_eth_conf conf = { .rxmode = { .mq_mode = RTE_ETH_MQ_RX_NONE } };
	uint16_t n_rx_desc = RX_DESCRIPTORS;
	uint16_t n_tx_desc = TX_DESCRIPTORS;
	struct rte_eth_dev_info info;
	int ret;

	ret = rte_eth_dev_info_get(p->ethdev, &info);
	if (ret < 0)
		return fail(err, ret, "%s does not describe itself: %s", s->device,
			    rte_strerror(-ret));
	p->n_queues = (uint16_t)RTE_MIN(RTE_MIN((uint32_t)s->n_queues, n_workers),
					(uint32_t)RTE_MIN(info.max_rx_queues, info.max_tx_queues));
	if (p->n_queues == 0)
		return fail(err, -ENODEV, "%s has no queues", s->device);
	p->tx_is_shared = p->n_queues < n_workers;
	if (p->is_af_xdp) {
		ret = check_channels(p, s, err);
		if (ret < 0)
			return ret;
	}
	conf.rxmode.mtu = s->mtu_bytes;
	if (info.max_mtu != 0 && conf.rxmode.mtu > info.max_mtu)
		conf.rxmode.mtu = info.max_mtu;
	if (conf.rxmode.mtu < info.min_mtu)
		conf.rxmode.mtu = info.min_mtu;
	if (p->n_queues > 1 && info.flow_type_rss_offloads != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
	}
	ret = rte_eth_dev_configure(p->ethdev, p->n_queues, p->n_queues, &conf);
	if (ret < 0)
		return fail(err, ret, "%s refuses %u queues with an MTU of %u: %s", s->device,
			    p->n_queues, conf.rxmode.mtu, rte_strerror(-ret));
	ret = rte_eth_dev_adjust_nb_rx_tx_desc(p->ethdev, &n_rx_desc, &n_tx_desc);
	if (ret < 0)
		return fail(err, ret, "%s refuses its ring sizes: %s", s->device,
			    rte_strerror(-ret));
	for (uint16_t q = 0; q < p->n_queues; q++) {
		ret = rte_eth_rx_queue_setup(p->ethdev, q, n_rx_desc, SOCKET_ID_ANY, NULL, pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(p->ethdev, q, n_tx_desc, SOCKET_ID_ANY, NULL);
		if (ret < 0)
			return fail(err, p->is_af_xdp ? -EAGAIN : ret,
				    "queue %u of %s cannot be set up: %s; is the device used by "
				    "another process?",
				    q, s->device, rte_strerror(-ret));
	}
	return 0;
}

// The kernel's end of a port without a kernel driver.
static int open_twin(struct dp_port *p, const struct shm_port_settings *s, uint32_t port_idx,
		     struct rte_mempool *pool, struct dp_port_error *err)
{
	struct rte_eth_conf conf = { 0 };
	char device[128];
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "net_tap_twin%u", port_idx);
	snprintf(device, sizeof(device), "%s,iface=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x", name,
		 s->interface, p->mac[0], p->mac[1], p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
	ret = rte_dev_probe(device);
	if (ret == 0)
		ret = rte_eth_dev_get_port_by_name(name, &p->tap_ethdev);
	if (ret == 0)
		ret = rte_eth_dev_configure(p->tap_ethdev, 1, 1, &conf);
	if (ret == 0)
		ret = rte_eth_rx_queue_setup(p->tap_ethdev, 0, 512, SOCKET_ID_ANY, NULL, pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(p->tap_ethdev, 0, 512, SOCKET_ID_ANY, NULL);
	if (ret == 0)
		ret = rte_eth_dev_start(p->tap_ethdev);
	if (ret < 0) {
		p->tap_ethdev = DP_ETHDEV_NONE;
		return fail(err, ret,
			    "the TAP twin %s of %s cannot be made: %s; it needs CAP_NET_ADMIN and "
			    "/dev/net/tun",
			    s->interface, s->device, rte_strerror(-ret));
	}
	// Neighbour discovery of the kernel listens to multicast.
	rte_eth_allmulticast_enable(p->ethdev);
	return 0;
}

static int port_open(struct dp_port *p, const struct shm_port_settings *s, uint32_t port_idx,
		     uint32_t n_workers, const char *run_dir, struct rte_mempool *pool,
		     struct dp_port_error *err)
{
	struct rte_ether_addr mac;
	int ret;

	memset(p, 0, sizeof(*p));
	p->ethdev = DP_ETHDEV_NONE;
	p->tap_ethdev = DP_ETHDEV_NONE;
	p->kernel_path = s->kernel_path;
	p->mtu_bytes = s->mtu_bytes;
	p->is_af_xdp = strncmp(s->device, "net_af_xdp", strlen("net_af_xdp")) == 0;
	p->ifindex = s->interface[0] != 0 ? (int)if_nametoindex(s->interface) : 0;
	rte_spinlock_init(&p->tap_lock);
	for (uint32_t i = 0; i < SHM_WORKERS_MAX; i++)
		rte_spinlock_init(&p->tx_lock[i]);
	if (p->is_af_xdp && p->ifindex == 0)
		return fail(err, -ENODEV,
			    "interface \"%s\" of %s does not exist; create it or correct "
			    "ports[].interface",
			    s->interface, s->device);

	ret = probe(p, s->device, err);
	if (ret < 0)
		return ret;
	// The driver attaches the filter while its queues are set up.
	if (p->is_af_xdp) {
		struct dp_port_error filter_err;

		ret = dp_filter_port_prepare(run_dir, p->ifindex, &filter_err);
		if (ret < 0) {
			fail(err, ret, "%s: %s", s->interface, filter_err.text);
			return ret;
		}
	}
	// Until it runs it is not closed: drivers crash over queues that are half set up, and the
	// process ends anyway.
	ret = configure(p, s, n_workers, pool, err);
	if (ret < 0)
		return ret;
	ret = rte_eth_dev_start(p->ethdev);
	if (ret < 0)
		return fail(err, ret, "%s cannot be started: %s", s->device, rte_strerror(-ret));
	ret = rte_eth_macaddr_get(p->ethdev, &mac);
	if (ret == 0)
		memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
	if (s->kernel_path == SHM_KERNEL_PATH_TAP) {
		ret = open_twin(p, s, port_idx, pool, err);
		if (ret < 0)
			goto fail_close;
	}
	return 0;
fail_close:
	dp_port_close(p);
	return ret;
}

int dp_port_open(struct dp_port *p, const struct shm_port_settings *s, uint32_t port_idx,
		 uint32_t n_workers, const char *run_dir, struct rte_mempool *pool,
		 struct dp_port_error *err)
{
	char cause[200];
	size_t at;
	int ret;

	dp_driver_log_begin();
	ret = port_open(p, s, port_idx, n_workers, run_dir, pool, err);
	dp_driver_log_end(cause, sizeof(cause));
	if (ret < 0 && cause[0] != 0) {
		at = strlen(err->text);
		snprintf(err->text + at, sizeof(err->text) - at, " (the driver says: %s)", cause);
	}
	return ret;
}

void dp_port_close(struct dp_port *p)
{
	if (p->tap_ethdev != DP_ETHDEV_NONE) {
		rte_eth_dev_stop(p->tap_ethdev);
		rte_eth_dev_close(p->tap_ethdev);
		p->tap_ethdev = DP_ETHDEV_NONE;
	}
	if (p->ethdev == DP_ETHDEV_NONE || p->is_af_xdp)
		return;
	rte_eth_dev_stop(p->ethdev);
	rte_eth_dev_close(p->ethdev);
	p->ethdev = DP_ETHDEV_NONE;
}

void dp_port_describe(const struct dp_port *p, const char *run_dir, struct shm_port_state *out)
{
	struct rte_eth_dev_info info;

	memset(out, 0, sizeof(*out));
	if (rte_eth_dev_info_get(p->ethdev, &info) == 0)
		snprintf(out->driver, sizeof(out->driver), "%s", info.driver_name);
	memcpy(out->mac, p->mac, sizeof(out->mac));
	out->mtu_bytes = p->mtu_bytes;
	out->n_queues = p->n_queues;
	out->ifindex = (uint32_t)p->ifindex;
	out->xdp_mode = p->is_af_xdp ? dp_filter_port_mode(run_dir, p->ifindex) : SHM_XDP_NONE;
	dp_port_update(p, out);
}

void dp_port_update(const struct dp_port *p, struct shm_port_state *out)
{
	struct rte_eth_link link = { 0 };
	struct rte_eth_stats stats;

	if (rte_eth_link_get_nowait(p->ethdev, &link) == 0)
		out->link_up = link.link_status == RTE_ETH_LINK_UP;
	if (rte_eth_stats_get(p->ethdev, &stats) < 0)
		return;
	__atomic_store_n(&out->rx_pkts, stats.ipackets, __ATOMIC_RELAXED);
	__atomic_store_n(&out->tx_pkts, stats.opackets, __ATOMIC_RELAXED);
	__atomic_store_n(&out->rx_missed, stats.imissed, __ATOMIC_RELAXED);
	__atomic_store_n(&out->rx_nombuf, stats.rx_nombuf, __ATOMIC_RELAXED);
}
