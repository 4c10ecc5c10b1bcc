// Delay-based detection (draft-ietf-rmcat-gcc-02 §4 and §5): packets in bursts of 5 ms, the slope
// of the accumulated one-way delay variation over 20 of them, and an adaptive threshold. Pure.
#ifndef TP_BWE_TRENDLINE_H
#define TP_BWE_TRENDLINE_H

#include <stdbool.h>
#include <stdint.h>

#define BWE_TRENDLINE_WINDOW 20

enum bwe_usage {
	BWE_USAGE_NORMAL = 0,
	BWE_USAGE_OVER,  // a queue grows
	BWE_USAGE_UNDER, // a queue drains
	BWE_USAGE_COUNT
};

// Packets that were sent, or came in, as one burst.
struct bwe_burst {
	int64_t first_send_ns;
	int64_t last_send_ns;
	int64_t first_arrival_ns;
	int64_t last_arrival_ns;
};

struct bwe_trendline {
	struct bwe_burst current;
	struct bwe_burst previous;
	bool has_current;
	bool has_previous;
	uint8_t n_points;
	uint8_t next_point;
	uint32_t n_deltas;
	int64_t first_arrival_ns;
	double accumulated_ms;
	double smoothed_ms;
	double point_at_ms[BWE_TRENDLINE_WINDOW];
	double point_delay_ms[BWE_TRENDLINE_WINDOW];
	double trend; // ms of delay per ms
	double previous_trend;
	double threshold_ms;
	int64_t threshold_at_ns; // arrival time of its last update
	double over_since_ms;    // below 0: not over
	uint32_t n_over;
	enum bwe_usage usage;
};

void bwe_trendline_init(struct bwe_trendline *t);
// A packet that arrived, in the order of sending; both clocks unwrapped. A gap of more than 3 s, or
// an arrival clock that jumps, starts the filter anew (the threshold is kept).
void bwe_trendline_packet(struct bwe_trendline *t, int64_t send_ns, int64_t arrival_ns);

#endif
