/* Schemas: a text that is read as one checks any value without reading past it; what it fills in
 * fits, and asks for nothing more. The input is a schema and a value, with a line feed between
 * them. */
#include <stdlib.h>

#include "base/error.h"
#include "json/scan.h"
#include "json/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cla_json_schema_opts opts = {.max_depth = 64, .root = "params"};
static const struct cla_json_schema_opts filled_opts = {.max_depth = CLA_JSON_DEPTH_MAX,
                                                        .root = "params"};

static void check(const struct cla_json_schema *schema, struct cla_slice value)
{
    struct cla_json_schema_fault fault;
    struct cla_buf filled = {0}, again = {0};
    int rc = cla_json_schema_check(schema, value, &opts, &filled, &fault);

    if (rc == -CLA_EINVAL && (fault.rule == NULL || strncmp(fault.path, "params", 6) != 0))
        abort();
    if (rc != 0 && filled.n > 0)
        abort();
    if (filled.n > 0 &&
        (cla_json_schema_check(schema, cla_buf_slice(&filled), &filled_opts, &again, &fault) != 0 ||
         again.n > 0))
        abort();
    cla_buf_fini(&filled);
    cla_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cla_slice input = cla_slice((const char *)data, size), text;
    const char *feed = size > 0 ? memchr(data, '\n', size) : NULL;
    struct cla_json_schema *schema;
    struct cla_json_schema_error error;

    if (feed == NULL)
        return 0;
    text = cla_slice(input.p, (size_t)(feed - input.p));
    if (cla_json_schema_read(&schema, text, "params", &error) == 0) {
        check(schema, cla_slice(feed + 1, input.n - text.n - 1));
        cla_json_schema_free(schema);
    }
    return 0;
}
