// Delay-based detection (draft-ietf-rmcat-gcc-02 §4, §5). Pure, any thread.
#include "controlplane/sfu/bwe/trendline.h"

#include <string.h>

#define BURST_NS          5000000LL
#define BURST_NS_MAX      100000000LL // however fast a queue was drained into it
#define GAP_NS            3000000000LL
#define SMOOTHING         0.9
#define GAIN              4.0
#define DELTAS_MAX        60 // what the slope is multiplied with grows up to this
#define THRESHOLD_MS      12.5
#define THRESHOLD_MS_MIN  6.0
#define THRESHOLD_MS_MAX  600.0
#define THRESHOLD_UP      0.0087 // per ms, §5.4
#define THRESHOLD_DOWN    0.039
#define OUTLIER_MS        15.0 // further off, the threshold does not follow
#define OVER_MS           10.0 // so long before it counts
#define THRESHOLD_STEP_MS 100.0

void bwe_trendline_init(struct bwe_trendline *t)
{
	memset(t, 0, sizeof(*t));
	t->threshold_ms = THRESHOLD_MS;
	t->over_since_ms = -1;
}

static void restart(struct bwe_trendline *t)
{
	double threshold_ms = t->threshold_ms;

	bwe_trendline_init(t);
	t->threshold_ms = threshold_ms;
}

// Least squares over the window.
static bool slope(const struct bwe_trendline *t, double *out)
{
	double mean_x = 0;
	double mean_y = 0;
	double xy = 0;
	double xx = 0;

	for (uint32_t i = 0; i < t->n_points; i++) {
		mean_x += t->point_at_ms[i];
		mean_y += t->point_delay_ms[i];
	}
	mean_x /= t->n_points;
	mean_y /= t->n_points;
	for (uint32_t i = 0; i < t->n_points; i++) {
		double dx = t->point_at_ms[i] - mean_x;

		xy += dx * (t->point_delay_ms[i] - mean_y);
		xx += dx * dx;
	}
	if (xx <= 0)
		return false;
	*out = xy / xx;
	return true;
}

static double magnitude(double v)
{
	return v < 0 ? -v : v;
}

static void adapt_threshold(struct bwe_trendline *t, double offset_ms, int64_t arrival_ns)
{
	double passed_ms = (double)(arrival_ns - t->threshold_at_ns) / 1e6;
	double size_ms = magnitude(offset_ms);

	if (t->threshold_at_ns == 0 || passed_ms < 0)
		passed_ms = 0;
	t->threshold_at_ns = arrival_ns;
	// A route change or a sudden drop of capacity is no jitter to get used to.
	if (size_ms > t->threshold_ms + OUTLIER_MS)
		return;
	if (passed_ms > THRESHOLD_STEP_MS)
		passed_ms = THRESHOLD_STEP_MS;
	t->threshold_ms += (size_ms < t->threshold_ms ? THRESHOLD_DOWN : THRESHOLD_UP) *
			   (size_ms - t->threshold_ms) * passed_ms;
	if (t->threshold_ms < THRESHOLD_MS_MIN)
		t->threshold_ms = THRESHOLD_MS_MIN;
	if (t->threshold_ms > THRESHOLD_MS_MAX)
		t->threshold_ms = THRESHOLD_MS_MAX;
}

static void detect(struct bwe_trendline *t, double send_delta_ms, int64_t arrival_ns)
{
	uint32_t n = t->n_deltas < DELTAS_MAX ? t->n_deltas : DELTAS_MAX;
	double offset_ms = n * t->trend * GAIN;

	if (t->n_deltas < 2)
		return;
	if (offset_ms > t->threshold_ms) {
		t->over_since_ms =
			t->over_since_ms < 0 ? send_delta_ms / 2 : t->over_since_ms + send_delta_ms;
		t->n_over++;
		// A slope that falls again is a queue that is being drained already.
		if (t->over_since_ms > OVER_MS && t->n_over > 1 && t->trend >= t->previous_trend) {
			t->over_since_ms = 0;
			t->n_over = 0;
			t->usage = BWE_USAGE_OVER;
		}
	} else {
		t->over_since_ms = -1;
		t->n_over = 0;
		t->usage = offset_ms < -t->threshold_ms ? BWE_USAGE_UNDER : BWE_USAGE_NORMAL;
	}
	t->previous_trend = t->trend;
	adapt_threshold(t, offset_ms, arrival_ns);
}

static void take_delta(struct bwe_trendline *t, double send_delta_ms, double arrival_delta_ms,
		       int64_t arrival_ns)
{
	if (t->n_deltas == 0)
		t->first_arrival_ns = arrival_ns;
	if (t->n_deltas < 1000)
		t->n_deltas++;
	t->accumulated_ms += arrival_delta_ms - send_delta_ms;
	t->smoothed_ms = SMOOTHING * t->smoothed_ms + (1 - SMOOTHING) * t->accumulated_ms;
	t->point_at_ms[t->next_point] = (double)(arrival_ns - t->first_arrival_ns) / 1e6;
	t->point_delay_ms[t->next_point] = t->smoothed_ms;
	t->next_point = (t->next_point + 1) % BWE_TRENDLINE_WINDOW;
	if (t->n_points < BWE_TRENDLINE_WINDOW)
		t->n_points++;
	if (t->n_points == BWE_TRENDLINE_WINDOW && !slope(t, &t->trend))
		t->trend = t->previous_trend;
	detect(t, send_delta_ms, arrival_ns);
}

static bool belongs(const struct bwe_burst *b, int64_t send_ns, int64_t arrival_ns)
{
	int64_t send_delta_ns = send_ns - b->last_send_ns;
	int64_t arrival_delta_ns = arrival_ns - b->last_arrival_ns;

	if (send_delta_ns <= 0)
		return true;
	// Held up somewhere and let go together: one arrival, whenever they were sent.
	if (arrival_delta_ns < send_delta_ns && arrival_delta_ns <= BURST_NS &&
	    arrival_ns - b->first_arrival_ns < BURST_NS_MAX)
		return true;
	return send_ns - b->first_send_ns <= BURST_NS;
}

void bwe_trendline_packet(struct bwe_trendline *t, int64_t send_ns, int64_t arrival_ns)
{
	struct bwe_burst fresh = { send_ns, send_ns, arrival_ns, arrival_ns };
	struct bwe_burst *b = &t->current;

	if (t->has_current &&
	    (send_ns - b->last_send_ns > GAP_NS || arrival_ns - b->last_arrival_ns > GAP_NS ||
	     b->last_arrival_ns - arrival_ns > GAP_NS))
		restart(t);
	if (!t->has_current) {
		*b = fresh;
		t->has_current = true;
		return;
	}
	if (send_ns < b->first_send_ns)
		return;
	if (belongs(b, send_ns, arrival_ns)) {
		if (send_ns > b->last_send_ns)
			b->last_send_ns = send_ns;
		if (arrival_ns > b->last_arrival_ns)
			b->last_arrival_ns = arrival_ns;
		return;
	}
	if (t->has_previous && b->last_arrival_ns >= t->previous.last_arrival_ns)
		take_delta(t, (double)(b->last_send_ns - t->previous.last_send_ns) / 1e6,
			   (double)(b->last_arrival_ns - t->previous.last_arrival_ns) / 1e6,
			   b->last_arrival_ns);
	t->previous = *b;
	t->has_previous = true;
	*b = fresh;
}
