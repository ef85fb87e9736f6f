#include "bind/script_background.h"

#include <lauxlib.h>

#include "base/mem.h"

static void forget_one(struct cla_script_job *job, lua_State *L)
{
    CLA_PRE(job->task == NULL);
    luaL_unref(L, LUA_REGISTRYINDEX, job->fn);
    cla_mem_free(job->name);
    *job = (struct cla_script_job){.fn = LUA_NOREF};
}

void cla_script_forget_background(struct cla_script *script)
{
    for (size_t i = 0; i < script->background_count; i++)
        forget_one(&script->background[i], script->vm->L);
    forget_one(&script->on_unload, script->vm->L);
    cla_mem_free(script->background);
    script->background = NULL;
    script->background_count = 0;
}

/* Takes the job on top of the stack: {run, name, once, preemptible}, checked by Lua. */
static void take_one(struct cla_script *script, lua_State *L)
{
    struct cla_script_job *job = &script->background[script->background_count];
    size_t n;
    const char *name;

    *job = (struct cla_script_job){.script = script, .fn = LUA_NOREF};
    script->background_count++;
    lua_getfield(L, -1, "once");
    lua_getfield(L, -2, "preemptible");
    lua_getfield(L, -3, "name");
    job->once = lua_toboolean(L, -3);
    job->preemptible = lua_toboolean(L, -2);
    name = lua_tolstring(L, -1, &n);
    job->name = cla_mem_strndup(name, n);
    if (job->name == NULL)
        luaL_error(L, "out of memory");
    lua_pop(L, 3);
    lua_getfield(L, -1, "run");
    job->fn = luaL_ref(L, LUA_REGISTRYINDEX);
}

void cla_script_take_background(struct cla_script *script, lua_State *L)
{
    size_t count;

    cla_script_forget_background(script);
    script->on_unload.script = script;
    if (lua_getfield(L, -1, "on_unload") == LUA_TFUNCTION)
        script->on_unload.fn = luaL_ref(L, LUA_REGISTRYINDEX);
    else
        lua_pop(L, 1);
    lua_getfield(L, -1, "background");
    count = (size_t)lua_rawlen(L, -1);
    script->background = cla_mem_zalloc((count > 0 ? count : 1) * sizeof *script->background);
    if (script->background == NULL) {
        luaL_error(L, "out of memory for %d background tasks", (int)count);
        return;
    }
    cla_script_take_each(script, L, take_one);
}
