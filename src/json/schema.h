/* A subset of JSON Schema (draft 2020-12): read once, then checked against texts.
 *
 * Any thread, one at a time; a schema that was read never changes. Depends on: base, json/scan.
 * Checking takes one pass over the text, never goes back, and nests no deeper than the schema.
 *
 *   any       type (a name or a list), enum and const (of scalars), default; title, description,
 *             examples, deprecated (kept for readers)
 *   number    minimum, maximum, exclusiveMinimum, exclusiveMaximum
 *   string    minLength, maxLength (code points), format (json/format.h)
 *   array     items, prefixItems, minItems, maxItems
 *   object    properties, required, additionalProperties
 *
 * Stricter than JSON Schema: unknown keywords and formats, keywords that do not go with the type,
 * ranges that nothing fits, required names that are no properties, and defaults that do not fit are
 * errors of the schema. Different: an integer fits in 64 bits; see also 'keep_nulls'. */
#ifndef CLA_JSON_SCHEMA_H
#define CLA_JSON_SCHEMA_H

#include "base/buf.h"
#include "json/path.h"

#define CLA_JSON_SCHEMA_DEPTH 32       /* schemas inside one another, the outermost included */
#define CLA_JSON_SCHEMA_PROPERTIES 256 /* of one object */
#define CLA_JSON_SCHEMA_PREFIX 64      /* schemas of prefixItems */
#define CLA_JSON_SCHEMA_CHOICES 256    /* values of enum */
#define CLA_JSON_SCHEMA_NAME 255       /* bytes of a property's name, or of a value of enum */

/* What 'type' allows, as bits. */
enum cla_json_type {
    CLA_JSON_TYPE_NULL = 1,
    CLA_JSON_TYPE_BOOLEAN = 2,
    CLA_JSON_TYPE_INTEGER = 4,
    CLA_JSON_TYPE_NUMBER = 8,
    CLA_JSON_TYPE_STRING = 16,
    CLA_JSON_TYPE_ARRAY = 32,
    CLA_JSON_TYPE_OBJECT = 64,
};

struct cla_json_schema;

struct cla_json_schema_error {
    char text[CLA_JSON_PATH_TEXT + 300]; /* "params.properties.a.minimum: must be a number" */
};

/* Reads the schema in 'text' (copied). 'root' is what messages call it. Returns 0; or with '*out'
 * untouched -CLA_EINVAL, or -CLA_ENOMEM, and 'error'. Free with cla_json_schema_free(). */
int cla_json_schema_read(struct cla_json_schema **out, struct cla_slice text, const char *root,
                         struct cla_json_schema_error *error);

/* NULL is fine. */
void cla_json_schema_free(struct cla_json_schema *schema);

struct cla_json_schema_opts {
    unsigned max_depth; /* of the text: 1 to CLA_JSON_DEPTH_MAX */
    bool keep_nulls;  /* false: a null member is as good as absent, unless its schema takes null */
    bool skip_meta;   /* the top-level object's member _meta is not looked at */
    const char *root; /* what messages call the value: "params" */
};

/* How a value breaks its schema. */
struct cla_json_schema_fault {
    char path[CLA_JSON_PATH_TEXT];
    char message[CLA_JSON_PATH_TEXT + 400]; /* "params.items[3].price: must be at least 0, is -1" */
    const char *rule;                       /* the keyword: "minimum" */
};

/* Checks 'text', one JSON value. Returns 0; if defaults were missing, or something with the type
 * integer was written as 1.0, the text that has them right was appended to 'filled', which is
 * otherwise left alone. Else nothing was appended: -CLA_EINVAL with 'fault', -CLA_EJSON or
 * -CLA_ENOMEM. Of the values in it a message shows numbers, and what should be one of an enum, cut
 * at 60 bytes, and names. */
int cla_json_schema_check(const struct cla_json_schema *schema, struct cla_slice text,
                          const struct cla_json_schema_opts *opts, struct cla_buf *filled,
                          struct cla_json_schema_fault *fault);

/* The text that was read. */
struct cla_slice cla_json_schema_text(const struct cla_json_schema *schema);

/* What its type allows; 0: anything. */
unsigned cla_json_schema_types(const struct cla_json_schema *schema);

/* A property of an object, or a schema of prefixItems; borrowed from the schema. */
struct cla_json_schema_member {
    struct cla_slice name;        /* of an element its title; may be empty then */
    struct cla_slice text;        /* its schema */
    struct cla_slice description; /* JSON, with quotes; empty: none */
    struct cla_slice fallback;    /* its default, JSON; empty: none */
    unsigned types;               /* 0: anything */
    bool required, deprecated;
};

/* Gives member 'at' (from 0; properties in the order of their names). False: there are no more. */
bool cla_json_schema_member(const struct cla_json_schema *schema, size_t at,
                            struct cla_json_schema_member *member);

/* Writes "integer or null"; 'types' 0: "any". */
void cla_json_schema_types_print(unsigned types, char to[96]);

#endif
