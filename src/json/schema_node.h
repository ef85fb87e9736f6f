/* A schema as it is checked. Private to json/schema*.c.
 *
 * Depends on: json/schema, json/format, json/number, json/scan. */
#ifndef CLA_JSON_SCHEMA_NODE_H
#define CLA_JSON_SCHEMA_NODE_H

#include "json/format.h"
#include "json/number.h"
#include "json/scan.h"
#include "json/schema.h"

struct cla_json_node;

struct cla_json_property {
    struct cla_slice name; /* decoded */
    struct cla_slice key;  /* as written, with quotes */
    struct cla_json_node *node;
    bool required;
};

struct cla_json_choice {
    enum cla_json_event kind; /* NULL, FALSE, TRUE, INT (any number) or STRING */
    struct cla_json_number number;
    struct cla_slice string; /* decoded */
};

enum cla_json_bound_kind {
    CLA_JSON_MINIMUM,
    CLA_JSON_MAXIMUM,
    CLA_JSON_EXCLUSIVE_MINIMUM,
    CLA_JSON_EXCLUSIVE_MAXIMUM,
    CLA_JSON_BOUND_COUNT
};

struct cla_json_bound {
    struct cla_slice text; /* as written; empty: there is none */
    struct cla_json_number at;
};

/* Numbers of code points or elements. */
struct cla_json_span {
    uint64_t least, most;
    bool has_least, has_most;
};

struct cla_json_node {
    struct cla_slice text; /* all of it */
    unsigned types;        /* enum cla_json_type; 0: any */
    bool never;            /* the schema 'false' */
    bool deprecated;
    struct cla_json_bound bounds[CLA_JSON_BOUND_COUNT];
    bool bounded; /* one of them is set */
    struct cla_json_span length, items_count;
    const struct cla_json_format *format;
    struct cla_json_choice *choices; /* of enum, or the one of const */
    size_t choice_count;
    struct cla_slice choices_text;
    const char *choices_rule;     /* "enum" or "const"; NULL: neither */
    struct cla_slice fallback;    /* the default, with its own defaults filled in; empty: none */
    struct cla_slice title;       /* decoded */
    struct cla_slice description; /* as written, with quotes */
    struct cla_json_property *properties; /* in the order of their names */
    size_t property_count;
    struct cla_slice required;        /* as written, until all is read */
    struct cla_json_node *additional; /* NULL: anything */
    struct cla_json_node **prefix;
    size_t prefix_count;
    struct cla_json_node *items; /* NULL: anything */
};

/* Checks 'text' against one node; as cla_json_schema_check(). */
int cla_json_schema_node_check(const struct cla_json_node *node, struct cla_slice text,
                               const struct cla_json_schema_opts *opts, struct cla_buf *filled,
                               struct cla_json_schema_fault *fault);

/* The type of a value by its first event; an INT is an integer. */
unsigned cla_json_schema_type_of(enum cla_json_event event);

/* True if null is a value that it takes. */
bool cla_json_schema_takes_null(const struct cla_json_node *node);

/* The property of that (decoded) name; NULL: none. */
struct cla_json_property *cla_json_schema_find(const struct cla_json_node *node,
                                               struct cla_slice name);

/* The property that was probably meant; empty: none. */
struct cla_slice cla_json_schema_suggest(const struct cla_json_node *node, struct cla_slice name);

/* The schema's own node. */
const struct cla_json_node *cla_json_schema_root(const struct cla_json_schema *schema);

#endif
