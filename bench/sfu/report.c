// The result of a run.
#include "bench/sfu/report.h"

#include <stdio.h>
#include <string.h>

static double lost_share(const struct load_result *r)
{
	uint64_t had = r->direct + r->repaired;

	return r->expected > had ? (double)(r->expected - had) / (double)r->expected : 0;
}

static bool is_good(const struct load_options *o, const struct load_result *r)
{
	return r->n_failed == 0 && r->n_in_the_dark == 0 && r->totals.n_corrupt == 0 &&
	       r->totals.n_reused == 0 && r->totals.n_misordered == 0 && r->totals.n_unknown == 0 &&
	       r->transport.n_forged == 0 && r->transport.n_rtcp_forged == 0 &&
	       r->session.n_bad_rtcp == 0 && lost_share(r) <= o->loss_max;
}

static void put_times(FILE *f, const char *name, const struct histogram *h, double unit)
{
	fprintf(f,
		"  \"%s\": {\"n\": %lu, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": "
		"%.1f},\n",
		name, h->n, (double)histogram_quantile(h, 0.5) / unit,
		(double)histogram_quantile(h, 0.99) / unit,
		(double)histogram_quantile(h, 0.999) / unit, (double)h->max / unit);
}

// A text of somebody else's in a JSON string.
static void put_text(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		fputc((unsigned char)*text < 32 ? ' ' : *text, f);
	}
}

static void put_samples(FILE *f, const struct load_result *r)
{
	fprintf(f, "  \"timeline\": [");
	for (uint32_t i = 0; i < r->n_samples; i++) {
		const struct load_sample *s = &r->samples[i];

		fprintf(f, "%s\n    {\"ms\": %u, \"kbps\": %u, \"at_layer\": [%u, %u, %u]}",
			i ? "," : "", s->at_ms, s->kbps, s->n_at_layer[0], s->n_at_layer[1],
			s->n_at_layer[2]);
	}
	fprintf(f, "],\n");
}

static void put_json(FILE *f, const struct load_result *r, bool good)
{
	const struct rtp_sink_totals *t = &r->totals;
	const struct load_session_counters *c = &r->session;
	double seconds = (double)r->counted_ns / 1e9;

	fprintf(f, "{\n  \"good\": %s,\n", good ? "true" : "false");
	fprintf(f, "  \"publishers\": %u,\n  \"watchers\": %u,\n  \"failed\": %u,\n",
		r->n_publishers, r->n_watchers, r->n_failed);
	fprintf(f, "  \"in_the_dark\": %u,\n  \"first_failure\": \"", r->n_in_the_dark);
	put_text(f, r->first_failure);
	fprintf(f, "\",\n  \"profile\": \"%s\",\n  \"engine\": \"%s\",\n  \"seconds\": %.3f,\n",
		r->profile, r->engine, seconds);
	put_times(f, "join_ms", &r->join_us, 1000);
	put_times(f, "ice_ms", &r->ice_us, 1000);
	put_times(f, "connected_ms", &r->connected_us, 1000);
	put_times(f, "longest_gap_ms", &r->gap_us, 1000);
	put_times(f, "latency_us", &t->latency_ns, 1000);
	fprintf(f, "  \"published_pkts_per_sec\": %.1f,\n", (double)r->published_pkts / seconds);
	fprintf(f, "  \"received_pkts_per_sec\": %.1f,\n", (double)r->received_pkts / seconds);
	fprintf(f, "  \"received_bits_per_sec\": %.0f,\n", (double)r->received_bytes * 8 / seconds);
	fprintf(f, "  \"expected\": %lu,\n  \"direct\": %lu,\n  \"repaired\": %lu,\n", r->expected,
		r->direct, r->repaired);
	fprintf(f, "  \"lost_share\": %.8f,\n", lost_share(r));
	fprintf(f, "  \"corrupt\": %lu,\n  \"forged\": %lu,\n  \"index_reused\": %lu,\n",
		t->n_corrupt, r->transport.n_forged, t->n_reused);
	fprintf(f, "  \"index_behind\": %lu,\n  \"index_jumps\": %lu,\n", t->n_behind, t->n_jumps);
	fprintf(f, "  \"duplicates\": %lu,\n  \"reordered\": %lu,\n  \"misordered\": %lu,\n",
		t->n_duplicates, t->n_reordered, t->n_misordered);
	fprintf(f, "  \"padding\": %lu,\n  \"unknown\": %lu,\n  \"layer_changes\": %lu,\n",
		t->n_padding, t->n_unknown, t->n_layer_changes);
	fprintf(f,
		"  \"rtcp\": {\"forged\": %lu, \"bad\": %lu, \"sender_reports\": %lu, "
		"\"receiver_reports\": %lu, "
		"\"twcc_received\": %lu, \"twcc_sent\": %lu, \"remb_received\": %lu, ",
		r->transport.n_rtcp_forged, c->n_bad_rtcp, c->n_sender_reports,
		c->n_reports_received, c->n_twcc_received, c->n_twcc_sent, c->n_remb_received);
	fprintf(f,
		"\"nacks_sent\": %lu, \"nacks_received\": %lu, \"repeated\": %lu, \"plis_sent\": "
		"%lu, \"plis_received\": %lu},\n",
		c->n_nacks_sent, c->n_nacks_received, c->n_repeated, c->n_plis_sent,
		c->n_plis_received);
	fprintf(f, "  \"waited_share\": %.4f,\n  \"server_cpu_seconds\": %.4f,\n",
		(double)r->waited_ns / (double)r->counted_ns, (double)r->server_cpu_ns / 1e9);
	put_samples(f, r);
	fprintf(f, "  \"send_failed\": %lu,\n  \"consent_lost\": %lu\n}\n",
		r->transport.n_send_failed, r->transport.n_consent_lost);
}

