// Prints tables and numbers.
#include "controlplane/ctl/table.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void table_init(struct table *t, const char *const *heads)
{
	*t = (struct table){ .heads = heads };
	while (heads[t->n_columns])
		t->n_columns++;
}

// Control characters of C0 and DEL; those of C1 as UTF-8 (0xc2 0x80 to 0xc2 0x9f) as well.
static void make_safe(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

static char *format_safe(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0) {
		fputs("turnpikectl: out of memory\n", stderr);
		exit(1);
	}
	make_safe(text);
	return text;
}

void table_cell(struct table *t, const char *format, ...)
{
	va_list args;

	if (t->n_cells == t->capacity) {
		t->capacity = t->capacity ? 2 * t->capacity : 256;
		t->cells = realloc(t->cells, t->capacity * sizeof(*t->cells));
		if (!t->cells) {
			fputs("turnpikectl: out of memory\n", stderr);
			exit(1);
		}
	}
	va_start(args, format);
	t->cells[t->n_cells++] = format_safe(format, args);
	va_end(args);
}

// Columns on the terminal: bytes that do not continue a UTF-8 sequence.
static int text_width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, int width, bool is_right, bool is_last)
{
	int pad = width - text_width(text);

	if (is_right)
		printf("%*s", pad, "");
	fputs(text, stdout);
	if (is_last)
		putchar('\n');
	else
		printf("%*s", is_right ? 2 : pad + 2, "");
}

void table_print(struct table *t)
{
	int width[TABLE_COLUMNS_MAX];

	for (uint32_t c = 0; c < t->n_columns; c++)
		width[c] = text_width(t->heads[c] + 1);
	for (uint32_t i = 0; i < t->n_cells; i++)
		if (text_width(t->cells[i]) > width[i % t->n_columns])
			width[i % t->n_columns] = text_width(t->cells[i]);
	for (uint32_t c = 0; c < t->n_columns; c++)
		print_cell(t->heads[c] + 1, width[c], t->heads[c][0] == '>', c + 1 == t->n_columns);
	for (uint32_t i = 0; i < t->n_cells; i++) {
		uint32_t c = i % t->n_columns;

		print_cell(t->cells[i], width[c], t->heads[c][0] == '>', c + 1 == t->n_columns);
		free(t->cells[i]);
	}
	free(t->cells);
	t->cells = NULL;
	t->n_cells = t->capacity = 0;
}

void print_line(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = format_safe(format, args);
	va_end(args);
	puts(text);
	free(text);
}

static const char *scaled(double value, double base, const char *const *units, uint32_t n_units,
			  char out[UNIT_BYTES])
{
	uint32_t i = 0;

	while (fabs(value) >= base && i + 1 < n_units) {
		value /= base;
		i++;
	}
	if (i == 0)
		snprintf(out, UNIT_BYTES, "%.0f%s", value, units[0]);
	else
		snprintf(out, UNIT_BYTES, "%.*f%s", fabs(value) < 100 ? 1 : 0, value, units[i]);
	return out;
}

const char *unit_bytes(double bytes, char out[UNIT_BYTES])
{
	static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB" };

	return scaled(bytes, 1024, units, 6, out);
}

const char *unit_count(double n, char out[UNIT_BYTES])
{
	static const char *const units[] = { "", " k", " M", " G", " T" };

	// Up to five digits people read faster than a unit.
	if (fabs(n) < 100000)
		snprintf(out, UNIT_BYTES, "%.0f", n);
	else
		scaled(n, 1000, units, 5, out);
	return out;
}

const char *unit_latency(double ns, char out[UNIT_BYTES])
{
	static const char *const units[] = { " ns", " us", " ms", " s" };

	return scaled(ns, 1000, units, 4, out);
}

const char *unit_duration(double s, char out[UNIT_BYTES])
{
	const char *sign = s < 0 ? "-" : "";
	unsigned long n;

	s = fabs(s);
	if (s < 10) {
		snprintf(out, UNIT_BYTES, "%s%.1f s", sign, s);
		return out;
	}
	n = s < 1e9 ? (unsigned long)s : 1000000000ul;
	if (n < 60)
		snprintf(out, UNIT_BYTES, "%s%lu s", sign, n);
	else if (n < 3600)
		snprintf(out, UNIT_BYTES, "%s%lu min %02lu s", sign, n / 60, n % 60);
	else if (n < 86400)
		snprintf(out, UNIT_BYTES, "%s%lu h %02lu min", sign, n / 3600, n / 60 % 60);
	else
		snprintf(out, UNIT_BYTES, "%s%lu d %lu h", sign, n / 86400, n / 3600 % 24);
	return out;
}

const json_t *at(const json_t *o, const char *path)
{
	while (o && *path) {
		char name[64];
		size_t n = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		o = json_object_get(o, name);
		path += n + (path[n] == '.');
	}
	return o;
}

double at_number(const json_t *o, const char *path)
{
	return json_number_value(at(o, path));
}

const char *at_text(const json_t *o, const char *path)
{
	const char *text = json_string_value(at(o, path));

	return text ? text : "-";
}

bool at_true(const json_t *o, const char *path)
{
	return json_is_true(at(o, path));
}
