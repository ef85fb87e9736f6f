/* Schemas: what is none, what fits, what is filled in, and what messages say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "mem_fault.h"
#include "json/schema.h"

static struct cla_json_schema *read_schema(const char *text)
{
    struct cla_json_schema *schema = NULL;
    struct cla_json_schema_error error;

    if (cla_json_schema_read(&schema, cla_slice_str(text), "params", &error) != 0)
        fail_msg("%s: %s", text, error.text);
    return schema;
}

/* --- Schemas that are none. --- */

static void assert_mistake(const char *text, const char *message)
{
    struct cla_json_schema *schema = NULL;
    struct cla_json_schema_error error;

    if (cla_json_schema_read(&schema, cla_slice_str(text), "params", &error) != -CLA_EINVAL)
        fail_msg("%s is taken", text);
    assert_null(schema);
    if (strcmp(error.text, message) != 0)
        fail_msg("%s\nsays    %s\nwant    %s", text, error.text, message);
}

static const struct {
    const char *schema, *message;
} mistakes[] = {
    {"1", "params: must be a schema, such as {type = 'string'}"},
    {"true", "params: must be a schema, such as {type = 'string'}"},
    {"{", "params: is not valid JSON"},
    {"{\"typ\":\"string\"}", "params: unknown keyword 'typ'; did you mean 'type'?"},
    {"{\"xyzzy\":1}", "params: unknown keyword 'xyzzy'"},
    {"{\"pattern\":\"a\"}", "params: 'pattern' of JSON Schema is not supported: check it in 'run'"},
    {"{\"type\":\"string\",\"type\":\"string\"}", "params.type: stands twice"},
    {"{\"type\":\"text\"}", "params.type: must be one of null, boolean, integer, number, string, "
                            "array, object, or a list of them"},
    {"{\"type\":[]}", "params.type: must name a type"},
    {"{\"type\":[\"null\",\"null\"]}", "params.type: names 'null' twice"},
    {"{\"enum\":{}}", "params.enum: must be a list of values (leave it out if it is empty)"},
    {"{\"enum\":[]}", "params.enum: must have at least one value"},
    {"{\"enum\":[[]]}", "params.enum: takes null, booleans, numbers and strings only"},
    {"{\"const\":{}}", "params.const: takes null, booleans, numbers and strings only"},
    {"{\"const\":1,\"enum\":[1]}", "params.enum: 'enum' and 'const' together: give one of them"},
    {"{\"type\":\"integer\",\"enum\":[1,2.5]}", "params: value 2 of enum is not of the type"},
    {"{\"type\":\"string\",\"const\":1}", "params: value 1 of const is not of the type"},
    {"{\"minimum\":\"1\"}", "params.minimum: must be a number"},
    {"{\"type\":\"string\",\"minimum\":1}", "params: 'minimum' does not go with the type string"},
    {"{\"type\":\"number\",\"maxLength\":1}",
     "params: 'maxLength' does not go with the type number"},
    {"{\"type\":\"object\",\"items\":{}}", "params: 'items' does not go with the type object"},
    {"{\"type\":\"array\",\"properties\":{}}",
     "params: 'properties' does not go with the type array"},
    {"{\"minimum\":2,\"maximum\":1}", "params: minimum is above maximum: nothing fits"},
    {"{\"minimum\":1,\"exclusiveMaximum\":1}",
     "params: minimum is not below exclusiveMaximum: nothing fits"},
    {"{\"exclusiveMinimum\":1,\"maximum\":1.0}",
     "params: exclusiveMinimum is not below maximum: nothing fits"},
    {"{\"exclusiveMinimum\":1,\"exclusiveMaximum\":1}",
     "params: exclusiveMinimum is not below exclusiveMaximum: nothing fits"},
    {"{\"minLength\":-1}", "params.minLength: must be an integer of at least 0"},
    {"{\"minLength\":1.5}", "params.minLength: must be an integer of at least 0"},
    {"{\"minLength\":2,\"maxLength\":1}", "params: minLength is above maxLength: nothing fits"},
    {"{\"minItems\":2,\"maxItems\":1}", "params: minItems is above maxItems: nothing fits"},
    {"{\"prefixItems\":[{}],\"items\":false,\"minItems\":2}",
     "params: minItems is above the number of prefixItems: nothing fits"},
    {"{\"prefixItems\":[true]}",
     "params.prefixItems[0]: must be a schema, such as {type = 'string'}"},
    {"{\"prefixItems\":{}}",
     "params.prefixItems: must be a list of schemas (leave it out if it is empty)"},
    {"{\"items\":1}", "params.items: must be a schema, such as {type = 'string'}, or a boolean"},
    {"{\"format\":1}", "params.format: must be a string, such as 'date-time'"},
    {"{\"format\":\"datetime\"}",
     "params.format: there is no format 'datetime'; did you mean 'date-time'?"},
    {"{\"format\":\"regex\"}",
     "params.format: there is no format 'regex'; there are byte, date, date-time, duration, "
     "email, hostname, ipv4, ipv6, time, uri, uuid"},
    {"{\"properties\":[1]}", "params.properties: must be a table of names and schemas"},
    {"{\"properties\":{\"a\":{\"items\":{\"minimun\":1}}}}",
     "params.properties.a.items: unknown keyword 'minimun'; did you mean 'minimum'?"},
    {"{\"properties\":{\"price\":{}},\"required\":[\"prise\"]}",
     "params: required names 'prise', which is not in properties; did you mean 'price'?"},
    {"{\"required\":[\"a\"]}", "params: required names 'a', which is not in properties"},
    {"{\"properties\":{\"a\":{}},\"required\":[\"a\",\"a\"]}", "params: required names 'a' twice"},
    {"{\"properties\":{\"a\":{}},\"required\":[1]}", "params: required must be a list of names"},
    {"{\"required\":{}}", "params.required: must be a list of names (leave it out if it is empty)"},
    {"{\"properties\":{\"a\":{\"default\":1}},\"required\":[\"a\"]}",
     "params: 'a' is required, so its default is never used"},
    {"{\"properties\":{\"a\":{\"type\":\"integer\",\"maximum\":4,\"default\":5}}}",
     "params.properties.a: default: must be at most 4, is 5"},
    {"{\"properties\":{\"a\":{\"type\":\"array\",\"default\":{}}}}",
     "params.properties.a: default: must be of type array, is an object"},
    {"{\"additionalProperties\":\"no\"}",
     "params.additionalProperties: must be a schema, such as {type = 'string'}, or a boolean"},
    {"{\"title\":1}", "params.title: must be a string"},
    {"{\"description\":1}", "params.description: must be a string"},
    {"{\"deprecated\":1}", "params.deprecated: must be a boolean"},
    {"{\"examples\":1}", "params.examples: must be a list of values (leave it out if it is empty)"},
};

