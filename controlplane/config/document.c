// Parses YAML with libyaml and checks it against the schema. Main thread; writes only what it
// allocates.
#include "controlplane/config/document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct config_document {
	yaml_document_t yaml;
};

static int fault_set(struct config_fault *f, uint32_t line, const char *key, const char *format,
		     ...) __attribute__((format(printf, 4, 5)));

static int fault_set(struct config_fault *f, uint32_t line, const char *key, const char *format,
		     ...)
{
	va_list args;

	f->line = line;
	snprintf(f->key, sizeof(f->key), "%s", key);
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
	return -EINVAL;
}

static uint32_t line_of(const yaml_node_t *node)
{
	return (uint32_t)node->start_mark.line + 1;
}

static int parser_fault(const yaml_parser_t *p, struct config_fault *fault)
{
	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	return fault_set(fault, (uint32_t)p->problem_mark.line + 1, "", "no valid YAML: %s; %s",
			 p->problem ? p->problem : "unreadable",
			 "indent with spaces and quote values with special characters");
}

// Aliases would make a small file a big tree, and a second document would be ignored silently.
static int refuse_aliases(const uint8_t *bytes, size_t n_bytes, struct config_fault *fault)
{
	uint32_t n_documents = 0;
	yaml_parser_t parser;
	bool is_done = false;
	int ret = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, bytes, n_bytes);
	while (!is_done && ret == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			ret = parser_fault(&parser, fault);
			break;
		}
		if (event.type == YAML_ALIAS_EVENT)
			ret = fault_set(fault, (uint32_t)event.start_mark.line + 1, "",
					"aliases (*name) are not supported; write the value out");
		else if (event.type == YAML_DOCUMENT_START_EVENT && ++n_documents > 1)
			ret = fault_set(fault, (uint32_t)event.start_mark.line + 1, "",
					"a second document begins; keep one per file");
		is_done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return ret;
}

int config_document_parse(const uint8_t *bytes, size_t n_bytes, struct config_document **out,
			  struct config_fault *fault)
{
	struct config_document *d;
	yaml_parser_t parser;
	int ret;

	ret = refuse_aliases(bytes, n_bytes, fault);
	if (ret < 0)
		return ret;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	if (!yaml_parser_initialize(&parser)) {
		free(d);
		return -ENOMEM;
	}
	yaml_parser_set_input_string(&parser, bytes, n_bytes);
	ret = yaml_parser_load(&parser, &d->yaml) ? 0 : parser_fault(&parser, fault);
	yaml_parser_delete(&parser);
	if (ret < 0) {
		free(d);
		return ret;
	}
	*out = d;
	return 0;
}

void config_document_free(struct config_document *d)
{
	if (!d)
		return;
	yaml_document_delete(&d->yaml);
	free(d);
}

static yaml_node_t *node_at(const struct config_document *d, int id)
{
	// libyaml's accessors are not const, but read only.
	return yaml_document_get_node((yaml_document_t *)&d->yaml, id);
}

static yaml_node_t *root_of(const struct config_document *d)
{
	return yaml_document_get_root_node((yaml_document_t *)&d->yaml);
}

static const char *scalar_text(const yaml_node_t *n)
{
	return (const char *)n->data.scalar.value;
}

// "a", "a.b", "a.b[2]".
static void key_join(char out[CONFIG_KEY_BYTES], const char *parent, const char *child)
{
	snprintf(out, CONFIG_KEY_BYTES, "%s%s%s", parent, *parent ? "." : "", child);
}

static const cyaml_schema_field_t *field_find(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

// Edits from one word to the other, for "did you mean".
static uint32_t word_distance(const char *a, const char *b)
{
	uint32_t row[64];
	size_t n = strlen(b);

	if (n >= 64)
		return UINT32_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = (uint32_t)j;
	for (uint32_t i = 1; *a; a++, i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			uint32_t best = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static int unknown_key(const yaml_node_t *name, const cyaml_schema_field_t *fields, const char *key,
		       struct config_fault *fault)
{
	const char *nearest = NULL;
	uint32_t nearest_distance = 4;
	char known[200] = "";
	size_t n = 0;

	for (const cyaml_schema_field_t *f = fields; f->key; f++) {
		uint32_t distance = word_distance(scalar_text(name), f->key);

		if (distance < nearest_distance) {
			nearest_distance = distance;
			nearest = f->key;
		}
		if (n < sizeof(known))
			n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s",
					      f == fields ? "" : ", ", f->key);
	}
	if (nearest)
		return fault_set(fault, line_of(name), key, "unknown key; did you mean '%s'?",
				 nearest);
	return fault_set(fault, line_of(name), key, "unknown key; known here: %s", known);
}

static const char *type_wanted(const cyaml_schema_value_t *schema)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return "a block of 'key: value' lines";
	case CYAML_SEQUENCE:
		return "a list, each entry on a line of its own behind '- '";
	case CYAML_UINT:
		return "a whole number from 0 to 4294967295";
	case CYAML_BOOL:
		return "true or false";
	default:
		return "one text";
	}
}

static bool is_number(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && s[n] == '\0' && (n == 1 || s[0] != '0') && n <= 10 &&
	       strtoull(s, NULL, 10) <= UINT32_MAX;
}

static bool is_bool(const char *s)
{
	return strcmp(s, "true") == 0 || strcmp(s, "false") == 0;
}

