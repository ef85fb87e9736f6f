/* A keyword is a row of a table: its name, the types it is for, and what reads its value. What
 * keywords say together is judged when the last of a schema was read. Everything a schema owns
 * hangs on one list, so an error frees it whole. */
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "json/schema_reader.h"

struct block { /* an allocation */
    struct block *next;
    max_align_t bytes[];
};

struct cla_json_schema {
    struct block *blocks;
    struct cla_json_node *root;
};

const struct cla_json_node *cla_json_schema_root(const struct cla_json_schema *schema)
{
    return schema->root;
}

/* --- Tools. --- */

void *cla_json_schema_grab(struct cla_json_schema_reader *r, size_t bytes)
{
    struct block *block = cla_mem_zalloc(sizeof *block + bytes);

    if (block == NULL)
        return NULL;
    block->next = r->schema->blocks;
    r->schema->blocks = block;
    return block->bytes;
}

int cla_json_schema_fail(struct cla_json_schema_reader *r, const struct cla_json_path *at,
                         const char *format, ...)
{
    char path[CLA_JSON_PATH_TEXT];
    va_list args;
    int n;

    cla_json_path_print(r->root, at, path);
    n = snprintf(r->error->text, sizeof r->error->text, "%s: ", path);
    va_start(args, format);
    vsnprintf(r->error->text + n, sizeof r->error->text - (size_t)n, format, args);
    va_end(args);
    return -CLA_EINVAL;
}

/* The string or name that was just read, decoded; borrowed from the text or owned by the schema. */
int cla_json_schema_take_string(struct cla_json_schema_reader *r, struct cla_slice *out)
{
    char *text;

    *out = r->scan.string;
    if (!r->scan.escaped)
        return 0;
    text = cla_json_schema_grab(r, out->n);
    if (text == NULL)
        return -CLA_ENOMEM;
    *out = cla_slice(text, cla_json_unescape(r->scan.string, text));
    return 0;
}

/* --- Keywords. --- */

/* Of JSON Schema, and not here. */
static const char *const unsupported[] = {
    "pattern",       "patternProperties",
    "propertyNames", "multipleOf",
    "uniqueItems",   "minProperties",
    "maxProperties", "dependentRequired",
    "contains",      "minContains",
    "maxContains",   "allOf",
    "anyOf",         "oneOf",
    "not",           "if",
    "then",          "else",
    "$ref",          "$defs",
    "$schema",       "$id",
    "$anchor",       "$comment",
    "$dynamicRef",   "readOnly",
    "writeOnly",     "contentEncoding",
    "definitions",   "dependentSchemas",
};

static int unknown_keyword(struct cla_json_schema_reader *r, struct cla_slice name,
                           const struct cla_json_path *at)
{
    struct cla_suggest suggest;
    int shown = (int)(name.n < 40 ? name.n : 40);

    for (size_t i = 0; i < CLA_ARRAY_LEN(unsupported); i++) {
        if (cla_slice_eq(name, cla_slice_str(unsupported[i])))
            return cla_json_schema_fail(
                r, at, "'%s' of JSON Schema is not supported: check it in 'run'", unsupported[i]);
    }
    cla_suggest_init(&suggest, name);
    for (size_t i = 0; i < CLA_JSON_KEYWORD_COUNT; i++)
        cla_suggest_offer(&suggest, cla_slice_str(cla_json_keywords[i].name));
    if (suggest.best.n == 0)
        return cla_json_schema_fail(r, at, "unknown keyword '%.*s'", shown, name.p);
    return cla_json_schema_fail(r, at, "unknown keyword '%.*s'; did you mean '%.*s'?", shown,
                                name.p, (int)suggest.best.n, suggest.best.p);
}

static const struct cla_json_keyword *find_keyword(struct cla_slice name)
{
    for (size_t i = 0; i < CLA_JSON_KEYWORD_COUNT; i++) {
        if (cla_slice_eq(name, cla_slice_str(cla_json_keywords[i].name)))
            return &cla_json_keywords[i];
    }
    return NULL;
}

/* --- A schema. --- */