static void every_mistake_of_a_schema_is_named_with_its_place(void **state)
{
    for (size_t i = 0; i < CLA_ARRAY_LEN(mistakes); i++)
        assert_mistake(mistakes[i].schema, mistakes[i].message);
}

/* --- Values. --- */

/* What comes of 'text': what it is filled to, "" as it is, or the message. */
static const char *outcome(const char *schema_text, const char *text,
                           const struct cla_json_schema_opts *opts, char result[1024])
{
    struct cla_json_schema *schema = read_schema(schema_text);
    struct cla_json_schema_fault fault;
    struct cla_buf filled = {0};
    size_t n = strlen(text);
    char *exact = malloc(n);
    int rc;

    assert_non_null(exact);
    memcpy(exact, text, n);
    rc = cla_json_schema_check(schema, cla_slice(exact, n), opts, &filled, &fault);
    free(exact);
    assert_true(rc == 0 || rc == -CLA_EINVAL);
    if (rc != 0)
        assert_int_equal(filled.n, 0);
    if (rc != 0)
        snprintf(result, 1024, "%s: %s", fault.rule, fault.message);
    else
        snprintf(result, 1024, "%.*s", (int)filled.n, filled.n > 0 ? filled.p : "");
    cla_buf_fini(&filled);
    cla_json_schema_free(schema);
    return result;
}

