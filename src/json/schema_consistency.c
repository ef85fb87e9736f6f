/* What the keywords of one schema say together. */
#include "base/error.h"
#include "json/schema_reader.h"

static int judge_keyword(struct cla_json_schema_reader *r, const struct cla_json_node *n,
                         const struct cla_json_keyword *keyword, const struct cla_json_path *at)
{
    char names[96];

    if (keyword->types == 0 || n->types == 0 || (n->types & keyword->types) != 0)
        return 0;
    cla_json_schema_types_print(n->types, names);
    return cla_json_schema_fail(r, at, "'%s' does not go with the type %s", keyword->name, names);
}

static int judge_span(struct cla_json_schema_reader *r, const struct cla_json_span *span,
                      const char *least, const char *most, const struct cla_json_path *at)
{
    if (span->has_least && span->has_most && span->least > span->most)
        return cla_json_schema_fail(r, at, "%s is above %s: nothing fits", least, most);
    return 0;
}

static int judge_bounds(struct cla_json_schema_reader *r, const struct cla_json_node *n,
                        const struct cla_json_path *at)
{
    static const struct {
        enum cla_json_bound_kind low, high;
        bool equal; /* is fine */
        const char *text;
    } pairs[] = {
        {CLA_JSON_MINIMUM, CLA_JSON_MAXIMUM, true, "minimum is above maximum"},
        {CLA_JSON_MINIMUM, CLA_JSON_EXCLUSIVE_MAXIMUM, false,
         "minimum is not below exclusiveMaximum"},
        {CLA_JSON_EXCLUSIVE_MINIMUM, CLA_JSON_MAXIMUM, false,
         "exclusiveMinimum is not below maximum"},
        {CLA_JSON_EXCLUSIVE_MINIMUM, CLA_JSON_EXCLUSIVE_MAXIMUM, false,
         "exclusiveMinimum is not below exclusiveMaximum"},
    };

    for (size_t i = 0; i < CLA_ARRAY_LEN(pairs); i++) {
        const struct cla_json_bound *low = &n->bounds[pairs[i].low];
        const struct cla_json_bound *high = &n->bounds[pairs[i].high];
        int order;

        if (low->text.n == 0 || high->text.n == 0)
            continue;
        order = cla_json_number_compare(low->at, high->at);
        if (order > 0 || (order == 0 && !pairs[i].equal))
            return cla_json_schema_fail(r, at, "%s: nothing fits", pairs[i].text);
    }
    return 0;
}

static int require_name(struct cla_json_schema_reader *r, struct cla_json_node *n,
                        struct cla_slice name, const struct cla_json_path *at)
{
    struct cla_json_property *property = cla_json_schema_find(n, name);
    struct cla_slice meant;
    int shown = (int)(name.n < 40 ? name.n : 40);

    if (property == NULL) {
        meant = cla_json_schema_suggest(n, name);
        if (meant.n > 0)
            return cla_json_schema_fail(
                r, at,
                "required names '%.*s', which is not in properties; did you mean "
                "'%.*s'?",
                shown, name.p, (int)(meant.n < 64 ? meant.n : 64), meant.p);
        return cla_json_schema_fail(r, at, "required names '%.*s', which is not in properties",
                                    shown, name.p);
    }
    if (property->required)
        return cla_json_schema_fail(r, at, "required names '%.*s' twice", shown, name.p);
    if (property->node->fallback.n > 0)
        return cla_json_schema_fail(r, at, "'%.*s' is required, so its default is never used",
                                    shown, name.p);
    property->required = true;
    return 0;
}

static int judge_required(struct cla_json_schema_reader *r, struct cla_json_node *n,
                          const struct cla_json_path *at)
{
    struct cla_json_scan outer = r->scan;
    enum cla_json_event event;
    struct cla_slice name;
    int rc = 0;

    if (n->required.n == 0)
        return 0;
    cla_json_scan_init(&r->scan, n->required, 2);
    (void)cla_json_scan_next(&r->scan);
    while (rc == 0 && (event = cla_json_scan_next(&r->scan)) != CLA_JSON_ARRAY_END) {
        if (event != CLA_JSON_STRING)
            rc = cla_json_schema_fail(r, at, "required must be a list of names");
        else if ((rc = cla_json_schema_take_string(r, &name)) == 0)
            rc = require_name(r, n, name, at);
    }
    r->scan = outer;
    return rc;
}

static int judge_choices(struct cla_json_schema_reader *r, const struct cla_json_node *n,
                         const struct cla_json_path *at)
{
    for (size_t i = 0; n->types != 0 && i < n->choice_count; i++) {
        const struct cla_json_choice *choice = &n->choices[i];
        unsigned type = cla_json_schema_type_of(choice->kind);
        int64_t whole;

        if (choice->kind == CLA_JSON_INT && !choice->number.integer &&
            !cla_json_number_to_int(choice->number.d, &whole))
            type = CLA_JSON_TYPE_NUMBER;
        if ((n->types & type) == 0 &&
            !(type == CLA_JSON_TYPE_INTEGER && (n->types & CLA_JSON_TYPE_NUMBER) != 0))
            return cla_json_schema_fail(r, at, "value %zu of %s is not of the type", i + 1,
                                        n->choices_rule);
    }
    return 0;
}

static int judge_default(struct cla_json_schema_reader *r, struct cla_json_node *n,
                         const struct cla_json_path *at)
{
    const struct cla_json_schema_opts opts = {
        .max_depth = CLA_JSON_DEPTH_MAX, .keep_nulls = true, .root = "default"};
    struct cla_json_schema_fault fault;
    struct cla_buf filled = {0};
    char *copy;
    int rc;

    if (n->fallback.n == 0)
        return 0;
    rc = cla_json_schema_node_check(n, n->fallback, &opts, &filled, &fault);
    if (rc == -CLA_EINVAL)
        return cla_json_schema_fail(r, at, "%s", fault.message);
    if (rc == 0 && filled.n > 0) {
        copy = cla_json_schema_grab(r, filled.n);
        if (copy == NULL)
            rc = -CLA_ENOMEM;
        else
            n->fallback = cla_slice(memcpy(copy, filled.p, filled.n), filled.n);
    }
    cla_buf_fini(&filled);
    return rc;
}

int cla_json_schema_judge(struct cla_json_schema_reader *r, struct cla_json_node *n, uint32_t met,
                          const struct cla_json_path *at)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < CLA_JSON_KEYWORD_COUNT; i++) {
        if ((met >> i & 1) != 0)
            rc = judge_keyword(r, n, &cla_json_keywords[i], at);
    }
    if (rc == 0)
        rc = judge_bounds(r, n, at);
    if (rc == 0)
        rc = judge_span(r, &n->length, "minLength", "maxLength", at);
    if (rc == 0)
        rc = judge_span(r, &n->items_count, "minItems", "maxItems", at);
    if (rc == 0 && n->items != NULL && n->items->never && n->items_count.least > n->prefix_count)
        rc = cla_json_schema_fail(r, at,
                                  "minItems is above the number of prefixItems: nothing fits");
    if (rc == 0)
        rc = judge_required(r, n, at);
    if (rc == 0)
        rc = judge_choices(r, n, at);
    return rc == 0 ? judge_default(r, n, at) : rc;
}
