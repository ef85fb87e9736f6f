/* Happy path: the file runs as the main chunk; what it returns goes through the Lua half, which
 * checks and flattens it; its procedures are taken.
 * on_load comes last.
 * Failure modes: every error, from a missing file to a procedure with a bad option, is text that
 * begins with file:line; a script that does not end is stopped after load_timeout.
 *
 * 'return cancela.app{…}' is a tail call: when it finds a mistake, the script's own frame is gone,
 * and with it the line. So a hook remembers the last line that ran; it is there only while loading.
 */
#include "bind/load.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "bind/files.h"

/* Instructions between two looks at the clock. */
#define HOOK_COUNT 10000

struct load {
    struct cla_script *script;
    const struct cla_script_options *options;
    const char *path;
    uint64_t deadline_ns;
    bool running;            /* the script's own code, as opposed to ours, is at work */
    bool declared;           /* and that is on_load: what the script declares was right */
    bool late;               /* it was stopped */
    int line;                /* the last that ran */
    char source[LUA_IDSIZE]; /* and its file */
};

static char load_key; /* registry key of the load under way, for the hook */

static struct load *load_of(lua_State *L)
{
    struct load *load;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &load_key);
    load = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return load;
}

static void on_hook(lua_State *L, lua_Debug *ar);

/* Where it is stopped l_describe() says: to luaL_error() a function is its caller in a hook. */
static void check_deadline(lua_State *L, struct load *load)
{
    const atomic_bool *stop = load->options->stop;
    bool stopped = stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);

    if (!stopped && cla_clock_monotonic_ns() <= load->deadline_ns)
        return;
    load->late = true;
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1); /* a loop around pcall ends too */
    lua_pushstring(L, stopped ? "loading was stopped"
                              : "the script took too long to load (load_timeout)");
    lua_error(L);
}

/* For functions written in C, which the hook does not reach. */
static int on_interrupt(lua_State *L)
{
    check_deadline(L, load_of(L));
    return 0;
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    struct load *load = load_of(L);

    if (load == NULL) { /* in a coroutine made while loading, which got the hook then */
        lua_sethook(L, NULL, 0, 0);
    } else if (ar->event == LUA_HOOKLINE) {
        lua_getinfo(L, "S", ar);
        if (ar->source[0] == '@') {
            load->line = ar->currentline;
            memcpy(load->source, ar->short_src, sizeof load->source);
        }
    } else {
        check_deadline(L, load);
    }
}

/* Remembers the script's folder. */
static void set_home(lua_State *L, struct cla_script *script, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *home =
        slash != NULL ? cla_mem_strndup(path, (size_t)(slash - path)) : cla_mem_strndup(".", 1);

    if (home == NULL)
        luaL_error(L, "out of memory");
    cla_mem_free(script->home);
    script->home = home;
}

/* Puts the script's folder first in package.path. */
static void set_path(lua_State *L, const char *home)
{
    lua_getglobal(L, "package");
    lua_pushstring(L, home);
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;", lua_tostring(L, -1), lua_tostring(L, -1));
    lua_getfield(L, -3, "path");
    lua_concat(L, 2);
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

/* Replaces what the script returned, on top of the stack, by the app it means. */
static void normalise(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "cancela.app");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "normalise");
    lua_pushvalue(L, -3);
    lua_call(L, 1, 1);
}

/* Calls the script's own code, with one argument. */
static void call_script(lua_State *L, struct load *load, int results)
{
    load->running = true;
    lua_sethook(L, on_hook, LUA_MASKCOUNT | LUA_MASKLINE, HOOK_COUNT);
    lua_call(L, 1, results);
    lua_sethook(L, NULL, 0, 0);
    load->running = false;
}

/* Calls on_load of the app on top of the stack, if there is one. */
static void call_on_load(lua_State *L, struct load *load)
{
    uint64_t previous = load->options->previous;

    if (lua_getfield(L, -1, "on_load") != LUA_TFUNCTION)
        return;
    if (previous == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, (lua_Integer)previous);
    load->declared = true;
    call_script(L, load, 0);
}

/* Raises the text on top of the stack, which is to name the file. */
static int raise_named(lua_State *L, const char *path)
{
    if (strstr(lua_tostring(L, -1), path) == NULL)
        lua_pushfstring(L, "%s: %s", path, lua_tostring(L, -1));
    return lua_error(L);
}

/* Runs in protected mode. Argument: the load. */
static int l_load(lua_State *L)
{
    struct load *load = lua_touserdata(L, 1);

    set_home(L, load->script, load->path);
    set_path(L, load->script->home);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &load_key);
    cla_files_note(L, load->path);
    if (luaL_loadfilex(L, load->path, "t") != LUA_OK)
        return raise_named(L, load->path);
    lua_pushstring(L, load->path);
    call_script(L, load, 1);
    normalise(L);
    cla_files_take(load->script, L, lua_gettop(L));
    cla_script_take_folder(load->script, L, lua_gettop(L), load->path);
    cla_script_take(load->script, L, -1);
    call_on_load(L, load);
    return 0;
}

/* True if the text begins with FILE:LINE: */
static bool has_position(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon != NULL && colon[1] >= '0' && colon[1] <= '9';
}

/* An error of the script's own code gets a traceback; one of ours, about what it declares or how it
 * is written, says enough in its one line. */
static int l_describe(lua_State *L)
{
    const char *text = luaL_tolstring(L, 1, NULL);
    const struct load *load = load_of(L);
    bool own;

    if (load == NULL)
        return 1;
    own = load->running && (load->declared || load->late || has_position(text));
    if (!has_position(text) && load->line > 0)
        text = lua_pushfstring(L, "%s:%d: %s", load->source, load->line, text);
    if (own)
        luaL_traceback(L, L, text, 1);
    return 1;
}

int cla_load_script(struct cla_script *script, const struct cla_script_options *options,
                    const char *path, struct cla_buf *error)
{
    struct cla_sched *sched = &script->vm->sched;
    lua_State *L = script->vm->L;
    struct load load = {
        .script = script,
        .options = options,
        .path = path,
        .deadline_ns = cla_clock_add(cla_clock_monotonic_ns(), options->load_timeout_ns),
    };
    struct cla_slice text;
    int rc;

    lua_pushcfunction(L, l_describe);
    lua_pushcfunction(L, l_load);
    lua_pushlightuserdata(L, &load);
    sched->interrupt = on_interrupt;
    rc = lua_pcall(L, 1, 0, -3);
    sched->interrupt = NULL;
    lua_sethook(L, NULL, 0, 0);
    if (rc != LUA_OK) {
        text.p = lua_tolstring(L, -1, &text.n);
        (void)cla_buf_add(error, text);
    }
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &load_key);
    lua_settop(L, 0);
    return rc == LUA_OK ? 0 : -CLA_ESCRIPT;
}