struct value_case {
    const char *schema, *text, *outcome;
};

static void assert_outcomes(const struct value_case *cases, size_t count,
                            const struct cla_json_schema_opts *opts)
{
    char result[1024];

    for (size_t i = 0; i < count; i++) {
        const struct value_case *c = &cases[i];

        if (strcmp(outcome(c->schema, c->text, opts, result), c->outcome) != 0)
            fail_msg("%s of %s\ngives   %s\nwant    %s", c->text, c->schema, result, c->outcome);
    }
}

static const struct cla_json_schema_opts plain_opts = {.max_depth = 128, .root = "params"};

static const struct value_case values[] = {
    {"{}", "{\"a\":[1,null,{\"b\":\"c\"}]}", ""},
    {"{\"type\":\"null\"}", "null", ""},
    {"{\"type\":\"null\"}", "0", "type: params: must be of type null, is a number"},
    {"{\"type\":\"boolean\"}", "true", ""},
    {"{\"type\":\"boolean\"}", "\"true\"", "type: params: must be of type boolean, is a string"},
    {"{\"type\":\"integer\"}", "-9223372036854775808", ""},
    {"{\"type\":\"integer\"}", "9223372036854775807", ""},
    {"{\"type\":\"integer\"}", "9223372036854775808",
     "type: params: must be of type integer and fit in 64 bits, is 9223372036854775808"},
    {"{\"type\":\"integer\"}", "1.5", "type: params: must be of type integer, is 1.5"},
    {"{\"type\":\"integer\"}", "true", "type: params: must be of type integer, is a boolean"},
    {"{\"type\":\"integer\"}", " 1.0 ", " 1 "},
    {"{\"type\":\"integer\"}", "1e3", "1000"},
    {"{\"type\":\"number\"}", "1.0", ""},
    {"{\"type\":\"number\"}", "9223372036854775808", ""},
    {"{\"type\":[\"integer\",\"number\"]}", "1.0", ""},
    {"{\"type\":\"number\"}", "null", "type: params: must be of type number, is null"},
    {"{\"type\":\"string\"}", "\"\"", ""},
    {"{\"type\":\"string\"}", "[]", "type: params: must be of type string, is an array"},
    {"{\"type\":[\"null\",\"string\",\"integer\"]}", "{}",
     "type: params: must be of type integer or string or null, is an object"},
    {"{\"enum\":[\"a\",2,null,true]}", "\"a\"", ""},
    {"{\"enum\":[\"a\",2,null,true]}", "\"\\u0061\"", ""},
    {"{\"enum\":[\"a\",2,null,true]}", "2.0", ""},
    {"{\"enum\":[\"a\",2,null,true]}", "null", ""},
    {"{\"enum\":[\"a\",2,null,true]}", "true", ""},
    {"{\"enum\":[\"a\",2,null,true]}", "false",
     "enum: params: must be one of [\"a\",2,null,true], is false"},
    {"{\"enum\":[\"a\",2,null,true]}", "{}",
     "enum: params: must be one of [\"a\",2,null,true], is an object"},
    {"{\"enum\":[1]}", "[1]", "enum: params: must be one of [1], is an array"},
    {"{\"const\":\"a\"}", "\"b\"", "const: params: must be \"a\", is \"b\""},
    {"{\"minimum\":1}", "1", ""},
    {"{\"minimum\":1}", "0.5", "minimum: params: must be at least 1, is 0.5"},
    {"{\"minimum\":1}", "\"0\"", ""}, /* says nothing about strings */
    {"{\"maximum\":9007199254740993}", "9007199254740993", ""},
    {"{\"maximum\":9007199254740992}", "9007199254740993",
     "maximum: params: must be at most 9007199254740992, is 9007199254740993"},
    {"{\"exclusiveMinimum\":0}", "0.001", ""},
    {"{\"exclusiveMinimum\":0}", "0", "exclusiveMinimum: params: must be above 0, is 0"},
    {"{\"exclusiveMinimum\":0}", "-1", "exclusiveMinimum: params: must be above 0, is -1"},
    {"{\"exclusiveMaximum\":1.5}", "1.25", ""},
    {"{\"exclusiveMaximum\":1.5}", "1.50", "exclusiveMaximum: params: must be below 1.5, is 1.50"},
    {"{\"minLength\":2}", "\"\\ud83d\\ude00\"",
     "minLength: params: must have at least 2 characters, has 1"},
    {"{\"minLength\":2,\"maxLength\":2}", "\"\xf0\x9f\x98\x80\xc3\xa9\"", ""},
    {"{\"maxLength\":2}", "\"abc\"", "maxLength: params: must have at most 2 characters, has 3"},
    {"{\"maxLength\":0}", "\"\"", ""},
    {"{\"format\":\"date\"}", "\"2026-11-22\"", ""},
    {"{\"format\":\"date\"}", "\"22.11.2026\"",
     "format: params: must be in the format date, such as 2026-11-22"},
    {"{\"format\":\"uri\"}", "\"http:\\/\\/example.com\"", ""},
    {"{\"format\":\"date\"}", "1", ""},
    {"{\"type\":\"array\",\"minItems\":1,\"maxItems\":2}", "[1]", ""},
    {"{\"type\":\"array\",\"minItems\":1,\"maxItems\":2}", "[1,2]", ""},
    {"{\"minItems\":1}", "[]", "minItems: params: must have at least 1 elements, has 0"},
    {"{\"maxItems\":2}", "[1,2,3]", "maxItems: params: must have at most 2 elements, has 3"},
    {"{\"items\":{\"type\":\"integer\"}}", "[1,2.0,[]]",
     "type: params[2]: must be of type integer, is an array"},
    {"{\"items\":{\"type\":\"integer\"}}", "[null]",
     "type: params[0]: must be of type integer, is null"},
    {"{\"items\":true}", "[1,[]]", ""},
    {"{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":\"string\"}}", "[1,\"a\"]", ""},
    {"{\"prefixItems\":[{\"type\":\"integer\"}],\"items\":{\"type\":\"string\"}}", "[1,2]",
     "type: params[1]: must be of type string, is a number"},
    {"{\"prefixItems\":[{},{}],\"items\":false}", "[1,2]", ""},
    {"{\"prefixItems\":[{},{}],\"items\":false}", "[1,2,3]",
     "items: params: must have at most 2 elements"},
    {"{\"prefixItems\":[{\"type\":\"integer\"}]}", "[1,\"a\",null]", ""},
};

