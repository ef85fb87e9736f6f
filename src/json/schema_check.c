/* One pass over the text. Each value is met by its first event, with the node that describes it;
 * what no node describes is read over. Defaults go into a copy that is begun when the first of them
 * is missing: 'copied' is how far the text is in it. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "json/schema_node.h"
#include "json/write.h"

/* Bytes of a value that a message shows. */
#define VALUE_SHOWN 60

struct checker {
    struct cla_json_scan scan;
    const struct cla_json_schema_opts *opts;
    struct cla_buf *out;
    const char *copied;
    struct cla_json_schema_fault *fault;
};

static int check_value(struct checker *c, const struct cla_json_node *node,
                       enum cla_json_event event, const struct cla_json_path *at);

/* --- Saying what is wrong. --- */

static int breach(struct checker *c, const struct cla_json_path *at, const char *rule,
                  const char *format, ...) CLA_PRINTF(4, 5);

static int breach(struct checker *c, const struct cla_json_path *at, const char *rule,
                  const char *format, ...)
{
    struct cla_json_schema_fault *fault = c->fault;
    va_list args;
    int n;

    cla_json_path_print(c->opts->root, at, fault->path);
    fault->rule = rule;
    n = snprintf(fault->message, sizeof fault->message, "%s: ", fault->path);
    va_start(args, format);
    vsnprintf(fault->message + n, sizeof fault->message - (size_t)n, format, args);
    va_end(args);
    return -CLA_EINVAL;
}

struct shown {
    char text[VALUE_SHOWN + 4];
};

/* JSON text for a message: whole characters of it, and "..." if it is cut. */
static struct shown show(struct cla_slice text)
{
    struct shown shown;
    size_t n = text.n;

    if (n > VALUE_SHOWN) {
        n = VALUE_SHOWN;
        while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
            n--;
    }
    snprintf(shown.text, sizeof shown.text, "%.*s%s", (int)n, text.p, n < text.n ? "..." : "");
    return shown;
}

/* The scalar that was just read, as it is written. */
static struct cla_slice token(const struct checker *c)
{
    return cla_slice(c->scan.token, (size_t)(c->scan.p - c->scan.token));
}

static const char *with_article(enum cla_json_event event)
{
    switch (cla_json_schema_type_of(event)) {
    case CLA_JSON_TYPE_NULL:
        return "null";
    case CLA_JSON_TYPE_BOOLEAN:
        return "a boolean";
    case CLA_JSON_TYPE_STRING:
        return "a string";
    case CLA_JSON_TYPE_ARRAY:
        return "an array";
    case CLA_JSON_TYPE_OBJECT:
        return "an object";
    default:
        return "a number";
    }
}

static int wrong_type(struct checker *c, const struct cla_json_node *node,
                      enum cla_json_event event, const struct cla_json_path *at)
{
    char types[96];

    cla_json_schema_types_print(node->types, types);
    if (event == CLA_JSON_NUMBER && (node->types & CLA_JSON_TYPE_INTEGER) != 0)
        return breach(c, at, "type", "must be of type %s%s, is %s", types,
                      c->scan.number == trunc(c->scan.number) ? " and fit in 64 bits" : "",
                      show(token(c)).text);
    return breach(c, at, "type", "must be of type %s, is %s", types, with_article(event));
}

/* --- What is filled in. --- */

/* Copies what stands before 'until' and was not copied yet. */
static int copy_until(struct checker *c, const char *until)
{
    int rc = cla_buf_append(c->out, c->copied, (size_t)(until - c->copied));

    c->copied = until;
    return rc;
}

static int add_member(struct checker *c, const struct cla_json_property *property, bool comma)
{
    int rc = copy_until(c, c->scan.token); /* the closing brace */

    if (rc == 0 && comma)
        rc = cla_buf_push(c->out, ',');
    if (rc == 0)
        rc = cla_buf_add(c->out, property->key);
    if (rc == 0)
        rc = cla_buf_push(c->out, ':');
    return rc == 0 ? cla_buf_add(c->out, property->node->fallback) : rc;
}

static int replace_by_int(struct checker *c, int64_t value)
{
    int rc = copy_until(c, c->scan.token);

    c->copied = c->scan.p;
    return rc == 0 ? cla_json_write_int(c->out, value) : rc;
}

/* --- Scalars. --- */

