#include "rpc/jsonrpc_options.h"

/* An integer of any size, told from a fraction by its text. */
static bool is_integer(const struct cla_jsonrpc_member *member)
{
    if (member->event == CLA_JSON_INT)
        return true;
    for (size_t i = 0; i < member->text.n; i++) {
        char c = member->text.p[i];

        if (c == '.' || c == 'e' || c == 'E')
            return false;
    }
    return member->event == CLA_JSON_NUMBER;
}

/* Takes a token that is a string or an integer; keeps what was there if it is null or absent. */
static bool read_token(const struct cla_jsonrpc_member *member, struct cla_slice *token)
{
    if (member->event == CLA_JSON_ERROR || member->event == CLA_JSON_NULL)
        return true;
    if (member->event != CLA_JSON_STRING && !is_integer(member))
        return false;
    *token = member->text;
    return true;
}

static bool read_timeout(const struct cla_jsonrpc_member *member, int64_t integer,
                         struct cla_rpc_options *options)
{
    options->has_timeout = member->event == CLA_JSON_INT;
    if (!options->has_timeout)
        return member->event == CLA_JSON_NULL;
    options->timeout_ms = (uint64_t)integer;
    return integer >= 0 && options->timeout_ms <= CLA_RPC_TIMEOUT_MS_MAX;
}

static const char *read_meta_member(struct cla_json_scan *scan, struct cla_rpc_options *options)
{
    char name[CLA_JSONRPC_NAME_MAX * 6];
    struct cla_slice key = cla_jsonrpc_key(scan, name);
    struct cla_jsonrpc_member member = {.event = CLA_JSON_ERROR};

    /* The text has been scanned before, so this cannot fail. */
    (void)cla_jsonrpc_member_read(scan, &member);
    if (cla_slice_eq(key, CLA_LIT("timeout_ms")))
        return read_timeout(&member, scan->integer, options)
                   ? NULL
                   : "_meta.timeout_ms must be an integer from 0 to 9999999999";
    if (cla_slice_eq(key, CLA_LIT("progressToken")))
        return read_token(&member, &options->progress_token)
                   ? NULL
                   : "_meta.progressToken must be a string or an integer";
    if (cla_slice_eq(key, CLA_LIT("itemToken")))
        return read_token(&member, &options->item_token)
                   ? NULL
                   : "_meta.itemToken must be a string or an integer";
    return NULL;
}

static const char *read_meta(const struct cla_jsonrpc_member *meta, struct cla_rpc_options *options)
{
    struct cla_json_scan scan;
    const char *error = NULL;

    if (meta->event == CLA_JSON_ERROR || meta->event == CLA_JSON_NULL)
        return NULL;
    if (meta->event != CLA_JSON_OBJECT_BEGIN)
        return "_meta must be an object";
    cla_json_scan_init(&scan, meta->text, CLA_JSON_DEPTH_MAX);
    (void)cla_json_scan_next(&scan);
    while (error == NULL && cla_json_scan_next(&scan) == CLA_JSON_KEY)
        error = read_meta_member(&scan, options);
    return error;
}

const char *cla_jsonrpc_options_read(const struct cla_jsonrpc_asked *asked,
                                     enum cla_json_event params, struct cla_rpc_options *options)
{
    options->has_timeout = false;
    options->timeout_ms = 0;
    options->progress_token = options->item_token = cla_slice(NULL, 0);
    if (params != CLA_JSON_OBJECT_BEGIN)
        return read_meta(&asked->beside, options);
    if (!read_token(&asked->progress, &options->progress_token))
        return "workDoneToken must be a string or an integer";
    if (!read_token(&asked->item, &options->item_token))
        return "partialResultToken must be a string or an integer";
    return read_meta(&asked->inside, options);
}
