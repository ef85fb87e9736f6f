#include "bind/script_topics.h"

#include <lauxlib.h>

#include "base/mem.h"

/* Of topics that are not declared. */
static const struct cla_topic_rules standard = {.slow = CLA_SLOW_DROP, .queue_bytes = 65536};

void cla_script_forget_topics(struct cla_script *script)
{
    for (size_t i = 0; i < script->topic_count; i++)
        cla_mem_free((char *)script->topics[i].name.p);
    cla_mem_free(script->topics);
    script->topics = NULL;
    script->topic_count = 0;
}

static struct cla_slice take_name(lua_State *L)
{
    struct cla_slice name;
    char *copy;

    lua_getfield(L, -1, "name");
    name.p = lua_tolstring(L, -1, &name.n);
    copy = cla_mem_strndup(name.p, name.n);
    if (copy == NULL)
        luaL_error(L, "out of memory");
    lua_pop(L, 1);
    return cla_slice(copy, name.n);
}

/* Takes the topic on top of the stack: {name, prefix, slow, queue}, checked by Lua. */
static void take_one(struct cla_script *script, lua_State *L)
{
    static const char *const names[] = {"drop", "suspend", "close", NULL};
    struct cla_script_topic *topic = &script->topics[script->topic_count];

    topic->name = take_name(L);
    script->topic_count++;
    lua_getfield(L, -1, "prefix");
    lua_getfield(L, -2, "slow");
    lua_getfield(L, -3, "queue");
    topic->prefix = lua_toboolean(L, -3);
    topic->rules.slow = (enum cla_slow)luaL_checkoption(L, -2, NULL, names);
    topic->rules.queue_bytes = (size_t)lua_tointeger(L, -1);
    lua_pop(L, 3);
}

void cla_script_take_topics(struct cla_script *script, lua_State *L)
{
    size_t count;

    cla_script_forget_topics(script);
    lua_getfield(L, -1, "topics");
    count = (size_t)lua_rawlen(L, -1);
    script->topics = cla_mem_zalloc((count > 0 ? count : 1) * sizeof *script->topics);
    if (script->topics == NULL) {
        luaL_error(L, "out of memory for %d topics", (int)count);
        return;
    }
    cla_script_take_each(script, L, take_one);
}

const struct cla_topic_rules *cla_script_topic_rules(const struct cla_script *script,
                                                     struct cla_slice name)
{
    const struct cla_script_topic *best = NULL;

    for (size_t i = 0; i < script->topic_count; i++) {
        const struct cla_script_topic *each = &script->topics[i];

        if (!each->prefix && cla_slice_eq(each->name, name))
            return &each->rules;
        if (each->prefix && cla_slice_starts(name, each->name) &&
            (best == NULL || each->name.n > best->name.n))
            best = each;
    }
    return best != NULL ? &best->rules : &standard;
}