static int check_bounds(struct checker *c, const struct cla_json_node *node,
                        struct cla_json_number value, const struct cla_json_path *at)
{
    static const struct {
        const char *rule, *text;
        int wrong, also_wrong; /* how the value compares with the bound */
    } kinds[CLA_JSON_BOUND_COUNT] = {
        [CLA_JSON_MINIMUM] = {"minimum", "at least", -1, -1},
        [CLA_JSON_MAXIMUM] = {"maximum", "at most", 1, 1},
        [CLA_JSON_EXCLUSIVE_MINIMUM] = {"exclusiveMinimum", "above", -1, 0},
        [CLA_JSON_EXCLUSIVE_MAXIMUM] = {"exclusiveMaximum", "below", 1, 0},
    };

    for (int i = 0; i < CLA_JSON_BOUND_COUNT; i++) {
        const struct cla_json_bound *bound = &node->bounds[i];
        int order;

        if (bound->text.n == 0)
            continue;
        order = cla_json_number_compare(value, bound->at);
        if (order == kinds[i].wrong || order == kinds[i].also_wrong)
            return breach(c, at, kinds[i].rule, "must be %s %s, is %s", kinds[i].text,
                          show(bound->text).text, show(token(c)).text);
    }
    return 0;
}

static bool is_choice(const struct cla_json_choice *choice, const struct cla_json_choice *value)
{
    if (choice->kind != value->kind)
        return false;
    if (value->kind == CLA_JSON_STRING)
        return cla_slice_eq(choice->string, value->string);
    return value->kind != CLA_JSON_INT ||
           cla_json_number_compare(choice->number, value->number) == 0;
}

static int check_choice(struct checker *c, const struct cla_json_node *node,
                        const struct cla_json_choice *value, const struct cla_json_path *at)
{
    bool container = value->kind == CLA_JSON_ARRAY_BEGIN || value->kind == CLA_JSON_OBJECT_BEGIN;

    for (size_t i = 0; i < node->choice_count; i++) {
        if (is_choice(&node->choices[i], value))
            return 0;
    }
    return breach(c, at, node->choices_rule, "must be %s%s, is %s",
                  strcmp(node->choices_rule, "enum") == 0 ? "one of " : "",
                  show(node->choices_text).text,
                  container ? with_article(value->kind) : show(token(c)).text);
}

static int check_number(struct checker *c, const struct cla_json_node *node,
                        enum cla_json_event event, const struct cla_json_path *at)
{
    struct cla_json_choice value = {.kind = CLA_JSON_INT, .number.integer = event == CLA_JSON_INT};
    const unsigned numbers = CLA_JSON_TYPE_INTEGER | CLA_JSON_TYPE_NUMBER;
    bool rewrite = false;
    int rc = 0;

    if (value.number.integer)
        value.number.i = c->scan.integer;
    else
        value.number.d = c->scan.number;
    if ((node->types & numbers) == CLA_JSON_TYPE_INTEGER && !value.number.integer) {
        double d = value.number.d;

        if (!cla_json_number_to_int(d, &value.number.i))
            return wrong_type(c, node, event, at);
        value.number.integer = rewrite = true;
    } else if (node->types != 0 && (node->types & numbers) == 0) {
        return wrong_type(c, node, event, at);
    }
    if (node->choices_rule != NULL)
        rc = check_choice(c, node, &value, at);
    if (rc == 0 && node->bounded)
        rc = check_bounds(c, node, value.number, at);
    return rc == 0 && rewrite ? replace_by_int(c, value.number.i) : rc;
}

static uint64_t code_points(struct cla_slice text)
{
    uint64_t count = 0;

    for (size_t i = 0; i < text.n; i++)
        count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return count;
}

/* 'n' is how many there are of 'what'. */
static int check_span(struct checker *c, const struct cla_json_span *span, uint64_t n,
                      const char *what, const char *least_rule, const char *most_rule,
                      const struct cla_json_path *at)
{
    if (span->has_least && n < span->least)
        return breach(c, at, least_rule, "must have at least %" PRIu64 " %s, has %" PRIu64,
                      span->least, what, n);
    if (span->has_most && n > span->most)
        return breach(c, at, most_rule, "must have at most %" PRIu64 " %s, has %" PRIu64,
                      span->most, what, n);
    return 0;
}

