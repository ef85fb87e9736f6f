#include "bind/notification.h"

#include "base/base64.h"
#include "base/error.h"
#include "base/utf8.h"
#include "bind/script.h"
#include "rpc/frame.h"
#include "rpc/jsonrpc.h"

static int write_json(lua_State *L, int index, struct cla_buf *to,
                      struct cla_json_encode_fault *fault)
{
    const struct cla_json_encode_opts opts = {.max_depth = cla_script_of(L)->json_depth,
                                              .root = "data"};

    return cla_json_codec_write(L, index, to, &opts, fault);
}

/* Appends the value as params: a table as it is, another value as the one element of an array. */
static int write_params(lua_State *L, int index, struct cla_buf *params,
                        struct cla_json_encode_fault *fault)
{
    struct cla_slice text = {0};
    int rc;

    if (lua_isnoneornil(L, index))
        return 0;
    if (lua_istable(L, index))
        return write_json(L, index, params, fault);
    if (lua_type(L, index) == LUA_TSTRING)
        text.p = lua_tolstring(L, index, &text.n);
    fault->message[0] = '\0';
    if (cla_buf_push(params, '[') != 0)
        return -CLA_ENOMEM;
    if (text.n > 0 && !cla_utf8_valid(text))
        rc = cla_buf_push(params, '"') == 0 && cla_base64_encode(params, text) == 0
                 ? cla_buf_push(params, '"')
                 : -CLA_ENOMEM;
    else
        rc = write_json(L, index, params, fault);
    return rc == 0 ? cla_buf_push(params, ']') : rc;
}

static int write_text(lua_State *L, struct cla_slice event, int index, struct cla_buf *to,
                      struct cla_json_encode_fault *fault)
{
    struct cla_buf params = {0};
    int rc = write_params(L, index, &params, fault);

    if (rc == 0)
        rc = cla_jsonrpc_request(to, cla_slice(NULL, 0), event, cla_buf_slice(&params));
    cla_buf_fini(&params);
    return rc;
}

/* A string is the frame's payload as it is, another value as JSON. */
static int write_frame(lua_State *L, struct cla_slice event, int index, struct cla_buf *to,
                       struct cla_json_encode_fault *fault)
{
    struct cla_frame frame = {.kind = CLA_FRAME_NOTIFY, .name = event};
    int rc;

    if (lua_type(L, index) == LUA_TSTRING)
        frame.payload.p = lua_tolstring(L, index, &frame.payload.n);
    rc = cla_frame_write(to, &frame);
    if (rc == 0 && lua_type(L, index) != LUA_TSTRING && !lua_isnoneornil(L, index))
        rc = write_json(L, index, to, fault);
    return rc;
}

int cla_notification_write(lua_State *L, bool framed, struct cla_slice event, int index,
                           struct cla_buf *to, struct cla_json_encode_fault *fault)
{
    return (framed ? write_frame : write_text)(L, event, index, to, fault);
}
