/* JSON: the scan never reads past its text; a text that is accepted decodes, and its value encodes
 * to a text that decodes to the same encoding. */
#include <lauxlib.h>
#include <stdlib.h>

#include "bind/json_codec.h"
#include "json/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH 64

static const struct cla_json_decode_opts decode_opts = {.max_depth = DEPTH, .keep_nulls = true};
static const struct cla_json_encode_opts encode_opts = {.max_depth = DEPTH, .root = "value"};

/* Decodes 'text', which was accepted, and encodes what came of it. */
static struct cla_buf recode(lua_State *L, struct cla_slice text)
{
    struct cla_buf buf = {0};
    struct cla_json_decode_fault decode_fault;
    struct cla_json_encode_fault encode_fault;

    if (cla_json_codec_push(L, text, &decode_opts, &decode_fault) != 0)
        abort();
    if (cla_json_codec_write(L, -1, &buf, &encode_opts, &encode_fault) != 0)
        abort();
    lua_pop(L, 1);
    return buf;
}

/* Members come in another order after each decoding, but the bytes stay as many. */
static void round_trip(lua_State *L, struct cla_slice text)
{
    struct cla_buf once = recode(L, text);
    struct cla_buf twice = recode(L, cla_buf_slice(&once));

    if (once.n != twice.n)
        abort();
    cla_buf_fini(&once);
    cla_buf_fini(&twice);
}

static void refuse_everywhere(lua_State *L, struct cla_slice text)
{
    struct cla_json_decode_fault fault;

    if (cla_json_codec_push(L, text, &decode_opts, &fault) == 0 || fault.message == NULL ||
        fault.at > text.n || lua_gettop(L) != 0)
        abort();
}

/* Decodes once more with the other options, which only leave things out. */
static void decode_less(lua_State *L, struct cla_slice text)
{
    struct cla_json_decode_opts opts = {.max_depth = DEPTH, .skip_meta = true};
    struct cla_json_decode_fault fault;

    if (cla_json_codec_push(L, text, &opts, &fault) != 0)
        abort();
    lua_pop(L, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lua_State *L;
    struct cla_slice text = cla_slice((const char *)data, size);

    if (L == NULL) {
        L = luaL_newstate();
        cla_json_codec_open(L);
    }
    if (cla_json_check(text, DEPTH, NULL, NULL) == 0) {
        round_trip(L, text);
        decode_less(L, text);
    } else {
        refuse_everywhere(L, text);
    }
    return 0;
}
