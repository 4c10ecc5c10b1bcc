// The configuration file as a tree that knows its lines: checks it against the schema before
// libcyaml fills the structs, because libcyaml's own messages name the line before the culprit,
// print secrets, take "maybe" for true and "010" for eight. Main thread.
#ifndef TP_CONFIG_DOCUMENT_H
#define TP_CONFIG_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/schema.h"

#define CONFIG_KEY_BYTES 128

struct config_document;

// Where and what is wrong.
struct config_fault {
	uint32_t line;              // 1-based
	char key[CONFIG_KEY_BYTES]; // as in "listeners[1].port"; "" for the file as a whole
	char text[256];             // "what; remedy"
};

// Parses the bytes: one YAML document, no aliases. 0, -EINVAL with *fault filled, or -ENOMEM.
int config_document_parse(const uint8_t *bytes, size_t n_bytes, struct config_document **out,
			  struct config_fault *fault);
void config_document_free(struct config_document *d);

// Refuses unknown and repeated keys, wrong types and missing keys. 0, or -EINVAL with *fault
// filled.
int config_document_check(const struct config_document *d, const cyaml_schema_value_t *schema,
			  struct config_fault *fault);

// Line of a key such as "listeners[1].port"; that of the nearest parent where the key is not there.
uint32_t config_document_line(const struct config_document *d, const char *key);

#endif