static void a_value_fits_or_the_message_says_why_not(void **state)
{
    assert_outcomes(values, CLA_ARRAY_LEN(values), &plain_opts);
}

#define ITEM                                                                                \
    "{\"properties\":{\"items\":{\"items\":{\"type\":\"object\",\"properties\":{\"price\":" \
    "{\"type\":\"number\",\"minimum\":0}},\"required\":[\"price\"]}}}}"
#define CLOSED "{\"properties\":{\"price\":{},\"a b\":{}},\"additionalProperties\":false}"

static void members_are_named_by_their_path(void **state)
{
    static const struct value_case cases[] = {
        {ITEM, "{\"items\":[{\"price\":1},{\"price\":0,\"x\":1}],\"y\":2}", ""},
        {ITEM, "{\"items\":[{\"price\":1},{},{}]}", "required: params.items[1].price: is missing"},
        {ITEM, "{\"items\":[{},{},{},{\"price\":-1}]}",
         "required: params.items[0].price: is missing"},
        {ITEM, "{\"items\":[{\"price\":1},{\"\\u0070rice\":-1}]}",
         "minimum: params.items[1].price: must be at least 0, is -1"},
        {ITEM, "[]", ""},
        {CLOSED, "{\"price\":1,\"a b\":2}", ""},
        {CLOSED, "{\"prise\":1}",
         "additionalProperties: params.prise: there is no such member; did you mean 'price'?"},
        {CLOSED, "{\"xyzzy\":null}", "additionalProperties: params.xyzzy: there is no such member"},
        {CLOSED, "{\"\\n\":1}", "additionalProperties: params[\"\\n\"]: there is no such member"},
        {"{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1,\"b\":null}", ""},
        {"{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":1,\"b\":\"2\"}",
         "type: params.b: must be of type integer, is a string"},
        {"{\"properties\":{\"\":{\"type\":\"integer\"}}}", "{\"\":\"\"}",
         "type: params[\"\"]: must be of type integer, is a string"},
    };

    assert_outcomes(cases, CLA_ARRAY_LEN(cases), &plain_opts);
}

