#include "bind/core.h"

#include <lauxlib.h>

#include "base/suggest.h"
#include "base/units.h"
#include "bind/args.h"
#include "bind/params.h"
#include "bind/reason.h"
#include "bind/token.h"
#include "task/await.h"
#include "task/interrupt.h"

/* As of the setting message_bytes. */
#define MESSAGE_BYTES_MAX (UINT64_C(1) << 30)

static int sleep_k(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    cla_await_end(L);
    return 0;
}

/* sleep(s): awaits. */
static int l_sleep(lua_State *L)
{
    uint64_t duration = cla_args_duration_ns(L, 1);

    return cla_await_sleep(L, cla_await_check(L), duration, sleep_k);
}

/* now() -> seconds on a monotonic clock. */
static int l_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)cla_sched_now_ns(cla_sched_of(L)) / 1e9);
    return 1;
}

/* token() -> the token of the innermost scope. */
static int l_token(lua_State *L)
{
    cla_token_push(L, cla_await_task(L, "read cancela.token()")->scope);
    return 1;
}

/* checkpoint(): raises if an await would; also notices a deadline that passed while computing. */
static int l_checkpoint(lua_State *L)
{
    struct cla_task *task = cla_await_task(L, "use cancela.checkpoint");
    struct cla_scope *scope;

    cla_interrupt_expire(task);
    scope = cla_scope_to_raise(task);
    if (scope != NULL)
        cla_scope_raise(L, scope);
    return 0;
}

/* is_cancel(value) -> reason or nil. */
static int l_is_cancel(lua_State *L)
{
    const struct cla_scope *scope;

    luaL_checkany(L, 1);
    scope = cla_scope_at(L, 1);
    if (scope == NULL)
        lua_pushnil(L);
    else
        cla_reason_push(L, &scope->reason);
    return 1;
}

static int close_line(lua_State *L)
{
    cla_buf_fini(lua_touserdata(L, 1));
    return 0;
}

/* A buffer that is freed however the function ends: what it appends may raise. */
static struct cla_buf *push_line(lua_State *L)
{
    struct cla_buf *line = lua_newuserdatauv(L, sizeof *line, 0);

    *line = (struct cla_buf){0};
    if (luaL_newmetatable(L, "cancela.line")) {
        lua_pushcfunction(L, close_line);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return line;
}

/* Stack: message, fields, line, and on top the names of the fields, sorted so that lines are alike.
 */
static void push_names(lua_State *L)
{
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "the names of log fields must be strings");
        lua_pushvalue(L, -2);
        lua_rawseti(L, 4, (lua_Integer)lua_rawlen(L, 4) + 1);
    }
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_pushvalue(L, 4);
    lua_call(L, 1, 0);
    lua_settop(L, 4);
}

/* Pushes a field's name, fit to stand before '=': it may come from a client, like a header's. */
static const char *push_key(lua_State *L, const char *name)
{
    luaL_Buffer key;

    luaL_buffinit(L, &key);
    for (; *name != '\0'; name++)
        luaL_addchar(&key,
                     *name > ' ' && *name < 0x7f && *name != '=' && *name != '"' ? *name : '?');
    luaL_pushresult(&key);
    return lua_tostring(L, -1);
}

static void add_fields(lua_State *L, struct cla_buf *line)
{
    push_names(L);
    for (lua_Integer i = 1; lua_rawgeti(L, 4, i) == LUA_TSTRING; i++) {
        struct cla_slice text;

        lua_pushvalue(L, -1);
        lua_rawget(L, 2);
        text.p = luaL_tolstring(L, -1, &text.n);
        cla_log_value(line, cla_slice_str(push_key(L, lua_tostring(L, 5))), text);
        lua_settop(L, 4);
    }
}

/* log.LEVEL(message, fields). Upvalue: the level. */
static int l_log(lua_State *L)
{
    struct cla_log *log = cla_sched_of(L)->log;
    enum cla_log_level level = (enum cla_log_level)lua_tointeger(L, lua_upvalueindex(1));
    struct cla_slice message;
    struct cla_buf *line;

    luaL_checkany(L, 1);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    if (!cla_log_wants(log, level))
        return 0;
    message.p = luaL_tolstring(L, 1, &message.n);
    lua_replace(L, 1);
    line = push_line(L);
    (void)cla_buf_add(line, message);
    for (size_t i = 0; i < line->n; i++) {
        if (line->p[i] == '\0')
            line->p[i] = '?'; /* would end the line */
    }
    if (!lua_isnil(L, 2))
        add_fields(L, line);
    cla_log_line(log, level, "%.*s", (int)line->n, line->n > 0 ? line->p : "");
    cla_buf_fini(line); /* as the VM is closed, it gets no __gc any more */
    return 0;
}

static void push_log(lua_State *L)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};

    lua_newtable(L);
    for (int i = 0; i < (int)CLA_ARRAY_LEN(levels); i++) {
        lua_pushinteger(L, i);
        lua_pushcclosure(L, l_log, 1);
        lua_setfield(L, -2, levels[i]);
    }
}

/* suggest(name, names) -> the one of a list that a mistyped name was probably meant to be, or nil.
 */
static int l_suggest(lua_State *L)
{
    struct cla_slice known;
    struct cla_suggest suggest;
    lua_Integer nearest = 0;

    known.p = luaL_checklstring(L, 1, &known.n);
    luaL_checktype(L, 2, LUA_TTABLE);
    cla_suggest_init(&suggest, known);
    for (lua_Integer i = 1; lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        unsigned before = suggest.distance;

        known.p = lua_tolstring(L, -1, &known.n);
        cla_suggest_offer(&suggest, known);
        if (suggest.distance < before)
            nearest = i;
        lua_pop(L, 1);
    }
    lua_rawgeti(L, 2, nearest);
    return 1;
}

/* bytes(size) -> bytes of an integer or of "64KiB", or nil and what is wrong. */
static int l_bytes(lua_State *L)
{
    struct cla_slice text;
    uint64_t bytes;

    luaL_checkany(L, 1);
    text.p = luaL_tolstring(L, 1, &text.n);
    if (cla_units_bytes(text, &bytes) == 0 && bytes > 0 && bytes <= MESSAGE_BYTES_MAX) {
        lua_pushinteger(L, (lua_Integer)bytes);
        return 1;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "must be a size from 1 to 1GiB, such as 65536 or '64KiB'");
    return 2;
}

static const luaL_Reg functions[] = {
    {"bytes", l_bytes},
    {"sleep", l_sleep},
    {"now", l_now},
    {"token", l_token},
    {"checkpoint", l_checkpoint},
    {"is_cancel", l_is_cancel},
    {"suggest", l_suggest},
    {"schema", cla_params_schema},
    {NULL, NULL},
};

void cla_core_functions(lua_State *L)
{
    luaL_setfuncs(L, functions, 0);
    push_log(L);
    lua_setfield(L, -2, "log");
}
