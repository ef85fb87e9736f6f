#include "cli/call_params.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/call_args.h"
#include "cli/cli.h"
#include "json/scan.h"
#include "json/write.h"

#define READ_BYTES 65536

static int out_of_memory(void)
{
    cla_call_args_fail("out of memory");
    return CLA_EXIT_FAILED;
}

/* True if 'text' begins as an object or an array does. */
static bool is_container(struct cla_slice text)
{
    size_t at = 0;

    while (at < text.n && strchr(" \t\r\n", text.p[at]) != NULL)
        at++;
    return at < text.n && (text.p[at] == '{' || text.p[at] == '[');
}

/* Appends 'text', which must be one object or array. */
static int add_container(struct cla_buf *json, struct cla_slice text)
{
    const char *error;
    size_t at;

    if (cla_json_check(text, CLA_JSON_DEPTH_MAX, &error, &at) != 0)
        return cla_call_args_fail("the params are not valid JSON: %s at byte %zu", error, at);
    if (!is_container(text))
        return cla_call_args_fail("the params must be a JSON object or array: {…} or […]");
    return cla_buf_add(json, text) == 0 ? 0 : out_of_memory();
}

static int read_stdin(struct cla_buf *text)
{
    ssize_t n;

    do {
        if (cla_buf_reserve(text, READ_BYTES) != 0)
            return out_of_memory();
        n = read(STDIN_FILENO, text->p + text->n, READ_BYTES);
        if (n > 0)
            text->n += (size_t)n;
        if (text->n > CLA_CALL_PARAMS_BYTES_MAX)
            return cla_call_args_fail("the params on stdin are longer than %u bytes",
                                      CLA_CALL_PARAMS_BYTES_MAX);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0 ? 0 : cla_call_args_fail("cannot read the params: %s", strerror(errno));
}

static int add_stdin(struct cla_buf *json)
{
    struct cla_buf text = {0};
    int rc = read_stdin(&text);

    if (rc == 0)
        rc = add_container(json, cla_buf_slice(&text));
    cla_buf_fini(&text);
    return rc;
}

/* Cuts 'pair' at its first '='. False if there is none, or nothing before it. */
static bool split(const char *pair, struct cla_slice *name, struct cla_slice *value)
{
    const char *equals = strchr(pair, '=');

    if (equals == NULL || equals == pair)
        return false;
    *name = cla_slice(pair, (size_t)(equals - pair));
    *value = cla_slice_str(equals + 1);
    return true;
}

/* True if one of the 'count' pairs has this name. */
static bool has_name(char *const *pairs, int count, struct cla_slice wanted)
{
    struct cla_slice name, value;

    for (int i = 0; i < count; i++) {
        if (split(pairs[i], &name, &value) && cla_slice_eq(name, wanted))
            return true;
    }
    return false;
}

static int add_pair(struct cla_buf *json, struct cla_slice name, struct cla_slice value)
{
    int rc = cla_buf_push(json, json->n == 0 ? '{' : ',');

    if (rc == 0)
        rc = cla_json_write_string(json, name);
    if (rc == 0)
        rc = cla_buf_push(json, ':');
    if (rc != 0)
        return rc;
    if (cla_json_check(value, CLA_JSON_DEPTH_MAX - 1, NULL, NULL) == 0)
        return cla_buf_add(json, value);
    return cla_json_write_string(json, value);
}

static int add_pairs(struct cla_buf *json, int count, char *const *pairs)
{
    struct cla_slice name, value;
    int rc;

    for (int i = 0; i < count; i++) {
        if (!split(pairs[i], &name, &value))
            return cla_call_args_fail(
                "params are one JSON object or array, or name=value pairs; '%s' is neither",
                pairs[i]);
        if (has_name(pairs, i, name))
            return cla_call_args_fail("'%.*s' is given twice", (int)name.n, name.p);
        rc = add_pair(json, name, value);
        if (rc == -CLA_EUTF8)
            return cla_call_args_fail("'%s' is not valid UTF-8", pairs[i]);
        if (rc != 0)
            return out_of_memory();
    }
    return cla_buf_push(json, '}') == 0 ? 0 : out_of_memory();
}

int cla_call_params_read(struct cla_buf *json, int count, char *const *arguments)
{
    if (count == 0)
        return 0;
    if (count == 1 && strcmp(arguments[0], "-") == 0)
        return add_stdin(json);
    if (count == 1 && is_container(cla_slice_str(arguments[0])))
        return add_container(json, cla_slice_str(arguments[0]));
    return add_pairs(json, count, arguments);
}
