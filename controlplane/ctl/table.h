// Aligned columns for people, and numbers in humane units. Text from the network loses its control
// characters here, so no user name can drive the operator's terminal.
#ifndef TP_CTL_TABLE_H
#define TP_CTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_COLUMNS_MAX 16

struct table {
	const char *const *heads; // "<name" is left-aligned, ">name" right-aligned
	uint32_t n_columns;
	char **cells; // row after row
	uint32_t n_cells;
	uint32_t capacity;
};

// `heads` ends with NULL and must outlive the table.
void table_init(struct table *t, const char *const *heads);
// Adds the next cell.
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Prints heads and rows, and frees them.
void table_print(struct table *t);

// Prints one line of formatted text with control characters as '?'.
void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define UNIT_BYTES 24
// "512 B", "1.4 MiB".
const char *unit_bytes(double bytes, char out[UNIT_BYTES]);
// "950", "12.3 k", "4.5 M".
const char *unit_count(double n, char out[UNIT_BYTES]);
// "12 s", "3 min 20 s", "2 h 05 min", "3 d 4 h"; "-12 s" when it lies behind.
const char *unit_duration(double s, char out[UNIT_BYTES]);
// "850 ns", "12.5 us", "3.1 ms".
const char *unit_latency(double ns, char out[UNIT_BYTES]);

// Values below a path such as "dataplane.pid"; 0, false, "-" or NULL where it is not there.
const json_t *at(const json_t *o, const char *path);
double at_number(const json_t *o, const char *path);
const char *at_text(const json_t *o, const char *path);
bool at_true(const json_t *o, const char *path);

#endif