#define FILLS                                                                                   \
    "{\"properties\":{\"a\":{\"type\":\"integer\",\"default\":1},\"b\":{\"properties\":{\"c\":" \
    "{\"default\":[2]},\"d\":{\"default\":\"x\"}}},\"e\":{\"type\":[\"null\",\"string\"],"      \
    "\"default\":\"e\"}}}"

static void what_is_missing_is_filled_in(void **state)
{
    static const struct value_case cases[] = {
        {FILLS, "{\"a\":3,\"e\":\"\"}", ""},
        {FILLS, "{}", "{\"a\":1,\"e\":\"e\"}"},
        {FILLS, " { \"x\" : 1 } ", " { \"x\" : 1 ,\"a\":1,\"e\":\"e\"} "},
        {FILLS, "{\"a\":2.0,\"b\":{},\"e\":\"\"}",
         "{\"a\":2,\"b\":{\"c\":[2],\"d\":\"x\"},\"e\":\"\"}"},
        {FILLS, "{\"b\":{\"d\":1},\"a\":null}",
         "{\"b\":{\"d\":1,\"c\":[2]},\"a\":null,\"a\":1,\"e\":\"e\"}"}, /* the last counts */
        {FILLS, "{\"a\":1,\"e\":null}", ""},
        {FILLS, "{\"a\":1,\"a\":null,\"e\":\"\"}", "{\"a\":1,\"a\":null,\"e\":\"\",\"a\":1}"},
        {FILLS, "{\"a\":null,\"a\":2,\"e\":\"\"}", ""},
        {FILLS, "{\"b\":{\"c\":1,\"d\":2},\"a\":\"x\"}",
         "type: params.a: must be of type integer, is a string"},
        {"{\"properties\":{\"a\":{\"default\":{},\"properties\":{\"b\":{\"default\":1}}}}}", "{}",
         "{\"a\":{\"b\":1}}"},
        {"{\"items\":{\"properties\":{\"\\u0061\":{\"default\":null}}}}", "[{},{\"a\":0},{}]",
         "[{\"\\u0061\":null},{\"a\":0},{\"\\u0061\":null}]"},
    };

    assert_outcomes(cases, CLA_ARRAY_LEN(cases), &plain_opts);
}

static void a_null_member_is_absent_unless_nulls_are_kept(void **state)
{
    const struct cla_json_schema_opts keep = {
        .max_depth = 128, .keep_nulls = true, .root = "params"};
    static const char required[] =
        "{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}";
    static const char nullable[] =
        "{\"properties\":{\"a\":{\"type\":[\"integer\",\"null\"]}},\"required\":[\"a\"]}";
    char result[1024];

    assert_string_equal(outcome(required, "{\"a\":null}", &plain_opts, result),
                        "required: params.a: is missing");
    assert_string_equal(outcome(required, "{\"a\":null}", &keep, result),
                        "type: params.a: must be of type integer, is null");
    assert_string_equal(outcome(nullable, "{\"a\":null}", &plain_opts, result), "");
    assert_string_equal(outcome(nullable, "{\"a\":null}", &keep, result), "");
    assert_string_equal(
        outcome("{\"additionalProperties\":{\"type\":\"integer\"}}", "{\"a\":null}", &keep, result),
        "type: params.a: must be of type integer, is null");
}

