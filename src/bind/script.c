/* The app table that a script returned comes here through the Lua half (cancela.app), which has
 * checked and flattened it; what is taken is plain C, so that finding a procedure runs no Lua. */
#include "bind/script.h"

#include <errno.h>
#include <lauxlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "bind/discover.h"
#include "bind/modules.h"
#include "bind/params.h"
#include "bind/run.h"
#include "bind/script_background.h"
#include "bind/script_routes.h"
#include "bind/script_sockets.h"
#include "bind/script_topics.h"
#include "bind/token.h"
#include "io/folder.h"

struct cla_script *cla_script_of(lua_State *L)
{
    return cla_sched_of(L)->owner;
}

static int l_open(lua_State *L)
{
    cla_modules_open(L, lua_touserdata(L, 1));
    return 0;
}

int cla_script_new(struct cla_script **out, const struct cla_script_options *options)
{
    struct cla_script *script = cla_mem_zalloc(sizeof *script);
    lua_State *L;

    if (script == NULL)
        return -CLA_ENOMEM;
    script->app.ops = &cla_run_app_ops;
    cla_list_init(&script->clients);
    script->log = options->log;
    script->store = options->store;
    script->files = cla_file_set_ref(options->files);
    script->authorize = script->on_connect = script->on_disconnect = LUA_NOREF;
    script->on_unload.fn = LUA_NOREF;
    script->json_depth = options->json_depth;
    script->max_detached = options->max_detached;
    script->expose_errors = options->expose_errors;
    script->discovers = options->discover;
    script->discover.fn = LUA_NOREF;
    script->call_timeout_ns = options->call_timeout_ns;
    script->max_call_timeout_ns = options->max_call_timeout_ns;
    script->stream_idle_timeout_ns = options->stream_idle_timeout_ns;
    script->app.generation = options->generation;
    if (cla_vm_new(&script->vm, options->loop, options->log, options->vm_memory, options->grace_ns,
                   &cla_token_sched_ops) != 0)
        goto free_script;
    script->owns_vm = true;
    script->vm->sched.owner = script;
    script->vm->sched.preempt.hold_limit_ns = options->hold_limit_ns;
    script->vm->sched.preempt.cpu_limit_ns = options->cpu_limit_ns;
    L = script->vm->L;
    lua_pushcfunction(L, l_open);
    lua_pushlightuserdata(L, (void *)options->version);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        goto free_vm;
    *out = script;
    return 0;
free_vm:
    cla_log_line(options->log, CLA_LOG_ERROR, "cannot open the modules: %s", lua_tostring(L, -1));
    cla_vm_free(script->vm);
free_script:
    cla_file_set_put(script->files);
    cla_mem_free(script);
    return -CLA_ENOMEM;
}

int cla_script_new_beside(struct cla_script **out, const struct cla_script *script)
{
    struct cla_script *beside = cla_mem_zalloc(sizeof *beside);

    if (beside == NULL)
        return -CLA_ENOMEM;
    beside->app.ops = &cla_run_app_ops;
    cla_list_init(&beside->clients);
    beside->vm = script->vm;
    beside->log = script->log;
    beside->store = script->store;
    beside->authorize = beside->on_connect = beside->on_disconnect = LUA_NOREF;
    beside->on_unload.fn = LUA_NOREF;
    beside->json_depth = script->json_depth;
    beside->expose_errors = script->expose_errors;
    beside->discovers = script->discovers;
    beside->discover.fn = LUA_NOREF;
    beside->call_timeout_ns = script->call_timeout_ns;
    beside->max_call_timeout_ns = script->max_call_timeout_ns;
    beside->stream_idle_timeout_ns = script->stream_idle_timeout_ns;
    beside->app.generation = script->app.generation;
    *out = beside;
    return 0;
}

/* --- Taking the procedures. --- */

static uint64_t hash(struct cla_slice name)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * UINT64_C(1099511628211);
    return h;
}

