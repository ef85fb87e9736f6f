/* The keywords: each reads its value, and says what it must be. */
#include <stdlib.h>

#include "base/error.h"
#include "base/suggest.h"
#include "json/schema_reader.h"

/* Begins a list; false: the value is none. */
static bool begin_list(struct cla_json_schema_reader *r)
{
    return cla_json_scan_next(&r->scan) == CLA_JSON_ARRAY_BEGIN;
}

/* How many values the container holds that was just begun. */
static size_t count_values(const struct cla_json_schema_reader *r)
{
    struct cla_json_scan look = r->scan;
    struct cla_slice ignored;
    enum cla_json_event event;
    size_t count = 0;

    while ((event = cla_json_scan_next(&look)) != CLA_JSON_ARRAY_END &&
           event != CLA_JSON_OBJECT_END) {
        if (event == CLA_JSON_KEY)
            event = cla_json_scan_next(&look);
        (void)cla_json_scan_rest(&look, event, &ignored);
        count++;
    }
    return count;
}

static int not_list(struct cla_json_schema_reader *r, const struct cla_json_path *at,
                    const char *what)
{
    return cla_json_schema_fail(r, at, "must be a list of %s (leave it out if it is empty)", what);
}

static const struct {
    const char *name;
    unsigned bit;
} types[] = {
    {"null", CLA_JSON_TYPE_NULL},       {"boolean", CLA_JSON_TYPE_BOOLEAN},
    {"integer", CLA_JSON_TYPE_INTEGER}, {"number", CLA_JSON_TYPE_NUMBER},
    {"string", CLA_JSON_TYPE_STRING},   {"array", CLA_JSON_TYPE_ARRAY},
    {"object", CLA_JSON_TYPE_OBJECT},
};

static int add_type(struct cla_json_schema_reader *r, struct cla_json_node *n,
                    enum cla_json_event event, const struct cla_json_path *at)
{
    struct cla_slice name = r->scan.string;

    for (size_t i = 0; event == CLA_JSON_STRING && i < CLA_ARRAY_LEN(types); i++) {
        if (!cla_slice_eq(name, cla_slice_str(types[i].name)))
            continue;
        if ((n->types & types[i].bit) != 0)
            return cla_json_schema_fail(r, at, "names '%s' twice", types[i].name);
        n->types |= types[i].bit;
        return 0;
    }
    return cla_json_schema_fail(
        r, at,
        "must be one of null, boolean, integer, number, string, array, object, or a list "
        "of them");
}

static int read_type(struct cla_json_schema_reader *r, struct cla_json_node *n,
                     const struct cla_json_path *at)
{
    enum cla_json_event event = cla_json_scan_next(&r->scan);
    int rc = 0;

    if (event != CLA_JSON_ARRAY_BEGIN)
        return add_type(r, n, event, at);
    while (rc == 0 && (event = cla_json_scan_next(&r->scan)) != CLA_JSON_ARRAY_END)
        rc = add_type(r, n, event, at);
    if (rc == 0 && n->types == 0)
        return cla_json_schema_fail(r, at, "must name a type");
    return rc;
}

static int read_choice(struct cla_json_schema_reader *r, enum cla_json_event event,
                       struct cla_json_choice *choice, const struct cla_json_path *at)
{
    choice->kind = event;
    if (event == CLA_JSON_INT) {
        choice->number = (struct cla_json_number){.integer = true, .i = r->scan.integer};
    } else if (event == CLA_JSON_NUMBER) {
        choice->kind = CLA_JSON_INT;
        choice->number = (struct cla_json_number){.integer = false, .d = r->scan.number};
    } else if (event == CLA_JSON_STRING) {
        if (cla_json_schema_take_string(r, &choice->string) != 0)
            return -CLA_ENOMEM;
        if (choice->string.n > CLA_JSON_SCHEMA_NAME)
            return cla_json_schema_fail(r, at, "holds a string of more than %d bytes",
                                        CLA_JSON_SCHEMA_NAME);
    } else if (event != CLA_JSON_NULL && event != CLA_JSON_FALSE && event != CLA_JSON_TRUE) {
        return cla_json_schema_fail(r, at, "takes null, booleans, numbers and strings only");
    }
    return 0;
}

