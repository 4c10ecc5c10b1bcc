// The field tables of bpf/filter_maps.h against the structs: comments drift, so they are read and
// compared with offsetof and sizeof, both ways. Needs no privileges.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "bpf/filter_maps.h"

struct field {
	const char *owner;
	const char *name;
	size_t offset_bytes;
	size_t size_bytes;
};

#define FIELD(s, f)                                                                                \
	{                                                                                          \
#s, #f, offsetof(struct s, f), sizeof(((struct s *)0)->f)                          \
	}
static const struct field fields[] = {
	FIELD(xdp_filter_settings, version),
	FIELD(xdp_filter_settings, flags),
	FIELD(xdp_filter_settings, rate_per_sec),
	FIELD(xdp_filter_settings, rate_burst),
	FIELD(xdp_filter_settings, rate_mask_v6),
	FIELD(xdp_filter_settings, rate_mask_v4),
	FIELD(xdp_filter_settings, software_bytes),
	FIELD(xdp_filter_settings, software),
	FIELD(xdp_filter_settings, software_length),
	FIELD(xdp_filter_settings, rate_prefix_v4),
	FIELD(xdp_filter_settings, rate_prefix_v6),
	FIELD(xdp_filter_settings, answer_credit),
	FIELD(xdp_filter_address, address),
	FIELD(xdp_filter_local, flags),
	FIELD(xdp_filter_local, relay_port_min),
	FIELD(xdp_filter_local, relay_port_max),
	FIELD(xdp_filter_listener_key, address),
	FIELD(xdp_filter_listener_key, port_be),
	FIELD(xdp_filter_listener_key, reserved),
	FIELD(xdp_filter_listener, accept),
	FIELD(xdp_filter_listener, other_port_be),
	FIELD(xdp_filter_listener, reserved),
	FIELD(xdp_filter_listener, other_address),
	FIELD(xdp_filter_bucket, filled_at_ns),
	FIELD(xdp_filter_bucket, tokens_nano),
	FIELD(xdp_filter_bucket, credit_nano),
	FIELD(xdp_filter_fragment_key, source),
	FIELD(xdp_filter_fragment_key, destination),
	FIELD(xdp_filter_fragment_key, identification),
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

Test(maps, field_tables_say_what_the_structs_are)
{
	struct {
		char name[64];
		size_t offset_bytes, size_bytes;
	} table[32];
	size_t n_table = 0, n_compared = 0;
	FILE *header = fopen(FILTER_MAPS_H, "r");
	char line[256], owner[64];

	cr_assert_not_null(header, FILTER_MAPS_H ": %m");
	while (fgets(line, sizeof(line), header)) {
		if (strncmp(line, "// off size", 11) == 0) {
			n_table = 0;
		} else if (n_table < 32 &&
			   sscanf(line, "// %zu %zu %63s", &table[n_table].offset_bytes,
				  &table[n_table].size_bytes, table[n_table].name) == 3) {
			n_table++;
		} else if (sscanf(line, "struct %63s {", owner) == 1) {
			for (size_t i = 0; i < n_table; i++) {
				size_t k = 0;

				while (k < N_FIELDS && (strcmp(fields[k].owner, owner) != 0 ||
							strcmp(fields[k].name, table[i].name) != 0))
					k++;
				cr_assert_lt(k, N_FIELDS, "%s has no %s", owner, table[i].name);
				cr_assert_eq(fields[k].offset_bytes, table[i].offset_bytes, "%s.%s",
					     owner, table[i].name);
				cr_assert_eq(fields[k].size_bytes, table[i].size_bytes, "%s.%s",
					     owner, table[i].name);
			}
			n_compared += n_table;
			n_table = 0;
		}
	}
	fclose(header);
	cr_assert_eq(n_compared, N_FIELDS, "the tables hold %zu fields, the structs %zu",
		     n_compared, N_FIELDS);
}