static int check_text(struct checker *c, const struct cla_json_node *node, struct cla_slice text,
                      const struct cla_json_path *at)
{
    struct cla_json_choice value = {.kind = CLA_JSON_STRING, .string = text};
    int rc = 0;

    if (node->choices_rule != NULL)
        rc = check_choice(c, node, &value, at);
    if (rc == 0 && (node->length.has_least || node->length.has_most))
        rc = check_span(c, &node->length, code_points(text), "characters", "minLength", "maxLength",
                        at);
    if (rc == 0 && node->format != NULL && !node->format->matches(text))
        rc = breach(c, at, "format", "must be in the format %s, such as %s", node->format->name,
                    node->format->example);
    return rc;
}

static int check_string(struct checker *c, const struct cla_json_node *node,
                        const struct cla_json_path *at)
{
    struct cla_slice raw = c->scan.string;
    char *text;
    int rc;

    if (node->types != 0 && (node->types & CLA_JSON_TYPE_STRING) == 0)
        return wrong_type(c, node, CLA_JSON_STRING, at);
    if (node->choices_rule == NULL && node->format == NULL && !node->length.has_least &&
        !node->length.has_most)
        return 0;
    if (!c->scan.escaped)
        return check_text(c, node, raw, at);
    text = cla_mem_alloc(raw.n);
    if (text == NULL)
        return -CLA_ENOMEM;
    rc = check_text(c, node, cla_slice(text, cla_json_unescape(raw, text)), at);
    cla_mem_free(text);
    return rc;
}

/* null, true, false, and what begins a container. */
static int check_kind(struct checker *c, const struct cla_json_node *node,
                      enum cla_json_event event, const struct cla_json_path *at)
{
    struct cla_json_choice value = {.kind = event};

    if (node->types != 0 && (node->types & cla_json_schema_type_of(event)) == 0)
        return wrong_type(c, node, event, at);
    return node->choices_rule != NULL ? check_choice(c, node, &value, at) : 0;
}

/* --- Containers. --- */

static int read_over(struct checker *c, enum cla_json_event event)
{
    struct cla_slice ignored;

    return cla_json_scan_rest(&c->scan, event, &ignored);
}

static const struct cla_json_node *node_of_element(const struct cla_json_node *node, uint64_t index)
{
    return index < node->prefix_count ? node->prefix[index] : node->items;
}

static int check_array(struct checker *c, const struct cla_json_node *node,
                       const struct cla_json_path *up)
{
    struct cla_json_path at = {.up = up};
    enum cla_json_event event;
    int rc = 0;

    while (rc == 0 && (event = cla_json_scan_next(&c->scan)) != CLA_JSON_ARRAY_END) {
        const struct cla_json_node *element = node_of_element(node, at.index);

        if (event == CLA_JSON_ERROR)
            rc = -CLA_EJSON;
        else if (element == NULL)
            rc = read_over(c, event);
        else if (element->never)
            rc = breach(c, up, "items", "must have at most %zu elements", node->prefix_count);
        else
            rc = check_value(c, element, event, &at);
        at.index++;
    }
    return rc != 0 ? rc
                   : check_span(c, &node->items_count, at.index, "elements", "minItems", "maxItems",
                                up);
}

/* Which properties were met, one bit each, and what else the end of an object asks for. */
struct object {
    const struct cla_json_node *node;
    uint64_t seen[CLA_JSON_SCHEMA_PROPERTIES / 64];
    bool any; /* it has a member, so that another takes a comma */
};

static struct cla_json_property *find_property(const struct checker *c,
                                               const struct cla_json_node *node)
{
    char text[CLA_JSON_SCHEMA_NAME * 6];
    struct cla_slice raw = c->scan.string;

    if (!c->scan.escaped)
        return cla_json_schema_find(node, raw);
    if (raw.n > sizeof text)
        return NULL; /* longer than any property, however it is written */
    return cla_json_schema_find(node, cla_slice(text, cla_json_unescape(raw, text)));
}

static bool is_meta(const struct checker *c, const struct cla_slice raw)
{
    char text[5 * 6];

    if (!c->scan.escaped || raw.n > sizeof text)
        return cla_slice_eq(raw, CLA_LIT("_meta"));
    return cla_slice_eq(cla_slice(text, cla_json_unescape(raw, text)), CLA_LIT("_meta"));
}

static int check_other(struct checker *c, const struct cla_json_node *node,
                       const struct cla_json_path *at)
{
    struct cla_slice name = at->name, meant;
    enum cla_json_event event;

    if (node->additional == NULL)
        return cla_json_scan_value(&c->scan, &name);
    if (node->additional->never) {
        meant = cla_json_schema_suggest(node, name);
        return breach(c, at, "additionalProperties", "there is no such member%s%.*s%s",
                      meant.n > 0 ? "; did you mean '" : "", (int)meant.n, meant.p,
                      meant.n > 0 ? "'?" : "");
    }
    event = cla_json_scan_next(&c->scan);
    if (event == CLA_JSON_NULL && !c->opts->keep_nulls)
        return 0;
    return check_value(c, node->additional, event, at);
}