static int begin_choices(struct cla_json_schema_reader *r, struct cla_json_node *n,
                         const char *rule, size_t room, const struct cla_json_path *at)
{
    if (n->choices_rule != NULL)
        return cla_json_schema_fail(r, at, "'enum' and 'const' together: give one of them");
    n->choices_rule = rule;
    n->choices = cla_json_schema_grab(r, room * sizeof *n->choices);
    return n->choices != NULL ? 0 : -CLA_ENOMEM;
}

static int read_enum(struct cla_json_schema_reader *r, struct cla_json_node *n,
                     const struct cla_json_path *at)
{
    enum cla_json_event event;
    const char *start;
    size_t count;
    int rc;

    if (!begin_list(r))
        return not_list(r, at, "values");
    start = r->scan.token;
    count = count_values(r);
    if (count > CLA_JSON_SCHEMA_CHOICES)
        return cla_json_schema_fail(r, at, "has more than %d values", CLA_JSON_SCHEMA_CHOICES);
    rc = begin_choices(r, n, "enum", count, at);
    while (rc == 0 && (event = cla_json_scan_next(&r->scan)) != CLA_JSON_ARRAY_END) {
        rc = read_choice(r, event, &n->choices[n->choice_count++], at);
    }
    n->choices_text = cla_slice(start, (size_t)(r->scan.p - start));
    if (rc == 0 && n->choice_count == 0)
        return cla_json_schema_fail(r, at, "must have at least one value");
    return rc;
}

static int read_const(struct cla_json_schema_reader *r, struct cla_json_node *n,
                      const struct cla_json_path *at)
{
    enum cla_json_event event = cla_json_scan_next(&r->scan);
    int rc = begin_choices(r, n, "const", 1, at);

    if (rc == 0)
        rc = read_choice(r, event, &n->choices[n->choice_count++], at);
    n->choices_text = cla_slice(r->scan.token, (size_t)(r->scan.p - r->scan.token));
    return rc;
}

static int read_bound(struct cla_json_schema_reader *r, struct cla_json_bound *bound,
                      const struct cla_json_path *at)
{
    enum cla_json_event event = cla_json_scan_next(&r->scan);

    if (event != CLA_JSON_INT && event != CLA_JSON_NUMBER)
        return cla_json_schema_fail(r, at, "must be a number");
    bound->text = cla_slice(r->scan.token, (size_t)(r->scan.p - r->scan.token));
    bound->at.integer = event == CLA_JSON_INT;
    if (bound->at.integer)
        bound->at.i = r->scan.integer;
    else
        bound->at.d = r->scan.number;
    return 0;
}

#define READ_BOUND(function, kind)                                                 \
    static int function(struct cla_json_schema_reader *r, struct cla_json_node *n, \
                        const struct cla_json_path *at)                            \
    {                                                                              \
        n->bounded = true;                                                         \
        return read_bound(r, &n->bounds[kind], at);                                \
    }

READ_BOUND(read_minimum, CLA_JSON_MINIMUM)
READ_BOUND(read_maximum, CLA_JSON_MAXIMUM)
READ_BOUND(read_exclusive_minimum, CLA_JSON_EXCLUSIVE_MINIMUM)
READ_BOUND(read_exclusive_maximum, CLA_JSON_EXCLUSIVE_MAXIMUM)

static int read_count(struct cla_json_schema_reader *r, uint64_t *count, bool *has,
                      const struct cla_json_path *at)
{
    if (cla_json_scan_next(&r->scan) != CLA_JSON_INT || r->scan.integer < 0)
        return cla_json_schema_fail(r, at, "must be an integer of at least 0");
    *count = (uint64_t)r->scan.integer;
    *has = true;
    return 0;
}

static int read_min_length(struct cla_json_schema_reader *r, struct cla_json_node *n,
                           const struct cla_json_path *at)
{
    return read_count(r, &n->length.least, &n->length.has_least, at);
}

static int read_max_length(struct cla_json_schema_reader *r, struct cla_json_node *n,
                           const struct cla_json_path *at)
{
    return read_count(r, &n->length.most, &n->length.has_most, at);
}

static int read_min_items(struct cla_json_schema_reader *r, struct cla_json_node *n,
                          const struct cla_json_path *at)
{
    return read_count(r, &n->items_count.least, &n->items_count.has_least, at);
}