static void meta_is_not_looked_at_where_it_is_not_the_scripts(void **state)
{
    const struct cla_json_schema_opts skip = {
        .max_depth = 128, .skip_meta = true, .root = "params"};
    static const char closed[] =
        "{\"properties\":{\"a\":{\"additionalProperties\":false}},\"additionalProperties\":false}";
    char result[1024];

    assert_string_equal(outcome(closed, "{\"_meta\":{\"x\":[1]}}", &skip, result), "");
    assert_string_equal(outcome(closed, "{\"\\u005fmeta\":1}", &skip, result), "");
    assert_string_equal(outcome(closed, "{\"a\":{\"_meta\":1}}", &skip, result),
                        "additionalProperties: params.a._meta: there is no such member");
    assert_string_equal(outcome(closed, "{\"_meta\":1}", &plain_opts, result),
                        "additionalProperties: params._meta: there is no such member");
    assert_string_equal(
        outcome("{\"properties\":{\"a\":{\"default\":1}}}", "{\"_meta\":1}", &skip, result),
        "{\"_meta\":1,\"a\":1}");
}

static void huge_values_are_cut_at_whole_characters(void **state)
{
    char text[400] = "\"", result[1024];

    for (int i = 0; i < 100; i++)
        strcat(text, "\xe2\x82\xac"); /* three bytes each: 60 is inside the twentieth */
    strcat(text, "\"");
    assert_non_null(strstr(outcome("{\"const\":1}", text, &plain_opts, result), "\xe2\x82\xac..."));
    assert_true(strlen(result) < 120);
    text[0] = '1';
    memset(text + 1, '0', 299);
    text[300] = '\0';
    assert_non_null(strstr(outcome("{\"maximum\":1}", text, &plain_opts, result), "000..."));
    assert_true(strlen(result) < 150);
}

/* --- Limits. --- */

static void nested(struct cla_buf *buf, int depth, const char *inner)
{
    buf->n = 0;
    for (int i = 1; i < depth; i++)
        assert_int_equal(cla_buf_add(buf, CLA_LIT("{\"items\":")), 0);
    assert_int_equal(cla_buf_add(buf, cla_slice_str(inner)), 0);
    for (int i = 1; i < depth; i++)
        assert_int_equal(cla_buf_push(buf, '}'), 0);
}

/* "{"open":[item,item,…]}" or with members. */
static void repeated(struct cla_buf *buf, const char *before, int count, bool named,
                     const char *item, const char *after)
{
    buf->n = 0;
    assert_int_equal(cla_buf_add(buf, cla_slice_str(before)), 0);
    for (int i = 0; i < count; i++) {
        if (named)
            assert_int_equal(cla_buf_printf(buf, "%s\"n%d\":%s", i > 0 ? "," : "", i, item), 0);
        else
            assert_int_equal(cla_buf_printf(buf, "%s%s", i > 0 ? "," : "", item), 0);
    }
    assert_int_equal(cla_buf_add(buf, cla_slice_str(after)), 0);
}

static int try(const struct cla_buf *buf, struct cla_json_schema_error *error)
{
    struct cla_json_schema *schema = NULL;
    int rc = cla_json_schema_read(&schema, cla_buf_slice(buf), "params", error);

    cla_json_schema_free(schema);
    return rc;
}