/* The name of a keyword was read. */
static int read_keyword(struct cla_json_schema_reader *r, struct cla_json_node *n, uint32_t *met,
                        const struct cla_json_path *up)
{
    struct cla_json_path at = {.up = up};
    const struct cla_json_keyword *keyword;
    uint32_t bit;
    int rc = cla_json_schema_take_string(r, &at.name);

    if (rc != 0)
        return rc;
    keyword = find_keyword(at.name);
    if (keyword == NULL)
        return unknown_keyword(r, at.name, up);
    bit = UINT32_C(1) << (keyword - cla_json_keywords);
    if ((*met & bit) != 0)
        return cla_json_schema_fail(r, &at, "stands twice");
    *met |= bit;
    return keyword->read(r, n, &at);
}

static int read_keywords(struct cla_json_schema_reader *r, struct cla_json_node *n,
                         const struct cla_json_path *at)
{
    const char *start = r->scan.token;
    uint32_t met = 0;
    int rc = 0;

    while (rc == 0 && cla_json_scan_next(&r->scan) == CLA_JSON_KEY)
        rc = read_keyword(r, n, &met, at);
    if (rc != 0)
        return rc;
    n->text = cla_slice(start, (size_t)(r->scan.p - start));
    return cla_json_schema_judge(r, n, met, at);
}

int cla_json_schema_read_node(struct cla_json_schema_reader *r, enum cla_json_event first,
                              const struct cla_json_path *at, bool may_be_boolean,
                              struct cla_json_node **out)
{
    struct cla_json_node *n = cla_json_schema_grab(r, sizeof *n);
    bool boolean = first == CLA_JSON_TRUE || first == CLA_JSON_FALSE;
    int rc;

    *out = n;
    if (n == NULL)
        return -CLA_ENOMEM;
    n->never = first == CLA_JSON_FALSE;
    if (boolean && may_be_boolean)
        return 0;
    if (first != CLA_JSON_OBJECT_BEGIN)
        return cla_json_schema_fail(r, at, "must be a schema, such as {type = 'string'}%s",
                                    may_be_boolean ? ", or a boolean" : "");
    if (r->depth == CLA_JSON_SCHEMA_DEPTH)
        return cla_json_schema_fail(r, at, "has more than %d schemas inside one another",
                                    CLA_JSON_SCHEMA_DEPTH);
    r->depth++;
    rc = read_keywords(r, n, at);
    r->depth--;
    return rc;
}

static int read_text(struct cla_json_schema_reader *r, struct cla_slice text)
{
    char *copy;

    if (cla_json_check(text, CLA_JSON_DEPTH_MAX, NULL, NULL) != 0)
        return cla_json_schema_fail(r, NULL, "is not valid JSON");
    copy = cla_json_schema_grab(r, text.n);
    if (copy == NULL)
        return -CLA_ENOMEM;
    memcpy(copy, text.p, text.n);
    cla_json_scan_init(&r->scan, cla_slice(copy, text.n), CLA_JSON_DEPTH_MAX);
    return cla_json_schema_read_node(r, cla_json_scan_next(&r->scan), NULL, false,
                                     &r->schema->root);
}

int cla_json_schema_read(struct cla_json_schema **out, struct cla_slice text, const char *root,
                         struct cla_json_schema_error *error)
{
    struct cla_json_schema_reader r = {.root = root, .error = error};
    int rc = -CLA_ENOMEM;

    snprintf(error->text, sizeof error->text, "%s: %s", root, cla_error_text(-CLA_ENOMEM));
    r.schema = cla_mem_zalloc(sizeof *r.schema);
    if (r.schema != NULL)
        rc = read_text(&r, text);
    if (rc != 0)
        cla_json_schema_free(r.schema);
    else
        *out = r.schema;
    return rc;
}

void cla_json_schema_free(struct cla_json_schema *schema)
{
    struct block *block;

    if (schema == NULL)
        return;
    while ((block = schema->blocks) != NULL) {
        schema->blocks = block->next;
        cla_mem_free(block);
    }
    cla_mem_free(schema);
}