const struct cla_procedure *cla_script_find(const struct cla_script *script, struct cla_slice name)
{
    size_t at = hash(name) & script->index_mask;

    for (; script->procedure_count > 0 && script->index[at] != 0;
         at = (at + 1) & script->index_mask) {
        const struct cla_procedure *p = &script->procedures[script->index[at] - 1].base;

        if (cla_slice_eq(p->name, name))
            return p;
    }
    if (script->discover.base.name.n > 0 && cla_slice_eq(script->discover.base.name, name))
        return &script->discover.base;
    return NULL;
}

void cla_script_drop_procedure(struct cla_script_procedure *p, lua_State *L)
{
    cla_mem_free((char *)p->base.name.p);
    cla_mem_free(p->summary);
    cla_json_schema_free(p->params);
    cla_json_schema_free(p->result);
    luaL_unref(L, LUA_REGISTRYINDEX, p->fn);
}

static void forget_procedures(struct cla_script *script)
{
    for (size_t i = 0; i < script->procedure_count; i++)
        cla_script_drop_procedure(&script->procedures[i], script->vm->L);
    luaL_unref(script->vm->L, LUA_REGISTRYINDEX, script->discover.fn);
    script->discover = (struct cla_script_procedure){.fn = LUA_NOREF};
    cla_mem_free(script->procedures);
    cla_mem_free(script->index);
    script->procedures = NULL;
    script->index = NULL;
    script->procedure_count = 0;
}

static void make_room(struct cla_script *script, lua_State *L, size_t count)
{
    size_t slots = 4;

    while (slots < count * 2)
        slots *= 2;
    script->procedures = cla_mem_zalloc((count > 0 ? count : 1) * sizeof *script->procedures);
    script->index = cla_mem_zalloc(slots * sizeof *script->index);
    script->index_mask = slots - 1;
    if (script->procedures == NULL || script->index == NULL)
        luaL_error(L, "out of memory for %d procedures", (int)count);
}

static void add_to_index(struct cla_script *script, size_t position)
{
    size_t at = hash(script->procedures[position].base.name) & script->index_mask;

    while (script->index[at] != 0)
        at = (at + 1) & script->index_mask;
    script->index[at] = (uint32_t)position + 1;
}

/* A function that takes one parameter need not be given a call object. */
static bool takes_call(lua_State *L, int index)
{
    lua_Debug ar;

    lua_pushvalue(L, index);
    lua_getinfo(L, ">u", &ar);
    return ar.nparams > 1 || ar.isvararg;
}