static int read_max_items(struct cla_json_schema_reader *r, struct cla_json_node *n,
                          const struct cla_json_path *at)
{
    return read_count(r, &n->items_count.most, &n->items_count.has_most, at);
}

static int unknown_format(struct cla_json_schema_reader *r, struct cla_slice name,
                          const struct cla_json_path *at)
{
    struct cla_suggest suggest;

    cla_suggest_init(&suggest, name);
    for (const struct cla_json_format *f = cla_json_formats; f->name != NULL; f++)
        cla_suggest_offer(&suggest, cla_slice_str(f->name));
    if (suggest.best.n > 0)
        return cla_json_schema_fail(r, at, "there is no format '%.*s'; did you mean '%.*s'?",
                                    (int)(name.n < 40 ? name.n : 40), name.p, (int)suggest.best.n,
                                    suggest.best.p);
    return cla_json_schema_fail(
        r, at,
        "there is no format '%.*s'; there are byte, date, date-time, duration, email, "
        "hostname, ipv4, ipv6, time, uri, uuid",
        (int)(name.n < 40 ? name.n : 40), name.p);
}

static int read_format(struct cla_json_schema_reader *r, struct cla_json_node *n,
                       const struct cla_json_path *at)
{
    if (cla_json_scan_next(&r->scan) != CLA_JSON_STRING)
        return cla_json_schema_fail(r, at, "must be a string, such as 'date-time'");
    n->format = cla_json_format_find(r->scan.string);
    return n->format != NULL ? 0 : unknown_format(r, r->scan.string, at);
}

static int read_items(struct cla_json_schema_reader *r, struct cla_json_node *n,
                      const struct cla_json_path *at)
{
    return cla_json_schema_read_node(r, cla_json_scan_next(&r->scan), at, true, &n->items);
}

static int read_prefix(struct cla_json_schema_reader *r, struct cla_json_node *n,
                       const struct cla_json_path *up)
{
    struct cla_json_path at = {.up = up};
    enum cla_json_event event;
    size_t count;
    int rc = 0;

    if (!begin_list(r))
        return not_list(r, up, "schemas");
    count = count_values(r);
    if (count > CLA_JSON_SCHEMA_PREFIX)
        return cla_json_schema_fail(r, up, "has more than %d schemas", CLA_JSON_SCHEMA_PREFIX);
    n->prefix = cla_json_schema_grab(r, count * sizeof(struct cla_json_node *));
    if (n->prefix == NULL)
        return -CLA_ENOMEM;
    while (rc == 0 && (event = cla_json_scan_next(&r->scan)) != CLA_JSON_ARRAY_END) {
        at.index = n->prefix_count;
        rc = cla_json_schema_read_node(r, event, &at, false, &n->prefix[n->prefix_count++]);
    }
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const struct cla_slice *x = &((const struct cla_json_property *)a)->name;
    const struct cla_slice *y = &((const struct cla_json_property *)b)->name;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = n > 0 ? memcmp(x->p, y->p, n) : 0;

    return order != 0 ? order : (x->n > y->n) - (x->n < y->n);
}

/* The name of a property was read. */
static int read_property(struct cla_json_schema_reader *r, struct cla_json_node *n,
                         const struct cla_json_path *up)
{
    struct cla_json_property *property = &n->properties[n->property_count];
    struct cla_json_path at = {.up = up};
    int rc;

    property->key = cla_slice(r->scan.token, (size_t)(r->scan.p - r->scan.token));
    rc = cla_json_schema_take_string(r, &property->name);
    if (rc != 0)
        return rc;
    if (property->name.n > CLA_JSON_SCHEMA_NAME)
        return cla_json_schema_fail(r, up, "has a name of more than %d bytes",
                                    CLA_JSON_SCHEMA_NAME);
    n->property_count++;
    at.name = property->name;
    return cla_json_schema_read_node(r, cla_json_scan_next(&r->scan), &at, false, &property->node);
}

