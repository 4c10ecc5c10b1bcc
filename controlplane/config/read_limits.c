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
#define FILTER_ANSWER_CREDIT_BYTES 512 // as the worker's
#define FILTER_STUN_PER_SEC        20000
#define PER_ALLOCATION             256
#define PER_ALLOCATION_MOST        4096
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

// A user's burst is a second's worth: less than one packet makes no sense.
#define BYTES_PER_S_LEAST 1500

static int read_rate(struct config_reader *r, const uint32_t *given, uint32_t *out)
{
	*out = given ? *given : 0;
	if (*out == 0 || *out >= BYTES_PER_S_LEAST)
		return 0;
	return config_fail(r,
			   "%u bytes per second are less than a packet; use %u or more, or 0 "
			   "for no limit",
			   *out, BYTES_PER_S_LEAST);
}

static int read_allocation_limits(struct config_reader *r)
{
	static const struct file_limits none;
	const struct file_limits *f = r->file->limits ? r->file->limits : &none;
	struct config *c = r->config;
	int ret;

	config_at(r, "limits.permissions_per_allocation");
	ret = config_number(r, f->permissions_per_allocation, PER_ALLOCATION, 1,
			    PER_ALLOCATION_MOST, &c->permissions_per_allocation);
	if (ret < 0)
		return ret;
	config_at(r, "limits.channels_per_allocation");
	ret = config_number(r, f->channels_per_allocation, PER_ALLOCATION, 1, PER_ALLOCATION_MOST,
			    &c->channels_per_allocation);
	if (ret < 0)
		return ret;
	config_at(r, "limits.new_peers_per_second_per_allocation");
	ret = config_number(r, f->new_peers_per_second_per_allocation, 0, 0, 1000000,
			    &c->new_peers_per_s_per_allocation);
	if (ret < 0)
		return ret;
	config_at(r, "limits.bytes_per_second_per_allocation");
	ret = read_rate(r, f->bytes_per_second_per_allocation, &c->bytes_per_s_per_allocation);
	if (ret < 0)
		return ret;
	config_at(r, "limits.bytes_per_second_per_user");
	return read_rate(r, f->bytes_per_second_per_user, &c->bytes_per_s_per_user);
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
	ret = read_allocation_limits(r);
	if (ret < 0)
		return ret;
	r->config->mobility = f->mobility ? *f->mobility : true;
	r->config->filter_answers_stun =
		f->filter && f->filter->answer_stun ? *f->filter->answer_stun : true;
	return 0;
}
