#include "bind/files.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "bind/script.h"
#include "io/file_set.h"

static struct cla_script *watched(lua_State *L)
{
    struct cla_script *script = cla_script_of(L);

    return script != NULL && script->files != NULL ? script : NULL;
}

void cla_files_note(lua_State *L, const char *path)
{
    struct cla_script *script = watched(L);

    if (script != NULL)
        cla_file_set_note(script->files, path);
}

/* Appends text[0..n) to 'to', each '?' in it replaced by 'name', and dots in that by slashes.
 * False: it does not fit. */
static bool fill_in(char to[PATH_MAX], const char *text, size_t n, const char *name)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        const char *from = text[i] == '?' ? name : text + i;
        size_t count = text[i] == '?' ? strlen(name) : 1;

        if (at + count >= PATH_MAX)
            return false;
        memcpy(to + at, from, count);
        for (size_t k = at; text[i] == '?' && k < at + count; k++)
            to[k] = to[k] == '.' ? '/' : to[k];
        at += count;
    }
    to[at] = '\0';
    return at > 0;
}

static bool is_beneath(const char *path, const char *folder)
{
    size_t n = folder != NULL ? strlen(folder) : 0;

    return n > 0 && strncmp(path, folder, n) == 0 && (path[n] == '/' || folder[n - 1] == '/');
}

/* package[field] on the stack; its type. */
static int push_package_field(lua_State *L, const char *field)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "package");
    return lua_istable(L, -1) ? lua_getfield(L, -1, field) : LUA_TNIL;
}

/* Notes where 'template' looks for the module. Returns true if it is there. */
static bool note_candidate(const struct cla_script *script, struct cla_slice template,
                           const char *name)
{
    char path[PATH_MAX];
    bool found;

    if (!fill_in(path, template.p, template.n, name))
        return false;
    found = access(path, R_OK) == 0;
    if (found || is_beneath(path, script->home))
        cla_file_set_note(script->files, path);
    return found;
}

void cla_files_note_module(lua_State *L, const char *name, const char *field)
{
    const struct cla_script *script = watched(L);
    struct cla_slice rest, template;
    int top = lua_gettop(L);

    if (script == NULL)
        return;
    if (push_package_field(L, field) == LUA_TSTRING) {
        rest.p = lua_tolstring(L, -1, &rest.n);
        while (cla_slice_next(&rest, ';', &template) && !note_candidate(script, template, name))
            ;
    }
    lua_settop(L, top);
}

/* --- C modules. --- */

/* Calls the upvalue, which searches, with the same arguments. */
static int search(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int l_search_c(lua_State *L)
{
    if (lua_isstring(L, 1))
        cla_files_note_module(L, lua_tostring(L, 1), "cpath");
    return search(L);
}

/* The file of module a.b.c may be that of a. */
static int l_search_c_root(lua_State *L)
{
    const char *name = lua_tostring(L, 1), *dot = name != NULL ? strchr(name, '.') : NULL;

    if (dot != NULL) {
        lua_pushlstring(L, name, (size_t)(dot - name));
        cla_files_note_module(L, lua_tostring(L, -1), "cpath");
        lua_pop(L, 1);
    }
    return search(L);
}

void cla_files_open(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_rawgeti(L, -1, 3);
    lua_pushcclosure(L, l_search_c, 1);
    lua_rawseti(L, -2, 3);
    lua_rawgeti(L, -1, 4);
    lua_pushcclosure(L, l_search_c_root, 1);
    lua_rawseti(L, -2, 4);
    lua_pop(L, 2);
}

/* --- What the app lists. --- */

void cla_files_take(const struct cla_script *script, lua_State *L, int index)
{
    lua_Integer count;

    if (script->files == NULL)
        return;
    lua_getfield(L, index, "watch");
    count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        const char *name;

        lua_rawgeti(L, -1, i);
        name = lua_tostring(L, -1);
        if (name[0] != '/')
            name = lua_pushfstring(L, "%s/%s", script->home, name);
        cla_file_set_note_deep(script->files, name);
        lua_settop(L, index + 1);
    }
    lua_pop(L, 1);
}
