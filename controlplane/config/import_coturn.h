// Reads a turnserver.conf of coturn and writes our YAML. Pure but for the streams. What has no equivalent is listed, and what only
// an operator can know (the interface that carries the addresses) is said in a comment where it must be filled in.
#ifndef TP_CONFIG_IMPORT_COTURN_H
#define TP_CONFIG_IMPORT_COTURN_H

#include <stdio.h>

#define IMPORT_LEFTOVERS_MAX 256

struct import_leftover {
	unsigned line;
	char option[64];
	char why[160];
};

struct import_report {
	unsigned n_taken; // lines that have an equivalent, or that ask for what we do anyway
	unsigned n_leftovers;
	struct import_leftover leftover[IMPORT_LEFTOVERS_MAX];
};

// `interface` stands in ports:, "eth0" if NULL. 0; -EINVAL when the file lacks what we cannot do without (realm, a way to
// authenticate), with one sentence in error; -ENOMEM; -E2BIG for more than fits.
int import_coturn(FILE *in, const char *interface, FILE *out, struct import_report *report,
		  char *error, size_t error_bytes);

#endif
