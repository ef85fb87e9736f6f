/* What readers and checkers of schemas share, and what others may know of one. */
#include "json/schema.h"

#include <stdio.h>

#include "base/suggest.h"
#include "json/schema_node.h"

/* A mistyped name is compared with no more properties, so that a mistake costs little. */
#define NAMES_COMPARED 64

unsigned cla_json_schema_type_of(enum cla_json_event event)
{
    switch (event) {
    case CLA_JSON_NULL:
        return CLA_JSON_TYPE_NULL;
    case CLA_JSON_FALSE:
    case CLA_JSON_TRUE:
        return CLA_JSON_TYPE_BOOLEAN;
    case CLA_JSON_INT:
        return CLA_JSON_TYPE_INTEGER;
    case CLA_JSON_NUMBER:
        return CLA_JSON_TYPE_NUMBER;
    case CLA_JSON_STRING:
        return CLA_JSON_TYPE_STRING;
    case CLA_JSON_ARRAY_BEGIN:
        return CLA_JSON_TYPE_ARRAY;
    default:
        return CLA_JSON_TYPE_OBJECT;
    }
}

bool cla_json_schema_takes_null(const struct cla_json_node *node)
{
    bool chosen = node->choices_rule == NULL;

    for (size_t i = 0; i < node->choice_count; i++)
        chosen |= node->choices[i].kind == CLA_JSON_NULL;
    return chosen && (node->types == 0 || (node->types & CLA_JSON_TYPE_NULL) != 0);
}

static int compare(struct cla_slice a, struct cla_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

struct cla_json_property *cla_json_schema_find(const struct cla_json_node *node,
                                               struct cla_slice name)
{
    size_t from = 0, to = node->property_count;

    while (from < to) {
        size_t middle = (from + to) / 2;
        int order = compare(name, node->properties[middle].name);

        if (order == 0)
            return &node->properties[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

struct cla_slice cla_json_schema_suggest(const struct cla_json_node *node, struct cla_slice name)
{
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, name);
    for (size_t i = 0; i < node->property_count && i < NAMES_COMPARED; i++)
        cla_suggest_offer(&suggest, node->properties[i].name);
    return suggest.best;
}

struct cla_slice cla_json_schema_text(const struct cla_json_schema *schema)
{
    return cla_json_schema_root(schema)->text;
}

unsigned cla_json_schema_types(const struct cla_json_schema *schema)
{
    return cla_json_schema_root(schema)->types;
}

bool cla_json_schema_member(const struct cla_json_schema *schema, size_t at,
                            struct cla_json_schema_member *member)
{
    const struct cla_json_node *root = cla_json_schema_root(schema), *node;

    *member = (struct cla_json_schema_member){0};
    if (at < root->property_count) {
        node = root->properties[at].node;
        member->name = root->properties[at].name;
        member->required = root->properties[at].required;
    } else if (root->property_count == 0 && at < root->prefix_count) {
        node = root->prefix[at];
        member->name = node->title;
        member->required = at < root->items_count.least;
    } else {
        return false;
    }
    member->text = node->text;
    member->description = node->description;
    member->fallback = node->fallback;
    member->types = node->types;
    member->deprecated = node->deprecated;
    return true;
}

void cla_json_schema_types_print(unsigned types, char to[96])
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    size_t n = (size_t)snprintf(to, 96, "%s", types == 0 ? "any" : "");

    /* null comes last: "integer or null" */
    for (unsigned i = 1; i <= CLA_ARRAY_LEN(names); i++) {
        unsigned bit = i % CLA_ARRAY_LEN(names);

        if ((types >> bit & 1) != 0)
            n += (size_t)snprintf(to + n, 96 - n, "%s%s", n > 0 ? " or " : "", names[bit]);
    }
}
