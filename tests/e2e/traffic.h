// Numbered test traffic: what was sent, what came back, and what did not, counted in windows that the test opens and
// closes. One thread; no I/O here.
#ifndef TP_E2E_TRAFFIC_H
#define TP_E2E_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_WINDOWS_MAX   256
#define TRAFFIC_PACKET_MIN    40
#define TRAFFIC_PACKET_MAX    1400
#define TRAFFIC_SEQ_SEEN_BITS (1u << 17) // how far back a duplicate is recognised

// One window: packets are counted where they were sent, however late they come back.
struct traffic_window {
	uint64_t n_sent;
	uint64_t n_received; // each packet once
	uint64_t n_duplicate;
	uint64_t n_reordered;
	uint64_t n_corrupt;       // wrong length, wrong bytes, or of another client
	uint64_t n_socket_errors; // ECONNREFUSED and the like, on send or receive
	uint64_t longest_gap_ns;  // between two arrivals
	uint64_t gap_end_ms;      // when that gap ended, ms since the epoch
	uint64_t first_sent_ns;
};

// One direction-pair of packets: a client's stream and its echo.
struct traffic_stream {
	uint32_t id;
	uint64_t next_seq;
	uint64_t highest_seq;
	bool any_received;
	uint8_t seen[TRAFFIC_SEQ_SEEN_BITS / 8];
};

struct traffic {
	struct traffic_window window[TRAFFIC_WINDOWS_MAX];
	uint32_t current; // window that new packets belong to
	uint64_t last_arrival_ns;
};

// Writes the stream's next packet of `size_bytes` (TRAFFIC_PACKET_MIN..TRAFFIC_PACKET_MAX) and counts it as sent.
void traffic_packet_write(struct traffic *t, struct traffic_stream *s, uint8_t *out,
			  size_t size_bytes, uint64_t now_ns);
// Counts what came back. `size_bytes_expected` is what every packet was sent with.
void traffic_packet_count(struct traffic *t, struct traffic_stream *s, const uint8_t *packet,
			  size_t size_bytes, size_t size_bytes_expected, uint64_t now_ns);
void traffic_socket_error(struct traffic *t);
// Later packets belong to the next window; returns the index of the closed one.
uint32_t traffic_window_next(struct traffic *t);
// One line of JSON on stdout.
void traffic_window_print(const struct traffic *t, uint32_t index);

#endif