static int read_properties(struct cla_json_schema_reader *r, struct cla_json_node *n,
                           const struct cla_json_path *at)
{
    size_t count;
    int rc = 0;

    if (cla_json_scan_next(&r->scan) != CLA_JSON_OBJECT_BEGIN)
        return cla_json_schema_fail(r, at, "must be a table of names and schemas");
    count = count_values(r);
    if (count > CLA_JSON_SCHEMA_PROPERTIES)
        return cla_json_schema_fail(r, at, "has more than %d properties",
                                    CLA_JSON_SCHEMA_PROPERTIES);
    n->properties = cla_json_schema_grab(r, count * sizeof *n->properties);
    if (n->properties == NULL)
        return -CLA_ENOMEM;
    while (rc == 0 && cla_json_scan_next(&r->scan) == CLA_JSON_KEY)
        rc = read_property(r, n, at);
    if (rc == 0)
        qsort(n->properties, n->property_count, sizeof *n->properties, by_name);
    return rc;
}

static int read_additional(struct cla_json_schema_reader *r, struct cla_json_node *n,
                           const struct cla_json_path *at)
{
    return cla_json_schema_read_node(r, cla_json_scan_next(&r->scan), at, true, &n->additional);
}

/* The names are looked at when all properties are known. */
static int read_required(struct cla_json_schema_reader *r, struct cla_json_node *n,
                         const struct cla_json_path *at)
{
    if (cla_json_scan_value(&r->scan, &n->required) != 0 || n->required.p[0] != '[')
        return not_list(r, at, "names");
    return 0;
}

static int read_default(struct cla_json_schema_reader *r, struct cla_json_node *n,
                        const struct cla_json_path *at)
{
    (void)at;
    return cla_json_scan_value(&r->scan, &n->fallback);
}

static int read_title(struct cla_json_schema_reader *r, struct cla_json_node *n,
                      const struct cla_json_path *at)
{
    if (cla_json_scan_next(&r->scan) != CLA_JSON_STRING)
        return cla_json_schema_fail(r, at, "must be a string");
    return cla_json_schema_take_string(r, &n->title);
}

static int read_description(struct cla_json_schema_reader *r, struct cla_json_node *n,
                            const struct cla_json_path *at)
{
    if (cla_json_scan_next(&r->scan) != CLA_JSON_STRING)
        return cla_json_schema_fail(r, at, "must be a string");
    n->description = cla_slice(r->scan.token, (size_t)(r->scan.p - r->scan.token));
    return 0;
}

static int read_examples(struct cla_json_schema_reader *r, struct cla_json_node *n,
                         const struct cla_json_path *at)
{
    struct cla_slice ignored;

    (void)n;
    if (cla_json_scan_value(&r->scan, &ignored) != 0 || ignored.p[0] != '[')
        return not_list(r, at, "values");
    return 0;
}

static int read_deprecated(struct cla_json_schema_reader *r, struct cla_json_node *n,
                           const struct cla_json_path *at)
{
    enum cla_json_event event = cla_json_scan_next(&r->scan);

    n->deprecated = event == CLA_JSON_TRUE;
    return event == CLA_JSON_TRUE || event == CLA_JSON_FALSE
               ? 0
               : cla_json_schema_fail(r, at, "must be a boolean");
}

#define NUMBERS (CLA_JSON_TYPE_INTEGER | CLA_JSON_TYPE_NUMBER)

const struct cla_json_keyword cla_json_keywords[] = {
    {"type", 0, read_type},
    {"enum", 0, read_enum},
    {"const", 0, read_const},
    {"default", 0, read_default},
    {"title", 0, read_title},
    {"description", 0, read_description},
    {"examples", 0, read_examples},
    {"deprecated", 0, read_deprecated},
    {"minimum", NUMBERS, read_minimum},
    {"maximum", NUMBERS, read_maximum},
    {"exclusiveMinimum", NUMBERS, read_exclusive_minimum},
    {"exclusiveMaximum", NUMBERS, read_exclusive_maximum},
    {"minLength", CLA_JSON_TYPE_STRING, read_min_length},
    {"maxLength", CLA_JSON_TYPE_STRING, read_max_length},
    {"format", CLA_JSON_TYPE_STRING, read_format},
    {"items", CLA_JSON_TYPE_ARRAY, read_items},
    {"prefixItems", CLA_JSON_TYPE_ARRAY, read_prefix},
    {"minItems", CLA_JSON_TYPE_ARRAY, read_min_items},
    {"maxItems", CLA_JSON_TYPE_ARRAY, read_max_items},
    {"properties", CLA_JSON_TYPE_OBJECT, read_properties},
    {"required", CLA_JSON_TYPE_OBJECT, read_required},
    {"additionalProperties", CLA_JSON_TYPE_OBJECT, read_additional},
};
