// Reads lifetimes, quotas, table sizes and rates. Main thread.
#include "controlplane/config/reader.h"

#define LIFETIME_MAX_S             3600
#define LIFETIME_LOWEST_S          600 // RFC 8656 §7.2: no allocation lives shorter
#define LIFETIME_HIGHEST_S         86400
#define MAX_ALLOCATIONS            65536
#define MAX_ALLOCATIONS_MOST       4194304
#define MAX_FLOWS                  262144
#define MAX_FLOWS_MOST             8388608
#define PUNT_PER_SEC               2000 // 50 clients behind one address that all allocate at once
#define PUNT_BURST_PKTS            4000
#define FILTER_ANSWER_CREDIT_BYTES 4096 // as the worker's
#define FILTER_STUN_PER_SEC        20000
#define RATE_MOST                  1000000000

static int read_tables(struct config_reader *r)
{
	static const struct file_tables none;
	const struct file_tables *f = r->file->tables ? r->file->tables : &none;
	struct config *c = r->config;
	int ret;

	config_at(r, "tables.max_allocations");
	ret = config_number(r, f->max_allocations, MAX_ALLOCATIONS, 1, MAX_ALLOCATIONS_MOST,
			    &c->max_allocations);
	if (ret < 0)
		return ret;
	config_at(r, "tables.max_flows");
	return config_number(r, f->max_flows, MAX_FLOWS, 1, MAX_FLOWS_MOST, &c->max_flows);
}

static int read_quota(struct config_reader *r)
{
	static const struct file_quota none;
	const struct file_quota *f = r->file->quota ? r->file->quota : &none;
	struct config *c = r->config;
	int ret;

	config_at(r, "quota.total");
	ret = config_number(r, f->total, 0, 0, UINT32_MAX, &c->quota_total);
	if (ret < 0)
		return ret;
	if (c->quota_total > c->max_allocations)
		return config_fail(r,
				   "%u is more than tables.max_allocations (%u) holds; lower "
				   "it or raise that",
				   c->quota_total, c->max_allocations);
	config_at(r, "quota.per_user");
	return config_number(r, f->per_user, 0, 0, UINT32_MAX, &c->quota_per_user);
}

static int read_rates(struct config_reader *r)
{
	static const struct file_limits none;
	const struct file_limits *f = r->file->limits ? r->file->limits : &none;
	struct config *c = r->config;
	uint32_t burst;
	int ret;

	config_at(r, "limits.punt_per_source_per_second");
	ret = config_number(r, f->punt_per_source_per_second, PUNT_PER_SEC, 0, RATE_MOST,
			    &c->punt_per_source_per_sec);
	if (ret < 0)
		return ret;
	config_at(r, "limits.punt_burst");
	burst = f->punt_per_source_per_second ? 2 * c->punt_per_source_per_sec : PUNT_BURST_PKTS;
	ret = config_number(r, f->punt_burst, burst > 0 ? burst : 1, 1, 2u * RATE_MOST,
			    &c->punt_burst_pkts);
	if (ret < 0)
		return ret;
	config_at(r, "limits.filter_stun_per_source_per_second");
	ret = config_number(r, f->filter_stun_per_source_per_second, FILTER_STUN_PER_SEC, 0,
			    RATE_MOST, &c->filter_stun_per_source_per_sec);
	if (ret < 0)
		return ret;
	config_at(r, "limits.filter_stun_burst");
	burst = c->filter_stun_per_source_per_sec;
	ret = config_number(r, f->filter_stun_burst, burst > 0 ? burst : 1, 1, 2u * RATE_MOST,
			    &c->filter_stun_burst_pkts);
	if (ret < 0)
		return ret;
	config_at(r, "limits.filter_answer_credit_bytes");
	return config_number(r, f->filter_answer_credit_bytes, FILTER_ANSWER_CREDIT_BYTES, 0,
			     1000000000, &c->filter_answer_credit_bytes);
}

int config_read_limits(struct config_reader *r)
{
	const struct file_config *f = r->file;
	int ret;

	config_at(r, "lifetime_max_seconds");
	ret = config_number(r, f->lifetime_max_seconds, LIFETIME_MAX_S, LIFETIME_LOWEST_S,
			    LIFETIME_HIGHEST_S, &r->config->lifetime_max_s);
	if (ret < 0)
		return ret;
	ret = read_tables(r);
	if (ret < 0)
		return ret;
	ret = read_quota(r);
	if (ret < 0)
		return ret;
	ret = read_rates(r);
	if (ret < 0)
		return ret;
	r->config->filter_answers_stun =
		f->filter && f->filter->answer_stun ? *f->filter->answer_stun : true;
	return 0;
}
