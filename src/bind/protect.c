/* A pcall that was entered before a Cancel was raised returns it, so that clean-up written as
 * 'local ok, e = pcall(f) … error(e, 0)' works; awaits then raise again until the Cancel is raised
 * again. One that was entered while the task is already unwinding lets the Cancel pass, so that a
 * retry loop around pcall ends. An error that clean-up has raised in the Cancel's place counts as
 * it. */
#include "bind/protect.h"

#include <lauxlib.h>

#include "bind/files.h"
#include "bind/library.h"
#include "task/coro.h"

/* What a protected call was entered in: bits of its context. Those above are sched->raises. */
enum { IN_CLEANUP = 1, IN_CLOSING = 2, RAISES_SHIFT = 2 };

static lua_KContext entered_in(lua_State *L)
{
    const struct cla_task *task = cla_task_on(L);

    return (task != NULL && cla_scope_unwinding(task) ? IN_CLEANUP : 0) |
           (cla_coro_closing(L) ? IN_CLOSING : 0) |
           (lua_KContext)(cla_sched_of(L)->raises << RAISES_SHIFT);
}

/* 'below': slots under the results that are not returned. */
static int finish(lua_State *L, int status, lua_KContext entered, int below)
{
    const struct cla_task *task = cla_task_on(L);
    uint64_t raises = (uint64_t)entered >> RAISES_SHIFT;

    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - below;
    if ((entered & IN_CLOSING) == 0 && cla_coro_closing(L))
        return lua_error(L); /* its coroutine was suspended in it, and is being closed */
    if (cla_scope_fault(task, L, raises) == CLA_SCOPE_CANCEL) {
        if ((entered & IN_CLEANUP) != 0)
            return lua_error(L);
        cla_scope_catch(task, L, raises);
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int pcall_k(lua_State *L, int status, lua_KContext context)
{
    return finish(L, status, context, 0);
}

static int l_pcall(lua_State *L)
{
    lua_KContext context = entered_in(L);

    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return pcall_k(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, context, pcall_k), context);
}

/* Upvalue: the script's handler, which neither a Cancel is shown to nor what closes a coroutine. */
static int l_handler(lua_State *L)
{
    if (cla_scope_live(cla_task_on(L), L, 1) != NULL || (lua_isnil(L, 1) && cla_coro_closing(L)))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int xpcall_k(lua_State *L, int status, lua_KContext context)
{
    return finish(L, status, context, 2);
}

/* xpcall(f, handler, …); the stack becomes f, handler', true, f, … */
static int l_xpcall(lua_State *L)
{
    lua_KContext context = entered_in(L);
    int n = lua_gettop(L);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, l_handler, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2);
    return xpcall_k(L, lua_pcallk(L, n - 2, LUA_MULTRET, 2, context, xpcall_k), context);
}

/* A Cancel that a pcall caught is hereby let go again. */
static int l_error(lua_State *L)
{
    int level = (int)luaL_optinteger(L, 2, 1);

    lua_settop(L, 1);
    cla_scope_let_go(cla_task_on(L), L, 1);
    if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
        luaL_where(L, level);
        lua_pushvalue(L, 1);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* As Lua's own, but that it is this error() which raises. */
static int l_assert(lua_State *L)
{
    if (lua_toboolean(L, 1))
        return lua_gettop(L);
    luaL_checkany(L, 1);
    lua_remove(L, 1);
    lua_pushliteral(L, "assertion failed!");
    lua_settop(L, 1);
    return l_error(L);
}

/* Calls the upvalue with the same arguments, but with the mode, argument 'at', made text only:
 * binary chunks can crash the host. */
static int call_text_only(lua_State *L, int at)
{
    if (lua_gettop(L) < at)
        lua_settop(L, at);
    lua_pushliteral(L, "t");
    lua_replace(L, at);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* load(chunk, name, mode, env). Upvalue: load. */
static int l_load(lua_State *L)
{
    return call_text_only(L, 3);
}

/* loadfile(name, mode, env). Upvalue: loadfile. */
static int l_loadfile(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        cla_files_note(L, lua_tostring(L, 1));
    return call_text_only(L, 2);
}

/* The searcher of Lua files for require, text only. Upvalue: the table package. */
static int l_search_file(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *file;

    cla_files_note_module(L, name, "path");
    lua_getfield(L, lua_upvalueindex(1), "searchpath");
    lua_pushvalue(L, 1);
    lua_getfield(L, lua_upvalueindex(1), "path");
    if (!lua_isstring(L, -1))
        return luaL_error(L, "'package.path' must be a string");
    lua_call(L, 2, 2);
    file = lua_tostring(L, -2);
    if (file == NULL)
        return 1; /* where it was looked for */
    if (luaL_loadfilex(L, file, "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", name, file,
                          lua_tostring(L, -1));
    lua_pushstring(L, file);
    return 2;
}

static void replace_searcher(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, l_search_file, 1);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 2);
}

static int dofile_k(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return lua_gettop(L) - 1;
}

static int l_dofile(lua_State *L)
{
    const char *name = luaL_optstring(L, 1, NULL);

    lua_settop(L, 1);
    if (name != NULL)
        cla_files_note(L, name);
    if (luaL_loadfilex(L, name, "t") != LUA_OK)
        return lua_error(L);
    lua_callk(L, 0, LUA_MULTRET, 0, dofile_k);
    return dofile_k(L, 0, 0);
}

static const luaL_Reg globals[] = {
    {"pcall", l_pcall},   {"xpcall", l_xpcall}, {"error", l_error},
    {"assert", l_assert}, {"dofile", l_dofile}, {NULL, NULL},
};

void cla_protect_open(lua_State *L)
{
    lua_pushglobaltable(L);
    luaL_setfuncs(L, globals, 0);
    lua_pop(L, 1);
    cla_library_wrap(L, LUA_GNAME, "load", l_load);
    cla_library_wrap(L, LUA_GNAME, "loadfile", l_loadfile);
    replace_searcher(L);
    cla_library_remove(L, "debug", "sethook");
    cla_library_remove(L, "os", "exit");
    cla_library_remove(L, "os", "setlocale");
}