static bool type_fits(const yaml_node_t *node, const cyaml_schema_value_t *schema)
{
	switch (schema->type) {
	case CYAML_MAPPING:
		return node->type == YAML_MAPPING_NODE;
	case CYAML_SEQUENCE:
		return node->type == YAML_SEQUENCE_NODE;
	case CYAML_UINT:
		return node->type == YAML_SCALAR_NODE && is_number(scalar_text(node));
	case CYAML_BOOL:
		return node->type == YAML_SCALAR_NODE && is_bool(scalar_text(node));
	default:
		return node->type == YAML_SCALAR_NODE &&
		       strlen(scalar_text(node)) == node->data.scalar.length;
	}
}

static int check_value(const struct config_document *d, const yaml_node_t *node,
		       const cyaml_schema_value_t *schema, uint32_t line, const char *key,
		       struct config_fault *fault);

static int check_mapping(const struct config_document *d, const yaml_node_t *node,
			 const cyaml_schema_field_t *fields, uint32_t line, const char *key,
			 struct config_fault *fault)
{
	const yaml_node_pair_t *first = node->data.mapping.pairs.start;
	const yaml_node_pair_t *end = node->data.mapping.pairs.top;
	char child[CONFIG_KEY_BYTES];
	int ret;

	for (const yaml_node_pair_t *p = first; p < end; p++) {
		const yaml_node_t *name = node_at(d, p->key);
		const cyaml_schema_field_t *field;

		if (name->type != YAML_SCALAR_NODE)
			return fault_set(fault, line_of(name), key,
					 "a key is no plain word; write 'key: value'");
		key_join(child, key, scalar_text(name));
		field = field_find(fields, scalar_text(name));
		if (!field)
			return unknown_key(name, fields, child, fault);
		for (const yaml_node_pair_t *q = first; q < p; q++)
			if (strcmp(scalar_text(node_at(d, q->key)), scalar_text(name)) == 0)
				return fault_set(fault, line_of(name), child,
						 "given twice (first on line %u); keep one",
						 line_of(node_at(d, q->key)));
		ret = check_value(d, node_at(d, p->value), &field->value, line_of(name), child,
				  fault);
		if (ret < 0)
			return ret;
	}
	for (const cyaml_schema_field_t *f = fields; f->key; f++) {
		bool is_there = f->value.flags & CYAML_FLAG_OPTIONAL;

		for (const yaml_node_pair_t *p = first; p < end && !is_there; p++)
			is_there = strcmp(scalar_text(node_at(d, p->key)), f->key) == 0;
		if (is_there)
			continue;
		key_join(child, key, f->key);
		return fault_set(fault, line, child, "missing; add '%s:' with %s", f->key,
				 type_wanted(&f->value));
	}
	return 0;
}

// `line` is that of the key, where a value on lines of its own begins later.
static int check_value(const struct config_document *d, const yaml_node_t *node,
		       const cyaml_schema_value_t *schema, uint32_t line, const char *key,
		       struct config_fault *fault)
{
	uint32_t n = 0;

	if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0 &&
	    schema->type != CYAML_STRING)
		return fault_set(fault, line, key, "empty; give it %s, or leave the key out",
				 type_wanted(schema));
	if (!type_fits(node, schema))
		return fault_set(fault, line, key, "wrong type; it takes %s", type_wanted(schema));
	if (schema->type == CYAML_MAPPING)
		return check_mapping(d, node, schema->mapping.fields, line, key, fault);
	if (schema->type != CYAML_SEQUENCE)
		return 0;
	for (const yaml_node_item_t *i = node->data.sequence.items.start;
	     i < node->data.sequence.items.top; i++, n++) {
		const yaml_node_t *entry = node_at(d, *i);
		char child[CONFIG_KEY_BYTES];
		int ret;

		if (n >= schema->sequence.max)
			return fault_set(fault, line_of(entry), key, "more than %u entries",
					 schema->sequence.max);
		snprintf(child, sizeof(child), "%s[%u]", key, n);
		ret = check_value(d, entry, schema->sequence.entry, line_of(entry), child, fault);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int config_document_check(const struct config_document *d, const cyaml_schema_value_t *schema,
			  struct config_fault *fault)
{
	const yaml_node_t *root = root_of(d);

	if (!root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
		return fault_set(fault, 1, "",
				 "the file is empty; start from the sample turnpike.yaml");
	return check_value(d, root, schema, line_of(root), "", fault);
}

uint32_t config_document_line(const struct config_document *d, const char *key)
{
	const yaml_node_t *node = root_of(d);
	uint32_t line = 1;

	while (node && *key) {
		const yaml_node_t *next = NULL;

		if (*key == '[') {
			size_t i = strtoul(key + 1, NULL, 10);

			key = strchr(key, ']') + 1;
			if (node->type != YAML_SEQUENCE_NODE ||
			    i >= (size_t)(node->data.sequence.items.top -
					  node->data.sequence.items.start))
				return line;
			next = node_at(d, node->data.sequence.items.start[i]);
			line = line_of(next);
		} else {
			size_t n;

			key += *key == '.';
			n = strcspn(key, ".[");
			if (node->type != YAML_MAPPING_NODE)
				return line;
			for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
			     p < node->data.mapping.pairs.top; p++) {
				const yaml_node_t *name = node_at(d, p->key);

				if (strncmp(scalar_text(name), key, n) != 0 ||
				    scalar_text(name)[n] != '\0')
					continue;
				next = node_at(d, p->value);
				line = line_of(name);
			}
			key += n;
		}
		node = next;
	}
	return line;
}