static bool flag(lua_State *L, const char *name)
{
    bool set;

    lua_getfield(L, -1, name);
    set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

static char *text_member(lua_State *L, const char *name)
{
    char *copy = NULL;
    size_t n;
    const char *text;

    if (lua_getfield(L, -1, name) == LUA_TSTRING) {
        text = lua_tolstring(L, -1, &n);
        copy = cla_mem_strndup(text, n);
        if (copy == NULL)
            luaL_error(L, "out of memory");
    }
    lua_pop(L, 1);
    return copy;
}

/* As the Lua half names them. */
static enum cla_payload payload_member(lua_State *L)
{
    static const char *const names[] = {"json", "text", "bytes", NULL};
    enum cla_payload payload;

    lua_getfield(L, -1, "payload");
    payload = (enum cla_payload)luaL_checkoption(L, -1, names[0], names);
    lua_pop(L, 1);
    return payload;
}

/* Takes {name, run, timeout, read_only, …}, checked by Lua. */
void cla_script_take_procedure(struct cla_script_procedure *p, lua_State *L)
{
    p->fn = LUA_NOREF;
    p->base.name = cla_slice_str(text_member(L, "name"));
    p->summary = text_member(L, "summary");
    p->base.read_only = flag(L, "read_only");
    p->base.stream = flag(L, "stream");
    p->base.payload = payload_member(L);
    p->keep_nulls = flag(L, "keep_nulls");
    p->array_result = flag(L, "array_result");
    p->preemptible = flag(L, "preemptible");
    p->manual = flag(L, "manual");
    p->params = cla_params_take(L, "params");
    p->result = cla_params_take(L, "result");
    lua_getfield(L, -1, "timeout");
    p->base.timeout_ns = cla_clock_from_seconds(lua_tonumber(L, -1));
    lua_pop(L, 1);
    lua_getfield(L, -1, "run");
    p->wants_call = takes_call(L, lua_gettop(L));
    p->fn = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void take_one(struct cla_script *script, lua_State *L)
{
    struct cla_script_procedure *p = &script->procedures[script->procedure_count];

    p->fn = LUA_NOREF;
    script->procedure_count++;
    cla_script_take_procedure(p, L);
    add_to_index(script, script->procedure_count - 1);
}

/* The member 'name' of the table on top, if it is a function, takes the place of '*ref'. */
static void take_function(lua_State *L, const char *name, int *ref)
{
    luaL_unref(L, LUA_REGISTRYINDEX, *ref);
    *ref = LUA_NOREF;
    if (lua_getfield(L, -1, name) == LUA_TFUNCTION)
        *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    else
        lua_pop(L, 1);
}

/* The member 'info' of the app on top heads the document of rpc.discover. */
static void take_document(struct cla_script *script, lua_State *L)
{
    struct cla_slice info;

    lua_getfield(L, -1, "info");
    info.p = lua_tolstring(L, -1, &info.n);
    cla_discover_set_up(script, L, info);
    lua_pop(L, 1);
}

void cla_script_take_each(struct cla_script *script, lua_State *L,
                          void (*take)(struct cla_script *script, lua_State *L))
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);

    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        take(script, L);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void cla_script_take(struct cla_script *script, lua_State *L, int index)
{
    lua_Integer count;

    index = lua_absindex(L, index);
    forget_procedures(script);
    lua_getfield(L, index, "list");
    count = (lua_Integer)lua_rawlen(L, -1);
    make_room(script, L, (size_t)count);
    cla_script_take_each(script, L, take_one);
    lua_pushvalue(L, index);
    take_function(L, "authorize", &script->authorize);
    take_function(L, "on_connect", &script->on_connect);
    take_function(L, "on_disconnect", &script->on_disconnect);
    cla_script_take_sockets(script, L);
    cla_script_take_topics(script, L);
    cla_script_take_routes(script, L);
    cla_script_take_background(script, L);
    take_document(script, L);
    lua_pop(L, 1);
}

void cla_script_take_folder(struct cla_script *script, lua_State *L, int index, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name, *folder;

    cla_folder_put(script->app.folder);
    script->app.folder = NULL;
    if (lua_getfield(L, index, "static") != LUA_TSTRING) {
        lua_pop(L, 1);
        return;
    }
    name = folder = lua_tostring(L, -1);
    if (name[0] != '/' && slash != NULL) {
        lua_pushlstring(L, path, (size_t)(slash + 1 - path));
        folder = lua_pushfstring(L, "%s%s", lua_tostring(L, -1), name);
    }
    if (cla_folder_open(&script->app.folder, folder) != 0)
        luaL_error(L, "static: '%s' is no folder that can be read (%s: %s)", name, folder,
                   strerror(errno));
    lua_settop(L, index);
}

void cla_script_free(struct cla_script *script)
{
    if (script == NULL)
        return;
    forget_procedures(script);
    cla_script_forget_sockets(script);
    cla_script_forget_topics(script);
    cla_script_forget_routes(script);
    cla_script_forget_background(script);
    cla_folder_put(script->app.folder);
    luaL_unref(script->vm->L, LUA_REGISTRYINDEX, script->authorize);
    luaL_unref(script->vm->L, LUA_REGISTRYINDEX, script->on_connect);
    luaL_unref(script->vm->L, LUA_REGISTRYINDEX, script->on_disconnect);
    if (script->owns_vm)
        cla_vm_free(script->vm);
    cla_file_set_put(script->files);
    cla_mem_free(script->home);
    cla_buf_fini(&script->scratch);
    cla_buf_fini(&script->frame);
    cla_buf_fini(&script->document);
    cla_mem_free(script);
}
