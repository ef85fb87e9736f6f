/* Encoding keeps one frame per open container. On the Lua stack each has its table and, if it is
 * an object, the name of the member being written, so that the path of what cannot be encoded
 * is read off the stack.
 *
 * Nothing here may raise: callers hold memory. So no allocation in Lua (strings are borrowed, a
 * number that is a key is never converted in place), and the stack grows by lua_checkstack(). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "bind/json_codec.h"
#include "bind/json_meta.h"
#include "json/write.h"

/* A container's table, a key, a value, and a metatable to compare with. */
#define SLOTS_PER_LEVEL 4

struct frame {
    lua_Integer next;  /* of an array: index of the element to come */
    lua_Integer count; /* of an array: elements */
    int table;         /* stack index; an object's current name is above */
    bool object;
    bool first; /* nothing is written of it yet */
};

struct encoder {
    lua_State *L;
    const struct cla_json_encode_opts *opts;
    struct cla_json_encode_fault *fault;
    struct cla_buf *buf;
    unsigned depth;                          /* open containers */
    struct frame frames[CLA_JSON_DEPTH_MAX]; /* innermost last */
};

/* --- Saying what is wrong, and where. --- */

static void add_text(struct cla_json_encode_fault *fault, const char *format, ...) CLA_PRINTF(2, 3);

static void add_text(struct cla_json_encode_fault *fault, const char *format, ...)
{
    size_t n = strlen(fault->message);
    va_list args;

    va_start(args, format);
    vsnprintf(fault->message + n, sizeof fault->message - n, format, args);
    va_end(args);
}

static bool is_word(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

        if (!letter && !(c >= '0' && c <= '9' && i > 0))
            return false;
    }
    return n > 0;
}

/* Adds ["name"]; bytes that could upset a log or a terminal become '?'. */
static void add_quoted(struct cla_json_encode_fault *fault, const char *name, size_t n)
{
    add_text(fault, "[\"");
    for (size_t i = 0; i < n; i++)
        add_text(fault, "%c", name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?');
    add_text(fault, "\"]");
}

/* Longer names, and paths that would fill the message, are cut. */
#define NAME_SHOWN 40
#define PATH_SHOWN 120

static void add_name(struct encoder *e, int index)
{
    size_t n;
    const char *name = lua_tolstring(e->L, index, &n);

    if (n > NAME_SHOWN)
        n = NAME_SHOWN;
    if (is_word(name, n))
        add_text(e->fault, ".%.*s", (int)n, name);
    else
        add_quoted(e->fault, name, n);
}

/* Starts the message with the path of the member or element being written in the innermost of
 * 'depth' containers. */
static void add_path(struct encoder *e, unsigned depth)
{
    e->fault->message[0] = '\0';
    add_text(e->fault, "%.40s", e->opts->root);
    for (unsigned i = 0; i < depth; i++) {
        const struct frame *f = &e->frames[i];

        if (strlen(e->fault->message) > PATH_SHOWN) {
            add_text(e->fault, "...");
            break;
        }
        if (f->object)
            add_name(e, f->table + 1);
        else
            add_text(e->fault, "[" LUA_INTEGER_FMT "]", f->next - 1);
    }
}

/* Says that the value being written cannot be. */
static int refuse(struct encoder *e, const char *what)
{
    add_path(e, e->depth);
    add_text(e->fault, ": cannot encode %s", what);
    return -CLA_EINVAL;
}

static int no_memory(struct encoder *e)
{
    snprintf(e->fault->message, sizeof e->fault->message, "%s", cla_error_text(-CLA_ENOMEM));
    return -CLA_ENOMEM;
}

/* --- What a table is. --- */

static bool has_metatable(struct encoder *e, const char *key)
{
    bool same;

    if (!lua_getmetatable(e->L, -1))
        return false;
    lua_rawgeti(e->L, -1, CLA_JSON_META_SELF);
    same = lua_touserdata(e->L, -1) == key;
    lua_pop(e->L, 2);
    return same;
}

/* Counts the elements of the table on top, if its keys are 1..n and no others. */
static int count_elements(struct encoder *e, lua_Integer *count)
{
    lua_State *L = e->L;
    lua_Integer n = 0, last = 0;

    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;

        if (key < 1) {
            lua_pop(L, 2);
            return refuse(e, "an array with keys that are not its elements");
        }
        n++;
        if (key > last)
            last = key;
    }
    *count = n;
    return n == last ? 0 : refuse(e, "an array with holes (json.null fills them)");
}

enum kind { EMPTY, ARRAY, OBJECT };

/* Judges the table on top by its first key. */
static enum kind guess(struct encoder *e)
{
    enum kind kind;

    lua_pushnil(e->L);
    if (!lua_next(e->L, -2))
        return EMPTY;
    kind = lua_type(e->L, -2) == LUA_TNUMBER ? ARRAY : OBJECT;
    lua_pop(e->L, 2);
    return kind;
}

static enum kind kind_of(struct encoder *e)
{
    enum kind kind;

    if (has_metatable(e, &cla_json_meta_array))
        return ARRAY;
    kind = guess(e);
    if (kind == EMPTY)
        return e->depth == 0 && e->opts->top_array ? ARRAY : OBJECT;
    if (kind == ARRAY && has_metatable(e, &cla_json_meta_object))
        return OBJECT;
    return kind;
}

/* --- Writing. --- */