static void every_limit_holds_on_both_sides(void **state)
{
    struct cla_json_schema_error error;
    struct cla_buf buf = {0};

    nested(&buf, CLA_JSON_SCHEMA_DEPTH, "{}");
    assert_int_equal(try(&buf, &error), 0);
    nested(&buf, CLA_JSON_SCHEMA_DEPTH + 1, "{}");
    assert_int_equal(try(&buf, &error), -CLA_EINVAL);
    assert_non_null(strstr(error.text, "more than 32 schemas inside one another"));

    repeated(&buf, "{\"properties\":{", CLA_JSON_SCHEMA_PROPERTIES, true, "{}", "}}");
    assert_int_equal(try(&buf, &error), 0);
    repeated(&buf, "{\"properties\":{", CLA_JSON_SCHEMA_PROPERTIES + 1, true, "{}", "}}");
    assert_int_equal(try(&buf, &error), -CLA_EINVAL);
    assert_non_null(strstr(error.text, "more than 256 properties"));

    repeated(&buf, "{\"prefixItems\":[", CLA_JSON_SCHEMA_PREFIX, false, "{}", "]}");
    assert_int_equal(try(&buf, &error), 0);
    repeated(&buf, "{\"prefixItems\":[", CLA_JSON_SCHEMA_PREFIX + 1, false, "{}", "]}");
    assert_int_equal(try(&buf, &error), -CLA_EINVAL);
    assert_non_null(strstr(error.text, "more than 64 schemas"));

    repeated(&buf, "{\"enum\":[", CLA_JSON_SCHEMA_CHOICES, false, "1", "]}");
    assert_int_equal(try(&buf, &error), 0);
    repeated(&buf, "{\"enum\":[", CLA_JSON_SCHEMA_CHOICES + 1, false, "1", "]}");
    assert_int_equal(try(&buf, &error), -CLA_EINVAL);
    assert_non_null(strstr(error.text, "more than 256 values"));
    cla_buf_fini(&buf);
}

static void a_name_and_a_value_of_enum_have_a_longest(void **state)
{
    struct cla_json_schema_error error;
    struct cla_buf buf = {0};

    for (int extra = 0; extra < 2; extra++) {
        buf.n = 0;
        assert_int_equal(
            cla_buf_printf(&buf, "{\"properties\":{\"%0*d\":{}}}", CLA_JSON_SCHEMA_NAME + extra, 1),
            0);
        assert_int_equal(try(&buf, &error), extra == 0 ? 0 : -CLA_EINVAL);
        buf.n = 0;
        assert_int_equal(
            cla_buf_printf(&buf, "{\"enum\":[\"%0*d\"]}", CLA_JSON_SCHEMA_NAME + extra, 1), 0);
        assert_int_equal(try(&buf, &error), extra == 0 ? 0 : -CLA_EINVAL);
    }
    cla_buf_fini(&buf);
}

static void the_longest_name_is_found_however_it_is_written(void **state)
{
    struct cla_buf schema = {0}, value = {0};
    char result[1024];

    assert_int_equal(cla_buf_printf(&schema, "{\"properties\":{\"%0*d\":{\"type\":\"null\"}}}%c",
                                    CLA_JSON_SCHEMA_NAME, 1, 0),
                     0);
    assert_int_equal(cla_buf_add(&value, CLA_LIT("{\"")), 0);
    for (int i = 1; i < CLA_JSON_SCHEMA_NAME; i++)
        assert_int_equal(cla_buf_add(&value, CLA_LIT("\\u0030")), 0);
    assert_int_equal(cla_buf_printf(&value, "\\u0031\":1}%c", 0), 0);
    assert_non_null(
        strstr(outcome(schema.p, value.p, &plain_opts, result), "must be of type null"));
    cla_buf_fini(&schema);
    cla_buf_fini(&value);
}

static void a_text_that_nests_deeper_than_allowed_is_no_json(void **state)
{
    const struct cla_json_schema_opts shallow = {.max_depth = 2, .root = "params"};
    struct cla_json_schema *schema = read_schema("{}");
    struct cla_json_schema_fault fault;
    struct cla_buf filled = {0};

    assert_int_equal(cla_json_schema_check(schema, CLA_LIT("[[1]]"), &shallow, &filled, &fault), 0);
    assert_int_equal(cla_json_schema_check(schema, CLA_LIT("[[[1]]]"), &shallow, &filled, &fault),
                     -CLA_EJSON);
    assert_int_equal(cla_json_schema_check(schema, CLA_LIT("[1] 2"), &shallow, &filled, &fault),
                     -CLA_EJSON);
    assert_int_equal(cla_json_schema_check(schema, CLA_LIT("{\"a\""), &shallow, &filled, &fault),
                     -CLA_EJSON);
    cla_json_schema_free(schema);
}

/* --- What others see of it. --- */

