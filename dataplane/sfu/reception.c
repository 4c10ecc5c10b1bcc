// The reception half of a worker's SFU: made and freed with the worker, and its turn in each poll. Creation runs on the main
// thread, all else on the worker's.
#include "dataplane/sfu/reception.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/log.h"

// RTP of one frame of 1500 bytes; what is rewritten stays in place, so it needs no more.
#define MEDIA_ROOM_BYTES (RTE_PKTMBUF_HEADROOM + 1536)
#define MEDIA_CACHE      256

// So many transports are looked at in this time.
#define WALK_NS         UINT64_C(10000000)
#define WALK_TRANSPORTS 32
// Every publisher has its turn once in this time, and they do not wait for less than a step of it.
#define UPSTREAM_NS      UINT64_C(2000000)
#define UPSTREAM_STEP_NS UINT64_C(20000)

static struct rte_mempool *pool_create(const struct dp_worker *w)
{
	uint32_t n = w->shared->sfu->media_mbufs;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "media_%u", w->worker_idx);
	return rte_pktmbuf_pool_create(name, n, RTE_MIN((uint32_t)MEDIA_CACHE, n / 4),
				       DP_SFU_MEDIA_BYTES, MEDIA_ROOM_BYTES, SOCKET_ID_ANY);
}

int dp_sfu_receive_create(struct dp_worker *w)
{
	struct dp_sfu_shared *sfu = w->shared->sfu;
	uint32_t n = sfu->table.n_transports;
	struct dp_sfu_reception *rx = calloc(1, sizeof(*rx));
	int ret = -ENOMEM;

	if (rx == NULL)
		return -ENOMEM;
	w->sfu_rx = rx;
	rx->transport = calloc(n, sizeof(*rx->transport));
	rx->client = calloc(n, sizeof(struct dp_sfu_client *));
	rx->path = calloc(n, sizeof(*rx->path));
	rx->owned = calloc(n, sizeof(*rx->owned));
	rx->publishing = calloc(n, sizeof(*rx->publishing));
	rx->dtls = calloc(n, sizeof(*rx->dtls));
	rx->remotes = dp_sfu_remote_table_create(n * DP_SFU_REMOTES_MAX / 2, sfu->remote_seed);
	rx->pool = pool_create(w);
	if (rx->transport == NULL || rx->client == NULL || rx->owned == NULL ||
	    rx->publishing == NULL || rx->path == NULL || rx->dtls == NULL || rx->remotes == NULL ||
	    rx->pool == NULL)
		goto fail_destroy;
	ret = dp_srtp_open(DP_SRTP_ENGINE_AUTO, DP_SRTP_ISA_AUTO, &rx->srtp);
	if (ret < 0)
		goto fail_destroy;
	if (w->worker_idx == 0)
		dp_log(DP_LOG_INFO,
		       "SRTP: AEAD_AES_128_GCM by %s, AEAD_AES_256_GCM by %s, "
		       "AES_CM_128_HMAC_SHA1_80 by %s",
		       dp_srtp_engine_for(rx->srtp, DP_SRTP_AEAD_AES_128_GCM),
		       dp_srtp_engine_for(rx->srtp, DP_SRTP_AEAD_AES_256_GCM),
		       dp_srtp_engine_for(rx->srtp, DP_SRTP_AES_CM_128_HMAC_SHA1_80));
	__atomic_store_n(&sfu->remotes[w->worker_idx], rx->remotes, __ATOMIC_RELEASE);
	dp_sfu_transports_adopt(w);
	return 0;
fail_destroy:
	dp_sfu_receive_destroy(w);
	return ret;
}

void dp_sfu_receive_destroy(struct dp_worker *w)
{
	struct dp_sfu_reception *rx = w->sfu_rx;

	w->shared->sfu->remotes[w->worker_idx] = NULL;
	dp_sfu_transports_release(w);
	dp_srtp_close(rx->srtp);
	rte_mempool_free(rx->pool);
	dp_sfu_remote_table_destroy(rx->remotes);
	free(rx->dtls);
	free(rx->publishing);
	free(rx->owned);
	free(rx->client);
	free(rx->path);
	free(rx->transport);
	free(rx);
	w->sfu_rx = NULL;
}

// How many of `n` have their turn now, when each has one in `round_ns`: a few often, instead of all at once, for packets wait
// meanwhile. *at_ns is how far it has come.
static uint32_t turns(uint64_t *at_ns, uint64_t now_ns, uint64_t round_ns, uint32_t n)
{
	uint64_t gone_ns = now_ns - *at_ns;
	uint64_t n_due;

	if (gone_ns >= round_ns || n == 0) {
		*at_ns = now_ns;
		return n;
	}
	n_due = gone_ns * n / round_ns;
	*at_ns += n_due * round_ns / n;
	return (uint32_t)n_due;
}

uint32_t dp_sfu_receive_poll(struct dp_worker *w)
{
	struct dp_sfu_reception *rx = w->sfu_rx;
	uint32_t n = dp_sfu_exchange_poll(w);

	if (w->now_ns - rx->upstream_ns >= UPSTREAM_STEP_NS)
		dp_sfu_upstream_poll(
			w, turns(&rx->upstream_ns, w->now_ns, UPSTREAM_NS, rx->n_publishing));
	if (w->now_ns - rx->walked_ns >= WALK_NS / WALK_TRANSPORTS)
		dp_sfu_transports_walk(w,
				       turns(&rx->walked_ns, w->now_ns, WALK_NS, WALK_TRANSPORTS));
	return n;
}
