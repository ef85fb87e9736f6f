/* Decoding keeps one frame per open container. On the Lua stack lie, from the bottom: the array
 * metatable, then per container the table and, in objects, the name of the member being read; a
 * finished value is on top and goes into the table below it. */
#include <lauxlib.h>

#include "base/error.h"
#include "bind/json_codec.h"
#include "bind/json_meta.h"

/* A container needs its table and a name; a string with escapes, a buffer; finishing, a copy. */
#define SLOTS_PER_LEVEL 6

/* Objects are made with as many slots as the last one of their level had members: in an array
 * of records all but the first are right. Levels share these by their lowest bits. */
#define HINTS 8
#define FIRST_HINT 4
#define MAX_HINT 64

struct decoder {
    lua_State *L;
    const struct cla_json_decode_opts *opts;
    int base;    /* stack index of the array metatable; nil there: not needed yet */
    bool object; /* the innermost container is an object */
    int hints[HINTS];
    struct cla_json_scan scan;
    lua_Integer counts[CLA_JSON_DEPTH_MAX + 1]; /* values so far, by depth */
};

static void push_string(struct decoder *d)
{
    luaL_Buffer buffer;
    struct cla_slice raw = d->scan.string;
    char *to;

    if (!d->scan.escaped) {
        lua_pushlstring(d->L, raw.p, raw.n);
        return;
    }
    to = luaL_buffinitsize(d->L, &buffer, raw.n);
    luaL_pushresultsize(&buffer, cla_json_unescape(raw, to));
}

/* Puts the value on top into its container. */
static void put(struct decoder *d)
{
    unsigned depth = d->scan.depth;

    if (depth == 0)
        return;
    d->counts[depth]++;
    if (d->object)
        lua_rawset(d->L, -3);
    else
        lua_rawseti(d->L, -2, d->counts[depth]);
}

/* It is looked for when the first array comes, and kept at the base. */
static void push_array_metatable(struct decoder *d)
{
    lua_State *L = d->L;

    if (lua_isnil(L, d->base)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &cla_json_meta_array);
        lua_copy(L, -1, d->base);
    } else {
        lua_pushvalue(L, d->base);
    }
}

/* Begins a container. Returns 0, or -CLA_ENOMEM if the stack cannot grow. */
static int begin(struct decoder *d, bool object)
{
    unsigned depth = d->scan.depth;

    if (!lua_checkstack(d->L, SLOTS_PER_LEVEL))
        return -CLA_ENOMEM;
    d->counts[depth] = 0;
    d->object = object;
    if (object) {
        lua_createtable(d->L, 0, d->hints[depth % HINTS]);
        return 0;
    }
    lua_createtable(d->L, 1, 0);
    push_array_metatable(d);
    lua_setmetatable(d->L, -2);
    return 0;
}

/* Ends a container: the scan is already outside. */
static void end(struct decoder *d)
{
    unsigned inner = d->scan.depth + 1u;

    if (d->object && d->counts[inner] > 0)
        d->hints[inner % HINTS] = d->counts[inner] < MAX_HINT ? (int)d->counts[inner] : MAX_HINT;
    d->object = cla_json_scan_in_object(&d->scan);
    put(d);
}

static void null(struct decoder *d)
{
    if (d->object && !d->opts->keep_nulls)
        lua_pushnil(d->L); /* also takes back an earlier member of this name */
    else
        lua_pushlightuserdata(d->L, NULL);
    put(d);
}

/* Reads a member's name; '_meta' is read over with its value if the caller wants none. */
static int name(struct decoder *d)
{
    struct cla_slice ignored;
    const char *text;
    size_t n;

    push_string(d);
    if (!d->opts->skip_meta || d->scan.depth != 1)
        return 0;
    text = lua_tolstring(d->L, -1, &n);
    if (!cla_slice_eq(cla_slice(text, n), CLA_LIT("_meta")))
        return 0;
    lua_pop(d->L, 1);
    return cla_json_scan_value(&d->scan, &ignored);
}

/* Turns one event into Lua values. Returns 0, -CLA_EJSON, or -CLA_ENOMEM. */
static int take(struct decoder *d, enum cla_json_event event)
{
    switch (event) {
    case CLA_JSON_NULL:
        null(d);
        return 0;
    case CLA_JSON_FALSE:
    case CLA_JSON_TRUE:
        lua_pushboolean(d->L, event == CLA_JSON_TRUE);
        break;
    case CLA_JSON_INT:
        lua_pushinteger(d->L, d->scan.integer);
        break;
    case CLA_JSON_NUMBER:
        lua_pushnumber(d->L, d->scan.number);
        break;
    case CLA_JSON_STRING:
        push_string(d);
        break;
    case CLA_JSON_KEY:
        return name(d);
    case CLA_JSON_ARRAY_BEGIN:
    case CLA_JSON_OBJECT_BEGIN:
        return begin(d, event == CLA_JSON_OBJECT_BEGIN);
    case CLA_JSON_ARRAY_END:
    case CLA_JSON_OBJECT_END:
        end(d);
        return 0;
    default:
        return -CLA_EJSON;
    }
    put(d);
    return 0;
}

static void init(struct decoder *d, lua_State *L, struct cla_slice text,
                 const struct cla_json_decode_opts *opts)
{
    d->L = L;
    d->opts = opts;
    d->object = false;
    for (int i = 0; i < HINTS; i++)
        d->hints[i] = FIRST_HINT;
    cla_json_scan_init(&d->scan, text, opts->max_depth);
    lua_pushnil(L);
    d->base = lua_gettop(L);
}

int cla_json_codec_push(lua_State *L, struct cla_slice text,
                        const struct cla_json_decode_opts *opts,
                        struct cla_json_decode_fault *fault)
{
    struct decoder d;
    enum cla_json_event event;
    int rc = 0;

    *fault = (struct cla_json_decode_fault){cla_error_text(-CLA_ENOMEM), 0};
    if (!lua_checkstack(L, SLOTS_PER_LEVEL))
        return -CLA_ENOMEM;
    init(&d, L, text, opts);
    while (rc == 0 && (event = cla_json_scan_next(&d.scan)) != CLA_JSON_END)
        rc = take(&d, event);
    if (rc == 0) {
        lua_remove(L, d.base);
        return 0;
    }
    lua_settop(L, d.base - 1);
    if (rc == -CLA_EJSON)
        *fault = (struct cla_json_decode_fault){d.scan.error, d.scan.error_at};
    return rc;
}