/* Opens the table on top, which stays there until it is closed. */
static int open_table(struct encoder *e)
{
    struct frame f = {.next = 1, .table = lua_gettop(e->L), .first = true};
    int rc = 0;

    if (e->depth == e->opts->max_depth)
        return refuse(e, "tables nested this deeply (a cycle?)");
    if (!lua_checkstack(e->L, SLOTS_PER_LEVEL))
        return -CLA_ENOMEM;
    f.object = kind_of(e) == OBJECT;
    if (!f.object)
        rc = count_elements(e, &f.count);
    if (rc == 0)
        rc = cla_buf_push(e->buf, f.object ? '{' : '[');
    if (rc != 0)
        return rc;
    if (f.object)
        lua_pushnil(e->L);
    e->frames[e->depth++] = f;
    return 0;
}

static int close_table(struct encoder *e)
{
    struct frame *f = &e->frames[--e->depth];

    lua_settop(e->L, f->table - 1);
    return cla_buf_push(e->buf, f->object ? '}' : ']');
}

static int write_string(struct encoder *e)
{
    size_t n;
    const char *text = lua_tolstring(e->L, -1, &n);
    int rc = cla_json_write_string(e->buf, cla_slice(text, n));

    return rc == -CLA_EUTF8 ? refuse(e, "a string that is not UTF-8") : rc;
}

static int write_number(struct encoder *e)
{
    int rc;

    if (lua_isinteger(e->L, -1))
        return cla_json_write_int(e->buf, lua_tointeger(e->L, -1));
    rc = cla_json_write_number(e->buf, lua_tonumber(e->L, -1));
    if (rc != -CLA_EINVAL)
        return rc;
    return refuse(e, isnan(lua_tonumber(e->L, -1)) ? "nan" : "an infinite number");
}

static int write_boolean(struct encoder *e)
{
    return cla_buf_add(e->buf, lua_toboolean(e->L, -1) ? CLA_LIT("true") : CLA_LIT("false"));
}

static int write_other(struct encoder *e)
{
    int type = lua_type(e->L, -1);

    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && lua_touserdata(e->L, -1) == NULL))
        return cla_buf_add(e->buf, CLA_LIT("null"));
    return refuse(e, type == LUA_TFUNCTION ? "a function"
                     : type == LUA_TTHREAD ? "a thread"
                                           : "a userdata");
}

static int write_scalar(struct encoder *e)
{
    switch (lua_type(e->L, -1)) {
    case LUA_TSTRING:
        return write_string(e);
    case LUA_TNUMBER:
        return write_number(e);
    case LUA_TBOOLEAN:
        return write_boolean(e);
    default:
        return write_other(e);
    }
}

/* Writes the value on top and takes it off, or opens it. */
static int write_value(struct encoder *e)
{
    int rc;

    if (lua_type(e->L, -1) == LUA_TTABLE)
        return open_table(e);
    rc = write_scalar(e);
    lua_pop(e->L, 1);
    return rc;
}

static int refuse_key(struct encoder *e)
{
    bool number = lua_type(e->L, -2) == LUA_TNUMBER;

    e->depth--; /* the table is at fault, not a member of it */
    return refuse(e, number ? "an object with a key that is a number"
                            : "an object with a key that is not a string");
}

/* Writes the name below the value on top. */
static int write_name(struct encoder *e)
{
    size_t n;
    const char *name;
    int rc;

    if (lua_type(e->L, -2) != LUA_TSTRING)
        return refuse_key(e);
    name = lua_tolstring(e->L, -2, &n);
    rc = cla_json_write_string(e->buf, cla_slice(name, n));
    if (rc == -CLA_EUTF8)
        return refuse(e, "a name that is not UTF-8");
    return rc == 0 ? cla_buf_push(e->buf, ':') : rc;
}

/* Pushes what comes next in the innermost container. False if there is nothing more. */
static bool push_next(struct encoder *e, struct frame *f)
{
    if (f->object)
        return lua_next(e->L, f->table);
    if (f->next > f->count)
        return false;
    lua_rawgeti(e->L, f->table, f->next++);
    return true;
}

/* Writes the next member or element, or closes the innermost container. */
static int step(struct encoder *e)
{
    struct frame *f = &e->frames[e->depth - 1];
    int rc = 0;

    if (!push_next(e, f))
        return close_table(e);
    if (!f->first)
        rc = cla_buf_push(e->buf, ',');
    f->first = false;
    if (rc == 0 && f->object)
        rc = write_name(e);
    return rc == 0 ? write_value(e) : rc;
}

static int write_all(struct encoder *e)
{
    int rc = write_value(e);

    while (rc == 0 && e->depth > 0)
        rc = step(e);
    return rc;
}

int cla_json_codec_write(lua_State *L, int index, struct cla_buf *buf,
                         const struct cla_json_encode_opts *opts,
                         struct cla_json_encode_fault *fault)
{
    struct encoder e;
    size_t before = buf->n;
    int top = lua_gettop(L), rc = -CLA_ENOMEM;

    CLA_PRE(opts->max_depth >= 1 && opts->max_depth <= CLA_JSON_DEPTH_MAX);
    e.L = L;
    e.opts = opts;
    e.fault = fault;
    e.buf = buf;
    e.depth = 0;
    if (lua_checkstack(L, SLOTS_PER_LEVEL)) {
        lua_pushvalue(L, index);
        rc = write_all(&e);
    }
    lua_settop(L, top);
    if (rc != 0)
        buf->n = before;
    return rc == -CLA_ENOMEM ? no_memory(&e) : rc;
}
