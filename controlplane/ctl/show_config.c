// config show for people: the tree, indented as in the file.
#include <stdio.h>
#include <string.h>

#include "controlplane/ctl/show.h"
#include "controlplane/ctl/table.h"

static void print_scalar(const char *indent, const char *name, const json_t *v)
{
	if (json_is_string(v))
		print_line("%s%s %s", indent, name, json_string_value(v));
	else if (json_is_boolean(v))
		print_line("%s%s %s", indent, name, json_is_true(v) ? "true" : "false");
	else if (json_is_number(v))
		print_line("%s%s %.0f", indent, name, json_number_value(v));
	else
		print_line("%s%s -", indent, name);
}

// `depth` bounds what a strange answer could ask for.
static void print_tree(const json_t *v, uint32_t depth)
{
	char indent[32], label[80];
	const char *name;
	const json_t *child;
	size_t i;

	snprintf(indent, sizeof(indent), "%*s", (int)(2 * depth), "");
	if (depth > 8)
		return;
	json_object_foreach((json_t *)v, name, child)
	{
		snprintf(label, sizeof(label), "%s:", name);
		if (json_is_object(child) || json_is_array(child)) {
			if (json_object_size(child) + json_array_size(child) == 0)
				continue;
			print_line("%s%s", indent, label);
			print_tree(child, depth + 1);
		} else {
			print_scalar(indent, label, child);
		}
	}
	json_array_foreach(v, i, child)
	{
		if (json_is_object(child)) {
			print_line("%s-", indent);
			print_tree(child, depth + 1);
		} else {
			print_scalar(indent, "-", child);
		}
	}
}

void show_config(const json_t *r)
{
	print_tree(r, 0);
}