static void put_summary(FILE *f, const struct load_result *r, bool good)
{
	double seconds = (double)r->counted_ns / 1e9;

	fprintf(f, "%u publishers, %u watchers, %u failed, %u in the dark%s%s\n", r->n_publishers,
		r->n_watchers, r->n_failed, r->n_in_the_dark, r->first_failure[0] ? ": " : "",
		r->first_failure);
	fprintf(f, "connected in %.1f ms (p99), %s, %s\n",
		(double)histogram_quantile(&r->connected_us, 0.99) / 1000, r->profile, r->engine);
	fprintf(f,
		"published %.0f packets/s, received %.0f packets/s, %.1f Mb/s; lost %.5f %% (%lu "
		"repaired)\n",
		(double)r->published_pkts / seconds, (double)r->received_pkts / seconds,
		(double)r->received_bytes * 8 / seconds / 1e6, lost_share(r) * 100, r->repaired);
	fprintf(f, "latency p50 %.0f us, p99 %.0f us, p99.9 %.0f us; longest pause %.0f ms\n",
		(double)histogram_quantile(&r->totals.latency_ns, 0.5) / 1000,
		(double)histogram_quantile(&r->totals.latency_ns, 0.99) / 1000,
		(double)histogram_quantile(&r->totals.latency_ns, 0.999) / 1000,
		(double)r->gap_us.max / 1000);
	fprintf(f, "corrupt %lu, forged %lu, index reused %lu, doubled %lu, out of order %lu: %s\n",
		r->totals.n_corrupt, r->transport.n_forged, r->totals.n_reused,
		r->totals.n_duplicates, r->totals.n_misordered, good ? "good" : "NOT GOOD");
}

int load_report(const struct load_options *o, const struct load_result *r)
{
	bool good = is_good(o, r);
	bool to_stdout = o->json && strcmp(o->json, "-") == 0;
	FILE *f = to_stdout ? stdout : o->json ? fopen(o->json, "w") : NULL;

	put_summary(to_stdout ? stderr : stdout, r, good);
	if (!o->json)
		return good ? 0 : 1;
	if (!f) {
		fprintf(stderr, "sfu_load: %s cannot be written\n", o->json);
		return 1;
	}
	put_json(f, r, good);
	if (!to_stdout)
		fclose(f);
	return good ? 0 : 1;
}