static int check_property(struct checker *c, struct object *object,
                          const struct cla_json_property *property, const struct cla_json_path *at)
{
    size_t i = (size_t)(property - object->node->properties);
    enum cla_json_event event = cla_json_scan_next(&c->scan);

    if (event == CLA_JSON_NULL && !c->opts->keep_nulls &&
        !cla_json_schema_takes_null(property->node)) {
        object->seen[i / 64] &= ~(UINT64_C(1) << i % 64); /* takes back an earlier one, too */
        return 0;
    }
    object->seen[i / 64] |= UINT64_C(1) << i % 64;
    return check_value(c, property->node, event, at);
}

/* The name of a member was read. */
static int check_member(struct checker *c, struct object *object, const struct cla_json_path *up)
{
    struct cla_json_path at = {.up = up, .name = c->scan.string};
    const struct cla_json_property *property;

    object->any = true;
    if (c->opts->skip_meta && up == NULL && is_meta(c, at.name))
        return cla_json_scan_value(&c->scan, &at.name);
    property = find_property(c, object->node);
    if (property == NULL)
        return check_other(c, object->node, &at);
    at.name = property->name;
    return check_property(c, object, property, &at);
}

static int end_object(struct checker *c, struct object *object, const struct cla_json_path *up)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < object->node->property_count; i++) {
        const struct cla_json_property *property = &object->node->properties[i];
        struct cla_json_path at = {.up = up, .name = property->name};

        if ((object->seen[i / 64] >> i % 64 & 1) != 0)
            continue;
        if (property->required)
            return breach(c, &at, "required", "is missing");
        if (property->node->fallback.n == 0)
            continue;
        rc = add_member(c, property, object->any);
        object->any = true;
    }
    return rc;
}

static int check_object(struct checker *c, const struct cla_json_node *node,
                        const struct cla_json_path *up)
{
    struct object object = {.node = node};
    enum cla_json_event event;
    int rc = 0;

    while (rc == 0 && (event = cla_json_scan_next(&c->scan)) != CLA_JSON_OBJECT_END)
        rc = event == CLA_JSON_KEY ? check_member(c, &object, up) : -CLA_EJSON;
    return rc == 0 ? end_object(c, &object, up) : rc;
}

/* --- The whole. --- */

static int check_value(struct checker *c, const struct cla_json_node *node,
                       enum cla_json_event event, const struct cla_json_path *at)
{
    int rc;

    switch (event) {
    case CLA_JSON_ERROR:
    case CLA_JSON_END:
        return -CLA_EJSON;
    case CLA_JSON_INT:
    case CLA_JSON_NUMBER:
        return check_number(c, node, event, at);
    case CLA_JSON_STRING:
        return check_string(c, node, at);
    default:
        rc = check_kind(c, node, event, at);
    }
    if (rc == 0 && event == CLA_JSON_ARRAY_BEGIN)
        return check_array(c, node, at);
    if (rc == 0 && event == CLA_JSON_OBJECT_BEGIN)
        return check_object(c, node, at);
    return rc;
}

int cla_json_schema_node_check(const struct cla_json_node *node, struct cla_slice text,
                               const struct cla_json_schema_opts *opts, struct cla_buf *filled,
                               struct cla_json_schema_fault *fault)
{
    struct checker c = {.opts = opts, .out = filled, .fault = fault};
    size_t before = filled->n;
    int rc;

    cla_json_scan_init(&c.scan, text, opts->max_depth);
    c.copied = c.scan.start;
    rc = check_value(&c, node, cla_json_scan_next(&c.scan), NULL);
    if (rc == 0 && cla_json_scan_next(&c.scan) != CLA_JSON_END)
        rc = -CLA_EJSON;
    if (rc == 0 && c.copied != c.scan.start)
        rc = copy_until(&c, c.scan.end);
    if (rc != 0)
        filled->n = before;
    return rc;
}

int cla_json_schema_check(const struct cla_json_schema *schema, struct cla_slice text,
                          const struct cla_json_schema_opts *opts, struct cla_buf *filled,
                          struct cla_json_schema_fault *fault)
{
    return cla_json_schema_node_check(cla_json_schema_root(schema), text, opts, filled, fault);
}