static void members_are_told_in_the_order_of_their_names(void **state)
{
    struct cla_json_schema *schema = read_schema(
        "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"integer\",\"default\":1,"
        "\"deprecated\":true},\"\\u0061\":{\"description\":\"the a\"}},"
        "\"required\":[\"a\"]}");
    struct cla_json_schema_member member;

    assert_int_equal(cla_json_schema_types(schema), CLA_JSON_TYPE_OBJECT);
    assert_true(cla_json_schema_member(schema, 0, &member));
    assert_true(cla_slice_eq(member.name, CLA_LIT("a")));
    assert_true(member.required && member.types == 0 && member.fallback.n == 0);
    assert_true(cla_slice_eq(member.description, CLA_LIT("\"the a\"")));
    assert_true(cla_json_schema_member(schema, 1, &member));
    assert_true(!member.required && member.deprecated && member.types == CLA_JSON_TYPE_INTEGER);
    assert_true(cla_slice_eq(member.fallback, CLA_LIT("1")));
    assert_false(cla_json_schema_member(schema, 2, &member));
    cla_json_schema_free(schema);
}

static void elements_are_required_as_far_as_min_items(void **state)
{
    struct cla_json_schema *schema = read_schema(
        "{\"type\":\"array\",\"minItems\":1,\"prefixItems\":[{\"title\":\"first\"},{}]}");
    struct cla_json_schema_member member;

    assert_true(cla_json_schema_member(schema, 0, &member));
    assert_true(cla_slice_eq(member.name, CLA_LIT("first")) && member.required);
    assert_true(cla_json_schema_member(schema, 1, &member));
    assert_true(member.name.n == 0 && !member.required);
    assert_false(cla_json_schema_member(schema, 2, &member));
    cla_json_schema_free(schema);
}

static void each_failing_allocation_is_reported(void **state)
{
    static const char schema_text[] =
        "{\"properties\":{\"\\u0061\":{\"default\":{},\"properties\":{\"b\":{\"default\":1}}},"
        "\"c\":{\"enum\":[\"\\u0064\"]},\"e\":{\"prefixItems\":[{}]},\"f\":{\"minLength\":1}},"
        "\"required\":[\"c\"],\"title\":\"\\u0061\"}";
    long n = 0;

    do {
        struct cla_json_schema *schema = NULL;
        struct cla_json_schema_error error;
        struct cla_json_schema_fault fault;
        struct cla_buf filled = {0};
        int rc;

        mem_fault_after(n++);
        rc = cla_json_schema_read(&schema, cla_slice_str(schema_text), "params", &error);
        if (rc == 0)
            rc = cla_json_schema_check(schema, CLA_LIT("{\"c\":\"\\u0064\",\"f\":\"\\u0061\"}"),
                                       &plain_opts, &filled, &fault);
        mem_fault_off();
        assert_int_equal(rc, mem_fault.failed ? -CLA_ENOMEM : 0);
        cla_json_schema_free(schema);
        cla_buf_fini(&filled);
        assert_int_equal(mem_fault.live, 0);
    } while (mem_fault.failed);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_of_a_schema_is_named_with_its_place),
        cmocka_unit_test(a_value_fits_or_the_message_says_why_not),
        cmocka_unit_test(members_are_named_by_their_path),
        cmocka_unit_test(what_is_missing_is_filled_in),
        cmocka_unit_test(a_null_member_is_absent_unless_nulls_are_kept),
        cmocka_unit_test(meta_is_not_looked_at_where_it_is_not_the_scripts),
        cmocka_unit_test(huge_values_are_cut_at_whole_characters),
        cmocka_unit_test(every_limit_holds_on_both_sides),
        cmocka_unit_test(a_name_and_a_value_of_enum_have_a_longest),
        cmocka_unit_test(the_longest_name_is_found_however_it_is_written),
        cmocka_unit_test(a_text_that_nests_deeper_than_allowed_is_no_json),
        cmocka_unit_test(members_are_told_in_the_order_of_their_names),
        cmocka_unit_test(elements_are_required_as_far_as_min_items),
        cmocka_unit_test(each_failing_allocation_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
