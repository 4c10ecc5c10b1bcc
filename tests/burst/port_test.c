// Ports that cannot be brought up: one sentence, and the process lives to say it.
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/burst/pipeline.h"

TestSuite(port, .init = pipeline_init, .fini = pipeline_fini, .timeout = 60);

// A pcap file of `n` empty frames of 64 bytes.
static void pcap_write(const char *path, uint32_t n)
{
	static const uint32_t head[6] = { 0xa1b2c3d4, 4u << 16 | 2, 0, 0, 65535, 1 };
	static const uint32_t record[4] = { 0, 0, 64, 64 };
	static const uint8_t frame[64];
	FILE *f = fopen(path, "wb");

	cr_assert_not_null(f);
	fwrite(head, sizeof(head), 1, f);
	for (uint32_t i = 0; i < n; i++) {
		fwrite(record, sizeof(record), 1, f);
		fwrite(frame, sizeof(frame), 1, f);
	}
	cr_assert_eq(fclose(f), 0);
}

Test(port, queue_that_cannot_be_set_up_is_an_error_and_no_crash)
{
	struct shm_port_settings s = { .n_queues = 1, .mtu_bytes = 1500 };
	char path[] = "/tmp/burst_pcap.XXXXXX";
	struct dp_port_error err = { .text = "" };
	struct rte_mempool *pool;
	struct dp_port port;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	pcap_write(path, 100);
	// A source that repeats holds its whole file, for which this pool is too small.
	pool = rte_pktmbuf_pool_create("small", 31, 0, 0, 2176, SOCKET_ID_ANY);
	cr_assert_not_null(pool);
	snprintf(s.device, sizeof(s.device), "net_pcap7,rx_pcap=%s,infinite_rx=1", path);
	cr_assert_lt(dp_port_open(&port, &s, 0, 1, "/nonexistent", pool, &err), 0);
	cr_assert_not_null(strstr(err.text, "queue 0 of net_pcap7"), "it says: %s", err.text);
	unlink(path);
}
